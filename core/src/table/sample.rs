//! Entries one after the other, a few at a time: the candidates for eviction.
//!
//! Where entries lie is as random as their hashes, so the next few are as good a sample as any, and none is seen twice before all have been
//! seen once. Changes nothing; the cursor may be any value. Called by eviction.
//!
//! ```text
//!  cursor   bits 0..16 slot of the segment (then its overflow entries), bits 16..48 hash prefix
//! ```

use super::bucket::SLOT_COUNT;
use super::hash::{DEPTH_MAX, prefix_after};
use super::keyspace::Table;
use super::segment::{CAPACITY, Place};
use crate::entry::Entry;

const SLOT_BITS: u32 = 16;
/// Segments looked at in one call: so many lines when hardly any key has an expiry time.
const SEGMENTS_MAX: usize = 64;

impl Table {
    /// Shows up to `count` entries from `cursor` on, going on at the start of the table after its end; only those with an expiry time if
    /// `only_expiring`. Returns how many it has shown, which may be fewer although there are more. One miss per entry.
    pub fn sample(
        &self,
        cursor: &mut u64,
        count: usize,
        only_expiring: bool,
        visit: &mut dyn FnMut(&Entry),
    ) -> usize {
        let (mut prefix, mut at) = (
            *cursor >> SLOT_BITS,
            *cursor as usize & ((1 << SLOT_BITS) - 1),
        );
        let (mut shown, mut wrapped) = (0, false);
        for _ in 0..SEGMENTS_MAX {
            let hash = prefix << 32;
            let Some(segment) = self
                .directory
                .segment(hash)
                .filter(|_| prefix >> DEPTH_MAX == 0)
            else {
                (prefix, at) = (0, 0);
                if std::mem::replace(&mut wrapped, true) {
                    break;
                }
                continue;
            };
            let extra = if segment.overflowed() {
                self.overflow.range(hash, segment.depth())
            } else {
                0..0
            };
            let end = CAPACITY + extra.len();
            if only_expiring && segment.ttl_count() == 0 && extra.is_empty() {
                at = end;
            }
            while at < end && shown < count {
                let slot = if at < CAPACITY {
                    let (bucket, slot) = (at / SLOT_COUNT, at % SLOT_COUNT);
                    segment.slot(Place { bucket, slot })
                } else {
                    self.overflow.slot(extra.start + at - CAPACITY)
                };
                at += 1;
                if only_expiring && !slot.has_ttl() {
                    continue;
                }
                if let Some(entry) = slot.entry()
                    && (!only_expiring || entry.expire_at().is_some())
                {
                    visit(entry);
                    shown += 1;
                }
            }
            if shown == count {
                break;
            }
            (prefix, at) = (prefix_after(prefix as u32, segment.depth()), 0);
        }
        *cursor = prefix << SLOT_BITS | at as u64;
        shown
    }
}
