//! The bytes of a packed collection behind a single pointer.
//!
//! ```text
//!  0        4
//!  | length | bytes, up to `length` in all |
//! ```
//! A listpack begins with its own length anyway, and how much memory that length takes is arithmetic: a region of a slab, or above those what jemalloc
//! gives. So neither length nor capacity is kept beside the pointer. Small buffers have nothing in reserve: there are many, and most change rarely. One
//! that grows beyond [`SMALL_MAX`] becomes *roomy*, which the lowest bit of the pointer says: its memory is that of the next of four sizes per doubling, so that
//! appending moves it rarely.
//!
//! Invariants: the first four bytes are the length, little-endian, at least [`LENGTH_BYTES`]; the block is of exactly [`taken`] of it. Called by
//! listpacks and intsets.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;

use crate::entry::size_class;
use crate::slab::{self, EIGHTH, SLAB_MAX};

/// Bytes of the length.
pub(crate) const LENGTH_BYTES: usize = 4;

/// See the head of this file.
pub(crate) struct Buffer(NonNull<u8>);

// SAFETY: it owns its bytes like a `Vec`; a region of a slab may be freed by any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared one is only read.
unsafe impl Sync for Buffer {}

/// The longest buffer that has no room to spare.
const SMALL_MAX: usize = 512;
/// The bit of the pointer that says roomy.
const ROOMY: usize = 1;

/// The longest buffer with less memory than an eighth of a slab's block.
const BELOW_EIGHTH: usize = 7168;

const _: () = assert!(size_class(BELOW_EIGHTH) == BELOW_EIGHTH && size_class(EIGHTH) == 8192);

/// Bytes of memory that a buffer of this length takes. Up to `SLAB_MAX` it is a class of the slabs: those of jemalloc are some of these.
#[inline]
const fn taken(length: usize, is_roomy: bool) -> usize {
    if length <= SMALL_MAX || length <= SLAB_MAX && !is_roomy {
        slab::class(length)
    } else if length > BELOW_EIGHTH && length <= EIGHTH {
        EIGHTH
    } else {
        size_class(length)
    }
}

/// Whether a block of so many bytes lies in a slab.
#[inline]
const fn in_slab(bytes: usize) -> bool {
    bytes <= SLAB_MAX || bytes == EIGHTH
}

/// How a block beyond the slabs is allocated, which has the size of its class.
#[inline]
fn layout(bytes: usize) -> Layout {
    // SAFETY: 8 is a power of two, and the class of a length of 32 bits is far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(bytes, 8) }
}

/// A block of so many bytes, which are a class, not initialised. As with all collections of the standard library, memory that is refused ends the process.
fn allocate(bytes: usize) -> NonNull<u8> {
    let block = if in_slab(bytes) {
        slab::allocate(bytes)
    } else {
        // SAFETY: the layout's size is not zero.
        NonNull::new(unsafe { alloc(layout(bytes)) })
    };
    block.unwrap_or_else(|| handle_alloc_error(layout(bytes)))
}

/// # Safety
/// The block came from `allocate` with so many bytes, and is not used afterwards.
unsafe fn free(block: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if in_slab(bytes) {
            slab::free(block);
        } else {
            dealloc(block.as_ptr(), layout(bytes));
        }
    }
}

impl Buffer {
    /// A copy of these bytes, one part behind the other; the first four are overwritten by their number.
    ///
    /// # Panics
    /// If there are fewer than four, or 4 GiB.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        assert!(length >= LENGTH_BYTES && u32::try_from(length).is_ok());
        let block = allocate(taken(length, false));
        let mut at = 0;
        for part in parts {
            // SAFETY: the block has room for the sum of all parts, and is nobody else's.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), block.as_ptr().add(at), part.len()) };
            at += part.len();
        }
        let mut buffer = Self(block);
        buffer.set_length(length);
        buffer
    }

    #[inline]
    fn is_roomy(&self) -> bool {
        self.0.addr().get() & ROOMY != 0
    }

    #[inline]
    fn block(&self) -> NonNull<u8> {
        // SAFETY: blocks are 8-aligned and not at null, and only the lowest bit is taken away.
        unsafe { NonNull::new_unchecked(self.0.as_ptr().map_addr(|addr| addr & !ROOMY)) }
    }

    fn set_block(&mut self, block: NonNull<u8>, is_roomy: bool) {
        self.0 = block.map_addr(|addr| addr | usize::from(is_roomy));
    }

    /// Number of bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the first four bytes are initialised; the block is 8-aligned.
        u32::from_le(unsafe { self.block().cast::<u32>().read() }) as usize
    }

    /// Bytes of memory that it takes.
    #[inline]
    pub(crate) fn taken(&self) -> usize {
        taken(self.len(), self.is_roomy())
    }

    #[inline]
    fn set_length(&mut self, length: usize) {
        // SAFETY: every block has at least eight bytes, 8-aligned.
        unsafe { self.block().cast::<u32>().write((length as u32).to_le()) }
    }

    /// All bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes are initialised, and `self` is borrowed as long as they are.
        unsafe { slice::from_raw_parts(self.block().as_ptr(), self.len()) }
    }

    /// The bytes behind the length.
    #[inline]
    pub(crate) fn body_mut(&mut self) -> &mut [u8] {
        let body = self.len() - LENGTH_BYTES;
        // SAFETY: as in `as_slice`; the length itself is not given out, so it stays true.
        unsafe { slice::from_raw_parts_mut(self.block().as_ptr().add(LENGTH_BYTES), body) }
    }

    /// Puts other bytes in place of those of a range, and moves what is behind it. O(bytes from there on), or O(all bytes) if the class changes.
    ///
    /// # Panics
    /// If the range is not one behind the length's bytes, or the buffer became longer than 4 GiB.
    pub(crate) fn replace(&mut self, range: Range<usize>, fresh: &[u8]) {
        let Range { start, end } = range;
        let old = self.len();
        assert!(LENGTH_BYTES <= start && start <= end && end <= old);
        let (tail, new) = (old - end, old - (end - start) + fresh.len());
        assert!(
            u32::try_from(new).is_ok(),
            "a packed collection has at most 1 GiB"
        );
        let moved = Moved {
            from: end,
            to: start + fresh.len(),
            bytes: tail,
        };
        let is_roomy = new > SMALL_MAX && (self.is_roomy() || new > old);
        let (had, needs) = (self.taken(), taken(new, is_roomy));
        // SAFETY: all offsets are at most `old` in the old block and at most `new` in the new one, by the arithmetic above; `fresh` is borrowed
        // while `self` is borrowed mutably, so it is not of this buffer. A block is used only between its allocation and its end.
        unsafe {
            let block = if had == needs {
                moved.within(self.block());
                self.block()
            } else if !in_slab(had) && !in_slab(needs) {
                resize(self.block(), (had, needs), &moved)
            } else {
                let block = allocate(needs);
                let (old_block, new_block) = (self.block().as_ptr(), block.as_ptr());
                ptr::copy_nonoverlapping(old_block, new_block, start);
                ptr::copy_nonoverlapping(old_block.add(end), new_block.add(moved.to), tail);
                free(self.block(), had);
                block
            };
            ptr::copy_nonoverlapping(fresh.as_ptr(), block.as_ptr().add(start), fresh.len());
            self.set_block(block, is_roomy);
        }
        self.set_length(new);
    }

    /// Gives back what it has in reserve.
    pub(crate) fn shrink(&mut self) {
        if self.taken() > taken(self.len(), false) {
            *self = self.clone();
        }
    }
}

/// What lies behind a change: where it is, where it is to be, and its bytes.
struct Moved {
    from: usize,
    to: usize,
    bytes: usize,
}

impl Moved {
    /// # Safety
    /// Both places lie within the block, which is the caller's alone.
    unsafe fn within(&self, block: NonNull<u8>) {
        // SAFETY: the caller's promise; the places may overlap.
        unsafe {
            let block = block.as_ptr();
            ptr::copy(block.add(self.from), block.add(self.to), self.bytes);
        }
    }
}

/// Changes the size of a block outside of the slabs, in place if the allocator can, and moves what is to be moved.
///
/// # Safety
/// The block came from `allocate` with the first number of bytes, is the caller's alone, and is not used afterwards; both numbers are classes outside of
/// the slabs. Where the tail is lies within the first, where it is to be within the second.
unsafe fn resize(block: NonNull<u8>, (had, needs): (usize, usize), moved: &Moved) -> NonNull<u8> {
    // SAFETY: the caller's promise: the place that the tail goes to is in the block before it shrinks, or after it grew.
    unsafe {
        if needs < had {
            moved.within(block);
        }
        let resized = realloc(block.as_ptr(), layout(had), needs);
        let block = NonNull::new(resized).unwrap_or_else(|| handle_alloc_error(layout(needs)));
        if needs > had {
            moved.within(block);
        }
        block
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::of(&[self.as_slice()])
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the block has so many bytes, and nobody uses it any more.
        unsafe { free(self.block(), self.taken()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes as a `Vec` keeps them, with the length in front.
    fn framed(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = (bytes.len() as u32).to_le_bytes();
        bytes[..4].copy_from_slice(&length);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

        #[test]
        fn changes_are_those_of_a_vec(
            changes in prop::collection::vec((any::<(u16, u16)>(), prop_oneof![0usize..40, 0usize..3000, 2000usize..20_000]), 1..30)
        ) {
            let mut model = framed(vec![7; 9]);
            let mut buffer = Buffer::of(&[&model[..5], &model[5..]]);
            for ((from, to), length) in changes {
                let span = model.len() - 4;
                let (a, b) = (4 + usize::from(from) % (span + 1), 4 + usize::from(to) % (span + 1));
                let range = a.min(b)..a.max(b);
                let fresh = vec![from as u8; length];
                model.splice(range.clone(), fresh.iter().copied());
                model = framed(model);
                buffer.replace(range, &fresh);
                prop_assert!(buffer.as_slice() == model.as_slice());
                prop_assert!(buffer.clone() == buffer && buffer.taken() >= buffer.len());
                if from % 5 == 0 {
                    buffer.shrink();
                    prop_assert!(buffer.as_slice() == model.as_slice());
                    prop_assert_eq!(buffer.taken(), taken(model.len(), false));
                }
            }
            if let Some(last) = buffer.body_mut().last_mut() {
                *last = 1;
                prop_assert_eq!(buffer.as_slice().last(), Some(&1));
            }
        }
    }

    #[test]
    fn appending_moves_a_large_one_rarely() {
        let mut buffer = Buffer::of(&[&[0; 600]]);
        let mut moves = 0;
        for at in 600..100_000 {
            let before = buffer.taken();
            buffer.replace(at..at, &[1]);
            moves += usize::from(buffer.taken() != before);
        }
        assert!(moves <= 4 * 8, "{moves}");
    }

    #[test]
    fn the_allocators_classes_are_classes_of_the_slabs() {
        for length in SMALL_MAX + 1..=SLAB_MAX {
            let bytes = taken(length, true);
            assert_eq!(slab::class(bytes), bytes);
        }
    }

    #[test]
    fn one_pointer() {
        assert_eq!(size_of::<Option<Buffer>>(), 8);
    }
}
