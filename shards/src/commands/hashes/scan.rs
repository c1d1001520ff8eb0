//! HSCAN.

use tessera_core::hash::Hash;

use super::{READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::scan_options::scan;

pub(super) const HSCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hscan",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "2.8.0",
        summary: "Returns some of the fields of a hash with their values, and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N fields; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_hscan,
    spread: Spread::One,
};

/// NOVALUES (Redis 7.4) leaves the values out.
fn op_hscan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    scan::<Hash>(cx, args, &["NOVALUES"], |hash, cursor, now_ms, see| {
        hash.scan(cursor, now_ms, &mut |field, value| {
            let mut digits = itoa::Buffer::new();
            see(
                field.text(&mut digits),
                Some(&|reply| reply_item(reply, value)),
            );
        })
    });
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn hscan() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HSCAN none 0", "[\"0\" []]"),
            ("HSCAN none 0 COUNT -72", "[\"0\" []]"),
            ("HSET h a 1 b 2 ab 3", "3"),
            (
                "HSCAN h 0",
                "[\"0\" [\"a\" \"1\" \"b\" \"2\" \"ab\" \"3\"]]",
            ),
            (
                "HSCAN h 0 MATCH a* COUNT 1",
                "[\"0\" [\"a\" \"1\" \"ab\" \"3\"]]",
            ),
            ("HSCAN h 0 novalues", "[\"0\" [\"a\" \"b\" \"ab\"]]"),
            ("HSCAN h x", "ERR invalid cursor"),
            ("HSCAN h 0 COUNT 0", "ERR syntax error"),
            ("HSCAN h 0 bogus", "ERR syntax error"),
        ]);
        for field in 0..2_000 {
            rig.run(&format!("HSET big f{field} v"));
        }
        let (mut cursor, mut seen, mut calls) =
            ("0".to_owned(), std::collections::BTreeSet::new(), 0);
        loop {
            let shown = rig.run(&format!("HSCAN big {cursor} COUNT 50 NOVALUES"));
            let (next, fields) = shown[1..shown.len() - 2].split_once(" [").unwrap();
            seen.extend(
                fields
                    .split(' ')
                    .filter(|field| !field.is_empty())
                    .map(str::to_owned),
            );
            cursor = next.trim_matches('"').to_owned();
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        assert!(seen.len() == 2_000 && calls > 10);
    }
}
