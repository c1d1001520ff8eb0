//! A run of elements in order: a leaf of the tree, and the first keys of an inner node's children.
//!
//! Owns [`Leaf`]: two arrays side by side, so that a search by score reads scores only. Invariant: the first `len` slots are used and in the
//! order of sorted sets. Called by the tree's nodes.

use std::ops::Range;

use super::cut::{Cut, order};
use super::member::MemberRef;
use crate::table::{LINE_BYTES, prefetch_line};

/// Slots of a node: as many as fill one KiB, see `mod.rs`.
pub(super) const NODE_MAX: usize = 63;

const _: () = assert!(size_of::<Leaf>() <= 1024 && size_of::<Leaf>() + 16 > 1024);

/// Elements in order.
pub(super) struct Leaf {
    len: usize,
    scores: [f64; NODE_MAX],
    members: [MemberRef; NODE_MAX],
}

impl Leaf {
    pub(super) const fn new() -> Self {
        Self {
            len: 0,
            scores: [0.0; NODE_MAX],
            members: [MemberRef::NONE; NODE_MAX],
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len]
    }

    #[inline]
    pub(super) fn members(&self) -> &[MemberRef] {
        &self.members[..self.len]
    }

    #[inline]
    pub(super) fn element(&self, at: usize) -> (f64, MemberRef) {
        (self.scores()[at], self.members()[at])
    }

    /// How many of the elements lie before the cut.
    #[inline]
    pub(super) fn position(&self, cut: &Cut<'_>) -> usize {
        cut.position(self.scores(), self.members())
    }

    /// Asks for the lines that a search reads, all at once: one miss instead of one per step.
    #[inline]
    pub(super) fn prefetch(&self) {
        let start = std::ptr::from_ref(self).cast::<u8>();
        for line in 0..=NODE_MAX * size_of::<f64>() / LINE_BYTES {
            prefetch_line(start.wrapping_add(line * LINE_BYTES));
        }
    }

    /// Puts an element at `at`. There must be room.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, (score, member): (f64, MemberRef)) {
        let len = self.len;
        self.scores.copy_within(at..len, at + 1);
        self.members.copy_within(at..len, at + 1);
        self.scores[at] = score;
        self.members[at] = member;
        self.len += 1;
    }

    pub(super) fn replace(&mut self, at: usize, (score, member): (f64, MemberRef)) {
        self.scores[at] = score;
        self.members[at] = member;
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.scores.copy_within(range.end..self.len, range.start);
        self.members.copy_within(range.end..self.len, range.start);
        self.len -= range.len();
    }

    /// Moves the first `count` elements of the next leaf to the end of this one.
    pub(super) fn take_from_next(&mut self, next: &mut Self, count: usize) {
        let end = self.len + count;
        self.scores[self.len..end].copy_from_slice(&next.scores()[..count]);
        self.members[self.len..end].copy_from_slice(&next.members()[..count]);
        self.len = end;
        next.remove(0..count);
    }

    /// Moves the last `count` elements to the start of the next leaf.
    pub(super) fn give_to_next(&mut self, next: &mut Self, count: usize) {
        let start = self.len - count;
        next.scores.copy_within(..next.len, count);
        next.members.copy_within(..next.len, count);
        next.scores[..count].copy_from_slice(&self.scores()[start..]);
        next.members[..count].copy_from_slice(&self.members()[start..]);
        next.len += count;
        self.len = start;
    }

    /// Gives the element at `from` another score, if it stays in this leaf, and not as the first one that the parents know: `after` is
    /// the element behind the leaf's last one.
    pub(super) fn rescore(&mut self, from: usize, score: f64, after: Option<Element<'_>>) -> bool {
        let member = self.members()[from];
        let to = self.position(&Cut::At(score, member.bytes()));
        let is_behind = |(next_score, next): Element<'_>| {
            order(score, member.bytes(), next_score, next.bytes()).is_ge()
        };
        if from == 0 || to == 0 || (to == self.len && after.is_some_and(is_behind)) {
            return false;
        }
        let to = if from < to {
            self.scores[from..to].rotate_left(1);
            self.members[from..to].rotate_left(1);
            to - 1
        } else {
            self.scores[to..=from].rotate_right(1);
            self.members[to..=from].rotate_right(1);
            to
        };
        self.scores[to] = score;
        true
    }
}

/// An element that lies in another node.
pub(super) type Element<'a> = (f64, &'a MemberRef);
