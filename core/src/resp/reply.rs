//! The reply writer: turns the results of commands into RESP2 or RESP3 bytes at the end of a buffer.
//!
//! Owns nothing: it borrows the connection's output buffer and only ever appends. Invariants: every method writes
//! one whole reply or one header; a header must be followed by as many replies as it announces. Once the allocator has refused
//! to let the buffer grow, nothing more is written, and [`Reply::finish`] puts an error in place of the whole. Until then
//! the buffer is marked as broken: later writers to it, and those that append it to another, write nothing more. Types that RESP2
//! lacks are written the way redis-server 7.0 writes them for a RESP2 client, byte for byte.
//!
//! Called by every command, by the router for errors, and by the log writer and the clients for requests
//! ([`write_command`]).

use super::room::{BUFFER_BYTES_MAX, OUT_OF_MEMORY, make_room};
use crate::number::write_double;

/// The shortest element of an array: `:0`, and the end of the line.
const ELEMENT_BYTES_MIN: usize = 4;
/// `+OK`.
pub const OK: &[u8] = b"+OK\r\n";
/// `:0`.
pub const ZERO: &[u8] = b":0\r\n";
const ONE: &[u8] = b":1\r\n";
const NULL_BULK: &[u8] = b"$-1\r\n";
const NULL_ARRAY: &[u8] = b"*-1\r\n";
const NULL: &[u8] = b"_\r\n";
const CRLF: &[u8] = b"\r\n";

/// Type byte, 20 digits or sign, CRLF, rounded up.
const HEADER_BYTES_MAX: usize = 24;
/// The last byte of a broken buffer: no reply ends like this.
const BROKEN: u8 = 0xFF;
/// The longest text of a double, its type byte included, rounded up.
const DOUBLE_BYTES_MAX: usize = 40;

/// The protocol version a connection speaks (HELLO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    /// The version every connection starts with.
    #[default]
    Resp2,
    /// Maps, sets, doubles, booleans, pushes.
    Resp3,
}

/// An aggregate whose length is written later: made by [`Reply::deferred_array`] and its kin, ended by
/// [`Reply::set_len`].
#[derive(Debug)]
#[must_use = "an aggregate without its header corrupts the stream: call set_len"]
pub struct DeferredLen {
    at: usize,
    kind: u8,
    /// 2 for a map sent as a flat array.
    scale: usize,
}

/// Appends replies to a buffer. All methods are O(bytes written), amortized, unless they say otherwise.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    proto: Proto,
    /// The allocator refused to let `out` grow.
    refused: bool,
    /// Where the reply begins.
    start: usize,
}

impl<'a> Reply<'a> {
    /// A writer that appends to `out`.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, proto: Proto) -> Self {
        let start = out.len();
        let refused = Self::is_broken(out);
        Self {
            out,
            proto,
            refused,
            start,
        }
    }

    /// Whether a buffer holds replies that could not be written whole.
    #[inline]
    #[must_use]
    pub fn is_broken(buffer: &[u8]) -> bool {
        buffer.last() == Some(&BROKEN)
    }

    /// Whether the buffer could not grow as far as this reply needs: what a command must ask before it takes away
    /// what it has replied with.
    #[inline]
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Ends a reply: if the buffer could not grow as far as it needs, an error stands in its place.
    #[inline]
    pub fn finish(&mut self) {
        if self.refused {
            self.refuse();
        }
    }

    /// Puts the error for lack of memory in place of all that was written since this writer was made.
    #[cold]
    pub fn refuse(&mut self) {
        if Self::is_broken(&self.out[..self.start]) {
            return;
        }
        self.out.truncate(self.start);
        // A small allocation, if any.
        self.out.extend_from_slice(OUT_OF_MEMORY);
        self.refused = false;
    }

    /// Whether there is room for so many more bytes.
    #[inline]
    fn room(&mut self, more: usize) -> bool {
        if !self.refused && make_room(self.out, more) {
            return true;
        }
        self.give_up();
        false
    }

    /// Whether so many elements can follow. If not, the reply is given up at once, and not when as much has been written as can be.
    #[must_use]
    pub fn has_room_for(&mut self, elements: usize) -> bool {
        let fits = elements.saturating_mul(ELEMENT_BYTES_MIN)
            <= BUFFER_BYTES_MAX.saturating_sub(self.out.len());
        if !fits {
            self.give_up();
        }
        fits
    }

    /// Marks the buffer.
    #[cold]
    fn give_up(&mut self) {
        if !self.refused {
            self.refused = true;
            self.out.truncate(self.start);
            self.out.reserve_exact(1);
            self.out.push(BROKEN);
        }
    }

    /// The version this writer speaks.
    #[inline]
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Bytes in the buffer, those of earlier replies included: a position for [`Reply::truncate`].
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything after `position`.
    pub fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
    }

    /// Appends bytes that are RESP already: another shard's reply, a constant such as [`OK`].
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        if Self::is_broken(bytes) {
            self.give_up();
        } else if self.room(bytes.len()) {
            self.out.extend_from_slice(bytes);
        }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(OK);
    }

    /// `+text`. `text` must not hold an end of line.
    #[inline]
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        debug_assert!(!text.as_ref().iter().any(|b| matches!(b, b'\r' | b'\n')));
        self.line(b'+', text.as_ref());
    }

    /// `-text`, where `text` starts with its code (`ERR ...`). Ends of line inside it become spaces, as in Redis:
    /// it may quote what the client sent.
    #[cold]
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        let start = self.out.len() + 1;
        self.line(b'-', text.as_ref());
        if self.refused {
            return;
        }
        let end = self.out.len() - CRLF.len();
        for byte in &mut self.out[start..end] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }

    /// `:number`.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        match number {
            0 => self.raw(ZERO),
            1 => self.raw(ONE),
            _ => self.header(b':', number),
        }
    }

    /// `$length` and the bytes, with one reservation.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.room(HEADER_BYTES_MAX + bytes.len()) {
            write_bulk(self.out, b'$', bytes);
        }
    }

    /// An integer as a bulk string, as commands do that answer with a stored number (`GET`, `HGET`).
    #[inline]
    pub fn bulk_integer(&mut self, number: i64) {
        self.bulk(itoa::Buffer::new().format(number).as_bytes());
    }

    /// The absent value where a bulk is expected: `$-1`, or `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.proto == Proto::Resp2 {
            NULL_BULK
        } else {
            NULL
        });
    }

    /// The absent value where an array is expected: `*-1`, or `_` in RESP3.
    #[inline]
    pub fn null_array(&mut self) {
        self.raw(if self.proto == Proto::Resp2 {
            NULL_ARRAY
        } else {
            NULL
        });
    }

    /// A bulk, or null.
    #[inline]
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Header of an array of `len` replies.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.aggregate(b'*', len);
    }

    /// Header of a map of `pairs` keys and values, which follow alternately; a flat array in RESP2.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.proto {
            Proto::Resp2 => self.aggregate(b'*', pairs * 2),
            Proto::Resp3 => self.aggregate(b'%', pairs),
        }
    }

    /// Header of a set of `len` replies; an array in RESP2.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.aggregate(self.kind(b'~'), len);
    }

    /// Header of a message outside the order of replies, such as one of Pub/Sub; an array in RESP2.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.aggregate(self.kind(b'>'), len);
    }

    /// A double: 17 significant digits (C's `%.17g`), a bulk in RESP2.
    pub fn double(&mut self, value: f64) {
        if !self.room(DOUBLE_BYTES_MAX) {
            return;
        }
        match self.proto {
            Proto::Resp2 => {
                // At most 24 bytes: written in place, and moved by the header's second digit.
                let header = self.deferred(b'$', 1);
                let start = self.out.len();
                write_double(self.out, value);
                let length = self.out.len() - start;
                self.set_len(header, length);
            }
            Proto::Resp3 => {
                self.raw(b",");
                write_double(self.out, value);
            }
        }
        self.raw(CRLF);
    }

    /// `#t` or `#f`; 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.proto, value) {
            (Proto::Resp2, _) => self.integer(value.into()),
            (Proto::Resp3, true) => self.raw(b"#t\r\n"),
            (Proto::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// `(digits`: an integer of any size, whose text the caller vouches for; a bulk in RESP2.
    pub fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        match self.proto {
            Proto::Resp2 => self.bulk(digits.as_ref()),
            Proto::Resp3 => self.line(b'(', digits.as_ref()),
        }
    }

    /// `=length`, the three letters of the format (`txt`, `mkd`), a colon and the text; a bulk of the text in RESP2.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        if !self.room(HEADER_BYTES_MAX + text.len()) {
            return;
        }
        self.aggregate(b'=', text.len() + 4);
        self.raw(&format);
        self.raw(b":");
        self.out.extend_from_slice(text);
        self.raw(CRLF);
    }

    /// Starts an array whose length is not known yet: write the elements, then call [`Reply::set_len`].
    pub fn deferred_array(&mut self) -> DeferredLen {
        self.deferred(b'*', 1)
    }

    /// Starts a map whose number of pairs is not known yet.
    pub fn deferred_map(&mut self) -> DeferredLen {
        match self.proto {
            Proto::Resp2 => self.deferred(b'*', 2),
            Proto::Resp3 => self.deferred(b'%', 1),
        }
    }

    /// Starts a set whose length is not known yet.
    pub fn deferred_set(&mut self) -> DeferredLen {
        self.deferred(self.kind(b'~'), 1)
    }

    /// Writes the header of a deferred aggregate: `len` elements, or pairs of a map. O(1) below ten elements;
    /// otherwise the bytes written since move by the header's further digits, one `memmove`. Inner aggregates end
    /// before outer ones.
    pub fn set_len(&mut self, deferred: DeferredLen, len: usize) {
        let DeferredLen { at, kind, scale } = deferred;
        if !self.room(HEADER_BYTES_MAX) {
            return;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(len * scale).as_bytes();
        // The room left has one digit: only further ones must be made room for.
        let extra = digits.len() - 1;
        if extra > 0 {
            let end = self.out.len();
            self.out.resize(end + extra, 0);
            self.out.copy_within(at..end, at + extra);
        }
        self.out[at] = kind;
        self.out[at + 1..at + 1 + digits.len()].copy_from_slice(digits);
        self.out[at + 1 + digits.len()..at + 3 + digits.len()].copy_from_slice(CRLF);
    }

    fn deferred(&mut self, kind: u8, scale: usize) -> DeferredLen {
        let at = self.out.len();
        self.raw(&[kind, b'0', b'\r', b'\n']);
        DeferredLen { at, kind, scale }
    }

    /// The type byte of a RESP3 aggregate that RESP2 sends as an array.
    #[inline]
    fn kind(&self, resp3: u8) -> u8 {
        if self.proto == Proto::Resp2 {
            b'*'
        } else {
            resp3
        }
    }

    #[inline]
    fn aggregate(&mut self, kind: u8, len: usize) {
        if self.room(HEADER_BYTES_MAX) {
            write_length(self.out, kind, len);
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        let mut digits = itoa::Buffer::new();
        self.line(kind, digits.format(number).as_bytes());
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        if self.room(text.len() + 3) {
            self.out.push(kind);
            self.out.extend_from_slice(text);
            self.out.extend_from_slice(CRLF);
        }
    }
}

/// `kind`, `len`, CRLF. One append of at most 6 bytes for lengths below 1,000: the common case needs no division by
/// way of a digit buffer.
#[inline]
fn write_length(out: &mut Vec<u8>, kind: u8, len: usize) {
    match len {
        0..=9 => out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']),
        10..=99 => {
            out.extend_from_slice(&[
                kind,
                b'0' + (len / 10) as u8,
                b'0' + (len % 10) as u8,
                b'\r',
                b'\n',
            ]);
        }
        _ => {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(len).as_bytes();
            out.reserve(digits.len() + 3);
            out.push(kind);
            out.extend_from_slice(digits);
            out.extend_from_slice(CRLF);
        }
    }
}

#[inline]
fn write_bulk(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.reserve(HEADER_BYTES_MAX + bytes.len());
    write_length(out, kind, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(CRLF);
}

/// Appends a request: an array of bulks, the form in which clients send commands and the log keeps them.
pub fn write_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    write_length(out, b'*', args.len());
    for arg in args {
        write_bulk(out, b'$', arg.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, proto));
        String::from_utf8(out).unwrap()
    }

    fn both(write: impl Fn(&mut Reply<'_>)) -> (String, String) {
        (written(Proto::Resp2, &write), written(Proto::Resp3, &write))
    }

    fn pair(resp2: &str, resp3: &str) -> (String, String) {
        (resp2.to_owned(), resp3.to_owned())
    }

    #[test]
    fn what_is_broken_stays_broken_until_it_is_replaced() {
        let mut bulks = b"$1\r\na\r\n".to_vec();
        Reply::new(&mut bulks, Proto::Resp2).give_up();
        assert!(Reply::is_broken(&bulks));
        Reply::new(&mut bulks, Proto::Resp2).bulk(b"b");
        Reply::new(&mut bulks, Proto::Resp2).finish();
        assert!(Reply::is_broken(&bulks), "the second writer cannot mend it");
        let mut out = b"+before\r\n".to_vec();
        let mut reply = Reply::new(&mut out, Proto::Resp2);
        reply.array(2);
        reply.raw(&bulks);
        reply.integer(7);
        assert!(reply.is_refused());
        reply.finish();
        assert_eq!(out, [b"+before\r\n", OUT_OF_MEMORY].concat());
    }

    #[test]
    fn binary_text_is_not_broken() {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, Proto::Resp3);
        reply.verbatim(*b"txt", b"\xff");
        reply.bulk(b"\xff");
        reply.error(b"ERR \xff");
        reply.finish();
        assert_eq!(out, b"=5\r\ntxt:\xff\r\n$1\r\n\xff\r\n-ERR \xff\r\n");
    }

    #[test]
    fn simple_types() {
        assert_eq!(both(|r| r.ok()), pair("+OK\r\n", "+OK\r\n"));
        assert_eq!(both(|r| r.simple("PONG")), pair("+PONG\r\n", "+PONG\r\n"));
        assert_eq!(
            both(|r| r.error("ERR a\r\nb")),
            pair("-ERR a  b\r\n", "-ERR a  b\r\n")
        );
        assert_eq!(both(|r| r.null()), pair("$-1\r\n", "_\r\n"));
        assert_eq!(both(|r| r.null_array()), pair("*-1\r\n", "_\r\n"));
        assert_eq!(both(|r| r.bulk_or_null(None)), pair("$-1\r\n", "_\r\n"));
        assert_eq!(
            both(|r| r.bulk_or_null(Some(b"a"))),
            pair("$1\r\na\r\n", "$1\r\na\r\n")
        );
        assert_eq!(both(|r| r.boolean(true)), pair(":1\r\n", "#t\r\n"));
        assert_eq!(both(|r| r.boolean(false)), pair(":0\r\n", "#f\r\n"));
        assert_eq!(
            both(|r| r.big_number("123")),
            pair("$3\r\n123\r\n", "(123\r\n")
        );
        assert_eq!(
            both(|r| r.verbatim(*b"txt", b"abc")),
            pair("$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n")
        );
        assert_eq!(
            both(|r| r.bulk_integer(-12)),
            pair("$3\r\n-12\r\n", "$3\r\n-12\r\n")
        );
    }

    #[test]
    fn doubles() {
        assert_eq!(
            both(|r| r.double(0.1)),
            pair("$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n")
        );
        assert_eq!(
            both(|r| r.double(f64::INFINITY)),
            pair("$3\r\ninf\r\n", ",inf\r\n")
        );
        assert_eq!(
            both(|r| r.double(f64::NEG_INFINITY)),
            pair("$4\r\n-inf\r\n", ",-inf\r\n")
        );
        assert_eq!(both(|r| r.double(3.0)), pair("$1\r\n3\r\n", ",3\r\n"));
    }

    #[test]
    fn integers_and_lengths_of_every_width() {
        for number in [0, 1, -1, 9, 10, 99, 100, 101, 999, 1000, i64::MAX, i64::MIN] {
            assert_eq!(
                written(Proto::Resp2, |r| r.integer(number)),
                format!(":{number}\r\n")
            );
        }
        for len in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 100_000] {
            let text = "x".repeat(len);
            assert_eq!(
                written(Proto::Resp2, |r| r.bulk(text.as_bytes())),
                format!("${len}\r\n{text}\r\n")
            );
            assert_eq!(
                written(Proto::Resp3, |r| r.array(len)),
                format!("*{len}\r\n")
            );
        }
    }

    #[test]
    fn aggregates() {
        assert_eq!(both(|r| r.array(2)), pair("*2\r\n", "*2\r\n"));
        assert_eq!(both(|r| r.map(2)), pair("*4\r\n", "%2\r\n"));
        assert_eq!(both(|r| r.set(2)), pair("*2\r\n", "~2\r\n"));
        assert_eq!(both(|r| r.push(2)), pair("*2\r\n", ">2\r\n"));
    }

    #[test]
    fn deferred_lengths_nest() {
        for count in [0, 1, 9, 10, 123, 12_345] {
            let expected = written(Proto::Resp3, |r| {
                r.simple("before");
                r.array(count + 1);
                (0..count).for_each(|n| r.integer(n as i64));
                r.map(1);
                r.bulk(b"k");
                r.bulk(b"v");
            });
            let deferred = written(Proto::Resp3, |r| {
                r.simple("before");
                let outer = r.deferred_array();
                (0..count).for_each(|n| r.integer(n as i64));
                let inner = r.deferred_map();
                r.bulk(b"k");
                r.bulk(b"v");
                r.set_len(inner, 1);
                r.set_len(outer, count + 1);
            });
            assert_eq!(deferred, expected);
        }
        let flat = written(Proto::Resp2, |r| {
            let map = r.deferred_map();
            (0..20).for_each(|n| r.integer(n));
            r.set_len(map, 10);
        });
        assert!(flat.starts_with("*20\r\n:0\r\n"));
    }

    #[test]
    fn commands() {
        let mut out = Vec::new();
        write_command(&mut out, &["SET", "key", "value"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
    }

    #[test]
    fn truncate_takes_back() {
        let text = written(Proto::Resp2, |r| {
            r.ok();
            let position = r.position();
            r.array(3);
            r.truncate(position);
            r.error("ERR x");
        });
        assert_eq!(text, "+OK\r\n-ERR x\r\n");
    }
}
