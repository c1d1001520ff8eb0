//! One of the allocations of an entry, to be asked where it lies.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Entry;
use crate::slab;

/// A live allocation of an entry: its blob, or a large value's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    at: NonNull<u8>,
    in_slab: bool,
    entry: PhantomData<&'a Entry>,
}

impl Part<'_> {
    /// # Safety
    /// `at` is live as long as the result; `in_slab` says whether it is a region of a slab.
    pub(super) unsafe fn new(at: NonNull<u8>, in_slab: bool) -> Self {
        Part {
            at,
            in_slab,
            entry: PhantomData,
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn address(self) -> *const u8 {
        self.at.as_ptr()
    }

    /// Whether it lies in sparsely used memory, so that pages would be free if it went elsewhere. Of what is not in a slab, `allocator` knows. O(1).
    pub fn is_sparse(self, allocator: impl FnOnce(*const u8) -> bool) -> bool {
        if self.in_slab {
            // SAFETY: it is a live region, as `new` was promised.
            unsafe { slab::is_sparse(self.at) }
        } else {
            allocator(self.at.as_ptr())
        }
    }
}
