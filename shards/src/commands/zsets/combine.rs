//! Unions, intersections and differences: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD. What they ask for; `merge.rs` does it.

use tessera_core::number::{parse_double, parse_i64};

use super::merge::{Aggregate, Goal, Merge, Operation, Source};
use super::reading::Style;
use super::{ROW, counted};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};

pub(super) const ZUNION: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zunion",
        arity: -3,
        flags: flag::READONLY | flag::MOVABLEKEYS,
        keys: &[counted(access::RO | access::ACCESS, 1)],
        since: "6.2.0",
        summary: "Returns the members of all of several sorted sets.",
        complexity: "O(N + M log M) with N members of all sets and M of the result; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| reply(cx, args, "zunion", Operation::Union),
    spread: Spread::Borrow,
};

pub(super) const ZINTER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zinter",
        summary: "Returns the members that several sorted sets have in common.",
        complexity: "O(N K + M log M) with N members of the smallest of K sets and M of the result; commands on other keys go on meanwhile",
        ..ZUNION.spec
    },
    op: |cx, args| reply(cx, args, "zinter", Operation::Inter),
    spread: Spread::Borrow,
};

pub(super) const ZDIFF: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zdiff",
        summary: "Returns the members of a sorted set that no other one has.",
        complexity: "O(N K + M log M) with N members of the first of K sets and M of the result; commands on other keys go on meanwhile",
        ..ZUNION.spec
    },
    op: |cx, args| reply(cx, args, "zdiff", Operation::Diff),
    spread: Spread::Borrow,
};

pub(super) const ZUNIONSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zunionstore",
        arity: -4,
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
        keys: &[
            KeySpec::range(access::OW | access::UPDATE, 1, 0, 1),
            counted(access::RO | access::ACCESS, 2),
        ],
        since: "2.0.0",
        summary: "Stores the members of all of several sorted sets under a key.",
        ..ZUNION.spec
    },
    op: |cx, args| store(cx, args, "zunionstore", Operation::Union),
    spread: Spread::Borrow,
};

pub(super) const ZINTERSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zinterstore",
        summary: "Stores the members that several sorted sets have in common under a key.",
        complexity: ZINTER.spec.complexity,
        ..ZUNIONSTORE.spec
    },
    op: |cx, args| store(cx, args, "zinterstore", Operation::Inter),
    spread: Spread::Borrow,
};

pub(super) const ZDIFFSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zdiffstore",
        since: "6.2.0",
        summary: "Stores the members of a sorted set that no other one has under a key.",
        complexity: ZDIFF.spec.complexity,
        ..ZUNIONSTORE.spec
    },
    op: |cx, args| store(cx, args, "zdiffstore", Operation::Diff),
    spread: Spread::Borrow,
};

pub(super) const ZINTERCARD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zintercard",
        since: "7.0.0",
        summary: "Counts the members that several sorted sets have in common.",
        complexity: "O(N K) with N members of the smallest of K sets; commands on other keys go on meanwhile",
        ..ZUNION.spec
    },
    op: op_zintercard,
    spread: Spread::Borrow,
};

fn reply(cx: &mut Cx<'_>, args: &[&[u8]], command: &str, operation: Operation) {
    let Some((mut sources, options)) = sources(cx, &args[1..], command) else {
        return;
    };
    let Some(options) = Options::parse(cx, options, &mut sources, operation, true) else {
        return;
    };
    let style = Style::of(options.with_scores, cx.reply.proto());
    Merge::new(sources, operation, options.aggregate, Goal::Reply(style)).run(cx);
}

fn store(cx: &mut Cx<'_>, args: &[&[u8]], command: &str, operation: Operation) {
    let Some((mut sources, options)) = sources(cx, &args[2..], command) else {
        return;
    };
    let Some(options) = Options::parse(cx, options, &mut sources, operation, false) else {
        return;
    };
    let goal = Goal::Store(args[1].into());
    Merge::new(sources, operation, options.aggregate, goal).run(cx);
}

fn op_zintercard(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some((sources, mut options)) = sources(cx, &args[1..], "zintercard") else {
        return;
    };
    let mut limit = 0;
    while let [word, value, rest @ ..] = options
        && is(word, "LIMIT")
    {
        let Some(number) = parse_i64(value).and_then(|number| usize::try_from(number).ok()) else {
            return cx.error("ERR LIMIT can't be negative");
        };
        (limit, options) = (number, rest);
    }
    if !options.is_empty() {
        return cx.error(SYNTAX);
    }
    let goal = Goal::Count {
        limit: if limit == 0 { usize::MAX } else { limit },
    };
    Merge::new(sources, Operation::Inter, Aggregate::Sum, goal).run(cx);
}

/// Reads `numkeys key ...`, looks the keys up, and returns them and what comes behind; writes the error otherwise.
fn sources<'a>(
    cx: &mut Cx<'_>,
    args: &'a [&'a [u8]],
    command: &str,
) -> Option<(Vec<Source>, &'a [&'a [u8]])> {
    let count = integer(cx, args[0])?;
    if count < 1 {
        cx.error(format!(
            "ERR at least 1 input key is needed for '{command}' command"
        ));
        return None;
    }
    let split = usize::try_from(count)
        .ok()
        .and_then(|count| args[1..].split_at_checked(count));
    let Some((keys, options)) = split else {
        cx.error(SYNTAX);
        return None;
    };
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        let len = match cx.shard.read(cx.db, key) {
            None => 0,
            Some(entry) => match entry.object().and_then(|object| object.scored()) {
                Some(scored) => scored.len(),
                None => {
                    cx.wrong_type();
                    return None;
                }
            },
        };
        sources.push(Source {
            key: (*key).into(),
            len,
            weight: 1.0,
        });
    }
    Some((sources, options))
}

/// What comes behind the keys.
struct Options {
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    /// Writes the error for what is no option. `replies`: WITHSCORES is one.
    fn parse(
        cx: &mut Cx<'_>,
        mut args: &[&[u8]],
        sources: &mut [Source],
        operation: Operation,
        replies: bool,
    ) -> Option<Self> {
        let mut options = Self {
            aggregate: Aggregate::Sum,
            with_scores: false,
        };
        let weighs = operation != Operation::Diff;
        while let [word, rest @ ..] = args {
            if weighs && is(word, "WEIGHTS") && rest.len() >= sources.len() {
                let (weights, rest) = rest.split_at(sources.len());
                for (source, weight) in sources.iter_mut().zip(weights) {
                    let Some(weight) = parse_double(weight) else {
                        cx.error("ERR weight value is not a float");
                        return None;
                    };
                    source.weight = weight;
                }
                args = rest;
            } else if weighs
                && is(word, "AGGREGATE")
                && let [name, rest @ ..] = rest
                && let Some(aggregate) = Aggregate::named(name)
            {
                options.aggregate = aggregate;
                args = rest;
            } else if replies && is(word, "WITHSCORES") {
                options.with_scores = true;
                args = rest;
            } else {
                cx.error(SYNTAX);
                return None;
            }
        }
        Some(options)
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    fn filled() -> Rig {
        let mut rig = Rig::new();
        rig.check(&[("ZADD a 1 x 2 y 3 z", "3"), ("ZADD b 10 y 20 z 30 w", "3")]);
        rig
    }

    #[test]
    fn combinations() {
        let mut rig = filled();
        rig.check(&[
            (
                "ZUNION 2 a b WITHSCORES",
                "[\"x\" \"1\" \"y\" \"12\" \"z\" \"23\" \"w\" \"30\"]",
            ),
            ("ZUNION 2 a none", "[\"x\" \"y\" \"z\"]"),
            (
                "ZINTER 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES",
                "[\"y\" \"10\" \"z\" \"20\"]",
            ),
            ("ZINTER 2 a none", "[]"),
            (
                "ZINTER 2 a b WITHSCORES AGGREGATE min",
                "[\"y\" \"2\" \"z\" \"3\"]",
            ),
            (
                "ZINTER 2 a a WITHSCORES",
                "[\"x\" \"2\" \"y\" \"4\" \"z\" \"6\"]",
            ),
            ("ZDIFF 2 a b WITHSCORES", "[\"x\" \"1\"]"),
            ("ZDIFF 2 a a", "[]"),
            ("ZDIFF 3 a none none", "[\"x\" \"y\" \"z\"]"),
            ("ZDIFF 2 none a", "[]"),
            ("ZINTERCARD 2 a b", "2"),
            ("ZINTERCARD 2 a b LIMIT 1", "1"),
            ("ZINTERCARD 2 a b LIMIT 0", "2"),
            ("ZINTERCARD 2 none b", "0"),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("ZDIFF 2 a b WITHSCORES", "[[\"x\" 1]]")]);
    }

    #[test]
    fn stores() {
        let mut rig = filled();
        rig.check(&[
            ("SET d old EX 10", "OK"),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 0.5", "4"),
            ("TTL d", "-1"),
            ("OBJECT ENCODING d", "\"listpack\""),
            (
                "ZRANGE d 0 -1 WITHSCORES",
                "[\"x\" \"1\" \"y\" \"7\" \"z\" \"13\" \"w\" \"15\"]",
            ),
            ("ZINTERSTORE a 2 a b", "2"),
            ("ZRANGE a 0 -1 WITHSCORES", "[\"y\" \"12\" \"z\" \"23\"]"),
            ("ZDIFFSTORE d 2 a b", "0"),
            ("EXISTS d", "0"),
            ("ZUNIONSTORE d 1 none", "0"),
        ]);
    }

    #[test]
    fn sets_are_inputs_too() {
        let mut rig = filled();
        rig.check(&[
            ("SADD s y 7 w", "3"),
            ("SADD numbers 1 7", "2"),
            (
                "ZUNION 2 a s WITHSCORES",
                "[\"7\" \"1\" \"w\" \"1\" \"x\" \"1\" \"y\" \"3\" \"z\" \"3\"]",
            ),
            (
                "ZINTER 2 s b WEIGHTS 5 1 WITHSCORES",
                "[\"y\" \"15\" \"w\" \"35\"]",
            ),
            ("ZINTER 2 s numbers WITHSCORES", "[\"7\" \"2\"]"),
            ("ZDIFF 2 a s", "[\"x\" \"z\"]"),
            ("ZDIFFSTORE s 2 s b", "1"),
            ("TYPE s", "zset"),
            ("ZSCORE s 7", "\"1\""),
        ]);
    }

    #[test]
    fn infinities_and_zeros() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD a inf x 0 zero", "2"),
            ("ZADD b -inf x 0 zero", "2"),
            ("ZUNION 2 a b WITHSCORES", "[\"x\" \"0\" \"zero\" \"0\"]"),
            (
                "ZINTER 2 a b WEIGHTS 0 1 WITHSCORES",
                "[\"x\" \"-inf\" \"zero\" \"0\"]",
            ),
            (
                "ZUNION 1 a WEIGHTS -1 WITHSCORES",
                "[\"x\" \"-inf\" \"zero\" \"-0\"]",
            ),
            (
                "ZUNION 2 a a WEIGHTS -1 1 WITHSCORES",
                "[\"x\" \"0\" \"zero\" \"0\"]",
            ),
            ("ZUNIONSTORE d 1 a WEIGHTS -1", "2"),
            ("ZSCORE d zero", "\"0\""),
        ]);
    }

    #[test]
    fn refused() {
        let mut rig = filled();
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        rig.check(&[
            ("SET s v", "OK"),
            (
                "ZUNION 0 a",
                "ERR at least 1 input key is needed for 'zunion' command",
            ),
            (
                "ZDIFFSTORE d -1 a",
                "ERR at least 1 input key is needed for 'zdiffstore' command",
            ),
            ("ZUNION x a", "ERR value is not an integer or out of range"),
            ("ZUNION 3 a b", "ERR syntax error"),
            ("ZUNION 2 a s bogus", wrong),
            ("ZUNION 2 a b WEIGHTS 1", "ERR syntax error"),
            (
                "ZUNION 2 a b WEIGHTS 1 x",
                "ERR weight value is not a float",
            ),
            ("ZUNION 2 a b AGGREGATE", "ERR syntax error"),
            ("ZUNION 2 a b AGGREGATE avg", "ERR syntax error"),
            ("ZUNIONSTORE d 2 a b WITHSCORES", "ERR syntax error"),
            ("ZDIFF 2 a b WEIGHTS 1 2", "ERR syntax error"),
            ("ZDIFF 2 a b AGGREGATE SUM", "ERR syntax error"),
            ("ZINTERCARD 2 a b LIMIT -1", "ERR LIMIT can't be negative"),
            ("ZINTERCARD 2 a b LIMIT", "ERR syntax error"),
            ("ZINTERCARD 2 a b WITHSCORES", "ERR syntax error"),
        ]);
    }

    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        for i in 0..4_000 {
            rig.run(&format!("ZADD a {i} {i}"));
            rig.run(&format!("ZADD b {i} {}", i + 2_000));
        }
        for (line, expected) in [
            ("ZUNIONSTORE d 2 a b", "6000"),
            ("ZINTERSTORE d 2 a b", "2000"),
            ("ZDIFFSTORE d 2 a b", "2000"),
            ("ZINTERCARD 2 a b", "2000"),
            ("ZINTERCARD 2 a b LIMIT 1500", "1500"),
        ] {
            assert_eq!(rig.run(line), expected, "{line}");
            assert!(rig.slices > 2, "{line}: {}", rig.slices);
        }
        rig.check(&[
            ("ZCARD d", "2000"),
            ("ZRANGE d -1 -1 WITHSCORES", "[\"1999\" \"1999\"]"),
        ]);
        let shown = rig.run("ZUNION 2 a b WITHSCORES");
        assert!(rig.slices > 10);
        assert_eq!(shown.split(' ').count(), 12_000);
        assert!(shown.ends_with("\"3999\" \"5998\"]"));
    }
}
