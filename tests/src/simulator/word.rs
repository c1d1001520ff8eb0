//! `Word`: an argument, key or value: bytes that are shared instead of copied and know their digest.
//!
//! The search for an order clones keyspaces by the thousand and compares values all the time; with a
//! digest made once, neither costs anything for a value of 64 KiB. Digests are the same in every run.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Deref;
use std::rc::Rc;

/// Bytes shown of a long word.
const SHOWN_MAX: usize = 60;

/// Shared bytes with their digest.
#[derive(Clone)]
pub struct Word {
    bytes: Rc<[u8]>,
    digest: u64,
}

/// A digest that depends on nothing but the bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Mixes two digests into one, in order.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ 0x9e37_79b9_7f4a_7c15)
        * u128::from(b.rotate_left(23) ^ 0xd1b5_4a32_d192_ed03 | 1);
    (wide >> 64) as u64 ^ wide as u64 ^ a.rotate_left(17)
}

impl Word {
    /// Takes a copy of the bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            digest: digest(bytes),
            bytes: bytes.into(),
        }
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The integer that Redis reads from these bytes: canonical decimal text within 64 bits.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        let number: i64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    }
}

impl Deref for Word {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Borrow<[u8]> for Word {
    fn borrow(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::new(text.as_bytes())
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.bytes == other.bytes
    }
}

impl Eq for Word {}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes.len() <= SHOWN_MAX {
            write!(f, "{}", self.bytes.escape_ascii())
        } else {
            let head = self.bytes[..SHOWN_MAX / 2].escape_ascii();
            let (len, digest) = (self.bytes.len(), self.digest as u32);
            write!(f, "{head}...({len} bytes, {digest:08x})")
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_is_an_integer() {
        for text in ["0", "-1", "42", "9223372036854775807"] {
            assert_eq!(Word::from(text).integer(), text.parse().ok());
        }
        for text in ["", "-0", "+1", "007", " 1", "c1v2", "9223372036854775808"] {
            assert_eq!(Word::from(text).integer(), None, "{text}");
        }
    }

    #[test]
    fn digests_follow_the_bytes_and_their_order() {
        assert_eq!(digest(b"abc"), Word::from("abc").digest());
        assert_ne!(digest(b"abc"), digest(b"abd"));
        assert_ne!(mix(1, 2), mix(2, 1));
        assert_ne!(mix(0, 0), 0);
    }

    #[test]
    fn long_words_are_shown_short() {
        assert_eq!(Word::from("a\r\n").to_string(), "a\\r\\n");
        let shown = Word::new(&[b'x'; 65_536]).to_string();
        assert!(shown.starts_with("xxxx") && shown.contains("65536 bytes"));
    }
}
