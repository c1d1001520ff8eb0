//! WATCH: which clients want to know whether a key changes.
//!
//! A watcher is known by its client's id, on every shard that owns one of its keys. `Shard::changed` tells of every change, whoever made it; with nobody
//! watching that costs one look at a length.

use std::collections::{HashMap, HashSet};

use super::Shard;

/// The watched keys of one shard.
#[derive(Default)]
pub(super) struct Watches {
    /// Who watches a key of a database.
    keys: HashMap<(usize, Box<[u8]>), Vec<u64>>,
    /// What each watches, and whether one of these was touched.
    watchers: HashMap<u64, Watcher>,
}

#[derive(Default)]
struct Watcher {
    keys: HashSet<(usize, Box<[u8]>)>,
    is_touched: bool,
}

impl Watches {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn touch(&mut self, place: &(usize, Box<[u8]>)) {
        for watcher in self.keys.get(place).into_iter().flatten() {
            if let Some(watcher) = self.watchers.get_mut(watcher) {
                watcher.is_touched = true;
            }
        }
    }
}

impl Shard {
    /// Client `watcher` wants to know whether this key changes from now on.
    pub fn watch(&mut self, db: usize, key: &[u8], watcher: u64) {
        // One whose time has come is absent from now on, and no news later.
        self.exists(db, key);
        let place: (usize, Box<[u8]>) = (db, key.into());
        let known = self.watches.watchers.entry(watcher).or_default();
        if known.keys.insert(place.clone()) {
            self.watches.keys.entry(place).or_default().push(watcher);
        }
    }

    /// Forgets what a client watches.
    pub fn unwatch(&mut self, watcher: u64) {
        let Some(known) = self.watches.watchers.remove(&watcher) else {
            return;
        };
        for place in known.keys {
            if let Some(watchers) = self.watches.keys.get_mut(&place) {
                watchers.retain(|other| *other != watcher);
                if watchers.is_empty() {
                    self.watches.keys.remove(&place);
                }
            }
        }
    }

    /// Whether a key that the client watches has changed or expired. `watched` are all of its keys; those of other shards are known there.
    pub fn is_touched(&mut self, watcher: u64, watched: &[(usize, Box<[u8]>)]) -> bool {
        for (db, key) in watched {
            self.exists(*db, key);
        }
        let known = self.watches.watchers.get(&watcher);
        known.is_some_and(|known| known.is_touched)
    }

    /// The same, for the end of its watching: nobody who comes later, such as the end of its connection, can take back what it has been told.
    pub fn end_watch(&mut self, watcher: u64, watched: &[(usize, Box<[u8]>)]) -> bool {
        let is_touched = self.is_touched(watcher, watched);
        self.unwatch(watcher);
        is_touched
    }

    /// Tells the watchers of a key.
    #[cold]
    pub(super) fn touch(&mut self, db: usize, key: &[u8]) {
        self.watches.touch(&(db, key.into()));
    }

    /// Tells the watchers of all keys of a database that are there, in it or in the one that takes its place.
    pub(super) fn touch_database(&mut self, db: usize, other: Option<usize>) {
        if self.watches.is_empty() {
            return;
        }
        let is_there = |db: usize, key: &[u8]| {
            let table = self.table(db);
            table.contains(table.hash(key), key)
        };
        let touched: Vec<(usize, Box<[u8]>)> = self
            .watches
            .keys
            .keys()
            .filter(|(at, key)| {
                *at == db && (is_there(db, key) || other.is_some_and(|other| is_there(other, key)))
            })
            .cloned()
            .collect();
        touched.iter().for_each(|place| self.watches.touch(place));
    }

    /// The watched keys, with their databases.
    pub(super) fn watched_places(&self) -> impl Iterator<Item = &(usize, Box<[u8]>)> {
        self.watches.keys.keys()
    }

    /// Number of watched keys.
    #[must_use]
    pub fn watched_keys(&self) -> usize {
        self.watches.keys.len()
    }

    /// Number of clients that watch keys of this shard.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.watches.watchers.len()
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    fn shard() -> Shard {
        let mut shard = Shard::new(0, 4, 1, 1);
        shard.now_ms = 1_000;
        shard
    }

    fn set(shard: &mut Shard, db: usize, key: &[u8], expire: ExpireChange) {
        shard
            .set(db, key, StrValue::Int(1), expire)
            .expect("an integer needs no buffer");
    }

    type Change = fn(&mut Shard);

    #[test]
    fn every_way_of_changing_a_key_is_noticed() {
        let changes: [(&str, Change); 6] = [
            ("set", |shard| set(shard, 0, b"k", ExpireChange::Clear)),
            ("remove", |shard| _ = shard.remove(0, b"k")),
            ("flush", |shard| _ = shard.flush(0)),
            ("swap", |shard| shard.swap(2, 0)),
            ("expiry", |shard| shard.now_ms = 1_101),
            ("swap into an empty one", |shard| shard.swap(0, 3)),
        ];
        for (name, change) in changes {
            let mut shard = shard();
            set(&mut shard, 0, b"k", ExpireChange::At(1_100));
            let watched = [(0, Box::from(&b"k"[..]))];
            shard.watch(0, b"k", 7);
            shard.watch(0, b"k", 7);
            assert!(!shard.is_touched(7, &watched), "{name}");
            change(&mut shard);
            assert!(shard.end_watch(7, &watched), "{name}");
            assert!(!shard.is_touched(7, &watched), "{name}");
            assert_eq!((shard.watched_keys(), shard.watchers()), (0, 0), "{name}");
        }
    }

    #[test]
    fn what_concerns_others_is_not() {
        let mut shard = shard();
        set(&mut shard, 0, b"due", ExpireChange::At(999));
        let watched = [(0, Box::from(&b"k"[..])), (0, Box::from(&b"due"[..]))];
        shard.watch(0, b"k", 7);
        shard.watch(0, b"due", 7);
        set(&mut shard, 1, b"k", ExpireChange::Clear);
        set(&mut shard, 0, b"j", ExpireChange::Clear);
        shard.swap(1, 2);
        shard.flush(0);
        assert!(
            !shard.is_touched(7, &watched),
            "it was absent, and expired, before"
        );
    }
}
