//! What goes into an entry and what is read from it.
//!
//! Owns the value types of the entry's interface; no behaviour beyond formatting an integer. Called by everybody who
//! reads or writes a key.

use std::fmt;

/// A string value to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrValue<'a> {
    /// A 64-bit integer, kept as eight bytes and rendered when read. The caller decides: an entry never parses bytes.
    Int(i64),
    /// Bytes, copied.
    Bytes(&'a [u8]),
}

/// A value as it lies in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The value is held as an integer; its bytes are its decimal form.
    Int(i64),
    /// The value's bytes.
    Bytes(&'a [u8]),
}

impl ValueRef<'_> {
    /// Length in bytes of the value as a client sees it (the decimal form of an integer). O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int(int) => itoa::Buffer::new().format(*int).len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether a client sees the empty string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes([]))
    }
}

impl<'a> From<ValueRef<'a>> for StrValue<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Int(int) => Self::Int(int),
            ValueRef::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

/// The allocator refused a large buffer; the entry is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}
