//! SET and its kin: a new value in place of whatever was there.

use tessera_core::table::ExpireChange;

use super::{CHANGES, OVERWRITES, ROW, WRITES, reply_get, stored};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is};
use crate::commands::lifetime::{ExpireOption, Lifetime};

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
enum Condition {
    Always,
    Absent,
    Present,
}

/// The options of SET.
struct SetOptions<'a> {
    condition: Condition,
    get: bool,
    expire: ExpireOption<'a>,
}

impl<'a> SetOptions<'a> {
    /// `None` where Redis finds a syntax error.
    fn parse(mut args: &[&'a [u8]]) -> Option<Self> {
        let mut options = SetOptions { condition: Condition::Always, get: false, expire: ExpireOption::Unset };
        while let [word, rest @ ..] = args {
            if is(word, "NX") && options.condition != Condition::Present {
                options.condition = Condition::Absent;
            } else if is(word, "XX") && options.condition != Condition::Absent {
                options.condition = Condition::Present;
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
        cx.shard.set(cx.db, args[1], stored(args[2]), ExpireChange::Clear);
        return cx.reply.ok();
    }
    set_with_options(cx, args);
}

fn set_with_options(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, value) = (args[1], stored(args[2]));
    let Some(options) = SetOptions::parse(&args[3..]) else { return cx.error(SYNTAX) };
    let change = match options.expire {
        ExpireOption::At(lifetime, amount) => match lifetime.deadline(cx, amount, "set") {
            Some(deadline) => ExpireChange::At(deadline),
            None => return,
        },
        ExpireOption::Keep => ExpireChange::Keep,
        ExpireOption::Unset | ExpireOption::Persist => ExpireChange::Clear,
    };
    if options.get {
        reply_get(cx, key);
    }
    let wanted = match options.condition {
        Condition::Always => true,
        Condition::Absent => !cx.shard.exists(cx.db, key),
        Condition::Present => cx.shard.exists(cx.db, key),
    };
    if wanted {
        cx.shard.set(cx.db, key, value, change);
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
    if absent {
        cx.shard.set(cx.db, args[1], stored(args[2]), ExpireChange::Clear);
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
    let Some(deadline) = lifetime.deadline(cx, args[2], command) else { return };
    cx.shard.set(cx.db, args[1], stored(args[3]), ExpireChange::At(deadline));
    cx.reply.ok();
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
    reply_get(cx, args[1]);
    cx.shard.set(cx.db, args[1], stored(args[2]), ExpireChange::Clear);
}
