//! Where a reply ends, without building it: the half of the reply reader that allocates nothing.
//!
//! Owns the reading of one header (type byte, line, length), which [`parse_reply`](super::parse_reply) shares, and
//! [`Skipper`], which walks over a reply with a counter of the values still to come instead of a stack: nesting of
//! any depth takes constant memory. Only lengths and terminators are checked; `:x` passes here.
//!
//! Called by clients to know whether a reply is whole, and by the router, which passes partial replies on as
//! bytes and merges aggregates by their bodies.

use crate::number::parse_i64;

/// What is wrong with a reply. There is no way to go on reading after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// No RESP type starts with this byte.
    UnknownType(u8),
    /// A length or number that is not one, or is out of range.
    BadNumber,
    /// A line or a bulk does not end with CRLF, or a payload breaks its type's form.
    Malformed,
    /// More than [`DEPTH_MAX`](super::DEPTH_MAX) aggregates inside each other.
    TooDeep,
}

impl std::fmt::Display for ReplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "unknown reply type '{}'", byte.escape_ascii()),
            Self::BadNumber => f.write_str("invalid number or length in reply"),
            Self::Malformed => f.write_str("malformed reply"),
            Self::TooDeep => f.write_str("reply nested too deeply"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// The head of one value; positions count from the start of the buffer it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// `+ - : ( , # _`: the whole value is the line `start..end`.
    Line {
        kind: u8,
        start: usize,
        end: usize,
        next: usize,
    },
    /// `$ = !`: the payload is `start..end`; all of it has arrived, terminator included.
    Payload {
        kind: u8,
        start: usize,
        end: usize,
        next: usize,
    },
    /// `* ~ > % |`: `len` values follow; a map's or attribute's pairs count twice.
    Aggregate { kind: u8, len: u64, next: usize },
    /// `$-1`, `*-1`.
    Null { kind: u8, next: usize },
}

impl Head {
    /// Position of the next head.
    pub(super) fn next(&self) -> usize {
        let (Self::Line { next, .. }
        | Self::Payload { next, .. }
        | Self::Aggregate { next, .. }
        | Self::Null { next, .. }) = self;
        *next
    }
}

/// Reads the head at `at`; `None` if it (or its payload) has not arrived in full.
pub(super) fn head(buf: &[u8], at: usize) -> Result<Option<Head>, ReplyError> {
    let Some(&kind) = buf.get(at) else {
        return Ok(None);
    };
    let start = at + 1;
    if !b"+-:(,#_$=!*~>%|".contains(&kind) {
        return Err(ReplyError::UnknownType(kind));
    }
    let Some((end, next)) = line(buf, start)? else {
        return Ok(None);
    };
    if b"+-:(,#_".contains(&kind) {
        return Ok(Some(Head::Line {
            kind,
            start,
            end,
            next,
        }));
    }
    let announced = parse_i64(&buf[start..end]).ok_or(ReplyError::BadNumber)?;
    let Ok(len) = u64::try_from(announced) else {
        let is_null = announced == -1 && matches!(kind, b'$' | b'*');
        return if is_null {
            Ok(Some(Head::Null { kind, next }))
        } else {
            Err(ReplyError::BadNumber)
        };
    };
    match kind {
        b'*' | b'~' | b'>' => Ok(Some(Head::Aggregate { kind, len, next })),
        b'%' | b'|' => {
            // At most twice i64::MAX: no overflow.
            let len = len * 2;
            Ok(Some(Head::Aggregate { kind, len, next }))
        }
        _ => payload(buf, kind, next, len),
    }
}

/// The bytes of a bulk that starts at `start`.
fn payload(buf: &[u8], kind: u8, start: usize, len: u64) -> Result<Option<Head>, ReplyError> {
    let arrived = (buf.len() - start) as u64;
    // `len` is at most i64::MAX: no overflow.
    if arrived < len + 2 {
        return Ok(None);
    }
    let end = start + len as usize;
    let next = end + 2;
    if &buf[end..next] != b"\r\n" {
        return Err(ReplyError::Malformed);
    }
    Ok(Some(Head::Payload {
        kind,
        start,
        end,
        next,
    }))
}

/// End of the line that starts at `start`, and the position behind its CRLF.
fn line(buf: &[u8], start: usize) -> Result<Option<(usize, usize)>, ReplyError> {
    let rest = &buf[start..];
    match memchr::memchr2(b'\r', b'\n', rest) {
        None => Ok(None),
        Some(length) => match rest[length..] {
            [b'\r'] => Ok(None),
            [b'\r', b'\n', ..] => Ok(Some((start + length, start + length + 2))),
            _ => Err(ReplyError::Malformed),
        },
    }
}

/// Looks for the end of one reply, and remembers how far it came: a reply that arrives in pieces is walked over
/// once.
#[derive(Clone, Copy, Debug)]
pub struct Skipper {
    /// Start of the next head.
    pos: usize,
    /// Values still to come.
    pending: u64,
}

impl Default for Skipper {
    fn default() -> Self {
        Self::new()
    }
}

impl Skipper {
    /// At the first byte of a reply.
    pub fn new() -> Self {
        Self { pos: 0, pending: 1 }
    }

    /// The length of the reply that starts at `buf[0]`, once all of it has arrived. After `None`, call again with a
    /// longer slice that starts with the same bytes; after `Some`, with one that starts at the next reply.
    /// O(heads that are new), payloads are jumped over.
    ///
    /// # Errors
    /// [`ReplyError`], never `TooDeep`.
    pub fn end(&mut self, buf: &[u8]) -> Result<Option<usize>, ReplyError> {
        while self.pending > 0 {
            let Some(head) = head(buf, self.pos)? else {
                return Ok(None);
            };
            self.pos = head.next();
            match head {
                Head::Aggregate { kind, len, .. } => {
                    // An attribute stands before a value and does not replace it. Nobody can send 2^64
                    // values: a count that reaches the end of the range may stay there.
                    let own = u64::from(kind != b'|');
                    self.pending = (self.pending - own).saturating_add(len);
                }
                _ => self.pending -= 1,
            }
        }
        let end = self.pos;
        *self = Self::new();
        Ok(Some(end))
    }
}

/// The length of the reply at the start of `buf`; `None` if it is not whole. O(heads).
///
/// # Errors
/// See [`Skipper::end`].
pub fn skip_reply(buf: &[u8]) -> Result<Option<usize>, ReplyError> {
    Skipper::new().end(buf)
}

/// The type byte, the number of values inside (a map's keys and values both count) and the position of the first
/// one, if the reply at the start of `buf` is an aggregate whose header has arrived. To merge partial replies, add
/// up the numbers and join the bodies.
///
/// # Errors
/// See [`Skipper::end`].
pub fn aggregate_header(buf: &[u8]) -> Result<Option<(u8, u64, usize)>, ReplyError> {
    Ok(match head(buf, 0)? {
        Some(Head::Aggregate { kind, len, next }) => Some((kind, len, next)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_every_type() {
        for reply in [
            "+OK\r\n",
            "-ERR x\r\n",
            ":12\r\n",
            "$0\r\n\r\n",
            "$3\r\na\r\n\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123\r\n",
            "=5\r\ntxt:a\r\n",
            "!5\r\nERR x\r\n",
            "~2\r\n:1\r\n:2\r\n",
            "%1\r\n+k\r\n+v\r\n",
            ">1\r\n+m\r\n",
            "|1\r\n+ttl\r\n:3\r\n*1\r\n:1\r\n",
        ] {
            let doubled = reply.repeat(2);
            assert_eq!(
                skip_reply(doubled.as_bytes()),
                Ok(Some(reply.len())),
                "{reply:?}"
            );
            let mut skipper = Skipper::new();
            for end in 0..reply.len() {
                assert_eq!(skip_reply(&reply.as_bytes()[..end]), Ok(None));
                assert_eq!(skipper.end(&reply.as_bytes()[..end]), Ok(None));
            }
            assert_eq!(skipper.end(doubled.as_bytes()), Ok(Some(reply.len())));
        }
    }

    #[test]
    fn errors() {
        for (reply, error) in [
            ("?1\r\n", ReplyError::UnknownType(b'?')),
            ("$x\r\n", ReplyError::BadNumber),
            ("$-2\r\n", ReplyError::BadNumber),
            ("%-1\r\n", ReplyError::BadNumber),
            ("*\r\n", ReplyError::BadNumber),
            ("*99999999999999999999\r\n", ReplyError::BadNumber),
            ("+a\rb\r\n", ReplyError::Malformed),
            ("+a\nb\r\n", ReplyError::Malformed),
            ("$1\r\nabc\r\n", ReplyError::Malformed),
        ] {
            assert_eq!(skip_reply(reply.as_bytes()), Err(error), "{reply:?}");
        }
        assert_eq!(skip_reply(b"$9223372036854775807\r\n"), Ok(None));
        let endless = b"%9223372036854775807\r\n".repeat(3);
        assert_eq!(skip_reply(&endless), Ok(None));
    }

    #[test]
    fn depth_takes_no_memory() {
        let deep = [&b"*1\r\n".repeat(1_000_000)[..], b":1\r\n"].concat();
        assert_eq!(skip_reply(&deep), Ok(Some(deep.len())));
    }

    #[test]
    fn headers_of_aggregates() {
        assert_eq!(aggregate_header(b"%2\r\n+k"), Ok(Some((b'%', 4, 4))));
        assert_eq!(aggregate_header(b"+OK\r\n"), Ok(None));
        assert_eq!(aggregate_header(b"*2"), Ok(None));
    }
}
