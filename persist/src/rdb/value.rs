//! A value that has been read, before it has a key.

use tessera_core::entry::{Entry, OutOfMemory, StrValue};
use tessera_core::listpack::Item;
use tessera_core::object::Object;

/// See the head of this file.
#[derive(Debug)]
pub enum Value {
    /// A string that is an integer.
    Int(i64),
    /// A string.
    Bytes(Vec<u8>),
    /// A long string, under no key yet: it is where it will stay, so that there is no second copy of it.
    Long(Entry),
    /// A collection, not empty unless it is a stream.
    Object(Object),
}

impl Value {
    /// A string in the form in which it is kept.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        match Item::of(&bytes) {
            Item::Int(number) => Self::Int(number),
            Item::Bytes(_) => Self::Bytes(bytes),
        }
    }

    /// The entry of this value under a key.
    ///
    /// # Errors
    /// [`OutOfMemory`] when a large string's buffer is refused.
    pub fn into_entry(self, key: &[u8], expire_at: Option<u64>) -> Result<Entry, OutOfMemory> {
        match self {
            Self::Int(number) => Entry::try_new(key, StrValue::Int(number), expire_at),
            Self::Bytes(bytes) => Entry::try_new(key, StrValue::Bytes(&bytes), expire_at),
            Self::Long(entry) => {
                let mut entry = entry.with_key(key);
                entry.set_expire(expire_at);
                Ok(entry)
            }
            Self::Object(object) => Ok(Entry::with_object(key, object, expire_at)),
        }
    }
}
