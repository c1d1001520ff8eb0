//! Ids of stream entries: milliseconds and a sequence number, and how they are read and written.
//!
//! Text is read as Redis reads it: up to the first NUL, at most 127 bytes, each half as `string2ull` takes it. Called by the commands, which
//! know the errors.

use std::fmt;

use crate::number::parse_u64_loose;

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch, usually.
    pub ms: u64,
    /// Number among the entries of that millisecond.
    pub seq: u64,
}

/// The id that a new entry is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// `*`: the moment, or the next after the last one.
    Auto,
    /// `ms-*`: the next of this millisecond.
    Millisecond(u64),
    /// This one.
    Given(StreamId),
}

/// The longest text that is looked at.
const TEXT_BYTES_MAX: usize = 127;
/// The longest text of an id.
const SHOWN_BYTES_MAX: usize = 41;

impl StreamId {
    /// The lowest id, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The highest id.
    pub const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The id of these halves.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id after this one, if there is one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match (self.ms, self.seq) {
            (u64::MAX, u64::MAX) => None,
            (ms, u64::MAX) => Some(Self::new(ms + 1, 0)),
            (ms, seq) => Some(Self::new(ms, seq + 1)),
        }
    }

    /// The id before this one, if there is one.
    #[must_use]
    pub fn prev(self) -> Option<Self> {
        match (self.ms, self.seq) {
            (0, 0) => None,
            (ms, 0) => Some(Self::new(ms - 1, u64::MAX)),
            (ms, seq) => Some(Self::new(ms, seq - 1)),
        }
    }

    /// Reads `ms` or `ms-seq`; a sequence that is not there is `seq`.
    #[must_use]
    pub fn parse(text: &[u8], seq: u64) -> Option<Self> {
        let (ms, rest) = halves(text)?;
        let seq = match rest {
            Some(rest) => parse_u64_loose(rest)?,
            None => seq,
        };
        Some(Self::new(parse_u64_loose(ms)?, seq))
    }

    /// Reads an id, `-` for the lowest or `+` for the highest one.
    #[must_use]
    pub fn parse_edge(text: &[u8], seq: u64) -> Option<Self> {
        match c_text(text) {
            b"-" if text.len() <= TEXT_BYTES_MAX => Some(Self::MIN),
            b"+" if text.len() <= TEXT_BYTES_MAX => Some(Self::MAX),
            _ => Self::parse(text, seq),
        }
    }

    /// Writes the id as clients see it.
    #[must_use]
    pub fn shown(self) -> ShownId {
        let (mut bytes, mut length) = ([0; SHOWN_BYTES_MAX], 0);
        let mut digits = itoa::Buffer::new();
        for (index, half) in [self.ms, self.seq].into_iter().enumerate() {
            if index == 1 {
                bytes[length] = b'-';
                length += 1;
            }
            let text = digits.format(half).as_bytes();
            bytes[length..length + text.len()].copy_from_slice(text);
            length += text.len();
        }
        ShownId { bytes, length }
    }

    /// The sixteen bytes under which Redis keeps a node.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of sixteen bytes of Redis's.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Self::new((bits >> 64) as u64, bits as u64)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl NewId {
    /// Reads `*`, `ms`, `ms-*` or `ms-seq`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if c_text(text) == b"*" {
            return Some(Self::Auto);
        }
        match halves(text)? {
            (ms, Some(b"*")) => Some(Self::Millisecond(parse_u64_loose(ms)?)),
            _ => StreamId::parse(text, 0).map(Self::Given),
        }
    }
}

/// The text as a C string: up to the first NUL.
#[must_use]
pub(super) fn c_text(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |end| &text[..end])
}

/// The parts before and after the first dash.
fn halves(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = c_text(text);
    Some(match memchr::memchr(b'-', text) {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    })
}

/// An id as text.
#[derive(Clone, Copy, Debug)]
pub struct ShownId {
    bytes: [u8; SHOWN_BYTES_MAX],
    length: usize,
}

impl AsRef<[u8]> for ShownId {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
