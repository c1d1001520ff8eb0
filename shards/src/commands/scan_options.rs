//! The options that SCAN and its kin for collections share, and the loop of one call.

use tessera_core::entry::Entry;
use tessera_core::object::Collection;

use crate::command::Cx;
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::generic::parse_cursor;
use crate::shard::WrongType;

/// COUNT without the option.
pub(crate) const COUNT_DEFAULT: i64 = 10;
/// A call looks at this many buckets per element asked for, so that one in a sparse table ends too.
pub(crate) const BUCKETS_PER_COUNT: i64 = 10;

/// Whether the key of HSCAN and its kin (`args[1]`) holds a `T` and the cursor (`args[2]`) is one. As in Redis, the options are looked at
/// only then; otherwise this writes the reply.
pub(crate) fn begins<T: Collection>(cx: &mut Cx<'_>, args: &[&[u8]]) -> bool {
    if parse_cursor(args[2]).is_none() {
        cx.error("ERR invalid cursor");
        return false;
    }
    match cx.shard.read_object::<T>(cx.db, args[1]) {
        Ok(Some(_)) => return true,
        Ok(None) => {
            cx.reply.array(2);
            cx.reply.bulk(b"0");
            cx.reply.array(0);
        }
        Err(WrongType) => cx.wrong_type(),
    }
    false
}

/// The collection that `begins` has found.
pub(crate) fn held<'a, T: Collection>(cx: &'a Cx<'_>, key: &[u8]) -> Option<&'a T> {
    let table = cx.shard.table(cx.db);
    let entry = table.get(cx.shard.hash(key), key);
    entry.and_then(Entry::object).and_then(T::of)
}

/// A cursor, COUNT, MATCH and a flag of the command's own.
pub(crate) struct ScanOptions<'a> {
    cursor: u64,
    count: i64,
    /// MATCH, unless it is `*`.
    pub(crate) pattern: Option<&'a [u8]>,
    /// Whether the command's own flag was there.
    pub(crate) has_flag: bool,
}

impl<'a> ScanOptions<'a> {
    /// Writes the error for options that are none. `flags` are words without a value.
    pub(crate) fn parse(
        cx: &mut Cx<'_>,
        cursor: &[u8],
        mut args: &[&'a [u8]],
        flags: &[&str],
    ) -> Option<Self> {
        let Some(cursor) = parse_cursor(cursor) else {
            cx.error("ERR invalid cursor");
            return None;
        };
        let mut options = ScanOptions {
            cursor,
            count: COUNT_DEFAULT,
            pattern: None,
            has_flag: false,
        };
        while let [word, rest @ ..] = args {
            if flags.iter().any(|flag| is(word, flag)) {
                options.has_flag = true;
                args = rest;
                continue;
            }
            let [value, rest @ ..] = rest else { break };
            if is(word, "COUNT") {
                options.count = integer(cx, value)?;
                if options.count < 1 {
                    break;
                }
            } else if is(word, "MATCH") {
                options.pattern = (*value != b"*").then_some(*value);
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

    /// One call: `scan` visits what is at a cursor, counts it, and returns the next cursor. Returns the cursor for the client.
    pub(crate) fn pass(&self, mut scan: impl FnMut(u64, &mut i64) -> u64) -> u64 {
        let (mut cursor, mut visited) = (self.cursor, 0);
        let mut buckets = self.count.saturating_mul(BUCKETS_PER_COUNT);
        loop {
            cursor = scan(cursor, &mut visited);
            buckets -= 1;
            if cursor == 0 || visited >= self.count || buckets == 0 {
                return cursor;
            }
        }
    }
}
