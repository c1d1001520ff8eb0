//! ZSCAN.

use tessera_core::glob::glob_match;
use tessera_core::number::write_double;
use tessera_core::resp::Reply;
use tessera_core::zset::Zset;

use super::{READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::scan_options::{ScanOptions, begins, held};

pub(super) const ZSCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zscan",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "2.8.0",
        summary: "Returns some of the members of a sorted set with their scores, and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N members",
        ..ROW
    },
    op: op_zscan,
    spread: Spread::One,
};

/// Scores up to this are integers in a packed set, and shown as they lie there.
const PACKED_INTEGER_MAX: f64 = (1u64 << 62) as f64;

fn op_zscan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !begins::<Zset>(cx, args) {
        return;
    }
    let Some(options) = ScanOptions::parse(cx, args[2], &args[3..], &[]) else {
        return;
    };
    let (mut bulks, mut found) = (Vec::new(), 0);
    let mut reply = Reply::new(&mut bulks, cx.reply.proto());
    let cursor = held::<Zset>(cx, args[1]).map_or(0, |zset| {
        let is_packed = zset.as_listpack().is_some();
        options.pass(|cursor, visited| {
            zset.scan(cursor, &mut |member, score| {
                *visited += 1;
                let mut digits = itoa::Buffer::new();
                let name = member.text(&mut digits);
                let is_wanted = options
                    .pattern
                    .is_none_or(|pattern| glob_match(pattern, name));
                if is_wanted {
                    found += 2;
                    reply.bulk(name);
                    reply_score(&mut reply, score, is_packed);
                }
            })
        })
    });
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    cx.reply.array(found);
    cx.reply.raw(&bulks);
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
    fn scan() {
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
}
