//! The large encoding: an index from members to scores beside the tree.
//!
//! Owns [`Large`]: a table whose entries are the members with the bits of their scores, and the tree, which refers to them. Invariant: tree and index
//! hold the same members with the same scores, and an entry is freed only after its element has left the tree (`member.rs`). Called by `zset.rs`.

use super::cut::Cut;
use super::inserted::Inserted;
use super::leaf::NODE_MAX;
use super::member::{MemberRef, score_of};
use super::tree::Tree;
use crate::entry::{Entry, StrValue, refused};
use crate::listpack::Item;
use crate::table::Table;

/// About how many elements a leaf has.
const ELEMENTS_PER_LEAF: usize = 50;
/// About how many elements a segment of the index has.
const ELEMENTS_PER_SEGMENT: usize = 300;

/// A sorted set of any size.
pub(super) struct Large {
    pub(super) index: Table,
    pub(super) tree: Tree,
}

fn value_of(score: f64) -> StrValue<'static> {
    StrValue::Int(score.to_bits() as i64)
}

impl Large {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            index: Table::new(seed),
            tree: Tree::new(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.index.mem_bytes() + self.tree.heap_bytes()
    }

    #[inline]
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        let entry = self.index.get(self.index.hash(member), member)?;
        Some(score_of(entry))
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        let hash = self.index.hash(member);
        let Some(spot) = self.index.locate(hash, member) else {
            self.insert_new(hash, Entry::new(member, value_of(score), None), score);
            return Inserted::Added;
        };
        let mut entry = self
            .index
            .entry_at_mut(hash, spot)
            .expect("the table has not changed since the entry was located");
        let (old, known) = (score_of(&entry), MemberRef::of(&entry));
        if old == score {
            return Inserted::Same;
        }
        entry.set_value(value_of(score)).unwrap_or_else(refused);
        if !self.tree.rescore(old, known, score) {
            self.tree.remove(old, known);
            self.tree.insert(score, known);
        }
        Inserted::Updated
    }

    /// Inserts a member that is not there.
    pub(super) fn add(&mut self, member: &[u8], score: f64) {
        let entry = Entry::new(member, value_of(score), None);
        self.insert_new(self.index.hash(member), entry, score);
    }

    fn insert_new(&mut self, hash: u64, entry: Entry, score: f64) {
        let member = MemberRef::of(&entry);
        self.index.insert_new(hash, entry);
        self.tree.insert(score, member);
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.index.hash(member);
        let entry = self.index.remove(hash, member)?;
        let score = score_of(&entry);
        self.tree.remove(score, MemberRef::of(&entry));
        Some(score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.tree.rank_at(&Cut::At(score, member)))
    }

    /// Removes the elements of these ranks, a leaf's at a time, and shows each before it goes.
    pub(super) fn remove_ranks(
        &mut self,
        start: usize,
        end: usize,
        each: &mut dyn FnMut(Item<'_>, f64),
    ) {
        let mut left = end - start;
        while left > 0 {
            let mut taken = [MemberRef::NONE; NODE_MAX];
            let (leaf, at) = self.tree.leaf_at(start);
            let members = &leaf.members()[at..];
            let count = left.min(members.len());
            taken[..count].copy_from_slice(&members[..count]);
            taken[..count].iter().for_each(MemberRef::prefetch);
            self.tree.remove_ranks(start, count);
            for member in &taken[..count] {
                let bytes = member.bytes();
                each(Item::Bytes(bytes), member.score());
                let entry = self.index.remove(self.index.hash(bytes), bytes);
                debug_assert!(entry.is_some_and(|entry| MemberRef::of(&entry) == *member));
            }
            left -= count;
        }
    }

    /// Visits some members; the cursor is the table's.
    pub(super) fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Item<'_>, f64)) -> u64 {
        self.index.scan(cursor, &mut |entry| {
            visit(Item::Bytes(entry.key()), score_of(entry))
        })
    }
}

impl Large {
    /// Frees a part: the tree first, as it refers to the index. Says whether that was all.
    pub(super) fn free_some(&mut self, elements: usize) -> bool {
        if self.tree.len() > 0 {
            for _ in 0..elements.div_ceil(ELEMENTS_PER_LEAF) {
                if self.tree.free_leaf() {
                    break;
                }
            }
            return false;
        }
        self.index
            .free_some(elements.div_ceil(ELEMENTS_PER_SEGMENT))
    }
}

impl Clone for Large {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.index.seed());
        let mut rank = 0;
        while rank < self.tree.len() {
            let (leaf, _) = self.tree.leaf_at(rank);
            leaf.members().iter().for_each(MemberRef::prefetch);
            for (member, &score) in leaf.members().iter().zip(leaf.scores()) {
                copy.add(member.bytes(), score);
            }
            rank += leaf.len();
        }
        copy
    }
}
