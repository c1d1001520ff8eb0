//! GET and its kin: the whole value, or its length, and what may happen to the key afterwards.

use tessera_core::entry::Entry;

use super::whole::{self, After, BYTES_AT_ONCE};
use super::{CHANGES, Got, READS, ROW, reply_get, reply_value};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::SYNTAX;
use crate::commands::lifetime::ExpireOption;
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const GET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "get",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        summary: "Returns the string value of a key.",
        ..ROW
    },
    op: op_get,
    spread: Spread::One,
};

fn op_get(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_string(cx.db, args[1]) {
        Ok(Some(value)) if value.len() > BYTES_AT_ONCE => {
            let len = value.len();
            whole::read(cx, args[1], 0..len, After::Nothing);
        }
        Ok(Some(value)) => reply_value(&mut cx.reply, value),
        Ok(None) => cx.reply.null(),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const STRLEN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "strlen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, 0, 1)],
        since: "2.2.0",
        summary: "Returns the length of a string value.",
        ..ROW
    },
    op: op_strlen,
    spread: Spread::One,
};

fn op_strlen(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_string(cx.db, args[1]) {
        Ok(value) => {
            let length = value.map_or(0, |value| value.len());
            cx.reply.integer(length as i64);
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const GETDEL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "getdel",
        arity: 2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::DELETE,
            1,
            0,
            1,
        )],
        since: "6.2.0",
        summary: "Returns the string value of a key and deletes the key.",
        ..ROW
    },
    op: op_getdel,
    spread: Spread::One,
};

/// Leaves a value to a task if it is a long one, and says whether it did. Counts no hit.
fn read_long(cx: &mut Cx<'_>, key: &[u8], after: After) -> bool {
    let entry = cx.shard.table(cx.db).get(cx.shard.hash(key), key);
    let Some(value) = entry.and_then(Entry::string) else {
        return false;
    };
    let len = value.len();
    let is_long = len > BYTES_AT_ONCE && cx.shard.exists(cx.db, key);
    if is_long {
        whole::read(cx, key, 0..len, after);
    }
    is_long
}

fn op_getdel(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if read_long(cx, args[1], After::Remove) {
        cx.shard.read(cx.db, args[1]);
        return;
    }
    if reply_get(cx, args[1]) == Got::Value && !cx.reply.is_refused() {
        cx.shard.remove(cx.db, args[1]);
    }
}

pub(super) const GETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "getex",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec {
            notes: "RW and UPDATE because it changes the TTL",
            ..CHANGES[0]
        }],
        since: "6.2.0",
        summary: "Returns the string value of a key and sets or removes its expiry time.",
        ..ROW
    },
    op: op_getex,
    spread: Spread::One,
};

fn op_getex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, mut option) = (args[1], ExpireOption::Unset);
    let mut rest = &args[2..];
    while !rest.is_empty() {
        match option.read(rest) {
            Some(taken) if option != ExpireOption::Keep => rest = &rest[taken..],
            _ => return cx.error(SYNTAX),
        }
    }
    let ExpireOption::At(lifetime, amount) = option else {
        let after = match option {
            ExpireOption::Persist => After::Persist,
            _ => After::Nothing,
        };
        if read_long(cx, key, after) {
            cx.shard.read(cx.db, key);
            return;
        }
        let is_sent = reply_get(cx, key) == Got::Value && !cx.reply.is_refused();
        if is_sent && option == ExpireOption::Persist {
            cx.shard.persist(cx.db, key);
        }
        return;
    };
    // An absent key is answered before the number is looked at.
    match cx.shard.read_string(cx.db, key) {
        Ok(Some(_)) => {}
        Ok(None) => return cx.reply.null(),
        Err(WrongType) => return cx.wrong_type(),
    }
    let Some(deadline) = lifetime.deadline(cx, amount, "getex") else {
        return;
    };
    let is_past = lifetime.absolute && deadline <= cx.shard.now_ms;
    let after = if is_past {
        After::Remove
    } else {
        After::ExpireAt(deadline)
    };
    if read_long(cx, key, after) {
        return;
    }
    let Some(mut entry) = cx.shard.write(cx.db, key) else {
        return;
    };
    if let Some(value) = entry.string() {
        reply_value(&mut cx.reply, value);
    }
    if cx.reply.is_refused() {
        return;
    }
    if is_past {
        cx.shard.remove(cx.db, key);
    } else {
        entry.set_expire(Some(deadline));
        cx.shard.changed_by(cx.db, key, event::EXPIRE);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn get_strlen_getdel() {
        let mut rig = Rig::new();
        rig.check(&[
            ("GET k", "(nil)"),
            ("STRLEN k", "0"),
            ("SET k hello", "OK"),
            ("GET k", "\"hello\""),
            ("STRLEN k", "5"),
            ("SET n -12345", "OK"),
            ("GET n", "\"-12345\""),
            ("STRLEN n", "6"),
            ("GETDEL n", "\"-12345\""),
            ("GETDEL n", "(nil)"),
            ("GET", "ERR wrong number of arguments for 'get' command"),
        ]);
        assert_eq!(rig.shard.stats.changes, 3);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("GET n", "(null)")]);
    }

    #[test]
    fn getex_changes_the_lifetime() {
        let mut rig = Rig::new();
        rig.check(&[
            ("GETEX k", "(nil)"),
            ("SET k v EX 100", "OK"),
            ("GETEX k", "\"v\""),
            ("TTL k", "100"),
            ("GETEX k ex 50", "\"v\""),
            ("TTL k", "50"),
            ("GETEX k PX 7000", "\"v\""),
            ("PTTL k", "7000"),
            ("GETEX k EXAT 1700000100", "\"v\""),
            ("TTL k", "100"),
            ("GETEX k PXAT 1700000000500", "\"v\""),
            ("PTTL k", "500"),
            ("GETEX k persist", "\"v\""),
            ("TTL k", "-1"),
            ("GETEX k PXAT 1700000000000", "\"v\""),
            ("GET k", "(nil)"),
        ]);
    }

    #[test]
    fn getex_refuses() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v", "OK"),
            ("GETEX k KEEPTTL", "ERR syntax error"),
            ("GETEX k EX", "ERR syntax error"),
            ("GETEX k EX 1 PX 1", "ERR syntax error"),
            ("GETEX k EX 1 PERSIST", "ERR syntax error"),
            ("GETEX k NX", "ERR syntax error"),
            (
                "GETEX k EX x",
                "ERR value is not an integer or out of range",
            ),
            ("GETEX k EX 0", "ERR invalid expire time in 'getex' command"),
            (
                "GETEX k EX 9223372036854775807",
                "ERR invalid expire time in 'getex' command",
            ),
            ("GETEX none EX x", "(nil)"),
            ("TTL k", "-1"),
        ]);
    }
}
