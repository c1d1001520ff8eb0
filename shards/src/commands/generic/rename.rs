//! A value under another key or in another database: RENAME, RENAMENX, MOVE.

use super::{ROW, SAME_OBJECT};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::database;
use crate::shard::event;

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
        cx.shard.insert(cx.db, entry.with_key(to));
        cx.shard.note(cx.db, to, event::NEW);
        cx.shard.changed_by(cx.db, from, event::RENAME_FROM);
        cx.shard.changed_by(cx.db, to, event::RENAME_TO);
    }
    Some(true)
}

pub(super) const MOVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "move",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::UPDATE,
            1,
            0,
            1,
        )],
        summary: "Moves a key to another database, only if it has no such key.",
        ..ROW
    },
    op: op_move,
    spread: Spread::One,
};

fn op_move(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let Some(to) = database(cx, args[2]) else {
        return;
    };
    if to == cx.db {
        return cx.error(SAME_OBJECT);
    }
    // The other database is looked at only if there is something to move.
    let moves = cx.shard.exists(cx.db, key) && !cx.shard.exists(to, key);
    if moves && let Some(entry) = cx.shard.take(cx.db, key) {
        cx.shard.insert(to, entry);
        cx.shard.note(to, key, event::NEW);
        cx.shard.changed_by(cx.db, key, event::MOVE_FROM);
        cx.shard.changed_by(to, key, event::MOVE_TO);
    }
    cx.reply.integer(moves.into());
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn rename() {
        let mut rig = Rig::new();
        rig.check(&[
            ("RENAME a b", "ERR no such key"),
            ("RENAMENX a a", "ERR no such key"),
            ("SET a 1 EX 100", "OK"),
            ("APPEND a 2", "2"),
            ("RENAME a a", "OK"),
            ("RENAMENX a a", "0"),
            ("SET b old EX 5", "OK"),
            ("RENAMENX a b", "0"),
            ("RENAME a b", "OK"),
            ("EXISTS a", "0"),
            ("GET b", "\"12\""),
            ("TTL b", "100"),
            ("OBJECT ENCODING b", "\"raw\""),
            ("RENAMENX b a-key-with-a-longer-name", "1"),
            ("GET a-key-with-a-longer-name", "\"12\""),
            ("DBSIZE", "1"),
        ]);
    }

    #[test]
    fn expired_targets_are_no_obstacle() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a 1", "OK"),
            ("SET b 1 PX 1", "OK"),
            ("MOVE b 1", "1"),
            ("SET b 2", "OK"),
        ]);
        rig.wait(2);
        rig.check(&[("MOVE b 1", "1"), ("SET b 1 PX 1", "OK")]);
        rig.wait(2);
        rig.check(&[("RENAMENX a b", "1"), ("TTL b", "-1")]);
    }

    #[test]
    fn move_between_databases() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v EX 100", "OK"),
            ("MOVE k 1", "1"),
            ("MOVE k 1", "0"),
            ("SET k w", "OK"),
            ("MOVE k 1", "0"),
            (
                "MOVE k 0",
                "ERR source and destination objects are the same",
            ),
            ("MOVE k 16", "ERR DB index is out of range"),
            ("MOVE k -1", "ERR DB index is out of range"),
            ("MOVE k x", "ERR value is not an integer or out of range"),
            (
                "MOVE k 2147483648",
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
        ]);
        rig.db = 1;
        rig.check(&[("GET k", "\"v\""), ("TTL k", "100")]);
    }
}
