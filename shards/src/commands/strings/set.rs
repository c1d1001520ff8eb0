//! SET and its kin: a new value in place of whatever was there.

use tessera_core::table::ExpireChange;

use super::compare::{Comparison, Verdict};
use super::{CHANGES, Got, OVERWRITES, ROW, WRITES, reply_get, stored};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is};
use crate::commands::lifetime::{ExpireOption, Lifetime};
use crate::shard::event;

pub(super) const SET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "set",
        arity: -3,
        flags: WRITES,
        keys: &[KeySpec {
            notes: "RW and ACCESS due to the optional `GET` argument",
            access: access::RW | access::ACCESS | access::UPDATE | access::VARIABLE,
            ..CHANGES[0]
        }],
        summary: "Sets the string value of a key, whatever its type was; the key is created if need be.",
        ..ROW
    },
    op: op_set,
    spread: Spread::One,
};

/// When SET sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    Always,
    Absent,
    Present,
    Compared(Comparison<'a>),
}

/// The options of SET.
struct SetOptions<'a> {
    condition: Condition<'a>,
    get: bool,
    expire: ExpireOption<'a>,
}

impl<'a> SetOptions<'a> {
    /// `None` where Redis finds a syntax error.
    fn parse(mut args: &[&'a [u8]]) -> Option<Self> {
        let mut options = SetOptions {
            condition: Condition::Always,
            get: false,
            expire: ExpireOption::Unset,
        };
        while let [word, rest @ ..] = args {
            let allows = |condition| {
                options.condition == Condition::Always || options.condition == condition
            };
            if is(word, "NX") && allows(Condition::Absent) {
                options.condition = Condition::Absent;
            } else if is(word, "XX") && allows(Condition::Present) {
                options.condition = Condition::Present;
            } else if let [wanted, rest @ ..] = rest
                && let Some(comparison) = Comparison::of(word, wanted)
                && options.condition == Condition::Always
            {
                options.condition = Condition::Compared(comparison);
                args = rest;
                continue;
            } else if is(word, "GET") {
                options.get = true;
            } else {
                let taken = options.expire.read(args)?;
                if options.expire == ExpireOption::Persist {
                    return None;
                }
                args = &args[taken..];
                continue;
            }
            args = rest;
        }
        Some(options)
    }
}

fn op_set(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if args.len() == 3 {
        if cx.store(args[1], stored(args[2]), ExpireChange::Clear) {
            cx.reply.ok();
        }
        return;
    }
    set_with_options(cx, args);
}

fn set_with_options(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, value) = (args[1], stored(args[2]));
    let Some(options) = SetOptions::parse(&args[3..]) else {
        return cx.error(SYNTAX);
    };
    let change = match options.expire {
        ExpireOption::At(lifetime, amount) => match lifetime.deadline(cx, amount, "set") {
            Some(deadline) => ExpireChange::At(deadline),
            None => return,
        },
        ExpireOption::Keep => ExpireChange::Keep,
        ExpireOption::Unset | ExpireOption::Persist => ExpireChange::Clear,
    };
    if options.get && reply_get(cx, key) == Got::WrongType {
        return;
    }
    let wanted = match options.condition {
        Condition::Always => true,
        Condition::Absent => !cx.shard.exists(cx.db, key),
        Condition::Present => cx.shard.exists(cx.db, key),
        Condition::Compared(comparison) => match comparison.judge(cx, key) {
            Verdict::Holds => true,
            Verdict::Fails => false,
            Verdict::Refused => return,
        },
    };
    if cx.reply.is_refused() || wanted && !cx.store(key, value, change) {
        return;
    }
    if wanted && matches!(change, ExpireChange::At(_)) {
        cx.shard.note(cx.db, key, event::EXPIRE);
    }
    match (options.get, wanted) {
        (true, _) => {}
        (false, true) => cx.reply.ok(),
        (false, false) => cx.reply.null(),
    }
}

pub(super) const SETNX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "setnx",
        arity: 3,
        flags: WRITES | flag::FAST,
        keys: &[KeySpec::range(access::OW | access::INSERT, 1, 0, 1)],
        summary: "Sets the string value of a key, only if the key does not exist.",
        ..ROW
    },
    op: op_setnx,
    spread: Spread::One,
};

fn op_setnx(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let absent = !cx.shard.exists(cx.db, args[1]);
    if absent && !cx.store(args[1], stored(args[2]), ExpireChange::Clear) {
        return;
    }
    cx.reply.integer(absent.into());
}

pub(super) const SETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "setex",
        arity: 4,
        flags: WRITES,
        keys: OVERWRITES,
        since: "2.0.0",
        summary: "Sets the string value of a key together with its lifetime in seconds.",
        ..ROW
    },
    op: op_setex,
    spread: Spread::One,
};

fn op_setex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    set_for(cx, args, Lifetime::EX, "setex");
}

pub(super) const PSETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "psetex",
        since: "2.6.0",
        summary: "Sets the string value of a key together with its lifetime in milliseconds.",
        ..SETEX.spec
    },
    op: op_psetex,
    spread: Spread::One,
};

fn op_psetex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    set_for(cx, args, Lifetime::PX, "psetex");
}

fn set_for(cx: &mut Cx<'_>, args: &[&[u8]], lifetime: Lifetime, command: &str) {
    let Some(deadline) = lifetime.deadline(cx, args[2], command) else {
        return;
    };
    if cx.store(args[1], stored(args[3]), ExpireChange::At(deadline)) {
        cx.shard.note(cx.db, args[1], event::EXPIRE);
        cx.reply.ok();
    }
}

pub(super) const GETSET: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "getset",
        arity: 3,
        flags: WRITES | flag::FAST,
        keys: CHANGES,
        summary: "Returns the string value of a key and sets a new one.",
        ..ROW
    },
    op: op_getset,
    spread: Spread::One,
};

fn op_getset(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if reply_get(cx, args[1]) != Got::WrongType && !cx.reply.is_refused() {
        // When it is refused, so has been the reply.
        let _ = cx.store(args[1], stored(args[2]), ExpireChange::Clear);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn conditions_and_the_old_value() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v XX", "(nil)"),
            ("SET k v1 nx", "OK"),
            ("SET k v2 NX", "(nil)"),
            ("SET k v2 XX", "OK"),
            ("SET k v3 GET", "\"v2\""),
            ("SET k v4 NX GET", "\"v3\""),
            ("GET k", "\"v3\""),
            ("SET k v5 GET XX", "\"v3\""),
            ("SET j 1 GET NX", "(nil)"),
            ("GET j", "\"1\""),
            ("SET i 1 GET XX", "(nil)"),
            ("EXISTS i", "0"),
            ("SET k v NX XX", "ERR syntax error"),
            ("SET k v XX NX", "ERR syntax error"),
            ("SET k v NX NX", "(nil)"),
            ("SET k v bogus", "ERR syntax error"),
        ]);
    }

    #[test]
    fn lifetimes() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v EX 10", "OK"),
            ("TTL k", "10"),
            ("SET k v KEEPTTL", "OK"),
            ("TTL k", "10"),
            ("SET k v", "OK"),
            ("TTL k", "-1"),
            ("SET k v PX 1500", "OK"),
            ("PTTL k", "1500"),
            ("SET k v EXAT 1700000009", "OK"),
            ("TTL k", "9"),
            ("SET k v pxat 1700000000009", "OK"),
            ("PTTL k", "9"),
            ("SET k v PXAT 1", "OK"),
            ("DBSIZE", "1"),
            ("GET k", "(nil)"),
            ("DBSIZE", "0"),
            ("SET k v EX 1 EX 2", "OK"),
            ("TTL k", "2"),
            ("SET k v EX 1 PX 1", "ERR syntax error"),
            ("SET k v KEEPTTL EX 1", "ERR syntax error"),
            ("SET k v PERSIST", "ERR syntax error"),
            ("SET k v EX", "ERR syntax error"),
            (
                "SET k v EX ten",
                "ERR value is not an integer or out of range",
            ),
            ("SET k v EX 0", "ERR invalid expire time in 'set' command"),
            (
                "SET k v PXAT -1",
                "ERR invalid expire time in 'set' command",
            ),
            (
                "SET k v EX 9223372036854776",
                "ERR invalid expire time in 'set' command",
            ),
            (
                "SET k v PX 9223372036854775807",
                "ERR invalid expire time in 'set' command",
            ),
        ]);
    }

    #[test]
    fn an_expired_key_is_absent() {
        let mut rig = Rig::new();
        rig.check(&[("SET k v PX 10", "OK")]);
        rig.wait(10);
        rig.check(&[("GET k", "\"v\""), ("PTTL k", "0")]);
        rig.wait(1);
        rig.check(&[
            ("SET k w KEEPTTL GET", "(nil)"),
            ("TTL k", "-1"),
            ("SET k v PX 10", "OK"),
        ]);
        rig.wait(11);
        rig.check(&[("SET k w XX", "(nil)"), ("SETNX k w", "1")]);
        assert_eq!(rig.shard.stats.expired_keys, 2);
    }

    #[test]
    fn setnx_setex_psetex_getset() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETNX k 1", "1"),
            ("SETNX k 2", "0"),
            ("GETSET k 3", "\"1\""),
            ("GETSET j 3", "(nil)"),
            ("SETEX k 20 v", "OK"),
            ("TTL k", "20"),
            ("GETSET k w", "\"v\""),
            ("TTL k", "-1"),
            ("PSETEX k 20 v", "OK"),
            ("PTTL k", "20"),
            ("SETEX k 0 v", "ERR invalid expire time in 'setex' command"),
            ("SETEX k x v", "ERR value is not an integer or out of range"),
            (
                "PSETEX k -1 v",
                "ERR invalid expire time in 'psetex' command",
            ),
            (
                "SETEX k 1",
                "ERR wrong number of arguments for 'setex' command",
            ),
        ]);
    }
}
