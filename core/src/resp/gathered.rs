//! The elements of a long reply, written in slices before their number is known.
//!
//! The header has its place in front of them, as long as it is expected to be, so that the whole moves to whoever sends it without being copied.
//! Called by commands that go on in slices.

use super::reply::{Proto, Reply};
use super::room::{make_room, try_append};

/// Bytes of a buffer from which on its growth is looked at.
const LARGE_BYTES: usize = 1 << 18;

/// See the head of this file.
#[derive(Debug)]
pub struct Gathered {
    bytes: Vec<u8>,
    /// What is left free for the header.
    room: usize,
    proto: Proto,
    refused: bool,
}

impl Gathered {
    /// No elements yet, probably so many in the end; 0 if they will be few. (A header that turns out longer or shorter costs a `memmove`.)
    #[must_use]
    pub fn expecting(count: usize, proto: Proto) -> Self {
        Self::expecting_head(proto, |head| {
            if count > 0 {
                head.array(count);
            }
        })
    }

    /// No elements yet, behind what will probably be the header.
    #[must_use]
    pub fn expecting_head(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> Self {
        let mut head = Vec::new();
        write(&mut Reply::new(&mut head, proto));
        Self {
            room: head.len(),
            bytes: head,
            proto,
            refused: false,
        }
    }

    /// Writes elements.
    pub fn write<T>(&mut self, write: impl FnOnce(&mut Reply<'_>) -> T) -> T {
        let mut reply = Reply::new(&mut self.bytes, self.proto);
        let result = write(&mut reply);
        self.refused |= reply.is_refused();
        result
    }

    /// Adds bytes as they are.
    pub fn append(&mut self, bytes: &[u8]) {
        self.refused |= self.refused || !try_append(&mut self.bytes, bytes);
    }

    /// Begins a part that has a header of its own, with what that will probably be.
    pub fn open(&mut self, write: impl FnOnce(&mut Reply<'_>)) -> Part {
        let at = self.bytes.len();
        self.write(write);
        Part {
            at,
            room: self.bytes.len().saturating_sub(at),
        }
    }

    /// Ends a part, which is the last one: writes its header.
    pub fn close(&mut self, part: Part, write: impl FnOnce(&mut Reply<'_>)) {
        let mut head = Vec::new();
        write(&mut Reply::new(&mut head, self.proto));
        self.refused |= !make_room(&mut self.bytes, head.len());
        if !self.refused {
            put_head(&mut self.bytes, part.at, part.room, &head);
        }
    }

    /// The protocol it is written in.
    #[must_use]
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Whether there was no memory for it all.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Makes room for all, by what the first ones take.
    pub fn foresee(&mut self, written: usize, total: usize) {
        foresee(&mut self.bytes, written, total);
    }

    /// Ends it behind what has been written elsewhere, the header included: for few elements.
    pub fn append_to(&self, reply: &mut Reply<'_>) {
        if self.refused {
            reply.refuse();
        } else {
            reply.raw(&self.bytes[self.room..]);
        }
    }

    /// Ends it: `header` comes first. If there was no memory, the error stands in place of all.
    pub fn finish(&mut self, out: &mut Vec<u8>, header: impl FnOnce(&mut Reply<'_>)) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut head = Vec::new();
        header(&mut Reply::new(&mut head, self.proto));
        if self.refused || !make_room(&mut bytes, head.len()) {
            return Reply::new(out, self.proto).refuse();
        }
        put_head(&mut bytes, 0, self.room, &head);
        if out.is_empty() {
            *out = bytes;
        } else {
            Reply::new(out, self.proto).raw(&bytes);
        }
    }
}

/// A part of what is gathered, whose header is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    at: usize,
    room: usize,
}

/// Writes a header into the room left for it.
fn put_head(bytes: &mut Vec<u8>, at: usize, room: usize, head: &[u8]) {
    if head.len() == room {
        bytes[at..at + room].copy_from_slice(head);
    } else {
        bytes.splice(at..at + room, head.iter().copied());
    }
}

/// Makes room in a buffer of which a part has been written: `written` elements of `total`. What is not used has cost nothing: a large buffer is only
/// addresses until somebody writes there.
pub fn foresee(buffer: &mut Vec<u8>, written: usize, total: usize) {
    if buffer.len() < LARGE_BYTES || written == 0 || buffer.capacity() - buffer.len() > LARGE_BYTES
    {
        return;
    }
    let left = total.saturating_sub(written);
    let each = buffer.len() / written + 1;
    let more = each.saturating_mul(left);
    // A sixteenth more, as the last elements may be longer than the first. What is refused now is asked for in smaller pieces later.
    let _ = buffer.try_reserve_exact(more.saturating_add(more / 16).saturating_add(LARGE_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(expected: usize, count: usize, before: &[u8]) -> Vec<u8> {
        let mut gathered = Gathered::expecting(expected, Proto::Resp3);
        for number in 0..count {
            gathered.write(|reply| reply.integer(number as i64 % 10));
        }
        let mut out = before.to_vec();
        gathered.finish(&mut out, |reply| reply.map(count / 2));
        out
    }

    #[test]
    fn whatever_was_expected() {
        let mut expected = b"%6\r\n".to_vec();
        for number in 0..12 {
            expected.extend_from_slice(format!(":{}\r\n", number % 10).as_bytes());
        }
        for guess in [0, 6, 12, 1_000_000] {
            assert_eq!(gathered(guess, 12, b""), expected, "{guess}");
            let behind = [&b"+OK\r\n"[..], &expected].concat();
            assert_eq!(gathered(guess, 12, b"+OK\r\n"), behind, "{guess}");
        }
    }

    #[test]
    fn parts_have_headers_of_their_own() {
        for guess in [1, 3, 12_345] {
            let mut gathered = Gathered::expecting(2, Proto::Resp2);
            for name in [&b"a"[..], b"b"] {
                let part = gathered.open(|head| head.array(guess));
                for _ in 0..3 {
                    gathered.write(|reply| reply.bulk(name));
                }
                gathered.close(part, |head| head.array(3));
            }
            let mut out = Vec::new();
            gathered.finish(&mut out, |head| head.array(2));
            let of = |name: &str| format!("*3\r\n{}", format!("$1\r\n{name}\r\n").repeat(3));
            let expected = format!("*2\r\n{}{}", of("a"), of("b"));
            assert_eq!(out, expected.as_bytes(), "{guess}");
        }
    }

    #[test]
    fn room_is_made_once() {
        let (mut buffer, mut capacities) = (Vec::new(), Vec::new());
        for number in 0..100_000 {
            buffer.extend_from_slice(b"0123456789");
            foresee(&mut buffer, number + 1, 100_000);
            if capacities.last() != Some(&buffer.capacity()) && buffer.len() > LARGE_BYTES {
                capacities.push(buffer.capacity());
            }
        }
        assert_eq!(capacities.len(), 1, "{capacities:?}");
    }
}
