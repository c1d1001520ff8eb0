//! The blocks of a stream under the ids of their first entries, in order.
//!
//! Blocks come at the end and mostly go from the front, so they lie in groups that are filled one after the other: a full group has no slack, and its
//! size is a size class. Removing a block anywhere moves at most a group and the places of the groups.
//!
//! Invariants: ids ascend; no group is empty or has more than [`GROUP_BLOCKS`]; `len` is the sum over the groups, `bytes` what they take from the
//! allocator, beside the blocks themselves. Called by the other files of streams.

use std::collections::VecDeque;

use super::id::StreamId;
use crate::entry::size_class;
use crate::listpack::Listpack;

/// Most blocks of a group.
const GROUP_BLOCKS: usize = 64;

type Group = Vec<(StreamId, Listpack)>;

/// See the head of this file.
#[derive(Default)]
pub(super) struct Blocks {
    groups: VecDeque<Group>,
    len: usize,
    bytes: usize,
}

/// Where a block is, until a block is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    group: usize,
    at: usize,
}

/// Neighbouring blocks, from either end.
#[derive(Clone)]
pub(super) struct Span<'a> {
    blocks: &'a Blocks,
    /// The first and the last one that are still to come.
    ends: Option<(Place, Place)>,
}

impl Clone for Blocks {
    /// A copy has no room to spare.
    fn clone(&self) -> Self {
        let mut copy = Self {
            groups: self.groups.clone(),
            ..*self
        };
        copy.shrink();
        copy
    }
}

fn group_bytes(group: &Group) -> usize {
    size_class(group.capacity() * size_of::<(StreamId, Listpack)>())
}

impl Blocks {
    /// Number of blocks. O(1).
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes taken from the allocator, beside the blocks themselves. O(1).
    pub(super) fn index_bytes(&self) -> usize {
        match self.groups.capacity() * size_of::<Group>() {
            0 => 0,
            places => self.bytes + size_class(places),
        }
    }

    /// All blocks.
    pub(super) fn iter(&self) -> Span<'_> {
        self.span(Some(Place { group: 0, at: 0 }), self.last_place())
    }

    /// The blocks that may hold ids from `start` to `end`, both included.
    pub(super) fn range(&self, start: StreamId, end: StreamId) -> Span<'_> {
        let first = Place { group: 0, at: 0 };
        self.span(Some(self.place(start).unwrap_or(first)), self.place(end))
    }

    /// The blocks whose ids are above this one.
    pub(super) fn above(&self, id: Option<StreamId>) -> Span<'_> {
        let first = match id.and_then(|id| self.place(id)) {
            Some(place) => self.after(place),
            None => Place { group: 0, at: 0 },
        };
        self.span(Some(first), self.last_place())
    }

    fn span(&self, first: Option<Place>, last: Option<Place>) -> Span<'_> {
        let ends = first.zip(last).filter(|(first, last)| first <= last);
        Span { blocks: self, ends }
    }

    /// The first block.
    pub(super) fn first(&self) -> Option<(StreamId, &Listpack)> {
        self.iter().next()
    }

    /// The first block, to be changed.
    pub(super) fn first_mut(&mut self) -> Option<&mut Listpack> {
        let (_, pack) = self.groups.front_mut()?.first_mut()?;
        Some(pack)
    }

    /// The last block, to be changed.
    pub(super) fn last_mut(&mut self) -> Option<(StreamId, &mut Listpack)> {
        let (id, pack) = self.groups.back_mut()?.last_mut()?;
        Some((*id, pack))
    }

    /// The block that would hold this id, to be changed. O(log blocks).
    pub(super) fn holder_mut(&mut self, id: StreamId) -> Option<(StreamId, &mut Listpack)> {
        let place = self.place(id)?;
        let (id, pack) = self.groups.get_mut(place.group)?.get_mut(place.at)?;
        Some((*id, pack))
    }

    /// Adds a block behind the last one. Amortised O(1).
    pub(super) fn push(&mut self, id: StreamId, pack: Listpack) {
        let is_full = |group: &Group| group.len() == GROUP_BLOCKS;
        if self.groups.back().is_none_or(is_full) {
            self.make_place();
        }
        if let Some(group) = self.groups.back_mut() {
            let before = group_bytes(group);
            if group.len() == group.capacity() {
                let more = group.len().max(1).min(GROUP_BLOCKS - group.len());
                group.reserve_exact(more);
            }
            group.push((id, pack));
            self.bytes = self.bytes - before + group_bytes(group);
            self.len += 1;
        }
    }

    /// Begins a group with room for one block. The places of the groups grow by a quarter: there are many of them only in long streams.
    fn make_place(&mut self) {
        if self.groups.len() == self.groups.capacity() {
            self.groups.reserve_exact(self.groups.len() / 4 + 1);
        }
        let group = Group::with_capacity(1);
        self.bytes += group_bytes(&group);
        self.groups.push_back(group);
    }

    /// Removes the block with this id, if there is one. O(log blocks + blocks / 64).
    pub(super) fn remove(&mut self, id: StreamId) -> Option<Listpack> {
        let place = self.place(id)?;
        let group = self.groups.get_mut(place.group)?;
        if group.get(place.at)?.0 != id {
            return None;
        }
        let before = group_bytes(group);
        let (_, pack) = group.remove(place.at);
        if group.capacity() > 4 * group.len() {
            group.shrink_to(2 * group.len());
        }
        let (is_empty, after) = (group.is_empty(), group_bytes(group));
        self.len -= 1;
        self.bytes -= before;
        if is_empty {
            self.groups.remove(place.group);
            if self.groups.capacity() > 4 * self.groups.len() {
                self.groups.shrink_to(2 * self.groups.len());
            }
        } else {
            self.bytes += after;
        }
        Some(pack)
    }

    /// Removes the first block.
    pub(super) fn pop_first(&mut self) -> Option<Listpack> {
        let (id, _) = self.first()?;
        self.remove(id)
    }

    /// Gives back what is there beyond the blocks. O(groups).
    pub(super) fn shrink(&mut self) {
        self.groups.iter_mut().for_each(Group::shrink_to_fit);
        self.groups.shrink_to_fit();
        self.bytes = self.groups.iter().map(group_bytes).sum();
    }

    fn last_place(&self) -> Option<Place> {
        let group = self.groups.len().checked_sub(1)?;
        let at = self.groups[group].len().checked_sub(1)?;
        Some(Place { group, at })
    }

    fn after(&self, place: Place) -> Place {
        if place.at + 1 < self.groups[place.group].len() {
            Place {
                at: place.at + 1,
                ..place
            }
        } else {
            Place {
                group: place.group + 1,
                at: 0,
            }
        }
    }

    fn before(&self, place: Place) -> Option<Place> {
        match place.at.checked_sub(1) {
            Some(at) => Some(Place { at, ..place }),
            None => {
                let group = place.group.checked_sub(1)?;
                let at = self.groups[group].len().checked_sub(1)?;
                Some(Place { group, at })
            }
        }
    }

    /// The last block whose id is not above this one.
    fn place(&self, id: StreamId) -> Option<Place> {
        let is_below = |group: &Group| group.first().is_some_and(|(first, _)| *first <= id);
        let group = self.groups.partition_point(is_below).checked_sub(1)?;
        let below = self.groups[group].partition_point(|(first, _)| *first <= id);
        let at = below.checked_sub(1)?;
        Some(Place { group, at })
    }
}

impl<'a> Span<'a> {
    fn get(&self, place: Place) -> Option<(StreamId, &'a Listpack)> {
        let (id, pack) = self.blocks.groups.get(place.group)?.get(place.at)?;
        Some((*id, pack))
    }
}

impl<'a> Iterator for Span<'a> {
    type Item = (StreamId, &'a Listpack);

    fn next(&mut self) -> Option<Self::Item> {
        let (first, last) = self.ends?;
        self.ends = (first < last).then(|| (self.blocks.after(first), last));
        self.get(first)
    }
}

impl DoubleEndedIterator for Span<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (first, last) = self.ends?;
        let before = self.blocks.before(last).filter(|_| first < last);
        self.ends = before.map(|before| (first, before));
        self.get(last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> StreamId {
        StreamId::new(number, 0)
    }

    /// A block that can be told from others.
    fn block(number: u64) -> Listpack {
        let mut pack = Listpack::new();
        pack.push(number.to_string().as_bytes());
        pack
    }

    /// What the allocator gave for the index.
    fn taken(blocks: &Blocks) -> usize {
        let groups: usize = blocks.groups.iter().map(group_bytes).sum();
        match blocks.groups.capacity() {
            0 => 0,
            places => groups + size_class(places * size_of::<Group>()),
        }
    }

    fn check(blocks: &Blocks, model: &BTreeMap<StreamId, Listpack>, from: u64, to: u64) {
        assert_eq!(blocks.len(), model.len());
        assert_eq!(blocks.index_bytes(), taken(blocks));
        assert!(blocks.groups.iter().all(|group| !group.is_empty()));
        let all = model.iter().map(|(id, pack)| (*id, pack));
        assert!(blocks.iter().eq(all.clone()));
        assert!(blocks.iter().rev().eq(all.clone().rev()));
        let start = model.range(..=id(from)).next_back();
        let start = start.map_or(id(from), |(id, _)| *id);
        let within = |block: &StreamId| *block >= start && *block <= id(to);
        let expected = all.clone().filter(|(id, _)| within(id));
        assert!(blocks.range(id(from), id(to)).eq(expected.clone()));
        assert!(blocks.range(id(from), id(to)).rev().eq(expected.rev()));
        let above = all.clone().filter(|(block, _)| *block > id(from));
        assert!(blocks.above(Some(id(from))).eq(above));
        assert!(blocks.above(None).eq(all));
    }

    proptest! {
        #[test]
        fn blocks_are_an_ordered_map(
            gaps in proptest::collection::vec(1u64..4, 0..300),
            gone in proptest::collection::vec(any::<prop::sample::Index>(), 0..300),
            (from, to) in (0u64..900, 0u64..900),
        ) {
            let (mut blocks, mut model, mut last) = (Blocks::default(), BTreeMap::new(), 0);
            for gap in gaps {
                last += gap;
                blocks.push(id(last), block(last));
                model.insert(id(last), block(last));
            }
            check(&blocks, &model, from, to);
            for index in gone {
                let Some(number) = index.index(model.len() + 1).checked_sub(1) else {
                    assert!(blocks.remove(id(last + 1)).is_none());
                    continue;
                };
                let victim = *model.keys().nth(number).expect("the number is below the length");
                assert_eq!(blocks.holder_mut(victim).map(|(id, _)| id), Some(victim));
                assert_eq!(blocks.remove(victim), model.remove(&victim));
                assert!(blocks.remove(victim).is_none());
            }
            check(&blocks, &model, from, to);
            check(&blocks.clone(), &model, from, to);
            while let Some((first, _)) = blocks.first() {
                assert_eq!(blocks.pop_first(), model.remove(&first));
            }
            assert!(model.is_empty() && blocks.index_bytes() == 0);
        }
    }

    #[test]
    fn a_block_of_a_long_stream_costs_its_place() {
        let mut blocks = Blocks::default();
        for number in 0..64_000 {
            blocks.push(id(number), block(number));
        }
        assert!(blocks.index_bytes() <= 64_000 * 25);
        let mut single = Blocks::default();
        single.push(id(1), block(1));
        assert_eq!(single.index_bytes(), 48 + 16);
    }
}
