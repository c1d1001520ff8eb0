//! `Token`: what a submission carries and its completion brings back: the kind of operation and the
//! name of what it was for.
//!
//! Invariant: a token names a connection with its full generation, so a completion that comes after
//! its connection has left finds nothing in the slab.

use crate::env::ConnId;
use crate::slab::INDEX_BITS;

/// What a completion is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// A connection from a listener.
    Accept = 1,
    /// Bytes, the end, or an error of a connection.
    Receive,
    /// A send which the kernel did not take whole, or which was to tell its end.
    Send,
    /// A connection whose socket has room again.
    Writable,
    /// The reactor's own eventfd.
    Waker,
    /// Another ring's wake-up, arriving here.
    Woken,
    /// Our wake-up of another ring, which failed.
    Wake,
    /// A cancel or close that failed; nothing depends on it.
    Ignored,
}

const KINDS: [Kind; 8] = [
    Kind::Accept,
    Kind::Receive,
    Kind::Send,
    Kind::Writable,
    Kind::Waker,
    Kind::Woken,
    Kind::Wake,
    Kind::Ignored,
];

/// Kind in the highest byte, index in the next three, generation in the low half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token(pub(super) u64);

impl Token {
    /// For an operation of a connection.
    #[inline]
    pub(super) fn of(kind: Kind, conn: ConnId) -> Self {
        debug_assert!(conn.index < 1 << INDEX_BITS);
        Self((kind as u64) << 56 | u64::from(conn.index) << 32 | u64::from(conn.generation))
    }

    /// For an operation of something else with a number: a listener, a shard.
    #[inline]
    pub(super) fn numbered(kind: Kind, number: usize) -> Self {
        Self((kind as u64) << 56 | number as u64 & 0xffff_ffff)
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        // Every token that comes back is one that was made above.
        KINDS
            .get(((self.0 >> 56) as usize).wrapping_sub(1))
            .copied()
            .unwrap_or(Kind::Ignored)
    }

    #[inline]
    pub(super) fn conn(self) -> ConnId {
        let index = (self.0 >> 32) as u32 & ((1 << INDEX_BITS) - 1);
        ConnId {
            index,
            generation: self.0 as u32,
        }
    }

    #[inline]
    pub(super) fn number(self) -> usize {
        self.0 as u32 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Kind, Token};
    use crate::env::ConnId;

    #[test]
    fn a_token_brings_back_what_it_was_given() {
        for kind in KINDS {
            for (index, generation) in [(0, 0), ((1 << 24) - 1, u32::MAX), (77, 12_345)] {
                let conn = ConnId { index, generation };
                let token = Token::of(kind, conn);
                assert_eq!((token.kind(), token.conn()), (kind, conn));
            }
        }
        let token = Token::numbered(Kind::Wake, 63);
        assert_eq!((token.kind(), token.number()), (Kind::Wake, 63));
    }
}
