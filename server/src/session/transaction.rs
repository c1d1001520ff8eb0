//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use tessera_shards::command::Spec;
use tessera_shards::command::spec::{KeySpec, access, category, flag};

use crate::front::Transaction;
use crate::session::{Session, SessionFn, Then};

const BASE: Spec = Spec {
    arity: 1,
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
    categories: category::TRANSACTION,
    group: "transactions",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "multi",
            flags: BASE.flags | flag::AT_ONCE,
            since: "1.2.0",
            summary: "Begins a transaction: the following commands wait for EXEC.",
            ..BASE
        },
        cmd_multi,
    ),
    (
        Spec {
            name: "exec",
            flags: flag::NOSCRIPT
                | flag::LOADING
                | flag::STALE
                | flag::SKIP_SLOWLOG
                | flag::AT_ONCE,
            since: "1.2.0",
            summary: "Runs the commands of a transaction as one.",
            complexity: "Depends on the commands",
            ..BASE
        },
        cmd_exec,
    ),
    (
        Spec {
            name: "discard",
            flags: BASE.flags | flag::AT_ONCE,
            since: "2.0.0",
            summary: "Forgets the commands of a transaction.",
            complexity: "O(N) with N commands",
            ..BASE
        },
        cmd_discard,
    ),
    (
        Spec {
            name: "watch",
            arity: -2,
            // What an earlier transaction of the client has yet to change is no news to it.
            flags: BASE.flags | flag::AT_ONCE | flag::AFTER_REPLIES,
            keys: &[KeySpec::range(access::RO, 1, -1, 1)],
            since: "2.2.0",
            summary: "Makes the next EXEC do nothing if one of the keys changes before it.",
            complexity: "O(1) per key",
            ..BASE
        },
        cmd_watch,
    ),
    (
        Spec {
            name: "unwatch",
            since: "2.2.0",
            summary: "Forgets all watched keys.",
            ..BASE
        },
        cmd_unwatch,
    ),
];

fn cmd_multi(session: &mut Session<'_>, _: &[&[u8]]) {
    if session.client().transaction.is_some() {
        return session.error("ERR MULTI calls can not be nested");
    }
    session.client().transaction = Some(Box::default());
    session.reply.ok();
}

fn cmd_exec(session: &mut Session<'_>, _: &[&[u8]]) {
    let Some(transaction) = session.client().transaction.take() else {
        return session.error("ERR EXEC without MULTI");
    };
    if transaction.is_broken {
        session.front.unwatch(session.conn);
        return session.error("EXECABORT Transaction discarded because of previous errors.");
    }
    session.then = Then::Exec(transaction);
}

fn cmd_discard(session: &mut Session<'_>, _: &[&[u8]]) {
    let discarded: Option<Box<Transaction>> = session.client().transaction.take();
    if discarded.is_none() {
        return session.error("ERR DISCARD without MULTI");
    }
    session.front.unwatch(session.conn);
    session.reply.ok();
}

fn cmd_watch(session: &mut Session<'_>, args: &[&[u8]]) {
    if session.client().transaction.is_some() {
        return session.error("ERR WATCH inside MULTI is not allowed");
    }
    session.client().is_watching = true;
    session.front.watch(session.conn, &args[1..]);
    session.reply.ok();
}

fn cmd_unwatch(session: &mut Session<'_>, _: &[&[u8]]) {
    session.front.unwatch(session.conn);
    session.reply.ok();
}
