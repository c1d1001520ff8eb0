//! Parts of strings: APPEND, GETRANGE, SETRANGE.
//!
//! A value changed in place is "raw" from then on (OBJECT ENCODING); one that APPEND creates is stored like SET's.

use std::ops::Range;

use tessera_core::entry::{Entry, StrValue};
use tessera_core::table::ExpireChange;

use super::whole::{self, After, BYTES_AT_ONCE};
use super::{READS, ROW, TOO_LONG, WRITES, fits, stored, text};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{OUT_OF_MEMORY, integer};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const APPEND: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "append",
        arity: 3,
        flags: WRITES | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        since: "2.0.0",
        summary: "Appends to the string value of a key; the key is created if need be.",
        complexity: "O(1), amortized, not counting the bytes appended",
        ..ROW
    },
    op: op_append,
    spread: Spread::One,
};

fn op_append(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, tail) = (args[1], args[2]);
    let bytes_max = cx.shard.settings.bulk_bytes_max;
    let mut entry = match cx.shard.write_string(cx.db, key) {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            if cx.store_as(key, stored(tail), ExpireChange::Clear, event::APPEND) {
                cx.reply.integer(tail.len() as i64);
            }
            return;
        }
        Err(WrongType) => return cx.wrong_type(),
    };
    if !fits(
        entry.string().map_or(0, |value| value.len()),
        tail.len(),
        bytes_max,
    ) {
        return cx.error(TOO_LONG);
    }
    let Ok(length) = entry.append(tail) else {
        return cx.error(OUT_OF_MEMORY);
    };
    cx.shard.changed_by(cx.db, key, event::APPEND);
    cx.reply.integer(length as i64);
}

pub(super) const GETRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "getrange",
        arity: 4,
        flags: flag::READONLY,
        keys: READS,
        since: "2.4.0",
        summary: "Returns a part of a string value.",
        complexity: "O(N) with N bytes returned",
        ..ROW
    },
    op: op_getrange,
    spread: Spread::One,
};

pub(super) const SUBSTR: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "substr",
        since: "1.0.0",
        ..GETRANGE.spec
    },
    op: op_getrange,
    spread: Spread::One,
};

fn op_getrange(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(first) = integer(cx, args[2]) else {
        return;
    };
    let Some(last) = integer(cx, args[3]) else {
        return;
    };
    let value = match cx.shard.read_string(cx.db, args[1]) {
        Ok(Some(value)) => value,
        Ok(None) => return cx.reply.bulk(b""),
        Err(WrongType) => return cx.wrong_type(),
    };
    let mut digits = itoa::Buffer::new();
    let bytes = text(value, &mut digits);
    let range = part(bytes.len(), first, last);
    if range.len() > BYTES_AT_ONCE {
        return whole::read(cx, args[1], range, After::Nothing);
    }
    cx.reply.bulk(&bytes[range]);
}

/// The bytes from `first` to `last` of so many, both included; negative positions count from the end.
fn part(len: usize, first: i64, last: i64) -> Range<usize> {
    if first < 0 && last < 0 && first > last {
        return 0..0;
    }
    let length = len as i64;
    let place = |position: i64| {
        if position < 0 {
            length.saturating_add(position).max(0)
        } else {
            position
        }
    };
    let (first, last) = (place(first), place(last).min(length - 1));
    if first > last {
        return 0..0;
    }
    first as usize..last as usize + 1
}

pub(super) const SETRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "setrange",
        arity: 4,
        flags: WRITES,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        since: "2.2.0",
        summary: "Overwrites a part of a string value from an offset on; what lacks before is filled with zero bytes.",
        complexity: "O(N) with N bytes written",
        ..ROW
    },
    op: op_setrange,
    spread: Spread::One,
};

fn op_setrange(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, patch) = (args[1], args[3]);
    let Some(offset) = integer(cx, args[2]) else {
        return;
    };
    let Ok(offset) = usize::try_from(offset) else {
        return cx.error("ERR offset is out of range");
    };
    let bytes_max = cx.shard.settings.bulk_bytes_max;
    let mut entry = match cx.shard.write_string(cx.db, key) {
        Ok(Some(entry)) => entry,
        Ok(None) => return create_at(cx, key, offset, patch),
        Err(WrongType) => return cx.wrong_type(),
    };
    if patch.is_empty() {
        let length = entry.string().map_or(0, |value| value.len());
        return cx.reply.integer(length as i64);
    }
    if !fits(offset, patch.len(), bytes_max) {
        return cx.error(TOO_LONG);
    }
    let end = offset + patch.len();
    let Ok(bytes) = entry.grow(end) else {
        return cx.error(OUT_OF_MEMORY);
    };
    bytes[offset..end].copy_from_slice(patch);
    let length = bytes.len();
    cx.shard.changed_by(cx.db, key, event::SETRANGE);
    cx.reply.integer(length as i64);
}

/// SETRANGE of a key that does not exist; an empty patch creates none.
fn create_at(cx: &mut Cx<'_>, key: &[u8], offset: usize, patch: &[u8]) {
    if patch.is_empty() {
        return cx.reply.integer(0);
    }
    if !fits(offset, patch.len(), cx.shard.settings.bulk_bytes_max) {
        return cx.error(TOO_LONG);
    }
    let Ok(mut entry) = Entry::try_new(key, StrValue::Bytes(b""), None) else {
        return cx.error(OUT_OF_MEMORY);
    };
    let end = offset + patch.len();
    let Ok(bytes) = entry.grow(end) else {
        return cx.error(OUT_OF_MEMORY);
    };
    bytes[offset..].copy_from_slice(patch);
    cx.shard.add(cx.db, entry, event::SETRANGE);
    cx.shard.changed(cx.db, key);
    cx.reply.integer(end as i64);
}

#[cfg(test)]
mod tests {
    use super::part;
    use crate::commands::rig::Rig;

    #[test]
    fn append() {
        let mut rig = Rig::new();
        rig.check(&[
            ("APPEND k 12", "2"),
            ("OBJECT ENCODING k", "\"int\""),
            ("APPEND k 3", "3"),
            ("GET k", "\"123\""),
            ("OBJECT ENCODING k", "\"raw\""),
            ("INCR k", "124"),
            ("OBJECT ENCODING k", "\"int\""),
            ("APPEND k \"\"", "3"),
            ("OBJECT ENCODING k", "\"raw\""),
            ("EXPIRE k 100", "1"),
            ("APPEND k x", "4"),
            ("TTL k", "100"),
        ]);
    }

    #[test]
    fn getrange() {
        let mut rig = Rig::new();
        rig.check(&[
            ("GETRANGE k 0 -1", "\"\""),
            ("SET k hello", "OK"),
            ("GETRANGE k 1 3", "\"ell\""),
            ("SUBSTR k -3 -1", "\"llo\""),
            ("GETRANGE k -100 100", "\"hello\""),
            ("GETRANGE k 3 1", "\"\""),
            ("GETRANGE k -1 -3", "\"\""),
            ("GETRANGE k 5 9", "\"\""),
            ("GETRANGE k 0 9223372036854775807", "\"hello\""),
            ("GETRANGE k -9223372036854775808 0", "\"h\""),
            (
                "GETRANGE k a 1",
                "ERR value is not an integer or out of range",
            ),
            (
                "GETRANGE none 1 a",
                "ERR value is not an integer or out of range",
            ),
            ("SET k 12345", "OK"),
            ("GETRANGE k 1 2", "\"23\""),
        ]);
        assert_eq!(part(0, 0, -1), 0..0);
        assert_eq!(
            part(2, -5, -5),
            0..1,
            "as in Redis: both ends are clamped to the first byte"
        );
    }

    #[test]
    fn setrange() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETRANGE k 3 \"\"", "0"),
            ("EXISTS k", "0"),
            ("SETRANGE k 3 abc", "6"),
            ("GET k", "\"\\x00\\x00\\x00abc\""),
            ("OBJECT ENCODING k", "\"raw\""),
            ("SETRANGE k 1 XY", "6"),
            ("GET k", "\"\\x00XYabc\""),
            ("SETRANGE k 99 \"\"", "6"),
            ("SET n 123456", "OK"),
            ("SETRANGE n 6 789", "9"),
            ("INCR n", "123456790"),
            ("SETRANGE k -1 x", "ERR offset is out of range"),
            (
                "SETRANGE k x x",
                "ERR value is not an integer or out of range",
            ),
        ]);
        let long = "x".repeat(2_000);
        assert_eq!(rig.run(&format!("SETRANGE n 5 {long}")), "2005");
        assert_eq!(rig.run("GETRANGE n 0 6"), "\"12345xx\"");
    }

    #[test]
    fn strings_end_at_the_limit() {
        const ERROR: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        let mut rig = Rig::new();
        rig.check(&[
            ("SETRANGE k 536870912 x", ERROR),
            ("SETRANGE k 9223372036854775807 x", ERROR),
            ("DBSIZE", "0"),
        ]);
        rig.shard.settings.bulk_bytes_max = 10;
        rig.check(&[
            ("SET k 1234567", "OK"),
            ("APPEND k 890", "10"),
            ("APPEND k x", ERROR),
            ("SETRANGE k 10 x", ERROR),
            ("SETRANGE k 8 xy", "10"),
            ("SETRANGE new 9 xy", ERROR),
        ]);
        rig.shard.settings.bulk_bytes_max = i64::MAX as u64;
        let error = "ERR out of memory: the value cannot grow that large";
        rig.check(&[
            ("SETRANGE k 4611686018427387904 x", error),
            ("GET k", "\"12345678xy\""),
            ("SETRANGE new 4611686018427387904 x", error),
            ("EXISTS new", "0"),
        ]);
    }
}
