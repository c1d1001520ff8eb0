//! MEMORY: what a key costs. The subcommands that concern the node have their rows here, and their functions in the server.

use super::ROW;
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::container::{help, subcommand};
use crate::shard::largest::SLOT_BYTES;

/// A subcommand that concerns the node.
const OF_NODE: Spec = Spec {
    arity: 2,
    flags: 0,
    categories: 0,
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    since: "4.0.0",
    group: "server",
    ..ROW
};

pub(super) const MEMORY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "memory",
        arity: -2,
        flags: flag::OF_NODE,
        categories: 0,
        since: "4.0.0",
        group: "server",
        summary: "A container for commands about memory.",
        complexity: "That of the subcommand",
        subcommands: &[
            Spec {
                name: "doctor",
                summary: "Says what is wrong with the server's memory, if anything is.",
                complexity: "O(1)",
                ..OF_NODE
            },
            Spec {
                name: "keys",
                arity: -2,
                flags: flag::NOSCRIPT,
                tips: &["request_policy:all_shards", "response_policy:special"],
                since: "7.2.4",
                summary: "Returns the largest keys of all databases.",
                complexity: "O(N) with N keys; other commands go on meanwhile",
                ..OF_NODE
            },
            Spec {
                name: "malloc-stats",
                summary: "Returns what the allocator says of itself.",
                complexity: "Depends on how much memory is allocated, could be slow",
                ..OF_NODE
            },
            Spec {
                name: "purge",
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                summary: "Gives memory that is not used back to the system.",
                complexity: "Depends on how much memory is allocated, could be slow",
                ..OF_NODE
            },
            Spec {
                name: "stats",
                summary: "Returns figures about the server's memory.",
                complexity: "O(1)",
                ..OF_NODE
            },
            Spec {
                name: "help",
                arity: 2,
                flags: flag::LOADING | flag::STALE,
                categories: 0,
                since: "4.0.0",
                group: "server",
                summary: "Describes the subcommands.",
                ..ROW
            },
            Spec {
                name: "usage",
                arity: -3,
                flags: flag::READONLY,
                categories: 0,
                keys: &[KeySpec::range(access::RO, 2, 0, 1)],
                since: "4.0.0",
                group: "server",
                summary: "Returns the bytes that a key and its value take.",
                complexity: "O(N) with N samples",
                ..ROW
            },
        ],
        ..ROW
    },
    op: op_memory,
    spread: Spread::One,
};

const HELP: &[&str] = &[
    "DOCTOR",
    "    What is wrong with the memory of the server, if anything is.",
    "KEYS [COUNT <count>] [TYPE <type>] [MATCH <pattern>]",
    "    The <count> largest keys of all databases, 10 by default: name, database, type,",
    "    elements (of a string its length), bytes.",
    "MALLOC-STATS",
    "    What the allocator says of itself.",
    "PURGE",
    "    Gives memory that is not used back to the system.",
    "STATS",
    "    Figures about the memory of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Bytes of memory that key and value take. Of a collection <count> elements",
    "    are looked at, 5 by default, all with 0.",
];

fn op_memory(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match subcommand(cx, &MEMORY.spec, args) {
        Some("usage") => usage(cx, args),
        Some(_) => help(cx, &MEMORY.spec, HELP),
        None => {}
    }
}

/// Strings have nothing to sample; the option is checked all the same.
fn usage(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let mut rest = &args[3..];
    while let [word, more @ ..] = rest {
        let [number, more @ ..] = more else {
            return cx.error(SYNTAX);
        };
        if !is(word, "SAMPLES") {
            return cx.error(SYNTAX);
        }
        let Some(samples) = integer(cx, number) else {
            return;
        };
        if samples < 0 {
            return cx.error(SYNTAX);
        }
        rest = more;
    }
    match cx
        .shard
        .glance(cx.db, args[2])
        .map(|entry| entry.heap_bytes())
    {
        Some(bytes) => cx.reply.integer((bytes + SLOT_BYTES) as i64),
        None => cx.reply.null(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn usage() {
        let mut rig = Rig::new();
        let long = "x".repeat(10_000);
        assert_eq!(rig.run(&format!("MSET small v long {long}")), "OK");
        let bytes = |reply: String| reply.parse::<usize>().unwrap();
        assert!((16..64).contains(&bytes(rig.run("MEMORY USAGE small"))));
        assert!((10_000..11_000).contains(&bytes(rig.run("memory usage long samples 0"))));
        rig.check(&[
            ("MEMORY USAGE none", "(nil)"),
            ("MEMORY USAGE small SAMPLES -1", "ERR syntax error"),
            (
                "MEMORY USAGE small SAMPLES x",
                "ERR value is not an integer or out of range",
            ),
            ("MEMORY USAGE small SAMPLES", "ERR syntax error"),
            ("MEMORY USAGE small foo 1", "ERR syntax error"),
            (
                "MEMORY USAGE",
                "ERR wrong number of arguments for 'memory|usage' command",
            ),
            (
                "MEMORY foo",
                "ERR unknown subcommand 'foo'. Try MEMORY HELP.",
            ),
        ]);
        assert!(
            rig.run("MEMORY HELP")
                .contains("USAGE <key> [SAMPLES <count>]")
        );
    }
}
