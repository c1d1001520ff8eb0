//! A random key.
//!
//! Owns the choice: a segment by random prefix, which weighs segments by the share of the keys they can be expected to
//! hold, then an entry of it, uniformly. How evenly: a segment's count differs from its expectation by about 6%, and
//! so does a key's chance. No invariants; called by RANDOMKEY and by eviction.

use super::bucket::{SLOT_COUNT, occupied};
use super::hash::prefix_after;
use super::keyspace::Table;
use super::segment::{BUCKET_COUNT, CAPACITY, Place, Segment};
use crate::entry::Entry;

/// Slots tried in a segment before its entries are counted.
const SLOT_TRIES: usize = 8;
/// Segments chosen at random before the rest is searched in order.
const SEGMENT_TRIES: usize = 8;

/// SplitMix64: one more random number out of `state`.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Table {
    /// An entry chosen by the random number `r`; `None` only if the table is empty. One to three lines and the entry
    /// if the table is not sparse. As sparse tables are merged, a search in order over all segments, one line per
    /// bucket, happens only right after mass removals, during walks and in very small tables.
    #[must_use]
    pub fn random(&self, r: u64) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        let mut state = r;
        let mut prefix = 0;
        for _ in 0..SEGMENT_TRIES {
            prefix = next(&mut state) >> 32;
            let entry = self.random_in_segment(prefix as u32, &mut state);
            if entry.is_some() {
                return entry;
            }
        }
        for _ in 0..self.directory.segments() {
            let segment = self.directory.segment(prefix << 32)?;
            prefix = prefix_after(prefix as u32, segment.depth()) & u64::from(u32::MAX);
            let entry = self.random_in_segment(prefix as u32, &mut state);
            if entry.is_some() {
                return entry;
            }
        }
        None
    }

    /// An entry of one segment, all with the same chance.
    fn random_in_segment(&self, prefix: u32, state: &mut u64) -> Option<&Entry> {
        let hash = u64::from(prefix) << 32;
        let segment = self.directory.segment(hash)?;
        let extra = if segment.overflowed() {
            self.overflow.range(hash, segment.depth())
        } else {
            0..0
        };
        if extra.is_empty() {
            for _ in 0..SLOT_TRIES {
                let at = ((next(state) >> 32) as usize * CAPACITY) >> 32;
                let entry = segment
                    .slot(Place {
                        bucket: at / SLOT_COUNT,
                        slot: at % SLOT_COUNT,
                    })
                    .entry();
                if entry.is_some() {
                    return entry;
                }
            }
        }
        let count = occupancy(segment);
        if count + extra.len() == 0 {
            return None;
        }
        let nth = ((u128::from(next(state)) * (count + extra.len()) as u128) >> 64) as usize;
        match segment.places().nth(nth) {
            Some(place) => segment.slot(place).entry(),
            None => self.overflow.slot(extra.start + nth - count).entry(),
        }
    }
}

/// Occupied slots of a segment.
fn occupancy(segment: &Segment) -> usize {
    (0..BUCKET_COUNT)
        .map(|bucket| occupied(segment.slots(bucket)).count_ones() as usize)
        .sum()
}
