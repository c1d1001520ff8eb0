//! LTRIM.

use tessera_core::list::List;
use tessera_core::number::parse_i64;
use tessera_core::object::Collection;

use super::{ROW, range};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::NOT_INTEGER;
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const LTRIM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "ltrim",
        arity: 4,
        flags: flag::WRITE,
        keys: &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)],
        summary: "Removes all elements of a list but those between two numbers, which may count from the end.",
        complexity: "O(N) with N blocks of elements removed",
        ..ROW
    },
    op: op_ltrim,
    spread: Spread::One,
};

fn op_ltrim(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, limits) = (args[1], cx.shard.list_limits());
    let (Some(start), Some(stop)) = (parse_i64(args[2]), parse_i64(args[3])) else {
        return cx.error(NOT_INTEGER);
    };
    let cut = cx.shard.change_object(cx.db, key, |list: &mut List| {
        let (start, count) = range(start, stop, list.len());
        let tail = list.cut(start + count, usize::MAX, &limits);
        [tail, list.cut(0, start, &limits)]
    });
    match cut {
        Ok(Some(cut)) => {
            // Who watches the key hears of it even if nothing went.
            cx.shard.changed_by(cx.db, key, event::LTRIM);
            for part in cut {
                cx.shard.discard_object(part.into_object());
            }
            cx.reply.ok();
        }
        Ok(None) => cx.reply.ok(),
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn both_sides_go() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LTRIM none 0 1", "OK"),
            ("RPUSH l a b c d e", "5"),
            ("LTRIM l 1 -2", "OK"),
            ("LRANGE l 0 -1", "[\"b\" \"c\" \"d\"]"),
            ("LTRIM l 0 9", "OK"),
            ("LLEN l", "3"),
            ("LTRIM l 2 1", "OK"),
            ("EXISTS l", "0"),
            (
                "LTRIM none x 1",
                "ERR value is not an integer or out of range",
            ),
        ]);
    }

    #[test]
    fn what_was_long_is_freed_in_slices() {
        let mut rig = Rig::new();
        for number in 0..20_000 {
            rig.run(&format!("RPUSH l element:{number}"));
        }
        rig.check(&[
            ("LTRIM l 9000 9001", "OK"),
            ("LRANGE l 0 -1", "[\"element:9000\" \"element:9001\"]"),
            ("OBJECT ENCODING l", "\"listpack\""),
        ]);
        assert!(rig.shard.mem_bytes() > 200_000, "still held");
        while rig.shard.collect_garbage() {}
        assert!(rig.shard.mem_bytes() < 10_000);
    }
}
