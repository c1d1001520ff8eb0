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
    fn what_is_cut_off_is_no_reply() {
        assert!(replies(Said::Short(b"")).next().is_none());
        assert!(replies(Said::Short(&[RAN, 1, 0])).next().is_none());
    }
}
