//! Whole databases: emptied, exchanged, walked, and freed in slices afterwards.
//!
//! A walk belongs to a table, not to a number: SWAPDB takes it along, and FLUSHALL leaves it with the detached table, which
//! shows the walk every bucket before it frees it. So each table has an identity by which a walk finds it again.

use std::rc::{Rc, Weak};

use tessera_core::entry::Entry;
use tessera_core::object::Object;
use tessera_core::table::{DropSlices, Table, WalkId, WalkSink};

use crate::shard::Shard;

/// One database.
pub(crate) struct Database {
    pub(crate) table: Table,
    pub(super) identity: u64,
}

impl Database {
    pub(super) fn new(hash_seed: u64, identity: u64) -> Self {
        Database {
            table: Table::new(hash_seed),
            identity,
        }
    }
}

/// A detached table that is freed a slice per turn.
struct Garbage {
    slices: DropSlices,
    identity: u64,
}

/// A walk under way, as its owner holds it: the walk ends when this is dropped.
#[derive(Debug)]
pub struct Walk {
    identity: u64,
    id: WalkId,
    alive: Rc<()>,
}

/// What the shard keeps besides the databases themselves.
#[derive(Default)]
pub(super) struct Detached {
    garbage: Vec<Garbage>,
    /// Entries whose collections are too large to be freed at once.
    collections: Vec<Entry>,
    /// Walks whose owners may go away before they end.
    walks: Vec<(u64, WalkId, Weak<()>)>,
    last_identity: u64,
}

impl Detached {
    /// Tables go from shard to shard, so no two of a node have the same identity.
    pub(super) fn of_shard(id: usize) -> Self {
        Self {
            last_identity: (id as u64) << 48,
            ..Self::default()
        }
    }

    pub(super) fn next_identity(&mut self) -> u64 {
        self.last_identity += 1;
        self.last_identity
    }

    pub(super) fn mem_bytes(&self) -> usize {
        self.garbage
            .iter()
            .map(|garbage| garbage.slices.mem_bytes())
            .chain(self.collections.iter().map(Entry::heap_bytes))
            .sum()
    }
}

/// A collection of at most this many elements is freed at once.
const FREED_AT_ONCE: usize = 256;
/// Elements of a collection freed per slice.
const ELEMENTS_PER_SLICE: usize = 2048;
/// Table segments freed per slice: a few thousand entries.
const GARBAGE_SEGMENTS_PER_SLICE: usize = 8;

impl Shard {
    /// Empties a database in O(1); the memory is given back in slices. Returns how many keys it had.
    pub fn flush(&mut self, db: usize) -> usize {
        self.touch_database(db, None);
        // Who waits for a group's stream is told that it is gone.
        self.note_all_ready(db);
        let database = &mut self.dbs[db];
        let table = database.table.take();
        let keys = table.len();
        let identity = std::mem::replace(&mut database.identity, self.detached.next_identity());
        self.stats.changes += keys as u64;
        self.detached.garbage.push(Garbage {
            slices: DropSlices::new(table),
            identity,
        });
        keys
    }

    /// Exchanges two databases in O(1).
    pub fn swap(&mut self, a: usize, b: usize) {
        self.touch_database(a, Some(b));
        self.touch_database(b, Some(a));
        self.dbs.swap(a, b);
        self.note_all_ready(a);
        self.note_all_ready(b);
        self.stats.changes += 1;
    }

    /// Whether `collect_garbage` has something to do.
    #[must_use]
    pub fn has_garbage(&self) -> bool {
        // A walk that somebody waits for is nothing to do: a shard would not sleep while a save waits for the disk.
        let mut walks = self.detached.walks.iter();
        !self.detached.garbage.is_empty()
            || !self.detached.collections.is_empty()
            || walks.any(|(.., alive)| alive.strong_count() == 0)
    }

    /// Frees an entry that is in no table any more, at once or, if its collection is large, in slices.
    #[inline]
    pub fn discard(&mut self, entry: Entry) {
        if entry
            .object()
            .is_some_and(|object| object.weight() > FREED_AT_ONCE)
        {
            self.detached.collections.push(entry);
        }
    }

    /// Frees a collection that is under no key any more, at once or, if it is large, in slices.
    pub fn discard_object(&mut self, object: Object) {
        if object.weight() > FREED_AT_ONCE {
            self.discard(Entry::with_object(b"", object, None));
        }
    }

    /// Frees a slice of what `flush` detached and ends walks that nobody waits for any more; once per turn. Returns whether there is more.
    pub fn collect_garbage(&mut self) -> bool {
        if let Some(first) = self.detached.garbage.last_mut()
            && first.slices.free_some(GARBAGE_SEGMENTS_PER_SLICE)
        {
            self.detached.garbage.pop();
        }
        if let Some(last) = self.detached.collections.last_mut()
            && last
                .object_mut()
                .is_none_or(|object| object.free_some(ELEMENTS_PER_SLICE))
        {
            self.detached.collections.pop();
        }
        if !self.detached.walks.is_empty() {
            self.end_abandoned_walks();
        }
        !self.detached.garbage.is_empty() || !self.detached.collections.is_empty()
    }

    /// Begins a walk: `sink` will see the database exactly as it is now. O(1).
    pub fn begin_walk(&mut self, db: usize, sink: Box<dyn WalkSink>) -> Walk {
        let Database { table, identity } = &mut self.dbs[db];
        let walk = Walk {
            identity: *identity,
            id: table.begin_walk(sink),
            alive: Rc::new(()),
        };
        self.detached
            .walks
            .push((walk.identity, walk.id, Rc::downgrade(&walk.alive)));
        walk
    }

    /// Goes on with a walk for at most this many buckets. Returns whether it is done.
    pub fn step_walk(&mut self, walk: &Walk, buckets: usize) -> bool {
        let done = match self.table_of(walk.identity) {
            Some(table) => table.step_walk(walk.id, buckets),
            None => self.free_walked(walk.identity),
        };
        if done {
            self.detached
                .walks
                .retain(|(identity, id, _)| (*identity, *id) != (walk.identity, walk.id));
        }
        done
    }

    /// The same with a sink that goes wherever the table goes.
    pub(super) fn begin_free_walk(&mut self, db: usize, sink: Box<dyn WalkSink + Send>) -> Walk {
        let Database { table, identity } = &mut self.dbs[db];
        let walk = Walk {
            identity: *identity,
            id: table.begin_free_walk(sink),
            alive: Rc::new(()),
        };
        self.detached
            .walks
            .push((walk.identity, walk.id, Rc::downgrade(&walk.alive)));
        walk
    }

    /// Goes on with a walk if its table is at hand, or what FLUSHALL has left of it. Returns whether it is.
    pub(super) fn step_free_walk(&mut self, walk: &Walk, buckets: usize) -> bool {
        let identity = walk.identity;
        let is_garbage = |garbage: &Garbage| garbage.identity == identity;
        let is_here = self
            .table_of(identity)
            .is_some_and(|table| table.is_walking(walk.id))
            || self.detached.garbage.iter().any(is_garbage);
        if is_here {
            self.step_walk(walk, buckets);
        }
        is_here
    }

    /// Whether a walk has still to give this key, and would do so in pieces.
    pub(super) fn is_walk_owed(&self, walk: &Walk, hash: u64, key: &[u8]) -> bool {
        let mut dbs = self.dbs.iter();
        let database = dbs.find(|database| database.identity == walk.identity);
        database.is_some_and(|database| database.table.is_owed(walk.id, hash, key))
    }

    /// Makes a walk give this key before others.
    pub(super) fn hasten_walk(&mut self, walk: &Walk, hash: u64, key: &[u8]) {
        if let Some(table) = self.table_of(walk.identity) {
            table.hasten(walk.id, hash, key);
        }
    }

    fn table_of(&mut self, identity: u64) -> Option<&mut Table> {
        self.dbs
            .iter_mut()
            .find(|database| database.identity == identity)
            .map(|database| &mut database.table)
    }

    /// Frees a slice of a detached table that is still walked. Returns whether it is gone, and its walks done.
    fn free_walked(&mut self, identity: u64) -> bool {
        let garbage = &mut self.detached.garbage;
        let Some(place) = garbage
            .iter()
            .position(|garbage| garbage.identity == identity)
        else {
            return true;
        };
        let gone = garbage[place].slices.free_some(GARBAGE_SEGMENTS_PER_SLICE);
        if gone {
            garbage.remove(place);
        }
        gone
    }

    fn end_abandoned_walks(&mut self) {
        let mut walks = std::mem::take(&mut self.detached.walks);
        walks.retain(|(identity, id, alive)| {
            let abandoned = alive.strong_count() == 0;
            if abandoned && let Some(table) = self.table_of(*identity) {
                table.end_walk(*id);
            }
            !abandoned
        });
        self.detached.walks = walks;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tessera_core::entry::{Entry, StrValue};
    use tessera_core::table::ExpireChange;

    use super::*;

    fn filled(keys: usize) -> Shard {
        let mut shard = Shard::new(0, 4, 1, 1);
        for i in 0..keys {
            shard
                .set(
                    0,
                    format!("k:{i}").as_bytes(),
                    StrValue::Int(1),
                    ExpireChange::Clear,
                )
                .unwrap();
        }
        shard
    }

    /// A walk of database 0 and the number of entries it has seen.
    fn counting(shard: &mut Shard) -> (Walk, Rc<Cell<usize>>) {
        let count = Rc::new(Cell::new(0));
        let seen = Rc::clone(&count);
        let walk = shard.begin_walk(0, Box::new(move |_: &Entry| seen.set(seen.get() + 1)));
        (walk, count)
    }

    #[test]
    fn flush_is_immediate_and_frees_in_slices() {
        let mut shard = filled(30_000);
        let full = shard.mem_bytes();
        assert_eq!(shard.flush(0), 30_000);
        assert_eq!((shard.table(0).len(), shard.flush(0)), (0, 0));
        assert!(shard.mem_bytes() > full / 2, "not freed yet");
        let mut slices = 0;
        while shard.collect_garbage() {
            slices += 1;
        }
        assert!(slices > 5);
        assert_eq!(shard.mem_bytes(), 0);
    }

    #[test]
    fn walks_follow_their_table() {
        let mut shard = filled(10_000);
        let (walk, count) = counting(&mut shard);
        let (other, others) = counting(&mut shard);
        assert!(!shard.step_walk(&walk, 10));
        shard.swap(0, 2);
        while !shard.step_walk(&walk, 100) {}
        assert_eq!(count.get(), 10_000);
        shard.flush(2);
        shard.swap(2, 0);
        while !shard.step_walk(&other, 100) {}
        assert_eq!(others.get(), 10_000);
        assert!(shard.step_walk(&walk, 1), "done stays done");
        assert!(shard.detached.walks.is_empty());
    }

    #[test]
    fn a_walk_that_nobody_waits_for_ends() {
        let mut shard = filled(1_000);
        let (walk, _) = counting(&mut shard);
        let (kept, count) = counting(&mut shard);
        assert!(!shard.has_garbage(), "both are waited for");
        drop(walk);
        assert!(shard.has_garbage());
        assert_eq!(shard.table(0).walks(), 2);
        shard.collect_garbage();
        assert_eq!(shard.table(0).walks(), 1);
        while !shard.step_walk(&kept, 100) {}
        assert_eq!(count.get(), 1_000);
    }
}
