//! Replies as values, for whoever is at the client's end: the bench tool, the tests, a replica, the router where it has to
//! look inside a partial reply.
//!
//! Owns [`Value`] and its reader. Invariants: payloads are borrowed from the buffer until [`Value::into_owned`];
//! the reader keeps its own stack, at most [`DEPTH_MAX`] deep, so that neither reading nor dropping nor printing a value
//! can exhaust the thread's; memory follows the bytes that arrived, not the lengths announced. Attributes (`|`) are
//! read and dropped: no command of Redis sends them.

use std::borrow::Cow;

use super::reply::Reply;
use super::skip::{Head, ReplyError, head};
use crate::number::parse_i64;

/// Aggregates inside each other that [`parse_reply`] accepts. Scripts are what nests deepest in practice; dropping
/// and printing a value recurse, which this keeps within a few hundred KiB of stack.
pub const DEPTH_MAX: usize = 512;

/// Elements reserved before they arrive.
const RESERVED_MAX: u64 = 256;

/// One reply, RESP2 or RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `+`
    Simple(Cow<'a, [u8]>),
    /// `-` or `!`: code and message.
    Error(Cow<'a, [u8]>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Cow<'a, [u8]>),
    /// `$-1` or `_`
    Null,
    /// `*-1`
    NullArray,
    /// `*`
    Array(Vec<Value<'a>>),
    /// `%`: in the order of arrival.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// `~`: in the order of arrival.
    Set(Vec<Value<'a>>),
    /// `>`
    Push(Vec<Value<'a>>),
    /// `,`
    Double(f64),
    /// `#`
    Boolean(bool),
    /// `(`: decimal digits, perhaps after a minus sign.
    BigNumber(Cow<'a, [u8]>),
    /// `=`
    Verbatim {
        /// Three letters: `txt`, `mkd`.
        format: [u8; 3],
        /// What comes after the colon.
        text: Cow<'a, [u8]>,
    },
}

impl Value<'_> {
    /// The same value, independent of the buffer. Copies every payload.
    pub fn into_owned(self) -> Value<'static> {
        let own = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        let all = |values: Vec<Value<'_>>| values.into_iter().map(Value::into_owned).collect();
        match self {
            Self::Simple(text) => Value::Simple(own(text)),
            Self::Error(text) => Value::Error(own(text)),
            Self::Integer(number) => Value::Integer(number),
            Self::Bulk(bytes) => Value::Bulk(own(bytes)),
            Self::Null => Value::Null,
            Self::NullArray => Value::NullArray,
            Self::Array(values) => Value::Array(all(values)),
            Self::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(k, v)| (k.into_owned(), v.into_owned()))
                    .collect(),
            ),
            Self::Set(values) => Value::Set(all(values)),
            Self::Push(values) => Value::Push(all(values)),
            Self::Double(number) => Value::Double(number),
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::BigNumber(digits) => Value::BigNumber(own(digits)),
            Self::Verbatim { format, text } => Value::Verbatim {
                format,
                text: own(text),
            },
        }
    }

    /// The text of a simple, bulk, verbatim or big number value. Not an error's.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::BigNumber(bytes) => Some(bytes),
            Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The number of an integer value.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn as_elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) | Self::Set(values) | Self::Push(values) => Some(values),
            _ => None,
        }
    }

    /// Code and message of an error.
    pub fn as_error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }

    /// Both kinds of nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullArray)
    }

    /// Writes the value in the writer's protocol version.
    pub fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Self::Simple(text) => reply.simple(text),
            Self::Error(text) => reply.error(text),
            Self::Integer(number) => reply.integer(*number),
            Self::Bulk(bytes) => reply.bulk(bytes),
            Self::Null => reply.null(),
            Self::NullArray => reply.null_array(),
            Self::Double(number) => reply.double(*number),
            Self::Boolean(truth) => reply.boolean(*truth),
            Self::BigNumber(digits) => reply.big_number(digits),
            Self::Verbatim { format, text } => reply.verbatim(*format, text),
            Self::Array(values) => {
                reply.array(values.len());
                values.iter().for_each(|value| value.write(reply));
            }
            Self::Set(values) => {
                reply.set(values.len());
                values.iter().for_each(|value| value.write(reply));
            }
            Self::Push(values) => {
                reply.push(values.len());
                values.iter().for_each(|value| value.write(reply));
            }
            Self::Map(pairs) => {
                reply.map(pairs.len());
                for (key, value) in pairs {
                    key.write(reply);
                    value.write(reply);
                }
            }
        }
    }
}

/// An aggregate that is being filled.
struct Open<'a> {
    kind: u8,
    /// Values still to come.
    left: u64,
    values: Vec<Value<'a>>,
}

impl<'a> Open<'a> {
    /// The finished aggregate; `None` for an attribute.
    fn close(self) -> Option<Value<'a>> {
        let values = self.values;
        match self.kind {
            b'*' => Some(Value::Array(values)),
            b'~' => Some(Value::Set(values)),
            b'>' => Some(Value::Push(values)),
            b'%' => {
                let mut pairs = Vec::with_capacity(values.len() / 2);
                let mut values = values.into_iter();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
                Some(Value::Map(pairs))
            }
            _ => None,
        }
    }
}

/// The reply at the start of `buf` and its length; `None` if it is not whole. Starts over at every call: for large
/// replies find the end with a [`Skipper`](super::Skipper) first. O(bytes).
///
/// # Errors
/// [`ReplyError`]: the bytes are not RESP, or nested deeper than [`DEPTH_MAX`].
pub fn parse_reply(buf: &[u8]) -> Result<Option<(Value<'_>, usize)>, ReplyError> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    loop {
        let Some(head) = head(buf, at)? else {
            return Ok(None);
        };
        at = head.next();
        let mut finished = match head {
            Head::Null { kind: b'$', .. } => Some(Value::Null),
            Head::Null { .. } => Some(Value::NullArray),
            Head::Line {
                kind, start, end, ..
            } => Some(line_value(kind, &buf[start..end])?),
            Head::Payload {
                kind, start, end, ..
            } => Some(payload_value(kind, &buf[start..end])?),
            Head::Aggregate {
                kind, len: left, ..
            } => {
                if open.len() >= DEPTH_MAX {
                    return Err(ReplyError::TooDeep);
                }
                let values = Vec::with_capacity(left.min(RESERVED_MAX) as usize);
                open.push(Open { kind, left, values });
                None
            }
        };
        // Hand the value to the aggregate it belongs to, and that to the next one if it is full now.
        loop {
            if let Some(value) = finished.take() {
                let Some(parent) = open.last_mut() else {
                    return Ok(Some((value, at)));
                };
                parent.values.push(value);
                parent.left -= 1;
            }
            match open.pop_if(|innermost| innermost.left == 0) {
                Some(full) => finished = full.close(),
                None => break,
            }
        }
    }
}

fn line_value(kind: u8, text: &[u8]) -> Result<Value<'_>, ReplyError> {
    Ok(match (kind, text) {
        (b'+', _) => Value::Simple(Cow::Borrowed(text)),
        (b'-', _) => Value::Error(Cow::Borrowed(text)),
        (b':', _) => Value::Integer(
            parse_i64(text.strip_prefix(b"+").unwrap_or(text)).ok_or(ReplyError::BadNumber)?,
        ),
        (b'_', b"") => Value::Null,
        (b'#', b"t") => Value::Boolean(true),
        (b'#', b"f") => Value::Boolean(false),
        (b',', _) => {
            let text = std::str::from_utf8(text).map_err(|_| ReplyError::BadNumber)?;
            Value::Double(text.parse().map_err(|_| ReplyError::BadNumber)?)
        }
        (b'(', _) => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(ReplyError::BadNumber);
            }
            Value::BigNumber(Cow::Borrowed(text))
        }
        _ => return Err(ReplyError::Malformed),
    })
}

fn payload_value(kind: u8, bytes: &[u8]) -> Result<Value<'_>, ReplyError> {
    match (kind, bytes) {
        (b'$', _) => Ok(Value::Bulk(Cow::Borrowed(bytes))),
        (b'!', _) => Ok(Value::Error(Cow::Borrowed(bytes))),
        (_, [a, b, c, b':', text @ ..]) => Ok(Value::Verbatim {
            format: [*a, *b, *c],
            text: Cow::Borrowed(text),
        }),
        _ => Err(ReplyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::Proto;
    use super::super::skip::skip_reply;
    use super::*;

    fn bulk(text: &str) -> Value<'_> {
        Value::Bulk(Cow::Borrowed(text.as_bytes()))
    }

    fn simple(text: &str) -> Value<'_> {
        Value::Simple(Cow::Borrowed(text.as_bytes()))
    }

    fn samples() -> Vec<(&'static str, Value<'static>)> {
        use Value::*;
        vec![
            ("+OK\r\n", simple("OK")),
            ("+\r\n", simple("")),
            ("-ERR x\r\n", Error(Cow::Borrowed(b"ERR x"))),
            (":-12\r\n", Integer(-12)),
            ("$0\r\n\r\n", bulk("")),
            ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
            ("*-1\r\n", NullArray),
            ("_\r\n", Null),
            ("*0\r\n", Array(vec![])),
            (
                "*2\r\n*1\r\n:1\r\n*0\r\n",
                Array(vec![Array(vec![Integer(1)]), Array(vec![])]),
            ),
            (
                "%1\r\n+k\r\n~1\r\n#t\r\n",
                Map(vec![(simple("k"), Set(vec![Boolean(true)]))]),
            ),
            (
                ">2\r\n#f\r\n,1.5\r\n",
                Push(vec![Boolean(false), Double(1.5)]),
            ),
            (",inf\r\n", Double(f64::INFINITY)),
            (",-inf\r\n", Double(f64::NEG_INFINITY)),
            (
                "(-1234567890123456789012\r\n",
                BigNumber(Cow::Borrowed(b"-1234567890123456789012")),
            ),
            (
                "=5\r\ntxt:a\r\n",
                Verbatim {
                    format: *b"txt",
                    text: Cow::Borrowed(b"a"),
                },
            ),
        ]
    }

    #[test]
    fn read_and_written_back() {
        for (text, value) in samples() {
            let consumed = text.len();
            let doubled = text.repeat(2);
            assert_eq!(
                parse_reply(doubled.as_bytes()),
                Ok(Some((value.clone(), consumed))),
                "{text:?}"
            );
            assert_eq!(skip_reply(doubled.as_bytes()), Ok(Some(consumed)));
            for end in 0..consumed {
                assert_eq!(parse_reply(&text.as_bytes()[..end]), Ok(None));
            }
            let mut out = Vec::new();
            let owned = value.into_owned();
            owned.write(&mut Reply::new(&mut out, Proto::Resp3));
            let expected = if owned == Value::NullArray {
                "_\r\n"
            } else {
                text
            };
            assert_eq!(
                out.escape_ascii().to_string(),
                expected.as_bytes().escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn other_spellings() {
        assert_eq!(parse_reply(b"$-1\r\n"), Ok(Some((Value::Null, 5))));
        assert_eq!(parse_reply(b":+5\r\n"), Ok(Some((Value::Integer(5), 5))));
        assert_eq!(
            parse_reply(b"!1\r\nE\r\n"),
            Ok(Some((Value::Error(Cow::Borrowed(b"E")), 7)))
        );
        let nan = parse_reply(b",nan\r\n");
        assert!(matches!(nan, Ok(Some((Value::Double(n), 6))) if n.is_nan()));
    }

    #[test]
    fn attributes_are_dropped() {
        let text = b"|1\r\n+ttl\r\n*1\r\n:3\r\n*2\r\n|0\r\n:1\r\n:2\r\n";
        let array = Value::Array(vec![Value::Integer(1), Value::Integer(2)]);
        assert_eq!(parse_reply(text), Ok(Some((array, text.len()))));
    }

    #[test]
    fn written_for_resp2() {
        let (value, _) = parse_reply(b"%1\r\n+k\r\n,0.5\r\n").unwrap().unwrap();
        let mut out = Vec::new();
        value.write(&mut Reply::new(&mut out, Proto::Resp2));
        assert_eq!(out, b"*2\r\n+k\r\n$3\r\n0.5\r\n");
    }

    #[test]
    fn refused() {
        for (text, error) in [
            (":x\r\n", ReplyError::BadNumber),
            (":9223372036854775808\r\n", ReplyError::BadNumber),
            (",x\r\n", ReplyError::BadNumber),
            ("(1.5\r\n", ReplyError::BadNumber),
            ("#x\r\n", ReplyError::Malformed),
            ("_x\r\n", ReplyError::Malformed),
            ("=3\r\ntxt\r\n", ReplyError::Malformed),
            ("@\r\n", ReplyError::UnknownType(b'@')),
        ] {
            assert_eq!(parse_reply(text.as_bytes()), Err(error), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [&b"*1\r\n".repeat(depth)[..], b":1\r\n"].concat();
        let deepest = nested(DEPTH_MAX);
        let (value, _) = parse_reply(&deepest).unwrap().unwrap();
        assert!(format!("{value:?}").len() > DEPTH_MAX);
        drop(value.clone().into_owned());
        assert_eq!(
            parse_reply(&nested(DEPTH_MAX + 1)),
            Err(ReplyError::TooDeep)
        );
        assert_eq!(parse_reply(&nested(1_000_000)), Err(ReplyError::TooDeep));
    }

    #[test]
    fn announced_lengths_cost_little() {
        assert_eq!(parse_reply(b"*9223372036854775807\r\n:1\r\n"), Ok(None));
        assert_eq!(parse_reply(b"%4611686018427387903\r\n"), Ok(None));
    }

    #[test]
    fn accessors() {
        assert_eq!(bulk("a").as_bytes(), Some(&b"a"[..]));
        assert_eq!(Value::Integer(3).as_integer(), Some(3));
        assert_eq!(
            Value::Error(Cow::Borrowed(b"ERR")).as_error(),
            Some(&b"ERR"[..])
        );
        assert_eq!(
            Value::Array(vec![Value::Null])
                .as_elements()
                .map(<[_]>::len),
            Some(1)
        );
        assert!(Value::NullArray.is_null() && Value::Null.is_null());
    }
}
