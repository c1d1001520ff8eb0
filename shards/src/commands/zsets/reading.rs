//! Elements on their way into a reply, at once or in slices.
//!
//! Owns [`Style`], how elements look in a reply, and [`Reading`], a range that is read while its key stays locked. Called by the commands
//! that reply with elements.

use std::ops::Range;

use tessera_core::listpack::Item;
use tessera_core::resp::{Chain, Gathered, Proto, Reply};
use tessera_core::zset::Zset;

use super::{ELEMENTS_AT_ONCE, held, reply_item};
use crate::command::Task;
use crate::shard::Shard;

/// How elements look in a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Members alone.
    Members,
    /// Member, score, member, score, ...
    Flat,
    /// An array of member and score each.
    Nested,
    /// As `Flat`, within an array that has been begun.
    Bare,
}

impl Style {
    /// Members, or with WITHSCORES pairs, which RESP3 nests.
    pub(super) fn of(with_scores: bool, proto: Proto) -> Self {
        match (with_scores, proto) {
            (false, _) => Self::Members,
            (true, Proto::Resp2) => Self::Flat,
            (true, Proto::Resp3) => Self::Nested,
        }
    }

    /// The number in the header of so many elements.
    pub(super) fn elements_len(self, len: usize) -> usize {
        match self {
            Self::Flat => 2 * len,
            Self::Members | Self::Nested => len,
            Self::Bare => 0,
        }
    }

    /// The header of so many elements.
    pub(super) fn header(self, reply: &mut Reply<'_>, len: usize) {
        if self != Self::Bare {
            reply.array(self.elements_len(len));
        }
    }

    pub(super) fn element(self, reply: &mut Reply<'_>, member: Item<'_>, score: f64) {
        if self == Self::Nested {
            reply.array(2);
        }
        reply_item(reply, member);
        if self != Self::Members {
            reply.double(score);
        }
    }

    /// The elements with these ranks, without a header.
    pub(super) fn elements(
        self,
        reply: &mut Reply<'_>,
        zset: &Zset,
        ranks: Range<usize>,
        reverse: bool,
    ) {
        let elements = zset.range(ranks);
        let mut write = |(member, score): (Item<'_>, f64)| self.element(reply, member, score);
        if reverse {
            elements.rev().for_each(&mut write);
        } else {
            elements.for_each(&mut write);
        }
    }
}

/// Takes the ranks to read next from the end at which reading goes on.
pub(super) fn next_ranks(ranks: &mut Range<usize>, reverse: bool) -> Range<usize> {
    let count = ranks.len().min(ELEMENTS_AT_ONCE);
    if reverse {
        ranks.end -= count;
        ranks.end..ranks.end + count
    } else {
        ranks.start += count;
        ranks.start - count..ranks.start
    }
}

/// A range of a locked key that is being read.
pub(super) struct Reading {
    pub(super) db: usize,
    pub(super) key: Box<[u8]>,
    pub(super) ranks: Range<usize>,
    pub(super) reverse: bool,
    pub(super) style: Style,
    /// Number of elements in `gathered`.
    pub(super) len: usize,
    /// What has been read, as replies.
    pub(super) gathered: Gathered,
}

impl Reading {
    /// Reads some more and says whether that was all.
    pub(super) fn read_some(&mut self, shard: &Shard) -> bool {
        let Some(zset) = held(shard, self.db, &self.key) else {
            return true;
        };
        let ranks = next_ranks(&mut self.ranks, self.reverse);
        self.len += ranks.len();
        let (style, reverse) = (self.style, self.reverse);
        self.gathered
            .write(|reply| style.elements(reply, zset, ranks, reverse));
        self.ranks.is_empty()
    }

    /// Ends the reply, which begins with `prefix`.
    pub(super) fn finish(&mut self, prefix: &[u8], reply: &mut Chain) {
        let (style, len) = (self.style, self.len);
        self.gathered.finish(reply, |reply| {
            reply.raw(prefix);
            style.header(reply, len);
        });
    }
}

impl Task for Reading {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.read_some(shard);
        if is_done {
            self.finish(b"", reply);
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
