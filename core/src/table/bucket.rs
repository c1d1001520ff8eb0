//! Slots and the two kinds of bucket: one cache line each.
//!
//! ```text
//!  slot         bits 0..48 blob address, 48 the entry or fields of it have a TTL, 49..53 window, 53..64 tag; zero = empty
//!  home bucket  version u32 | filter u16 | displaced u8 | stashed 5 bits, window number 3 bits | 7 slots
//!  stash bucket homes: 7 x 6 bits, then 22 bits of the segment's own data | 7 slots
//! ```
//!
//! Invariants: a slot that is not empty owns its entry. Bit `i` of `displaced` says that slot `i` holds an entry whose
//! home is the previous bucket. `stashed` counts the entries of this home in the segment's stash. For every entry of
//! this home that lies elsewhere (next bucket, stash, overflow) bit `tag % 16` of `filter` is set; a set bit may be
//! stale only while the segment has overflow entries. Called by the segment only, slots also by the overflow.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use super::hash::WINDOW_BITS;
use crate::entry::{Entry, PTR_BITS};

/// Slots of a bucket.
pub(super) const SLOT_COUNT: usize = 7;

const SLOT_MASK: u32 = (1 << SLOT_COUNT) - 1;
const TTL_BIT: usize = 1 << PTR_BITS;
const WINDOW_SHIFT: u32 = PTR_BITS + 1;
const WINDOW_MASK: usize = ((1 << WINDOW_BITS) - 1) << WINDOW_SHIFT;
const TAG_SHIFT: u32 = WINDOW_SHIFT + WINDOW_BITS;

/// A place for one entry. Plain data: whoever copies a slot forgets the other copy.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Slot(*mut u8);

impl Slot {
    pub(super) const EMPTY: Self = Self(ptr::null_mut());

    /// Takes an entry into a slot. The window is zero until `with_window`.
    #[inline]
    pub(super) fn new(entry: Entry, tag: u16) -> Self {
        let ttl = if entry.is_timed() { TTL_BIT } else { 0 };
        let bits = (tag as usize) << TAG_SHIFT | ttl;
        Self(entry.into_ptr().as_ptr().map_addr(|addr| addr | bits))
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0.is_null()
    }

    /// The tag; zero for an empty slot.
    #[inline]
    pub(super) fn tag(self) -> u16 {
        (self.0.addr() >> TAG_SHIFT) as u16
    }

    /// Four bits of the entry's hash prefix; which ones, the segment knows.
    #[inline]
    pub(super) fn window(self) -> u8 {
        ((self.0.addr() & WINDOW_MASK) >> WINDOW_SHIFT) as u8
    }

    /// The same slot with another window.
    #[inline]
    pub(super) fn with_window(self, window: u8) -> Self {
        let bits = (window as usize) << WINDOW_SHIFT;
        Self(self.0.map_addr(|addr| addr & !WINDOW_MASK | bits))
    }

    /// Whether the slot holds an entry that expiry must look at (`Entry::is_timed`). No dereference.
    #[inline]
    pub(super) fn has_ttl(self) -> bool {
        self.0.addr() & TTL_BIT != 0
    }

    #[inline]
    pub(super) fn set_ttl(&mut self, ttl: bool) {
        let bit = if ttl { TTL_BIT } else { 0 };
        self.0 = self.0.map_addr(|addr| addr & !TTL_BIT | bit);
    }

    /// The address of the blob, for prefetching; null if empty.
    #[inline]
    pub(super) fn address(self) -> *const u8 {
        self.0.map_addr(|addr| addr & (TTL_BIT - 1))
    }

    /// The entry in the slot.
    #[inline]
    pub(super) fn entry(&self) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: `Entry` is a transparent non-null pointer whose upper bits it ignores; this one is not null and
        // owns a live blob.
        Some(unsafe { &*ptr::from_ref(self).cast::<Entry>() })
    }

    /// The entry in the slot, to be changed but not to be replaced: the tag is in the handle's upper bits.
    #[inline]
    pub(super) fn entry_mut(&mut self) -> Option<&mut Entry> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: as in `entry`.
        Some(unsafe { &mut *ptr::from_mut(self).cast::<Entry>() })
    }

    /// Puts a copy of the slot's entry in its place: tag, window and TTL bit stay, as key and times are the same. Returns the old one.
    pub(super) fn put_copy(&mut self, copy: Entry) -> Option<Entry> {
        let bits = self.0.addr() & !(TTL_BIT - 1);
        let old = self.take()?;
        self.0 = copy.into_ptr().as_ptr().map_addr(|addr| addr | bits);
        Some(old)
    }

    /// Empties the slot.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Entry> {
        let ptr = NonNull::new(std::mem::replace(self, Self::EMPTY).0)?;
        // SAFETY: the slot owned the blob and is empty now.
        Some(unsafe { Entry::from_ptr(ptr) })
    }
}

/// A bucket that keys hash to.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct HomeBucket {
    /// The newest walk this home bucket was emitted to.
    pub(super) version: u32,
    pub(super) filter: u16,
    pub(super) displaced: u8,
    /// Bits 0..5 stashed, 5..8 number of the segment's window.
    counts: u8,
    pub(super) slots: [Slot; SLOT_COUNT],
}

impl HomeBucket {
    /// Entries of this home in the stash, at most 28.
    #[inline]
    pub(super) fn stashed(&self) -> usize {
        usize::from(self.counts & 31)
    }

    pub(super) fn add_stashed(&mut self) {
        self.counts += 1;
    }

    pub(super) fn clear_stashed(&mut self) {
        self.counts &= !31;
    }

    pub(super) fn remove_stashed(&mut self) {
        self.counts -= 1;
    }

    /// The number of the window in the segment's slots, kept here so that an insert reads no other line for it.
    #[inline]
    pub(super) fn window_number(&self) -> u32 {
        u32::from(self.counts >> 5)
    }

    pub(super) fn set_window_number(&mut self, number: u32) {
        self.counts = self.counts & 31 | (number as u8) << 5;
    }
}

/// A bucket for entries whose home and next bucket are full.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct StashBucket {
    header: u64,
    pub(super) slots: [Slot; SLOT_COUNT],
}

/// Where the segment's own 22 bits start.
const META_SHIFT: u32 = 42;

impl StashBucket {
    /// The home of the entry in slot `i`.
    #[inline]
    pub(super) fn home(&self, i: usize) -> usize {
        (self.header >> (6 * i)) as usize & 63
    }

    #[inline]
    pub(super) fn set_home(&mut self, i: usize, home: usize) {
        self.header = self.header & !(63 << (6 * i)) | (home as u64) << (6 * i);
    }

    /// 22 bits for the segment.
    #[inline]
    pub(super) fn meta(&self) -> u32 {
        (self.header >> META_SHIFT) as u32
    }

    #[inline]
    pub(super) fn set_meta(&mut self, meta: u32) {
        self.header = self.header & ((1 << META_SHIFT) - 1) | u64::from(meta) << META_SHIFT;
    }
}

/// The bit of `filter` for this tag.
#[inline]
pub(super) const fn filter_bit(tag: u16) -> u16 {
    1 << (tag & 15)
}

/// Bit `i` is set where slot `i` carries the tag. All seven at once, without a branch.
#[inline]
#[cfg(target_arch = "x86_64")]
pub(super) fn match_tag(slots: &[Slot; SLOT_COUNT], tag: u16) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi16, _mm_loadl_epi64, _mm_loadu_si128, _mm_movemask_epi8,
        _mm_packs_epi16, _mm_packs_epi32, _mm_set1_epi16, _mm_setzero_si128, _mm_srli_epi64,
    };
    const SHIFT: i32 = TAG_SHIFT as i32;
    let at = slots.as_ptr().cast::<u8>();
    // SAFETY: SSE2 is part of x86-64; 16 + 16 + 16 + 8 bytes are the seven slots.
    unsafe {
        let pair = |i: usize| _mm_srli_epi64::<SHIFT>(_mm_loadu_si128(at.add(16 * i).cast()));
        let last: __m128i = _mm_srli_epi64::<SHIFT>(_mm_loadl_epi64(at.add(48).cast()));
        // A tag has 11 bits, so nothing saturates: eight quadwords become eight words.
        let low = _mm_packs_epi32(pair(0), pair(1));
        let high = _mm_packs_epi32(pair(2), last);
        let tags = _mm_packs_epi32(low, high);
        let equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(tag as i16));
        _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) as u32 & SLOT_MASK
    }
}

/// Bit `i` is set where slot `i` carries the tag. Seven compares without a branch.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn match_tag(slots: &[Slot; SLOT_COUNT], tag: u16) -> u32 {
    let mut mask = 0;
    for (i, slot) in slots.iter().enumerate() {
        mask |= u32::from(slot.tag() == tag) << i;
    }
    mask
}

/// Bit `i` is set where slot `i` is empty. Only an empty slot has tag 0.
#[inline]
pub(super) fn vacant(slots: &[Slot; SLOT_COUNT]) -> u32 {
    match_tag(slots, 0)
}

/// Bit `i` is set where slot `i` holds an entry.
#[inline]
pub(super) fn occupied(slots: &[Slot; SLOT_COUNT]) -> u32 {
    vacant(slots) ^ SLOT_MASK
}

/// The first empty slot.
#[inline]
pub(super) fn free_slot(slots: &[Slot; SLOT_COUNT]) -> Option<usize> {
    bits(vacant(slots)).next()
}

/// Indexes of the set bits, ascending.
#[inline]
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let i = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (i < SLOT_COUNT).then_some(i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::StrValue;

    #[test]
    fn tags_match_slot_by_slot() {
        for pattern in 0..1u32 << SLOT_COUNT {
            for (tag, other) in [(1, 2), (0x7ff, 1), (0x400, 0x7ff), (0x0ff, 0x700)] {
                let mut slots = [Slot::EMPTY; SLOT_COUNT];
                for (i, slot) in slots.iter_mut().enumerate() {
                    let expire = (i % 2 == 0).then_some(1);
                    let tag = if pattern >> i & 1 != 0 { tag } else { other };
                    *slot = Slot::new(Entry::new(b"k", StrValue::Int(1), expire), tag)
                        .with_window(i as u8 + 9);
                    assert_eq!((slot.tag(), slot.window()), (tag, i as u8 + 9));
                    assert_eq!(slot.has_ttl(), expire.is_some());
                }
                assert_eq!(match_tag(&slots, tag), pattern);
                assert_eq!(match_tag(&slots, other), pattern ^ SLOT_MASK);
                assert_eq!((vacant(&slots), free_slot(&slots)), (0, None));
                bits(pattern).for_each(|i| drop(slots[i].take()));
                assert_eq!(
                    (vacant(&slots), free_slot(&slots)),
                    (pattern, bits(pattern).next())
                );
                assert_eq!(match_tag(&slots, tag), 0);
                slots.iter_mut().for_each(|slot| drop(slot.take()));
            }
        }
    }
}
