//! Whole databases: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB. Every shard does its part.

use super::ROW;
use crate::command::spec::{category, flag};
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread};
use crate::commands::args::{DB_RANGE, SYNTAX, is};

const ALL: Spread = Spread::Everywhere { merge: Merge::Same };

pub(super) const DBSIZE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "dbsize",
        arity: 1,
        flags: flag::READONLY | flag::FAST,
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        group: "server",
        summary: "Returns the number of keys in the database.",
        ..ROW
    },
    op: op_dbsize,
    spread: Spread::Everywhere { merge: Merge::Sum },
};

fn op_dbsize(cx: &mut Cx<'_>, _args: &[&[u8]]) {
    let keys = cx.shard.table(cx.db).len();
    cx.reply.integer(keys as i64);
}

pub(super) const FLUSHALL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "flushall",
        arity: -1,
        flags: flag::WRITE,
        categories: category::KEYSPACE | category::DANGEROUS,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        group: "server",
        summary: "Removes all keys of all databases.",
        complexity: "O(1); the memory is given back later, in slices",
        ..ROW
    },
    op: op_flushall,
    spread: ALL,
};

fn op_flushall(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !flush_arguments(cx, args) {
        return;
    }
    for db in 0..cx.shard.databases() {
        cx.shard.flush(db);
    }
    cx.shard.make_all_stale();
    cx.reply.ok();
}

pub(super) const FLUSHDB: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "flushdb",
        summary: "Removes all keys of the database.",
        ..FLUSHALL.spec
    },
    op: op_flushdb,
    spread: ALL,
};

fn op_flushdb(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if flush_arguments(cx, args) {
        cx.shard.flush(cx.db);
        cx.shard.make_all_stale();
        cx.reply.ok();
    }
}

/// SYNC or ASYNC or nothing: all are O(1) here and free the memory in slices.
fn flush_arguments(cx: &mut Cx<'_>, args: &[&[u8]]) -> bool {
    let known = match args {
        [_] => true,
        [_, mode] => is(mode, "SYNC") || is(mode, "ASYNC"),
        _ => false,
    };
    if !known {
        cx.error(SYNTAX);
    }
    known
}

pub(super) const SWAPDB: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "swapdb",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        categories: category::KEYSPACE | category::DANGEROUS,
        since: "4.0.0",
        group: "server",
        summary: "Exchanges two databases.",
        ..ROW
    },
    op: op_swapdb,
    spread: ALL,
};

fn op_swapdb(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let number = |arg: &[u8]| {
        tessera_core::number::parse_i64(arg).and_then(|number| i32::try_from(number).ok())
    };
    let Some(a) = number(args[1]) else {
        return cx.error("ERR invalid first DB index");
    };
    let Some(b) = number(args[2]) else {
        return cx.error("ERR invalid second DB index");
    };
    let known = |number: i32| {
        usize::try_from(number)
            .ok()
            .filter(|&db| db < cx.shard.databases())
    };
    let (Some(a), Some(b)) = (known(a), known(b)) else {
        return cx.error(DB_RANGE);
    };
    cx.shard.swap(a, b);
    cx.reply.ok();
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn flush() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSET a 1 b 2", "OK"),
            ("MOVE b 1", "1"),
            ("DBSIZE", "1"),
            ("FLUSHDB async", "OK"),
            ("DBSIZE", "0"),
        ]);
        rig.db = 1;
        rig.check(&[
            ("DBSIZE", "1"),
            ("FLUSHALL foo", "ERR syntax error"),
            ("FLUSHALL SYNC ASYNC", "ERR syntax error"),
            ("DBSIZE", "1"),
            ("FLUSHALL sync", "OK"),
            ("DBSIZE", "0"),
        ]);
        while rig.shard.collect_garbage() {}
        assert_eq!(rig.shard.mem_bytes(), 0);
    }

    #[test]
    fn swap() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a 0", "OK"),
            ("SWAPDB 0 1", "OK"),
            ("GET a", "(nil)"),
            ("SWAPDB 1 0", "OK"),
            ("SWAPDB 0 0", "OK"),
            ("GET a", "\"0\""),
            ("SWAPDB a b", "ERR invalid first DB index"),
            ("SWAPDB 0 b", "ERR invalid second DB index"),
            ("SWAPDB 99999999999 0", "ERR invalid first DB index"),
            ("SWAPDB 0 16", "ERR DB index is out of range"),
            ("SWAPDB -1 0", "ERR DB index is out of range"),
        ]);
    }
}
