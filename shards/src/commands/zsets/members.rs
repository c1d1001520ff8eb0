//! Members by name: ZREM, ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK.

use tessera_core::resp::Reply;
use tessera_core::zset::Zset;

use super::{READS, REMOVES, ROW, changed_times};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is, wrong_arity};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const ZREM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrem",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: REMOVES,
        summary: "Removes members of a sorted set, and the set when the last one goes.",
        complexity: "O(M log N) with M members to remove of N",
        ..ROW
    },
    op: op_zrem,
    spread: Spread::One,
};

fn op_zrem(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let removed = cx.shard.change_object(cx.db, key, |zset: &mut Zset| {
        let remove = |member: &&&[u8]| zset.remove(member).is_some();
        args[2..].iter().filter(remove).count()
    });
    match removed {
        Ok(removed) => {
            let removed = removed.unwrap_or(0);
            changed_times(cx.shard, cx.db, key, removed, event::ZREM);
            cx.reply.integer(removed as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const ZCARD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zcard",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, 0, 1)],
        summary: "Returns the number of members of a sorted set.",
        complexity: "O(1)",
        ..ROW
    },
    op: op_zcard,
    spread: Spread::One,
};

fn op_zcard(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Zset>(cx.db, args[1]) {
        Ok(zset) => cx.reply.integer(zset.map_or(0, Zset::len) as i64),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const ZSCORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zscore",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        summary: "Returns the score of a member of a sorted set.",
        complexity: "O(1)",
        ..ROW
    },
    op: op_zscore,
    spread: Spread::One,
};

fn op_zscore(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Zset>(cx.db, args[1]) {
        Ok(zset) => reply_score(&mut cx.reply, zset.and_then(|zset| zset.score(args[2]))),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const ZMSCORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zmscore",
        arity: -3,
        since: "6.2.0",
        summary: "Returns the scores of several members of a sorted set.",
        complexity: "O(N) with N members asked for",
        ..ZSCORE.spec
    },
    op: op_zmscore,
    spread: Spread::One,
};

fn op_zmscore(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Ok(zset) = cx.shard.read_object::<Zset>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(args.len() - 2);
    for member in &args[2..] {
        reply_score(&mut cx.reply, zset.and_then(|zset| zset.score(member)));
    }
}

fn reply_score(reply: &mut Reply<'_>, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) const ZRANK: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrank",
        arity: -3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "2.0.0",
        summary: "Returns the place of a member in a sorted set, lowest score first.",
        ..ROW
    },
    op: |cx, args| rank(cx, args, "zrank"),
    spread: Spread::One,
};

pub(super) const ZREVRANK: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrevrank",
        summary: "Returns the place of a member in a sorted set, highest score first.",
        ..ZRANK.spec
    },
    op: |cx, args| rank(cx, args, "zrevrank"),
    spread: Spread::One,
};

/// WITHSCORE (Redis 7.2) adds the score.
fn rank(cx: &mut Cx<'_>, args: &[&[u8]], command: &str) {
    let with_score = match &args[3..] {
        [] => false,
        [word] if is(word, "WITHSCORE") => true,
        [_] => return cx.error(SYNTAX),
        _ => return wrong_arity(cx, command),
    };
    let Ok(zset) = cx.shard.read_object::<Zset>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    let found = zset.and_then(|zset| {
        let rank = zset.rank(args[2])?;
        let rank = if command == "zrevrank" {
            zset.len() - 1 - rank
        } else {
            rank
        };
        Some((rank as i64, zset.score(args[2])?))
    });
    match found {
        Some((rank, score)) if with_score => {
            cx.reply.array(2);
            cx.reply.integer(rank);
            cx.reply.double(score);
        }
        Some((rank, _)) => cx.reply.integer(rank),
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn members() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2.5 b 3 c", "3"),
            ("ZCARD z", "3"),
            ("ZCARD none", "0"),
            ("ZSCORE z b", "\"2.5\""),
            ("ZSCORE z x", "(nil)"),
            ("ZSCORE none x", "(nil)"),
            ("ZMSCORE z a x c", "[\"1\" (nil) \"3\"]"),
            ("ZMSCORE none a", "[(nil)]"),
            ("ZRANK z a", "0"),
            ("ZREVRANK z a", "2"),
            ("ZRANK z x", "(nil)"),
            ("ZRANK z b WITHSCORE", "[1 \"2.5\"]"),
            ("ZREVRANK z c withscore", "[0 \"3\"]"),
            ("ZRANK z x withscore", "(nil)"),
            ("ZRANK none x withscore", "(nil)"),
            ("ZRANK z a withscores", "ERR syntax error"),
            (
                "ZREVRANK z a withscore x",
                "ERR wrong number of arguments for 'zrevrank' command",
            ),
            ("ZREM z a x c", "2"),
            ("ZREM z b", "1"),
            ("EXISTS z", "0"),
            ("ZREM z b", "0"),
        ]);
        assert_eq!(rig.bytes(&[b"ZRANK", b"z", b"a", b"WITHSCORE"]), b"*-1\r\n");
    }

    #[test]
    fn other_types_are_refused_both_ways() {
        let mut rig = Rig::new();
        rig.check(&[("SET s v", "OK"), ("ZADD z 1 a", "1"), ("TYPE z", "zset")]);
        for line in [
            "ZREM s a",
            "ZCARD s",
            "ZSCORE s a",
            "ZMSCORE s a",
            "ZRANK s a",
            "ZREVRANK s a",
            "HGET z a",
            "GET z",
        ] {
            assert_eq!(rig.run(line), WRONG, "{line}");
        }
        rig.check(&[("OBJECT ENCODING z", "\"listpack\"")]);
    }

    #[test]
    fn both_encodings() {
        let mut rig = Rig::new();
        for i in 0..300 {
            rig.run(&format!("ZADD z {} m{i}", i % 7));
            let rank = rig.run(&format!("ZRANK z m{i}"));
            let back: i32 = rig.run(&format!("ZREVRANK z m{i}")).parse().unwrap();
            assert_eq!(rank.parse::<i32>().unwrap() + back, i);
        }
        rig.check(&[("OBJECT ENCODING z", "\"skiplist\""), ("ZCARD z", "300")]);
    }
}
