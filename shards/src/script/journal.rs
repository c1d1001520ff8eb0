//! What keys held before a script changed them, so that it can be taken back and run again.

use std::collections::HashSet;

use tessera_core::entry::Entry;

use crate::mesh::KeyPlace;
use crate::shard::Shard;

/// Bytes of a value above which it is not copied: the script runs where nothing has to be taken back.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// See the head of this file.
#[derive(Default)]
pub(super) struct Journal {
    before: Vec<(KeyPlace, Option<Entry>)>,
    known: HashSet<KeyPlace>,
}

impl Journal {
    /// Notes a key that is about to be changed. Says no if its value is too large to be copied.
    pub(super) fn note(&mut self, shard: &Shard, db: usize, key: &[u8]) -> bool {
        let is_known = if self.known.is_empty() {
            let is_this = |(place, _): &(KeyPlace, _)| place.0 == db && *place.1 == *key;
            self.before.iter().any(is_this)
        } else {
            self.known.contains(&(db, key.into()))
        };
        if is_known {
            return true;
        }
        let entry = shard.table(db).get(shard.hash(key), key);
        if entry.is_some_and(|entry| entry.heap_bytes() > COPIED_BYTES_MAX) {
            return false;
        }
        let place: KeyPlace = (db, key.into());
        const LISTED_MAX: usize = 8;
        if self.before.len() == LISTED_MAX {
            self.known = self.before.iter().map(|(place, _)| place.clone()).collect();
        }
        if self.before.len() >= LISTED_MAX {
            self.known.insert(place.clone());
        }
        self.before.push((place, entry.cloned()));
        true
    }

    /// Puts everything back.
    pub(super) fn undo(&mut self, shard: &mut Shard) {
        self.known.clear();
        for ((db, key), entry) in self.before.drain(..).rev() {
            if let Some(now) = shard.take_unseen(db, &key) {
                shard.discard(now);
            }
            if let Some(entry) = entry {
                shard.insert(db, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rig::Rig;

    #[test]
    fn everything_comes_back() {
        let mut rig = Rig::new();
        let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
        for key in &keys {
            rig.run(&format!("SET {key} before EX 100"));
        }
        rig.run("RPUSH list a b c");
        let mut journal = Journal::default();
        for key in keys.iter().map(String::as_str).chain(["list", "new"]) {
            assert!(journal.note(&rig.shard, 0, key.as_bytes()));
            rig.run(&format!("DEL {key}"));
            rig.run(&format!("RPUSH {key} x"));
            assert!(journal.note(&rig.shard, 0, key.as_bytes()), "noted once");
        }
        journal.undo(&mut rig.shard);
        for key in &keys {
            assert_eq!(rig.run(&format!("GET {key}")), "\"before\"");
            assert_eq!(rig.run(&format!("TTL {key}")), "100");
        }
        rig.check(&[
            ("LRANGE list 0 -1", "[\"a\" \"b\" \"c\"]"),
            ("EXISTS new", "0"),
        ]);
    }

    #[test]
    fn large_values_are_not_copied() {
        let mut rig = Rig::new();
        rig.run("SETRANGE large 100000 x");
        assert!(!Journal::default().note(&rig.shard, 0, b"large"));
    }
}
