//! What time a key has left: TTL, EXPIRETIME and their kin, and PERSIST, which takes the limit away.

use super::{CHANGES, ROW};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};

pub(super) const TTL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "ttl",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)],
        tips: &["nondeterministic_output"],
        summary: "Returns the remaining lifetime of a key in seconds.",
        ..ROW
    },
    op: op_ttl,
    spread: Spread::One,
};

fn op_ttl(cx: &mut Cx<'_>, args: &[&[u8]]) {
    reply_time(cx, args[1], |left_ms, _| seconds(left_ms));
}

pub(super) const PTTL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pttl",
        since: "2.6.0",
        summary: "Returns the remaining lifetime of a key in milliseconds.",
        ..TTL.spec
    },
    op: op_pttl,
    spread: Spread::One,
};

fn op_pttl(cx: &mut Cx<'_>, args: &[&[u8]]) {
    reply_time(cx, args[1], |left_ms, _| left_ms);
}

pub(super) const EXPIRETIME: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "expiretime",
        tips: &[],
        since: "7.0.0",
        summary: "Returns the expiry time of a key as a Unix time in seconds.",
        ..TTL.spec
    },
    op: op_expiretime,
    spread: Spread::One,
};

fn op_expiretime(cx: &mut Cx<'_>, args: &[&[u8]]) {
    reply_time(cx, args[1], |_, at_ms| seconds(at_ms));
}

pub(super) const PEXPIRETIME: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pexpiretime",
        summary: "Returns the expiry time of a key as a Unix time in milliseconds.",
        ..EXPIRETIME.spec
    },
    op: op_pexpiretime,
    spread: Spread::One,
};

fn op_pexpiretime(cx: &mut Cx<'_>, args: &[&[u8]]) {
    reply_time(cx, args[1], |_, at_ms| at_ms);
}

/// To the nearest second.
fn seconds(ms: u64) -> u64 {
    (ms + 500) / 1000
}

/// -2 without the key, -1 without an expiry time, else what `shown` makes of the milliseconds left and the moment.
#[inline]
fn reply_time(cx: &mut Cx<'_>, key: &[u8], shown: impl Fn(u64, u64) -> u64) {
    let now_ms = cx.shard.now_ms;
    let number = match cx.shard.peek(cx.db, key).map(|entry| entry.expire_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => shown(at_ms.saturating_sub(now_ms), at_ms) as i64,
    };
    cx.reply.integer(number);
}

pub(super) const PERSIST: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "persist",
        arity: 2,
        flags: flag::WRITE | flag::FAST,
        keys: CHANGES,
        since: "2.2.0",
        summary: "Removes the expiry time of a key.",
        ..ROW
    },
    op: op_persist,
    spread: Spread::One,
};

fn op_persist(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let removed = cx.shard.persist(cx.db, args[1]);
    cx.reply.integer(removed.into());
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn what_is_left() {
        let mut rig = Rig::new();
        rig.check(&[
            ("TTL k", "-2"),
            ("EXPIRETIME k", "-2"),
            ("SET k v", "OK"),
            ("TTL k", "-1"),
            ("PTTL k", "-1"),
            ("PEXPIRETIME k", "-1"),
            ("PERSIST k", "0"),
            ("PEXPIRE k 1499", "1"),
            ("TTL k", "1"),
            ("PEXPIRE k 1500", "1"),
            ("TTL k", "2"),
            ("PEXPIRETIME k", "1700000001500"),
            ("EXPIRETIME k", "1700000002"),
            ("PERSIST k", "1"),
            ("TTL k", "-1"),
            ("PERSIST none", "0"),
        ]);
        assert_eq!(rig.shard.stats.changes, 4);
    }
}
