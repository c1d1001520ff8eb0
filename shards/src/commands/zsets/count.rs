//! How many members lie in a range: ZCOUNT, ZLEXCOUNT.

use tessera_core::zset::{Cut, Zset};

use super::bounds::{lex_cuts, score_cuts};
use super::{READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;

pub(super) const ZCOUNT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zcount",
        arity: 4,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "2.0.0",
        summary: "Counts the members of a sorted set whose scores lie in a range.",
        ..ROW
    },
    op: |cx, args| {
        if let Some(cuts) = score_cuts(cx, args[2], args[3]) {
            count(cx, args[1], cuts);
        }
    },
    spread: Spread::One,
};

pub(super) const ZLEXCOUNT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zlexcount",
        since: "2.8.9",
        summary: "Counts the members of a sorted set with equal scores that lie between two others.",
        ..ZCOUNT.spec
    },
    op: |cx, args| {
        if let Some(cuts) = lex_cuts(cx, args[2], args[3]) {
            count(cx, args[1], cuts);
        }
    },
    spread: Spread::One,
};

fn count(cx: &mut Cx<'_>, key: &[u8], (from, to): (Cut<'_>, Cut<'_>)) {
    match cx.shard.read_object::<Zset>(cx.db, key) {
        Ok(zset) => {
            let count = zset.map_or(0, |zset| zset.between(from, to).len());
            cx.reply.integer(count as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn counts() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b 2 c 3 d", "4"),
            ("ZCOUNT z -inf +inf", "4"),
            ("ZCOUNT z (1 2", "2"),
            ("ZCOUNT z 2 (3", "2"),
            ("ZCOUNT z (2 2", "0"),
            ("ZCOUNT z 3 1", "0"),
            ("ZCOUNT none 1 2", "0"),
            ("ZCOUNT z x 2", "ERR min or max is not a float"),
            ("ZADD l 0 a 0 b 0 c 0 d", "4"),
            ("ZLEXCOUNT l - +", "4"),
            ("ZLEXCOUNT l [b (d", "2"),
            ("ZLEXCOUNT l (b [bb", "0"),
            ("ZLEXCOUNT l + -", "0"),
            ("ZLEXCOUNT l (a [b", "1"),
            (
                "ZLEXCOUNT l a b",
                "ERR min or max not valid string range item",
            ),
            (
                "ZLEXCOUNT l -x +",
                "ERR min or max not valid string range item",
            ),
        ]);
    }
}
