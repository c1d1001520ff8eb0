//! The counted B+tree: elements in order, found by score, member or rank in O(log n).
//!
//! Owns [`Tree`]: the root and the totals. Invariants: those of the nodes (`inner.rs`); an inner root has at least two children; the members' entries
//! are live (`member.rs`). Called by `large.rs`.

use super::cut::Cut;
use super::inner::{Doomed, Inner, Node};
use super::leaf::Leaf;
use super::member::MemberRef;

/// Elements in order, with the number of elements in every subtree.
pub(super) struct Tree {
    root: Node,
    len: usize,
    bytes: usize,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::Leaf(Box::new(Leaf::new()));
        Self {
            bytes: root.own_bytes(),
            root,
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of all nodes. O(1).
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// Inserts an element that is not there. O(log n).
    pub(super) fn insert(&mut self, score: f64, member: MemberRef) {
        if self.root.is_full() {
            let old = std::mem::replace(&mut self.root, Node::Leaf(Box::new(Leaf::new())));
            self.root = Node::Inner(Box::new(Inner::above(old)));
            self.bytes += self.root.own_bytes();
        }
        let cut = Cut::At(score, member.bytes());
        self.root
            .insert(&cut, (score, member), true, &mut self.bytes);
        self.len += 1;
    }

    /// Removes an element that is there. O(log n).
    ///
    /// # Panics
    /// If the element is another one than that of the index: rather than referring to an entry that is about to be freed.
    pub(super) fn remove(&mut self, score: f64, member: MemberRef) {
        let doomed = Doomed::Element(score, member.bytes());
        let (_, removed) = self.root.remove(doomed, &mut self.bytes);
        assert!(
            removed == member,
            "the tree holds the members of the index under their scores"
        );
        self.after_removal(1);
    }

    /// Removes elements from a rank on, `count` at most, and none beyond the leaf of that rank: those that `leaf_at` shows. Returns
    /// how many. O(log n).
    pub(super) fn remove_ranks(&mut self, rank: usize, count: usize) -> usize {
        let doomed = Doomed::Ranks(rank, count);
        let (removed, _) = self.root.remove(doomed, &mut self.bytes);
        self.after_removal(removed);
        removed
    }

    fn after_removal(&mut self, removed: usize) {
        self.len -= removed;
        while let Node::Inner(root) = &mut self.root
            && root.len() == 1
        {
            let child = root.take(0);
            self.bytes -= self.root.own_bytes();
            self.root = child;
        }
    }

    /// Gives an element another score where it lies, if its new place is in the same leaf; else changes nothing and says false.
    pub(super) fn rescore(&mut self, old: f64, member: MemberRef, score: f64) -> bool {
        let cut = Cut::At(old, member.bytes());
        let mut after = None;
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Inner(inner) => {
                    let i = inner.child_of(&cut);
                    if let Some((score, &member)) = inner.first_after(i) {
                        after = Some((score, member));
                    }
                    inner.child(i).run().prefetch();
                    node = inner.child_mut(i);
                }
                Node::Leaf(leaf) => {
                    let from = leaf.position(&cut);
                    let after = after.as_ref().map(|(score, member)| (*score, member));
                    return leaf.rescore(from, score, after);
                }
            }
        }
    }

    /// Number of elements before the cut. O(log n).
    pub(super) fn rank_at(&self, cut: &Cut<'_>) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Inner(inner) => {
                    let i = inner.child_of(cut);
                    node = inner.child(i);
                    node.run().prefetch();
                    rank += inner.counts()[..i].iter().sum::<usize>();
                }
                Node::Leaf(leaf) => return rank + leaf.position(cut),
            }
        }
    }

    /// The leaf with the element of this rank, which must be below `len`, and its index there. O(log n).
    pub(super) fn leaf_at(&self, mut rank: usize) -> (&Leaf, usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Inner(inner) => {
                    let (i, rest) = inner.child_at(rank);
                    (node, rank) = (inner.child(i), rest);
                }
                Node::Leaf(leaf) => return (leaf, rank),
            }
        }
    }

    /// Frees the last leaf of a tree that is no longer used, and says whether it was the last one of all. O(log n).
    pub(super) fn free_leaf(&mut self) -> bool {
        if let Node::Inner(root) = &mut self.root {
            root.free_last_leaf(&mut self.bytes);
            if root.len() > 0 {
                return false;
            }
        }
        *self = Self::new();
        true
    }

    #[cfg(test)]
    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}
