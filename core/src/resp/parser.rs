//! The request parser: finds one command in the bytes a client sent, in one pass and without copying.
//!
//! Owns the state of ONE frame. The caller keeps the bytes: it hands over a slice that starts at the frame's first
//! byte and, after [`Parsed::Incomplete`], a longer one with the same beginning. Bytes already understood are not
//! looked at again, so a frame that arrives in n pieces costs O(bytes + n).
//!
//! Invariants: every position is relative to the frame's first byte; arguments are ranges, so the caller may move
//! the bytes between calls; memory grows with the bytes that arrived (at least 6 for an argument of 16), never with
//! an announced length; the result does not depend on how the input was cut.
//!
//! The rules are those of redis-server 7.0: the terminator of a line is `\r` and whatever one byte follows, the two
//! bytes after a bulk are not looked at, a NUL hides the rest of a line. One rule is stricter: Redis complains
//! about a line without end when more than 64 KiB are buffered, so it may or may not take a longer one, depending on
//! how it was cut; here a line's terminator is always within its first 64 KiB + 1.
//!
//! Called by the connections, the log replay and the replication link, for every command.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::inline::split_args;
use crate::number::parse_i64;

/// The largest number of arguments one command may announce (C's `INT_MAX`, as Redis 7.0 has it).
pub const MULTIBULK_MAX: i64 = i32::MAX as i64;

/// A line (inline command or length header) must end within this many bytes after its first.
pub const TERMINATOR_WITHIN_BYTES: usize = 64 * 1024;

/// Arguments and bulk bytes an unauthenticated client may announce when a password is required.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_MAX: i64 = 16_384;

/// Slots and bytes the parser may keep between frames; what a larger frame took is given back.
const KEPT_ARGS_MAX: usize = 1024;
const KEPT_INLINE_BYTES_MAX: usize = 16 * 1024;

/// Arguments that [`Parser::args`] returns without allocating.
pub const ARGS_INLINE: usize = 8;

/// Digits the fast scan takes on: more than any length that [`MULTIBULK_MAX`] and the default bulk limit allow.
const FAST_DIGITS_MAX: usize = 10;

/// What a client may announce. Cheap to build for each call: a client's rights change between two frames.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest bulk, bytes (`proto-max-bulk-len`); `i64::MAX` for the primary's link.
    pub bulk_bytes_max: i64,
    /// False while the client has to authenticate first: then small limits hold.
    pub authenticated: bool,
}

impl Default for Limits {
    /// An authenticated client and Redis's default bulk limit, 512 MiB.
    fn default() -> Self {
        Self {
            bulk_bytes_max: 512 * 1024 * 1024,
            authenticated: true,
        }
    }
}

/// What [`Parser::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A command of at least one argument; the next frame starts `consumed` bytes on.
    Complete {
        /// Length of the frame, bytes.
        consumed: usize,
    },
    /// A frame without arguments (an empty line, `*0`, `*-1`): nothing to execute and nothing to answer.
    Empty {
        /// Length of the frame, bytes.
        consumed: usize,
    },
    /// The frame's end has not arrived: call again with more bytes.
    Incomplete,
}

/// The client broke the protocol: answer with [`ProtocolError::text`], then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*` and 64 KiB without an end of line.
    TooBigMultibulkCount,
    /// `*` and something that is not a number in range.
    InvalidMultibulkLength,
    /// More than 10 arguments before AUTH.
    UnauthenticatedMultibulkLength,
    /// 64 KiB without an end of line where a bulk's header belongs.
    TooBigBulkCount,
    /// A bulk's header starts with this byte instead of `$`.
    ExpectedDollar(u8),
    /// `$` and something that is not a number in range.
    InvalidBulkLength,
    /// A bulk of more than 16,384 bytes before AUTH.
    UnauthenticatedBulkLength,
    /// An inline command of 64 KiB without an end of line.
    TooBigInline,
    /// An inline command whose quotes do not match.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// Redis's text for the client, without the leading `-` and the end of line. Bytes, because the unexpected
    /// byte is shown as it came (an end of line as a space).
    pub fn text(&self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            Self::TooBigMultibulkCount => b"ERR Protocol error: too big mbulk count string",
            Self::InvalidMultibulkLength => b"ERR Protocol error: invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => {
                b"ERR Protocol error: unauthenticated multibulk length"
            }
            Self::TooBigBulkCount => b"ERR Protocol error: too big bulk count string",
            Self::InvalidBulkLength => b"ERR Protocol error: invalid bulk length",
            Self::UnauthenticatedBulkLength => b"ERR Protocol error: unauthenticated bulk length",
            Self::TooBigInline => b"ERR Protocol error: too big inline request",
            Self::UnbalancedQuotes => b"ERR Protocol error: unbalanced quotes in request",
            Self::ExpectedDollar(byte) => {
                let shown = if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    *byte
                };
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.extend_from_slice(&[shown, b'\'']);
                return Cow::Owned(text);
            }
        })
    }
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl std::error::Error for ProtocolError {}

/// Which part of the frame `Parser::pos` points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The frame's first byte.
    #[default]
    Start,
    /// The header of the next bulk.
    Header,
    /// The bytes of a bulk of this announced length.
    Bulk(usize),
}

/// A length header, or what is missing from it.
enum Header {
    /// The number (`None`: not one) and the position after the terminator.
    Whole(Option<i64>, usize),
    Partial,
    TooLong,
}

/// The state of one frame. See the head of this file for the contract.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// True when `args` are ranges of `inline`, not of the caller's bytes.
    is_inline: bool,
    /// First byte not yet understood: a header's first or a bulk's first.
    pos: usize,
    /// How far the terminator of the line at `pos` has been looked for in vain.
    scanned: usize,
    /// Arguments still to come, the current one included.
    remaining: usize,
    args: Vec<(usize, usize)>,
    /// Unescaped words of an inline command.
    inline: Vec<u8>,
}

impl Parser {
    /// A parser at the start of a frame. Allocates nothing before the first argument.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for the end of the frame that starts at `buf[0]`.
    ///
    /// After `Complete` and `Empty` the next call starts a new frame, `consumed` bytes on; after `Incomplete` it
    /// goes on with the same frame, from the same first byte. O(bytes that are new). The call that starts a frame
    /// (an empty `buf` will do) also gives back the memory that only a large frame before it needed.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection is lost, and so is the parser's state.
    #[inline]
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        if self.state == State::Start
            && let Some(early) = self.start(buf, limits)?
        {
            return Ok(early);
        }
        self.parse_bulks(buf, limits)
    }

    /// The beginning of a frame; `None` when bulks follow, or else what `parse` answers.
    #[inline]
    fn start(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<Parsed>, ProtocolError> {
        if !self.args.is_empty() {
            self.forget();
        }
        let Some(&first) = buf.first() else {
            return Ok(Some(Parsed::Incomplete));
        };
        if first != b'*' {
            return self.parse_inline(buf).map(Some);
        }
        let (announced, next) = match fast_header(buf, 1) {
            Some(header) => header,
            None => match self.slow_header(buf) {
                Header::Whole(Some(number), next) => (number, next),
                Header::Whole(None, _) => return Err(ProtocolError::InvalidMultibulkLength),
                Header::Partial => return Ok(Some(Parsed::Incomplete)),
                Header::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
            },
        };
        if announced > MULTIBULK_MAX {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if announced > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        if announced <= 0 {
            self.scanned = 0;
            return Ok(Some(Parsed::Empty { consumed: next }));
        }
        self.is_inline = false;
        self.state = State::Header;
        self.remaining = announced as usize;
        self.pos = next;
        self.scanned = next;
        Ok(None)
    }

    /// The bulks of a frame whose first header is known.
    #[inline]
    fn parse_bulks(&mut self, buf: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        let unsuspicious_max = limits.bulk_bytes_max.min(UNAUTHENTICATED_BULK_MAX);
        let mut pos = self.pos;
        let mut remaining = self.remaining;
        if let State::Bulk(length) = self.state {
            if buf.len().saturating_sub(pos) < length + 2 {
                return Ok(Parsed::Incomplete);
            }
            self.args.push((pos, pos + length));
            pos += length + 2;
            remaining -= 1;
        }
        while remaining > 0 {
            let (length, start) = match fast_bulk_header(buf, pos) {
                Some(header) => header,
                None => {
                    self.reach(pos, remaining);
                    match self.slow_bulk_header(buf)? {
                        Some(header) => header,
                        None => return Ok(Parsed::Incomplete),
                    }
                }
            };
            if length > unsuspicious_max || length < 0 {
                check_bulk_length(length, limits)?;
            }
            let length = length as usize;
            if buf.len() - start < length + 2 {
                self.reach(start, remaining);
                self.state = State::Bulk(length);
                return Ok(Parsed::Incomplete);
            }
            self.args.push((start, start + length));
            pos = start + length + 2;
            remaining -= 1;
        }
        self.state = State::Start;
        self.scanned = 0;
        self.pos = 0;
        Ok(Parsed::Complete { consumed: pos })
    }

    /// A bulk's header by the letter; `None` if it is not whole.
    #[cold]
    fn slow_bulk_header(&mut self, buf: &[u8]) -> Result<Option<(i64, usize)>, ProtocolError> {
        let first = buf.get(self.pos).copied();
        match (self.slow_header(buf), first) {
            (Header::Partial, _) => Ok(None),
            (Header::TooLong, _) => Err(ProtocolError::TooBigBulkCount),
            (Header::Whole(Some(number), next), Some(b'$')) => Ok(Some((number, next))),
            (Header::Whole(None, _), Some(b'$')) => Err(ProtocolError::InvalidBulkLength),
            (Header::Whole(..), other) => Err(ProtocolError::ExpectedDollar(other.unwrap_or(0))),
        }
    }

    /// Notes that `remaining` bulks are left and the header of the next is at `pos`; what was scanned of it before
    /// stays known.
    fn reach(&mut self, pos: usize, remaining: usize) {
        self.state = State::Header;
        self.remaining = remaining;
        self.pos = pos;
        self.scanned = self.scanned.max(pos);
    }

    /// The header at `pos` by Redis's rules to the letter; off the fast path because it is rare: the line is not
    /// whole, or the number is negative, long or wrong.
    #[cold]
    fn slow_header(&mut self, buf: &[u8]) -> Header {
        let start = self.pos;
        let Some(end) = self.line_end(buf, b'\r') else {
            return if buf.len().saturating_sub(start) > TERMINATOR_WITHIN_BYTES {
                Header::TooLong
            } else {
                Header::Partial
            };
        };
        if buf.len() < end + 2 {
            return Header::Partial;
        }
        // A `\r` in the place of the `*` or `$`: there is no number.
        let digits = buf.get(start + 1..end).unwrap_or_default();
        Header::Whole(parse_i64(digits), end + 2)
    }

    /// Position of `terminator` in the line at `pos`, if it is near enough, looking only at new bytes. A NUL hides
    /// the rest of the line, as it does for Redis's `strchr`.
    fn line_end(&mut self, buf: &[u8], terminator: u8) -> Option<usize> {
        let limit = buf.len().min(self.pos + TERMINATOR_WITHIN_BYTES + 1);
        let found = memchr::memchr2(terminator, 0, buf.get(self.scanned..limit)?);
        self.scanned = found.map_or(limit, |offset| self.scanned + offset);
        (found.is_some() && buf[self.scanned] == terminator).then_some(self.scanned)
    }

    /// An inline command: one line of words.
    #[cold]
    fn parse_inline(&mut self, buf: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some(end) = self.line_end(buf, b'\n') else {
            let too_long = buf.len() > TERMINATOR_WITHIN_BYTES;
            return if too_long {
                Err(ProtocolError::TooBigInline)
            } else {
                Ok(Parsed::Incomplete)
            };
        };
        self.scanned = 0;
        let line = &buf[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.is_inline = true;
        self.inline.clear();
        split_args(line, &mut self.inline, &mut self.args)
            .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        let consumed = end + 1;
        Ok(if self.args.is_empty() {
            Parsed::Empty { consumed }
        } else {
            Parsed::Complete { consumed }
        })
    }

    /// Drops the last frame's arguments, and memory that only an unusual frame needs.
    #[inline]
    fn forget(&mut self) {
        self.is_inline = false;
        self.args.clear();
        if self.args.capacity() > KEPT_ARGS_MAX || self.inline.capacity() > KEPT_INLINE_BYTES_MAX {
            self.args.shrink_to(KEPT_ARGS_MAX);
            self.inline = Vec::new();
        }
    }

    /// Bytes at the start of the unfinished frame whose meaning is known: finished arguments and headers.
    #[must_use]
    pub fn understood(&self) -> usize {
        self.pos
    }

    /// Bytes that are missing from the bulk being received (its terminator included), when `buffered` bytes of the
    /// frame are there; 0 between bulks. At most `bulk_bytes_max` + 2: what the client *says* it will send, so
    /// reserve it in bounded steps.
    pub fn needs(&self, buffered: usize) -> usize {
        match self.state {
            State::Bulk(length) => (self.pos + length + 2).saturating_sub(buffered),
            _ => 0,
        }
    }

    /// True at a frame's first byte: a connection that ends here ends cleanly, and a caller that shares a parser
    /// between connections may use it for another one.
    pub fn is_at_start(&self) -> bool {
        self.state == State::Start && self.scanned == 0
    }

    /// Number of arguments of the frame that `parse` called `Complete`.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// True when no argument is known.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Argument `index` of the complete frame in `buf`, the slice last given to `parse` (or its first `consumed`
    /// bytes).
    #[inline]
    pub fn arg<'a>(&'a self, buf: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let bytes = if self.is_inline { &self.inline } else { buf };
        self.args
            .get(index)
            .and_then(|&(start, end)| bytes.get(start..end))
    }

    /// The arguments of the complete frame in `buf`, the slice last given to `parse` (or its first `consumed`
    /// bytes). Valid until the next `parse`. Allocates for more than [`ARGS_INLINE`] arguments only.
    #[inline]
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> SmallVec<[&'a [u8]; ARGS_INLINE]> {
        let bytes = if self.is_inline { &self.inline } else { buf };
        if self.args.len() <= ARGS_INLINE {
            // One array on the stack, without the checks of growing.
            let mut args: [&[u8]; ARGS_INLINE] = [&[]; ARGS_INLINE];
            for (arg, &(start, end)) in args.iter_mut().zip(&self.args) {
                *arg = bytes.get(start..end).unwrap_or_default();
            }
            return SmallVec::from_buf_and_len(args, self.args.len());
        }
        self.args
            .iter()
            .map(|&(start, end)| bytes.get(start..end).unwrap_or_default())
            .collect()
    }
}

/// A bulk length that is more than the strictest limit, or negative.
#[cold]
fn check_bulk_length(length: i64, limits: &Limits) -> Result<(), ProtocolError> {
    if length < 0 || length > limits.bulk_bytes_max {
        return Err(ProtocolError::InvalidBulkLength);
    }
    if length > UNAUTHENTICATED_BULK_MAX && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    Ok(())
}

/// The length of the bulk whose header starts at `pos`, and the position of its first byte, if the header is whole and
/// plain. Up to three digits, nearly all there are, take no loop.
#[inline(always)]
fn fast_bulk_header(buf: &[u8], pos: usize) -> Option<(i64, usize)> {
    let rest = buf.get(pos..)?;
    let [dollar, a, b, c] = *rest.first_chunk::<4>()?;
    if dollar != b'$' {
        return None;
    }
    let (first, second) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    if b == b'\r' && first <= 9 {
        return Some((i64::from(first), pos + 4));
    }
    let is_long = (1..=9).contains(&first) && second <= 9;
    if is_long && c == b'\r' && rest.len() >= 5 {
        return Some((i64::from(first * 10 + second), pos + 5));
    }
    if let (true, third @ 0..=9, [_, _, _, _, b'\r', _, ..]) = (is_long, c.wrapping_sub(b'0'), rest)
    {
        let number = i64::from(first) * 100 + i64::from(second * 10 + third);
        return Some((number, pos + 6));
    }
    fast_header(buf, pos + 1)
}

/// The number at `at` and the position after its terminator, if the line is whole and its digits are plain: at
/// most ten, no sign, no leading zero. A few ns; everything else is left to the slow path.
#[inline(always)]
fn fast_header(buf: &[u8], at: usize) -> Option<(i64, usize)> {
    let digits = buf.get(at..)?;
    let first = digits.first()?.wrapping_sub(b'0');
    if first > 9 {
        return None;
    }
    let mut number = i64::from(first);
    for (index, &byte) in digits.iter().enumerate().take(FAST_DIGITS_MAX + 1).skip(1) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if first == 0 || index == FAST_DIGITS_MAX {
                return None;
            }
            number = number * 10 + i64::from(digit);
        } else if byte == b'\r' && index + 1 < digits.len() {
            return Some((number, at + index + 2));
        } else {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests;
