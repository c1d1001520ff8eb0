//! A member as the tree knows it: the address of its entry in the index.
//!
//! Owns [`MemberRef`], the only place of sorted sets with `unsafe`. Invariant of the whole folder: a `MemberRef` that lies in a tree refers to an entry
//! that lies in the index of the same sorted set. It holds because `large.rs` takes a member out of the tree before it takes the entry out of
//! the table, and because a blob stays where it is while its value is an integer before and after. Called by the tree and by `large.rs`.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use crate::entry::{Entry, ValueRef};
use crate::table::prefetch_line;

/// Refers to an entry of the index without owning it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberRef(NonNull<u8>);

// SAFETY: it is an address; the entry behind it goes wherever the sorted set goes, and is only read through it.
unsafe impl Send for MemberRef {}
// SAFETY: as above.
unsafe impl Sync for MemberRef {}

impl MemberRef {
    /// What lies in a slot that is not used. Never read.
    pub(super) const NONE: Self = Self(NonNull::dangling());

    #[inline]
    pub(super) fn of(entry: &Entry) -> Self {
        Self(entry.address())
    }

    /// The member's bytes. They live as long as the entry: for a reference in a tree that is as long as the tree is borrowed; who
    /// holds a copy drops the bytes before the entry.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.entry().key()
    }

    /// The score in the entry.
    #[inline]
    pub(super) fn score(&self) -> f64 {
        score_of(self.entry())
    }

    /// Asks for the line where the member's bytes start.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_line(self.0.as_ptr());
    }

    #[inline]
    fn entry(&self) -> &Entry {
        // SAFETY: the folder's invariant; NONE is in no used slot.
        unsafe { Entry::at_address(&self.0) }
    }
}

/// The score that an entry of the index holds.
#[inline]
pub(super) fn score_of(entry: &Entry) -> f64 {
    match entry.string() {
        Some(ValueRef::Int(bits)) => f64::from_bits(bits as u64),
        _ => unreachable!("an entry of the index holds the bits of a score"),
    }
}
