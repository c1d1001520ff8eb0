//! A reply of any length, in pieces that are never made larger once they are full.
//!
//! A buffer that doubles is copied each time, and the last time all of it, which holds the shard for as long as it takes to clear and fill as much memory. So
//! a long reply is a list of buffers: who writes fills the last one, who passes it on moves the list, and who sends it frees one after the other. A short
//! reply is the last buffer alone, as if there were no list.
//!
//! Invariants: no full piece is empty; a reply that has found no memory is broken, and stays so. A writer that gives up leaves the mark of [`Reply`] behind the
//! last piece; bytes that are added as they are may end like that mark, and are none.
//!
//! Filled by commands that go on in slices, passed on by the coordinator, sent by the front end.

use std::collections::VecDeque;

use super::reply::Reply;
use super::room::{BUFFER_BYTES_MAX, OUT_OF_MEMORY, try_append};

/// What a piece is made for. More than what the reactor keeps of an empty buffer, so that a reply that has been sent leaves nothing behind.
const PIECE_BYTES: usize = 128 << 10;
/// From here on a piece is full: what one slice writes mostly fits behind it.
const FULL_BYTES: usize = 96 << 10;
/// So much must be left over for everybody else, who cannot be refused small blocks, and it is asked for each time as many bytes have been filled.
const LEFT_BYTES: usize = 4 << 20;
const ASKED_BYTES: usize = 1 << 20;
/// What is shorter is copied, instead of becoming a piece of its own.
const SPLICED_BYTES_MIN: usize = 16 << 10;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    full: VecDeque<Vec<u8>>,
    full_bytes: usize,
    tail: Vec<u8>,
    /// The last bytes are of no writer: they are no mark.
    is_plain: bool,
    is_broken: bool,
}

impl From<Vec<u8>> for Chain {
    fn from(tail: Vec<u8>) -> Self {
        Chain {
            tail,
            ..Self::default()
        }
    }
}

impl Chain {
    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full_bytes + self.tail.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first byte, which tells an error.
    #[must_use]
    pub fn first(&self) -> Option<u8> {
        self.head().first().copied()
    }

    /// The first piece.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.full.front().unwrap_or(&self.tail)
    }

    /// The bytes, if they are in one piece.
    #[must_use]
    pub fn as_one(&self) -> Option<&[u8]> {
        self.full.is_empty().then_some(&*self.tail)
    }

    /// Whether there was no memory for all that was to be written.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken || !self.is_plain && Reply::is_broken(&self.tail)
    }

    /// Where the next bytes are to be written, a bounded number of them.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.tail.len() >= FULL_BYTES && !self.is_broken() {
            self.seal();
            // If this is refused, so will be what is written.
            let _ = self.tail.try_reserve_exact(PIECE_BYTES);
        }
        self.is_plain = false;
        &mut self.tail
    }

    /// Ends the last piece.
    fn seal(&mut self) {
        let bytes = self.len();
        let asks = bytes / ASKED_BYTES != self.full_bytes / ASKED_BYTES;
        if bytes > BUFFER_BYTES_MAX || asks && !leaves_enough() {
            return self.give_up();
        }
        if !self.tail.is_empty() && self.full.try_reserve(1).is_ok() {
            self.full_bytes += self.tail.len();
            self.full.push_back(std::mem::take(&mut self.tail));
        }
    }

    /// Breaks it: whoever looks at it next puts the error in its place.
    #[cold]
    fn give_up(&mut self) {
        *self = Chain {
            is_broken: true,
            ..Self::default()
        };
    }

    /// If there was no memory for it all, the error takes its place.
    pub fn mend(&mut self) {
        if self.is_broken() {
            *self = OUT_OF_MEMORY.to_vec().into();
        }
    }

    /// Adds bytes, however many.
    pub fn append(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE_BYTES) {
            if self.is_broken() || !try_append(self.tail(), piece) {
                return self.give_up();
            }
            self.is_plain = true;
        }
    }

    /// Adds another one: its pieces, unless it is short.
    pub fn splice(&mut self, other: Chain) {
        if self.is_broken() || other.is_broken() {
            return self.give_up();
        }
        self.join(other);
    }

    /// The same, whatever the last bytes of either are.
    fn join(&mut self, other: Chain) {
        if let Some(bytes) = other.as_one()
            && bytes.len() < SPLICED_BYTES_MIN
        {
            return self.append(bytes);
        }
        if self.is_empty() {
            *self = other;
            self.is_plain = true;
            return;
        }
        self.seal();
        if !self.tail.is_empty() || self.full.try_reserve(other.full.len()).is_err() {
            return self.give_up();
        }
        self.full_bytes += other.full_bytes;
        self.full.extend(other.full);
        self.tail = other.tail;
        self.is_plain = true;
    }

    /// The pieces, in order, the last one perhaps empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let full = self.full.iter().map(Vec::as_slice);
        full.chain(std::iter::once(&*self.tail))
    }

    /// The same, to be kept.
    pub fn into_pieces(self) -> impl Iterator<Item = Vec<u8>> {
        self.full.into_iter().chain(std::iter::once(self.tail))
    }

    /// All in one piece: copied, unless it is. For replies that are known to be short, and for whoever can read nothing else.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        if self.full.is_empty() {
            return self.tail;
        }
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(self.len()).is_err() {
            return OUT_OF_MEMORY.to_vec();
        }
        for piece in self.full.drain(..) {
            bytes.extend_from_slice(&piece);
        }
        bytes.extend_from_slice(&self.tail);
        bytes
    }

    /// Takes so many bytes off its front, all of them if there are fewer. Whole pieces move.
    #[must_use]
    pub fn take_front(&mut self, mut count: usize) -> Chain {
        let mut taken = Chain::default();
        while let Some(first) = self.full.front_mut() {
            if count < first.len() {
                taken.append(&first[..count]);
                first.drain(..count);
                self.full_bytes -= count;
                return taken;
            }
            let first = self.full.pop_front().expect("it was just there");
            count -= first.len();
            self.full_bytes -= first.len();
            taken.push(first);
        }
        if count >= self.tail.len() {
            taken.push(std::mem::take(&mut self.tail));
        } else {
            taken.append(&self.tail[..count]);
            self.tail.drain(..count);
        }
        taken
    }

    /// Where the next byte will be.
    pub(super) fn place(&self) -> Place {
        Place {
            piece: self.full.len(),
            at: self.tail.len(),
        }
    }

    /// Puts bytes in place of so many others. Says false when there is no memory for them.
    #[must_use]
    pub(super) fn replace(&mut self, place: Place, count: usize, bytes: &[u8]) -> bool {
        let is_full = place.piece < self.full.len();
        let piece = match self.full.get_mut(place.piece) {
            Some(piece) => piece,
            None => &mut self.tail,
        };
        let range = place.at..place.at + count;
        if bytes.len() == count {
            piece[range].copy_from_slice(bytes);
            return true;
        }
        if piece.try_reserve(bytes.len()).is_err() {
            return false;
        }
        piece.splice(range, bytes.iter().copied());
        if is_full {
            self.full_bytes = self.full_bytes + bytes.len() - count;
        }
        true
    }

    /// Bytes that the allocator has given for it.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let full: usize = self.full.iter().map(Vec::capacity).sum();
        full + self.tail.capacity()
    }

    /// Adds a buffer as it is, unless it is short.
    pub fn push(&mut self, bytes: Vec<u8>) {
        self.join(bytes.into());
    }
}

/// Whether the allocator has something left beside the pieces, which take what there is to the last one.
#[cold]
fn leaves_enough() -> bool {
    let mut block = Vec::<u8>::new();
    let is_left = block.try_reserve_exact(LEFT_BYTES).is_ok();
    // Or the compiler sees that nobody uses it.
    std::hint::black_box(&block);
    is_left
}

/// A position in a chain, which stays what it is when more is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    piece: usize,
    at: usize,
}

/// Appends a chain to a buffer, unless the allocator refuses the room.
#[must_use]
pub fn try_append_chain(buffer: &mut Vec<u8>, chain: &Chain) -> bool {
    let start = buffer.len();
    for piece in chain.pieces() {
        if !try_append(buffer, piece) {
            buffer.truncate(start);
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resp::Proto;

    fn bytes_of(chain: &Chain) -> Vec<u8> {
        chain.pieces().flatten().copied().collect()
    }

    /// Bytes that differ from their neighbours.
    fn some_bytes(seed: usize, count: usize) -> Vec<u8> {
        (0..count)
            .map(|at| ((seed * 31 + at) % 256) as u8)
            .collect()
    }

    #[derive(Clone, Debug)]
    enum Change {
        Write(usize),
        Append(usize),
        Splice(usize),
        Take(usize),
        Replace(usize, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let length = || prop_oneof![0..40usize, 0..300_000usize];
        prop_oneof![
            (0..20_000usize).prop_map(Change::Write),
            length().prop_map(Change::Append),
            length().prop_map(Change::Splice),
            length().prop_map(Change::Take),
            (0..30usize, 0..30usize).prop_map(|(old, new)| Change::Replace(old, new)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// It is what a plain buffer would be.
        #[test]
        fn as_a_buffer(changes in prop::collection::vec(change(), 1..24)) {
            let (mut chain, mut model) = (Chain::default(), Vec::new());
            for (seed, change) in changes.into_iter().enumerate() {
                match change {
                    Change::Write(count) => {
                        let mut more = some_bytes(seed, count);
                        more.extend_from_slice(b"\r\n");
                        chain.tail().extend_from_slice(&more);
                        model.extend_from_slice(&more);
                    }
                    Change::Append(count) => {
                        let more = some_bytes(seed, count);
                        chain.append(&more);
                        model.extend_from_slice(&more);
                    }
                    Change::Splice(count) => {
                        let more = some_bytes(seed, count);
                        let mut other = Chain::default();
                        other.append(&more);
                        chain.splice(other);
                        model.extend_from_slice(&more);
                    }
                    Change::Take(count) => {
                        let taken = chain.take_front(count);
                        let rest = model.split_off(count.min(model.len()));
                        prop_assert_eq!(bytes_of(&taken), std::mem::replace(&mut model, rest));
                    }
                    Change::Replace(old, new) => {
                        let (place, at) = (chain.place(), model.len());
                        let more = some_bytes(seed, old);
                        chain.is_plain = true;
                        chain.tail.extend_from_slice(&more);
                        model.extend_from_slice(&more);
                        chain.append(&some_bytes(seed + 1, 200_000));
                        model.extend_from_slice(&some_bytes(seed + 1, 200_000));
                        prop_assert!(chain.replace(place, old, &some_bytes(seed + 2, new)));
                        model.splice(at..at + old, some_bytes(seed + 2, new));
                    }
                }
                prop_assert_eq!(chain.len(), model.len());
                prop_assert_eq!(chain.first(), model.first().copied());
                prop_assert!(chain.full.iter().all(|piece| !piece.is_empty()));
            }
            prop_assert_eq!(bytes_of(&chain), &model[..]);
            let pieces: Vec<u8> = chain.clone().into_pieces().flatten().collect();
            prop_assert_eq!(&pieces, &model);
            prop_assert_eq!(chain.into_bytes(), model);
        }
    }

    #[test]
    fn full_pieces_are_neither_copied_nor_grown() {
        let mut chain = Chain::default();
        let mut addresses = Vec::new();
        for number in 0..10_000 {
            chain.tail().extend_from_slice(&some_bytes(number, 1_000));
            addresses.truncate(chain.full.len());
            for (at, piece) in chain.full.iter().enumerate() {
                match addresses.get(at) {
                    Some(address) => assert_eq!(*address, piece.as_ptr()),
                    None => addresses.push(piece.as_ptr()),
                }
                assert!(piece.capacity() <= PIECE_BYTES);
            }
        }
        let mut other = Chain::default();
        other.append(b"*1\r\n");
        other.splice(chain);
        assert_eq!(other.full.len(), addresses.len() + 1);
        let moved: Vec<_> = other.full.iter().skip(1).map(|it| it.as_ptr()).collect();
        assert_eq!(moved, addresses);
    }

    #[test]
    fn what_is_broken_stays_so() {
        let mut chain = Chain::default();
        chain.append(&some_bytes(0, 300_000));
        assert!(!Reply::new(chain.tail(), Proto::Resp2).has_room_for(usize::MAX));
        assert!(chain.is_broken());
        chain.append(b"more");
        chain.splice(b"more".to_vec().into());
        assert!(chain.is_broken());
        let mut other = Chain::from(b"+OK\r\n".to_vec());
        other.splice(chain);
        assert!(other.is_broken());
        other.mend();
        assert_eq!(bytes_of(&other), OUT_OF_MEMORY);
    }

    #[test]
    fn bytes_are_no_mark() {
        for count in [1, 20_000, 300_000] {
            let mut chain = Chain::default();
            chain.append(&vec![0xFF; count]);
            chain.append(&vec![0xFF; count]);
            let mut other = Chain::default();
            other.append(b"$9\r\n");
            other.splice(chain);
            let front = other.take_front(4 + count);
            assert!(!front.is_broken() && !other.is_broken());
            other.append(b"\r\n");
            assert_eq!((front.len(), other.len()), (4 + count, count + 2));
        }
    }

    #[test]
    fn it_is_bounded() {
        let mut chain = Chain {
            full_bytes: BUFFER_BYTES_MAX,
            ..Chain::default()
        };
        chain.tail = some_bytes(0, FULL_BYTES);
        chain.append(b"x");
        assert!(chain.is_broken());
        assert_eq!(chain.len(), 0);
    }
}
