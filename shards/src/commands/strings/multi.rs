//! Several keys at once. MGET and MSET are split among the owners; MSETNX must see all its keys first.

use tessera_core::number::parse_i64;
use tessera_core::table::ExpireChange;

use super::{OVERWRITES, READS, ROW, WRITES, reply_value, stored};
use crate::command::spec::{Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread};
use crate::commands::args::{SYNTAX, is, wrong_arity};
use crate::commands::lifetime::ExpireOption;
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
    if set_pairs(cx, &args[1..], ExpireChange::Clear) {
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
    if free && !set_pairs(cx, &args[1..], ExpireChange::Clear) {
        return;
    }
    cx.reply.integer(free.into());
}

/// Sets one after the other. Says false, with the error in place, when there is no memory for the next.
fn set_pairs(cx: &mut Cx<'_>, pairs: &[&[u8]], expire: ExpireChange) -> bool {
    pairs
        .chunks_exact(2)
        .all(|pair| cx.store(pair[0], stored(pair[1]), expire))
}

pub(super) const MSETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "msetex",
        arity: -4,
        flags: WRITES | flag::MOVABLEKEYS,
        keys: &[KeySpec {
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 2,
            },
            ..OVERWRITES[0]
        }],
        tips: &[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ],
        since: "8.4.0",
        summary: "Sets the string values of several keys with one lifetime, if need be only if all or none of them exist.",
        complexity: "O(N) with N keys",
        ..ROW
    },
    op: op_msetex,
    spread: Spread::Borrow,
};

fn op_msetex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let count = parse_i64(args[1]).and_then(|count| i32::try_from(count).ok());
    let Some(count) = count.filter(|count| *count > 0) else {
        return cx.error("ERR invalid numkeys value");
    };
    let Some((pairs, options)) = args[2..].split_at_checked(2 * count as usize) else {
        return cx.error("ERR wrong number of key-value pairs");
    };
    let Some((must_exist, expire)) = set_options(options) else {
        return cx.error(SYNTAX);
    };
    let expire = match expire {
        ExpireOption::At(lifetime, amount) => match lifetime.deadline(cx, amount, "msetex") {
            Some(deadline) => ExpireChange::At(deadline),
            None => return,
        },
        ExpireOption::Keep => ExpireChange::Keep,
        ExpireOption::Unset | ExpireOption::Persist => ExpireChange::Clear,
    };
    let is_met = must_exist.is_none_or(|must_exist| {
        let mut keys = pairs.iter().step_by(2);
        keys.all(|key| cx.shard.exists(cx.db, key) == must_exist)
    });
    if is_met && !set_pairs(cx, pairs, expire) {
        return;
    }
    cx.reply.integer(is_met.into());
}

/// Whether all keys (XX) or none (NX) must exist, and what becomes of the lifetimes. `None` for options that are none.
fn set_options<'a>(mut args: &[&'a [u8]]) -> Option<(Option<bool>, ExpireOption<'a>)> {
    let (mut must_exist, mut expire) = (None, ExpireOption::Unset);
    while let [word, rest @ ..] = args {
        let option = args;
        let exist = if is(word, "XX") {
            Some(true)
        } else if is(word, "NX") {
            Some(false)
        } else {
            None
        };
        args = rest;
        if exist.is_some() {
            if must_exist.is_some() && must_exist != exist {
                return None;
            }
            must_exist = exist;
            continue;
        }
        let taken = expire.read(option)?;
        if expire == ExpireOption::Persist {
            return None;
        }
        args = &option[taken..];
    }
    Some((must_exist, expire))
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
    fn with_one_lifetime() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSETEX 2 a 1 b 2 EX 10", "1"),
            ("TTL b", "10"),
            ("MSETEX 2 a 3 c 4 NX", "0"),
            ("MSETEX 2 a 3 c 4 XX PX 500", "0"),
            ("MSETEX 2 b 5 a 3 xx keepttl", "1"),
            ("MGET a b c", "[\"3\" \"5\" (nil)]"),
            ("TTL a", "10"),
            ("MSETEX 1 a 1", "1"),
            ("TTL a", "-1"),
            ("MSETEX 0 a 1", "ERR invalid numkeys value"),
            ("MSETEX 2147483648 a 1", "ERR invalid numkeys value"),
            ("MSETEX a 1 ex 10", "ERR invalid numkeys value"),
            ("MSETEX 2 a 1 b", "ERR wrong number of key-value pairs"),
            (
                "MSETEX 2147483647 a 1 ex 10",
                "ERR wrong number of key-value pairs",
            ),
            ("MSETEX 1 a 1 NX XX", "ERR syntax error"),
            ("MSETEX 1 a 1 PERSIST", "ERR syntax error"),
            ("MSETEX 1 a 1 EX 1 PX 1", "ERR syntax error"),
            (
                "MSETEX 1 a 1 EX 0",
                "ERR invalid expire time in 'msetex' command",
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
