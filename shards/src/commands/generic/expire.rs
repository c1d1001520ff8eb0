//! EXPIRE and its kin: a key gets an end, or ends at once if the moment is past.

use super::{CHANGES, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{integer, is};
use crate::commands::lifetime::{self, Lifetime};
use crate::shard::event;

pub(super) const EXPIRE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "expire",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: CHANGES,
        summary: "Sets the lifetime of a key in seconds.",
        ..ROW
    },
    op: op_expire,
    spread: Spread::One,
};

fn op_expire(cx: &mut Cx<'_>, args: &[&[u8]]) {
    expire(cx, args, Lifetime::EX, "expire");
}

pub(super) const PEXPIRE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pexpire",
        since: "2.6.0",
        summary: "Sets the lifetime of a key in milliseconds.",
        ..EXPIRE.spec
    },
    op: op_pexpire,
    spread: Spread::One,
};

fn op_pexpire(cx: &mut Cx<'_>, args: &[&[u8]]) {
    expire(cx, args, Lifetime::PX, "pexpire");
}

pub(super) const EXPIREAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "expireat",
        since: "1.2.0",
        summary: "Sets the expiry time of a key to a Unix time in seconds.",
        ..EXPIRE.spec
    },
    op: op_expireat,
    spread: Spread::One,
};

fn op_expireat(cx: &mut Cx<'_>, args: &[&[u8]]) {
    expire(cx, args, Lifetime::EXAT, "expireat");
}

pub(super) const PEXPIREAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pexpireat",
        since: "2.6.0",
        summary: "Sets the expiry time of a key to a Unix time in milliseconds.",
        ..EXPIRE.spec
    },
    op: op_pexpireat,
    spread: Spread::One,
};

fn op_pexpireat(cx: &mut Cx<'_>, args: &[&[u8]]) {
    expire(cx, args, Lifetime::PXAT, "pexpireat");
}

/// NX, XX, GT, LT.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Conditions {
    absent: bool,
    present: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    /// Writes the error for options that are unknown or contradict each other.
    fn parse(cx: &mut Cx<'_>, options: &[&[u8]]) -> Option<Self> {
        let mut conditions = Conditions::default();
        for option in options {
            match option {
                word if is(word, "NX") => conditions.absent = true,
                word if is(word, "XX") => conditions.present = true,
                word if is(word, "GT") => conditions.later = true,
                word if is(word, "LT") => conditions.earlier = true,
                word => {
                    cx.error([&b"ERR Unsupported option "[..], word].concat());
                    return None;
                }
            }
        }
        let Conditions {
            absent,
            present,
            later,
            earlier,
        } = conditions;
        if absent && (present || later || earlier) {
            cx.error("ERR NX and XX, GT or LT options at the same time are not compatible");
            return None;
        }
        if later && earlier {
            cx.error("ERR GT and LT options at the same time are not compatible");
            return None;
        }
        Some(conditions)
    }

    /// Whether the new moment may take the place of the current one; no expiry time is later than any.
    fn allow(self, current: Option<u64>, moment_ms: i64) -> bool {
        // Expiry times are positive and fit 63 bits, as every way to set one checks.
        let order = current.map(|at_ms| moment_ms.cmp(&(at_ms as i64)));
        !(self.absent && current.is_some()
            || self.present && current.is_none()
            || self.later && order.is_none_or(|order| order.is_le())
            || self.earlier && order.is_some_and(|order| order.is_ge()))
    }
}

fn expire(cx: &mut Cx<'_>, args: &[&[u8]], lifetime: Lifetime, command: &str) {
    let key = args[1];
    let Some(conditions) = Conditions::parse(cx, &args[3..]) else {
        return;
    };
    let Some(amount) = integer(cx, args[2]) else {
        return;
    };
    let now_ms = cx.shard.now_ms;
    let Some(moment_ms) = lifetime.moment_ms(amount, now_ms) else {
        return lifetime::invalid(cx, command);
    };
    let allowed = match cx.shard.write(cx.db, key) {
        Some(entry) if !conditions.allow(entry.expire_at(), moment_ms) => false,
        Some(mut entry) => {
            match u64::try_from(moment_ms) {
                Ok(at_ms) if at_ms > now_ms => {
                    entry.set_expire(Some(at_ms));
                    cx.shard.changed_by(cx.db, key, event::EXPIRE);
                }
                _ => {
                    cx.shard.remove(cx.db, key);
                }
            }
            true
        }
        None => false,
    };
    cx.reply.integer(allowed.into());
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn seconds_milliseconds_moments() {
        let mut rig = Rig::new();
        rig.check(&[
            ("EXPIRE none 10", "0"),
            ("SET k v", "OK"),
            ("EXPIRE k 10", "1"),
            ("PTTL k", "10000"),
            ("PEXPIRE k 1234", "1"),
            ("PTTL k", "1234"),
            ("EXPIREAT k 1700000007", "1"),
            ("TTL k", "7"),
            ("PEXPIREAT k 1700000000001", "1"),
            ("PTTL k", "1"),
        ]);
        rig.wait(2);
        rig.check(&[("EXISTS k", "0")]);
    }

    #[test]
    fn the_past_deletes() {
        let mut rig = Rig::new();
        for line in [
            "EXPIRE k 0",
            "PEXPIRE k -1",
            "EXPIREAT k 1700000000",
            "PEXPIREAT k -5",
            "EXPIRE k -1700000001 LT",
        ] {
            rig.check(&[("SET k v", "OK"), (line, "1"), ("DBSIZE", "0")]);
        }
        assert_eq!(rig.shard.stats.expired_keys, 0);
    }

    #[test]
    fn conditions() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v", "OK"),
            ("EXPIRE k 10 XX", "0"),
            ("EXPIRE k 10 gt", "0"),
            ("EXPIRE k 10 NX", "1"),
            ("EXPIRE k 20 NX", "0"),
            ("EXPIRE k 10 GT", "0"),
            ("EXPIRE k 11 GT", "1"),
            ("EXPIRE k 11 LT", "0"),
            ("EXPIRE k 10 LT", "1"),
            ("EXPIRE k 30 XX GT", "1"),
            ("EXPIRE k -1 GT", "0"),
            ("PERSIST k", "1"),
            ("EXPIRE k 5 XX LT", "0"),
            ("EXPIRE k 5 LT", "1"),
            ("TTL k", "5"),
            ("EXPIRE k -1 XX LT", "1"),
            ("EXISTS k", "0"),
        ]);
    }

    #[test]
    fn errors_in_redis_order() {
        let mut rig = Rig::new();
        rig.check(&[
            ("EXPIRE k x foo", "ERR Unsupported option foo"),
            (
                "EXPIRE k x NX XX",
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            (
                "EXPIRE k 1 GT NX",
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            (
                "EXPIRE k 1 GT LT",
                "ERR GT and LT options at the same time are not compatible",
            ),
            ("EXPIRE k x", "ERR value is not an integer or out of range"),
            (
                "EXPIRE k 9223372036854776",
                "ERR invalid expire time in 'expire' command",
            ),
            (
                "EXPIRE k 9223372036854775",
                "ERR invalid expire time in 'expire' command",
            ),
            (
                "EXPIRE k -9223372036854776",
                "ERR invalid expire time in 'expire' command",
            ),
            (
                "PEXPIRE k 9223372036854775807",
                "ERR invalid expire time in 'pexpire' command",
            ),
            (
                "EXPIREAT k 9223372036854776",
                "ERR invalid expire time in 'expireat' command",
            ),
            ("PEXPIREAT k 9223372036854775807", "0"),
            (
                "EXPIRE k",
                "ERR wrong number of arguments for 'expire' command",
            ),
        ]);
    }
}
