//! The nodes of a large list in their order.
//!
//! Invariants: no node is empty; `len` and `node_bytes` are the sums over the nodes. Called by [`super::List`] alone.

use std::collections::VecDeque;

use super::node::{End, Node, Spot};
use crate::entry::size_class;
use crate::list::ListLimits;
use crate::listpack::{Item, Listpack};

#[derive(Clone, Default)]
pub(super) struct Blocks {
    nodes: VecDeque<Node>,
    len: usize,
    node_bytes: usize,
}

impl Blocks {
    pub(super) fn nodes(&self) -> &VecDeque<Node> {
        &self.nodes
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let places = self.nodes.capacity() * size_of::<Node>();
        let places = if places == 0 { 0 } else { size_class(places) };
        size_class(size_of::<Self>()) + places + self.node_bytes
    }

    /// Changes a node and brings the sums up to date.
    #[inline]
    fn edit<R>(&mut self, at: usize, edit: impl FnOnce(&mut Node) -> R) -> R {
        let node = &mut self.nodes[at];
        let (len, bytes) = (node.len(), node.heap_bytes());
        let result = edit(node);
        self.len = self.len - len + node.len();
        self.node_bytes = self.node_bytes - bytes + node.heap_bytes();
        result
    }

    /// Puts a node before the one with this number. The places grow by a quarter, not by as much again: a node is large, so that happens rarely.
    pub(super) fn put(&mut self, at: usize, node: Node) {
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact(self.nodes.len() / 4 + 1);
        }
        self.len += node.len();
        self.node_bytes += node.heap_bytes();
        self.nodes.insert(at, node);
    }

    pub(super) fn take(&mut self, at: usize) -> Option<Node> {
        let node = self.nodes.remove(at)?;
        self.len -= node.len();
        self.node_bytes -= node.heap_bytes();
        self.give_back_places();
        Some(node)
    }

    fn give_back_places(&mut self) {
        if self.nodes.capacity() > 4 * self.nodes.len() + 16 {
            self.nodes.shrink_to(2 * self.nodes.len());
        }
    }

    /// The listpack, if there is one node and that is what it holds.
    pub(super) fn only_pack(&mut self) -> Option<&mut Listpack> {
        match self.nodes.make_contiguous() {
            [Node::Pack { pack, .. }] => Some(pack),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, end: End, bytes: &[u8], limits: &ListLimits) {
        let last = self.nodes.len().wrapping_sub(1);
        let (at, beyond) = match end {
            End::Front => (0, 0),
            End::Back => (last, self.nodes.len()),
        };
        let allows = self
            .nodes
            .get(at)
            .is_some_and(|node| node.allows(bytes.len(), limits));
        if allows {
            self.edit(at, |node| node.push(end, bytes));
        } else {
            self.put(beyond, Node::of(bytes, limits));
        }
    }

    /// Removes the element at an end, if there is one.
    #[inline]
    pub(super) fn pop(&mut self, end: End) {
        let at = match end {
            End::Front => 0,
            End::Back => self.nodes.len().wrapping_sub(1),
        };
        if at < self.nodes.len() && self.edit(at, |node| node.pop(end)) {
            self.take(at);
        }
    }

    /// The node that holds an element, and its number there. O(nodes), from the nearer end.
    pub(super) fn node_of(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut before = 0;
            for (at, node) in self.nodes.iter().enumerate() {
                if index < before + node.len() {
                    return Some((at, index - before));
                }
                before += node.len();
            }
        } else {
            let mut before = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                before -= node.len();
                if index >= before {
                    return Some((at, index - before));
                }
            }
        }
        None
    }

    /// Where an element lies.
    pub(super) fn locate(&self, index: usize) -> Option<Spot> {
        let (node, inner) = self.node_of(index)?;
        let pos = match &self.nodes[node] {
            Node::Pack { pack, .. } => Some(pack.nth(inner as i64)?),
            Node::Plain(_) => None,
        };
        Some(Spot { node, pos })
    }

    /// Puts an element before the one with this number, or at the end.
    pub(super) fn insert(&mut self, index: usize, bytes: &[u8], limits: &ListLimits) {
        let Some((at, inner)) = self.node_of(index) else {
            return self.push(End::Back, bytes, limits);
        };
        let allows = |blocks: &Self, at: usize| blocks.nodes[at].allows(bytes.len(), limits);
        if inner == 0 && at > 0 && allows(self, at - 1) {
            return self.edit(at - 1, |node| node.push(End::Back, bytes));
        }
        let pos = self.locate(index).and_then(|spot| spot.pos);
        if let Some(pos) = pos.filter(|_| allows(self, at)) {
            return self.edit(at, |node| node.insert(pos, bytes));
        }
        if inner == 0 {
            return self.put(at, Node::of(bytes, limits));
        }
        self.split(at, inner);
        if allows(self, at) {
            self.edit(at, |node| node.push(End::Back, bytes));
        } else if allows(self, at + 1) {
            self.edit(at + 1, |node| node.push(End::Front, bytes));
        } else {
            self.put(at + 1, Node::of(bytes, limits));
        }
        self.join(at + 1, limits);
        if at > 0 {
            self.join(at - 1, limits);
        }
    }

    /// Cuts a node in two, the first part with `kept` elements. Nothing happens if a part would be empty.
    fn split(&mut self, at: usize, kept: usize) {
        if let Some(tail) = self.edit(at, |node| node.split_off(kept)) {
            self.put(at + 1, tail);
        }
    }

    /// Makes one node of this one and the next if both together are allowed.
    fn join(&mut self, at: usize, limits: &ListLimits) {
        let (Some(Node::Pack { pack: a, count }), Some(Node::Pack { pack: b, .. })) =
            (self.nodes.get(at), self.nodes.get(at + 1))
        else {
            return;
        };
        let bytes = a.as_bytes().len() + b.as_bytes().len();
        let entries = *count as usize + self.nodes[at + 1].len();
        if limits.exceeds(bytes, entries) {
            return;
        }
        let Some(Node::Pack { pack: other, .. }) = self.take(at + 1) else {
            return;
        };
        self.edit(at, |node| {
            if let Node::Pack { pack, count } = node {
                pack.append(&other);
                *count = entries as u32;
            }
        });
    }

    /// Puts an element in place of the one with this number, if there is one.
    pub(super) fn replace(&mut self, index: usize, bytes: &[u8], limits: &ListLimits) {
        let Some(spot) = self.locate(index) else {
            return;
        };
        match (&self.nodes[spot.node], spot.pos) {
            (Node::Pack { pack, count }, Some(pos)) => {
                let rest =
                    pack.as_bytes().len() - pack.at(pos).text_len().min(pack.as_bytes().len());
                if limits.is_large(bytes.len())
                    || !limits.allows(rest, *count as usize - 1, bytes.len())
                {
                    self.insert(index, bytes, limits);
                    self.cut(index + 1, 1);
                    return;
                }
                self.edit(spot.node, |node| {
                    if let Node::Pack { pack, .. } = node {
                        pack.replace(pos, bytes);
                    }
                });
            }
            _ => {
                self.take(spot.node);
                self.put(spot.node, Node::of(bytes, limits));
            }
        }
    }

    /// Removes elements and returns them. O(nodes), plus the two at the ends of the range.
    pub(super) fn cut(&mut self, start: usize, count: usize) -> Self {
        let end = start.saturating_add(count).min(self.len);
        let mut gone = Self::default();
        if start >= end {
            return gone;
        }
        if let Some((at, inner)) = self.node_of(end) {
            self.split(at, inner);
        }
        if let Some((at, inner)) = self.node_of(start) {
            self.split(at, inner);
        }
        let first = self.node_of(start).map_or(0, |(at, _)| at);
        let past = self.node_of(end).map_or(self.nodes.len(), |(at, _)| at);
        let (node_bytes, len) = (self.node_bytes, self.len);
        gone.nodes = self.nodes.drain(first..past).collect();
        gone.len = end - start;
        gone.node_bytes = gone.nodes.iter().map(Node::heap_bytes).sum();
        self.len = len - gone.len;
        self.node_bytes = node_bytes - gone.node_bytes;
        self.give_back_places();
        gone
    }

    /// Removes up to `most` elements of one node that equal `wanted`. Returns how many, and whether the node is gone.
    pub(super) fn remove_equal(
        &mut self,
        at: usize,
        wanted: Item<'_>,
        most: usize,
        from: End,
    ) -> (usize, bool) {
        let count = self.nodes[at].len();
        let removed = self.edit(at, |node| node.remove_equal(wanted, most, from));
        let is_gone = removed == count;
        if is_gone {
            self.take(at);
        }
        (removed, is_gone)
    }

    /// Frees nodes from the end until about this many elements are gone. Says whether that was all.
    pub(super) fn free_some(&mut self, elements: usize) -> bool {
        let mut freed = 0;
        while freed < elements
            && let Some(node) = self.nodes.pop_back()
        {
            freed += node.len();
            self.len -= node.len();
            self.node_bytes -= node.heap_bytes();
        }
        self.nodes.is_empty()
    }
}
