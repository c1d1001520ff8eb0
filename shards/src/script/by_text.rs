//! `ByText`: how scripts are found by their texts and names, which are long for the usual hash of a map.
//!
//! It is not secret: whoever can send scripts can do worse than to make a thousand of them fall into one place.

use std::hash::{BuildHasher, Hasher};

use tessera_core::table::hash_key;

/// See the head of this file.
#[derive(Clone, Copy, Default)]
pub(super) struct ByText;

/// The hash of one text: what maps add to it, its length or an end, is left out.
#[derive(Default)]
pub(super) struct TextHash(u64);

impl BuildHasher for ByText {
    type Hasher = TextHash;

    fn build_hasher(&self) -> TextHash {
        TextHash::default()
    }
}

impl Hasher for TextHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_key(self.0, bytes);
    }

    fn write_u8(&mut self, _: u8) {}

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_hashed_whole() {
        let hash = |text: &[u8]| ByText.hash_one(text);
        assert_eq!(hash(b"return 1"), hash(b"return 1"));
        assert_ne!(hash(b"return 1"), hash(b"return 2"));
        assert_ne!(ByText.hash_one("a"), ByText.hash_one("b"));
        assert_eq!(ByText.hash_one("a"), hash(b"a"));
    }
}
