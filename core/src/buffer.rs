//! The bytes of a packed collection behind a single pointer.
//!
//! ```text
//!  0        4
//!  | length | bytes, up to `length` in all |
//! ```
//! A listpack begins with its own length anyway, and how much memory that length takes is arithmetic: a region of a slab, or above those what jemalloc
//! gives. So neither length nor capacity is kept beside the pointer, and nothing is kept in reserve: there are many packed collections, and most change
//! rarely. A change that leaves the size class is a move.
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
use crate::slab::{self, SLAB_MAX};

/// Bytes of the length.
pub(crate) const LENGTH_BYTES: usize = 4;

/// See the head of this file.
pub(crate) struct Buffer(NonNull<u8>);

// SAFETY: it owns its bytes like a `Vec`; a region of a slab may be freed by any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared one is only read.
unsafe impl Sync for Buffer {}

/// Bytes of memory that a buffer of this length takes.
#[inline]
pub(crate) const fn taken(length: usize) -> usize {
    if length <= SLAB_MAX {
        slab::class(length)
    } else {
        size_class(length)
    }
}

/// How a buffer beyond the slabs is allocated.
#[inline]
fn layout(length: usize) -> Layout {
    // SAFETY: 8 is a power of two, and a length of 32 bits is far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(size_class(length), 8) }
}

/// A block for this length, not initialised. As with all collections of the standard library, memory that is refused ends the process.
fn allocate(length: usize) -> NonNull<u8> {
    let block = if length <= SLAB_MAX {
        slab::allocate(length)
    } else {
        // SAFETY: the layout's size is not zero.
        NonNull::new(unsafe { alloc(layout(length)) })
    };
    block.unwrap_or_else(|| handle_alloc_error(layout(length)))
}

/// # Safety
/// The block came from `allocate` with a length of the same class, and is not used afterwards.
unsafe fn free(block: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise; the class alone decides where it came from.
    unsafe {
        if length <= SLAB_MAX {
            slab::free(block);
        } else {
            dealloc(block.as_ptr(), layout(length));
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
        let block = allocate(length);
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

    /// Number of bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the first four bytes are initialised; the block is 8-aligned.
        u32::from_le(unsafe { self.0.cast::<u32>().read() }) as usize
    }

    #[inline]
    fn set_length(&mut self, length: usize) {
        // SAFETY: every block has at least eight bytes, 8-aligned.
        unsafe { self.0.cast::<u32>().write((length as u32).to_le()) }
    }

    /// All bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes are initialised, and `self` is borrowed as long as they are.
        unsafe { slice::from_raw_parts(self.0.as_ptr(), self.len()) }
    }

    /// The bytes behind the length.
    #[inline]
    pub(crate) fn body_mut(&mut self) -> &mut [u8] {
        let body = self.len() - LENGTH_BYTES;
        // SAFETY: as in `as_slice`; the length itself is not given out, so it stays true.
        unsafe { slice::from_raw_parts_mut(self.0.as_ptr().add(LENGTH_BYTES), body) }
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
        let fresh_end = start + fresh.len();
        // SAFETY: all offsets are at most `old` in the old block and at most `new` in the new one, by the arithmetic above; `fresh` is borrowed
        // while `self` is borrowed mutably, so it is not of this buffer. A block is used only between its allocation and its end.
        unsafe {
            if taken(old) == taken(new) {
                let block = self.0.as_ptr();
                ptr::copy(block.add(end), block.add(fresh_end), tail);
            } else if old > SLAB_MAX && new > SLAB_MAX {
                self.resize_large(old, new, (end, fresh_end, tail));
            } else {
                let block = allocate(new);
                let (from, to) = (self.0.as_ptr(), block.as_ptr());
                ptr::copy_nonoverlapping(from, to, start);
                ptr::copy_nonoverlapping(from.add(end), to.add(fresh_end), tail);
                free(self.0, old);
                self.0 = block;
            }
            ptr::copy_nonoverlapping(fresh.as_ptr(), self.0.as_ptr().add(start), fresh.len());
        }
        self.set_length(new);
    }

    /// The middle way of `replace`: the allocator may be able to resize in place. `moved` is where the tail lies, where it is to lie, and its bytes.
    ///
    /// # Safety
    /// `old` is the length, both lengths are beyond the slabs, and the tail lies within them.
    unsafe fn resize_large(&mut self, old: usize, new: usize, moved: (usize, usize, usize)) {
        let (from, to, bytes) = moved;
        // SAFETY: the caller's promise: where the tail goes is in the block before it shrinks, or after it grew.
        unsafe {
            if new < old {
                ptr::copy(self.0.as_ptr().add(from), self.0.as_ptr().add(to), bytes);
            }
            let block = realloc(self.0.as_ptr(), layout(old), layout(new).size());
            self.0 = NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout(new)));
            if new > old {
                ptr::copy(self.0.as_ptr().add(from), self.0.as_ptr().add(to), bytes);
            }
        }
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
        // SAFETY: the block is of this length's class, and nobody uses it any more.
        unsafe { free(self.0, self.len()) }
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
                prop_assert!(buffer.clone() == buffer);
            }
            if let Some(last) = buffer.body_mut().last_mut() {
                *last = 1;
                prop_assert_eq!(buffer.as_slice().last(), Some(&1));
            }
        }
    }

    #[test]
    fn one_pointer() {
        assert_eq!(size_of::<Option<Buffer>>(), 8);
    }
}
