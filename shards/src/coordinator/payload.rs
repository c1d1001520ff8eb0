//! What a program answers: no RESP reply but a payload that the front end takes apart.
//!
//! It is [`TOUCHED`] alone, or [`RAN`] and then each command's reply with its length (u32, little endian) before it. A length is never divided between two pieces
//! of a chain; a long reply keeps its pieces.

use std::borrow::Cow;

use tessera_core::resp::{Chain, OUT_OF_MEMORY, make_room};

/// First byte of a payload: a watched key had been touched, and nothing ran.
pub const TOUCHED: u8 = 0;
/// First byte of a payload: the commands ran.
pub const RAN: u8 = 1;

/// First byte of a payload: the commands of a long program ran, and their replies are ready to be sent. Behind it stands the length of what comes before
/// them (u32, little endian): for each error the command's number (u16), the length of its code (u8), and that.
pub const READY: u8 = 2;

/// Bytes of an error's code that are told.
const CODE_BYTES_MAX: usize = 64;

/// Length of a reply's length.
pub(super) const LENGTH_BYTES: usize = 4;

/// A reply on its way: bytes that lie elsewhere, or a long one that changes hands.
#[derive(Debug)]
pub enum Said<'a> {
    /// To be copied.
    Short(&'a [u8]),
    /// To be moved.
    Long(Chain),
}

impl Said<'_> {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Said::Short(bytes) => bytes.len(),
            Said::Long(chain) => chain.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its first bytes; of a short one, all.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        match self {
            Said::Short(bytes) => bytes,
            Said::Long(chain) => chain.head(),
        }
    }

    /// Adds it to others.
    pub fn put(self, out: &mut Chain) {
        match self {
            Said::Short(bytes) => out.append(bytes),
            Said::Long(chain) => out.splice(chain),
        }
    }

    /// The same without its first bytes, which are in its head.
    pub(super) fn put_behind(self, skipped: usize, out: &mut Chain) {
        match self {
            Said::Short(bytes) => out.append(&bytes[skipped..]),
            Said::Long(mut chain) => {
                let _ = chain.take_front(skipped);
                out.splice(chain);
            }
        }
    }

    /// As a chain of its own.
    #[must_use]
    pub fn into_chain(self) -> Chain {
        let mut chain = Chain::default();
        self.put(&mut chain);
        chain
    }
}

/// Room for the length of a reply that is about to be written into a payload. Returns where it is.
pub(super) fn begin_reply(payload: &mut Vec<u8>) -> usize {
    let place = payload.len();
    payload.extend_from_slice(&[0; LENGTH_BYTES]);
    place
}

/// The reply behind this place has been written.
pub(super) fn end_reply(payload: &mut [u8], place: usize) {
    let length = payload.len() - place - LENGTH_BYTES;
    payload[place..place + LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
}

/// Puts a reply into a payload, or the error when there is no memory for it.
pub(super) fn put_reply(payload: &mut Chain, reply: Said<'_>) {
    let length = (reply.len() as u32).to_le_bytes();
    match reply {
        Said::Short(bytes) => {
            let tail = payload.tail();
            if make_room(tail, LENGTH_BYTES + bytes.len()) {
                tail.extend_from_slice(&length);
                tail.extend_from_slice(bytes);
            } else {
                tail.extend_from_slice(&(OUT_OF_MEMORY.len() as u32).to_le_bytes());
                tail.extend_from_slice(OUT_OF_MEMORY);
            }
        }
        Said::Long(chain) => {
            payload.tail().extend_from_slice(&length);
            payload.splice(chain);
        }
    }
}

/// A payload that says [`READY`], in the making.
#[derive(Default)]
pub(super) struct ReadyReplies {
    /// The errors, as they are told.
    errors: Vec<u8>,
    pub(super) replies: Chain,
}

impl ReadyReplies {
    /// A command has replied. `reply`: at least its first bytes.
    #[inline]
    pub(super) fn note(&mut self, command: u16, reply: &[u8]) {
        if let Some(text) = reply.strip_prefix(b"-") {
            let code = text.split(|byte| matches!(byte, b' ' | b'\r')).next();
            let code = code.unwrap_or_default();
            let code = &code[..code.len().min(CODE_BYTES_MAX)];
            self.errors.extend_from_slice(&command.to_le_bytes());
            self.errors.push(code.len() as u8);
            self.errors.extend_from_slice(code);
        }
    }

    /// The payload.
    pub(super) fn into_payload(self) -> Chain {
        let mut head = vec![READY];
        head.extend_from_slice(&(self.errors.len() as u32).to_le_bytes());
        head.extend_from_slice(&self.errors);
        let mut payload = Chain::from(head);
        payload.splice(self.replies);
        payload
    }
}

/// Takes a payload that says [`READY`] apart: calls `failed` with the number and the code of each error, and returns the replies.
pub fn ready_replies(payload: Said<'_>, mut failed: impl FnMut(u16, &[u8])) -> Said<'_> {
    let length_at = 1..1 + LENGTH_BYTES;
    let head = payload.head();
    let length = head.get(length_at.clone()).and_then(<[u8]>::first_chunk);
    let length = length.map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let end = length_at.end + length;
    let mut errors = head.get(length_at.end..end).unwrap_or_default();
    while let [low, high, length, rest @ ..] = errors {
        let (code, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        failed(u16::from_le_bytes([*low, *high]), code);
        errors = rest;
    }
    match payload {
        Said::Short(bytes) => Said::Short(bytes.get(end..).unwrap_or_default()),
        Said::Long(mut chain) => {
            let _ = chain.take_front(end);
            Said::Long(chain)
        }
    }
}

/// The replies in a payload that says [`RAN`], in order.
pub fn replies(payload: Said<'_>) -> Replies<'_> {
    match payload {
        Said::Short(bytes) => Replies {
            more: None,
            piece: Cow::Borrowed(bytes),
            at: 1,
        },
        Said::Long(mut chain) => {
            let _ = chain.take_front(1);
            Replies {
                more: Some(Box::new(chain.into_pieces())),
                piece: Cow::Owned(Vec::new()),
                at: 0,
            }
        }
    }
}

/// See [`replies`].
pub struct Replies<'a> {
    more: Option<Box<dyn Iterator<Item = Vec<u8>>>>,
    /// The piece that is being read, and how far.
    piece: Cow<'a, [u8]>,
    at: usize,
}

impl Replies<'_> {
    /// The next one.
    #[expect(
        clippy::should_implement_trait,
        reason = "a short one is lent from the piece, which no iterator can do"
    )]
    pub fn next(&mut self) -> Option<Said<'_>> {
        self.turn();
        let length = self.piece.get(self.at..)?.first_chunk::<LENGTH_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        self.at += LENGTH_BYTES;
        if length > 0 {
            self.turn();
        }
        if self.piece.len() - self.at >= length {
            let start = self.at;
            self.at += length;
            return Some(Said::Short(&self.piece[start..self.at]));
        }
        Some(Said::Long(self.take(length)))
    }

    /// Begins the next piece if this one has ended.
    fn turn(&mut self) {
        while self.at >= self.piece.len()
            && let Some(next) = self.more.as_mut().and_then(Iterator::next)
        {
            self.piece = Cow::Owned(next);
            self.at = 0;
        }
    }

    /// Takes so many bytes, whole pieces by moving them.
    fn take(&mut self, mut count: usize) -> Chain {
        let mut taken = Chain::default();
        while count > 0 && self.at < self.piece.len() {
            let more = (self.piece.len() - self.at).min(count);
            count -= more;
            match &mut self.piece {
                Cow::Owned(piece) if self.at == 0 && more == piece.len() => {
                    taken.push(std::mem::take(piece));
                }
                piece => {
                    taken.append(&piece[self.at..self.at + more]);
                    self.at += more;
                }
            }
            if count > 0 {
                self.turn();
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_out_as_they_went_in() {
        let lengths = [
            0, 5, 20_000, 0, 300_000, 3, 130_000, 100_000, 7, 7, 1_000_000, 0,
        ];
        let said = |number: usize| vec![number as u8; lengths[number]];
        let mut payload = Chain::from(vec![RAN]);
        for number in 0..lengths.len() {
            let bytes = said(number);
            if number % 2 == 0 && bytes.len() > 20_000 {
                let mut chain = Chain::default();
                chain.append(&bytes);
                put_reply(&mut payload, Said::Long(chain));
            } else {
                put_reply(&mut payload, Said::Short(&bytes));
            }
        }
        let flat = payload.clone().into_bytes();
        for payload in [Said::Short(&flat), Said::Long(payload)] {
            let mut replies = replies(payload);
            for number in 0..lengths.len() {
                let reply = replies.next().unwrap().into_chain();
                assert!(reply.into_bytes() == said(number), "{number}");
            }
            assert!(replies.next().is_none());
        }
    }

    #[test]
    fn what_is_ready_tells_its_errors() {
        let mut ready = ReadyReplies::default();
        let replies: [&[u8]; 4] = [b"+OK\r\n", b"-WRONGTYPE no\r\n", b":1\r\n", b"-X\r\n"];
        for (command, reply) in replies.iter().enumerate() {
            ready.note(command as u16, reply);
            ready.replies.append(reply);
        }
        ready.replies.append(&[b'x'; 300_000]);
        let whole = ready.into_payload();
        let flat = whole.clone().into_bytes();
        for payload in [Said::Short(&flat), Said::Long(whole)] {
            let mut errors = Vec::new();
            let said = ready_replies(payload, |command, code| {
                errors.push((command, String::from_utf8_lossy(code).into_owned()));
            });
            assert_eq!(errors, [(1, "WRONGTYPE".into()), (3, "X".into())]);
            let said = said.into_chain().into_bytes();
            assert!(said.starts_with(b"+OK\r\n-WRONGTYPE no\r\n:1\r\n-X\r\nxx"));
            assert_eq!(said.len(), 300_000 + replies.concat().len());
        }
    }

    #[test]
    fn what_is_cut_off_is_no_reply() {
        assert!(replies(Said::Short(b"")).next().is_none());
        assert!(replies(Said::Short(&[RAN, 1, 0])).next().is_none());
    }
}
