//! Growth: splitting one segment in two, or giving its surplus to the overflow.
//!
//! Owns the decision and the procedure. Invariants: a split keeps every home bucket's set of entries (children's
//! home buckets partition the parent's) and its version, so scans and walks need not know about it. A split is refused
//! when it would leave nearly everything on one side, or when the directory would outgrow its bound; both happen only
//! when hashes are not evenly spread. Each insert splits at most `DEPTH_MAX` times. Called by the table's inserts.

use super::bucket::Slot;
use super::hash::{goes_up, home_of, tag_of, window_at, window_of};
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
        let home = home_of(hash);
        loop {
            let Some(segment) = self.directory.segment_mut(hash) else {
                self.directory.start();
                let keys = self.key_hash();
                if let Some(segment) = self.directory.segment_mut(hash) {
                    self.walks
                        .before_change(segment, &self.overflow, keys, hash, home);
                }
                continue;
            };
            if segment.put(slot.with_window(segment.window(hash, home)), home) {
                return;
            }
            if !self.split(hash) {
                break;
            }
        }
        self.put_surplus(hash, slot);
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
        let mut items = Vec::with_capacity(CAPACITY);
        if self.directory.may_deepen(depth) {
            self.collect(hash, depth, &mut items);
        }
        let up = items.iter().filter(|item| item.up).count();
        let Some(lower) = self.directory.segment_mut(hash) else {
            return false;
        };
        if items.is_empty() || up.min(items.len() - up) * MINOR_SIDE_SHARE < items.len() {
            lower.defer_split();
            return false;
        }
        let mut upper = OwnedSegment::new(depth + 1);
        for home in 0..HOME_COUNT {
            upper.as_mut().set_version(home, lower.version(home));
        }
        lower.reset(depth + 1);
        let mut surplus = self.overflow.drain(self.overflow.range(hash, depth));
        let mut spilled = Vec::new();
        for item in items {
            let side = if item.up { upper.as_mut() } else { &mut *lower };
            if !side.put(item.slot, item.home) {
                spilled.push(item.slot);
            }
        }
        self.directory.install(hash, depth + 1, upper);
        // Practically never: half of what was there finds no room in a segment of its own.
        for slot in spilled {
            let hash = slot.entry().map_or(hash, |entry| self.hash(entry.key()));
            surplus.push((hash, slot));
        }
        surplus
            .into_iter()
            .for_each(|(hash, slot)| self.put_surplus(hash, slot));
        true
    }

    /// Places an entry that was in the overflow, or has to go there.
    fn put_surplus(&mut self, hash: u64, slot: Slot) {
        let Some(segment) = self.directory.segment_mut(hash) else {
            return;
        };
        let home = home_of(hash);
        if !segment.put(slot.with_window(segment.window(hash, home)), home) {
            segment.note_overflow(home, tag_of(hash));
            self.overflow.insert(hash, slot);
        }
    }

    /// Copies out the slots of the segment of `hash`, of depth `depth`, as they will be one deeper. Reads no blob
    /// unless a new window opens; then one miss per entry, fetched ahead.
    fn collect(&self, hash: u64, depth: u32, items: &mut Vec<Item>) {
        let Some(segment) = self.directory.segment(hash) else {
            return;
        };
        items.extend(segment.places().map(|place| {
            let slot = *segment.slot(place);
            Item {
                slot,
                home: segment.home_at(place),
                up: goes_up(slot.window(), depth),
            }
        }));
        let number = window_at(depth + 1);
        if number == window_at(depth) {
            return;
        }
        for i in 0..items.len() {
            if let Some(ahead) = items.get(i + AHEAD) {
                prefetch_line(ahead.slot.address());
            }
            let window = items[i]
                .slot
                .entry()
                .map_or(0, |entry| window_of(self.hash(entry.key()), number));
            items[i].slot = items[i].slot.with_window(window);
        }
    }
}

/// An entry on its way to one of two segments.
struct Item {
    slot: Slot,
    home: usize,
    up: bool,
}
