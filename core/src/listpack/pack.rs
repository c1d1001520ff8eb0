//! The listpack itself: reading and changing.
//!
//! Invariants: the bytes are a valid listpack from `new` or a checked `from_bytes` on, so a position got from it can be read. Called by the encodings of
//! collections.

use std::fmt;

use smallvec::SmallVec;

use super::element::{self, END, Item};
use crate::buffer::Buffer;

/// Bytes of the header.
const HEADER_BYTES: usize = 6;
/// The header's count from which on the elements have to be counted.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Elements being put in that need no allocation on their way.
const FRESH_BYTES: usize = 128;

/// A sequence of elements in one block.
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Buffer,
}

/// Where an element lies, until the listpack changes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

/// Bytes that are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a valid listpack")
    }
}

impl std::error::Error for Corrupt {}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Listpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Listpack {
    /// No elements.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Buffer::of(&[&[0; HEADER_BYTES], &[END]]),
        }
    }

    /// A copy of bytes that came from elsewhere, after checking every element. O(bytes).
    ///
    /// # Errors
    /// [`Corrupt`] when header, elements or end are not as they should be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let header: [u8; 4] = bytes
            .get(..4)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Corrupt)?;
        if u32::from_le_bytes(header) as usize != bytes.len() || bytes.len() <= HEADER_BYTES {
            return Err(Corrupt);
        }
        let end = bytes.len() - 1;
        let (mut at, mut count) = (HEADER_BYTES, 0usize);
        while at < end {
            let (_, body) = element::read(bytes, at).ok_or(Corrupt)?;
            let next = at + body + element::back_length_bytes(body);
            if next > end || element::back_length(bytes, next) != Some((body, next - at - body)) {
                return Err(Corrupt);
            }
            at = next;
            count += 1;
        }
        let stated = u16::from_le_bytes([bytes[4], bytes[5]]);
        if bytes[end] != END || (stated != COUNT_UNKNOWN && usize::from(stated) != count) {
            return Err(Corrupt);
        }
        Ok(Self {
            bytes: Buffer::of(&[bytes]),
        })
    }

    /// The block, as Redis would write it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Bytes that it takes. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.taken()
    }

    /// The header's count.
    #[inline]
    fn stated(&self) -> u16 {
        let bytes = self.as_bytes();
        u16::from_le_bytes([bytes[4], bytes[5]])
    }

    /// Number of elements. O(1) below 65,535, else O(n).
    #[must_use]
    pub fn len(&self) -> usize {
        match self.stated() {
            COUNT_UNKNOWN => self.iter().count(),
            count => count.into(),
        }
    }

    /// Whether there is no element. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes()[HEADER_BYTES] == END
    }

    fn set_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.bytes.body_mut()[..2].copy_from_slice(&count.to_le_bytes());
    }

    /// The first element.
    #[must_use]
    pub fn first(&self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos(HEADER_BYTES))
    }

    /// The last element.
    #[must_use]
    pub fn last(&self) -> Option<Pos> {
        self.before(self.bytes.len() - 1)
    }

    /// The element after this one.
    #[inline]
    #[must_use]
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        let next = self.end_of(pos);
        (self.as_bytes()[next] != END).then_some(Pos(next))
    }

    /// The element before this one.
    #[must_use]
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        self.before(pos.0)
    }

    fn before(&self, end: usize) -> Option<Pos> {
        if end <= HEADER_BYTES {
            return None;
        }
        let (body, width) = element::back_length(self.as_bytes(), end)?;
        Some(Pos(end - width - body))
    }

    #[inline]
    fn end_of(&self, pos: Pos) -> usize {
        let (_, body) =
            element::read(self.as_bytes(), pos.0).expect("a position is that of an element");
        pos.0 + body + element::back_length_bytes(body)
    }

    /// What lies there.
    #[inline]
    #[must_use]
    pub fn at(&self, pos: Pos) -> Item<'_> {
        element::read(self.as_bytes(), pos.0)
            .expect("a position is that of an element")
            .0
    }

    /// The element with this number, negative from the end. O(n), from the nearer end.
    #[must_use]
    pub fn nth(&self, index: i64) -> Option<Pos> {
        let len = self.len() as i64;
        let index = if index < 0 { index + len } else { index };
        if index < 0 || index >= len {
            return None;
        }
        if index <= len / 2 {
            (0..index).try_fold(self.first()?, |pos, _| self.next(pos))
        } else {
            (index + 1..len).try_fold(self.last()?, |pos, _| self.prev(pos))
        }
    }

    /// The elements in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: self.as_bytes(),
            next: HEADER_BYTES,
        }
    }

    /// The first element that equals `wanted` among every `step`th, from `from` on. O(n).
    #[must_use]
    pub fn find(&self, from: Option<Pos>, wanted: &[u8], step: usize) -> Option<Pos> {
        let wanted = Item::of(wanted);
        let mut pos = from?;
        loop {
            if self.at(pos) == wanted {
                return Some(pos);
            }
            for _ in 0..step {
                pos = self.next(pos)?;
            }
        }
    }

    /// Whether an element of this many bytes still fits: a block has at most 1 GiB, as in Redis.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        const BLOCK_BYTES_MAX: usize = 1 << 30;
        self.bytes.len() + bytes <= BLOCK_BYTES_MAX
    }

    /// Appends an element. Amortised O(element).
    pub fn push(&mut self, bytes: &[u8]) {
        self.push_item(Item::of(bytes));
    }

    /// Appends an element that is known to be an integer or not.
    pub fn push_item(&mut self, item: Item<'_>) {
        self.push_items([item]);
    }

    /// Appends elements. O(elements), and a move of the listpack where it leaves its size class; an unknown count is left unknown.
    pub fn push_items<'a>(&mut self, items: impl IntoIterator<Item = Item<'a>>) {
        let mut count = usize::from(self.stated());
        let mut fresh: SmallVec<[u8; FRESH_BYTES]> = SmallVec::new();
        for item in items {
            fresh.reserve(item.written_len());
            item.write(&mut fresh);
            count += 1;
        }
        let end = self.bytes.len() - 1;
        self.bytes.replace(end..end, &fresh);
        self.set_count(count);
    }

    /// Puts an element before the first one. O(bytes of the listpack).
    pub fn push_front(&mut self, bytes: &[u8]) {
        self.splice(HEADER_BYTES, HEADER_BYTES, 0, &[Item::of(bytes)]);
    }

    /// Puts elements before the one at `pos`; without one, at the end. Returns where the first one lies. O(bytes of the listpack).
    pub fn insert(&mut self, pos: Option<Pos>, items: &[Item<'_>]) -> Pos {
        let at = pos.map_or(self.bytes.len() - 1, |pos| pos.0);
        self.splice(at, at, 0, items);
        Pos(at)
    }

    /// Puts an element in place of another one. O(bytes of the listpack).
    pub fn replace(&mut self, pos: Pos, bytes: &[u8]) {
        let end = self.end_of(pos);
        self.splice(pos.0, end, 1, &[Item::of(bytes)]);
    }

    /// Puts an integer in place of another element. O(1) if it takes as many bytes, else O(bytes of the listpack).
    pub fn replace_integer(&mut self, pos: Pos, number: i64) {
        let end = self.end_of(pos);
        let mut fresh: SmallVec<[u8; FRESH_BYTES]> = SmallVec::new();
        Item::Int(number).write(&mut fresh);
        self.bytes.replace(pos.0..end, &fresh);
    }

    /// Removes `count` elements from `pos` on, or as many as there are. Returns where the next one lies now. O(bytes of the listpack).
    pub fn remove(&mut self, pos: Pos, count: usize) -> Option<Pos> {
        let (mut end, mut removed) = (pos.0, 0);
        while removed < count && self.as_bytes()[end] != END {
            end = self.end_of(Pos(end));
            removed += 1;
        }
        self.splice(pos.0, end, removed, &[]);
        (self.as_bytes()[pos.0] != END).then_some(pos)
    }

    /// The header's count, or the real one where the header does not know.
    fn count(&self) -> usize {
        self.len()
    }

    /// Puts elements in place of the bytes from `start` to `end`, which are `removed` elements.
    fn splice(&mut self, start: usize, end: usize, removed: usize, items: &[Item<'_>]) {
        let count = self.count() - removed + items.len();
        let mut fresh: SmallVec<[u8; FRESH_BYTES]> = SmallVec::new();
        items.iter().for_each(|item| item.write(&mut fresh));
        self.bytes.replace(start..end, &fresh);
        self.set_count(count);
    }

    /// Cuts off the elements from `pos` on, before which there are `kept`, and returns them. O(bytes cut off).
    #[must_use]
    pub fn split_off(&mut self, pos: Pos, kept: usize) -> Self {
        let cut = self.count() - kept;
        let mut tail = Self {
            bytes: Buffer::of(&[&[0; HEADER_BYTES], &self.as_bytes()[pos.0..]]),
        };
        tail.set_count(cut);
        self.bytes.replace(pos.0..self.bytes.len(), &[END]);
        self.set_count(kept);
        tail
    }

    /// Gives back what the block has beyond its bytes.
    pub fn shrink(&mut self) {
        self.bytes.shrink();
    }

    /// Appends all elements of another one. O(its bytes).
    pub fn append(&mut self, other: &Self) {
        let count = self.count() + other.count();
        let end = self.bytes.len();
        self.bytes
            .replace(end - 1..end, &other.as_bytes()[HEADER_BYTES..]);
        self.set_count(count);
    }
}

/// The elements of a listpack.
#[derive(Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        // The end is no element.
        let (item, body) = element::read(self.bytes, self.next)?;
        self.next += body + element::back_length_bytes(body);
        Some(item)
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
