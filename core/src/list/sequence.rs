//! The list in either encoding.
//!
//! Invariants: as in Redis 7.2, a listpack becomes blocks when what is about to be added would exceed the limits, and blocks become a listpack
//! when something was removed and one block, at most half full, is left. Called by the list commands, SORT, and whoever writes or reads lists elsewhere.

use super::blocks::Blocks;
use super::node::Node;
use super::{Elements, End, ListLimits, NodeRef, Spot};
use crate::listpack::{Item, Listpack};
use crate::object::tag;

/// See the head of this file.
#[derive(Clone)]
#[repr(transparent)]
pub struct List {
    repr: Repr,
}

/// The discriminant is the first byte of an object.
#[derive(Clone)]
#[repr(u8)]
enum Repr {
    Packed(Listpack) = tag::LIST,
    Blocks(Box<Blocks>) = tag::LIST + 1,
}

/// The most elements of a node that its header can count.
const NODE_ENTRIES_MAX: usize = u16::MAX as usize - 1;

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// Where the elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match &self.repr {
            Repr::Packed(pack) => pack.as_bytes().as_ptr(),
            Repr::Blocks(blocks) => std::ptr::from_ref(&**blocks).cast(),
        }
    }

    /// No elements.
    #[must_use]
    pub fn new() -> Self {
        Self {
            repr: Repr::Packed(Listpack::new()),
        }
    }

    /// A list of what was packed elsewhere. O(1) if it is within the limits.
    #[must_use]
    pub fn from_listpack(pack: Listpack, limits: &ListLimits) -> Self {
        let mut list = Self::new();
        list.load_pack(pack, limits);
        list.loaded(limits);
        list
    }

    /// Appends a node of a list that was written elsewhere; `loaded` must follow after the last one.
    pub fn load_pack(&mut self, pack: Listpack, limits: &ListLimits) {
        let blocks = self.enlarge();
        if pack.len() > NODE_ENTRIES_MAX {
            let mut digits = itoa::Buffer::new();
            for item in &pack {
                blocks.push(End::Back, item.text(&mut digits), limits);
            }
        } else if !pack.is_empty() {
            blocks.put(blocks.nodes().len(), Node::of_pack(pack));
        }
    }

    /// Appends a node that is one element; `loaded` must follow after the last one.
    pub fn load_plain(&mut self, bytes: Box<[u8]>) {
        let blocks = self.enlarge();
        blocks.put(blocks.nodes().len(), Node::Plain(bytes));
    }

    /// All nodes have come: a small list becomes a listpack.
    pub fn loaded(&mut self, limits: &ListLimits) {
        self.settle(limits, false);
    }

    /// What OBJECT ENCODING says.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Blocks(_) => "quicklist",
        }
    }

    /// The listpack that the whole list is, if it is one.
    #[must_use]
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Packed(pack) => Some(pack),
            Repr::Blocks(_) => None,
        }
    }

    /// Number of nodes: one for a listpack.
    #[must_use]
    pub fn node_count(&self) -> usize {
        match &self.repr {
            Repr::Packed(_) => 1,
            Repr::Blocks(blocks) => blocks.nodes().len(),
        }
    }

    /// A node.
    #[must_use]
    pub fn node(&self, at: usize) -> Option<NodeRef<'_>> {
        match &self.repr {
            Repr::Packed(pack) => (at == 0).then_some(NodeRef::Pack(pack)),
            Repr::Blocks(blocks) => blocks.nodes().get(at).map(Node::view),
        }
    }

    /// The nodes in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        (0..self.node_count()).filter_map(|at| self.node(at))
    }

    /// Number of elements of a node. O(1).
    #[must_use]
    pub fn node_len(&self, at: usize) -> usize {
        match &self.repr {
            Repr::Packed(pack) if at == 0 => pack.len(),
            Repr::Packed(_) => 0,
            Repr::Blocks(blocks) => blocks.nodes().get(at).map_or(0, Node::len),
        }
    }

    /// Number of elements. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(pack) => pack.len(),
            Repr::Blocks(blocks) => blocks.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.repr {
            Repr::Packed(pack) => pack.heap_bytes(),
            Repr::Blocks(blocks) => blocks.heap_bytes(),
        }
    }

    /// Where the element at an end lies.
    #[must_use]
    pub fn end(&self, end: End) -> Option<Spot> {
        let node = match end {
            End::Front => 0,
            End::Back => self.node_count().checked_sub(1)?,
        };
        let pos = match self.node(node)? {
            NodeRef::Plain(_) => None,
            pack => Some(pack.end(end)?),
        };
        Some(Spot { node, pos })
    }

    /// Where the element with this number lies. Skips whole nodes, from the nearer end.
    #[must_use]
    pub fn locate(&self, index: usize) -> Option<Spot> {
        match &self.repr {
            Repr::Packed(pack) => Some(Spot {
                node: 0,
                pos: Some(pack.nth(i64::try_from(index).ok()?)?),
            }),
            Repr::Blocks(blocks) => blocks.locate(index),
        }
    }

    /// The element at a place that was got since the last change.
    #[must_use]
    pub fn at(&self, spot: Spot) -> Item<'_> {
        self.node(spot.node)
            .map_or(Item::Bytes(b""), |node| node.at(spot.pos))
    }

    /// The element with this number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Item<'_>> {
        Some(self.at(self.locate(index)?))
    }

    /// The place next to one, towards an end.
    #[must_use]
    pub fn beside(&self, spot: Spot, towards: End) -> Option<Spot> {
        if let Some(pos) = self.node(spot.node)?.beside(spot.pos, towards) {
            return Some(Spot {
                pos: Some(pos),
                ..spot
            });
        }
        let node = match towards {
            End::Back => spot.node + 1,
            End::Front => spot.node.checked_sub(1)?,
        };
        let from = match towards {
            End::Back => End::Front,
            End::Front => End::Back,
        };
        let pos = self.node(node)?.end(from);
        Some(Spot { node, pos })
    }

    /// The elements from a place on, towards an end.
    #[must_use]
    pub fn elements(&self, from: Option<Spot>, towards: End) -> Elements<'_> {
        Elements::new(self, from, towards)
    }

    /// All elements in order.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        self.elements(self.end(End::Front), End::Back)
    }

    /// Adds elements at an end, one after the other.
    pub fn push(&mut self, end: End, elements: &[&[u8]], limits: &ListLimits) {
        let bytes = elements.iter().map(|element| element.len()).sum();
        self.make_room(bytes, elements.len(), limits);
        match &mut self.repr {
            Repr::Packed(pack) => {
                for element in elements {
                    match end {
                        End::Front => pack.push_front(element),
                        End::Back => pack.push(element),
                    }
                }
            }
            Repr::Blocks(blocks) => {
                for element in elements {
                    blocks.push(end, element, limits);
                }
            }
        }
    }

    /// Removes the element at an end, if there is one.
    pub fn pop(&mut self, end: End, limits: &ListLimits) {
        match &mut self.repr {
            Repr::Packed(pack) => {
                let pos = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                };
                if let Some(pos) = pos {
                    pack.remove(pos, 1);
                }
            }
            Repr::Blocks(blocks) => {
                blocks.pop(end);
                self.settle(limits, true);
            }
        }
    }

    /// Puts an element before the one with this number; with the number of elements, at the end.
    pub fn insert(&mut self, index: usize, bytes: &[u8], limits: &ListLimits) {
        self.make_room(bytes.len(), 1, limits);
        match &mut self.repr {
            Repr::Packed(pack) => {
                let pos = pack.nth(index as i64);
                pack.insert(pos, &[Item::of(bytes)]);
            }
            Repr::Blocks(blocks) => blocks.insert(index, bytes, limits),
        }
    }

    /// Puts an element in place of the one with this number and says whether there is one.
    pub fn set(&mut self, index: usize, bytes: &[u8], limits: &ListLimits) -> bool {
        if index >= self.len() {
            return false;
        }
        self.make_room(bytes.len(), 1, limits);
        match &mut self.repr {
            Repr::Packed(pack) => {
                if let Some(pos) = pack.nth(index as i64) {
                    pack.replace(pos, bytes);
                }
            }
            Repr::Blocks(blocks) => blocks.replace(index, bytes, limits),
        }
        self.settle(limits, true);
        true
    }

    /// Removes up to `count` elements from this number on and returns them as a list, which may take long to free. O(nodes).
    #[must_use = "what was cut off may be long"]
    pub fn cut(&mut self, start: usize, count: usize, limits: &ListLimits) -> Self {
        let mut gone = Self::new();
        match &mut self.repr {
            Repr::Packed(pack) => {
                let count = count.min(pack.len().saturating_sub(start));
                let Some(pos) = pack.nth(start as i64).filter(|_| count > 0) else {
                    return gone;
                };
                let mut tail = pack.split_off(pos, start);
                if let Some(pos) = tail.nth(count as i64) {
                    pack.append(&tail.split_off(pos, count));
                }
                gone.repr = Repr::Packed(tail);
            }
            Repr::Blocks(blocks) => {
                gone.repr = Repr::Blocks(Box::new(blocks.cut(start, count)));
                self.settle(limits, true);
            }
        }
        gone
    }

    /// Removes up to `most` elements of one node that equal `wanted`, the first or the last ones of it. Returns how many, and whether the
    /// node is gone. `shrunk` must follow after the last node. O(node).
    pub fn remove_equal(
        &mut self,
        node: usize,
        wanted: &[u8],
        most: usize,
        from: End,
    ) -> (usize, bool) {
        if node >= self.node_count() {
            return (0, false);
        }
        match &mut self.repr {
            Repr::Packed(pack) => {
                let mut only = Node::of_pack(std::mem::take(pack));
                let removed = only.remove_equal(Item::of(wanted), most, from);
                if let Node::Pack { pack: rest, .. } = only {
                    *pack = rest;
                }
                (removed, false)
            }
            Repr::Blocks(blocks) => blocks.remove_equal(node, Item::of(wanted), most, from),
        }
    }

    /// Elements were removed by `remove_equal`: what has become small is a listpack again.
    pub fn shrunk(&mut self, limits: &ListLimits) {
        self.settle(limits, true);
    }

    /// Frees some of the elements and says whether that was all.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match &mut self.repr {
            Repr::Packed(_) => true,
            Repr::Blocks(blocks) => blocks.free_some(elements),
        }
    }

    /// Makes blocks of a listpack that would exceed the limits with these bytes and elements added.
    fn make_room(&mut self, bytes: usize, entries: usize, limits: &ListLimits) {
        if let Repr::Packed(pack) = &self.repr
            && limits.exceeds(pack.as_bytes().len() + bytes, pack.len() + entries)
        {
            self.enlarge();
        }
    }

    /// Goes over to blocks, if it is a listpack.
    fn enlarge(&mut self) -> &mut Blocks {
        if let Repr::Packed(pack) = &mut self.repr {
            let pack = std::mem::take(pack);
            let mut blocks = Box::<Blocks>::default();
            if !pack.is_empty() {
                blocks.put(0, Node::of_pack(pack));
            }
            self.repr = Repr::Blocks(blocks);
        }
        match &mut self.repr {
            Repr::Blocks(blocks) => blocks,
            Repr::Packed(_) => unreachable!("it was made blocks just now"),
        }
    }

    /// Makes a listpack of blocks that are one small one.
    fn settle(&mut self, limits: &ListLimits, has_shrunk: bool) {
        let Repr::Blocks(blocks) = &mut self.repr else {
            return;
        };
        let pack = match blocks.nodes().len() {
            0 => Listpack::new(),
            1 => {
                let Some(pack) = blocks.only_pack() else {
                    return;
                };
                if !limits.is_small(pack.as_bytes().len(), pack.len(), has_shrunk) {
                    return;
                }
                std::mem::take(pack)
            }
            _ => return,
        };
        self.repr = Repr::Packed(pack);
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = Item<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}
