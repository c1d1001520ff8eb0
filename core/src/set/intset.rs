//! Intset: distinct integers, sorted, in one block of bytes in the very format of Redis.
//!
//! ```text
//! width   u32  2, 4 or 8: bytes of an integer
//! count   u32
//! integers, ascending, little-endian
//! ```
//! Invariants: ascending without duplicates; the width grows with the first integer that needs it and never shrinks. Called by sets; DUMP and RDB
//! files copy the bytes.

use crate::buffer::{Buffer, LENGTH_BYTES};

/// Bytes of width and count.
const HEADER_BYTES: usize = 8;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intset {
    bytes: Buffer,
}

/// Bytes that an integer needs.
fn width_of(number: i64) -> usize {
    if i16::try_from(number).is_ok() {
        2
    } else if i32::try_from(number).is_ok() {
        4
    } else {
        8
    }
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl Intset {
    /// No integers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Buffer::of(&[&[0; LENGTH_BYTES], &[2, 0, 0, 0, 0, 0, 0, 0]]),
        }
    }

    /// A copy of bytes that came from elsewhere. O(n). `None`: header, length or order are not as they should be.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (width, count) = (word(0)?, word(4)?);
        if !matches!(width, 2 | 4 | 8) || count.checked_mul(width)? != bytes.len() - HEADER_BYTES {
            return None;
        }
        let intset = Self {
            bytes: Buffer::of(&[&[0; LENGTH_BYTES], bytes]),
        };
        let is_ascending = (1..count).all(|index| intset.at(index - 1) < intset.at(index));
        is_ascending.then_some(intset)
    }

    /// The block, as Redis would write it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes.as_slice()[LENGTH_BYTES..]
    }

    /// Bytes that it takes. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.taken()
    }

    fn width(&self) -> usize {
        self.as_bytes()[0].into()
    }

    /// Number of integers. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        (self.as_bytes().len() - HEADER_BYTES) / self.width()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().len() == HEADER_BYTES
    }

    /// The integer with this number in ascending order.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let start = HEADER_BYTES + index * width;
        let mut padded = [0; 8];
        padded[8 - width..].copy_from_slice(&self.as_bytes()[start..start + width]);
        i64::from_le_bytes(padded) >> (64 - 8 * width)
    }

    /// Where the integer is, or where it would be inserted. O(log n).
    fn search(&self, number: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle).cmp(&number) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Whether the integer is there. O(log n).
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        width_of(number) <= self.width() && self.search(number).is_ok()
    }

    /// Adds an integer and says whether it is new. O(n).
    pub fn insert(&mut self, number: i64) -> bool {
        let Err(index) = self.search(number) else {
            return false;
        };
        self.widen(width_of(number));
        let width = self.width();
        let start = LENGTH_BYTES + HEADER_BYTES + index * width;
        self.bytes
            .replace(start..start, &number.to_le_bytes()[..width]);
        self.set_count();
        true
    }

    /// Removes an integer and says whether it was there. O(n).
    pub fn remove(&mut self, number: i64) -> bool {
        match self.search(number) {
            Ok(index) => {
                self.remove_at(index);
                true
            }
            Err(_) => false,
        }
    }

    /// Removes the integer with this number in ascending order. O(n).
    ///
    /// # Panics
    /// If there are fewer.
    pub fn remove_at(&mut self, index: usize) {
        let width = self.width();
        let start = LENGTH_BYTES + HEADER_BYTES + index * width;
        self.bytes.replace(start..start + width, &[]);
        self.set_count();
    }

    /// Rewrites all integers with this width if it is a larger one.
    fn widen(&mut self, width: usize) {
        if width <= self.width() {
            return;
        }
        let count = self.len();
        let mut wide = Vec::with_capacity(HEADER_BYTES + count * width);
        wide.extend_from_slice(&[width as u8, 0, 0, 0, 0, 0, 0, 0]);
        for index in 0..count {
            wide.extend_from_slice(&self.at(index).to_le_bytes()[..width]);
        }
        self.bytes = Buffer::of(&[&[0; LENGTH_BYTES], &wide]);
        self.set_count();
    }

    fn set_count(&mut self) {
        let count = self.len() as u32;
        self.bytes.body_mut()[4..8].copy_from_slice(&count.to_le_bytes());
    }
}
