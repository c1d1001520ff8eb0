//! Shrinking: merging two sparse segments into one.
//!
//! Owns the decision when, and the procedure. Without it a table that once was large would keep its segments for ever,
//! and looking for a random key, scanning and expiring in it would cost what they did when it was full. Buddies
//! have the same home buckets and tags, so a merge moves slots and looks at no blob. Invariants: no merge while a walk
//! is active (the two versions of a home bucket could differ); a scan's cursor does not mind. Called after removals.

use super::hash::{DEPTH_MAX, prefix_after, window_at, window_of};
use super::keyspace::Table;
use super::segment::{CAPACITY, Segment};

/// Merging starts when less than one slot in this many is used; a table that grows is never below three.
const SPARSE_SHARE: usize = 8;
/// Two segments are merged if together they fill at most this share of one, so that the result is not soon split.
const MERGED_MAX: usize = CAPACITY / 2;
/// A sparse table looks for a merge at every this many removals. A merge must come at least every 56 of them to keep
/// the share.
const REMOVALS_PER_MERGE: usize = 16;
/// Segments looked at per attempt.
const LOOKS: usize = 8;

impl Table {
    /// Merges two segments if the table has become sparse. Amortised O(1) per removal, at most a few microseconds,
    /// or a halving of the directory.
    #[inline]
    pub(super) fn after_removal(&mut self) {
        if self.is_sparse() && self.counts.len.is_multiple_of(REMOVALS_PER_MERGE) {
            self.merge_some();
        }
    }

    /// `after_removal` for many removals at once.
    pub(super) fn after_removals(&mut self, count: usize) {
        for _ in 0..count.div_ceil(REMOVALS_PER_MERGE) {
            if self.is_sparse() {
                self.merge_some();
            }
        }
    }

    #[inline]
    fn is_sparse(&self) -> bool {
        self.counts.len < self.directory.segments() * (CAPACITY / SPARSE_SHARE)
    }

    #[inline(never)]
    fn merge_some(&mut self) {
        if self.walks.any() || self.directory.segments() < 2 {
            return;
        }
        for _ in 0..LOOKS {
            let hash = u64::from(self.merge_at) << 32;
            let Some(depth) = self.directory.segment(hash).map(Segment::depth) else {
                return;
            };
            self.merge_at = prefix_after(self.merge_at, depth) as u32; // wraps to 0 after the last segment
            if self.merge(hash, depth) {
                // The merged segment may find its own buddy next time.
                self.merge_at = (hash >> (64 - DEPTH_MAX)) as u32 & !(u32::MAX >> (depth - 1));
                return;
            }
        }
    }

    /// Merges the segment of `hash` with its buddy if both are sparse.
    fn merge(&mut self, hash: u64, depth: u32) -> bool {
        let Some((lower, upper)) = self.directory.buddies_mut(hash, depth) else {
            return false;
        };
        if lower.overflowed() || upper.overflowed() {
            return false;
        }
        if lower.places().count() + upper.places().count() > MERGED_MAX {
            return false;
        }
        let undo = lower.clone();
        let bit = 1u64 << (64 - depth);
        let number = window_at(depth - 1);
        // If the window goes back, then to bits that all keys of one segment share.
        let back = number != window_at(depth);
        if back {
            lower.set_windows(window_of(hash & !bit, number));
        }
        for place in upper.places() {
            let slot = *upper.slot(place);
            let slot = if back {
                slot.with_window(window_of(hash | bit, number))
            } else {
                slot
            };
            if !lower.put(slot, upper.home_at(place)) {
                // Half full and yet no room: one home is flooded. The slots in `upper` still own their entries.
                lower.clone_from(&undo);
                return false;
            }
        }
        lower.set_depth(depth - 1);
        self.directory.remove_upper(hash, depth);
        true
    }
}
