//! HSCAN, SSCAN and ZSCAN: their options, and the call itself. A long one goes on in slices while its key stays locked.

use tessera_core::entry::Entry;
use tessera_core::glob::glob_match;
use tessera_core::object::{Collection, View};
use tessera_core::resp::{Chain, Gathered, Reply};

use crate::command::{Cx, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::generic::parse_cursor;
use crate::shard::{Shard, WrongType};

/// COUNT without the option.
pub(crate) const COUNT_DEFAULT: i64 = 10;
/// A call looks at this many buckets per element asked for, so that one in a sparse table ends too.
pub(crate) const BUCKETS_PER_COUNT: i64 = 10;

/// Whether the key of HSCAN and its kin (`args[1]`) holds a `T` and the cursor (`args[2]`) is one. As in Redis, the options are looked at
/// only then; otherwise this writes the reply.
fn begins<T: Collection>(cx: &mut Cx<'_>, args: &[&[u8]]) -> bool {
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

/// The collection under a key that has been looked up.
pub(crate) fn held<'a, T: Collection>(cx: &'a Cx<'_>, key: &[u8]) -> Option<&'a T> {
    let table = cx.shard.table(cx.db);
    let entry = table.get(cx.shard.hash(key), key);
    entry.and_then(Entry::object).and_then(T::of)
}

/// A cursor, COUNT, MATCH and a flag of the command's own.
struct ScanOptions<'a> {
    cursor: u64,
    count: i64,
    /// MATCH, unless it is `*`.
    pattern: Option<&'a [u8]>,
    /// Whether the command's own flag was there.
    has_flag: bool,
}

impl<'a> ScanOptions<'a> {
    /// Writes the error for options that are none. `flags` are words without a value.
    fn parse(
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
}

/// Tells of an element: its name, and how what belongs to it is written.
pub(crate) type See<'a> = dyn FnMut(&[u8], Option<&dyn Fn(&mut Reply<'_>)>) + 'a;
/// Visits what is at a cursor of a collection, and returns the next cursor.
pub(crate) type Look<T> = fn(&T, u64, u64, &mut See<'_>) -> u64;

/// HSCAN and its kin: one call for the key `args[1]` from the cursor `args[2]` on. A long one goes on in slices.
pub(crate) fn scan<T: Collection + 'static>(
    cx: &mut Cx<'_>,
    args: &[&[u8]],
    flags: &[&str],
    look: Look<T>,
) {
    if !begins::<T>(cx, args) {
        return;
    }
    let Some(options) = ScanOptions::parse(cx, args[2], &args[3..], flags) else {
        return;
    };
    let mut task = ScanTask {
        db: cx.db,
        key: args[1].into(),
        look,
        cursor: options.cursor,
        count: options.count,
        buckets: options.count.saturating_mul(BUCKETS_PER_COUNT),
        pattern: options.pattern.map(Box::from),
        is_bare: options.has_flag,
        visited: 0,
        found: 0,
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    if options.count > LOOKED_AT_ONCE {
        // All, in most cases.
        let entry = cx.shard.table(cx.db).get(cx.shard.hash(args[1]), args[1]);
        let len = entry
            .and_then(Entry::object)
            .map_or(0, |object| match object.view() {
                View::Hash(_) | View::Zset(_) if !options.has_flag => 2 * object.len(),
                _ => object.len(),
            });
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

/// Elements, or buckets, that are looked at at once.
const LOOKED_AT_ONCE: i64 = 1024;

fn head(reply: &mut Reply<'_>, cursor: u64, found: usize) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(found);
}

/// A call under way.
struct ScanTask<T> {
    db: usize,
    key: Box<[u8]>,
    look: Look<T>,
    cursor: u64,
    count: i64,
    /// How many more buckets are looked at.
    buckets: i64,
    pattern: Option<Box<[u8]>>,
    /// Whether names come alone.
    is_bare: bool,
    visited: i64,
    /// Elements of the reply, which `gathered` has.
    found: usize,
    gathered: Gathered,
}

impl<T: Collection> ScanTask<T> {
    /// Looks at some more and says whether that was all.
    fn go_on(&mut self, shard: &Shard) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let Some(held) = entry.and_then(Entry::object).and_then(T::of) else {
            self.cursor = 0;
            return true;
        };
        let (pattern, is_bare) = (self.pattern.as_deref(), self.is_bare);
        let (visited, found, cursor) = (&mut self.visited, &mut self.found, &mut self.cursor);
        let (look, count, buckets) = (self.look, self.count, &mut self.buckets);
        let end = visited.saturating_add(LOOKED_AT_ONCE);
        let buckets_end = buckets.saturating_sub(LOOKED_AT_ONCE);
        let is_done = self.gathered.write(|reply| {
            loop {
                *cursor = look(held, *cursor, shard.now_ms, &mut |name, value| {
                    *visited += 1;
                    if !pattern.is_none_or(|pattern| glob_match(pattern, name)) {
                        return;
                    }
                    *found += 1;
                    reply.bulk(name);
                    if let Some(write) = value.filter(|_| !is_bare) {
                        *found += 1;
                        write(reply);
                    }
                });
                *buckets -= 1;
                if *cursor == 0 || *visited >= count || *buckets == 0 {
                    return true;
                }
                if *visited >= end || *buckets <= buckets_end {
                    return false;
                }
            }
        });
        is_done || self.gathered.is_refused()
    }
}

impl<T: Collection> Task for ScanTask<T> {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.go_on(shard);
        if is_done {
            let (cursor, found) = (self.cursor, self.found);
            self.gathered
                .finish(reply, |reply| head(reply, cursor, found));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
