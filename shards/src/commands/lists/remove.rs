//! LREM: block by block, in slices if the list is long.

use tessera_core::list::{End, List};
use tessera_core::resp::{Chain, Proto, Reply};

use super::{ELEMENTS_PER_SLICE, ROW};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::integer;
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const LREM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lrem",
        arity: 4,
        flags: flag::WRITE,
        keys: &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)],
        summary: "Removes elements of a list that equal an element: the first ones, the last ones or all.",
        complexity: "O(N) with N elements; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_lrem,
    spread: Spread::One,
};

fn op_lrem(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(count) = integer(cx, args[2]) else {
        return;
    };
    match cx.shard.check_object::<List>(cx.db, args[1]) {
        Ok(true) => {}
        Ok(false) => return cx.reply.integer(0),
        Err(WrongType) => return cx.wrong_type(),
    }
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut task = RemoveTask {
        db: cx.db,
        key: args[1].into(),
        proto: cx.reply.proto(),
        wanted: args[3].into(),
        from: if count < 0 { End::Back } else { End::Front },
        left: if most == 0 { usize::MAX } else { most },
        removed: 0,
        node: None,
    };
    if task.slice(cx.shard) {
        cx.reply.integer(task.removed as i64);
    } else {
        cx.task = Some(Box::new(task));
    }
}

/// A removal under way.
struct RemoveTask {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    wanted: Box<[u8]>,
    from: End,
    /// How many more may go.
    left: usize,
    removed: usize,
    /// The next node to look at; towards the front, the one behind it.
    node: Option<usize>,
}

impl RemoveTask {
    /// Looks at some more nodes and says whether that was all.
    fn slice(&mut self, shard: &mut Shard) -> bool {
        let limits = shard.list_limits();
        let (db, key) = (self.db, std::mem::take(&mut self.key));
        let ended = shard.change_object(db, &key, |list: &mut List| {
            let has_ended = self.some_nodes(list);
            if has_ended && self.removed > 0 {
                list.shrunk(&limits);
            }
            has_ended
        });
        // Without a list there is nothing more to do.
        let has_ended = !matches!(ended, Ok(Some(false)));
        if has_ended && self.removed > 0 {
            shard.changed_by(db, &key, event::LREM);
        }
        self.key = key;
        has_ended
    }

    fn some_nodes(&mut self, list: &mut List) -> bool {
        let mut looked = 0;
        while looked < ELEMENTS_PER_SLICE && self.left > 0 {
            let nodes = list.node_count();
            let at = match self.from {
                End::Front => self.node.unwrap_or(0),
                End::Back => self.node.unwrap_or(nodes).wrapping_sub(1),
            };
            if at >= nodes {
                return true;
            }
            looked += list.node_len(at);
            let (removed, is_gone) = list.remove_equal(at, &self.wanted, self.left, self.from);
            self.left -= removed;
            self.removed += removed;
            self.node = Some(match self.from {
                End::Front if !is_gone => at + 1,
                _ => at,
            });
        }
        self.left == 0
    }
}

impl Task for RemoveTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let has_ended = self.slice(shard);
        if has_ended {
            Reply::new(reply.tail(), self.proto).integer(self.removed as i64);
        }
        has_ended
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn the_first_the_last_or_all() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LREM l 0 a", "0"),
            ("RPUSH l a b a 7 a b a", "7"),
            ("LREM l 1 a", "1"),
            ("LREM l -1 a", "1"),
            ("LRANGE l 0 -1", "[\"b\" \"a\" \"7\" \"a\" \"b\"]"),
            ("LREM l 0 a", "2"),
            ("LREM l 5 7", "1"),
            ("LREM l 0 none", "0"),
            ("LREM l x b", "ERR value is not an integer or out of range"),
            ("LREM l -9 b", "2"),
            ("EXISTS l", "0"),
        ]);
    }

    #[test]
    fn a_long_list_in_slices() {
        for (count, removed, first) in [
            (0, 4_000, "\"1\""),
            (3_000, 3_000, "\"1\""),
            (-3_000, 3_000, "\"0\""),
        ] {
            let mut rig = Rig::new();
            for number in 0..20_000 {
                rig.run(&format!("RPUSH l {}", number % 5));
            }
            assert_eq!(rig.run(&format!("LREM l {count} 0")), removed.to_string());
            assert!(rig.slices > 0, "{count}");
            rig.check(&[
                ("LLEN l", &(20_000 - removed).to_string()),
                ("LINDEX l 0", first),
            ]);
        }
        let mut rig = Rig::new();
        for _ in 0..20_000 {
            rig.run("RPUSH l same");
        }
        rig.check(&[("LREM l 0 same", "20000"), ("EXISTS l", "0")]);
    }
}
