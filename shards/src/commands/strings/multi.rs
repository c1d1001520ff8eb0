//! Several keys at once. MGET and MSET are split among the owners; MSETNX must see all its keys first.

use tessera_core::table::ExpireChange;

use super::{OVERWRITES, READS, ROW, WRITES, reply_value, stored};
use crate::command::spec::{Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread};
use crate::commands::args::wrong_arity;
use crate::shard::WrongType;

pub(super) const MGET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "mget",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec {
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 0,
            },
            ..READS[0]
        }],
        tips: &["request_policy:multi_shard"],
        summary: "Returns the string values of several keys.",
        complexity: "O(N) with N keys",
        ..ROW
    },
    op: op_mget,
    spread: Spread::Split {
        stride: 1,
        merge: Merge::Interleave,
    },
};

fn op_mget(cx: &mut Cx<'_>, args: &[&[u8]]) {
    cx.reply.array(args.len() - 1);
    for key in &args[1..] {
        match cx.shard.read_string(cx.db, key) {
            Ok(Some(value)) => reply_value(&mut cx.reply, value),
            Ok(None) | Err(WrongType) => cx.reply.null(),
        }
    }
}

pub(super) const MSET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "mset",
        arity: -3,
        flags: WRITES,
        keys: &[KeySpec {
            find: Find::Range {
                last: -1,
                step: 2,
                limit: 0,
            },
            ..OVERWRITES[0]
        }],
        tips: &[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ],
        since: "1.0.1",
        summary: "Sets the string values of several keys.",
        complexity: "O(N) with N keys",
        ..ROW
    },
    op: op_mset,
    spread: Spread::Split {
        stride: 2,
        merge: Merge::Same,
    },
};

fn op_mset(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if args.len().is_multiple_of(2) {
        return wrong_arity(cx, "mset");
    }
    if set_pairs(cx, &args[1..]) {
        cx.reply.ok();
    }
}

pub(super) const MSETNX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "msetnx",
        keys: &[KeySpec {
            access: access::OW | access::INSERT,
            find: Find::Range {
                last: -1,
                step: 2,
                limit: 0,
            },
            ..OVERWRITES[0]
        }],
        tips: &["request_policy:multi_shard", "response_policy:agg_min"],
        summary: "Sets the string values of several keys, only if none of them exists.",
        ..MSET.spec
    },
    op: op_msetnx,
    spread: Spread::Borrow,
};

fn op_msetnx(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if args.len().is_multiple_of(2) {
        return wrong_arity(cx, "msetnx");
    }
    let free = args[1..]
        .iter()
        .step_by(2)
        .all(|key| !cx.shard.exists(cx.db, key));
    if free && !set_pairs(cx, &args[1..]) {
        return;
    }
    cx.reply.integer(free.into());
}

/// Sets one after the other. Says false, with the error in place, when there is no memory for the next.
fn set_pairs(cx: &mut Cx<'_>, pairs: &[&[u8]]) -> bool {
    pairs
        .chunks_exact(2)
        .all(|pair| cx.store(pair[0], stored(pair[1]), ExpireChange::Clear))
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn several_keys() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSET a 1 b two a 3", "OK"),
            ("MGET a none b a", "[\"3\" (nil) \"two\" \"3\"]"),
            ("MSETNX c 1 b 2", "0"),
            ("EXISTS c", "0"),
            ("MSETNX c 1 d 2 c 3", "1"),
            ("MGET c d", "[\"3\" \"2\"]"),
            ("MSET a", "ERR wrong number of arguments for 'mset' command"),
            (
                "MSET a 1 b",
                "ERR wrong number of arguments for 'mset' command",
            ),
            (
                "MSETNX a 1 b",
                "ERR wrong number of arguments for 'msetnx' command",
            ),
        ]);
    }

    #[test]
    fn lifetimes_end() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a 1 PX 5", "OK"),
            ("MSET a 2", "OK"),
            ("TTL a", "-1"),
            ("SET a 1 PX 5", "OK"),
        ]);
        rig.wait(6);
        rig.check(&[("MGET a", "[(nil)]"), ("MSETNX a 9", "1")]);
    }
}
