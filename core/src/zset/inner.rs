//! An inner node: the children's first elements, their counts, and the children.
//!
//! Owns [`Inner`] and [`Node`]. Invariants: `firsts[i]` is the first element of child i's subtree and `counts[i]` the number of its elements; all
//! children have one height; no child is empty; a child holds at least [`NODE_MIN`] unless it is the last one of its level, where ascending inserts
//! leave a short one behind full ones. Full nodes are split or evened out on the way down, so a parent always has room for one more. Called by
//! the tree.

use std::array;

use super::cut::Cut;
use super::leaf::{Element, Leaf, NODE_MAX};
use super::member::MemberRef;
use crate::entry::size_class;

/// Below this a node is merged with a neighbour or filled from it.
pub(super) const NODE_MIN: usize = NODE_MAX / 3;
/// A neighbour that holds no more than this has room to take some of a full node, and two nodes are merged into no more than this.
const ROOMY: usize = NODE_MAX - NODE_MAX / 8;

/// A node of any height.
pub(super) enum Node {
    /// Elements.
    Leaf(Box<Leaf>),
    /// Children.
    Inner(Box<Inner>),
}

/// Children in order.
pub(super) struct Inner {
    firsts: Leaf,
    counts: [usize; NODE_MAX],
    children: [Option<Node>; NODE_MAX],
}

/// What to remove.
#[derive(Clone, Copy)]
pub(super) enum Doomed<'a> {
    /// The element with this score and member, which must be there.
    Element(f64, &'a [u8]),
    /// Elements from this rank on, this many at most, and none beyond the leaf where that rank lies.
    Ranks(usize, usize),
}

impl Node {
    /// Elements of a leaf, children of an inner node.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.run().len()
    }

    /// The leaf itself, or the first elements of the children.
    #[inline]
    pub(super) fn run(&self) -> &Leaf {
        match self {
            Self::Leaf(leaf) => leaf,
            Self::Inner(inner) => &inner.firsts,
        }
    }

    /// Elements of the subtree.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(inner) => inner.counts().iter().sum(),
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() == NODE_MAX
    }

    /// Bytes of this node alone.
    #[inline]
    pub(super) fn own_bytes(&self) -> usize {
        match self {
            Self::Leaf(_) => const { size_class(size_of::<Leaf>()) },
            Self::Inner(_) => const { size_class(size_of::<Inner>()) },
        }
    }

    /// Inserts an element that is not there. The node must not be full. `is_last`: the node is the last one of its level. `bytes` is the
    /// sum of all nodes.
    #[inline]
    pub(super) fn insert(
        &mut self,
        cut: &Cut<'_>,
        element: (f64, MemberRef),
        is_last: bool,
        bytes: &mut usize,
    ) {
        match self {
            Self::Leaf(leaf) => leaf.insert(leaf.position(cut), element),
            Self::Inner(inner) => inner.insert(cut, element, is_last, bytes),
        }
    }

    /// Removes elements and returns how many, and the last one of them.
    pub(super) fn remove(&mut self, doomed: Doomed<'_>, bytes: &mut usize) -> (usize, MemberRef) {
        let leaf = match self {
            Self::Leaf(leaf) => leaf,
            Self::Inner(inner) => return inner.remove(doomed, bytes),
        };
        let (at, count) = match doomed {
            Doomed::Element(score, member) => (leaf.position(&Cut::At(score, member)), 1),
            Doomed::Ranks(rank, count) => (rank, count.min(leaf.len() - rank)),
        };
        let last = leaf.members()[at + count - 1];
        leaf.remove(at..at + count);
        (count, last)
    }

    /// The first half, or all but one, stays; the rest is returned.
    fn split(&mut self, keep: usize) -> Self {
        let moved = self.len() - keep;
        let mut next = match self {
            Self::Leaf(_) => Self::Leaf(Box::new(Leaf::new())),
            Self::Inner(_) => Self::Inner(Box::new(Inner::new())),
        };
        self.give_to_next(&mut next, moved);
        next
    }

    fn give_to_next(&mut self, next: &mut Self, count: usize) {
        match (self, next) {
            (Self::Leaf(leaf), Self::Leaf(next)) => leaf.give_to_next(next, count),
            (Self::Inner(inner), Self::Inner(next)) => inner.give_to_next(next, count),
            _ => unreachable!("all children have one height"),
        }
    }

    fn take_from_next(&mut self, next: &mut Self, count: usize) {
        match (self, next) {
            (Self::Leaf(leaf), Self::Leaf(next)) => leaf.take_from_next(next, count),
            (Self::Inner(inner), Self::Inner(next)) => inner.take_from_next(next, count),
            _ => unreachable!("all children have one height"),
        }
    }
}

impl Inner {
    fn new() -> Self {
        Self {
            firsts: Leaf::new(),
            counts: [0; NODE_MAX],
            children: array::from_fn(|_| None),
        }
    }

    /// A node above this one.
    pub(super) fn above(child: Node) -> Self {
        let mut inner = Self::new();
        inner.put(0, child);
        inner
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Elements of each child's subtree.
    #[inline]
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts[..self.len()]
    }

    #[inline]
    pub(super) fn child(&self, i: usize) -> &Node {
        self.children[i].as_ref().expect("a used slot has a child")
    }

    #[inline]
    pub(super) fn child_mut(&mut self, i: usize) -> &mut Node {
        self.children[i].as_mut().expect("a used slot has a child")
    }

    /// The child in which the cut lies: the last one that begins before it, as what begins at or after it lies behind it. `At` an element
    /// means the child with the element.
    #[inline]
    pub(super) fn child_of(&self, cut: &Cut<'_>) -> usize {
        let at = self.firsts.position(cut);
        if let Cut::At(score, member) = *cut
            && at < self.len()
            && self.firsts.scores()[at] == score
            && self.firsts.members()[at].bytes() == member
        {
            return at;
        }
        at.saturating_sub(1)
    }

    /// The child with the element of this rank, and its rank there.
    #[inline]
    pub(super) fn child_at(&self, mut rank: usize) -> (usize, usize) {
        for (i, &count) in self.counts().iter().enumerate() {
            if rank < count {
                return (i, rank);
            }
            rank -= count;
        }
        unreachable!("a rank is below the count")
    }

    /// The first element behind child `i`, as far as this node knows.
    #[inline]
    pub(super) fn first_after(&self, i: usize) -> Option<Element<'_>> {
        let next = i + 1;
        (next < self.len()).then(|| (self.firsts.scores()[next], &self.firsts.members()[next]))
    }

    fn insert(
        &mut self,
        cut: &Cut<'_>,
        element: (f64, MemberRef),
        is_last: bool,
        bytes: &mut usize,
    ) {
        let mut i = self.child_of(cut);
        self.child(i).run().prefetch();
        if self.child(i).is_full() {
            let at_end =
                is_last && i + 1 == self.len() && self.child(i).run().position(cut) == NODE_MAX;
            self.make_room(i, at_end, bytes);
            i = self.child_of(cut);
        }
        let is_last = is_last && i + 1 == self.len();
        self.child_mut(i).insert(cut, element, is_last, bytes);
        self.counts[i] += 1;
        if i == 0 {
            self.refresh_first(0);
        }
    }

    fn remove(&mut self, doomed: Doomed<'_>, bytes: &mut usize) -> (usize, MemberRef) {
        let (i, doomed) = match doomed {
            Doomed::Element(score, member) => (self.child_of(&Cut::At(score, member)), doomed),
            Doomed::Ranks(rank, count) => {
                let (i, rank) = self.child_at(rank);
                (i, Doomed::Ranks(rank, count))
            }
        };
        let child = self.child_mut(i);
        let removed = child.remove(doomed, bytes);
        let len = child.len();
        self.counts[i] -= removed.0;
        if len == 0 {
            *bytes -= self.take(i).own_bytes();
        } else {
            self.refresh_first(i);
            if len < NODE_MIN && self.len() > 1 {
                self.refill(i, bytes);
            }
        }
        removed
    }

    /// Makes child `i`, which is full, shorter: evens it out with a neighbour that has room, else splits it in halves; `at_end`, when the
    /// largest element of all is about to come: leaves all but one where they are.
    fn make_room(&mut self, i: usize, at_end: bool, bytes: &mut usize) {
        if !at_end {
            let has_room = |at: usize| at < self.len() && self.child(at).len() <= ROOMY;
            if i > 0 && has_room(i - 1) {
                return self.even_out(i - 1);
            }
            if has_room(i + 1) {
                return self.even_out(i);
            }
        }
        let keep = if at_end { NODE_MAX - 1 } else { NODE_MAX / 2 };
        let next = self.child_mut(i).split(keep);
        *bytes += next.own_bytes();
        self.counts[i] = self.child(i).count();
        self.put(i + 1, next);
    }

    /// Merges child `i`, which is short, with a neighbour, or fills it from there.
    fn refill(&mut self, i: usize, bytes: &mut usize) {
        let left = i.saturating_sub(1);
        let (first, next) = self.pair(left);
        let moved = next.len();
        if first.len() + moved > ROOMY {
            return self.even_out(left);
        }
        first.take_from_next(next, moved);
        self.counts[left] += self.counts[left + 1];
        *bytes -= self.take(left + 1).own_bytes();
    }

    /// Gives child `i` and the next one the same length.
    fn even_out(&mut self, i: usize) {
        let (first, next) = self.pair(i);
        let (a, b) = (first.len(), next.len());
        let half = usize::midpoint(a, b);
        if a > half {
            first.give_to_next(next, a - half);
        } else {
            first.take_from_next(next, half - a);
        }
        let (first_count, both) = (first.count(), self.counts[i] + self.counts[i + 1]);
        self.counts[i] = first_count;
        self.counts[i + 1] = both - first_count;
        self.refresh_first(i + 1);
    }

    fn pair(&mut self, i: usize) -> (&mut Node, &mut Node) {
        match &mut self.children[i..i + 2] {
            [Some(first), Some(next)] => (first, next),
            _ => unreachable!("a used slot has a child"),
        }
    }

    #[inline]
    fn refresh_first(&mut self, i: usize) {
        let first = self.child(i).run().element(0);
        self.firsts.replace(i, first);
    }

    /// Puts a child at `i`. There must be room.
    fn put(&mut self, i: usize, child: Node) {
        let len = self.len();
        self.firsts.insert(i, child.run().element(0));
        self.counts.copy_within(i..len, i + 1);
        self.counts[i] = child.count();
        self.children[i..=len].rotate_right(1);
        self.children[i] = Some(child);
    }

    /// Frees the last leaf; the counts of the nodes above it are wrong from then on.
    pub(super) fn free_last_leaf(&mut self, bytes: &mut usize) {
        let last = self.len() - 1;
        if let Node::Inner(inner) = self.child_mut(last) {
            inner.free_last_leaf(bytes);
            if inner.len() > 0 {
                return;
            }
        }
        *bytes -= self.take(last).own_bytes();
    }

    /// Takes child `i` out.
    pub(super) fn take(&mut self, i: usize) -> Node {
        let len = self.len();
        self.firsts.remove(i..i + 1);
        self.counts.copy_within(i + 1..len, i);
        self.children[i..len].rotate_left(1);
        self.children[len - 1]
            .take()
            .expect("a used slot has a child")
    }

    fn take_from_next(&mut self, next: &mut Self, count: usize) {
        let (len, next_len) = (self.len(), next.len());
        self.counts[len..len + count].copy_from_slice(&next.counts[..count]);
        next.counts.copy_within(count..next_len, 0);
        self.children[len..len + count].swap_with_slice(&mut next.children[..count]);
        next.children[..next_len].rotate_left(count);
        self.firsts.take_from_next(&mut next.firsts, count);
    }

    fn give_to_next(&mut self, next: &mut Self, count: usize) {
        let (len, next_len) = (self.len(), next.len());
        next.counts.copy_within(..next_len, count);
        next.counts[..count].copy_from_slice(&self.counts[len - count..len]);
        next.children[..next_len + count].rotate_right(count);
        next.children[..count].swap_with_slice(&mut self.children[len - count..len]);
        self.firsts.give_to_next(&mut next.firsts, count);
    }
}
