//! From one list to another: LMOVE, RPOPLPUSH.

use tessera_core::list::{End, List, ListLimits};

use super::{ROW, end, popped, pushed};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;

pub(super) const LMOVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lmove",
        arity: 5,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::RW | access::ACCESS | access::DELETE, 1, 0, 1),
            KeySpec::range(access::RW | access::INSERT, 2, 0, 1),
        ],
        since: "6.2.0",
        summary: "Moves the element at one end of a list to an end of another list and returns it.",
        complexity: "O(1)",
        ..ROW
    },
    op: op_lmove,
    spread: Spread::Borrow,
};

fn op_lmove(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(from) = end(cx, args[3]) else {
        return;
    };
    let Some(to) = end(cx, args[4]) else {
        return;
    };
    shift(cx, args[1], args[2], from, to);
}

pub(super) const RPOPLPUSH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "rpoplpush",
        arity: 3,
        since: "1.2.0",
        summary: "Moves the last element of a list to the front of another list and returns it.",
        ..LMOVE.spec
    },
    op: |cx, args| shift(cx, args[1], args[2], End::Back, End::Front),
    spread: Spread::Borrow,
};

pub(super) fn shift(cx: &mut Cx<'_>, source: &[u8], target: &[u8], from: End, to: End) {
    let (db, limits) = (cx.db, cx.shard.list_limits());
    match cx.shard.check_object::<List>(db, source) {
        Ok(true) => {}
        Ok(false) => return cx.reply.null(),
        Err(WrongType) => return cx.wrong_type(),
    }
    if cx.shard.check_object::<List>(db, target).is_err() {
        return cx.wrong_type();
    }
    let is_same = source == target;
    let element = cx.shard.change_object(db, source, |list: &mut List| {
        let element = pop(list, from, &limits)?;
        if is_same {
            list.push(to, &[&element], &limits);
        }
        Some(element)
    });
    let Ok(Some(Some(element))) = element else {
        return cx.reply.null();
    };
    if is_same {
        cx.shard.note(db, target, pushed(to));
    } else {
        let push = |list: &mut List| list.push(to, &[&element], &limits);
        let done = cx.shard.change_or_create(db, target, push);
        debug_assert!(done.is_ok(), "the type was checked");
        cx.shard.changed_by(db, target, pushed(to));
    }
    cx.shard.changed_by(db, source, popped(from));
    cx.reply.bulk(&element);
}

fn pop(list: &mut List, end: End, limits: &ListLimits) -> Option<Vec<u8>> {
    let element = list.at(list.end(end)?).to_vec();
    list.pop(end, limits);
    Some(element)
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn from_one_to_another() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LMOVE a b LEFT RIGHT", "(nil)"),
            ("RPUSH a 1 2 3", "3"),
            ("LMOVE a b LEFT RIGHT", "\"1\""),
            ("LMOVE a b right left", "\"3\""),
            ("RPOPLPUSH a b", "\"2\""),
            ("EXISTS a", "0"),
            ("LRANGE b 0 -1", "[\"2\" \"3\" \"1\"]"),
            ("LMOVE b b LEFT RIGHT", "\"2\""),
            ("RPOPLPUSH b b", "\"2\""),
            ("LRANGE b 0 -1", "[\"2\" \"3\" \"1\"]"),
            ("LMOVE b a UP LEFT", "ERR syntax error"),
            ("LMOVE b a LEFT DOWN", "ERR syntax error"),
        ]);
    }

    #[test]
    fn a_list_of_one_element_onto_itself_stays() {
        let mut rig = Rig::new();
        rig.check(&[
            ("RPUSH a x", "1"),
            ("EXPIRE a 100", "1"),
            ("RPOPLPUSH a a", "\"x\""),
            ("TTL a", "100"),
            ("LMOVE a b LEFT LEFT", "\"x\""),
            ("TTL b", "-1"),
        ]);
    }
}
