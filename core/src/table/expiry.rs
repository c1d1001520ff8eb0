//! Removal of keys whose time has come, a few buckets at a time.
//!
//! There is no second table of expiry times: a slot knows whether its entry has one, and a segment how many such slots
//! it has. A pass goes segment by segment; a segment without TTLs costs one line. Invariants: only due entries are
//! removed, each after the walks have seen its home bucket. Called by the shard's cycle.
//!
//! ```text
//!  cursor   bits 0..7 bucket of the segment (64 = its overflow entries), bits 7..39 hash prefix
//! ```

use super::bucket::{bits, occupied};
use super::hash::{DEPTH_MAX, prefix_after};
use super::keyspace::Table;
use super::segment::{BUCKET_COUNT, Place};
use crate::entry::Entry;

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireStats {
    /// Entries with a TTL that were looked at.
    pub examined: usize,
    /// Entries that were removed.
    pub expired: usize,
    /// The pass has reached the end of the table; the cursor is back at the start.
    pub wrapped: bool,
}

const BUCKET_BITS: u32 = 7;

impl Table {
    /// Looks at up to `budget_buckets` buckets from `cursor` on (0 to begin with; any value is safe), removes the
    /// entries whose time is `now_ms` or earlier and hands them out. Stops at the end of the table. A segment without
    /// TTLs, and the overflow entries of one, count as one bucket. One miss per entry with a TTL.
    pub fn expire_step(
        &mut self,
        cursor: &mut u64,
        now_ms: u64,
        budget_buckets: usize,
        on_expired: &mut dyn FnMut(Entry),
    ) -> ExpireStats {
        let mut stats = ExpireStats::default();
        let mut prefix = (*cursor >> BUCKET_BITS) & u64::from(u32::MAX);
        let mut bucket = (*cursor as usize & ((1 << BUCKET_BITS) - 1)).min(BUCKET_COUNT);
        for _ in 0..budget_buckets {
            let hash = prefix << 32;
            let Some(segment) = self
                .directory
                .segment(hash)
                .filter(|_| prefix >> DEPTH_MAX == 0)
            else {
                (prefix, bucket) = (0, 0);
                stats.wrapped = true;
                break;
            };
            let (depth, overflowed) = (segment.depth(), segment.overflowed());
            if segment.ttl_count() == 0 && bucket < BUCKET_COUNT {
                bucket = BUCKET_COUNT;
            } else if bucket < BUCKET_COUNT {
                self.expire_bucket(hash, bucket, now_ms, &mut stats, on_expired);
                bucket += 1;
            }
            if bucket == BUCKET_COUNT {
                if overflowed {
                    self.expire_overflow(hash, depth, now_ms, &mut stats, on_expired);
                }
                (prefix, bucket) = (prefix_after(prefix as u32, depth), 0);
            }
        }
        if prefix >> DEPTH_MAX != 0 {
            (prefix, bucket) = (0, 0);
            stats.wrapped = true;
        }
        *cursor = prefix << BUCKET_BITS | bucket as u64;
        self.after_removals(stats.expired);
        stats
    }

    fn expire_bucket(
        &mut self,
        hash: u64,
        bucket: usize,
        now_ms: u64,
        stats: &mut ExpireStats,
        on_expired: &mut dyn FnMut(Entry),
    ) {
        let Some(segment) = self.directory.segment_mut(hash) else {
            return;
        };
        for slot in bits(occupied(segment.slots(bucket))) {
            let place = Place { bucket, slot };
            let due = match segment.slot(place) {
                slot if !slot.has_ttl() => continue,
                slot => slot
                    .entry()
                    .and_then(Entry::expire_at)
                    .is_some_and(|at_ms| at_ms <= now_ms),
            };
            stats.examined += 1;
            if !due {
                continue;
            }
            let home = segment.home_at(place);
            self.walks
                .before_change(segment, &self.overflow, hash, home);
            if let Some(entry) = segment.take(place).take() {
                self.counts.subtract(&entry);
                stats.expired += 1;
                on_expired(entry);
            }
        }
    }

    fn expire_overflow(
        &mut self,
        hash: u64,
        depth: u32,
        now_ms: u64,
        stats: &mut ExpireStats,
        on_expired: &mut dyn FnMut(Entry),
    ) {
        for index in self.overflow.range(hash, depth).rev() {
            let Some(at_ms) = self.overflow.slot(index).entry().and_then(Entry::expire_at) else {
                continue;
            };
            stats.examined += 1;
            if at_ms > now_ms {
                continue;
            }
            let home = super::hash::home_of(self.overflow.hash(index));
            let Some(segment) = self.directory.segment_mut(hash) else {
                return;
            };
            self.walks
                .before_change(segment, &self.overflow, hash, home);
            if let Some(entry) = self.take_overflow(index) {
                stats.expired += 1;
                on_expired(entry);
            }
        }
    }
}
