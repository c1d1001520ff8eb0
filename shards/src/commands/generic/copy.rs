//! COPY: a second key with the same value.

use tessera_core::entry::Entry;

use super::{ROW, SAME_OBJECT};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, database, is};

pub(super) const COPY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "copy",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::RO | access::ACCESS, 1, 0, 1),
            KeySpec::range(access::OW | access::UPDATE, 2, 0, 1),
        ],
        since: "6.2.0",
        summary: "Copies the value of a key to another key.",
        complexity: "O(N) with N elements of a collection, O(1) for strings",
        ..ROW
    },
    op: op_copy,
    spread: Spread::Borrow,
};

fn op_copy(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (from, to) = (args[1], args[2]);
    let (mut db, mut replace) = (cx.db, false);
    let mut rest = &args[3..];
    while let [word, more @ ..] = rest {
        rest = more;
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB")
            && let [number, more @ ..] = more
        {
            let Some(number) = database(cx, number) else { return };
            (db, rest) = (number, more);
        } else {
            return cx.error(SYNTAX);
        }
    }
    if db == cx.db && from == to {
        return cx.error(SAME_OBJECT);
    }
    let Some(entry) = cx.shard.read(cx.db, from).map(|entry| duplicate(entry, to)) else {
        return cx.reply.integer(0);
    };
    let copies = replace || !cx.shard.exists(db, to);
    if copies {
        cx.shard.add(db, entry);
    }
    cx.reply.integer(copies.into());
}

/// The same value, encoding included, and expiry time under another key.
fn duplicate(entry: &Entry, key: &[u8]) -> Entry {
    let mut copy = Entry::new(key, entry.value().into(), entry.expire_at());
    if entry.is_raw() {
        // Asking for the bytes to change them is what makes them raw.
        copy.bytes_mut();
    }
    copy
}
