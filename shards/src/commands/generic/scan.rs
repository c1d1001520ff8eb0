//! SCAN: some keys per call, and a cursor to go on with. A call for many keys goes on in slices. The router turns the client's cursor into a shard and the cursor of its table.

use tessera_core::glob::glob_match;
use tessera_core::resp::{Chain, Gathered, Reply};

use super::{ROW, type_name};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::scan_options::{BUCKETS_PER_COUNT, COUNT_DEFAULT};
use crate::shard::Shard;

pub(super) const SCAN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "scan",
        arity: -2,
        flags: flag::READONLY,
        tips: &["nondeterministic_output", "request_policy:special"],
        since: "2.8.0",
        summary: "Returns some of the keys and a cursor to ask for more with.",
        complexity: "O(1) per call, O(N) for a whole pass over N keys; other commands go on meanwhile",
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
    let Some(cursor) = parse_cursor(args[1]) else {
        return cx.error("ERR invalid cursor");
    };
    let Some(options) = ScanOptions::parse(cx, &args[2..]) else {
        return;
    };
    let mut task = ScanTask {
        db: cx.db,
        cursor,
        count: options.count,
        buckets: options.count.saturating_mul(BUCKETS_PER_COUNT),
        pattern: options.pattern.map(Box::from),
        type_name: options.type_name.map(Box::from),
        visited: 0,
        found: 0,
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    if options.count > LOOKED_AT_ONCE {
        // All, in most cases.
        let len = cx.shard.table(cx.db).len();
        let probable = |reply: &mut Reply<'_>| head(reply, 0, len);
        task.gathered = Gathered::expecting_head(cx.reply.proto(), probable);
    }
    if task.go_on(cx.shard) {
        head(&mut cx.reply, task.cursor, task.found);
        task.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(task));
    }
}

fn head(reply: &mut Reply<'_>, cursor: u64, found: usize) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(found);
}

/// Keys, or buckets, that are looked at at once.
const LOOKED_AT_ONCE: i64 = 1024;

/// A call under way. It holds no keys: what SCAN promises is a matter of many calls, between which keys come and go.
struct ScanTask {
    db: usize,
    cursor: u64,
    count: i64,
    /// How many more buckets are looked at.
    buckets: i64,
    pattern: Option<Box<[u8]>>,
    type_name: Option<Box<[u8]>>,
    visited: i64,
    /// Keys of the reply, which `gathered` has.
    found: usize,
    gathered: Gathered,
}

impl ScanTask {
    /// Looks at some more and says whether that was all.
    fn go_on(&mut self, shard: &mut Shard) -> bool {
        let end = self.visited.saturating_add(LOOKED_AT_ONCE);
        let buckets_end = self.buckets.saturating_sub(LOOKED_AT_ONCE);
        let mut due: Vec<Box<[u8]>> = Vec::new();
        let is_done = loop {
            self.look(shard, &mut due);
            self.buckets -= 1;
            if self.cursor == 0 || self.visited >= self.count || self.buckets == 0 {
                break true;
            }
            if self.visited >= end || self.buckets <= buckets_end {
                break false;
            }
        };
        for key in due {
            shard.exists(self.db, &key);
        }
        is_done || self.gathered.is_refused()
    }

    /// Looks at what is at the cursor. Keys whose time has come are for the caller to look at.
    fn look(&mut self, shard: &Shard, due: &mut Vec<Box<[u8]>>) {
        let (pattern, type_name) = (self.pattern.as_deref(), self.type_name.as_deref());
        let (visited, found, cursor) = (&mut self.visited, &mut self.found, self.cursor);
        let table = shard.table(self.db);
        self.cursor = self.gathered.write(|reply| {
            table.scan(cursor, &mut |entry| {
                *visited += 1;
                let key = entry.key();
                if !pattern.is_none_or(|pattern| glob_match(pattern, key)) {
                    return;
                }
                if shard.is_due(entry) {
                    due.push(key.into());
                } else if type_name.is_none_or(|name| is(name, self::type_name(entry))) {
                    *found += 1;
                    reply.bulk(key);
                }
            })
        });
    }
}

impl Task for ScanTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.go_on(shard);
        if is_done {
            let (cursor, found) = (self.cursor, self.found);
            self.gathered
                .finish(reply, |reply| head(reply, cursor, found));
        }
        is_done
    }
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
