//! ZRANGESTORE, and the storing of a result, which other commands share.

use std::ops::Range;

use tessera_core::object::PackLimits;
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::zset::Zset;

use super::query::{Form, Query};
use super::reading::next_ranks;
use super::{ELEMENTS_AT_ONCE, ROW, changed_times, held};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::shard::event::{self, Event};
use crate::shard::{Shard, WrongType};

pub(super) const ZRANGESTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrangestore",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::OW | access::UPDATE, 1, 0, 1),
            KeySpec::range(access::RO | access::ACCESS, 2, 0, 1),
        ],
        since: "6.2.0",
        summary: "Stores a range of a sorted set under another key.",
        complexity: "O(log N + M) with M of N members stored; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_zrangestore,
    spread: Spread::Borrow,
};

/// Stores a result, or removes the key if there is none, and returns its length. `changes`: how often Redis counts it.
pub(in crate::commands) fn store(
    shard: &mut Shard,
    db: usize,
    key: &[u8],
    zset: Zset,
    changes: usize,
    event: Event,
) -> usize {
    let len = zset.len();
    if len == 0 {
        shard.remove(db, key);
    } else {
        shard.put_object(db, key, zset);
        changed_times(shard, db, key, changes, event);
    }
    len
}

fn op_zrangestore(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let form = Form {
        by: None,
        reverse: None,
        stores: true,
    };
    let Some(query) = Query::parse(cx, &args[3..], form) else {
        return;
    };
    let (to, from) = (args[1], args[2]);
    let ranks = match cx.shard.read_object::<Zset>(cx.db, from) {
        Ok(zset) => zset.map_or(0..0, |zset| query.ranks(zset)),
        Err(WrongType) => return cx.wrong_type(),
    };
    let mut copying = Copying {
        db: cx.db,
        from: from.into(),
        to: to.into(),
        ranks,
        limits: cx.shard.zset_limits(),
        result: Zset::new(),
        proto: cx.reply.proto(),
    };
    if copying.ranks.len() > ELEMENTS_AT_ONCE {
        cx.task = Some(Box::new(copying));
        return;
    }
    copying.copy_some(cx.shard);
    cx.reply.integer(copying.finish(cx.shard));
}

/// A range of a locked key that is being copied.
struct Copying {
    db: usize,
    from: Box<[u8]>,
    to: Box<[u8]>,
    ranks: Range<usize>,
    limits: PackLimits,
    result: Zset,
    proto: Proto,
}

impl Copying {
    /// Copies some more and says whether that was all.
    fn copy_some(&mut self, shard: &Shard) -> bool {
        let Some(zset) = held(shard, self.db, &self.from) else {
            return true;
        };
        let mut digits = itoa::Buffer::new();
        for (member, score) in zset.range(next_ranks(&mut self.ranks, false)) {
            let member = member.text(&mut digits);
            self.result.insert(member, score, &self.limits);
        }
        self.ranks.is_empty()
    }

    fn finish(&mut self, shard: &mut Shard) -> i64 {
        let result = std::mem::take(&mut self.result);
        store(shard, self.db, &self.to, result, 1, event::ZRANGESTORE) as i64
    }
}

impl Task for Copying {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.copy_some(shard);
        if is_done {
            let len = self.finish(shard);
            Reply::new(reply.tail(), self.proto).integer(len);
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
    fn ranges_are_stored() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b 3 c 4 d", "4"),
            ("SET d old EX 100", "OK"),
            ("ZRANGESTORE d z 0 1", "2"),
            ("TTL d", "-1"),
            ("ZRANGE d 0 -1 WITHSCORES", "[\"a\" \"1\" \"b\" \"2\"]"),
            ("ZRANGESTORE d z 4 (1 BYSCORE REV LIMIT 1 1", "1"),
            ("ZRANGE d 0 -1", "[\"c\"]"),
            ("ZRANGESTORE z z -2 -1", "2"),
            ("ZRANGE z 0 -1", "[\"c\" \"d\"]"),
            ("ZRANGESTORE d none 0 -1", "0"),
            ("EXISTS d", "0"),
            ("ZRANGESTORE d z 0 -1 WITHSCORES", "ERR syntax error"),
            ("SET s v", "OK"),
            (
                "ZRANGESTORE d s 0 -1",
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
        rig.check(&[
            ("ZRANGESTORE z z 1 -2", "4998"),
            ("ZCARD z", "4998"),
            ("ZSCORE z 0", "(nil)"),
        ]);
        rig.run("ZRANGESTORE d z 0 3000");
        assert!(rig.slices > 1);
        rig.check(&[("ZRANGE d 3000 3000", "[\"3001\"]")]);
    }
}
