//! LPUSH, RPUSH, LPUSHX, RPUSHX.

use tessera_core::list::{End, List};

use super::{ROW, pushed};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;

pub(super) const LPUSH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lpush",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        summary: "Puts elements before the first one of a list, which is created if need be.",
        complexity: "O(N) with N elements added",
        ..ROW
    },
    op: |cx, args| push(cx, args, End::Front),
    spread: Spread::One,
};

pub(super) const RPUSH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "rpush",
        summary: "Puts elements after the last one of a list, which is created if need be.",
        ..LPUSH.spec
    },
    op: |cx, args| push(cx, args, End::Back),
    spread: Spread::One,
};

pub(super) const LPUSHX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lpushx",
        since: "2.2.0",
        summary: "Puts elements before the first one of a list, only if the list exists.",
        ..LPUSH.spec
    },
    op: |cx, args| push_to_existing(cx, args, End::Front),
    spread: Spread::One,
};

pub(super) const RPUSHX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "rpushx",
        summary: "Puts elements after the last one of a list, only if the list exists.",
        ..LPUSHX.spec
    },
    op: |cx, args| push_to_existing(cx, args, End::Back),
    spread: Spread::One,
};

fn push(cx: &mut Cx<'_>, args: &[&[u8]], end: End) {
    let (key, limits) = (args[1], cx.shard.list_limits());
    let len = cx.shard.change_or_create(cx.db, key, |list: &mut List| {
        list.push(end, &args[2..], &limits);
        list.len()
    });
    match len {
        Ok(len) => {
            cx.shard.changed_by(cx.db, key, pushed(end));
            cx.reply.integer(len as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

fn push_to_existing(cx: &mut Cx<'_>, args: &[&[u8]], end: End) {
    let (key, limits) = (args[1], cx.shard.list_limits());
    let len = cx.shard.change_object(cx.db, key, |list: &mut List| {
        list.push(end, &args[2..], &limits);
        list.len()
    });
    match len {
        Ok(None) => cx.reply.integer(0),
        Ok(Some(len)) => {
            cx.shard.changed_by(cx.db, key, pushed(end));
            cx.reply.integer(len as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn both_ends() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LPUSHX l a", "0"),
            ("RPUSHX l a", "0"),
            ("EXISTS l", "0"),
            ("RPUSH l a b", "2"),
            ("LPUSH l 1 2", "4"),
            ("LPUSHX l x", "5"),
            ("RPUSHX l y z", "7"),
            (
                "LRANGE l 0 -1",
                "[\"x\" \"2\" \"1\" \"a\" \"b\" \"y\" \"z\"]",
            ),
            ("TYPE l", "list"),
            ("OBJECT ENCODING l", "\"listpack\""),
            ("SET s v", "OK"),
        ]);
        for line in [
            "LPUSH s a",
            "RPUSHX s a",
            "LPOP s",
            "LPOP s 0",
            "LLEN s",
            "LINDEX s 0",
            "LSET s 0 x",
            "LINSERT s BEFORE a b",
            "LRANGE s 0 1",
            "LREM s 0 a",
            "LTRIM s 0 1",
            "LPOS s a",
            "LMOVE s l LEFT LEFT",
            "LMOVE l s LEFT LEFT",
            "LMPOP 1 s LEFT",
            "HSET l f v",
            "GET l",
        ] {
            assert_eq!(rig.run(line), WRONG, "{line}");
        }
        assert_eq!(rig.run("LLEN l"), "7");
    }

    #[test]
    fn the_directive_decides_on_the_encoding() {
        let mut rig = Rig::new();
        rig.shard.settings.thresholds.list_size = 3;
        rig.check(&[
            ("RPUSH l 1 2 3", "3"),
            ("OBJECT ENCODING l", "\"listpack\""),
            ("RPUSH l 4", "4"),
            ("OBJECT ENCODING l", "\"quicklist\""),
            ("COPY l m", "1"),
            ("RPOP l 3", "[\"4\" \"3\" \"2\"]"),
            ("OBJECT ENCODING l", "\"listpack\""),
            ("LRANGE m 0 -1", "[\"1\" \"2\" \"3\" \"4\"]"),
        ]);
    }
}
