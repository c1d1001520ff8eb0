//! The keys of a long program, as hashes: what one lock can hold for all of them (`locks`).
//!
//! Two keys with the same hash are taken for one, so that somebody may wait for a lock that is not on his key: one in 10^13 with a million keys.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use tessera_core::table::hash_key;

/// Parts, each of which grows by itself: a growth of one touches a 64th of all.
const PARTS: usize = 64;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet {
    /// By the top bits of the hash; none while there is no key.
    parts: Vec<HashSet<u64, BuildHasherDefault<Ready>>>,
}

impl KeySet {
    /// Adds a key.
    pub(super) fn insert(&mut self, key: &[u8]) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashSet::default);
        }
        let hash = hash(key);
        self.parts[part(hash)].insert(hash);
    }

    /// Whether it has a key, or one with the same hash.
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        self.parts
            .get(part(hash))
            .is_some_and(|part| part.contains(&hash))
    }
}

fn hash(key: &[u8]) -> u64 {
    hash_key(0, key)
}

fn part(hash: u64) -> usize {
    (hash >> 58) as usize
}

/// A hasher of what is a hash already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not called for a u64; any function of the bytes is a hash.
        self.0 = hash_key(self.0, bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        // The map takes its tag from the top bits, which are the same within a part.
        self.0 = hash.rotate_left(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_there() {
        let mut set = KeySet::default();
        assert!(!set.contains(b"k1"));
        for number in (0..10_000).step_by(2) {
            set.insert(format!("k{number}").as_bytes());
        }
        for number in 0..10_000 {
            let key = format!("k{number}");
            assert_eq!(set.contains(key.as_bytes()), number % 2 == 0, "{key}");
        }
    }
}
