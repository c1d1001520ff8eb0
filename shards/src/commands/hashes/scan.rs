//! HSCAN.

use tessera_core::glob::glob_match;
use tessera_core::hash::Hash;
use tessera_core::resp::Reply;

use super::{READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::scan_options::{ScanOptions, begins, held};

pub(super) const HSCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hscan",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "2.8.0",
        summary: "Returns some of the fields of a hash with their values, and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N fields",
        ..ROW
    },
    op: op_hscan,
    spread: Spread::One,
};

/// NOVALUES (Redis 7.4) leaves the values out.
fn op_hscan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !begins::<Hash>(cx, args) {
        return;
    }
    let Some(options) = ScanOptions::parse(cx, args[2], &args[3..], &["NOVALUES"]) else {
        return;
    };
    let now_ms = cx.shard.now_ms;
    let (mut bulks, mut found) = (Vec::new(), 0);
    let mut reply = Reply::new(&mut bulks, cx.reply.proto());
    let cursor = held::<Hash>(cx, args[1]).map_or(0, |hash| {
        options.pass(|cursor, visited| {
            hash.scan(cursor, now_ms, &mut |field, value| {
                *visited += 1;
                let mut digits = itoa::Buffer::new();
                let name = field.text(&mut digits);
                if !options
                    .pattern
                    .is_none_or(|pattern| glob_match(pattern, name))
                {
                    return;
                }
                found += 1;
                reply.bulk(name);
                if !options.has_flag {
                    found += 1;
                    reply_item(&mut reply, value);
                }
            })
        })
    });
    if reply.is_refused() {
        return cx.reply.refuse();
    }
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    cx.reply.array(found);
    cx.reply.raw(&bulks);
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn scan() {
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
