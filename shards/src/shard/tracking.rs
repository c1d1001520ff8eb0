//! CLIENT TRACKING on the side of the keys: who has read a key of this shard, and who must hear that it has changed.
//!
//! A read is noted by the owner in the same uninterrupted step in which it is made, and a change looks here in the step in which it happens; so no change
//! gets lost between the two. With nobody tracking, the table is empty and a change pays one branch for all who could listen. Keys are known by name
//! alone, as in Redis: the same key of another database counts too. The front end fetches what has become stale before any reply of the same commands
//! leaves the shard.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use super::Shard;

/// A client that tracks keys, as its requests carry it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracker {
    /// CLIENT ID.
    pub id: u64,
    /// The shard of its connection.
    pub shard: usize,
    /// Whether what it reads is noted.
    pub reads: bool,
    /// Whether it does not want to hear of its own changes.
    pub skips_own: bool,
}

/// Keys that a command has read on another shard, for their owner to note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// Who ran the command.
    pub tracker: Tracker,
    /// What it has read.
    pub keys: Vec<Box<[u8]>>,
}

/// What clients must forget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stale {
    /// A key that a client has read.
    Read {
        /// The shard of its connection.
        shard: usize,
        /// The client.
        client: u64,
        /// The key.
        key: Box<[u8]>,
    },
    /// A key that somebody may hear of who follows prefixes.
    Prefix {
        /// The key.
        key: Box<[u8]>,
        /// The client that has changed it and does not want to hear of it.
        skips: Option<u64>,
    },
    /// All keys of this shard.
    All,
}

/// A client that has read a key.
type Reader = (usize, u64);

/// See the head of this file.
#[derive(Default)]
pub(super) struct Tracking {
    readers: HashMap<Box<[u8]>, SmallVec<[Reader; 2]>>,
    /// Clients over all keys.
    items: usize,
    /// Prefixes that clients follow, and how many of each shard do.
    prefixes: BTreeMap<Box<[u8]>, Vec<u32>>,
    /// How many clients of the node track.
    clients: usize,
    /// Who runs the current command, if it tracks.
    by: Option<Tracker>,
    /// What its script has read, until the keys' owners have noted it.
    script_reads: Vec<Box<[u8]>>,
    stale: Vec<Stale>,
}

impl Tracking {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.clients > 0
    }
}

impl Shard {
    /// Whose command runs now.
    #[inline]
    pub(crate) fn run_for(&mut self, tracker: Option<Tracker>) {
        self.tracking.by = tracker;
    }

    /// Whether what the current command's script reads is to be noted.
    pub(crate) fn notes_reads(&self) -> bool {
        self.tracking.by.is_some_and(|by| by.reads)
    }

    /// A script has ended that has read these keys, of this shard or of others.
    pub(crate) fn script_has_read(&mut self, keys: Vec<Box<[u8]>>) {
        self.tracking.script_reads.extend(keys);
    }

    /// Whose script has ended, and those of the keys which it has read that `is_wanted`.
    pub(crate) fn take_script_reads(&mut self, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Track> {
        if self.tracking.script_reads.is_empty() {
            return None;
        }
        let tracker = self.tracking.by?;
        let all = std::mem::take(&mut self.tracking.script_reads);
        let (keys, others) = all.into_iter().partition(|key| is_wanted(key));
        self.tracking.script_reads = others;
        Some(Track { tracker, keys })
    }

    /// A client of the node tracks from now on, or (`-1`) does not any more.
    pub fn count_tracker(&mut self, change: isize) {
        let clients = self.tracking.clients.saturating_add_signed(change);
        self.tracking.clients = clients;
        if clients == 0 {
            self.tracking.readers = HashMap::new();
            self.tracking.items = 0;
        }
    }

    /// A client of a shard follows a prefix from now on.
    pub fn follow(&mut self, prefix: &[u8], shard: usize, shards: usize) {
        let followers = self.tracking.prefixes.entry(prefix.into()).or_default();
        followers.resize(shards, 0);
        followers[shard] += 1;
    }

    /// A client of a shard does not follow a prefix any more.
    pub fn unfollow(&mut self, prefix: &[u8], shard: usize) {
        let Some(followers) = self.tracking.prefixes.get_mut(prefix) else {
            return;
        };
        followers[shard] = followers[shard].saturating_sub(1);
        if followers.iter().all(|count| *count == 0) {
            self.tracking.prefixes.remove(prefix);
        }
    }

    /// The prefixes that a key begins with, and whether clients of each shard follow them.
    pub fn prefixes_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u32])> {
        let all = self.tracking.prefixes.iter();
        all.filter(|(prefix, _)| key.starts_with(prefix))
            .map(|(prefix, followers)| (&**prefix, &**followers))
    }

    /// Notes that a client has read keys of this shard.
    #[cold]
    pub(crate) fn note_reads<'k>(
        &mut self,
        tracker: Tracker,
        keys: impl Iterator<Item = &'k [u8]>,
    ) {
        if !self.tracking.is_on() {
            // It has stopped meanwhile.
            return;
        }
        let reader = (tracker.shard, tracker.id);
        for key in keys {
            let tracking = &mut self.tracking;
            let readers = match tracking.readers.get_mut(key) {
                Some(readers) => readers,
                None => tracking.readers.entry(key.into()).or_default(),
            };
            if !readers.contains(&reader) {
                readers.push(reader);
                tracking.items += 1;
            }
            self.keep_tracking_small(key);
        }
    }

    /// Forgets keys above `tracking-table-max-keys`, whose readers are told that they have changed.
    fn keep_tracking_small(&mut self, newest: &[u8]) {
        let max = self.settings.tracked_keys_max;
        while max > 0 && self.tracking.readers.len() > max {
            let mut keys = self.tracking.readers.keys();
            let Some(victim) = keys.find(|key| ***key != *newest).cloned() else {
                return;
            };
            self.forget_readers(&victim, None);
        }
    }

    /// A key has changed: whoever has read it hears of it.
    #[cold]
    pub(super) fn make_stale(&mut self, key: &[u8]) {
        let skips = self.tracking.by.filter(|by| by.skips_own).map(|by| by.id);
        self.forget_readers(key, skips);
        if self.prefixes_of(key).next().is_some() {
            let key = key.into();
            self.tracking.stale.push(Stale::Prefix { key, skips });
        }
    }

    fn forget_readers(&mut self, key: &[u8], skips: Option<u64>) {
        let Some(readers) = self.tracking.readers.remove(key) else {
            return;
        };
        self.tracking.items -= readers.len();
        for (shard, client) in readers {
            if Some(client) != skips {
                let key = key.into();
                self.tracking.stale.push(Stale::Read { shard, client, key });
            }
        }
    }

    /// All keys of this shard are gone.
    pub(crate) fn make_all_stale(&mut self) {
        self.tracking.readers.clear();
        self.tracking.items = 0;
        // Shards learn at different times who tracks, so it is told whether anybody does or not: each counts how often all were flushed.
        self.tracking.stale.push(Stale::All);
    }

    /// How often all keys went while the tables of all shards were here; each owner hears of its own.
    pub(crate) fn take_all_stale(&mut self) -> usize {
        let before = self.tracking.stale.len();
        self.tracking.stale.retain(|it| *it != Stale::All);
        before - self.tracking.stale.len()
    }

    /// Puts back what had become stale before the rest.
    pub(crate) fn stale_before(&mut self, mut earlier: Vec<Stale>) {
        if !earlier.is_empty() {
            earlier.append(&mut self.tracking.stale);
            self.tracking.stale = earlier;
        }
    }

    /// Does something that nobody's command does: an expired key is news to everybody.
    pub(super) fn for_nobody<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let by = self.tracking.by.take();
        let result = act(self);
        self.tracking.by = by;
        result
    }

    /// Whether something has become stale.
    #[inline]
    #[must_use]
    pub fn has_stale(&self) -> bool {
        !self.tracking.stale.is_empty()
    }

    /// Takes what has become stale since the last call, in order.
    #[must_use]
    pub fn take_stale(&mut self) -> Vec<Stale> {
        std::mem::take(&mut self.tracking.stale)
    }

    /// Keys in the table, and clients over all of them.
    #[must_use]
    pub fn tracked(&self) -> (usize, usize) {
        (self.tracking.readers.len(), self.tracking.items)
    }

    /// Number of prefixes that clients of the node follow.
    #[must_use]
    pub fn followed_prefixes(&self) -> usize {
        self.tracking.prefixes.len()
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    fn tracker(id: u64, skips_own: bool) -> Tracker {
        Tracker {
            id,
            shard: 0,
            reads: true,
            skips_own,
        }
    }

    fn shard() -> Shard {
        let mut shard = Shard::new(0, 2, 1, 1);
        shard.now_ms = 1_000;
        shard.count_tracker(1);
        shard
    }

    fn set(shard: &mut Shard, key: &[u8], expire: ExpireChange) {
        shard.set(0, key, StrValue::Int(1), expire).unwrap();
    }

    /// Clients and keys.
    fn stale(shard: &mut Shard) -> Vec<(u64, String)> {
        let told = shard.take_stale().into_iter().map(|it| match it {
            Stale::Read { client, key, .. } => (client, String::from_utf8(key.into()).unwrap()),
            Stale::Prefix { key, skips } => (
                1000 + skips.unwrap_or(0),
                String::from_utf8(key.into()).unwrap(),
            ),
            Stale::All => (0, String::new()),
        });
        told.collect()
    }

    #[test]
    fn a_reader_hears_once() {
        let mut shard = shard();
        let keys = [&b"a"[..], b"b"];
        shard.note_reads(tracker(7, false), keys.into_iter());
        shard.note_reads(tracker(8, false), keys.into_iter());
        assert_eq!(shard.tracked(), (2, 4));
        set(&mut shard, b"a", ExpireChange::Clear);
        set(&mut shard, b"a", ExpireChange::Clear);
        set(&mut shard, b"other", ExpireChange::Clear);
        assert_eq!(stale(&mut shard), [(7, "a".into()), (8, "a".into())]);
        shard.make_all_stale();
        assert_eq!((shard.tracked(), stale(&mut shard).len()), ((0, 0), 1));
    }

    #[test]
    fn flushes_of_a_program_are_told_apart_from_earlier_ones() {
        let mut shard = shard();
        shard.note_reads(tracker(7, false), [&b"a"[..]].into_iter());
        shard.make_all_stale();
        let earlier = shard.take_stale();
        shard.note_reads(tracker(8, false), [&b"b"[..]].into_iter());
        set(&mut shard, b"b", ExpireChange::Clear);
        shard.make_all_stale();
        assert_eq!(shard.take_all_stale(), 1, "the program's");
        shard.stale_before(earlier);
        assert_eq!(stale(&mut shard), [(0, String::new()), (8, "b".into())]);
    }

    #[test]
    fn own_changes_and_expiry() {
        let mut shard = shard();
        let me = tracker(7, true);
        shard.note_reads(me, [&b"a"[..], b"b"].into_iter());
        shard.run_for(Some(me));
        set(&mut shard, b"a", ExpireChange::Clear);
        assert!(stale(&mut shard).is_empty());
        set(&mut shard, b"b", ExpireChange::At(1_001));
        shard.note_reads(me, [&b"b"[..]].into_iter());
        shard.now_ms = 1_002;
        assert!(!shard.exists(0, b"b"));
        assert_eq!(stale(&mut shard), [(7, "b".into())], "expiry is nobody's");
    }

    #[test]
    fn prefixes() {
        let mut shard = shard();
        shard.follow(b"user:", 1, 2);
        shard.follow(b"", 0, 2);
        shard.unfollow(b"", 0);
        set(&mut shard, b"user:1", ExpireChange::Clear);
        set(&mut shard, b"use", ExpireChange::Clear);
        assert_eq!(stale(&mut shard), [(1000, "user:1".into())]);
        assert_eq!(shard.followed_prefixes(), 1);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut shard = shard();
        shard.settings.tracked_keys_max = 10;
        for n in 0..100 {
            let key = format!("k{n}");
            shard.note_reads(tracker(7, false), [key.as_bytes()].into_iter());
        }
        assert_eq!((shard.tracked(), shard.take_stale().len()), ((10, 10), 90));
        shard.count_tracker(-1);
        assert_eq!(shard.tracked(), (0, 0));
    }
}
