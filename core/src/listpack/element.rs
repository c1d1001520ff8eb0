//! One element of a listpack: its encodings.
//!
//! ```text
//! 0xxxxxxx                      7-bit unsigned integer
//! 10xxxxxx bytes                string of up to 63 bytes
//! 110xxxxx xxxxxxxx             13-bit signed integer
//! 1110xxxx xxxxxxxx bytes       string of up to 4,095 bytes
//! 0xF0 u32 bytes                string
//! 0xF1..0xF4                    signed integer of 16, 24, 32, 64 bits, little-endian
//! 0xFF                          end of the listpack
//! ```
//! Behind it stands the element's length so far in groups of seven bits, the highest first, with bit 7 in all groups but the first.

use smallvec::{Array, SmallVec};

use crate::number::parse_i64;

/// The end of a listpack.
pub(super) const END: u8 = 0xFF;
/// The longest text of a 64-bit integer.
const INTEGER_BYTES_MAX: usize = 20;
/// The longest string with a two-byte head.
const MEDIUM_BYTES_MAX: usize = 4095;

/// A buffer that elements are written to.
pub(super) trait Bytes {
    fn count(&self) -> usize;
    fn put(&mut self, bytes: &[u8]);
    fn put_one(&mut self, byte: u8);
}

impl Bytes for Vec<u8> {
    fn count(&self) -> usize {
        self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_one(&mut self, byte: u8) {
        self.push(byte);
    }
}

impl<A: Array<Item = u8>> Bytes for SmallVec<A> {
    fn count(&self) -> usize {
        self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_one(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// An element as it lies in a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer: its bytes are its decimal form.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// How these bytes are stored: canonical integers as such.
    #[inline]
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        if bytes.len() <= INTEGER_BYTES_MAX
            && matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
            && let Some(number) = parse_i64(bytes)
        {
            return Self::Int(number);
        }
        Self::Bytes(bytes)
    }

    /// The bytes a client sees.
    #[inline]
    #[must_use]
    pub fn text(self, digits: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Self::Int(number) => digits.format(number).as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The bytes a client sees, as a copy.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }

    /// Number of bytes a client sees.
    #[must_use]
    pub fn text_len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).len()
    }

    /// Appends the whole element.
    pub(super) fn write(self, out: &mut impl Bytes) {
        let start = out.count();
        match self {
            Self::Int(number) => write_integer(number, out),
            Self::Bytes(bytes) => {
                let length = bytes.len();
                if length < 64 {
                    out.put_one(0x80 | length as u8);
                } else if length <= MEDIUM_BYTES_MAX {
                    out.put(&[0xE0 | (length >> 8) as u8, length as u8]);
                } else {
                    out.put_one(0xF0);
                    out.put(&(length as u32).to_le_bytes());
                }
                out.put(bytes);
            }
        }
        write_back_length(out.count() - start, out);
    }
}

impl Item<'_> {
    /// Bytes that `write` appends.
    #[inline]
    pub(super) fn written_len(self) -> usize {
        let body = match self {
            Self::Bytes(bytes) if bytes.len() < 64 => 1 + bytes.len(),
            Self::Bytes(bytes) if bytes.len() <= MEDIUM_BYTES_MAX => 2 + bytes.len(),
            Self::Bytes(bytes) => 5 + bytes.len(),
            Self::Int(0..=127) => 1,
            Self::Int(-4096..=4095) => 2,
            Self::Int(-32_768..=32_767) => 3,
            Self::Int(-8_388_608..=8_388_607) => 4,
            Self::Int(-2_147_483_648..=2_147_483_647) => 5,
            Self::Int(_) => 9,
        };
        body + back_length_bytes(body)
    }
}

fn write_integer(number: i64, out: &mut impl Bytes) {
    let bytes = number.to_le_bytes();
    match number {
        0..=127 => out.put_one(number as u8),
        -4096..=4095 => {
            let bits = (number as u16) & 0x1FFF;
            out.put(&[0xC0 | (bits >> 8) as u8, bits as u8]);
        }
        -32_768..=32_767 => write_wide(0xF1, &bytes[..2], out),
        -8_388_608..=8_388_607 => write_wide(0xF2, &bytes[..3], out),
        -2_147_483_648..=2_147_483_647 => write_wide(0xF3, &bytes[..4], out),
        _ => write_wide(0xF4, &bytes, out),
    }
}

fn write_wide(head: u8, bytes: &[u8], out: &mut impl Bytes) {
    out.put_one(head);
    out.put(bytes);
}

/// Bytes that the length of `body` bytes takes behind an element.
#[inline]
pub(super) const fn back_length_bytes(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

fn write_back_length(body: usize, out: &mut impl Bytes) {
    let groups = back_length_bytes(body);
    for group in (0..groups).rev() {
        let bits = (body >> (7 * group)) as u8 & 0x7F;
        out.put_one(if group + 1 == groups {
            bits
        } else {
            bits | 0x80
        });
    }
}

/// Reads the length that ends at `end`: the element's bytes without the length itself, and the length's bytes.
pub(super) fn back_length(bytes: &[u8], end: usize) -> Option<(usize, usize)> {
    let mut body = 0;
    for group in 0..5 {
        let byte = *bytes.get(end.checked_sub(group + 1)?)?;
        body |= usize::from(byte & 0x7F) << (7 * group);
        if byte & 0x80 == 0 {
            return Some((body, group + 1));
        }
    }
    None
}

/// Reads the element at `at`: it, and its bytes without the length behind it. `None`: no element, or it does not fit.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize) -> Option<(Item<'_>, usize)> {
    let head = *bytes.get(at)?;
    let string = |head: usize, length: usize| {
        let start = at + head;
        Some((
            Item::Bytes(bytes.get(start..start.checked_add(length)?)?),
            head + length,
        ))
    };
    let wide = |width: usize| {
        let data = bytes.get(at + 1..at + 1 + width)?;
        let mut padded = [0; 8];
        padded[8 - width..].copy_from_slice(data);
        Some((
            Item::Int(i64::from_le_bytes(padded) >> (64 - 8 * width)),
            1 + width,
        ))
    };
    match head {
        0..=0x7F => Some((Item::Int(head.into()), 1)),
        0x80..=0xBF => string(1, usize::from(head & 0x3F)),
        0xC0..=0xDF => {
            let bits = u16::from(head & 0x1F) << 8 | u16::from(*bytes.get(at + 1)?);
            Some((Item::Int(i64::from((bits << 3) as i16 >> 3)), 2))
        }
        0xE0..=0xEF => string(
            2,
            usize::from(head & 0x0F) << 8 | usize::from(*bytes.get(at + 1)?),
        ),
        0xF0 => {
            let length = bytes.get(at + 1..at + 5)?.try_into().ok()?;
            string(5, u32::from_le_bytes(length) as usize)
        }
        0xF1 => wide(2),
        0xF2 => wide(3),
        0xF3 => wide(4),
        0xF4 => wide(8),
        _ => None,
    }
}
