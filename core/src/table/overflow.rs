//! Entries that found no room in a segment that cannot usefully be split.
//!
//! Owns them, for the whole table, in one vector sorted by hash. It is empty unless somebody floods the table with
//! keys of (nearly) one hash, so it is built to be correct and bounded, not to be fast: a search is O(log n + entries
//! of the same hash), an insert or removal moves O(n) entries of 16 bytes. Invariant: an entry is here only if its
//! segment's `overflowed` bit and its home's filter bit say so. Called by the table files.

use std::ops::Range;

use super::bucket::Slot;
use super::hash::{DEPTH_MAX, home_of};
use crate::entry::{Entry, size_class};

/// Entries outside the segments.
pub(super) struct Overflow {
    items: Vec<(u64, Slot)>,
}

impl Overflow {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Bytes of the vector, entries not included.
    pub(super) fn heap_bytes(&self) -> usize {
        match self.items.capacity() {
            0 => 0,
            capacity => size_class(capacity * size_of::<(u64, Slot)>()),
        }
    }

    /// Index of a key.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let start = self.items.partition_point(|item| item.0 < hash);
        let same = self.items[start..].iter().take_while(|item| item.0 == hash);
        same.into_iter()
            .position(|item| item.1.entry().is_some_and(|entry| entry.has_key(key)))
            .map(|offset| start + offset)
    }

    pub(super) fn insert(&mut self, hash: u64, slot: Slot) {
        let at = self.items.partition_point(|item| item.0 <= hash);
        self.items.insert(at, (hash, slot));
    }

    pub(super) fn remove(&mut self, index: usize) -> Slot {
        let slot = self.items.remove(index).1;
        if self.items.is_empty() {
            self.items = Vec::new();
        }
        slot
    }

    pub(super) fn slot(&self, index: usize) -> &Slot {
        &self.items[index].1
    }

    pub(super) fn slot_mut(&mut self, index: usize) -> &mut Slot {
        &mut self.items[index].1
    }

    /// Indexes of the entries of the segment of depth `depth` that holds `hash`.
    pub(super) fn range(&self, hash: u64, depth: u32) -> Range<usize> {
        debug_assert!(depth <= DEPTH_MAX);
        let low = u64::MAX.checked_shr(depth).unwrap_or(0);
        let (first, last) = (hash & !low, hash | low);
        let start = self.items.partition_point(|item| item.0 < first);
        start..start + self.items[start..].partition_point(|item| item.0 <= last)
    }

    /// Calls `visit` for the entries of one home bucket of the segment of depth `depth` that holds `hash`.
    pub(super) fn each_of_home(
        &self,
        hash: u64,
        depth: u32,
        home: usize,
        mut visit: impl FnMut(&Entry),
    ) {
        for (hash, slot) in &self.items[self.range(hash, depth)] {
            if home_of(*hash) == home {
                slot.entry().into_iter().for_each(&mut visit);
            }
        }
    }

    /// Takes out all entries of a segment.
    pub(super) fn drain(&mut self, range: Range<usize>) -> Vec<(u64, Slot)> {
        let drained = self.items.drain(range).collect();
        if self.items.is_empty() {
            self.items = Vec::new();
        }
        drained
    }

    /// The hash at an index.
    pub(super) fn hash(&self, index: usize) -> u64 {
        self.items[index].0
    }

    /// Drops up to `count` entries; true when none is left.
    pub(super) fn free_some(&mut self, count: usize) -> bool {
        for _ in 0..count {
            match self.items.pop() {
                Some((_, mut slot)) => drop(slot.take()),
                None => return true,
            }
        }
        self.items.is_empty()
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        self.free_some(usize::MAX);
    }
}
