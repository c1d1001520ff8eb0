//! The consumer groups of a stream by name.
//!
//! Invariants: `bytes` and `pending` are the sums over the groups, so groups change only through [`Groups::change`].

use std::collections::BTreeMap;
use std::ops::Bound;

use super::group::Group;
use crate::entry::size_class;

/// A group beside its name: its place in the map at the usual fill.
const GROUP_BYTES: usize = 256;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    map: BTreeMap<Box<[u8]>, Group>,
    bytes: usize,
    pending: usize,
}

fn cost(name: &[u8], group: &Group) -> usize {
    GROUP_BYTES + size_class(name.len()) + group.heap_bytes()
}

impl Groups {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// Number of pending entries in all groups.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending
    }

    /// The group of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.map.get(name)
    }

    /// The groups by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.map.iter().map(|(name, group)| (&**name, group))
    }

    /// The first group by name, or the one behind this name.
    #[must_use]
    pub fn after(&self, name: Option<&[u8]>) -> Option<(&[u8], &Group)> {
        let start = name.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.map.range::<[u8], _>((start, Bound::Unbounded));
        rest.next().map(|(name, group)| (&**name, group))
    }

    /// Adds a group unless there is one of this name, and says whether it did.
    pub fn insert(&mut self, name: &[u8], group: Group) -> bool {
        if self.map.contains_key(name) {
            return false;
        }
        self.bytes += cost(name, &group);
        self.pending += group.pending().len();
        self.map.insert(name.into(), group);
        true
    }

    /// Takes a group out, if it is there.
    pub fn take(&mut self, name: &[u8]) -> Option<Group> {
        let group = self.map.remove(name)?;
        self.bytes -= cost(name, &group);
        self.pending -= group.pending().len();
        Some(group)
    }

    /// Changes the group of this name, if there is one.
    pub fn change<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group) -> R) -> Option<R> {
        let group = self.map.get_mut(name)?;
        let (bytes, pending) = (group.heap_bytes(), group.pending().len());
        let result = change(group);
        self.bytes = self.bytes - bytes + group.heap_bytes();
        self.pending = self.pending - pending + group.pending().len();
        Some(result)
    }

    pub(super) fn free_some(&mut self, elements: usize) -> bool {
        let mut left = elements.max(1);
        while left > 0
            && let Some(mut last) = self.map.last_entry()
        {
            let freed = last.get_mut().free_pending(left);
            left -= freed;
            self.pending -= freed;
            if last.get().pending().is_empty() {
                last.remove();
            }
        }
        self.map.is_empty()
    }
}
