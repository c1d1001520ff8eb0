//! Parts of strings: APPEND, GETRANGE, SETRANGE.
//!
//! A value changed in place is "raw" from then on (OBJECT ENCODING); one that APPEND creates is stored like SET's.

use tessera_core::entry::{Entry, StrValue};
use tessera_core::table::ExpireChange;

use super::{READS, ROW, TOO_LONG, WRITES, fits, stored, text};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{OUT_OF_MEMORY, integer};

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
    let Some(mut entry) = cx.shard.write(cx.db, key) else {
        cx.shard.set(cx.db, key, stored(tail), ExpireChange::Clear);
        return cx.reply.integer(tail.len() as i64);
    };
    if !fits(entry.value().len(), tail.len(), bytes_max) {
        return cx.error(TOO_LONG);
    }
    let Ok(length) = entry.append(tail) else { return cx.error(OUT_OF_MEMORY) };
    cx.shard.changed(cx.db, key);
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
    spec: Spec { name: "substr", since: "1.0.0", ..GETRANGE.spec },
    op: op_getrange,
    spread: Spread::One,
};

fn op_getrange(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(first) = integer(cx, args[2]) else { return };
    let Some(last) = integer(cx, args[3]) else { return };
    let Some(entry) = cx.shard.read(cx.db, args[1]) else { return cx.reply.bulk(b"") };
    let mut digits = itoa::Buffer::new();
    cx.reply.bulk(part(text(entry.value(), &mut digits), first, last));
}

/// The bytes from `first` to `last`, both included; negative positions count from the end.
fn part(bytes: &[u8], first: i64, last: i64) -> &[u8] {
    if first < 0 && last < 0 && first > last {
        return b"";
    }
    let length = bytes.len() as i64;
    let place = |position: i64| if position < 0 { length.saturating_add(position).max(0) } else { position };
    let (first, last) = (place(first), place(last).min(length - 1));
    if first > last {
        return b"";
    }
    &bytes[first as usize..=last as usize]
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
    let Some(offset) = integer(cx, args[2]) else { return };
    let Ok(offset) = usize::try_from(offset) else { return cx.error("ERR offset is out of range") };
    let bytes_max = cx.shard.settings.bulk_bytes_max;
    let Some(mut entry) = cx.shard.write(cx.db, key) else { return create_at(cx, key, offset, patch) };
    if patch.is_empty() {
        let length = entry.value().len();
        return cx.reply.integer(length as i64);
    }
    if !fits(offset, patch.len(), bytes_max) {
        return cx.error(TOO_LONG);
    }
    let end = offset + patch.len();
    let Ok(bytes) = entry.grow(end) else { return cx.error(OUT_OF_MEMORY) };
    bytes[offset..end].copy_from_slice(patch);
    let length = bytes.len();
    cx.shard.changed(cx.db, key);
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
    let mut entry = Entry::new(key, StrValue::Bytes(b""), None);
    let end = offset + patch.len();
    let Ok(bytes) = entry.grow(end) else { return cx.error(OUT_OF_MEMORY) };
    bytes[offset..].copy_from_slice(patch);
    cx.shard.add(cx.db, entry);
    cx.shard.changed(cx.db, key);
    cx.reply.integer(end as i64);
}
