//! SCAN: some keys per call, and a cursor to go on with. The router turns the client's cursor into a shard and the cursor of its table.

use tessera_core::glob::glob_match;

use super::{ROW, type_name};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};

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

/// COUNT without the option.
const COUNT_DEFAULT: i64 = 10;
/// A call looks at this many buckets per key asked for, so that one in a sparse table ends too.
const BUCKETS_PER_COUNT: i64 = 10;

/// A cursor as Redis reads it, with `strtoul`: nothing is 0, leading zeros and a sign are fine, white space is not.
#[must_use]
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
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
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(digit.into()) }
    })?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
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
        let mut options = ScanOptions { count: COUNT_DEFAULT, pattern: None, type_name: None };
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
    let Some(mut cursor) = parse_cursor(args[1]) else { return cx.error("ERR invalid cursor") };
    let Some(options) = ScanOptions::parse(cx, &args[2..]) else { return };
    // The keys come behind the cursor in the reply but are known first.
    let mut bulks = Vec::new();
    let mut found = 0;
    let (mut visited, mut buckets) = (0, options.count.saturating_mul(BUCKETS_PER_COUNT));
    let shard = &*cx.shard;
    loop {
        cursor = shard.table(cx.db).scan(cursor, &mut |entry| {
            visited += 1;
            let wanted = options.pattern.is_none_or(|pattern| glob_match(pattern, entry.key()))
                && options.type_name.is_none_or(|name| is(name, type_name(entry.value())))
                && !shard.is_due(entry);
            if wanted {
                found += 1;
                tessera_core::resp::Reply::new(&mut bulks, cx.reply.proto()).bulk(entry.key());
            }
        });
        buckets -= 1;
        if cursor == 0 || visited >= options.count || buckets == 0 {
            break;
        }
    }
    cx.reply.array(2);
    cx.reply.bulk(cursor.to_string().as_bytes());
    cx.reply.array(found);
    cx.reply.raw(&bulks);
}
