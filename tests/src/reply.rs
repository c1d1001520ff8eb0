//! Replies as values, for the tests that look inside one.

use std::fmt;

use crate::command::show_bytes;

/// A reply of either protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR ...`
    Error(Vec<u8>),
    /// `:1`
    Int(i64),
    /// `$3`, or `=` with its three-letter kind cut off.
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`
    Null,
    /// `,1.5` as written.
    Double(Vec<u8>),
    /// `#t`
    Bool(bool),
    /// `(123` as written.
    Big(Vec<u8>),
    /// `*2` or `>2`
    Array(Vec<Reply>),
    /// `~2`
    Set(Vec<Reply>),
    /// `%1`
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// Reads one whole reply, as [`crate::frame::FrameScan`] has found it.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Self {
        let mut at = 0;
        let reply = parse_at(frame, &mut at);
        assert_eq!(
            at,
            frame.len(),
            "bytes after a reply: {}",
            show_bytes(frame)
        );
        reply
    }

    /// Panics unless it is `+OK`.
    #[track_caller]
    pub fn expect_ok(self) {
        assert_eq!(self, Self::ok());
    }

    /// `+OK`
    #[must_use]
    pub fn ok() -> Self {
        Self::Simple(b"OK".to_vec())
    }

    /// A bulk string.
    #[must_use]
    pub fn bulk(text: &str) -> Self {
        Self::Bulk(text.as_bytes().to_vec())
    }

    /// The number in it; panics on anything else.
    #[must_use]
    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("a number was expected, not {other}"),
        }
    }

    /// The error's text; panics on anything else.
    #[must_use]
    #[track_caller]
    pub fn error(&self) -> String {
        match self {
            Self::Error(text) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("an error was expected, not {other}"),
        }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The bytes of a string, simple or bulk; panics on anything else.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) => bytes,
            other => panic!("a string was expected, not {other}"),
        }
    }

    /// The text of a string, simple or bulk.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The elements of an array or set; panics on anything else.
    #[must_use]
    #[track_caller]
    pub fn elements(&self) -> &[Reply] {
        match self {
            Self::Array(elements) | Self::Set(elements) => elements,
            other => panic!("an array was expected, not {other}"),
        }
    }

    /// The elements as text, sorted.
    #[must_use]
    #[track_caller]
    pub fn sorted_texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.elements().iter().map(Self::text).collect();
        texts.sort();
        texts
    }

    /// Key and value pairs of a map, or of the flat array that RESP2 has for it.
    #[must_use]
    #[track_caller]
    pub fn pairs(&self) -> Vec<(String, Reply)> {
        match self {
            Self::Map(pairs) => pairs.iter().map(|(k, v)| (k.text(), v.clone())).collect(),
            Self::Array(flat) => {
                assert!(flat.len() % 2 == 0, "an odd number of elements: {self}");
                flat.chunks(2)
                    .map(|pair| (pair[0].text(), pair[1].clone()))
                    .collect()
            }
            other => panic!("a map was expected, not {other}"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, elements: &[Reply]| {
            for (at, element) in elements.iter().enumerate().take(40) {
                write!(f, "{}{element}", if at > 0 { ", " } else { "" })?;
            }
            if elements.len() > 40 {
                write!(f, ", ...({} elements)", elements.len())?;
            }
            Ok(())
        };
        match self {
            Self::Simple(text) => write!(f, "+{}", show_bytes(text)),
            Self::Error(text) => write!(f, "-{}", show_bytes(text)),
            Self::Int(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => write!(f, "{}", show_bytes(bytes)),
            Self::Null => write!(f, "null"),
            Self::Double(text) => write!(f, ",{}", show_bytes(text)),
            Self::Bool(value) => write!(f, "#{value}"),
            Self::Big(text) => write!(f, "({}", show_bytes(text)),
            Self::Array(elements) => {
                write!(f, "[")?;
                list(f, elements)?;
                write!(f, "]")
            }
            Self::Set(elements) => {
                write!(f, "~[")?;
                list(f, elements)?;
                write!(f, "]")
            }
            Self::Map(pairs) => {
                write!(f, "%{{")?;
                for (key, value) in pairs {
                    write!(f, "{key}: {value}, ")?;
                }
                write!(f, "}}")
            }
        }
    }
}

fn parse_at(frame: &[u8], at: &mut usize) -> Reply {
    let line_start = *at + 1;
    let kind = frame[*at];
    let line_length = frame[line_start..]
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .expect("a whole frame");
    let line = &frame[line_start..line_start + line_length];
    *at = line_start + line_length + 2;
    let number = || -> i64 {
        let text = std::str::from_utf8(line).expect("digits are ASCII");
        text.parse()
            .unwrap_or_else(|_| panic!("not a number: {text:?}"))
    };
    match kind {
        b'+' => Reply::Simple(line.to_vec()),
        b'-' => Reply::Error(line.to_vec()),
        b':' => Reply::Int(number()),
        b'_' => Reply::Null,
        b',' => Reply::Double(line.to_vec()),
        b'#' => Reply::Bool(line == b"t"),
        b'(' => Reply::Big(line.to_vec()),
        b'$' | b'=' | b'!' => {
            let Ok(length) = usize::try_from(number()) else {
                return Reply::Null;
            };
            let bytes = frame[*at..*at + length].to_vec();
            *at += length + 2;
            match kind {
                b'$' => Reply::Bulk(bytes),
                b'=' => Reply::Bulk(bytes[4..].to_vec()),
                _ => Reply::Error(bytes),
            }
        }
        b'*' | b'>' | b'~' => {
            let Ok(count) = usize::try_from(number()) else {
                return Reply::Null;
            };
            let elements = (0..count).map(|_| parse_at(frame, at)).collect();
            if kind == b'~' {
                Reply::Set(elements)
            } else {
                Reply::Array(elements)
            }
        }
        b'%' => {
            let count = number();
            Reply::Map(
                (0..count)
                    .map(|_| (parse_at(frame, at), parse_at(frame, at)))
                    .collect(),
            )
        }
        b'|' => {
            for _ in 0..2 * number() {
                parse_at(frame, at);
            }
            parse_at(frame, at)
        }
        other => panic!("no reply starts with {:?}", char::from(other)),
    }
}
