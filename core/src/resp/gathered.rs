//! The elements of a long reply, written in slices before their number is known.
//!
//! The header has its place in front of them, as long as it is expected to be, so that the whole moves to whoever sends it without being copied.
//! Called by commands that go on in slices.

use super::reply::{Proto, Reply};
use super::room::make_room;

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
        let mut head = Vec::new();
        if count > 0 {
            Reply::new(&mut head, proto).array(count);
        }
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
        if head.len() == self.room {
            bytes[..self.room].copy_from_slice(&head);
        } else {
            bytes.splice(..self.room, head);
        }
        if out.is_empty() {
            *out = bytes;
        } else {
            Reply::new(out, self.proto).raw(&bytes);
        }
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
