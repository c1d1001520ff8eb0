//! Whether keys exist, of what type they are, and that they shall not exist: DEL, UNLINK, EXISTS, TOUCH, TYPE.

use super::ROW;
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread};

/// Each key counts for itself.
const EACH: Spread = Spread::Split {
    stride: 1,
    merge: Merge::Sum,
};
const SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

pub(super) const DEL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "del",
        arity: -2,
        flags: flag::WRITE,
        keys: &[KeySpec::range(access::RM | access::DELETE, 1, -1, 1)],
        tips: SUM,
        summary: "Deletes keys.",
        complexity: "O(N) with N keys, and O(M) for a collection of M elements",
        ..ROW
    },
    op: op_del,
    spread: EACH,
};

pub(super) const UNLINK: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "unlink",
        flags: flag::WRITE | flag::FAST,
        since: "4.0.0",
        summary: "Deletes keys; the memory is given back later.",
        complexity: "O(N) with N keys",
        ..DEL.spec
    },
    op: op_del,
    spread: EACH,
};

fn op_del(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let mut count = 0;
    for key in &args[1..] {
        count += i64::from(cx.shard.remove(cx.db, key));
    }
    cx.reply.integer(count);
}

pub(super) const EXISTS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "exists",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, -1, 1)],
        tips: SUM,
        summary: "Counts how many of the keys exist; a key named twice counts twice.",
        complexity: "O(N) with N keys",
        ..ROW
    },
    op: op_exists,
    spread: EACH,
};

fn op_exists(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let mut count = 0;
    for key in &args[1..] {
        count += i64::from(cx.shard.peek(cx.db, key).is_some());
    }
    cx.reply.integer(count);
}

pub(super) const TOUCH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "touch",
        since: "3.2.1",
        summary: "Counts how many of the keys exist and marks them as used just now.",
        ..EXISTS.spec
    },
    op: op_touch,
    spread: EACH,
};

fn op_touch(cx: &mut Cx<'_>, args: &[&[u8]]) {
    // Touching is what this command is for, so CLIENT NO-TOUCH does not hold here.
    cx.shard.no_touch = false;
    let mut count = 0;
    for key in &args[1..] {
        count += i64::from(cx.shard.read(cx.db, key).is_some());
    }
    cx.reply.integer(count);
}

pub(super) const TYPE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "type",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, 0, 1)],
        summary: "Returns the type of the value of a key.",
        ..ROW
    },
    op: op_type,
    spread: Spread::One,
};

fn op_type(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let name = cx
        .shard
        .peek(cx.db, args[1])
        .map_or("none", |entry| super::type_name(entry));
    cx.reply.simple(name);
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn each_key_counts() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSET a 1 b 2 c 3", "OK"),
            ("EXISTS a a none b", "3"),
            ("TOUCH a none", "1"),
            ("TYPE a", "string"),
            ("TYPE none", "none"),
            ("DEL a a b none", "2"),
            ("UNLINK c", "1"),
            ("DBSIZE", "0"),
            ("DEL", "ERR wrong number of arguments for 'del' command"),
        ]);
        assert_eq!(rig.shard.stats.changes, 6);
        assert_eq!(
            (
                rig.shard.stats.keyspace_hits,
                rig.shard.stats.keyspace_misses
            ),
            (5, 3)
        );
    }

    #[test]
    fn expired_keys_do_not_count() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a 1 PX 1", "OK"),
            ("SET b 1 PX 1", "OK"),
            ("SET c 1 PX 1", "OK"),
        ]);
        rig.wait(2);
        rig.check(&[
            ("DEL a", "0"),
            ("EXISTS b", "0"),
            ("TOUCH c", "0"),
            ("TYPE a", "none"),
            ("DBSIZE", "0"),
        ]);
        assert_eq!(rig.shard.stats.expired_keys, 3);
    }
}
