//! One segment: 60 home buckets and 4 stash buckets, 4 KiB.
//!
//! Owns the placement of entries inside a segment. An entry lies in its home bucket, else in the next one
//! (displaced), else in the stash; a home bucket's own line tells whether looking further can help. Invariants: see
//! `bucket.rs` for the headers; the stash's spare bits hold the depth, the count of slots with a TTL and the state of
//! the overflow. Nothing here looks at a hash: home and tag are what the segment knows of a key. Called by the table.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::bucket::{
    HomeBucket, SLOT_COUNT, Slot, StashBucket, bits, filter_bit, free_slot, match_tag, occupied,
};
use super::hash::{window_at, window_of};
use crate::entry::Entry;

/// Home buckets of a segment.
pub(super) const HOME_COUNT: usize = 60;
/// Stash buckets of a segment.
pub(super) const STASH_COUNT: usize = 4;
/// All buckets of a segment.
pub(super) const BUCKET_COUNT: usize = HOME_COUNT + STASH_COUNT;
/// All slots of a segment.
pub(super) const CAPACITY: usize = BUCKET_COUNT * SLOT_COUNT;
/// Bytes of a segment, which is a size class.
pub(super) const SEGMENT_BYTES: usize = size_of::<Segment>();

const _: () = assert!(SEGMENT_BYTES == 4096);

/// 64 cache lines.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Segment {
    homes: [HomeBucket; HOME_COUNT],
    stash: [StashBucket; STASH_COUNT],
}

/// A slot of a segment: the bucket (home buckets first, then the stash) and the index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: usize,
    pub(super) slot: usize,
}

/// Refused splits are tried again after this many further overflows.
const SPLIT_RETRY: u32 = 63;
const OVERFLOWED: u32 = 1;

#[inline]
const fn next(home: usize) -> usize {
    if home + 1 == HOME_COUNT { 0 } else { home + 1 }
}

#[inline]
const fn previous(home: usize) -> usize {
    if home == 0 { HOME_COUNT - 1 } else { home - 1 }
}

impl Segment {
    /// Bits of the hash prefix that all keys of the segment share.
    #[inline]
    pub(super) fn depth(&self) -> u32 {
        self.stash[0].meta() & 63
    }

    /// Sets depth and window number. The slots' windows are the caller's business.
    pub(super) fn set_depth(&mut self, depth: u32) {
        self.stash[0].set_meta(self.stash[0].meta() & !63 | depth);
        let number = window_at(depth);
        self.homes
            .iter_mut()
            .for_each(|line| line.set_window_number(number));
    }

    /// The window that a slot with this hash and home has in this segment. Reads the home line only.
    #[inline]
    pub(super) fn window(&self, hash: u64, home: usize) -> u8 {
        window_of(hash, self.homes[home].window_number())
    }

    /// Gives all slots the same window.
    pub(super) fn set_windows(&mut self, window: u8) {
        for bucket in 0..BUCKET_COUNT {
            for slot in self
                .slots_mut(bucket)
                .iter_mut()
                .filter(|slot| !slot.is_empty())
            {
                *slot = slot.with_window(window);
            }
        }
    }

    /// Slots with a TTL, overflow entries not included.
    #[inline]
    pub(super) fn ttl_count(&self) -> u32 {
        self.stash[0].meta() >> 6
    }

    #[inline]
    fn add_ttl(&mut self, change: i32) {
        let meta = self.stash[0].meta();
        self.stash[0].set_meta(meta.wrapping_add_signed(change * 64));
    }

    /// Whether entries of this segment are in the table's overflow.
    #[inline]
    pub(super) fn overflowed(&self) -> bool {
        self.stash[1].meta() & OVERFLOWED != 0
    }

    /// Notes that the overflow has no entry of this segment any more.
    pub(super) fn clear_overflowed(&mut self) {
        self.stash[1].set_meta(0);
        for home in 0..HOME_COUNT {
            self.refilter(home);
        }
    }

    /// Notes that an entry of this home went to the overflow.
    pub(super) fn note_overflow(&mut self, home: usize, tag: u16) {
        self.stash[1].set_meta(self.stash[1].meta() | OVERFLOWED);
        self.homes[home].filter |= filter_bit(tag);
    }

    /// Notes a refused split, which saves the next ones the trouble.
    pub(super) fn defer_split(&mut self) {
        self.stash[1].set_meta(self.stash[1].meta() & OVERFLOWED | SPLIT_RETRY << 1);
    }

    /// Whether a split was refused a short while ago; counts down.
    pub(super) fn split_deferred(&mut self) -> bool {
        let meta = self.stash[1].meta();
        if meta >> 1 == 0 {
            return false;
        }
        self.stash[1].set_meta(meta - 2);
        true
    }

    #[inline]
    pub(super) fn version(&self, home: usize) -> u32 {
        self.homes[home].version
    }

    #[inline]
    pub(super) fn set_version(&mut self, home: usize, version: u32) {
        self.homes[home].version = version;
    }

    /// The line a key's lookup starts with.
    #[inline]
    pub(super) fn home_line(&self, home: usize) -> *const u8 {
        (&raw const self.homes[home]).cast()
    }

    #[inline]
    pub(super) fn slots(&self, bucket: usize) -> &[Slot; SLOT_COUNT] {
        if bucket < HOME_COUNT {
            &self.homes[bucket].slots
        } else {
            &self.stash[bucket - HOME_COUNT].slots
        }
    }

    #[inline]
    fn slots_mut(&mut self, bucket: usize) -> &mut [Slot; SLOT_COUNT] {
        if bucket < HOME_COUNT {
            &mut self.homes[bucket].slots
        } else {
            &mut self.stash[bucket - HOME_COUNT].slots
        }
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.slots(place.bucket)[place.slot]
    }

    /// The entry at a place, to be changed; its TTL bit is `set_ttl`'s business.
    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut Slot {
        &mut self.slots_mut(place.bucket)[place.slot]
    }

    /// The home bucket of the entry at an occupied place. No dereference.
    #[inline]
    pub(super) fn home_at(&self, place: Place) -> usize {
        if place.bucket >= HOME_COUNT {
            self.stash[place.bucket - HOME_COUNT].home(place.slot)
        } else if self.homes[place.bucket].displaced >> place.slot & 1 != 0 {
            previous(place.bucket)
        } else {
            place.bucket
        }
    }

    /// Looks for a key in its home bucket: one line, and one blob per matching tag.
    #[inline(always)]
    pub(super) fn find_home(&self, home: usize, tag: u16, key: &[u8]) -> Option<Place> {
        let bucket = &self.homes[home];
        let found = match_tag(&bucket.slots, tag) & !u32::from(bucket.displaced);
        key_in(&bucket.slots, found, key).map(|slot| Place { bucket: home, slot })
    }

    /// The entry of a key that is in its home bucket.
    #[inline(always)]
    pub(super) fn entry_at_home(&self, home: usize, tag: u16, key: &[u8]) -> Option<&Entry> {
        let bucket = &self.homes[home];
        let found = match_tag(&bucket.slots, tag) & !u32::from(bucket.displaced);
        bits(found)
            .filter_map(|i| bucket.slots[i].entry())
            .find(|entry| entry.has_key(key))
    }

    /// Whether a key that is not in its home bucket may be elsewhere. Reads the home line only.
    #[inline]
    pub(super) fn may_be_away(&self, home: usize, tag: u16) -> bool {
        self.homes[home].filter & filter_bit(tag) != 0
    }

    /// Looks for a key in the next bucket and the stash.
    pub(super) fn find_away(&self, home: usize, tag: u16, key: &[u8]) -> Option<Place> {
        let bucket = next(home);
        let line = &self.homes[bucket];
        let found = match_tag(&line.slots, tag) & u32::from(line.displaced);
        if let Some(slot) = key_in(&line.slots, found, key) {
            return Some(Place { bucket, slot });
        }
        if self.homes[home].stashed() == 0 {
            return None;
        }
        for (i, line) in self.stash.iter().enumerate() {
            let found = match_tag(&line.slots, tag);
            let slot =
                bits(found).find(|&slot| line.home(slot) == home && holds(&line.slots[slot], key));
            if let Some(slot) = slot {
                return Some(Place {
                    bucket: HOME_COUNT + i,
                    slot,
                });
            }
        }
        None
    }

    /// Calls `visit` for every slot with an entry of this home, overflow not included. One line, a second one and
    /// the stash where the home line says so.
    #[inline]
    pub(super) fn each_of_home(&self, home: usize, mut visit: impl FnMut(&Slot)) {
        let line = &self.homes[home];
        bits(occupied(&line.slots) & !u32::from(line.displaced))
            .for_each(|i| visit(&line.slots[i]));
        if line.filter == 0 {
            return;
        }
        let line = &self.homes[next(home)];
        bits(u32::from(line.displaced)).for_each(|i| visit(&line.slots[i]));
        if self.homes[home].stashed() == 0 {
            return;
        }
        for line in &self.stash {
            bits(occupied(&line.slots))
                .filter(|&i| line.home(i) == home)
                .for_each(|i| visit(&line.slots[i]));
        }
    }

    /// Places an entry: home, next bucket, either of them after moving another entry on, stash. Says false, and
    /// keeps nothing, when the segment has no room.
    #[inline]
    pub(super) fn put(&mut self, slot: Slot, home: usize) -> bool {
        if let Some(i) = free_slot(&self.homes[home].slots) {
            self.homes[home].slots[i] = slot;
        } else if !self.put_away(slot, home) {
            return false;
        }
        if slot.has_ttl() {
            self.add_ttl(1);
        }
        true
    }

    #[inline(never)]
    fn put_away(&mut self, slot: Slot, home: usize) -> bool {
        if self.put_displaced(slot, home) || self.make_room(home) && self.put_displaced(slot, home)
        {
            return true;
        }
        if let Some(i) = self.send_home(home) {
            self.homes[home].slots[i] = slot;
            return true;
        }
        for line in &mut self.stash {
            if let Some(i) = free_slot(&line.slots) {
                line.slots[i] = slot;
                line.set_home(i, home);
                self.homes[home].add_stashed();
                self.homes[home].filter |= filter_bit(slot.tag());
                return true;
            }
        }
        false
    }

    /// Places an entry into the bucket after its home.
    fn put_displaced(&mut self, slot: Slot, home: usize) -> bool {
        let line = &mut self.homes[next(home)];
        let Some(i) = free_slot(&line.slots) else {
            return false;
        };
        line.slots[i] = slot;
        line.displaced |= 1 << i;
        self.homes[home].filter |= filter_bit(slot.tag());
        true
    }

    /// Frees a slot of the full bucket after `home` by moving one of its own entries to the bucket after it.
    fn make_room(&mut self, home: usize) -> bool {
        let bucket = next(home);
        let line = &self.homes[bucket];
        let Some(i) = bits(!u32::from(line.displaced)).next() else {
            return false;
        };
        let slot = line.slots[i];
        if !self.put_displaced(slot, bucket) {
            return false;
        }
        self.homes[bucket].slots[i] = Slot::EMPTY;
        true
    }

    /// Frees a slot of the full bucket `home` by moving an entry displaced into it back to its own home.
    fn send_home(&mut self, home: usize) -> Option<usize> {
        let owner = previous(home);
        let i = bits(u32::from(self.homes[home].displaced)).next()?;
        let j = free_slot(&self.homes[owner].slots)?;
        self.homes[owner].slots[j] = self.homes[home].slots[i];
        self.homes[home].slots[i] = Slot::EMPTY;
        self.homes[home].displaced &= !(1 << i);
        self.refilter(owner);
        Some(i)
    }

    /// Takes the entry out of an occupied place.
    #[inline]
    pub(super) fn take(&mut self, place: Place) -> Slot {
        let home = self.home_at(place);
        let slot = std::mem::replace(self.slot_mut(place), Slot::EMPTY);
        if slot.has_ttl() {
            self.add_ttl(-1);
        }
        if place.bucket != home {
            if place.bucket < HOME_COUNT {
                self.homes[place.bucket].displaced &= !(1 << place.slot);
            } else {
                self.homes[home].remove_stashed();
            }
            self.refilter(home);
        }
        slot
    }

    /// Writes the TTL bit of an occupied place.
    #[inline]
    pub(super) fn set_ttl(&mut self, place: Place, ttl: bool) {
        let slot = self.slot_mut(place);
        let change = i32::from(ttl) - i32::from(slot.has_ttl());
        slot.set_ttl(ttl);
        if change != 0 {
            self.add_ttl(change);
        }
    }

    /// Computes a home's filter anew. While the segment has overflow entries, whose tags are not here, bits stay.
    fn refilter(&mut self, home: usize) {
        let mut filter = if self.overflowed() {
            self.homes[home].filter
        } else {
            0
        };
        let line = &self.homes[next(home)];
        bits(u32::from(line.displaced)).for_each(|i| filter |= filter_bit(line.slots[i].tag()));
        if self.homes[home].stashed() > 0 {
            for line in &self.stash {
                bits(occupied(&line.slots))
                    .filter(|&i| line.home(i) == home)
                    .for_each(|i| filter |= filter_bit(line.slots[i].tag()));
            }
        }
        self.homes[home].filter = filter;
    }

    #[cfg(test)]
    pub(super) fn stashed(&self, home: usize) -> usize {
        self.homes[home].stashed()
    }

    /// Empties the segment without dropping entries; versions stay.
    pub(super) fn reset(&mut self, depth: u32) {
        for line in &mut self.homes {
            line.filter = 0;
            line.displaced = 0;
            line.clear_stashed();
            line.slots = [Slot::EMPTY; SLOT_COUNT];
        }
        for line in &mut self.stash {
            line.slots = [Slot::EMPTY; SLOT_COUNT];
            line.set_meta(0);
        }
        self.set_depth(depth);
    }

    /// All occupied places, home buckets first.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        (0..BUCKET_COUNT).flat_map(|bucket| {
            bits(occupied(self.slots(bucket))).map(move |slot| Place { bucket, slot })
        })
    }

    fn drop_entries(&mut self) {
        for bucket in 0..BUCKET_COUNT {
            for slot in self.slots_mut(bucket) {
                drop(slot.take());
            }
        }
    }
}

#[inline]
fn holds(slot: &Slot, key: &[u8]) -> bool {
    slot.entry().is_some_and(|entry: &Entry| entry.has_key(key))
}

#[inline]
fn key_in(slots: &[Slot; SLOT_COUNT], candidates: u32, key: &[u8]) -> Option<usize> {
    bits(candidates).find(|&i| holds(&slots[i], key))
}

/// A segment that is not, or no longer, in a directory. Dropping it drops its entries.
pub(super) struct OwnedSegment(NonNull<Segment>);

impl OwnedSegment {
    /// An empty segment. All-zero bytes are one of depth 0.
    pub(super) fn new(depth: u32) -> Self {
        let layout = Layout::new::<Segment>();
        // SAFETY: the layout is not zero-sized.
        let ptr = unsafe { alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(ptr.cast()) else {
            handle_alloc_error(layout)
        };
        // Zero is a valid value of every field: empty slots, zero headers.
        let mut segment = Self(ptr);
        segment.as_mut().set_depth(depth);
        segment
    }

    /// Gives the segment up to a directory.
    pub(super) fn into_ptr(self) -> NonNull<Segment> {
        let ptr = self.0;
        std::mem::forget(self);
        ptr
    }

    /// Takes a segment back.
    ///
    /// # Safety
    /// It came from `into_ptr`, and nothing else refers to it or will.
    pub(super) unsafe fn from_ptr(ptr: NonNull<Segment>) -> Self {
        Self(ptr)
    }

    pub(super) fn as_ref(&self) -> &Segment {
        // SAFETY: this is the only owner, and the segment is initialised.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn as_mut(&mut self) -> &mut Segment {
        // SAFETY: this is the only owner, and the segment is initialised.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for OwnedSegment {
    fn drop(&mut self) {
        self.as_mut().drop_entries();
        // SAFETY: allocated with this layout, by the global allocator; this was the only owner.
        unsafe { dealloc(self.0.as_ptr().cast(), Layout::new::<Segment>()) }
    }
}
