//! Entries that lie in sparsely used memory are made anew elsewhere, a few buckets at a time, so that the allocator can give the pages back.
//!
//! Who asks knows the allocator; the table only shows it parts of entries. A copy is the same to everybody, so walks need not see it first.
//! Entries in the overflow, and large ones, stay where they are. Called by the shard.
//!
//! ```text
//!  cursor   bits 0..7 bucket of the segment, bits 7..39 hash prefix
//! ```

use super::bucket::{bits, occupied};
use super::hash::{DEPTH_MAX, prefix_after};
use super::keyspace::Table;
use super::segment::{BUCKET_COUNT, Place};
use crate::entry::Part;

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefragStats {
    /// Entries that were looked at.
    pub examined: usize,
    /// Entries that were moved.
    pub moved: usize,
    /// The pass has reached the end of the table; the cursor is back at the start.
    pub wrapped: bool,
}

/// Entries of more bytes stay: copying one would take too long.
const BYTES_MAX: usize = 16 * 1024;

const BUCKET_BITS: u32 = 7;

impl Table {
    /// Looks at `budget_buckets` buckets from `cursor` on (0 to begin with; any value is safe) and moves the entries that have a part which
    /// `is_sparse`. Stops at the end of the table. One miss and one to two questions per entry.
    pub fn defrag_step(
        &mut self,
        cursor: &mut u64,
        budget_buckets: usize,
        is_sparse: &mut dyn FnMut(Part<'_>) -> bool,
    ) -> DefragStats {
        let mut stats = DefragStats::default();
        let mut prefix = (*cursor >> BUCKET_BITS) & u64::from(u32::MAX);
        let mut bucket = (*cursor as usize & ((1 << BUCKET_BITS) - 1)).min(BUCKET_COUNT);
        for _ in 0..budget_buckets {
            let hash = prefix << 32;
            let Some(segment) = self.directory.segment(hash) else {
                prefix = 1 << DEPTH_MAX;
                break;
            };
            let depth = segment.depth();
            if bucket < BUCKET_COUNT {
                self.defrag_bucket(hash, bucket, is_sparse, &mut stats);
                bucket += 1;
            }
            if bucket == BUCKET_COUNT {
                (prefix, bucket) = (prefix_after(prefix as u32, depth), 0);
            }
            if prefix >> DEPTH_MAX != 0 {
                break;
            }
        }
        if prefix >> DEPTH_MAX != 0 {
            (prefix, bucket) = (0, 0);
            stats.wrapped = true;
        }
        *cursor = prefix << BUCKET_BITS | bucket as u64;
        stats
    }

    fn defrag_bucket(
        &mut self,
        hash: u64,
        bucket: usize,
        is_sparse: &mut dyn FnMut(Part<'_>) -> bool,
        stats: &mut DefragStats,
    ) {
        let Some(segment) = self.directory.segment_mut(hash) else {
            return;
        };
        for slot in bits(occupied(segment.slots(bucket))) {
            let place = Place { bucket, slot };
            let Some(entry) = segment.slot(place).entry() else {
                continue;
            };
            stats.examined += 1;
            if entry.heap_bytes() > BYTES_MAX || !entry.any_part(is_sparse) {
                continue;
            }
            let copy = entry.clone();
            self.counts.entry_bytes += copy.heap_bytes();
            if let Some(old) = segment.slot_mut(place).put_copy(copy) {
                self.counts.entry_bytes -= old.heap_bytes();
                stats.moved += 1;
            }
        }
    }
}
