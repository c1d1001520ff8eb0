//! Removal of keys whose time has come, a few buckets at a time.
//!
//! There is no second table of expiry times: a slot knows whether its entry has one, and a segment how many such slots
//! it has. A pass goes segment by segment; a segment without TTLs costs one line. Invariants: only due entries are
//! removed, each after the walks have seen its home bucket. A hash with fields that expire carries the same bit as a key with an expiry
//! time; its due fields are taken out some buckets at a time. Called by the shard's cycle, and by a large hash for its fields.
//!
//! ```text
//!  cursor   bits 0..7 bucket of the segment (64 = its overflow entries), bits 7..39 hash prefix
//! ```

use super::bucket::{bits, occupied};
use super::entry_mut::EntryMut;
use super::hash::{DEPTH_MAX, prefix_after};
use super::keyspace::Table;
use super::segment::{BUCKET_COUNT, Place};
use crate::entry::Entry;
use crate::hash::FieldExpiry;
use crate::object::{Object, View, ViewMut};

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireStats {
    /// Entries with a TTL that were looked at.
    pub examined: usize,
    /// Entries and fields that were removed.
    pub expired: usize,
    /// The fields among them.
    pub expired_fields: usize,
    /// Due fields stay.
    leaves_fields: bool,
    /// The pass has reached the end of the table; the cursor is back at the start.
    pub wrapped: bool,
    /// The soonest time of those that were looked at and stay.
    pub next_ms: Option<u64>,
}

impl ExpireStats {
    fn stays(&mut self, at_ms: u64) {
        self.next_ms = Some(self.next_ms.map_or(at_ms, |soonest| soonest.min(at_ms)));
    }
}

/// What expiry took.
#[derive(Debug)]
pub enum Gone<'a> {
    /// A key whose time has come.
    Key(Entry),
    /// A hash whose last field's time has come.
    Emptied(Entry),
    /// Some fields of this key.
    Fields(&'a [u8]),
    /// Nothing yet: this key has fields whose time has come, and whoever asked wanted to take them out himself.
    Due(&'a [u8]),
}

/// Buckets of a large hash that are looked at for due fields at a time.
const FIELD_BUCKETS: usize = 256;

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
        on_gone: &mut dyn FnMut(Gone<'_>),
    ) -> ExpireStats {
        self.expire_some(cursor, now_ms, budget_buckets, false, on_gone)
    }

    /// The same, but due fields stay, and their keys are named ([`Gone::Due`]).
    pub fn expire_keys(
        &mut self,
        cursor: &mut u64,
        now_ms: u64,
        budget_buckets: usize,
        on_gone: &mut dyn FnMut(Gone<'_>),
    ) -> ExpireStats {
        self.expire_some(cursor, now_ms, budget_buckets, true, on_gone)
    }

    fn expire_some(
        &mut self,
        cursor: &mut u64,
        now_ms: u64,
        budget_buckets: usize,
        leaves_fields: bool,
        on_gone: &mut dyn FnMut(Gone<'_>),
    ) -> ExpireStats {
        let mut stats = ExpireStats {
            leaves_fields,
            ..ExpireStats::default()
        };
        let before = self.counts.len;
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
                self.expire_bucket(hash, bucket, now_ms, &mut stats, on_gone);
                bucket += 1;
            }
            if bucket == BUCKET_COUNT {
                if overflowed {
                    self.expire_overflow(hash, depth, now_ms, &mut stats, on_gone);
                }
                (prefix, bucket) = (prefix_after(prefix as u32, depth), 0);
            }
        }
        if prefix >> DEPTH_MAX != 0 {
            (prefix, bucket) = (0, 0);
            stats.wrapped = true;
        }
        *cursor = prefix << BUCKET_BITS | bucket as u64;
        self.after_removals(before - self.counts.len);
        stats
    }

    fn expire_bucket(
        &mut self,
        hash: u64,
        bucket: usize,
        now_ms: u64,
        stats: &mut ExpireStats,
        on_gone: &mut dyn FnMut(Gone<'_>),
    ) {
        let keys = self.key_hash();
        let Some(segment) = self.directory.segment_mut(hash) else {
            return;
        };
        for slot in bits(occupied(segment.slots(bucket))) {
            let place = Place { bucket, slot };
            let Some(entry) = segment.slot(place).entry() else {
                continue;
            };
            if !segment.slot(place).has_ttl() {
                continue;
            }
            let due = Due::of(entry, now_ms, stats);
            if due == Due::No {
                continue;
            }
            let home = segment.home_at(place);
            if self.walks.any() {
                let hash = keys.of(entry.key());
                self.walks
                    .before_change(segment, &self.overflow, keys, hash, home);
            }
            if due == Due::Fields {
                let entry = EntryMut::in_segment(segment, place, &mut self.counts);
                if !expire_fields(entry, now_ms, stats, on_gone) {
                    continue;
                }
            }
            if let Some(entry) = segment.take(place).take() {
                self.counts.subtract(&entry);
                due.hand_out(entry, stats, on_gone);
            }
        }
    }

    fn expire_overflow(
        &mut self,
        hash: u64,
        depth: u32,
        now_ms: u64,
        stats: &mut ExpireStats,
        on_gone: &mut dyn FnMut(Gone<'_>),
    ) {
        for index in self.overflow.range(hash, depth).rev() {
            let Some(entry) = self.overflow.slot(index).entry() else {
                continue;
            };
            if !entry.is_timed() {
                continue;
            }
            let due = Due::of(entry, now_ms, stats);
            if due == Due::No {
                continue;
            }
            let (keys, hash) = (self.key_hash(), self.overflow.hash(index));
            let home = super::hash::home_of(hash);
            let Some(segment) = self.directory.segment_mut(hash) else {
                return;
            };
            self.walks
                .before_change(segment, &self.overflow, keys, hash, home);
            if due == Due::Fields {
                let entry = EntryMut::in_overflow(self.overflow.slot_mut(index), &mut self.counts);
                if !expire_fields(entry, now_ms, stats, on_gone) {
                    continue;
                }
            }
            if let Some(entry) = self.take_overflow(index) {
                due.hand_out(entry, stats, on_gone);
            }
        }
    }
}

/// What of an entry is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    No,
    Key,
    Fields,
}

impl Due {
    fn of(entry: &Entry, now_ms: u64, stats: &mut ExpireStats) -> Self {
        stats.examined += 1;
        match entry.expire_at() {
            Some(at_ms) if at_ms <= now_ms => return Self::Key,
            Some(at_ms) => stats.stays(at_ms),
            None => {}
        }
        match entry.object().map(Object::view) {
            Some(View::Hash(hash)) if hash.has_due(now_ms.saturating_add(1)) => Self::Fields,
            _ => Self::No,
        }
    }

    /// Hands out an entry that was removed.
    fn hand_out(self, entry: Entry, stats: &mut ExpireStats, on_gone: &mut dyn FnMut(Gone<'_>)) {
        if self == Self::Fields {
            return on_gone(Gone::Emptied(entry));
        }
        stats.expired += 1;
        on_gone(Gone::Key(entry));
    }
}

/// Takes some due fields out of a hash and says whether it is empty now.
fn expire_fields(
    mut entry: EntryMut<'_>,
    now_ms: u64,
    stats: &mut ExpireStats,
    on_gone: &mut dyn FnMut(Gone<'_>),
) -> bool {
    if stats.leaves_fields {
        on_gone(Gone::Due(entry.key()));
        return false;
    }
    let step = entry.change_object(|object| match object.view_mut() {
        ViewMut::Hash(hash) => {
            let step = hash.expire_some(now_ms.saturating_add(1), FIELD_BUCKETS);
            (step, hash.is_empty())
        }
        _ => (FieldExpiry::default(), false),
    });
    let Some((step, is_empty)) = step else {
        return false;
    };
    stats.examined += step.examined;
    stats.expired += step.expired;
    stats.expired_fields += step.expired;
    if step.expired > 0 && !is_empty {
        on_gone(Gone::Fields(entry.key()));
    }
    is_empty
}
