//! One node of a large list: a listpack of elements, or one element that is too large for a listpack.
//!
//! Invariants: a listpack node has at least one element, and its count is known here, so that skipping it touches no other memory.

use crate::entry::size_class;
use crate::list::ListLimits;
use crate::listpack::{Item, Listpack, Pos};

/// One of the two ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head: LEFT.
    Front,
    /// The tail: RIGHT.
    Back,
}

/// A node, for those who write lists elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum NodeRef<'a> {
    /// Elements.
    Pack(&'a Listpack),
    /// One large element.
    Plain(&'a [u8]),
}

/// Where an element lies, until the list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub(super) node: usize,
    /// None in a plain node.
    pub(super) pos: Option<Pos>,
}

impl<'a> NodeRef<'a> {
    /// Where the element at this end lies.
    pub(super) fn end(self, end: End) -> Option<Pos> {
        match (self, end) {
            (Self::Pack(pack), End::Front) => pack.first(),
            (Self::Pack(pack), End::Back) => pack.last(),
            (Self::Plain(_), _) => None,
        }
    }

    /// The element after or before this one, in this node.
    pub(super) fn beside(self, pos: Option<Pos>, towards: End) -> Option<Pos> {
        match (self, towards) {
            (Self::Pack(pack), End::Back) => pack.next(pos?),
            (Self::Pack(pack), End::Front) => pack.prev(pos?),
            (Self::Plain(_), _) => None,
        }
    }

    pub(super) fn at(self, pos: Option<Pos>) -> Item<'a> {
        match (self, pos) {
            (Self::Plain(bytes), _) => Item::Bytes(bytes),
            (Self::Pack(pack), Some(pos)) => pack.at(pos),
            (Self::Pack(_), None) => Item::Bytes(b""),
        }
    }
}

#[derive(Clone)]
pub(super) enum Node {
    Pack { pack: Listpack, count: u32 },
    Plain(Box<[u8]>),
}

impl Node {
    /// A node with one element.
    pub(super) fn of(bytes: &[u8], limits: &ListLimits) -> Self {
        if limits.is_large(bytes.len()) {
            return Self::Plain(bytes.into());
        }
        let mut pack = Listpack::new();
        pack.push(bytes);
        Self::Pack { pack, count: 1 }
    }

    pub(super) fn of_pack(pack: Listpack) -> Self {
        let count = pack.len() as u32;
        Self::Pack { pack, count }
    }

    pub(super) fn view(&self) -> NodeRef<'_> {
        match self {
            Self::Pack { pack, .. } => NodeRef::Pack(pack),
            Self::Plain(bytes) => NodeRef::Plain(bytes),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Pack { count, .. } => *count as usize,
            Self::Plain(_) => 1,
        }
    }

    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Pack { pack, .. } => pack.heap_bytes(),
            Self::Plain(bytes) => size_class(bytes.len()),
        }
    }

    /// Whether an element of this many bytes may be added.
    #[inline]
    pub(super) fn allows(&self, bytes: usize, limits: &ListLimits) -> bool {
        match self {
            Self::Pack { pack, count } => {
                !limits.is_large(bytes)
                    && limits.allows(pack.as_bytes().len(), *count as usize, bytes)
            }
            Self::Plain(_) => false,
        }
    }

    /// Adds an element at an end of a listpack node.
    #[inline]
    pub(super) fn push(&mut self, end: End, bytes: &[u8]) {
        if let Self::Pack { pack, count } = self {
            match end {
                End::Front => pack.push_front(bytes),
                End::Back => pack.push(bytes),
            }
            *count += 1;
        }
    }

    /// Puts an element of a listpack node before the one at `pos`.
    pub(super) fn insert(&mut self, pos: Pos, bytes: &[u8]) {
        if let Self::Pack { pack, count } = self {
            pack.insert(Some(pos), &[Item::of(bytes)]);
            *count += 1;
        }
    }

    /// Removes the element at an end and says whether that was the last one; then the node must go.
    #[inline]
    pub(super) fn pop(&mut self, end: End) -> bool {
        match self {
            Self::Pack { pack, count } if *count > 1 => {
                let pos = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                };
                if let Some(pos) = pos {
                    pack.remove(pos, 1);
                    *count -= 1;
                }
                false
            }
            _ => true,
        }
    }

    /// Cuts a listpack node in two before its `kept`th element, neither part being empty.
    pub(super) fn split_off(&mut self, kept: usize) -> Option<Self> {
        let Self::Pack { pack, count } = self else {
            return None;
        };
        let pos = pack.nth(kept as i64).filter(|_| kept > 0)?;
        let tail = pack.split_off(pos, kept);
        let cut = *count - kept as u32;
        *count = kept as u32;
        Some(Self::Pack {
            pack: tail,
            count: cut,
        })
    }

    /// Removes up to `most` elements that equal `wanted`, the first or the last ones. Returns how many. O(bytes), however many they are.
    pub(super) fn remove_equal(&mut self, wanted: Item<'_>, most: usize, from: End) -> usize {
        let Self::Pack { pack, count } = self else {
            return usize::from(most > 0 && self.view().at(None) == wanted);
        };
        let found = pack.iter().filter(|item| *item == wanted).count();
        let removed = found.min(most);
        if removed == 0 {
            return 0;
        }
        let spared = match from {
            End::Front => removed..found,
            End::Back => 0..found - removed,
        };
        let (mut rest, mut seen) = (Listpack::new(), 0);
        for item in pack.iter() {
            let is_equal = item == wanted;
            if !is_equal || spared.contains(&seen) {
                rest.push_item(item);
            }
            seen += usize::from(is_equal);
        }
        (*pack, *count) = (rest, *count - removed as u32);
        removed
    }
}
