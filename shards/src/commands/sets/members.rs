//! Single members: SADD, SREM, SISMEMBER, SMISMEMBER, SCARD, SMOVE.

use tessera_core::listpack::Item;
use tessera_core::set::Set;

use super::{LOOKS, READS, ROW, WRITES};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;
use crate::shard::event::{self, Event};

pub(super) const SADD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sadd",
        arity: -3,
        flags: WRITES | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        summary: "Adds members to a set, which is created if need be.",
        complexity: "O(N) with N members",
        ..ROW
    },
    op: op_sadd,
    spread: Spread::One,
};

fn op_sadd(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, members, limits) = (args[1], &args[2..], cx.shard.set_limits());
    let added = cx.shard.change_or_create(cx.db, key, |set: &mut Set| {
        if set.is_empty() {
            *set = Set::for_members(members[0], members.len(), &limits);
        } else {
            set.expect(members.len(), &limits);
        }
        let add = |member: &&&[u8]| set.add(member, &limits);
        members.iter().filter(add).count()
    });
    reply_changes(cx, key, added, event::SADD);
}

pub(super) const SREM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "srem",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)],
        summary: "Removes members of a set, and the set when the last one goes.",
        complexity: "O(N) with N members",
        ..ROW
    },
    op: op_srem,
    spread: Spread::One,
};

fn op_srem(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let removed = cx.shard.change_object(cx.db, key, |set: &mut Set| {
        let remove = |member: &&&[u8]| set.remove(member);
        args[2..].iter().filter(remove).count()
    });
    let removed = removed.map(Option::unwrap_or_default);
    reply_changes(cx, key, removed, event::SREM);
}

/// Replies with the number of members that came or went.
fn reply_changes(cx: &mut Cx<'_>, key: &[u8], changes: Result<usize, WrongType>, event: Event) {
    match changes {
        Ok(changes) => {
            if changes > 0 {
                cx.shard.changed_by(cx.db, key, event);
            }
            cx.reply.integer(changes as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const SISMEMBER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sismember",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        summary: "Says whether something is a member of a set.",
        ..ROW
    },
    op: op_sismember,
    spread: Spread::One,
};

fn op_sismember(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Set>(cx.db, args[1]) {
        Ok(set) => {
            let found = set.is_some_and(|set| set.contains(Item::Bytes(args[2])));
            cx.reply.integer(found.into());
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const SMISMEMBER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "smismember",
        arity: -3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "6.2.0",
        summary: "Says of several things whether they are members of a set.",
        complexity: "O(N) with N members asked for",
        ..ROW
    },
    op: op_smismember,
    spread: Spread::One,
};

fn op_smismember(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Ok(set) = cx.shard.read_object::<Set>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(args.len() - 2);
    for member in &args[2..] {
        let found = set.is_some_and(|set| set.contains(Item::Bytes(member)));
        cx.reply.integer(found.into());
    }
}

pub(super) const SCARD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "scard",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        summary: "Returns the number of members of a set.",
        complexity: "O(1)",
        ..ROW
    },
    op: op_scard,
    spread: Spread::One,
};

fn op_scard(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Set>(cx.db, args[1]) {
        Ok(set) => cx.reply.integer(set.map_or(0, Set::len) as i64),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const SMOVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "smove",
        arity: 4,
        flags: flag::WRITE | flag::FAST,
        keys: &[
            KeySpec::range(access::RW | access::ACCESS | access::DELETE, 1, 0, 1),
            KeySpec::range(access::RW | access::INSERT, 2, 0, 1),
        ],
        summary: "Moves a member from one set to another.",
        ..ROW
    },
    op: op_smove,
    spread: Spread::Borrow,
};

fn op_smove(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (from, to, member, limits) = (args[1], args[2], args[3], cx.shard.set_limits());
    match cx.shard.check_object::<Set>(cx.db, from) {
        Ok(true) => {}
        Ok(false) => return cx.reply.integer(0),
        Err(WrongType) => return cx.wrong_type(),
    }
    if cx.shard.check_object::<Set>(cx.db, to).is_err() {
        return cx.wrong_type();
    }
    let moved = cx.shard.change_object(cx.db, from, |set: &mut Set| {
        if from == to {
            set.contains(Item::Bytes(member))
        } else {
            set.remove(member)
        }
    });
    let moved = moved.is_ok_and(|moved| moved.unwrap_or(false));
    if moved && from != to {
        cx.shard.changed_by(cx.db, from, event::SREM);
        let added = cx.shard.change_or_create(cx.db, to, |set: &mut Set| {
            if set.is_empty() {
                *set = Set::for_members(member, 1, &limits);
            }
            set.add(member, &limits)
        });
        if added.is_ok_and(|added| added) {
            cx.shard.changed_by(cx.db, to, event::SADD);
        }
    }
    cx.reply.integer(moved.into());
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn members() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD s a 1 a", "2"),
            ("SADD s a", "0"),
            ("SISMEMBER s 1", "1"),
            ("SISMEMBER s 01", "0"),
            ("SISMEMBER none 1", "0"),
            ("SMISMEMBER s 1 x a", "[1 0 1]"),
            ("SMISMEMBER none x", "[0]"),
            ("SCARD s", "2"),
            ("SCARD none", "0"),
            ("TYPE s", "set"),
            ("SREM s x a a", "1"),
            ("SREM s 1", "1"),
            ("EXISTS s", "0"),
            ("SREM s 1", "0"),
            ("SADD s", "ERR wrong number of arguments for 'sadd' command"),
        ]);
    }

    #[test]
    fn smove() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD a 1 2", "2"),
            ("SMOVE a b 1", "1"),
            ("SMOVE a b 1", "0"),
            ("SMOVE a a 2", "1"),
            ("SMOVE a a 3", "0"),
            ("SADD b 2", "1"),
            ("SMOVE a b 2", "1"),
            ("EXISTS a", "0"),
            ("SCARD b", "2"),
            ("SMOVE none b 1", "0"),
            ("SET str v", "OK"),
            ("SMOVE b str 1", WRONG),
            ("SMOVE b str none", WRONG),
            ("SMOVE str b 1", WRONG),
            ("SMOVE none str 1", "0"),
        ]);
    }

    #[test]
    fn encodings() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD s 1", "1"),
            ("OBJECT ENCODING s", "\"intset\""),
            ("SADD s a", "1"),
            ("OBJECT ENCODING s", "\"listpack\""),
            ("SREM s a", "1"),
            ("OBJECT ENCODING s", "\"listpack\""),
        ]);
        rig.run(&format!("SADD s {}", "x".repeat(65)));
        rig.check(&[("OBJECT ENCODING s", "\"hashtable\"")]);
        rig.shard.settings.thresholds.set_integers_max = 3;
        rig.shard.settings.thresholds.set_entries_max = 2;
        rig.check(&[
            ("SADD i 1 2 3", "3"),
            ("OBJECT ENCODING i", "\"intset\""),
            ("SADD i 4", "1"),
            ("OBJECT ENCODING i", "\"hashtable\""),
            ("SADD h a b c", "3"),
            ("OBJECT ENCODING h", "\"hashtable\""),
            ("SADD p a b", "2"),
            ("OBJECT ENCODING p", "\"listpack\""),
            ("SADD p a b c", "1"),
            ("OBJECT ENCODING p", "\"hashtable\""),
        ]);
    }

    #[test]
    fn other_types_are_refused() {
        let mut rig = Rig::new();
        rig.check(&[("SET str v", "OK"), ("HSET h f v", "1"), ("SADD s m", "1")]);
        for line in [
            "SADD str a",
            "SREM str a",
            "SISMEMBER str a",
            "SMISMEMBER h a",
            "SCARD str",
            "SMEMBERS h",
            "SPOP str",
            "SPOP h 1",
            "SRANDMEMBER str",
            "SRANDMEMBER str 1",
            "SSCAN h 0",
            "SINTER s str",
            "SUNION str s",
            "SDIFF none str",
            "SINTERSTORE d none str",
            "SUNIONSTORE d s h",
            "SINTERCARD 2 s h",
            "GET s",
            "HGET s f",
        ] {
            assert_eq!(rig.run(line), WRONG, "{line}");
        }
        rig.check(&[
            ("EXISTS d", "0"),
            ("COPY s c", "1"),
            ("SMEMBERS c", "[\"m\"]"),
        ]);
    }
}
