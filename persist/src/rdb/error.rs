//! What can be wrong with bytes that claim to be RDB.

use std::fmt;
use std::io;

/// See the head of this file.
#[derive(Debug)]
pub enum RdbError {
    /// They end too soon.
    Truncated,
    /// They say what cannot be.
    Corrupt(&'static str),
    /// A value without elements: Redis passes over such a key in a file and refuses such a payload.
    Empty,
    /// A type of value that is not known.
    UnknownKind(u8),
    /// A value of a module.
    Module,
    /// No RDB at all.
    Foreign,
    /// A version that is not known.
    Version(u16),
    /// The checksum is that of other bytes.
    Checksum,
    /// Memory was refused.
    OutOfMemory,
    /// They could not be read.
    Io(io::Error),
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends in the middle of something"),
            Self::Corrupt(what) => write!(f, "it is corrupt: {what}"),
            Self::Empty => f.write_str("a value without elements"),
            Self::UnknownKind(kind) => write!(f, "a value of the unknown type {kind}"),
            Self::Module => f.write_str("a value of a module, and modules are not supported"),
            Self::Foreign => f.write_str("it is no RDB file"),
            Self::Version(version) => write!(f, "its version {version} is not known"),
            Self::Checksum => f.write_str("CRC error: the checksum is wrong"),
            Self::OutOfMemory => f.write_str("there is no memory for it"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl std::error::Error for RdbError {}

impl From<io::Error> for RdbError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}
