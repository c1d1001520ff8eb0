//! XINFO: what a stream, its groups and their consumers are like.

use tessera_core::resp::Reply;
use tessera_core::stream::{Group, Stream, StreamId};

use super::group::no_group;
use super::{ROW, full, reply_entry, reply_id};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{integer, is};
use crate::commands::container::{bad_subcommand, help, subcommand};
use crate::shard::WrongType;

/// A subcommand about one key.
const OF_KEY: Spec = Spec {
    flags: flag::READONLY,
    keys: &[KeySpec::range(access::RO | access::ACCESS, 2, 0, 1)],
    ..ROW
};

pub(super) const XINFO: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xinfo",
        arity: -2,
        categories: 0,
        summary: "A container for commands that look at streams.",
        complexity: "Depends on subcommand.",
        subcommands: &[
            Spec {
                name: "consumers",
                arity: 4,
                tips: &["nondeterministic_output"],
                summary: "Describes the consumers of a group.",
                ..OF_KEY
            },
            Spec {
                name: "groups",
                arity: 3,
                summary: "Describes the consumer groups of a stream.",
                ..OF_KEY
            },
            Spec {
                name: "help",
                arity: 2,
                flags: flag::LOADING | flag::STALE,
                summary: "Describes the subcommands.",
                ..ROW
            },
            Spec {
                name: "stream",
                arity: -3,
                summary: "Describes a stream.",
                complexity: "O(N) with N blocks of entries, and what FULL returns; commands on other keys go on meanwhile",
                ..OF_KEY
            },
        ],
        ..ROW
    },
    op: op_xinfo,
    spread: Spread::One,
};

const HELP: &[&str] = &[
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

fn op_xinfo(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(name) = subcommand(cx, &XINFO.spec, args) else {
        return;
    };
    if name == "help" {
        return help(cx, &XINFO.spec, HELP);
    }
    let (key, now_ms) = (args[2], cx.shard.now_ms);
    match cx.shard.check_object::<Stream>(cx.db, key) {
        Ok(true) => {}
        Ok(false) => {
            // That counts as a read.
            _ = cx.shard.peek(cx.db, key);
            return cx.error("ERR no such key");
        }
        Err(WrongType) => return cx.wrong_type(),
    }
    let mut full = None;
    if name == "stream" && args.len() > 3 {
        let Some(count) = full_count(cx, args) else {
            return;
        };
        full = Some(count);
    }
    let Ok(Some(stream)) = cx.shard.read_object::<Stream>(cx.db, key) else {
        return;
    };
    match (name, full) {
        ("groups", _) => groups(&mut cx.reply, stream),
        ("consumers", _) => match stream.groups.get(args[3]) {
            Some(group) => consumers(&mut cx.reply, group, now_ms),
            None => no_group(cx, key, args[3]),
        },
        (_, None) => short(&mut cx.reply, stream),
        (_, Some(count)) => full::reply(cx, key, count),
    }
}

/// FULL [COUNT count]: how many of each are shown.
fn full_count(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<usize> {
    const USUAL: usize = 10;
    match &args[3..] {
        [full] if is(full, "FULL") => Some(USUAL),
        [full, word, count] if is(full, "FULL") && is(word, "COUNT") => {
            Some(match usize::try_from(integer(cx, count)?) {
                Ok(0) => usize::MAX,
                Ok(count) => count,
                Err(_) => USUAL,
            })
        }
        _ => {
            bad_subcommand(cx, &XINFO.spec, args);
            None
        }
    }
}

pub(super) fn number(reply: &mut Reply<'_>, name: &str, number: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(number);
}

fn number_or_null(reply: &mut Reply<'_>, name: &str, number: Option<i64>) {
    reply.bulk(name.as_bytes());
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

fn named_id(reply: &mut Reply<'_>, name: &str, id: StreamId) {
    reply.bulk(name.as_bytes());
    reply_id(reply, id);
}

/// What both forms of XINFO STREAM begin with.
pub(super) fn head(reply: &mut Reply<'_>, stream: &Stream, fields: usize) {
    let entries = &stream.entries;
    reply.map(fields);
    number(reply, "length", entries.len() as i64);
    number(reply, "radix-tree-keys", entries.blocks_len() as i64);
    number(reply, "radix-tree-nodes", entries.radix_nodes() as i64);
    named_id(reply, "last-generated-id", entries.last_id());
    named_id(reply, "max-deleted-entry-id", entries.max_deleted_id());
    number(reply, "entries-added", entries.added() as i64);
    named_id(reply, "recorded-first-entry-id", entries.first_id());
}

fn short(reply: &mut Reply<'_>, stream: &Stream) {
    const FIELDS: usize = 10;
    head(reply, stream, FIELDS);
    number(reply, "groups", stream.groups.len() as i64);
    let entries = &stream.entries;
    let first = entries.range(StreamId::MIN, StreamId::MAX).next();
    let last = entries.range_back(StreamId::MIN, StreamId::MAX).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

/// How far a group has read.
pub(super) fn progress(reply: &mut Reply<'_>, stream: &Stream, group: &Group) {
    named_id(reply, "last-delivered-id", group.last_id);
    number_or_null(reply, "entries-read", group.entries_read);
    number_or_null(reply, "lag", stream.entries.lag(group));
}

fn groups(reply: &mut Reply<'_>, stream: &Stream) {
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        number(reply, "consumers", group.consumers_len() as i64);
        number(reply, "pending", group.pending().len() as i64);
        progress(reply, stream, group);
    }
}

fn consumers(reply: &mut Reply<'_>, group: &Group, now_ms: u64) {
    reply.array(group.consumers_len());
    let since = |ms: u64| now_ms as i64 - ms as i64;
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(&consumer.name);
        number(reply, "pending", consumer.pending().len() as i64);
        number(reply, "idle", since(consumer.seen_ms).max(0));
        number(reply, "inactive", consumer.active_ms.map_or(-1, since));
    }
}
