//! Single places: LLEN, LINDEX, LSET.

use tessera_core::list::List;
use tessera_core::number::parse_i64;

use super::{READS, ROW, reply_item};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{NOT_INTEGER, integer};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const LLEN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "llen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, 0, 1)],
        summary: "Returns the number of elements of a list.",
        complexity: "O(1)",
        ..ROW
    },
    op: op_llen,
    spread: Spread::One,
};

fn op_llen(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<List>(cx.db, args[1]) {
        Ok(list) => cx.reply.integer(list.map_or(0, List::len) as i64),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const LINDEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lindex",
        arity: 3,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns the element of a list with a number, which may count from the end.",
        complexity: "O(N) with N blocks of elements to the nearer end; O(1) for both ends",
        ..ROW
    },
    op: op_lindex,
    spread: Spread::One,
};

fn op_lindex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let list = match cx.shard.read_object::<List>(cx.db, args[1]) {
        Ok(Some(list)) => list,
        Ok(None) => return cx.reply.null(),
        Err(WrongType) => return cx.wrong_type(),
    };
    let Some(index) = parse_i64(args[2]) else {
        return cx.reply.error(NOT_INTEGER);
    };
    match place(index, list.len()).and_then(|at| list.get(at)) {
        Some(item) => reply_item(&mut cx.reply, item),
        None => cx.reply.null(),
    }
}

/// The place that a number means, which counts from the end if negative.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(len as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|at| *at < len)
}

pub(super) const LSET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lset",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        summary: "Puts an element in place of the one with a number.",
        complexity: "O(N) with N blocks of elements to the nearer end; O(1) for both ends",
        ..ROW
    },
    op: op_lset,
    spread: Spread::One,
};

fn op_lset(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    match cx.shard.check_object::<List>(cx.db, key) {
        Ok(true) => {}
        Ok(false) => return cx.error("ERR no such key"),
        Err(WrongType) => return cx.wrong_type(),
    }
    let Some(index) = integer(cx, args[2]) else {
        return;
    };
    let limits = cx.shard.list_limits();
    let set = cx.shard.change_object(cx.db, key, |list: &mut List| {
        place(index, list.len()).is_some_and(|at| list.set(at, args[3], &limits))
    });
    if set == Ok(Some(true)) {
        cx.shard.changed_by(cx.db, key, event::LSET);
        cx.reply.ok();
    } else {
        cx.error("ERR index out of range");
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn places() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LLEN l", "0"),
            ("LINDEX l x", "(nil)"),
            ("LSET l x v", "ERR no such key"),
            ("RPUSH l a 12 c", "3"),
            ("LLEN l", "3"),
            ("LINDEX l 1", "\"12\""),
            ("LINDEX l -3", "\"a\""),
            ("LINDEX l 3", "(nil)"),
            ("LINDEX l -4", "(nil)"),
            ("LINDEX l -9223372036854775808", "(nil)"),
            ("LINDEX l x", "ERR value is not an integer or out of range"),
            ("LSET l -1 z", "OK"),
            ("LSET l 0 -7", "OK"),
            ("LSET l 3 z", "ERR index out of range"),
            ("LSET l -4 z", "ERR index out of range"),
            ("LSET l x z", "ERR value is not an integer or out of range"),
            ("LRANGE l 0 -1", "[\"-7\" \"12\" \"z\"]"),
        ]);
    }

    #[test]
    fn places_of_a_large_list() {
        let mut rig = Rig::new();
        for number in 0..5_000 {
            rig.run(&format!("RPUSH l element:{number}"));
        }
        rig.check(&[
            ("OBJECT ENCODING l", "\"quicklist\""),
            ("LINDEX l 2499", "\"element:2499\""),
            ("LINDEX l -1", "\"element:4999\""),
            ("LSET l 2500 changed", "OK"),
            ("LINDEX l -2500", "\"changed\""),
        ]);
    }
}
