//! The elements of a range of ranks, from either end.
//!
//! Owns [`Elements`]. Each end knows its rank; the large encoding keeps the rest of the leaf it stands in and goes down the tree once per leaf, so
//! a step is O(1) amortised. Called by the range commands, DUMP, and unions.

use std::ops::Range;

use super::large::Large;
use super::leaf::Leaf;
use super::packed::Packed;
use crate::listpack::{Item, Pos};

/// Members with their scores, in order or, with `rev`, backwards.
#[derive(Clone)]
pub struct Elements<'a> {
    ranks: Range<usize>,
    ends: Ends<'a>,
}

#[derive(Clone)]
enum Ends<'a> {
    Packed {
        packed: &'a Packed,
        front: Option<Pos>,
        back: Option<Pos>,
    },
    Large {
        large: &'a Large,
        /// The leaf of the first rank and the index there.
        front: Option<(&'a Leaf, usize)>,
        /// The leaf of the last rank and the index behind it there.
        back: Option<(&'a Leaf, usize)>,
    },
}

/// Members are fetched this far ahead.
const AHEAD: usize = 6;

impl<'a> Elements<'a> {
    /// The ranks must be below the length.
    pub(super) fn packed(packed: &'a Packed, ranks: Range<usize>) -> Self {
        let ends = Ends::Packed {
            packed,
            front: None,
            back: None,
        };
        Self { ranks, ends }
    }

    /// The ranks must be below the length.
    pub(super) fn large(large: &'a Large, ranks: Range<usize>) -> Self {
        let ends = Ends::Large {
            large,
            front: None,
            back: None,
        };
        Self { ranks, ends }
    }
}

fn element(leaf: &Leaf, at: usize) -> (Item<'_>, f64) {
    (Item::Bytes(leaf.members()[at].bytes()), leaf.scores()[at])
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next()?;
        match &mut self.ends {
            Ends::Packed { packed, front, .. } => {
                let pos = match front.take() {
                    Some(last) => packed.after(last),
                    None => packed.at_rank(rank),
                }?;
                *front = Some(pos);
                Some(packed.element(pos))
            }
            Ends::Large { large, front, .. } => {
                let (leaf, at) = match *front {
                    Some((leaf, at)) if at < leaf.len() => (leaf, at),
                    _ => {
                        let (leaf, at) = large.tree.leaf_at(rank);
                        let soon = at..leaf.len().min(at + AHEAD).min(at + 1 + self.ranks.len());
                        leaf.members()[soon].iter().for_each(|m| m.prefetch());
                        (leaf, at)
                    }
                };
                if AHEAD <= self.ranks.len()
                    && let Some(member) = leaf.members().get(at + AHEAD)
                {
                    member.prefetch();
                }
                *front = Some((leaf, at + 1));
                Some(element(leaf, at))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl DoubleEndedIterator for Elements<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next_back()?;
        match &mut self.ends {
            Ends::Packed { packed, back, .. } => {
                let pos = match back.take() {
                    Some(last) => packed.before(last),
                    None => packed.at_rank(rank),
                }?;
                *back = Some(pos);
                Some(packed.element(pos))
            }
            Ends::Large { large, back, .. } => {
                let (leaf, end) = match *back {
                    Some((leaf, end)) if end > 0 => (leaf, end),
                    _ => {
                        let (leaf, at) = large.tree.leaf_at(rank);
                        let soon = (at + 1).saturating_sub(AHEAD.min(self.ranks.len() + 1))..at + 1;
                        leaf.members()[soon].iter().for_each(|m| m.prefetch());
                        (leaf, at + 1)
                    }
                };
                if AHEAD <= self.ranks.len() && end > AHEAD {
                    leaf.members()[end - 1 - AHEAD].prefetch();
                }
                *back = Some((leaf, end - 1));
                Some(element(leaf, end - 1))
            }
        }
    }
}

impl ExactSizeIterator for Elements<'_> {}
