//! MONITOR, and WAIT and WAITAOF of a node without replicas.

use tessera_core::number::parse_i64;
use tessera_shards::command::Spec;
use tessera_shards::command::spec::{category, flag};

use crate::session::{Session, SessionFn, Then};

const WAITS: Spec = Spec {
    arity: 3,
    flags: flag::NOSCRIPT,
    categories: category::CONNECTION,
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    since: "3.0.0",
    complexity: "O(1)",
    ..Spec::NONE
};

/// The table.
pub(super) const ROWS: &[(Spec, SessionFn)] = &[
    (
        Spec {
            name: "monitor",
            arity: 1,
            flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
            group: "server",
            summary: "Shows this connection the commands of all others as they come.",
            ..Spec::NONE
        },
        |session, _| {
            let conn = session.conn;
            session.front.monitor(conn);
            session.reply.ok();
        },
    ),
    (
        Spec {
            name: "wait",
            summary: "Waits until so many replicas have all that this connection has written, or for a time.",
            ..WAITS
        },
        |session, args| wait(session, args[1], args[2], b":0\r\n"),
    ),
    (
        Spec {
            name: "waitaof",
            arity: 4,
            since: "7.2.0",
            summary: "Waits until what this connection has written is on disk here and at so many replicas, or for a time.",
            ..WAITS
        },
        cmd_waitaof,
    ),
];

fn cmd_waitaof(session: &mut Session<'_>, args: &[&[u8]]) {
    let local = match parse_i64(args[1]) {
        Some(0) => false,
        Some(1) if !session.front.config.log_on => {
            return session.error(
                "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
            );
        }
        Some(1) => true,
        Some(_) => return session.error("ERR value is out of range, must be between 0 and 1"),
        None => return session.error("ERR value is not an integer or out of range"),
    };
    let log = &session.front.shared.log;
    let is_synced = log.is_on() && log.durable() >= log.handed();
    if is_synced || !local {
        let nobody: &'static [u8] = if is_synced {
            b"*2\r\n:1\r\n:0\r\n"
        } else {
            b"*2\r\n:0\r\n:0\r\n"
        };
        return wait(session, args[2], args[3], nobody);
    }
    // Somebody is waited for, the disk here if there is no replica.
    let replicas: &[u8] = if args[2] == b"0" { b"1" } else { args[2] };
    wait(session, replicas, args[3], b"*2\r\n:0\r\n:0\r\n");
    if args[2] == b"0"
        && let Then::Wait(ms, nobody) = session.then
    {
        session.then = Then::WaitForDisk(ms, nobody);
    }
}

/// Replies at once if nobody is waited for, else when the time is over: there are no replicas.
fn wait(session: &mut Session<'_>, replicas: &[u8], timeout: &[u8], nobody: &'static [u8]) {
    let Some(replicas) = parse_i64(replicas) else {
        return session.error("ERR value is not an integer or out of range");
    };
    let Some(ms) = parse_i64(timeout) else {
        return session.error("ERR timeout is not an integer or out of range");
    };
    let Ok(ms) = u64::try_from(ms) else {
        return session.error("ERR timeout is negative");
    };
    if replicas <= 0 {
        return session.reply.raw(nobody);
    }
    session.then = Then::Wait(ms, nobody);
}
