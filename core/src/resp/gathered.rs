//! The elements of a long reply, written in slices before their number is known.
//!
//! The header has its place in front of them, as long as it is expected to be, so that the whole moves to whoever sends it without being copied.
//! Called by commands that go on in slices.

use super::chain::{Chain, Place};
use super::reply::{Proto, Reply};

/// See the head of this file.
#[derive(Debug)]
pub struct Gathered {
    chain: Chain,
    /// What is left free for the header.
    room: usize,
    proto: Proto,
    refused: bool,
}

impl Gathered {
    /// No elements yet, probably so many in the end; 0 if they will be few. (A header that turns out longer or shorter costs a `memmove` of the first piece.)
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
            chain: head.into(),
            proto,
            refused: false,
        }
    }

    /// Writes elements, as many as a slice may.
    pub fn write<T>(&mut self, write: impl FnOnce(&mut Reply<'_>) -> T) -> T {
        let mut reply = Reply::new(self.chain.tail(), self.proto);
        let result = write(&mut reply);
        self.refused |= reply.is_refused();
        result
    }

    /// Adds bytes as they are.
    pub fn append(&mut self, bytes: &[u8]) {
        if !self.refused {
            self.chain.append(bytes);
            self.refused = self.chain.is_broken();
        }
    }

    /// Begins a part that has a header of its own, with what that will probably be.
    pub fn open(&mut self, write: impl FnOnce(&mut Reply<'_>)) -> Part {
        self.chain.tail();
        let (place, start) = (self.chain.place(), self.chain.len());
        self.write(write);
        Part {
            place,
            room: self.chain.len().saturating_sub(start),
        }
    }

    /// Ends a part, which is the last one: writes its header.
    pub fn close(&mut self, part: Part, write: impl FnOnce(&mut Reply<'_>)) {
        let mut head = Vec::new();
        write(&mut Reply::new(&mut head, self.proto));
        self.refused |= self.chain.is_broken();
        self.refused = self.refused || !self.chain.replace(part.place, part.room, &head);
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

    /// Ends it behind what has been written elsewhere, the header included: for few elements.
    pub fn append_to(&self, reply: &mut Reply<'_>) {
        if self.refused {
            return reply.refuse();
        }
        let mut skipped = self.room;
        for piece in self.chain.pieces() {
            reply.raw(&piece[skipped..]);
            skipped = 0;
        }
    }

    /// Ends it: `header` comes first. If there was no memory, the error stands in place of all.
    pub fn finish(&mut self, out: &mut Chain, header: impl FnOnce(&mut Reply<'_>)) {
        let mut chain = std::mem::take(&mut self.chain);
        let mut head = Vec::new();
        header(&mut Reply::new(&mut head, self.proto));
        self.refused |= chain.is_broken();
        if self.refused || !chain.replace(Place::default(), self.room, &head) {
            return Reply::new(out.tail(), self.proto).refuse();
        }
        out.splice(chain);
    }
}

/// A part of what is gathered, whose header is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    place: Place,
    room: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OUT_OF_MEMORY;

    fn gathered(expected: usize, count: usize, before: &[u8]) -> Vec<u8> {
        let mut gathered = Gathered::expecting(expected, Proto::Resp3);
        for number in 0..count {
            gathered.write(|reply| reply.integer(number as i64 % 10));
        }
        let mut out = Chain::from(before.to_vec());
        gathered.finish(&mut out, |reply| reply.map(count / 2));
        out.into_bytes()
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
            let mut out = Chain::default();
            gathered.finish(&mut out, |head| head.array(2));
            let of = |name: &str| format!("*3\r\n{}", format!("$1\r\n{name}\r\n").repeat(3));
            let expected = format!("*2\r\n{}{}", of("a"), of("b"));
            assert_eq!(out.into_bytes(), expected.as_bytes(), "{guess}");
        }
    }

    #[test]
    fn long_ones_with_headers_of_any_length() {
        for guess in [0, 1, 123_456] {
            let mut gathered = Gathered::expecting(guess, Proto::Resp2);
            let mut expected = b"*2\r\n".to_vec();
            for count in [40_000, 3] {
                let part = gathered.open(|head| head.array(guess));
                expected.extend_from_slice(format!("*{count}\r\n").as_bytes());
                for number in 0..count {
                    gathered.write(|reply| reply.bulk(format!("{number}").as_bytes()));
                    Reply::new(&mut expected, Proto::Resp2).bulk(format!("{number}").as_bytes());
                }
                gathered.close(part, |head| head.array(count));
            }
            let mut out = Chain::default();
            gathered.finish(&mut out, |head| head.array(2));
            assert!(out.as_one().is_none(), "it is long");
            assert!(out.into_bytes() == expected, "{guess}");
        }
    }

    #[test]
    fn what_finds_no_memory_is_an_error() {
        let mut gathered = Gathered::expecting(1_000_000, Proto::Resp2);
        gathered.append(&[b'x'; 500_000]);
        gathered.write(|reply| reply.has_room_for(usize::MAX));
        assert!(gathered.is_refused());
        let part = gathered.open(|head| head.array(5));
        gathered.append(b"more");
        gathered.close(part, |head| head.array(1_000));
        let mut out = Chain::default();
        gathered.finish(&mut out, |head| head.array(2));
        assert_eq!(out.into_bytes(), OUT_OF_MEMORY);
    }
}
