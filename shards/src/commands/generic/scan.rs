//! SCAN: some keys per call, and a cursor to go on with. The router turns the client's cursor into a shard and the cursor of its table.

use tessera_core::glob::glob_match;
use tessera_core::resp::Reply;

use super::{ROW, type_name};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::scan_options::{BUCKETS_PER_COUNT, COUNT_DEFAULT};

pub(super) const SCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "scan",
        arity: -2,
        flags: flag::READONLY,
        tips: &["nondeterministic_output", "request_policy:special"],
        since: "2.8.0",
        summary: "Returns some of the keys and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N keys",
        ..ROW
    },
    op: op_scan,
    spread: Spread::Cursor,
};

/// A cursor as Redis reads it, with `strtoul`: nothing is 0, leading zeros and a sign are fine, white space is not.
#[must_use]
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|&byte| byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    let (negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            None
        } else {
            number.checked_mul(10)?.checked_add(digit.into())
        }
    })?;
    Some(if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

/// COUNT, MATCH and TYPE.
struct ScanOptions<'a> {
    count: i64,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Writes the error for options that are none.
    fn parse(cx: &mut Cx<'_>, mut args: &[&'a [u8]]) -> Option<Self> {
        let mut options = ScanOptions {
            count: COUNT_DEFAULT,
            pattern: None,
            type_name: None,
        };
        while let [word, value, rest @ ..] = args {
            if is(word, "COUNT") {
                options.count = integer(cx, value)?;
                if options.count < 1 {
                    break;
                }
            } else if is(word, "MATCH") {
                options.pattern = (*value != b"*").then_some(*value);
            } else if is(word, "TYPE") {
                options.type_name = Some(value);
            } else {
                break;
            }
            args = rest;
        }
        if !args.is_empty() {
            cx.error(SYNTAX);
            return None;
        }
        Some(options)
    }
}

fn op_scan(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(mut cursor) = parse_cursor(args[1]) else {
        return cx.error("ERR invalid cursor");
    };
    let Some(options) = ScanOptions::parse(cx, &args[2..]) else {
        return;
    };
    // The keys come behind the cursor in the reply but are known first.
    let mut bulks = Vec::new();
    let (mut found, mut refused) = (0, false);
    let mut due: Vec<Box<[u8]>> = Vec::new();
    let (mut visited, mut buckets) = (0, options.count.saturating_mul(BUCKETS_PER_COUNT));
    let shard = &*cx.shard;
    loop {
        cursor = shard.table(cx.db).scan(cursor, &mut |entry| {
            visited += 1;
            let key = entry.key();
            if !options
                .pattern
                .is_none_or(|pattern| glob_match(pattern, key))
            {
                return;
            }
            if shard.is_due(entry) {
                due.push(key.into());
            } else if options
                .type_name
                .is_none_or(|name| is(name, type_name(entry)))
            {
                found += 1;
                let mut bulk = Reply::new(&mut bulks, cx.reply.proto());
                bulk.bulk(key);
                refused |= bulk.is_refused();
            }
        });
        buckets -= 1;
        if cursor == 0 || visited >= options.count || buckets == 0 {
            break;
        }
    }
    for key in due {
        cx.shard.exists(cx.db, &key);
    }
    if refused {
        return cx.reply.refuse();
    }
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    cx.reply.array(found);
    cx.reply.raw(&bulks);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::parse_cursor;
    use crate::commands::rig::{Rig, show};

    #[test]
    fn cursors() {
        for (text, expected) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("007", Some(7)),
            ("+7", Some(7)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("x", None),
            ("-", None),
            (" 1", None),
            ("1 ", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn errors() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SCAN x COUNT 0", "ERR invalid cursor"),
            ("SCAN 0 COUNT 0", "ERR syntax error"),
            (
                "SCAN 0 COUNT x",
                "ERR value is not an integer or out of range",
            ),
            ("SCAN 0 COUNT", "ERR syntax error"),
            ("SCAN 0 MATCH", "ERR syntax error"),
            ("SCAN 0 foo bar", "ERR syntax error"),
            (
                "SCAN 0 COUNT 9223372036854775807 TYPE foo MATCH *",
                "[\"0\" []]",
            ),
        ]);
    }

    /// A whole pass: the keys and the number of calls.
    fn pass(rig: &mut Rig, options: &[&[u8]]) -> (BTreeSet<String>, usize) {
        let (mut cursor, mut keys, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let mut args = vec![&b"SCAN"[..], cursor.as_bytes()];
            args.extend(options);
            let reply = show(&rig.bytes(&args));
            let (next, found) = reply[1..reply.len() - 2].split_once(" [").unwrap();
            keys.extend(
                found
                    .split(' ')
                    .filter(|key| !key.is_empty())
                    .map(str::to_owned),
            );
            calls += 1;
            if next == "\"0\"" {
                return (keys, calls);
            }
            cursor = next.trim_matches('"').to_owned();
        }
    }

    #[test]
    fn a_pass_finds_all() {
        let mut rig = Rig::new();
        for i in 0..3_000 {
            rig.bytes(&[b"SET", format!("k:{i}").as_bytes(), b"v"]);
        }
        rig.check(&[("SET gone 1 PX 1", "OK"), ("SET other 1", "OK")]);
        rig.wait(2);
        let (keys, calls) = pass(&mut rig, &[b"count", b"100"]);
        assert_eq!(keys.len(), 3_001);
        assert!((20..=31).contains(&calls), "{calls}");
        rig.check(&[("DBSIZE", "3001")]);
        let (keys, calls) = pass(
            &mut rig,
            &[b"match", b"oth*", b"COUNT", b"1000", b"TYPE", b"String"],
        );
        assert_eq!((keys.len(), calls <= 4), (1, true));
        assert!(
            pass(&mut rig, &[b"TYPE", b"list", b"COUNT", b"500"])
                .0
                .is_empty()
        );
        for i in 0..2_990 {
            rig.bytes(&[b"DEL", format!("k:{i}").as_bytes()]);
        }
        assert_eq!(pass(&mut rig, &[]).0.len(), 11);
    }
}
