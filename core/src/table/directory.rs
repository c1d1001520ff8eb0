//! The directory: from the top bits of a hash to its segment.
//!
//! Owns the segments. Invariants: the directory is empty or has 2^depth entries, depth at least 1; a segment of depth
//! d fills the 2^(depth - d) neighbouring entries that share its d-bit prefix; every segment is owned by the directory
//! alone, so a shared or mutable borrow of it is one of the segments. Called by the table files.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::hash::DEPTH_MAX;
use super::segment::{OwnedSegment, SEGMENT_BYTES, Segment};
use crate::entry::size_class;

/// A directory may always have this many entries, however few segments there are.
const FREE_ENTRIES: usize = 256;
/// Beyond that, at most this many entries per segment. Evenly spread hashes need four; only a flood of chosen
/// ones meets the bound.
const ENTRIES_PER_SEGMENT: usize = 16;

/// Segments by hash prefix.
pub(super) struct Directory {
    entries: Vec<NonNull<Segment>>,
    /// 64 less the directory's depth.
    shift: u32,
    segments: usize,
    /// Segments of each depth; those of the directory's own depth keep it from being halved.
    by_depth: [u32; DEPTH_MAX as usize + 1],
}

impl Directory {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            shift: 63,
            segments: 0,
            by_depth: [0; DEPTH_MAX as usize + 1],
        }
    }

    /// The segment of a hash, `None` before the first insert. The bounds check is the test for emptiness.
    #[inline]
    pub(super) fn segment(&self, hash: u64) -> Option<&Segment> {
        let ptr = self.entries.get((hash >> self.shift) as usize)?;
        // SAFETY: the directory owns its segments, `self` is borrowed.
        Some(unsafe { ptr.as_ref() })
    }

    /// The segment of a hash, to be changed.
    #[inline]
    pub(super) fn segment_mut(&mut self, hash: u64) -> Option<&mut Segment> {
        let ptr = self.entries.get_mut((hash >> self.shift) as usize)?;
        // SAFETY: the directory owns its segments, `self` is borrowed mutably.
        Some(unsafe { ptr.as_mut() })
    }

    /// Bits of the hash that choose an entry, at least 1.
    #[inline]
    pub(super) fn depth(&self) -> u32 {
        64 - self.shift
    }

    /// Number of segments.
    #[inline]
    pub(super) fn segments(&self) -> usize {
        self.segments
    }

    /// Bytes of the directory and all segments. O(1).
    pub(super) fn heap_bytes(&self) -> usize {
        let own = if self.entries.is_empty() {
            0
        } else {
            size_class(size_of_val(self.entries.as_slice()))
        };
        own + self.segments * SEGMENT_BYTES
    }

    /// Allocates the first segment.
    pub(super) fn start(&mut self) {
        debug_assert!(self.entries.is_empty());
        let segment = OwnedSegment::new(0).into_ptr();
        self.entries = vec![segment; 2];
        self.segments = 1;
        self.by_depth[0] = 1;
    }

    /// Whether a segment of this depth may be split: room in the hash and in the directory's bound.
    pub(super) fn may_deepen(&self, depth: u32) -> bool {
        let bound = FREE_ENTRIES.max(self.segments * ENTRIES_PER_SEGMENT);
        depth < DEPTH_MAX && (depth < self.depth() || self.entries.len() * 2 <= bound)
    }

    /// Makes room for the upper half of the segment of `hash`, which has just been given depth `depth`, and installs
    /// `upper` there. Doubles the directory if it must: O(entries), else O(entries of the segment).
    pub(super) fn install(&mut self, hash: u64, depth: u32, upper: OwnedSegment) {
        if depth > self.depth() {
            let mut doubled = Vec::with_capacity(self.entries.len() * 2);
            for &segment in &self.entries {
                doubled.extend([segment, segment]);
            }
            self.entries = doubled;
            self.shift -= 1;
        }
        let range = self.range(hash, depth - 1);
        let half = range.len() / 2;
        self.entries[range.start + half..range.end].fill(upper.into_ptr());
        self.segments += 1;
        self.by_depth[depth as usize - 1] -= 1;
        self.by_depth[depth as usize] += 2;
    }

    /// The entries of the segment of depth `depth` that holds `hash`.
    fn range(&self, hash: u64, depth: u32) -> std::ops::Range<usize> {
        let width = 1usize << (self.depth() - depth);
        let start = (hash >> self.shift) as usize & !(width - 1);
        start..start + width
    }

    /// Two segments of one depth that differ in the last bit of it: that of `hash`, and its buddy.
    pub(super) fn buddies_mut(
        &mut self,
        hash: u64,
        depth: u32,
    ) -> Option<(&mut Segment, &mut Segment)> {
        if depth == 0 || self.entries.is_empty() {
            return None;
        }
        let range = self.range(hash, depth - 1);
        let (mut lower, mut upper) = (self.entries[range.start], self.entries[range.end - 1]);
        if lower == upper {
            return None;
        }
        // SAFETY: the directory owns its segments and is borrowed mutably; the two are different ones.
        let (lower, upper) = unsafe { (lower.as_mut(), upper.as_mut()) };
        (lower.depth() == depth && upper.depth() == depth).then_some((lower, upper))
    }

    /// Removes the upper one of two buddies of depth `depth`, which has been emptied into the lower one. Halves the
    /// directory when nothing needs its last bit.
    pub(super) fn remove_upper(&mut self, hash: u64, depth: u32) {
        let range = self.range(hash, depth - 1);
        let (lower, upper) = (self.entries[range.start], self.entries[range.end - 1]);
        debug_assert_ne!(lower, upper);
        self.by_depth[depth as usize] -= 2;
        self.by_depth[depth as usize - 1] += 1;
        self.entries[range].fill(lower);
        self.segments -= 1;
        // SAFETY: no entry of the directory refers to it any more. Its slots were moved into the lower one.
        let mut upper = unsafe { OwnedSegment::from_ptr(upper) };
        upper.as_mut().reset(depth);
        drop(upper);
        while self.by_depth[self.depth() as usize] == 0 && self.entries.len() > 2 {
            self.entries = self.entries.iter().copied().step_by(2).collect();
            self.shift += 1;
        }
    }

    /// Takes the last segment out of a directory that is being torn down and no longer looked up in. Returns it with
    /// its first hash.
    pub(super) fn pop(&mut self) -> Option<(u64, OwnedSegment)> {
        let ptr = *self.entries.last()?;
        // SAFETY: the directory owned it and forgets it below.
        let segment = unsafe { OwnedSegment::from_ptr(ptr) };
        let depth = segment.as_ref().depth();
        let left = self.entries.len() - (1 << (self.depth() - depth));
        self.entries.truncate(left);
        self.segments -= 1;
        Some(((left as u64) << self.shift, segment))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
