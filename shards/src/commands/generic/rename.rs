//! A value under another key or in another database: RENAME, RENAMENX, MOVE.

use super::{ROW, SAME_OBJECT};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::database;

const SOURCE: KeySpec = KeySpec::range(access::RW | access::ACCESS | access::DELETE, 1, 0, 1);

pub(super) const RENAME: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "rename",
        arity: 3,
        flags: flag::WRITE,
        keys: &[SOURCE, KeySpec::range(access::OW | access::UPDATE, 2, 0, 1)],
        summary: "Gives a key another name; a key of that name is overwritten.",
        ..ROW
    },
    op: op_rename,
    spread: Spread::Borrow,
};

fn op_rename(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if rename(cx, args[1], args[2], true).is_some() {
        cx.reply.ok();
    }
}

pub(super) const RENAMENX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "renamenx",
        flags: flag::WRITE | flag::FAST,
        keys: &[SOURCE, KeySpec::range(access::OW | access::INSERT, 2, 0, 1)],
        summary: "Gives a key another name, only if no key has that name.",
        ..RENAME.spec
    },
    op: op_renamenx,
    spread: Spread::Borrow,
};

fn op_renamenx(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if let Some(renamed) = rename(cx, args[1], args[2], false) {
        cx.reply.integer(renamed.into());
    }
}

/// Whether the key has got its new name; `None` after an error. A key renamed to its own name stays as it is.
fn rename(cx: &mut Cx<'_>, from: &[u8], to: &[u8], overwrite: bool) -> Option<bool> {
    if !cx.shard.exists(cx.db, from) {
        cx.error("ERR no such key");
        return None;
    }
    if from == to || !overwrite && cx.shard.exists(cx.db, to) {
        return Some(false);
    }
    if let Some(entry) = cx.shard.take(cx.db, from) {
        cx.shard.changed(cx.db, from);
        cx.shard.insert(cx.db, entry.with_key(to));
        cx.shard.changed(cx.db, to);
    }
    Some(true)
}

pub(super) const MOVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "move",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::ACCESS | access::UPDATE, 1, 0, 1)],
        summary: "Moves a key to another database, only if it has no such key.",
        ..ROW
    },
    op: op_move,
    spread: Spread::One,
};

fn op_move(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let Some(to) = database(cx, args[2]) else { return };
    if to == cx.db {
        return cx.error(SAME_OBJECT);
    }
    // The other database is looked at only if there is something to move.
    let moves = cx.shard.exists(cx.db, key) && !cx.shard.exists(to, key);
    if moves && let Some(entry) = cx.shard.take(cx.db, key) {
        cx.shard.changed(cx.db, key);
        cx.shard.insert(to, entry);
        cx.shard.changed(to, key);
    }
    cx.reply.integer(moves.into());
}
