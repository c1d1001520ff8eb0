//! Growth: splitting one segment in two, or giving its surplus to the overflow.
//!
//! Owns the decision and the procedure. Invariants: a split keeps every home bucket's set of entries (children's
//! home buckets partition the parent's) and its version, so scans and walks need not know about it. A split is refused
//! when it would leave nearly everything on one side, or when the directory would outgrow its bound; both happen only
//! when hashes are not evenly spread. Each insert splits at most `DEPTH_MAX` times. Called by the table's inserts.

use super::bucket::Slot;
use super::hash::{home_of, tag_of};
use super::keyspace::Table;
use super::prefetch::prefetch_line;
use super::segment::{CAPACITY, HOME_COUNT, OwnedSegment};

/// A split has to move at least one entry in this many. With even hashes a split of 300 entries misses that with a
/// probability around 10^-60.
const MINOR_SIDE_SHARE: usize = 16;

/// How many blobs are fetched ahead while a segment's keys are hashed.
const AHEAD: usize = 16;

impl Table {
    /// Inserts into a table without a segment, or into a full one. The walks have seen the home bucket.
    #[inline(never)]
    pub(super) fn insert_growing(&mut self, hash: u64, slot: Slot) {
        let (home, tag) = (home_of(hash), tag_of(hash));
        loop {
            let Some(segment) = self.directory.segment_mut(hash) else {
                self.directory.start();
                if let Some(segment) = self.directory.segment_mut(hash) {
                    self.walks
                        .before_change(segment, &self.overflow, hash, home);
                }
                continue;
            };
            if segment.put(slot, home) {
                return;
            }
            if !self.split(hash) {
                break;
            }
        }
        self.overflow.insert(hash, slot);
        if let Some(segment) = self.directory.segment_mut(hash) {
            segment.note_overflow(home, tag);
        }
    }

    /// Splits the segment of `hash` by the next bit of the prefix. False if that is refused.
    fn split(&mut self, hash: u64) -> bool {
        let Some(segment) = self.directory.segment_mut(hash) else {
            return false;
        };
        if segment.split_deferred() {
            return false;
        }
        let depth = segment.depth();
        if !self.directory.may_deepen(depth) {
            self.defer_split(hash);
            return false;
        }
        let mut items = Vec::with_capacity(CAPACITY);
        self.collect(hash, &mut items);
        let bit = 1u64 << (63 - depth);
        let high = items.iter().filter(|item| item.0 & bit != 0).count();
        if high.min(items.len() - high) * MINOR_SIDE_SHARE < items.len() {
            self.defer_split(hash);
            return false;
        }
        let Some(lower) = self.directory.segment_mut(hash) else {
            return false;
        };
        let spilled = self.overflow.drain(self.overflow.range(hash, depth));
        let mut upper = OwnedSegment::new(depth + 1);
        for home in 0..HOME_COUNT {
            upper.as_mut().set_version(home, lower.version(home));
        }
        lower.reset(depth + 1);
        for (hash, slot) in items.into_iter().chain(spilled) {
            let side = if hash & bit == 0 {
                &mut *lower
            } else {
                upper.as_mut()
            };
            if !side.put(slot, home_of(hash)) {
                side.note_overflow(home_of(hash), tag_of(hash));
                self.overflow.insert(hash, slot);
            }
        }
        self.directory.install(hash, depth + 1, upper);
        true
    }

    fn defer_split(&mut self, hash: u64) {
        if let Some(segment) = self.directory.segment_mut(hash) {
            segment.defer_split();
        }
    }

    /// Copies out the slots of the segment of `hash` with their hashes. One miss per entry, fetched ahead.
    fn collect(&self, hash: u64, items: &mut Vec<(u64, Slot)>) {
        let Some(segment) = self.directory.segment(hash) else {
            return;
        };
        items.extend(segment.places().map(|place| (0, *segment.slot(place))));
        for i in 0..items.len() {
            if let Some(ahead) = items.get(i + AHEAD) {
                prefetch_line(ahead.1.address());
            }
            items[i].0 = items[i].1.entry().map_or(0, |entry| self.hash(entry.key()));
        }
    }
}
