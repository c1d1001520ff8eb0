//! Fetching lines before they are needed.
//!
//! A shard that has several commands at hand calls [`Table::prefetch`] for each, then [`Table::prefetch_entry`] for
//! each, then runs them: the misses of different commands overlap. Collections lie two steps further: [`Table::prefetch_object`] and
//! [`Table::prefetch_contents`]. No invariants: a prefetch changes nothing.
#![allow(unsafe_code)]

use std::ptr;

use super::bucket::match_tag;
use super::hash::{home_of, tag_of};
use super::keyspace::Table;
use crate::entry::Entry;

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// Asks for a cache line. Any address is allowed.
#[inline]
pub(crate) fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch of any address is harmless.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl Table {
    /// Fetches the line of the home bucket of a hash. Waits for the directory's line at most.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(segment) = self.directory.segment(hash) {
            prefetch_line(segment.home_line(home_of(hash)));
        }
    }

    /// Fetches the blob that a lookup of this hash will most likely read: those in the home bucket with its tag, if
    /// none the next bucket's line. Reads the home bucket's line.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        let Some(segment) = self.directory.segment(hash) else {
            return;
        };
        let (home, tag) = (home_of(hash), tag_of(hash));
        let slots = segment.slots(home);
        let found = match_tag(slots, tag);
        if found != 0 {
            let blob = slots[found.trailing_zeros() as usize].address();
            prefetch_line(blob);
            // Key and value of a usual entry reach into a second line.
            prefetch_line(blob.wrapping_add(LINE_BYTES));
        } else if segment.may_be_away(home, tag) {
            prefetch_line(
                segment.home_line(if home + 1 == super::segment::HOME_COUNT {
                    0
                } else {
                    home + 1
                }),
            );
        }
    }

    /// The entry that a lookup of this hash will most likely find, if it is in its home bucket.
    #[inline]
    fn likely(&self, hash: u64) -> Option<&Entry> {
        let slots = self.directory.segment(hash)?.slots(home_of(hash));
        let found = match_tag(slots, tag_of(hash));
        slots.get(found.trailing_zeros() as usize)?.entry()
    }

    /// Fetches the head of the collection in that entry and says whether it holds one. Reads the entry's line.
    #[inline]
    pub fn prefetch_object(&self, hash: u64) -> bool {
        let object = self.likely(hash).and_then(Entry::object);
        if let Some(object) = object {
            prefetch_line(ptr::from_ref(object).cast());
        }
        object.is_some()
    }

    /// Fetches what the head of that collection points to. Reads the head.
    #[inline]
    pub fn prefetch_contents(&self, hash: u64) {
        if let Some(object) = self.likely(hash).and_then(Entry::object) {
            let contents = object.contents();
            prefetch_line(contents);
            prefetch_line(contents.wrapping_add(LINE_BYTES));
        }
    }
}
