//! Whole sets and what can be made of several: SMEMBERS, SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.

use tessera_core::number::parse_i64;

use super::operation::{Kind, Operation, Output};
use super::{READS, ROW, WRITES};
use crate::command::spec::{Begin, Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is};

const UNORDERED: &[&str] = &["nondeterministic_output_order"];

pub(super) const SMEMBERS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "smembers",
        arity: 2,
        flags: flag::READONLY,
        keys: READS,
        tips: UNORDERED,
        summary: "Returns all members of a set.",
        complexity: "O(N) with N members; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| run(cx, Kind::Intersection, Output::Reply, &args[1..]),
    spread: Spread::One,
};

pub(super) const SINTER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sinter",
        arity: -2,
        flags: flag::READONLY,
        keys: &[KeySpec::range(access::RO | access::ACCESS, 1, -1, 1)],
        tips: UNORDERED,
        summary: "Returns the members that several sets have in common.",
        complexity: "O(N*M) with N members of the smallest of M sets; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| run(cx, Kind::Intersection, Output::Reply, &args[1..]),
    spread: Spread::Borrow,
};

pub(super) const SUNION: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sunion",
        summary: "Returns the members of several sets, each once.",
        complexity: "O(N) with N members in all sets; commands on other keys go on meanwhile",
        ..SINTER.spec
    },
    op: |cx, args| run(cx, Kind::Union, Output::Reply, &args[1..]),
    spread: Spread::Borrow,
};

pub(super) const SDIFF: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sdiff",
        summary: "Returns the members of the first set that no other one has.",
        ..SUNION.spec
    },
    op: |cx, args| run(cx, Kind::Difference, Output::Reply, &args[1..]),
    spread: Spread::Borrow,
};

const SOURCES: KeySpec = KeySpec::range(access::RO | access::ACCESS, 2, -1, 1);

pub(super) const SINTERSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sinterstore",
        arity: -3,
        flags: WRITES,
        keys: &[
            KeySpec::range(access::RW | access::UPDATE, 1, 0, 1),
            SOURCES,
        ],
        tips: &[],
        summary: "Stores the members that several sets have in common as a set.",
        ..SINTER.spec
    },
    op: |cx, args| store(cx, Kind::Intersection, args),
    spread: Spread::Borrow,
};

pub(super) const SUNIONSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sunionstore",
        keys: &[
            KeySpec::range(access::OW | access::UPDATE, 1, 0, 1),
            SOURCES,
        ],
        summary: "Stores the members of several sets as one set.",
        complexity: SUNION.spec.complexity,
        ..SINTERSTORE.spec
    },
    op: |cx, args| store(cx, Kind::Union, args),
    spread: Spread::Borrow,
};

pub(super) const SDIFFSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sdiffstore",
        summary: "Stores the members of the first set that no other one has as a set.",
        ..SUNIONSTORE.spec
    },
    op: |cx, args| store(cx, Kind::Difference, args),
    spread: Spread::Borrow,
};

pub(super) const SINTERCARD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sintercard",
        arity: -3,
        flags: flag::READONLY | flag::MOVABLEKEYS,
        keys: &[KeySpec {
            access: access::RO | access::ACCESS,
            notes: "",
            begin: Begin::Index(1),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
        }],
        tips: &[],
        since: "7.0.0",
        summary: "Returns the number of members that several sets have in common.",
        ..SINTER.spec
    },
    op: op_sintercard,
    spread: Spread::Borrow,
};

fn run(cx: &mut Cx<'_>, kind: Kind, output: Output, keys: &[&[u8]]) {
    if let Some(operation) = Operation::new(cx, kind, output, keys) {
        operation.run(cx);
    }
}

fn store(cx: &mut Cx<'_>, kind: Kind, args: &[&[u8]]) {
    run(cx, kind, Output::Store(args[1].into()), &args[2..]);
}

fn op_sintercard(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(count) = parse_i64(args[1]).filter(|count| *count > 0) else {
        return cx.error("ERR numkeys should be greater than 0");
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let Some((keys, mut options)) = args[2..].split_at_checked(count) else {
        return cx.error("ERR Number of keys can't be greater than number of args");
    };
    let mut most = 0;
    while let [word, rest @ ..] = options {
        let ([number, rest @ ..], true) = (rest, is(word, "LIMIT")) else {
            return cx.error(SYNTAX);
        };
        let Some(limit) = parse_i64(number).and_then(|limit| u64::try_from(limit).ok()) else {
            return cx.error("ERR LIMIT can't be negative");
        };
        (most, options) = (limit, rest);
    }
    let most = if most == 0 { u64::MAX } else { most };
    run(cx, Kind::Intersection, Output::Count(most), keys);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::commands::rig::Rig;

    #[test]
    fn few_members() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD a 1 2 3", "3"),
            ("SADD b 2 3 4 x", "4"),
            ("SADD c 3", "1"),
            ("SMEMBERS a", "[\"1\" \"2\" \"3\"]"),
            ("SMEMBERS none", "[]"),
            ("SINTER a b", "[\"2\" \"3\"]"),
            ("SINTER a b c", "[\"3\"]"),
            ("SINTER a none b", "[]"),
            ("SUNION a b none", "[\"1\" \"2\" \"3\" \"4\" \"x\"]"),
            ("SUNION none", "[]"),
            ("SDIFF a c", "[\"1\" \"2\"]"),
            ("SDIFF a b c none", "[\"1\"]"),
            ("SDIFF a a", "[]"),
            ("SDIFF none a", "[]"),
            ("SINTERSTORE d a b", "2"),
            ("OBJECT ENCODING d", "\"intset\""),
            ("EXPIRE d 100", "1"),
            ("SUNIONSTORE d d b", "4"),
            ("TTL d", "-1"),
            ("SDIFFSTORE d d a c", "2"),
            ("SMEMBERS d", "[\"4\" \"x\"]"),
            ("SINTERSTORE d a none", "0"),
            ("EXISTS d", "0"),
            ("SET d v", "OK"),
            ("SDIFFSTORE d none a", "0"),
            ("EXISTS d", "0"),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("SINTER a b", "(\"2\" \"3\")"), ("SMEMBERS none", "()")]);
    }

    #[test]
    fn sintercard() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD a 1 2 3 4", "4"),
            ("SADD b 2 3 4 x", "4"),
            ("SINTERCARD 2 a b", "3"),
            ("SINTERCARD 2 a b LIMIT 2", "2"),
            ("SINTERCARD 2 a b limit 0", "3"),
            ("SINTERCARD 2 a b limit 1 LIMIT 9", "3"),
            ("SINTERCARD 1 none", "0"),
            ("SINTERCARD 0 a", "ERR numkeys should be greater than 0"),
            ("SINTERCARD x a", "ERR numkeys should be greater than 0"),
            (
                "SINTERCARD 3 a b",
                "ERR Number of keys can't be greater than number of args",
            ),
            ("SINTERCARD 1 a b", "ERR syntax error"),
            ("SINTERCARD 1 a LIMIT", "ERR syntax error"),
            ("SINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
        ]);
    }

    fn numbers(shown: &str) -> BTreeSet<u32> {
        let members = shown.trim_matches(['[', ']']).split(' ');
        let members: Vec<u32> = members
            .filter(|member| !member.is_empty())
            .map(|member| member.trim_matches('"').parse().unwrap())
            .collect();
        let set: BTreeSet<u32> = members.iter().copied().collect();
        assert_eq!(set.len(), members.len(), "a member twice");
        set
    }

    #[test]
    fn many_members_in_slices() {
        let mut rig = Rig::new();
        let mut model = Vec::new();
        for (key, step, count) in [
            ("a", 1, 9_000),
            ("b", 2, 6_000),
            ("c", 3, 5_000),
            ("d", 700, 9),
        ] {
            let members: BTreeSet<u32> = (0..count).map(|i| i * step).collect();
            for member in &members {
                rig.run(&format!("SADD {key} {member}"));
            }
            model.push(members);
        }
        let [a, b, c, d] = &model[..] else {
            unreachable!()
        };
        let expect = |rig: &mut Rig, line: &str, expected: &BTreeSet<u32>, at_least: usize| {
            assert_eq!(&numbers(&rig.run(line)), expected, "{line}");
            assert!(rig.slices >= at_least, "{line}: {} slices", rig.slices);
            let (name, keys) = line.split_once(' ').unwrap();
            let stored = rig.run(&format!("{name}STORE x {keys}"));
            assert_eq!(stored, expected.len().to_string());
            assert_eq!(&numbers(&rig.run("SMEMBERS x")), expected, "{line} stored");
        };
        expect(&mut rig, "SINTER a b c", &(&(a & b) & c), 5);
        expect(&mut rig, "SINTER a d", &(a & d), 0);
        expect(&mut rig, "SUNION b c a d b", &(&(&(a | b) | c) | d), 20);
        expect(&mut rig, "SDIFF a b c", &(&(a - b) - c), 5);
        expect(&mut rig, "SDIFF b d d d d d d", &(b - d), 4);
        assert_eq!(numbers(&rig.run("SMEMBERS b")), *b);
        assert!(rig.slices >= 4);
        rig.check(&[
            ("SINTERCARD 2 a b", &(a & b).len().to_string()),
            ("SINTERCARD 2 a b LIMIT 1500", "1500"),
            ("SPOP d 100", &rig_show(d)),
            ("EXISTS d", "0"),
        ]);
    }

    fn rig_show(members: &BTreeSet<u32>) -> String {
        let quoted: Vec<String> = members
            .iter()
            .map(|member| format!("\"{member}\""))
            .collect();
        format!("[{}]", quoted.join(" "))
    }
}
