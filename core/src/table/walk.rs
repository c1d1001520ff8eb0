//! Walks: the table as it was at one moment, without a copy.
//!
//! Owns the active walks and the write-before-change hook. A walk begins at a version v, one more than any before it.
//!
//! Invariant: for every active walk w and every home bucket b, w has been given b's entries, but for those that it owes, exactly if
//! `version(b) >= w.version`; and b has not changed between w's begin and that moment. An owed entry is as it was at w's begin.
//!
//! It holds because (1) at the begin no bucket has so high a version; (2) whoever is about to change a home bucket's
//! set of entries, or one of them, calls `before_change`, which gives the bucket to every walk that is newer than the
//! bucket and then sets its version to the newest version of all, so that several walks need one version per bucket;
//! (3) a step does the same for the bucket it stands at; (4) a split gives both children the parent's version, and
//! they partition its entries; (5) moves between buckets change no home bucket's set; (6) nothing is merged while a
//! walk is active. An entry that is large for its sink becomes owed when its bucket is given, unless it is the very one that is about to
//! change; steps give it in pieces, and `before_change` with its hash gives the rest at once. A step goes segment by segment and skips what has the walk's version already. Called by the
//! table's mutations and by KEYS and snapshots.

use super::drop_slices::DropSlices;
use super::hash::{DEPTH_MAX, KeyHash, home_of, prefix_after};
use super::keyspace::{Found, Table, find};
use super::overflow::Overflow;
use super::scan::each_of_home;
use super::segment::{HOME_COUNT, OwnedSegment, Segment};
use crate::entry::Entry;

/// Takes what a walk finds.
pub trait WalkSink {
    /// An entry as it was when the walk began, in no particular order, once each. Called from within changes of the
    /// table, so it has to be quick, and it cannot reach the table.
    fn entry(&mut self, entry: &Entry);

    /// Whether giving this entry at once would take too long: then it is owed, and `large` is called for it until it says that the
    /// entry has been given. Whoever is about to change an owed entry gives it first, at once.
    fn is_large(&self, _: &Entry) -> bool {
        false
    }

    /// A piece of a large entry, which is as it was when the walk began. Says whether it was the last one.
    fn large(&mut self, entry: &Entry) -> bool {
        self.entry(entry);
        true
    }

    /// Everything has been given. Called once, unless the walk is abandoned.
    fn finish(&mut self) {}
}

impl<F: FnMut(&Entry)> WalkSink for F {
    fn entry(&mut self, entry: &Entry) {
        self(entry);
    }
}

/// Names a walk of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkId(u32);

struct Walk {
    version: u32,
    /// Where the next step goes on: hash prefix and home bucket.
    prefix: u64,
    home: usize,
    /// Large entries of buckets that have been given but for these.
    owed: Vec<Owed>,
    sink: Sink,
}

/// An entry that a walk has still to give.
struct Owed {
    hash: u64,
    key: Box<[u8]>,
    has_begun: bool,
}

/// What is about to change in a bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Nothing: a walk has come there.
    Nothing,
    /// The key with this hash, or one that is not there yet.
    Key(u64),
    /// All of it goes.
    All,
}

impl Change {
    fn concerns(self, hash: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Key(changed) => changed == hash,
            Self::All => true,
        }
    }
}

/// Whose thread a sink needs.
enum Sink {
    /// That on which the walk began.
    Bound(Box<dyn WalkSink>),
    /// Any.
    Free(Box<dyn WalkSink + Send>),
}

impl Sink {
    fn entry(&mut self, entry: &Entry) {
        match self {
            Self::Bound(sink) => sink.entry(entry),
            Self::Free(sink) => sink.entry(entry),
        }
    }

    fn is_large(&self, entry: &Entry) -> bool {
        match self {
            Self::Bound(sink) => sink.is_large(entry),
            Self::Free(sink) => sink.is_large(entry),
        }
    }

    fn large(&mut self, entry: &Entry) -> bool {
        match self {
            Self::Bound(sink) => sink.large(entry),
            Self::Free(sink) => sink.large(entry),
        }
    }

    fn finish(&mut self) {
        match self {
            Self::Bound(sink) => sink.finish(),
            Self::Free(sink) => sink.finish(),
        }
    }
}

/// The walks of one table.
pub(super) struct Walks {
    /// The version of the newest active walk; 0 if there is none. What the hot path compares with.
    newest: u32,
    /// The version of the newest walk ever.
    version: u32,
    /// Whether any walk owes an entry.
    owes: bool,
    active: Vec<Walk>,
}

impl Walks {
    pub(super) const fn new() -> Self {
        Self {
            newest: 0,
            version: 0,
            owes: false,
            active: Vec::new(),
        }
    }

    /// The walks for a table that takes the place of this one: none, but ids go on.
    pub(super) fn successor(&self) -> Self {
        Self {
            version: self.version,
            ..Self::new()
        }
    }

    /// Whether any walk is active.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.newest != 0
    }

    /// Must be called before the entries of a home bucket, or one of them, change; `hash` is that of the key. Two compares if no walk is
    /// active.
    #[inline]
    pub(super) fn before_change(
        &mut self,
        segment: &mut Segment,
        overflow: &Overflow,
        keys: KeyHash,
        hash: u64,
        home: usize,
    ) {
        if segment.version(home) < self.newest || self.owes {
            self.before(segment, overflow, keys, hash, home, Change::Key(hash));
        }
    }

    #[cold]
    #[inline(never)]
    fn before(
        &mut self,
        segment: &mut Segment,
        overflow: &Overflow,
        keys: KeyHash,
        hash: u64,
        home: usize,
        change: Change,
    ) {
        let version = segment.version(home);
        if version < self.newest {
            for walk in self.active.iter_mut().filter(|walk| walk.version > version) {
                each_of_home(segment, overflow, hash, home, &mut |entry| {
                    walk.give_or_owe(entry, keys, change)
                });
            }
            segment.set_version(home, self.version);
        }
        if self.owes && change != Change::Nothing {
            each_of_home(segment, overflow, hash, home, &mut |entry| {
                if change.concerns(keys.of(entry.key())) {
                    self.active.iter_mut().for_each(|walk| walk.settle(entry));
                }
            });
        }
        self.owes = self.active.iter().any(|walk| !walk.owed.is_empty());
    }

    /// Shows all home buckets of a segment that is about to be dropped.
    pub(super) fn before_drop(
        &mut self,
        segment: &mut OwnedSegment,
        overflow: &Overflow,
        keys: KeyHash,
        hash: u64,
    ) {
        if self.any() {
            for home in 0..HOME_COUNT {
                self.before(segment.as_mut(), overflow, keys, hash, home, Change::All);
            }
        }
    }

    /// Ends all walks of a table that has been dropped to the last entry.
    pub(super) fn finish_all(&mut self) {
        self.newest = 0;
        self.owes = false;
        self.active
            .drain(..)
            .for_each(|mut walk| walk.sink.finish());
    }

    #[cfg(test)]
    pub(super) fn skip_versions(&mut self, version: u32) {
        self.version = version;
    }

    fn remove(&mut self, index: usize) -> Walk {
        let walk = self.active.remove(index);
        self.owes = self.active.iter().any(|walk| !walk.owed.is_empty());
        self.newest = self.active.last().map_or(0, |walk| walk.version);
        walk
    }
}

impl Walk {
    /// Gives an entry of a bucket at which the walk is, or in which this is about to change.
    fn give_or_owe(&mut self, entry: &Entry, keys: KeyHash, change: Change) {
        if !self.sink.is_large(entry) {
            return self.sink.entry(entry);
        }
        let hash = keys.of(entry.key());
        if change.concerns(hash) {
            return self.sink.entry(entry);
        }
        self.owed.push(Owed {
            hash,
            key: entry.key().into(),
            has_begun: false,
        });
    }

    /// Gives at once what it owes of an entry that is about to change.
    fn settle(&mut self, entry: &Entry) {
        let is_it = |owed: &Owed| *owed.key == *entry.key();
        let Some(at) = self.owed.iter().position(is_it) else {
            return;
        };
        if self.owed.remove(at).has_begun {
            while !self.sink.large(entry) {}
        } else {
            self.sink.entry(entry);
        }
    }
}

impl Table {
    /// Begins a walk: `sink` will be given exactly the entries (key, value, expiry) that the table has now. O(1), but
    /// once in 2^32 walks O(table).
    pub fn begin_walk(&mut self, sink: Box<dyn WalkSink>) -> WalkId {
        self.begin(Sink::Bound(sink))
    }

    /// The same with a sink that goes wherever the table goes.
    pub fn begin_free_walk(&mut self, sink: Box<dyn WalkSink + Send>) -> WalkId {
        self.begin(Sink::Free(sink))
    }

    fn begin(&mut self, sink: Sink) -> WalkId {
        if self.walks.version == u32::MAX {
            self.restart_versions();
        }
        self.walks.version += 1;
        let version = self.walks.version;
        self.walks.newest = version;
        self.walks.active.push(Walk {
            version,
            prefix: 0,
            home: 0,
            owed: Vec::new(),
            sink,
        });
        WalkId(version)
    }

    /// Goes on with a walk for at most `budget` home buckets, or by a piece of a large entry, and says whether it is done. A walk that is
    /// done is forgotten; an unknown one counts as done.
    pub fn step_walk(&mut self, id: WalkId, budget: usize) -> bool {
        let Some(index) = self
            .walks
            .active
            .iter()
            .position(|walk| walk.version == id.0)
        else {
            return true;
        };
        if self.step_owed(index) {
            return false;
        }
        let keys = self.key_hash();
        let Walk {
            mut prefix,
            mut home,
            ..
        } = self.walks.active[index];
        for _ in 0..budget {
            let hash = prefix << 32;
            let Some(segment) = self
                .directory
                .segment_mut(hash)
                .filter(|_| prefix >> DEPTH_MAX == 0)
            else {
                if self.walks.active[index].owed.is_empty() {
                    self.walks.remove(index).sink.finish();
                    return true;
                }
                break;
            };
            if segment.version(home) < id.0 {
                let overflow = &self.overflow;
                self.walks
                    .before(segment, overflow, keys, hash, home, Change::Nothing);
            }
            home += 1;
            if home == HOME_COUNT {
                home = 0;
                prefix = prefix_after(prefix as u32, segment.depth());
            }
        }
        let walk = &mut self.walks.active[index];
        (walk.prefix, walk.home) = (prefix, home);
        false
    }

    /// Gives a piece of the first entry that a walk owes. Says whether there was one.
    fn step_owed(&mut self, index: usize) -> bool {
        let Some(owed) = self.walks.active[index].owed.first() else {
            return false;
        };
        let (hash, key) = (owed.hash, owed.key.clone());
        let segment = self.directory.segment(hash);
        let entry = segment.and_then(|segment| match find(segment, &self.overflow, hash, &key)? {
            Found::Segment(place) => segment.slot(place).entry(),
            Found::Overflow(index) => self.overflow.slot(index).entry(),
        });
        let walk = &mut self.walks.active[index];
        walk.owed[0].has_begun = true;
        // One that is gone has been given before.
        if entry.is_none_or(|entry| walk.sink.large(entry)) {
            walk.owed.remove(0);
            self.walks.owes = self.walks.active.iter().any(|walk| !walk.owed.is_empty());
        }
        true
    }

    /// Whether a walk has still to give this key, which is there, and would do so in pieces.
    #[must_use]
    pub fn is_owed(&self, id: WalkId, hash: u64, key: &[u8]) -> bool {
        let Some(walk) = self.walks.active.iter().find(|walk| walk.version == id.0) else {
            return false;
        };
        let Some(segment) = self.directory.segment(hash) else {
            return false;
        };
        if segment.version(home_of(hash)) < id.0 {
            self.get(hash, key)
                .is_some_and(|entry| walk.sink.is_large(entry))
        } else {
            walk.owed.iter().any(|owed| *owed.key == *key)
        }
    }

    /// Makes a walk give this key next, as soon as the one that it has begun is given.
    pub fn hasten(&mut self, id: WalkId, hash: u64, key: &[u8]) {
        let (keys, home) = (self.key_hash(), home_of(hash));
        let Some(segment) = self.directory.segment_mut(hash) else {
            return;
        };
        if segment.version(home) < self.walks.newest {
            let overflow = &self.overflow;
            self.walks
                .before(segment, overflow, keys, hash, home, Change::Nothing);
        }
        let Some(walk) = self
            .walks
            .active
            .iter_mut()
            .find(|walk| walk.version == id.0)
        else {
            return;
        };
        if let Some(at) = walk.owed.iter().position(|owed| *owed.key == *key) {
            let to = usize::from(walk.owed[0].has_begun && at > 0);
            let owed = walk.owed.remove(at);
            walk.owed.insert(to, owed);
        }
    }

    /// Abandons a walk; its sink is dropped without `finish`.
    pub fn end_walk(&mut self, id: WalkId) {
        if let Some(index) = self
            .walks
            .active
            .iter()
            .position(|walk| walk.version == id.0)
        {
            self.walks.remove(index);
        }
    }

    /// Number of active walks.
    #[must_use]
    pub fn walks(&self) -> usize {
        self.walks.active.len()
    }

    /// Whether this walk is under way in this table.
    #[must_use]
    pub fn is_walking(&self, id: WalkId) -> bool {
        self.walks.active.iter().any(|walk| walk.version == id.0)
    }

    /// Whether there is a walk whose sink needs this thread.
    pub(super) fn is_bound(&self) -> bool {
        let mut walks = self.walks.active.iter();
        walks.any(|walk| matches!(walk.sink, Sink::Bound(_)))
    }

    /// Completes all walks and sets all versions back to 0.
    #[cold]
    fn restart_versions(&mut self) {
        while let Some(walk) = self.walks.active.last() {
            let id = WalkId(walk.version);
            while !self.step_walk(id, usize::MAX) {}
        }
        let mut prefix = 0;
        while let Some(segment) = self
            .directory
            .segment_mut(prefix << 32)
            .filter(|_| prefix >> DEPTH_MAX == 0)
        {
            (0..HOME_COUNT).for_each(|home| segment.set_version(home, 0));
            prefix = prefix_after(prefix as u32, segment.depth());
        }
        self.walks.version = 0;
    }
}

impl From<Table> for DropSlices {
    fn from(table: Table) -> Self {
        Self::new(table)
    }
}
