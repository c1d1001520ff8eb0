//! `Outgoing`: the bytes one connection still has to send; `Spares`: empty buffers for the next ones.
//!
//! Invariants: bytes leave in the order they came; `tail` holds bytes only while `head` does; what is
//! handed to the kernel is always a part of `head`, whose memory does not move while it is in
//! flight, because both backends send within `poll` and callers add only between polls.

use std::collections::VecDeque;

/// Up to here bytes are added to a buffer that has not begun to leave; beyond it copying costs more
/// than a second send. A large buffer is never grown: that could need memory which there is not.
const JOIN_BYTES_MAX: usize = 64 * 1024;

/// The most one send carries. The kernel copies while the peer reads, so a longer one could hold the thread for as long as the peer goes on reading.
pub(crate) const SEND_BYTES_MAX: usize = 256 * 1024;

/// Spare buffers above this capacity are freed: one big reply must not hold its memory for ever.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// How many spare buffers are kept. A turn rarely answers more connections than this.
const SPARES_MAX: usize = 512;

/// Empty buffers with capacity, kept for `Env::buffer`.
pub(crate) struct Spares {
    buffers: Vec<Vec<u8>>,
}

impl Spares {
    pub(crate) const fn new() -> Self {
        Self {
            buffers: Vec::new(),
        }
    }

    /// An empty buffer, the one returned last if there is one.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Keeps a buffer for later, unless it is useless or too large.
    #[inline]
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= SPARE_BYTES_MAX && self.buffers.len() < SPARES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// Bytes to send, in order.
#[derive(Default)]
pub(crate) struct Outgoing {
    head: Vec<u8>,
    sent: usize,
    tail: VecDeque<Vec<u8>>,
    tail_bytes: usize,
}

impl Outgoing {
    /// How many bytes are left.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.head.len() - self.sent + self.tail_bytes
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Adds bytes behind those that wait already.
    #[inline]
    pub(crate) fn push(&mut self, bytes: Vec<u8>, spares: &mut Spares) {
        if bytes.is_empty() {
            spares.give_back(bytes);
        } else if self.head.is_empty() {
            spares.give_back(std::mem::replace(&mut self.head, bytes));
        } else {
            self.join(bytes, spares);
        }
    }

    fn join(&mut self, bytes: Vec<u8>, spares: &mut Spares) {
        let untouched = self.sent == 0 && self.tail.is_empty();
        if untouched && self.head.len() + bytes.len() <= JOIN_BYTES_MAX {
            self.head.extend_from_slice(&bytes);
            spares.give_back(bytes);
            return;
        }
        self.tail_bytes += bytes.len();
        match self.tail.back_mut() {
            Some(last) if last.len() + bytes.len() <= JOIN_BYTES_MAX => {
                last.extend_from_slice(&bytes);
                spares.give_back(bytes);
            }
            _ => self.tail.push_back(bytes),
        }
    }

    /// The next bytes to hand to the kernel.
    #[inline]
    pub(crate) fn next(&self) -> &[u8] {
        &self.head[self.sent..]
    }

    /// Whether more bytes stand behind those that `next` returns.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Notes that the kernel took the first `count` bytes of `next`.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize, spares: &mut Spares) {
        self.sent += count;
        debug_assert!(self.sent <= self.head.len(), "more taken than was offered");
        if self.sent >= self.head.len() {
            self.sent = 0;
            let next = self.tail.pop_front().unwrap_or_default();
            self.tail_bytes -= next.len();
            spares.give_back(std::mem::replace(&mut self.head, next));
        }
    }

    /// Drops all bytes.
    pub(crate) fn clear(&mut self, spares: &mut Spares) {
        self.sent = 0;
        spares.give_back(std::mem::take(&mut self.head));
        self.tail_bytes = 0;
        for bytes in std::mem::take(&mut self.tail) {
            spares.give_back(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JOIN_BYTES_MAX, Outgoing, SPARE_BYTES_MAX, Spares};

    #[test]
    fn bytes_leave_in_order_whatever_the_kernel_takes() {
        let mut spares = Spares::new();
        let mut outgoing = Outgoing::default();
        let mut expected = Vec::new();
        let mut seen = Vec::new();
        for round in 0..200_usize {
            let bytes = vec![round as u8; (round * 977) % 9_000];
            expected.extend_from_slice(&bytes);
            outgoing.push(bytes, &mut spares);
            let count = outgoing.next().len().min((round * 1_231) % 11_000);
            seen.extend_from_slice(&outgoing.next()[..count]);
            outgoing.advance(count, &mut spares);
            assert_eq!(outgoing.len(), expected.len() - seen.len());
        }
        while !outgoing.is_empty() {
            seen.extend_from_slice(outgoing.next());
            outgoing.advance(outgoing.next().len(), &mut spares);
        }
        assert_eq!(seen, expected);
        assert_eq!(outgoing.len(), 0);
    }

    #[test]
    fn what_has_begun_to_leave_does_not_move() {
        let mut spares = Spares::new();
        let mut outgoing = Outgoing::default();
        outgoing.push(vec![1; 100], &mut spares);
        outgoing.advance(10, &mut spares);
        let address = outgoing.next().as_ptr();
        outgoing.push(vec![2; JOIN_BYTES_MAX], &mut spares);
        assert_eq!(outgoing.next().as_ptr(), address);
        assert!(outgoing.has_more());
        outgoing.clear(&mut spares);
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.len(), 0);
    }

    #[test]
    fn spares_stay_small() {
        let mut spares = Spares::new();
        spares.give_back(Vec::with_capacity(SPARE_BYTES_MAX + 1));
        assert_eq!(spares.take().capacity(), 0);
        spares.give_back(vec![1; 100]);
        let spare = spares.take();
        assert!(spare.is_empty() && spare.capacity() >= 100);
    }
}
