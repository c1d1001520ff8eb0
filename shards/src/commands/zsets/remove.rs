//! Ranges removed: ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX, and the removing itself, which popping shares.

use std::ops::Range;

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::zset::Zset;

use super::bounds::{lex_cuts, rank_bounds, ranks, score_cuts};
use super::{ELEMENTS_AT_ONCE, REMOVES, ROW, changed_times, held};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::shard::event::{self, Event};
use crate::shard::{Shard, WrongType};

pub(super) const ZREMRANGEBYRANK: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zremrangebyrank",
        arity: 4,
        flags: flag::WRITE,
        keys: REMOVES,
        since: "2.0.0",
        summary: "Removes a range of a sorted set by rank.",
        complexity: "O(log N + M) with M of N members removed; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| {
        if let Some(bounds) = rank_bounds(cx, args[2], args[3]) {
            remove_range(cx, args[1], event::ZREMRANGEBYRANK, |zset| {
                ranks(bounds, zset.len())
            });
        }
    },
    spread: Spread::One,
};

pub(super) const ZREMRANGEBYSCORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zremrangebyscore",
        since: "1.2.0",
        summary: "Removes the members of a sorted set whose scores lie in a range.",
        ..ZREMRANGEBYRANK.spec
    },
    op: |cx, args| {
        if let Some((from, to)) = score_cuts(cx, args[2], args[3]) {
            remove_range(cx, args[1], event::ZREMRANGEBYSCORE, |zset| {
                zset.between(from, to)
            });
        }
    },
    spread: Spread::One,
};

pub(super) const ZREMRANGEBYLEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zremrangebylex",
        since: "2.8.9",
        summary: "Removes the members of a sorted set with equal scores that lie between two others.",
        ..ZREMRANGEBYRANK.spec
    },
    op: |cx, args| {
        if let Some((from, to)) = lex_cuts(cx, args[2], args[3]) {
            remove_range(cx, args[1], event::ZREMRANGEBYLEX, |zset| {
                zset.between(from, to)
            });
        }
    },
    spread: Spread::One,
};

fn remove_range(
    cx: &mut Cx<'_>,
    key: &[u8],
    event: Event,
    ranks: impl FnOnce(&Zset) -> Range<usize>,
) {
    let found = cx
        .shard
        .change_object(cx.db, key, |zset: &mut Zset| ranks(zset));
    let ranks = match found {
        Ok(ranks) => ranks.unwrap_or(0..0),
        Err(WrongType) => return cx.wrong_type(),
    };
    let len = ranks.len();
    let mut removal = Removal::new(cx.db, key, ranks, cx.reply.proto(), event);
    if removal.is_short(cx.shard) {
        removal.remove_some(cx.shard);
        cx.reply.integer(len as i64);
    } else {
        cx.task = Some(Box::new(removal));
    }
}

/// A range of a key that is being removed; the key is locked if that takes more than one call.
pub(super) struct Removal {
    db: usize,
    key: Box<[u8]>,
    /// What is left to remove.
    ranks: Range<usize>,
    len: usize,
    proto: Proto,
    event: Event,
}

impl Removal {
    pub(super) fn new(
        db: usize,
        key: &[u8],
        ranks: Range<usize>,
        proto: Proto,
        event: Event,
    ) -> Self {
        Self {
            db,
            key: key.into(),
            len: ranks.len(),
            ranks,
            proto,
            event,
        }
    }

    /// Whether one call of `remove_some` will do.
    pub(super) fn is_short(&self, shard: &Shard) -> bool {
        self.ranks.len() <= ELEMENTS_AT_ONCE || self.is_whole(shard)
    }

    fn is_whole(&self, shard: &Shard) -> bool {
        held(shard, self.db, &self.key).is_some_and(|zset| zset.len() == self.ranks.len())
    }

    /// Removes some more and says whether that was all. All there is goes with its key, and is freed aside.
    pub(super) fn remove_some(&mut self, shard: &mut Shard) -> bool {
        if self.is_whole(shard) {
            if let Some(entry) = shard.take_unseen(self.db, &self.key) {
                shard.discard(entry);
            }
            self.ranks = 0..0;
        }
        let count = self.ranks.len().min(ELEMENTS_AT_ONCE);
        let ranks = self.ranks.start..self.ranks.start + count;
        self.ranks.end -= count;
        let hash = shard.hash(&self.key);
        if count > 0
            && let Some(mut entry) = shard.table_mut(self.db).get_mut(hash, &self.key)
        {
            entry.change_object(|object| {
                if let Some(zset) = Zset::of_mut(object) {
                    zset.remove_ranks(ranks, &mut |_, _| {});
                }
            });
        }
        let is_done = self.ranks.is_empty();
        if is_done {
            changed_times(shard, self.db, &self.key, self.len, self.event);
        }
        is_done
    }
}

impl Task for Removal {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.remove_some(shard);
        if is_done {
            Reply::new(reply.tail(), self.proto).integer(self.len as i64);
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn ranges() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b 3 c 4 d 5 e", "5"),
            ("ZREMRANGEBYRANK z 1 1", "1"),
            ("ZREMRANGEBYRANK z 9 10", "0"),
            ("ZREMRANGEBYSCORE z (3 4", "1"),
            ("ZREMRANGEBYSCORE z 9 1", "0"),
            ("ZRANGE z 0 -1", "[\"a\" \"c\" \"e\"]"),
            ("ZREMRANGEBYSCORE z -inf inf", "3"),
            ("EXISTS z", "0"),
            ("ZADD z 0 a 0 b 0 c", "3"),
            ("ZREMRANGEBYLEX z [b +", "2"),
            ("ZREMRANGEBYLEX z - +", "1"),
            ("ZREMRANGEBYLEX z - +", "0"),
            (
                "ZREMRANGEBYRANK z a 1",
                "ERR value is not an integer or out of range",
            ),
            ("ZREMRANGEBYSCORE z a 1", "ERR min or max is not a float"),
            (
                "ZREMRANGEBYLEX z a 1",
                "ERR min or max not valid string range item",
            ),
            ("SET s v", "OK"),
            (
                "ZREMRANGEBYRANK s 0 1",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
    }

    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        for i in 0..5_000 {
            rig.run(&format!("ZADD z {i} {i}"));
        }
        let before = rig.shard.stats.changes;
        assert_eq!(rig.run("ZREMRANGEBYSCORE z 10 4009"), "4000");
        assert!(rig.slices > 3, "{}", rig.slices);
        assert_eq!(rig.shard.stats.changes - before, 4_000);
        rig.check(&[
            ("ZCARD z", "1000"),
            ("ZRANGE z 9 10", "[\"9\" \"4010\"]"),
            ("ZREMRANGEBYRANK z 0 -1", "1000"),
            ("DBSIZE", "0"),
        ]);
    }
}
