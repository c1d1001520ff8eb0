//! ZSCAN.

use tessera_core::number::write_double;
use tessera_core::resp::Reply;
use tessera_core::zset::Zset;

use super::{READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::scan_options::scan;

pub(super) const ZSCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zscan",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "2.8.0",
        summary: "Returns some of the members of a sorted set with their scores, and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N members; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_zscan,
    spread: Spread::One,
};

/// Scores up to this are integers in a packed set, and shown as they lie there.
const PACKED_INTEGER_MAX: f64 = (1u64 << 62) as f64;

fn op_zscan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    scan::<Zset>(cx, args, &[], |zset, cursor, _now_ms, see| {
        let is_packed = zset.as_listpack().is_some();
        zset.scan(cursor, &mut |member, score| {
            let mut digits = itoa::Buffer::new();
            see(
                member.text(&mut digits),
                Some(&|reply| reply_score(reply, score, is_packed)),
            );
        })
    });
}

/// A bulk in either protocol. As in Redis, a packed set shows large whole scores with all their digits.
fn reply_score(reply: &mut Reply<'_>, score: f64, is_packed: bool) {
    if is_packed && score.abs() <= PACKED_INTEGER_MAX && score.trunc() == score {
        return reply.bulk_integer(score as i64);
    }
    let mut text = Vec::with_capacity(24);
    write_double(&mut text, score);
    reply.bulk(&text);
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn zscan() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZSCAN none 0", "[\"0\" []]"),
            ("ZSCAN none 0 COUNT -72", "[\"0\" []]"),
            ("ZADD z 1 a 2.5 b 1e18 ab", "3"),
            (
                "ZSCAN z 0",
                "[\"0\" [\"a\" \"1\" \"b\" \"2.5\" \"ab\" \"1000000000000000000\"]]",
            ),
            (
                "ZSCAN z 0 MATCH a* COUNT 1",
                "[\"0\" [\"a\" \"1\" \"ab\" \"1000000000000000000\"]]",
            ),
            ("ZSCAN z x", "ERR invalid cursor"),
            ("ZSCAN z 0 COUNT 0", "ERR syntax error"),
            ("ZSCAN z 0 novalues", "ERR syntax error"),
        ]);
        for i in 0..2_000 {
            rig.run(&format!("ZADD big {i} m{i}"));
        }
        let (mut cursor, mut seen, mut calls) =
            ("0".to_owned(), std::collections::BTreeSet::new(), 0);
        loop {
            let shown = rig.run(&format!("ZSCAN big {cursor} COUNT 50"));
            let (next, elements) = shown[1..shown.len() - 2].split_once(" [").unwrap();
            for pair in elements.split(' ').collect::<Vec<_>>().chunks(2) {
                assert_eq!(pair[0].replace('m', ""), pair[1]);
                seen.insert(pair[0].to_owned());
            }
            cursor = next.trim_matches('"').to_owned();
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        assert!(seen.len() == 2_000 && calls > 10);
    }

    #[test]
    fn long_calls_in_slices() {
        let mut rig = Rig::new();
        for n in 0..5_000 {
            rig.run(&format!("ZADD z {n} m{n}"));
            rig.run(&format!("HSET h f{n} v{n}"));
            rig.run(&format!("SADD s m{n}"));
        }
        for (line, elements) in [
            ("ZSCAN z 0 COUNT 6000", 10_000),
            ("HSCAN h 0 COUNT 6000", 10_000),
            ("HSCAN h 0 COUNT 6000 NOVALUES", 5_000),
            ("SSCAN s 0 COUNT 6000", 5_000),
            ("SSCAN s 0 MATCH m12?? COUNT 6000", 100),
        ] {
            let shown = rig.run(line);
            assert!(rig.slices > 2, "{line}: {}", rig.slices);
            assert!(shown.starts_with("[\"0\" ["), "{line}");
            assert_eq!(shown.split(' ').count(), 1 + elements, "{line}");
        }
        // As many as were asked for, and a cursor to go on with.
        let shown = rig.run("HSCAN h 0 COUNT 3000 NOVALUES");
        let found = shown.split(' ').count() - 1;
        assert!((3_000..3_100).contains(&found), "{found}");
        assert!(!shown.starts_with("[\"0\""));
    }
}
