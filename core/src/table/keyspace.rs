//! The keyspace table: keys to entries, for one logical database of one shard.
//!
//! Owns [`Table`] and the paths that are run for every command: lookup, SET, insert, removal. Callers hash the key
//! ([`super::hash_key`] with the table's seed, or it will not be found again) so that a hash is computed once per
//! command. Invariants: `counts` is exact after every call; every change of an entry is preceded by
//! `Walks::before_change` for its home bucket. Called by the shard; not shared between threads.

use super::bucket::Slot;
use super::directory::Directory;
use super::entry_mut::EntryMut;
use super::hash::{KeyHash, home_of, tag_of};
use super::overflow::Overflow;
use super::segment::{Place, Segment};
use super::walk::Walks;
use crate::entry::{Entry, OutOfMemory, StrValue};

/// What a SET does to the expiry time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireChange {
    /// Keeps the time that is there, if any.
    Keep,
    /// The key does not expire.
    Clear,
    /// The key expires at this time, in milliseconds since the Unix epoch.
    At(u64),
}

impl ExpireChange {
    #[inline]
    fn apply(self, current: Option<u64>) -> Option<u64> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::At(at_ms) => Some(at_ms),
        }
    }
}

/// Totals that every change keeps up to date.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) len: usize,
    pub(super) ttl_len: usize,
    /// Hashes with fields that have a lifetime.
    pub(super) field_ttl_len: usize,
    /// Bytes of all entries.
    pub(super) entry_bytes: usize,
}

impl Counts {
    #[inline]
    fn add(&mut self, entry: &Entry) {
        self.len += 1;
        self.ttl_len += usize::from(entry.expire_at().is_some());
        self.field_ttl_len += usize::from(entry.has_field_times());
        self.entry_bytes += entry.heap_bytes();
    }

    #[inline]
    pub(super) fn subtract(&mut self, entry: &Entry) {
        self.len -= 1;
        self.ttl_len -= usize::from(entry.expire_at().is_some());
        self.field_ttl_len -= usize::from(entry.has_field_times());
        self.entry_bytes -= entry.heap_bytes();
    }
}

/// Where a key was found, until the table changes.
#[derive(Clone, Copy)]
pub struct Spot(Found);

/// Where a key was found.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Segment(Place),
    Overflow(usize),
}

/// A hash table of entries that grows one segment at a time.
pub struct Table {
    pub(super) directory: Directory,
    pub(super) overflow: Overflow,
    pub(super) walks: Walks,
    pub(super) counts: Counts,
    seed: u64,
    /// Where the next merge is looked for, as a hash prefix.
    pub(super) merge_at: u32,
    #[cfg(test)]
    pub(super) hash_mask: u64,
}

impl Table {
    /// An empty table for keys hashed with `seed`. Allocates nothing before the first insert.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            directory: Directory::new(),
            overflow: Overflow::new(),
            walks: Walks::new(),
            counts: Counts {
                len: 0,
                ttl_len: 0,
                field_ttl_len: 0,
                entry_bytes: 0,
            },
            seed,
            merge_at: 0,
            #[cfg(test)]
            hash_mask: u64::MAX,
        }
    }

    /// Leaves an empty table of the same seed and returns the contents, active walks included. O(1); hand the result
    /// to [`super::DropSlices`] to free it without a stall.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let mut empty = Self::new(self.seed);
        empty.walks = self.walks.successor();
        #[cfg(test)]
        {
            empty.hash_mask = self.hash_mask;
        }
        std::mem::replace(self, empty)
    }

    /// The hash of a key in this table.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.key_hash().of(key)
    }

    /// How keys are hashed, for those who hash while parts of the table are borrowed.
    #[inline]
    pub(super) fn key_hash(&self) -> KeyHash {
        KeyHash {
            seed: self.seed,
            #[cfg(test)]
            mask: self.hash_mask,
        }
    }

    /// The seed that keys are hashed with.
    #[inline]
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of keys.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len
    }

    /// Whether there is no key.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.len == 0
    }

    /// Number of keys with an expiry time.
    #[inline]
    #[must_use]
    pub fn ttl_len(&self) -> usize {
        self.counts.ttl_len
    }

    /// Number of keys whose value is a hash with fields that have a lifetime.
    #[inline]
    #[must_use]
    pub fn field_ttl_len(&self) -> usize {
        self.counts.field_ttl_len
    }

    /// Bytes taken from the allocator for directory, segments, blobs and buffers, by size class. Exact. O(1).
    #[inline]
    #[must_use]
    pub fn mem_bytes(&self) -> usize {
        self.counts.entry_bytes + self.directory.heap_bytes() + self.overflow.heap_bytes()
    }

    /// The entry of a key. Usually two cache misses: the home bucket's line and the blob; a key that is not there
    /// costs one.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        let segment = self.directory.segment(hash)?;
        let (home, tag) = (home_of(hash), tag_of(hash));
        if let Some(entry) = segment.entry_at_home(home, tag, key) {
            return Some(entry);
        }
        if !segment.may_be_away(home, tag) {
            return None;
        }
        match find_away(segment, &self.overflow, hash, key)? {
            Found::Segment(place) => segment.slot(place).entry(),
            Found::Overflow(index) => self.overflow.slot(index).entry(),
        }
    }

    /// Finds a key for those who look at its entry twice: the second look needs no probe.
    #[inline]
    #[must_use]
    pub fn locate(&self, hash: u64, key: &[u8]) -> Option<Spot> {
        find(self.directory.segment(hash)?, &self.overflow, hash, key).map(Spot)
    }

    /// The entry that `locate` found under this hash. `None` if the table has changed and the spot is empty.
    #[inline]
    #[must_use]
    pub fn entry_at(&self, hash: u64, spot: Spot) -> Option<&Entry> {
        match spot.0 {
            Found::Segment(place) => self.directory.segment(hash)?.slot(place).entry(),
            Found::Overflow(index) => self.overflow.slot(index).entry(),
        }
    }

    /// The entry that `locate` found under this hash, to be changed. As `get_mut`.
    #[inline]
    pub fn entry_at_mut(&mut self, hash: u64, spot: Spot) -> Option<EntryMut<'_>> {
        let keys = self.key_hash();
        let segment = self.directory.segment_mut(hash)?;
        self.walks
            .before_change(segment, &self.overflow, keys, hash, home_of(hash));
        Some(match spot.0 {
            Found::Segment(place) => EntryMut::in_segment(segment, place, &mut self.counts),
            Found::Overflow(index) => {
                EntryMut::in_overflow(self.overflow.slot_mut(index), &mut self.counts)
            }
        })
    }

    /// Whether the key is there.
    #[inline]
    #[must_use]
    pub fn contains(&self, hash: u64, key: &[u8]) -> bool {
        self.directory
            .segment(hash)
            .is_some_and(|segment| find(segment, &self.overflow, hash, key).is_some())
    }

    /// The entry of a key, to be changed. Counts as a change for walks even if the caller changes nothing.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<EntryMut<'_>> {
        let spot = self.locate(hash, key)?;
        self.entry_at_mut(hash, spot)
    }

    /// Stores a value under a key, new or not, and says whether the key existed. One probe. An existing blob of the
    /// same size class is rewritten in place; access bits of an existing entry stay.
    ///
    /// # Errors
    /// [`OutOfMemory`] when memory for key or value is refused; what was there stays.
    #[inline]
    pub fn set(
        &mut self,
        hash: u64,
        key: &[u8],
        value: StrValue<'_>,
        expire: ExpireChange,
    ) -> Result<bool, OutOfMemory> {
        if let Some(mut entry) = self.get_mut(hash, key) {
            let expire_at = expire.apply(entry.expire_at());
            entry.set(value, expire_at)?;
            return Ok(true);
        }
        self.insert_new(hash, Entry::try_new(key, value, expire.apply(None))?);
        Ok(false)
    }

    /// Stores an entry under its own key and returns the one it replaces.
    pub fn insert(&mut self, hash: u64, entry: Entry) -> Option<Entry> {
        debug_assert_eq!(
            hash,
            self.hash(entry.key()),
            "the caller's hash is not this table's"
        );
        let old = self.take_entry(hash, entry.key());
        self.insert_new(hash, entry);
        old
    }

    /// Removes a key and returns its entry. Now and then merges two sparse segments.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let entry = self.take_entry(hash, key)?;
        self.after_removal();
        Some(entry)
    }

    fn take_entry(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let keys = self.key_hash();
        let segment = self.directory.segment_mut(hash)?;
        let found = find(segment, &self.overflow, hash, key)?;
        self.walks
            .before_change(segment, &self.overflow, keys, hash, home_of(hash));
        match found {
            Found::Segment(place) => {
                let entry = segment.take(place).take()?;
                self.counts.subtract(&entry);
                Some(entry)
            }
            Found::Overflow(index) => self.take_overflow(index),
        }
    }

    /// Removes an entry of the overflow, whose home bucket has been shown to the walks.
    pub(super) fn take_overflow(&mut self, index: usize) -> Option<Entry> {
        let hash = self.overflow.hash(index);
        let entry = self.overflow.remove(index).take()?;
        self.counts.subtract(&entry);
        if let Some(segment) = self.directory.segment_mut(hash)
            && self.overflow.range(hash, segment.depth()).is_empty()
        {
            segment.clear_overflowed();
        }
        Some(entry)
    }

    /// Inserts an entry whose key is not in the table, as the caller has made sure.
    #[inline]
    pub(crate) fn insert_new(&mut self, hash: u64, entry: Entry) {
        self.counts.add(&entry);
        let (home, tag) = (home_of(hash), tag_of(hash));
        let slot = Slot::new(entry, tag);
        let keys = self.key_hash();
        if let Some(segment) = self.directory.segment_mut(hash) {
            self.walks
                .before_change(segment, &self.overflow, keys, hash, home);
            if segment.put(slot.with_window(segment.window(hash, home)), home) {
                return;
            }
        }
        self.insert_growing(hash, slot);
    }
}

impl Clone for Table {
    /// The same entries in a table of the same seed, without walks. O(n).
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.seed);
        #[cfg(test)]
        {
            copy.hash_mask = self.hash_mask;
        }
        let mut cursor = 0;
        loop {
            cursor = self.scan(cursor, &mut |entry| {
                copy.insert_new(copy.hash(entry.key()), entry.clone());
            });
            if cursor == 0 {
                return copy;
            }
        }
    }
}

/// Looks for a key: home bucket, and only where its filter allows, the next bucket, the stash and the overflow.
#[inline(always)]
pub(super) fn find(segment: &Segment, overflow: &Overflow, hash: u64, key: &[u8]) -> Option<Found> {
    let (home, tag) = (home_of(hash), tag_of(hash));
    if let Some(place) = segment.find_home(home, tag, key) {
        return Some(Found::Segment(place));
    }
    if !segment.may_be_away(home, tag) {
        return None;
    }
    find_away(segment, overflow, hash, key)
}

#[inline(never)]
fn find_away(segment: &Segment, overflow: &Overflow, hash: u64, key: &[u8]) -> Option<Found> {
    if let Some(place) = segment.find_away(home_of(hash), tag_of(hash), key) {
        return Some(Found::Segment(place));
    }
    if !segment.overflowed() {
        return None;
    }
    overflow.find(hash, key).map(Found::Overflow)
}
