//! Ranges: ZRANGE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE, ZRANGEBYLEX, ZREVRANGEBYLEX.

use tessera_core::resp::Gathered;
use tessera_core::zset::Zset;

use super::query::{By, Form, Query};
use super::reading::{Reading, Style};
use super::{ELEMENTS_AT_ONCE, READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;

pub(super) const ZRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrange",
        arity: -4,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns a range of a sorted set, by rank, score or member.",
        complexity: "O(log N + M) with M of N members returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| range(cx, args, None, None),
    spread: Spread::One,
};

pub(super) const ZREVRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrevrange",
        summary: "Returns a range of a sorted set by rank, highest score first.",
        ..ZRANGE.spec
    },
    op: |cx, args| range(cx, args, Some(By::Rank), Some(true)),
    spread: Spread::One,
};

pub(super) const ZRANGEBYSCORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrangebyscore",
        since: "1.0.5",
        summary: "Returns the members of a sorted set whose scores lie in a range.",
        ..ZRANGE.spec
    },
    op: |cx, args| range(cx, args, Some(By::Score), Some(false)),
    spread: Spread::One,
};

pub(super) const ZREVRANGEBYSCORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrevrangebyscore",
        since: "2.2.0",
        summary: "Returns the members of a sorted set whose scores lie in a range, highest first.",
        ..ZRANGE.spec
    },
    op: |cx, args| range(cx, args, Some(By::Score), Some(true)),
    spread: Spread::One,
};

pub(super) const ZRANGEBYLEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrangebylex",
        since: "2.8.9",
        summary: "Returns the members of a sorted set with equal scores that lie between two others.",
        ..ZRANGE.spec
    },
    op: |cx, args| range(cx, args, Some(By::Member), Some(false)),
    spread: Spread::One,
};

pub(super) const ZREVRANGEBYLEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrevrangebylex",
        summary: "Returns the members of a sorted set with equal scores that lie between two others, last first.",
        ..ZRANGEBYLEX.spec
    },
    op: |cx, args| range(cx, args, Some(By::Member), Some(true)),
    spread: Spread::One,
};

fn range(cx: &mut Cx<'_>, args: &[&[u8]], by: Option<By>, reverse: Option<bool>) {
    let form = Form {
        by,
        reverse,
        stores: false,
    };
    let Some(query) = Query::parse(cx, &args[2..], form) else {
        return;
    };
    let zset = match cx.shard.read_object::<Zset>(cx.db, args[1]) {
        Ok(Some(zset)) => zset,
        Ok(None) => return cx.reply.array(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    let (ranks, reverse) = (query.ranks(zset), query.reverse);
    let style = Style::of(query.with_scores, cx.reply.proto());
    if ranks.len() <= ELEMENTS_AT_ONCE {
        style.header(&mut cx.reply, ranks.len());
        return style.elements(&mut cx.reply, zset, ranks, reverse);
    }
    let proto = cx.reply.proto();
    cx.task = Some(Box::new(Reading {
        db: cx.db,
        key: args[1].into(),
        gathered: Gathered::expecting(style.elements_len(ranks.len()), proto),
        ranks,
        reverse,
        style,
        len: 0,
    }));
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn by_rank() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b 3 c 4 d", "4"),
            ("ZRANGE z 0 -1", "[\"a\" \"b\" \"c\" \"d\"]"),
            ("ZRANGE z 1 2 withscores", "[\"b\" \"2\" \"c\" \"3\"]"),
            ("ZRANGE z 0 1 REV", "[\"d\" \"c\"]"),
            ("ZREVRANGE z -2 -1", "[\"b\" \"a\"]"),
            ("ZRANGE z 3 1", "[]"),
            ("ZRANGE z 0 -1 LIMIT 1 -1", "[\"a\" \"b\" \"c\" \"d\"]"),
            (
                "ZRANGE z 0 -1 LIMIT 0 1",
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ),
            ("ZRANGE z a 1", "ERR value is not an integer or out of range"),
            ("ZREVRANGE z 0 1 REV", "ERR syntax error"),
            ("ZRANGE z 0 1 REV REV", "ERR syntax error"),
            ("ZRANGE none 0 -1", "[]"),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("ZRANGE z 0 1 WITHSCORES", "[[\"a\" 1] [\"b\" 2]]")]);
    }

    #[test]
    fn by_score() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b 2.5 c 4 d", "4"),
            ("ZRANGEBYSCORE z (1 4", "[\"b\" \"c\" \"d\"]"),
            ("ZREVRANGEBYSCORE z (4 -inf", "[\"c\" \"b\" \"a\"]"),
            ("ZRANGE z 1 4 BYSCORE LIMIT 1 2", "[\"b\" \"c\"]"),
            ("ZRANGE z 4 1 BYSCORE REV LIMIT 1 2", "[\"c\" \"b\"]"),
            ("ZRANGE z 4 1 REV BYSCORE LIMIT 3 -5", "[\"a\"]"),
            ("ZRANGEBYSCORE z 1 4 LIMIT -1 2", "[]"),
            ("ZRANGEBYSCORE z 1 4 LIMIT 0 0", "[]"),
            ("ZRANGEBYSCORE z 1 4 LIMIT 9 1", "[]"),
            (
                "ZRANGEBYSCORE z 2 2.5 WITHSCORES",
                "[\"b\" \"2\" \"c\" \"2.5\"]",
            ),
            ("ZRANGEBYSCORE z 4 1", "[]"),
            ("ZRANGEBYSCORE z x 1", "ERR min or max is not a float"),
            ("ZRANGEBYSCORE z 1 2 LIMIT 1", "ERR syntax error"),
            (
                "ZRANGEBYSCORE z 1 2 LIMIT a 1",
                "ERR value is not an integer or out of range",
            ),
            ("ZRANGEBYSCORE z 1 2 BYSCORE", "ERR syntax error"),
        ]);
    }

    #[test]
    fn by_member() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 0 a 0 b 0 c 0 d", "4"),
            ("ZRANGEBYLEX z [b +", "[\"b\" \"c\" \"d\"]"),
            ("ZREVRANGEBYLEX z (d [b", "[\"c\" \"b\"]"),
            ("ZRANGE z - (c BYLEX LIMIT 1 1", "[\"b\"]"),
            ("ZRANGE z + - BYLEX REV LIMIT 0 2", "[\"d\" \"c\"]"),
            (
                "ZRANGEBYLEX z - + WITHSCORES",
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ),
            (
                "ZRANGEBYLEX z b c",
                "ERR min or max not valid string range item",
            ),
        ]);
    }

    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        for i in 0..5_000 {
            rig.run(&format!("ZADD z {i} {i}"));
        }
        for (line, first, step) in [
            ("ZRANGE z 100 4099", 100, 1),
            ("ZRANGE z 900 4899 REV", 4_099, -1),
            ("ZRANGEBYSCORE z (99 +inf LIMIT 0 4000", 100, 1),
            ("ZREVRANGEBYSCORE z 4099 100", 4_099, -1),
        ] {
            let shown = rig.run(line);
            assert!(rig.slices > 3, "{line}");
            let members: Vec<i32> = shown
                .trim_matches(['[', ']'])
                .split(' ')
                .map(|member| member.trim_matches('"').parse().unwrap())
                .collect();
            let expected: Vec<i32> = (0..4_000).map(|i| first + i * step).collect();
            assert_eq!(members, expected, "{line}");
        }
    }
}
