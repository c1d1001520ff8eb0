//! SCAN: a pass over the table whose whole state is one integer.
//!
//! ```text
//!  cursor   bits 0..32 hash prefix, bits 32..38 home bucket; 0 = start and end
//! ```
//!
//! The pass goes home bucket by home bucket, and for each over all segments in the order of their prefixes.
//! Invariant: at cursor (b, p), every key that was in the table all along and whose home is below b, or is b with a
//! prefix below p, has been visited. A key's home and prefix never change, and a step at (b, p) visits all
//! keys of home b in the whole segment that holds p before it moves on to that segment's end; so neither splits nor
//! merges nor moves between buckets can hide a key. Only a merge can make one appear twice. Called by the SCAN
//! family.

use super::hash::{DEPTH_MAX, home_of, prefix_after};
use super::keyspace::Table;
use super::overflow::Overflow;
use super::segment::{HOME_COUNT, Segment};
use crate::entry::Entry;

/// Every cursor is below 2^38.
pub const CURSOR_BITS: u32 = DEPTH_MAX + HOME_COUNT.next_power_of_two().trailing_zeros();

impl Table {
    /// Visits the keys of one home bucket, about five, and returns the cursor to go on with, 0 at the end. Start
    /// with 0. Any cursor is safe; one that no scan returned merely visits something or ends.
    ///
    /// One to two lines and one blob per key (if `visit` looks at it). Work without `visit` is bounded, save for
    /// entries of the overflow.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&Entry)) -> u64 {
        let home = (cursor >> DEPTH_MAX) as usize;
        let prefix = cursor as u32;
        let hash = u64::from(prefix) << 32;
        let Some(segment) = self.directory.segment(hash).filter(|_| home < HOME_COUNT) else {
            return 0;
        };
        each_of_home(segment, &self.overflow, hash, home, visit);
        let after = prefix_after(prefix, segment.depth());
        // An `after` of 2^32 carries into the home bucket.
        let next = ((home as u64) << DEPTH_MAX) + after;
        if next >> DEPTH_MAX == HOME_COUNT as u64 {
            0
        } else {
            next
        }
    }
}

impl Table {
    /// Visits all entries that share the home bucket of this hash, those of other hashes too. About five; one to two lines, and one blob per key.
    pub fn each_near(&self, hash: u64, visit: &mut dyn FnMut(&Entry)) {
        if let Some(segment) = self.directory.segment(hash) {
            each_of_home(segment, &self.overflow, hash, home_of(hash), visit);
        }
    }
}

/// Visits all entries of one home bucket of the segment of `hash`.
#[inline]
pub(super) fn each_of_home(
    segment: &Segment,
    overflow: &Overflow,
    hash: u64,
    home: usize,
    visit: &mut dyn FnMut(&Entry),
) {
    segment.each_of_home(home, |slot| slot.entry().into_iter().for_each(&mut *visit));
    if segment.overflowed() {
        overflow.each_of_home(hash, segment.depth(), home, visit);
    }
}
