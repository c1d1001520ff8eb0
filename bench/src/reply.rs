//! Replies: finds where each one ends, and whether it was a value, a null or an error, without keeping or
//! copying it. RESP2 and RESP3.
//!
//! The skipper is fed whatever a read returned and keeps its place between reads: a reply of a megabyte or an
//! array of a million is passed over once, never scanned again. Nesting needs no stack: what counts is how
//! many values are still missing. One skipper per connection; `connection` and `control` call it.

use crate::tally::ErrorTally;

/// A line of a reply (type, number or error text) is never longer.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The part of an error's text that is kept when it comes as a bulk string.
const ERROR_BYTES_MAX: usize = 256;

/// What a reply was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Anything that is neither of the others.
    Value,
    /// A null.
    Null,
    /// An error, or an array with an error in it.
    Error,
}

/// Bytes that are no RESP; the connection is of no more use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed(
    /// What was wrong.
    pub String,
);

/// The place inside the replies of one connection.
#[derive(Clone, Debug, Default)]
pub struct Skipper {
    /// Values missing until the reply is complete; 0 between replies.
    pending: u64,
    /// Bytes of a bulk string still to come, its line end included.
    body: u64,
    /// The start of a line whose end has not come yet, or an error's text.
    partial: Vec<u8>,
    /// The body being passed over is an error's text.
    error_body: bool,
    /// A push or an attribute: nobody asked for it, and it counts for nothing.
    unasked: bool,
    /// Whether the reply is just one value so far.
    single: bool,
    null: bool,
    error: bool,
}

impl Skipper {
    /// Passes over `input` up to the end of one reply and moves `input` behind it. `None`: more bytes are
    /// needed, and all of `input` was used. Error texts are counted in `errors`.
    ///
    /// # Errors
    /// When the bytes are no RESP.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut &[u8],
        errors: &mut ErrorTally,
    ) -> Result<Option<Outcome>, Malformed> {
        loop {
            if self.body > 0 {
                self.pass_body(input, errors);
                if self.body > 0 {
                    return Ok(None);
                }
            } else {
                let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
                    return self.keep_partial(input).map(|()| None);
                };
                let (line, rest) = input.split_at(end + 1);
                *input = rest;
                if self.partial.is_empty() {
                    self.line(line, errors)?;
                } else {
                    let mut whole = std::mem::take(&mut self.partial);
                    whole.extend_from_slice(line);
                    self.line(&whole, errors)?;
                }
            }
            if self.pending == 0 {
                if std::mem::take(&mut self.unasked) {
                    continue;
                }
                return Ok(Some(if self.error {
                    Outcome::Error
                } else if self.null {
                    Outcome::Null
                } else {
                    Outcome::Value
                }));
            }
        }
    }

    /// Whether the place is between two replies.
    #[must_use]
    pub fn between_replies(&self) -> bool {
        self.pending == 0 && self.partial.is_empty()
    }

    fn keep_partial(&mut self, input: &mut &[u8]) -> Result<(), Malformed> {
        if self.partial.len() + input.len() > LINE_BYTES_MAX {
            return Err(Malformed(format!(
                "a line of more than {LINE_BYTES_MAX} bytes"
            )));
        }
        self.partial.extend_from_slice(input);
        *input = &[];
        Ok(())
    }

    fn pass_body(&mut self, input: &mut &[u8], errors: &mut ErrorTally) {
        let length = input
            .len()
            .min(usize::try_from(self.body).unwrap_or(usize::MAX));
        if self.error_body {
            let wanted = length.min(ERROR_BYTES_MAX.saturating_sub(self.partial.len()));
            self.partial.extend_from_slice(&input[..wanted]);
        }
        *input = &input[length..];
        self.body -= length as u64;
        if self.body == 0 {
            self.pending -= 1;
            if self.error_body {
                self.error_body = false;
                errors.count(self.partial.trim_ascii_end());
                self.partial.clear();
            }
        }
    }

    /// Takes in one line, `\r\n` at its end.
    fn line(&mut self, line: &[u8], errors: &mut ErrorTally) -> Result<(), Malformed> {
        let Some((&kind, text)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
            return Err(malformed(line));
        };
        if self.pending == 0 {
            self.pending = 1;
            self.unasked = kind == b'>' || kind == b'|';
            self.single = true;
            self.null = false;
            self.error = false;
        }
        match kind {
            b'+' | b':' | b'#' | b',' | b'(' => self.pending -= 1,
            b'-' => {
                self.pending -= 1;
                self.error = true;
                errors.count(text);
            }
            b'_' => {
                self.pending -= 1;
                self.null = self.single;
            }
            b'$' | b'=' | b'!' => match length(text) {
                Some(Some(bytes)) => {
                    self.body = bytes + 2;
                    if kind == b'!' {
                        self.error = true;
                        self.error_body = true;
                    }
                }
                Some(None) => {
                    self.pending -= 1;
                    self.null = self.single;
                }
                None => return Err(malformed(line)),
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match length(text) {
                Some(Some(values)) => {
                    let top_attribute = self.single && self.unasked;
                    self.pending += if matches!(kind, b'%' | b'|') {
                        values * 2
                    } else {
                        values
                    };
                    // An attribute inside a reply is extra: the value it describes still follows.
                    self.pending -= u64::from(kind != b'|' || top_attribute);
                }
                Some(None) => {
                    self.pending -= 1;
                    self.null = self.single;
                }
                None => return Err(malformed(line)),
            },
            _ => return Err(malformed(line)),
        }
        self.single = false;
        Ok(())
    }
}

/// A length: `None` when it is none, `Some(None)` for -1, the null.
fn length(text: &[u8]) -> Option<Option<u64>> {
    if text == b"-1" {
        return Some(None);
    }
    if text.is_empty() || text.len() > 12 {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(Some(value))
}

fn malformed(line: &[u8]) -> Malformed {
    let shown = &line[..line.len().min(40)];
    Malformed(format!("not a reply: \"{}\"", shown.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcomes of all replies in `bytes`, fed in pieces of `step` bytes.
    fn outcomes(bytes: &[u8], step: usize) -> (Vec<Outcome>, ErrorTally) {
        let mut skipper = Skipper::default();
        let mut errors = ErrorTally::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            let mut input = piece;
            while let Some(outcome) = skipper.next(&mut input, &mut errors).unwrap() {
                seen.push(outcome);
            }
            assert!(input.is_empty());
        }
        assert!(skipper.between_replies());
        (seen, errors)
    }

    #[test]
    fn every_kind_of_reply_at_every_split() {
        use Outcome::{Error, Null, Value};
        let replies: &[(&[u8], Outcome)] = &[
            (b"+OK\r\n", Value),
            (b"-ERR no\r\n", Error),
            (b":-12\r\n", Value),
            (b"$5\r\nab\r\nc\r\n", Value),
            (b"$0\r\n\r\n", Value),
            (b"$-1\r\n", Null),
            (b"*-1\r\n", Null),
            (b"*0\r\n", Value),
            (b"*1\r\n$-1\r\n", Value),
            (b"*2\r\n*2\r\n:1\r\n$1\r\nx\r\n+y\r\n", Value),
            (b"*2\r\n+OK\r\n-WRONGTYPE inside\r\n", Error),
            (b"_\r\n", Null),
            (b"#t\r\n", Value),
            (b",1.5\r\n", Value),
            (b"(123456789012345678901234567890\r\n", Value),
            (b"=6\r\ntxt:ab\r\n", Value),
            (b"!7\r\nERR odd\r\n", Error),
            (b"%1\r\n+k\r\n*1\r\n:2\r\n", Value),
            (b"~2\r\n:1\r\n:2\r\n", Value),
            (b"|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n", Value),
            (b"|1\r\n+ttl\r\n:9\r\n_\r\n", Null),
            (b"*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n", Value),
            (b">2\r\n+invalidate\r\n*1\r\n+k\r\n+OK\r\n", Value),
            (b">0\r\n+OK\r\n", Value),
        ];
        let bytes: Vec<u8> = replies
            .iter()
            .flat_map(|(bytes, _)| bytes.to_vec())
            .collect();
        let expected: Vec<Outcome> = replies.iter().map(|(_, outcome)| *outcome).collect();
        for step in (1..=bytes.len()).rev() {
            let (seen, errors) = outcomes(&bytes, step);
            assert_eq!(seen, expected, "in pieces of {step}");
            let texts: Vec<(&str, u64)> = errors.iter().collect();
            assert_eq!(
                texts,
                [("ERR no", 1), ("ERR odd", 1), ("WRONGTYPE inside", 1)]
            );
        }
    }

    #[test]
    fn a_reply_is_not_complete_before_its_last_byte() {
        for reply in [
            &b"$3\r\nabc\r\n"[..],
            b"*2\r\n:1\r\n:2\r\n",
            b"+OK\r\n",
            b"*1\r\n*0\r\n",
        ] {
            let mut skipper = Skipper::default();
            let mut errors = ErrorTally::default();
            let (mut head, mut tail) = reply.split_at(reply.len() - 1);
            assert_eq!(skipper.next(&mut head, &mut errors), Ok(None));
            assert!(!skipper.between_replies());
            assert_eq!(
                skipper.next(&mut tail, &mut errors),
                Ok(Some(Outcome::Value))
            );
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [
            &b"OK\r\n"[..],
            b"$x\r\n",
            b"*-2\r\n",
            b"+OK\n",
            b"$\r\n",
            b"\r\n",
        ] {
            let mut skipper = Skipper::default();
            let mut errors = ErrorTally::default();
            let mut input = bytes;
            assert!(skipper.next(&mut input, &mut errors).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut skipper = Skipper::default();
        let mut errors = ErrorTally::default();
        let long = vec![b'+'; LINE_BYTES_MAX + 1];
        assert!(skipper.next(&mut &long[..], &mut errors).is_err());
    }
}
