//! A sorted set in either encoding.
//!
//! Owns [`Zset`] and the choice of the encoding: packed until an insert goes beyond the limits, then large for good, as in Redis. Invariants: those of
//! the encodings. Called by the commands, by RESTORE and by what loads files.

use std::ops::Range;

use super::cut::Cut;
use super::elements::Elements;
use super::inserted::Inserted;
use super::large::Large;
use super::packed::Packed;
use crate::entry::size_class;
use crate::listpack::{Item, Listpack};
use crate::object::{PackLimits, tag};

/// Members with scores, ordered by score, then by member.
///
/// Members are given out as [`Item`]s, as a packed one holds those that look like integers as integers.
#[derive(Clone)]
#[repr(transparent)]
pub struct Zset {
    pub(super) encoding: Encoding,
}

/// The discriminant is the first byte of an object.
#[derive(Clone)]
#[repr(u8)]
pub(super) enum Encoding {
    Packed(Packed) = tag::ZSET,
    Large(Box<Large>) = tag::ZSET + 1,
}

impl Default for Zset {
    fn default() -> Self {
        Self::new()
    }
}

impl Zset {
    /// Where the elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match &self.encoding {
            Encoding::Packed(packed) => packed.contents(),
            Encoding::Large(large) => std::ptr::from_ref(&**large).cast(),
        }
    }

    /// No elements.
    #[must_use]
    pub fn new() -> Self {
        Self {
            encoding: Encoding::Packed(Packed::new()),
        }
    }

    /// Takes a listpack that came from elsewhere, as RESTORE does: an even number of elements, scores that are no NaN, pairs in order, no
    /// member twice; else `None`. Large if there are more than `limits.entries_max`. O(n log n).
    #[must_use]
    pub fn from_listpack(pack: Listpack, limits: &PackLimits) -> Option<Self> {
        let mut zset = Self {
            encoding: Encoding::Packed(Packed::from_listpack(pack)?),
        };
        if zset.len() > limits.entries_max {
            zset.enlarge(limits.seed);
        }
        Some(zset)
    }

    /// Number of elements. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.encoding {
            Encoding::Packed(packed) => packed.len(),
            Encoding::Large(large) => large.tree.len(),
        }
    }

    /// Whether there is no element.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator, by size class. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.encoding {
            Encoding::Packed(packed) => packed.heap_bytes(),
            Encoding::Large(large) => size_class(size_of::<Large>()) + large.heap_bytes(),
        }
    }

    /// What OBJECT ENCODING says.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.encoding {
            Encoding::Packed(_) => "listpack",
            Encoding::Large(_) => "skiplist",
        }
    }

    /// The listpack, for DUMP and files, if it is one.
    #[must_use]
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.encoding {
            Encoding::Packed(packed) => Some(packed.listpack()),
            Encoding::Large(_) => None,
        }
    }

    /// The score of a member. Packed O(n), large O(1).
    #[inline]
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.encoding {
            Encoding::Packed(packed) => packed.score(member),
            Encoding::Large(large) => large.score(member),
        }
    }

    /// Adds a member or gives it another score. Packed O(n), large O(log n); the conversion is O(n log n).
    ///
    /// # Panics
    /// If the score is NaN: there is no place for it.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &PackLimits) -> Inserted {
        assert!(!score.is_nan(), "a score is not NaN");
        if let Encoding::Packed(packed) = &mut self.encoding {
            if let Some(done) = packed.update(member, score) {
                return done;
            }
            if packed.len() < limits.entries_max
                && member.len() <= limits.value_bytes_max
                && packed.has_room(member.len())
            {
                packed.add(member, score);
                return Inserted::Added;
            }
        }
        self.enlarge(limits.seed).insert(member, score)
    }

    /// Goes over to the large encoding now if so many elements are about to come that it will not stay packed.
    pub fn expect(&mut self, expected: usize, limits: &PackLimits) {
        if expected > limits.entries_max {
            self.enlarge(limits.seed);
        }
    }

    /// The large encoding, converted to it if need be.
    fn enlarge(&mut self, seed: u64) -> &mut Large {
        if let Encoding::Packed(packed) = &self.encoding {
            let mut large = Box::new(Large::new(seed));
            let mut digits = itoa::Buffer::new();
            for (member, score) in Elements::packed(packed, 0..packed.len()) {
                large.add(member.text(&mut digits), score);
            }
            self.encoding = Encoding::Large(large);
        }
        match &mut self.encoding {
            Encoding::Large(large) => large,
            Encoding::Packed(_) => unreachable!("it has just been converted"),
        }
    }

    /// Removes a member and returns its score. Packed O(n), large O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.encoding {
            Encoding::Packed(packed) => packed.remove(member),
            Encoding::Large(large) => large.remove(member),
        }
    }

    /// The number of elements before a member. Packed O(n), large O(log n).
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.encoding {
            Encoding::Packed(packed) => packed.rank(member),
            Encoding::Large(large) => large.rank(member),
        }
    }

    /// The number of elements before a cut. Packed O(n), large O(log n).
    #[must_use]
    pub fn rank_at(&self, cut: Cut<'_>) -> usize {
        match &self.encoding {
            Encoding::Packed(packed) => packed.rank_at(&cut),
            Encoding::Large(large) => large.tree.rank_at(&cut),
        }
    }

    /// The ranks between two cuts, empty if they are in the wrong order.
    #[must_use]
    pub fn between(&self, from: Cut<'_>, to: Cut<'_>) -> Range<usize> {
        let start = self.rank_at(from);
        start..self.rank_at(to).max(start)
    }

    /// The elements with these ranks, as far as they are there; from either end. O(log n) to begin with, then O(1) each.
    #[must_use]
    pub fn range(&self, ranks: Range<usize>) -> Elements<'_> {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        match &self.encoding {
            Encoding::Packed(packed) => Elements::packed(packed, ranks),
            Encoding::Large(large) => Elements::large(large, ranks),
        }
    }

    /// All elements in order.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        self.range(0..self.len())
    }

    /// A random element, all with the same chance, `None` if there is none. Packed O(n), large O(log n).
    pub fn random(&self, draw: &mut impl FnMut() -> u64) -> Option<(Item<'_>, f64)> {
        let rank = (u128::from(draw()) * self.len() as u128) >> 64;
        self.range(rank as usize..self.len()).next()
    }

    /// Visits members and returns the cursor to go on with, 0 at the end; start with 0. Packed: all at once. Large: about five, with the
    /// guarantees of [`crate::table::Table::scan`].
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Item<'_>, f64)) -> u64 {
        match &self.encoding {
            Encoding::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Encoding::Large(large) => large.scan(cursor, visit),
        }
    }

    /// Removes the elements with these ranks, as far as they are there, and shows them in order. Returns how many. Packed O(n), large
    /// O(log n) per leaf and O(1) per element.
    pub fn remove_ranks(
        &mut self,
        ranks: Range<usize>,
        each: &mut dyn FnMut(Item<'_>, f64),
    ) -> usize {
        let end = ranks.end.min(self.len());
        let start = ranks.start.min(end);
        match &mut self.encoding {
            Encoding::Packed(packed) => packed.remove_ranks(start, end, each),
            Encoding::Large(large) => large.remove_ranks(start, end, each),
        }
        end - start
    }

    /// Frees about `elements` elements' part of the memory (300 take some 10 to 20 µs) and says whether that was all; then it is empty. For one
    /// that is too large to be dropped at once; it must not be used for anything else until then.
    pub fn free_some(&mut self, elements: usize) -> bool {
        if let Encoding::Large(large) = &mut self.encoding
            && !large.free_some(elements)
        {
            return false;
        }
        *self = Self::new();
        true
    }

    /// Removes the first element.
    pub fn pop_min(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(0)
    }

    /// Removes the last element.
    pub fn pop_max(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(self.len().checked_sub(1)?)
    }

    fn pop(&mut self, rank: usize) -> Option<(Vec<u8>, f64)> {
        let mut popped = None;
        self.remove_ranks(rank..rank + 1, &mut |member, score| {
            popped = Some((member.to_vec(), score));
        });
        popped
    }
}
