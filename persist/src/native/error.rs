//! What can be wrong with a file that claims to be a native snapshot.

use std::fmt;

use crate::rdb::RdbError;

/// See the head of this file.
#[derive(Debug)]
pub enum NativeError {
    /// It ends too soon.
    Truncated,
    /// No snapshot of ours at all.
    Foreign,
    /// A version that is not known.
    Version(u32),
    /// The checksum of this part is that of other bytes.
    Checksum(&'static str),
    /// It says what cannot be.
    Corrupt(&'static str),
    /// A value is not what it should be.
    Value(RdbError),
    /// Memory was refused.
    OutOfMemory,
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends in the middle of something"),
            Self::Foreign => f.write_str("it is no snapshot of Tessera"),
            Self::Version(version) => write!(f, "its version {version} is not known"),
            Self::Checksum(part) => write!(f, "the checksum of {part} is wrong"),
            Self::Corrupt(what) => write!(f, "it is corrupt: {what}"),
            Self::Value(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("there is no memory for it"),
        }
    }
}

impl std::error::Error for NativeError {}

impl From<RdbError> for NativeError {
    fn from(error: RdbError) -> Self {
        match error {
            RdbError::OutOfMemory => Self::OutOfMemory,
            error => Self::Value(error),
        }
    }
}
