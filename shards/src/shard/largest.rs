//! Which keys are the largest: the exact answer of a walk (MEMORY KEYS), and a list that a slow round over all tables keeps (INFO bigkeys).
//!
//! The round looks at some buckets every tenth of a second and whenever somebody asks, so it costs next to nothing, and is as old as its length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tessera_core::entry::Entry;
use tessera_core::object::Object;

use crate::shard::Shard;

/// A slot of the keyspace table.
pub const SLOT_BYTES: usize = 8;
/// Keys that the round keeps.
const KEPT: usize = 16;
/// Bytes of a name that are kept.
pub const NAME_BYTES_MAX: usize = 1024;

/// A key and its size. The order is that of sizes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BigKey {
    /// What MEMORY USAGE says.
    pub bytes: usize,
    /// Its database.
    pub db: usize,
    /// Its name, or the beginning of a long one.
    pub key: Box<[u8]>,
    /// What TYPE says.
    pub kind: &'static str,
    /// Elements of a collection, bytes of a string.
    pub elements: usize,
}

impl BigKey {
    /// The key of an entry.
    #[must_use]
    pub fn of(db: usize, entry: &Entry) -> Self {
        let string = || entry.string().map_or(0, |value| value.len());
        BigKey {
            bytes: entry.heap_bytes() + SLOT_BYTES,
            db,
            key: entry.key()[..entry.key().len().min(NAME_BYTES_MAX)].into(),
            kind: entry.object().map_or("string", Object::type_name),
            elements: entry.object().map_or_else(string, Object::len),
        }
    }
}

/// The largest of the keys that it is shown.
#[derive(Clone, Debug, Default)]
pub struct Largest {
    kept: BinaryHeap<Reverse<BigKey>>,
    count: usize,
}

impl Largest {
    /// Keeps so many.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Largest {
            kept: BinaryHeap::new(),
            count,
        }
    }

    /// Whether a key of so many bytes would be kept.
    fn wants(&self, bytes: usize) -> bool {
        self.kept.len() < self.count
            || self
                .kept
                .peek()
                .is_some_and(|Reverse(least)| bytes > least.bytes)
    }

    /// Shows it a key.
    pub fn offer(&mut self, db: usize, entry: &Entry) {
        if self.wants(entry.heap_bytes() + SLOT_BYTES) {
            self.keep(BigKey::of(db, entry));
        }
    }

    /// Keeps a key if it is large enough.
    pub fn keep(&mut self, key: BigKey) {
        if !self.wants(key.bytes) {
            return;
        }
        if self.kept.len() == self.count {
            self.kept.pop();
        }
        self.kept.push(Reverse(key));
    }

    /// The keys, largest first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<BigKey> {
        let ascending = self.kept.into_sorted_vec();
        ascending.into_iter().map(|Reverse(key)| key).collect()
    }
}

/// The round over all tables.
#[derive(Debug)]
pub(super) struct Census {
    db: usize,
    cursor: u64,
    now: Largest,
    before: Vec<BigKey>,
    rounds: u64,
}

impl Default for Census {
    fn default() -> Self {
        Census {
            db: 0,
            cursor: 0,
            now: Largest::new(KEPT),
            before: Vec::new(),
            rounds: 0,
        }
    }
}

impl Shard {
    /// Looks at some buckets of the tables for large keys.
    pub fn census_slice(&mut self, buckets: usize) {
        let Shard { dbs, census, .. } = self;
        for _ in 0..buckets {
            let (db, now) = (census.db, &mut census.now);
            let table = &dbs[db].table;
            census.cursor = if table.is_empty() {
                0
            } else {
                table.scan(census.cursor, &mut |entry| now.offer(db, entry))
            };
            if census.cursor != 0 {
                continue;
            }
            census.db += 1;
            if census.db == dbs.len() {
                census.db = 0;
                census.rounds += 1;
                let ended = std::mem::replace(&mut census.now, Largest::new(KEPT));
                census.before = ended.into_sorted();
                return;
            }
        }
    }

    /// The largest keys that the last round and this one have met and that are still there, as they are now; and how many rounds are over.
    #[must_use]
    pub fn census(&self) -> (Vec<BigKey>, u64) {
        let Census {
            now,
            before,
            rounds,
            ..
        } = &self.census;
        let met = now.kept.iter().map(|Reverse(key)| key).chain(before);
        let mut met: Vec<&BigKey> = met.collect();
        met.sort_unstable_by_key(|big| (big.db, &big.key));
        met.dedup_by_key(|big| (big.db, &big.key));
        let today = met.into_iter().filter_map(|big| {
            if big.key.len() == NAME_BYTES_MAX {
                // It may be cut: who knows.
                return Some(big.clone());
            }
            let entry = self.dbs[big.db].table.get(self.hash(&big.key), &big.key)?;
            (!self.is_due(entry)).then(|| BigKey::of(big.db, entry))
        });
        let mut keys: Vec<BigKey> = today.collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        keys.truncate(KEPT);
        (keys, *rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rig::Rig;

    #[test]
    fn only_the_largest_are_kept() {
        let mut largest = Largest::new(3);
        for bytes in [5, 9, 1, 7, 9, 3] {
            largest.keep(BigKey {
                bytes,
                db: 0,
                key: bytes.to_string().into_bytes().into(),
                kind: "string",
                elements: 1,
            });
        }
        let sizes: Vec<usize> = largest.into_sorted().iter().map(|key| key.bytes).collect();
        assert_eq!(sizes, [9, 9, 7]);
        assert!(!Largest::new(0).wants(usize::MAX));
    }

    #[test]
    fn the_round_finds_what_is_large_and_forgets_what_is_gone() {
        let mut rig = Rig::new();
        for number in 0..2_000 {
            rig.bytes(&[b"SET", format!("small:{number}").as_bytes(), b"v"]);
        }
        rig.bytes(&[b"SET", b"long", &[b'x'; 10_000]]);
        rig.db = 3;
        rig.bytes(&[b"RPUSH", b"list", &[b'y'; 5_000], &[b'z'; 5_000], b"end"]);
        assert!(rig.shard.census().0.is_empty());
        while rig.shard.census().1 < 1 {
            rig.shard.census_slice(50);
        }
        let (keys, _) = rig.shard.census();
        let shown: Vec<_> = keys[..2]
            .iter()
            .map(|key| (key.db, &*key.key, key.kind, key.elements))
            .collect();
        let list = (3, b"list".as_slice(), "list", 3);
        assert!(shown.contains(&list) && shown.contains(&(0, b"long", "string", 10_000)));
        assert!(keys[0].bytes >= keys[1].bytes && keys[1].bytes > 10_000);
        assert_eq!(keys.len(), KEPT);
        rig.check(&[("DEL list", "1")]);
        assert_eq!(&*rig.shard.census().0[0].key, b"long");
        rig.shard.flush(0);
        rig.shard.census_slice(100_000);
        assert!(rig.shard.census().0.is_empty());
    }
}
