//! PFCOUNT.

use tessera_core::hyperloglog::{Registers, cached, count, estimate_of, set_cached};

use super::write::merge_all;
use super::{ROW, bytes_of, entry, read_layout, refuse};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};

pub(super) const PFCOUNT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pfcount",
        arity: -2,
        flags: flag::READONLY | flag::MAY_REPLICATE,
        keys: &[KeySpec {
            notes: "RW because it may change the internal representation of the key, and propagate to replicas",
            ..KeySpec::range(access::RW | access::ACCESS, 1, -1, 1)
        }],
        summary: "Returns about how many distinct elements were added to HyperLogLogs.",
        complexity: "O(1) for one whose count is cached, else O(N) with N HyperLogLogs and a large constant",
        ..ROW
    },
    op: op_pfcount,
    spread: Spread::Borrow,
};

fn op_pfcount(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if let [_, key] = args {
        return one(cx, key);
    }
    let mut registers: Box<Registers> = Box::new([0; _]);
    if merge_all(cx, &args[1..], &mut registers).is_some() {
        cx.reply.integer(estimate_of(&registers) as i64);
    }
}

/// One key: the count is kept in the string until it changes.
fn one(cx: &mut Cx<'_>, key: &[u8]) {
    match read_layout(cx, key) {
        None => return,
        Some(None) => return cx.reply.integer(0),
        Some(Some(_)) => {}
    }
    let Some(mut found) = entry(cx, key) else {
        return;
    };
    let string = found.bytes_mut();
    let (estimate, is_fresh) = match cached(string) {
        Some(cached) => (Ok(cached), true),
        None => (count(string), false),
    };
    match estimate {
        Ok(estimate) => {
            if !is_fresh {
                set_cached(string, Some(estimate));
                cx.shard.changed(cx.db, key);
            }
            cx.reply.integer(estimate as i64);
        }
        Err(why) => refuse(cx, why),
    }
}

/// The bytes under a key that has been checked.
pub(super) fn string_of<'a>(cx: &'a Cx<'_>, key: &[u8]) -> Option<&'a [u8]> {
    bytes_of(cx.shard.table(cx.db).get(cx.shard.hash(key), key))
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn the_count_is_cached_in_the_string() {
        let mut rig = Rig::new();
        rig.check(&[
            ("PFCOUNT none", "0"),
            ("PFCOUNT none none", "0"),
            ("PFADD h a b", "1"),
            (
                "GETRANGE h 8 15",
                "\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\"",
            ),
            ("PFCOUNT h", "2"),
            (
                "GETRANGE h 8 15",
                "\"\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"",
            ),
            ("SETRANGE h 8 \"\\x07\"", "24"),
            ("PFCOUNT h", "7"),
            ("PFCOUNT h none", "2"),
            ("PFADD h c", "1"),
            ("PFCOUNT h", "3"),
        ]);
    }

    #[test]
    fn large_ones_are_estimated() {
        let mut rig = Rig::new();
        for hundred in 0..300 {
            let elements: Vec<String> = (0..100).map(|i| (hundred * 100 + i).to_string()).collect();
            rig.run(&format!("PFADD h{} {}", hundred % 2, elements.join(" ")));
        }
        for (line, total) in [("PFCOUNT h0", 15_000i64), ("PFCOUNT h0 h1", 30_000)] {
            let count: i64 = rig.run(line).parse().unwrap();
            assert!((count - total).abs() < total / 30, "{line}: {count}");
        }
    }
}
