//! SSCAN.

use tessera_core::set::Set;

use super::{READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::scan_options::scan;

pub(super) const SSCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "sscan",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "2.8.0",
        summary: "Returns some of the members of a set, and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N members; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_sscan,
    spread: Spread::One,
};

fn op_sscan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    scan::<Set>(cx, args, &[], |set, cursor, _now_ms, see| {
        set.scan(cursor, &mut |member| {
            see(member.text(&mut itoa::Buffer::new()), None);
        })
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::commands::rig::Rig;

    #[test]
    fn sscan() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SSCAN none 0", "[\"0\" []]"),
            ("SSCAN none 0 bogus", "[\"0\" []]"),
            ("SSCAN none x", "ERR invalid cursor"),
            ("SADD s a b ab", "3"),
            ("SSCAN s 0", "[\"0\" [\"a\" \"b\" \"ab\"]]"),
            ("SSCAN s 0 MATCH a* COUNT 1", "[\"0\" [\"a\" \"ab\"]]"),
            ("SSCAN s 0 COUNT 0", "ERR syntax error"),
            ("SSCAN s 0 bogus", "ERR syntax error"),
            ("SADD i 1 22", "2"),
            ("SSCAN i 0 COUNT 1 MATCH ??", "[\"0\" [\"22\"]]"),
        ]);
        for member in 0..2_000 {
            rig.run(&format!("SADD big m{member}"));
        }
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let shown = rig.run(&format!("SSCAN big {cursor} COUNT 50"));
            let (next, members) = shown[1..shown.len() - 2].split_once(" [").unwrap();
            let members = members.split(' ').filter(|member| !member.is_empty());
            seen.extend(members.map(str::to_owned));
            cursor = next.trim_matches('"').to_owned();
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        assert!(seen.len() == 2_000 && calls > 10);
    }
}
