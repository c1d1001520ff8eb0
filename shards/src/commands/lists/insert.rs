//! LINSERT: looks for the pivot, in slices if the list is long, then inserts.

use tessera_core::list::{End, List};
use tessera_core::resp::{Chain, Proto, Reply};

use super::position::Search;
use super::{ROW, list_at};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, is};
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const LINSERT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "linsert",
        arity: 5,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        since: "2.2.0",
        summary: "Puts an element before or after the first one of a list that equals another.",
        complexity: "O(N) with N elements up to that one; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_linsert,
    spread: Spread::One,
};

fn op_linsert(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let is_after = match args[2] {
        word if is(word, "AFTER") => true,
        word if is(word, "BEFORE") => false,
        _ => return cx.error(SYNTAX),
    };
    match cx.shard.check_object::<List>(cx.db, args[1]) {
        Ok(true) => {}
        Ok(false) => return cx.reply.integer(0),
        Err(WrongType) => return cx.wrong_type(),
    }
    let mut task = InsertTask {
        db: cx.db,
        key: args[1].into(),
        proto: cx.reply.proto(),
        search: Search::new(args[3], End::Back, usize::MAX),
        is_after,
        element: args[4].into(),
    };
    match task.slice(cx.shard) {
        Some(len) => cx.reply.integer(len),
        None => cx.task = Some(Box::new(task)),
    }
}

/// An insertion whose place is being looked for.
struct InsertTask {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    search: Search,
    is_after: bool,
    element: Box<[u8]>,
}

impl InsertTask {
    /// Looks at some more elements. Returns the reply at the end: the new length, -1 if there is no such element, 0 without a list.
    fn slice(&mut self, shard: &mut Shard) -> Option<i64> {
        let Some(list) = list_at(shard, self.db, &self.key) else {
            return Some(0);
        };
        let mut pivot = None;
        let has_ended = self.search.step(list, &mut |index| {
            pivot = Some(index);
            true
        });
        let Some(pivot) = pivot else {
            return has_ended.then_some(-1);
        };
        let (limits, at) = (shard.list_limits(), pivot + usize::from(self.is_after));
        let len = shard.change_object(self.db, &self.key, |list: &mut List| {
            list.insert(at, &self.element, &limits);
            list.len()
        });
        let Ok(Some(len)) = len else {
            return Some(0);
        };
        shard.changed_by(self.db, &self.key, event::LINSERT);
        Some(len as i64)
    }
}

impl Task for InsertTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let Some(len) = self.slice(shard) else {
            return false;
        };
        Reply::new(reply.tail(), self.proto).integer(len);
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn before_and_after() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LINSERT l BEFORE a b", "0"),
            ("RPUSH l a 5 a", "3"),
            ("LINSERT l before a x", "4"),
            ("LINSERT l AFTER 5 y", "5"),
            ("LINSERT l AFTER none y", "-1"),
            ("LINSERT l BESIDE 5 y", "ERR syntax error"),
            ("LRANGE l 0 -1", "[\"x\" \"a\" \"5\" \"y\" \"a\"]"),
            ("RPUSH k a", "1"),
            ("LINSERT k AFTER a b", "2"),
            ("LRANGE k 0 -1", "[\"a\" \"b\"]"),
        ]);
    }

    #[test]
    fn far_into_a_long_list() {
        let mut rig = Rig::new();
        for number in 0..20_000 {
            rig.run(&format!("RPUSH l {number}"));
        }
        rig.check(&[("LINSERT l BEFORE 15000 here", "20001")]);
        assert!(rig.slices > 2, "{}", rig.slices);
        rig.check(&[
            ("LRANGE l 14999 15001", "[\"14999\" \"here\" \"15000\"]"),
            ("LINSERT l AFTER none x", "-1"),
            ("LLEN l", "20001"),
        ]);
    }
}
