//! BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: the others' kin that wait for an element.

use tessera_core::list::{End, List};

use super::pop::{LMPOP, LPOP, mpop};
use super::shift::{LMOVE, shift};
use super::{end, popped, reply_item};
use crate::command::spec::{Begin, Find, KeySpec, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::waiting::{is_timeout, wait_for};
use crate::shard::WrongType;

const FLAGS: u32 = flag::WRITE | flag::NOSCRIPT | flag::BLOCKING;

pub(super) const BLPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "blpop",
        arity: -3,
        flags: FLAGS,
        keys: &[KeySpec {
            find: Find::Range {
                last: -2,
                step: 1,
                limit: 0,
            },
            ..LPOP.spec.keys[0]
        }],
        since: "2.0.0",
        summary: "Removes the first element of the first of several lists that is there; waits for one if there is none.",
        complexity: "O(N) with N keys",
        ..LPOP.spec
    },
    op: |cx, args| pop_first(cx, args, End::Front),
    spread: Spread::Borrow,
};

pub(super) const BRPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "brpop",
        summary: "Removes the last element of the first of several lists that is there; waits for one if there is none.",
        ..BLPOP.spec
    },
    op: |cx, args| pop_first(cx, args, End::Back),
    spread: Spread::Borrow,
};

fn pop_first(cx: &mut Cx<'_>, args: &[&[u8]], end: End) {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    if !is_timeout(cx, timeout) {
        return;
    }
    let limits = cx.shard.list_limits();
    for key in keys {
        let reply = &mut cx.reply;
        let found = cx.shard.change_object(cx.db, key, |list: &mut List| {
            if let Some(spot) = list.end(end) {
                reply.array(2);
                reply.bulk(key);
                reply_item(reply, list.at(spot));
            }
            list.pop(end, &limits);
        });
        match found {
            Ok(Some(())) => return cx.shard.changed_by(cx.db, key, popped(end)),
            Ok(None) => {}
            Err(WrongType) => return cx.wrong_type(),
        }
    }
    wait_for(cx, keys, |cx| cx.reply.null_array());
}

pub(super) const BLMPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "blmpop",
        arity: -5,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[KeySpec {
            begin: Begin::Index(2),
            ..LMPOP.spec.keys[0]
        }],
        summary: "Removes elements from the first of several lists that is there; waits for one if there is none.",
        ..LMPOP.spec
    },
    op: op_blmpop,
    spread: Spread::Borrow,
};

fn op_blmpop(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if let Some(keys) = mpop(cx, &args[1..], Some(args[1])) {
        wait_for(cx, keys, |cx| cx.reply.null_array());
    }
}

pub(super) const BLMOVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "blmove",
        arity: 6,
        flags: FLAGS | flag::DENYOOM,
        summary: "Moves the element at one end of a list to an end of another list; waits for one if there is none.",
        ..LMOVE.spec
    },
    op: op_blmove,
    spread: Spread::Borrow,
};

fn op_blmove(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(from) = end(cx, args[3]) else {
        return;
    };
    let Some(to) = end(cx, args[4]) else {
        return;
    };
    shift_or_wait(cx, args, from, to, args[5]);
}

pub(super) const BRPOPLPUSH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "brpoplpush",
        arity: 4,
        since: "2.2.0",
        summary: "Moves the last element of a list to the front of another list; waits for one if there is none.",
        ..BLMOVE.spec
    },
    op: |cx, args| shift_or_wait(cx, args, End::Back, End::Front, args[3]),
    spread: Spread::Borrow,
};

fn shift_or_wait(cx: &mut Cx<'_>, args: &[&[u8]], from: End, to: End, timeout: &[u8]) {
    if !is_timeout(cx, timeout) {
        return;
    }
    match cx.shard.check_object::<List>(cx.db, args[1]) {
        Err(WrongType) => cx.wrong_type(),
        Ok(true) => shift(cx, args[1], args[2], from, to),
        Ok(false) => wait_for(cx, &args[1..2], |cx| cx.reply.null()),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    /// Without a connection nothing waits: as in a transaction.
    #[test]
    fn what_is_there_and_what_is_wrong() {
        let mut rig = Rig::new();
        rig.check(&[
            ("RPUSH l 1 2 3 4 5 6", "6"),
            ("SET s v", "OK"),
            ("BLPOP a l 0", "[\"l\" \"1\"]"),
            ("BRPOP a l 0", "[\"l\" \"6\"]"),
            ("BLMPOP 0 2 a l LEFT COUNT 2", "[\"l\" [\"2\" \"3\"]]"),
            ("BLMOVE l m RIGHT LEFT 0", "\"5\""),
            ("BRPOPLPUSH l m 0", "\"4\""),
            ("LRANGE m 0 -1", "[\"4\" \"5\"]"),
            ("BLPOP l 0", "(nil)"),
            ("BLMOVE l m LEFT LEFT 0", "(nil)"),
            ("BLMPOP 0 1 l LEFT", "(nil)"),
            ("BLPOP l -1", "ERR timeout is negative"),
            ("BLPOP l x", "ERR timeout is not a float or out of range"),
            ("BLPOP l inf", "ERR timeout is out of range"),
            ("BLPOP l 9223372036854775807", "ERR timeout is out of range"),
            (
                "BLPOP s l 0",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "BLMOVE s l LEFT LEFT 0",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "BLMOVE m s LEFT LEFT 0",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("BLMOVE m l UP LEFT x", "ERR syntax error"),
            ("BLMPOP 0 0 l LEFT", "ERR numkeys should be greater than 0"),
            ("BLMPOP x 0 l LEFT", "ERR numkeys should be greater than 0"),
        ]);
    }
}
