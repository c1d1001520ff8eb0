//! Iteration over the elements of a list, from any place in either direction.

use super::{End, List, NodeRef, Spot};
use crate::listpack::Item;

/// The elements from a place on, towards an end.
#[derive(Clone)]
pub struct Elements<'a> {
    list: &'a List,
    node: Option<NodeRef<'a>>,
    next: Option<Spot>,
    towards: End,
}

impl<'a> Elements<'a> {
    pub(super) fn new(list: &'a List, next: Option<Spot>, towards: End) -> Self {
        Self {
            list,
            node: next.and_then(|spot| list.node(spot.node)),
            next,
            towards,
        }
    }

    /// Where the next element lies, to go on from there later.
    #[must_use]
    pub fn spot(&self) -> Option<Spot> {
        self.next
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let spot = self.next?;
        let node = self.node?;
        let item = node.at(spot.pos);
        if let Some(pos) = node.beside(spot.pos, self.towards) {
            self.next = Some(Spot {
                pos: Some(pos),
                ..spot
            });
        } else {
            self.next = self.list.beside(spot, self.towards);
            self.node = self.next.and_then(|spot| self.list.node(spot.node));
        }
        Some(item)
    }
}
