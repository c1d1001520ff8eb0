//! Single fields: HSET, HGET, HDEL and their kin.

use tessera_core::hash::Hash;

use super::{LOOKS, READS, ROW, WRITES, reply_item};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::wrong_arity;
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const HSET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hset",
        arity: -4,
        flags: WRITES,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        summary: "Sets the values of fields of a hash, which is created if need be.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hset,
    spread: Spread::One,
};

fn op_hset(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if let Some(added) = set_fields(cx, args, "hset") {
        cx.reply.integer(added as i64);
    }
}

pub(super) const HMSET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hmset",
        ..HSET.spec
    },
    op: op_hmset,
    spread: Spread::One,
};

fn op_hmset(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if set_fields(cx, args, "hmset").is_some() {
        cx.reply.ok();
    }
}

/// Sets fields and returns how many are new; writes the error otherwise.
fn set_fields(cx: &mut Cx<'_>, args: &[&[u8]], command: &str) -> Option<usize> {
    let (key, pairs) = (args[1], &args[2..]);
    if !pairs.len().is_multiple_of(2) {
        wrong_arity(cx, command);
        return None;
    }
    let (limits, now_ms) = (cx.shard.hash_limits(), cx.shard.now_ms);
    let added = cx.shard.change_or_create(cx.db, key, |hash: &mut Hash| {
        let set = |pair: &&[&[u8]]| {
            hash.drop_due(pair[0], now_ms);
            hash.set(pair[0], pair[1], &limits)
        };
        pairs.chunks_exact(2).filter(set).count()
    });
    match added {
        Ok(added) => {
            cx.shard.changed_by(cx.db, key, event::HSET);
            Some(added)
        }
        Err(WrongType) => {
            cx.wrong_type();
            None
        }
    }
}

pub(super) const HSETNX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hsetnx",
        arity: 4,
        flags: WRITES,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        summary: "Sets the value of a field of a hash, only if the field does not exist.",
        ..ROW
    },
    op: op_hsetnx,
    spread: Spread::One,
};

fn op_hsetnx(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, limits, now_ms) = (args[1], cx.shard.hash_limits(), cx.shard.now_ms);
    let added = cx.shard.change_or_create(cx.db, key, |hash: &mut Hash| {
        hash.drop_due(args[2], now_ms);
        let is_new = !hash.contains(args[2], now_ms);
        if is_new {
            hash.set(args[2], args[3], &limits);
        }
        is_new
    });
    match added {
        Ok(added) => {
            if added {
                cx.shard.changed_by(cx.db, key, event::HSET);
            }
            cx.reply.integer(added.into());
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const HGET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hget",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        summary: "Returns the value of a field of a hash.",
        ..ROW
    },
    op: op_hget,
    spread: Spread::One,
};

fn op_hget(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let now_ms = cx.shard.now_ms;
    match cx.shard.read_object::<Hash>(cx.db, args[1]) {
        Ok(hash) => match hash.and_then(|hash| hash.get(args[2], now_ms)) {
            Some(value) => reply_item(&mut cx.reply, value),
            None => cx.reply.null(),
        },
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const HMGET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hmget",
        arity: -3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        summary: "Returns the values of several fields of a hash.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hmget,
    spread: Spread::One,
};

fn op_hmget(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let now_ms = cx.shard.now_ms;
    let Ok(hash) = cx.shard.read_object::<Hash>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(args.len() - 2);
    for field in &args[2..] {
        match hash.and_then(|hash| hash.get(field, now_ms)) {
            Some(value) => reply_item(&mut cx.reply, value),
            None => cx.reply.null(),
        }
    }
}

pub(super) const HDEL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hdel",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)],
        summary: "Removes fields of a hash, and the hash when the last one goes.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hdel,
    spread: Spread::One,
};

fn op_hdel(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, now_ms) = (args[1], cx.shard.now_ms);
    let removed = cx.shard.change_object(cx.db, key, |hash: &mut Hash| {
        let remove = |field: &&&[u8]| !hash.drop_due(field, now_ms) && hash.remove(field);
        args[2..].iter().filter(remove).count()
    });
    match removed {
        Ok(removed) => {
            let removed = removed.unwrap_or(0);
            if removed > 0 {
                cx.shard.changed_by(cx.db, key, event::HDEL);
            }
            cx.reply.integer(removed as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const HLEN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hlen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        summary: "Returns the number of fields of a hash.",
        ..ROW
    },
    op: op_hlen,
    spread: Spread::One,
};

fn op_hlen(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Hash>(cx.db, args[1]) {
        Ok(hash) => cx.reply.integer(hash.map_or(0, Hash::len) as i64),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const HSTRLEN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hstrlen",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        since: "3.2.0",
        summary: "Returns the length of the value of a field of a hash.",
        ..ROW
    },
    op: op_hstrlen,
    spread: Spread::One,
};

fn op_hstrlen(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let now_ms = cx.shard.now_ms;
    match cx.shard.read_object::<Hash>(cx.db, args[1]) {
        Ok(hash) => {
            let value = hash.and_then(|hash| hash.get(args[2], now_ms));
            let length = value.map_or(0, |value| value.text_len());
            cx.reply.integer(length as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const HEXISTS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hexists",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        summary: "Says whether a hash has a field.",
        ..ROW
    },
    op: op_hexists,
    spread: Spread::One,
};

fn op_hexists(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let now_ms = cx.shard.now_ms;
    match cx.shard.read_object::<Hash>(cx.db, args[1]) {
        Ok(hash) => {
            let found = hash.is_some_and(|hash| hash.contains(args[2], now_ms));
            cx.reply.integer(found.into());
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn fields() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HSET h a 1 b 2 a 3", "2"),
            ("HGET h a", "\"3\""),
            ("HGET h none", "(nil)"),
            ("HGET none a", "(nil)"),
            ("HMSET h c x", "OK"),
            ("HMGET h a none c", "[\"3\" (nil) \"x\"]"),
            ("HMGET none a b", "[(nil) (nil)]"),
            ("HSETNX h a 9", "0"),
            ("HSETNX h d 9", "1"),
            ("HLEN h", "4"),
            ("HSTRLEN h c", "1"),
            ("HSTRLEN h none", "0"),
            ("HEXISTS h d", "1"),
            ("HEXISTS h e", "0"),
            ("HDEL h a none b c d", "4"),
            ("EXISTS h", "0"),
            ("HDEL h a", "0"),
            ("HLEN h", "0"),
            (
                "HSET h a",
                "ERR wrong number of arguments for 'hset' command",
            ),
            (
                "HSET h a 1 b",
                "ERR wrong number of arguments for 'hset' command",
            ),
            (
                "HMSET h a 1 b",
                "ERR wrong number of arguments for 'hmset' command",
            ),
        ]);
    }

    #[test]
    fn other_types_are_refused_both_ways() {
        let mut rig = Rig::new();
        rig.check(&[("SET s v", "OK"), ("HSET h f v", "1"), ("TYPE h", "hash")]);
        for line in [
            "HSET s a 1",
            "HGET s a",
            "HDEL s a",
            "HLEN s",
            "HSETNX s a 1",
            "HMGET s a",
            "HGETALL s",
        ] {
            assert_eq!(rig.run(line), WRONG, "{line}");
        }
        for line in [
            "GET h",
            "APPEND h x",
            "INCR h",
            "INCRBYFLOAT h 1",
            "GETRANGE h 0 1",
            "SETRANGE h 0 x",
            "GETDEL h",
            "GETSET h x",
            "SET h x GET",
            "STRLEN h",
        ] {
            assert_eq!(rig.run(line), WRONG, "{line}");
        }
        rig.check(&[
            ("MGET s h", "[\"v\" (nil)]"),
            ("OBJECT ENCODING h", "\"listpack\""),
            ("EXPIRE h 10", "1"),
            ("COPY h c", "1"),
            ("TTL c", "10"),
            ("RENAME c d", "OK"),
            ("HGET d f", "\"v\""),
            ("SET h now", "OK"),
            ("TYPE h", "string"),
            ("TTL h", "-1"),
        ]);
    }

    #[test]
    fn large_hashes_are_freed_in_slices() {
        let mut rig = Rig::new();
        for field in 0..5_000 {
            rig.run(&format!("HSET h f{field} v"));
        }
        rig.check(&[
            ("OBJECT ENCODING h", "\"hashtable\""),
            ("DEL h", "1"),
            ("DBSIZE", "0"),
        ]);
        assert!(rig.shard.mem_bytes() > 100_000, "still held");
        let mut slices = 0;
        while rig.shard.collect_garbage() {
            slices += 1;
        }
        assert!(slices > 0 && rig.shard.mem_bytes() < 10_000);
    }
}
