//! Lifetimes of single fields, as Redis 7.4 has them: HEXPIRE and its kin, HTTL and its kin, HPERSIST.

use tessera_core::hash::Hash;
use tessera_core::number::parse_i64;

use super::{LOOKS, ROW, changed_times};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{NOT_INTEGER, is};
use crate::commands::lifetime::{Lifetime, invalid};
use crate::shard::WrongType;
use crate::shard::event::{self, Event};

/// The latest moment at which a field may end, as in Redis.
const END_MS_MAX: i64 = (1 << 46) - 1;

/// Replies for a field.
const NO_FIELD: i64 = -2;
const NO_LIFETIME: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

pub(super) const HEXPIRE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hexpire",
        arity: -6,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        since: "7.4.0",
        summary: "Sets the lifetimes of fields of a hash in seconds.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: |cx, args| expire(cx, args, Lifetime::EX, "hexpire"),
    spread: Spread::One,
};

pub(super) const HPEXPIRE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hpexpire",
        summary: "Sets the lifetimes of fields of a hash in milliseconds.",
        ..HEXPIRE.spec
    },
    op: |cx, args| expire(cx, args, Lifetime::PX, "hpexpire"),
    spread: Spread::One,
};

pub(super) const HEXPIREAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hexpireat",
        summary: "Sets the moment at which fields of a hash end, in seconds since the Unix epoch.",
        ..HEXPIRE.spec
    },
    op: |cx, args| expire(cx, args, Lifetime::EXAT, "hexpireat"),
    spread: Spread::One,
};

pub(super) const HPEXPIREAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hpexpireat",
        summary: "Sets the moment at which fields of a hash end, in milliseconds since the Unix epoch.",
        ..HEXPIRE.spec
    },
    op: |cx, args| expire(cx, args, Lifetime::PXAT, "hpexpireat"),
    spread: Spread::One,
};

pub(super) const HTTL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "httl",
        arity: -5,
        flags: flag::READONLY | flag::FAST,
        keys: LOOKS,
        tips: &["nondeterministic_output"],
        since: "7.4.0",
        summary: "Returns the remaining lifetimes of fields of a hash in seconds.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: |cx, args| remaining(cx, args, Lifetime::EX),
    spread: Spread::One,
};

pub(super) const HPTTL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hpttl",
        summary: "Returns the remaining lifetimes of fields of a hash in milliseconds.",
        ..HTTL.spec
    },
    op: |cx, args| remaining(cx, args, Lifetime::PX),
    spread: Spread::One,
};

pub(super) const HEXPIRETIME: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hexpiretime",
        tips: &[],
        summary: "Returns the moment at which fields of a hash end, in seconds since the Unix epoch.",
        ..HTTL.spec
    },
    op: |cx, args| remaining(cx, args, Lifetime::EXAT),
    spread: Spread::One,
};

pub(super) const HPEXPIRETIME: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hpexpiretime",
        summary: "Returns the moment at which fields of a hash end, in milliseconds since the Unix epoch.",
        ..HEXPIRETIME.spec
    },
    op: |cx, args| remaining(cx, args, Lifetime::PXAT),
    spread: Spread::One,
};

pub(super) const HPERSIST: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hpersist",
        arity: -5,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        since: "7.4.0",
        summary: "Takes the lifetimes of fields of a hash away.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hpersist,
    spread: Spread::One,
};

/// When a new lifetime counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    /// NX: the field has none.
    Absent,
    /// XX: it has one.
    Present,
    /// GT: the new one ends later; none lasts for ever.
    Later,
    /// LT: it ends sooner.
    Sooner,
}

impl Condition {
    fn of(word: &[u8]) -> Option<Self> {
        let words = [
            ("NX", Self::Absent),
            ("XX", Self::Present),
            ("GT", Self::Later),
            ("LT", Self::Sooner),
        ];
        let found = words.iter().find(|(name, _)| is(word, name));
        found.map(|(_, condition)| *condition)
    }

    fn holds(self, before: Option<u64>, at_ms: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => before.is_none(),
            Self::Present => before.is_some(),
            Self::Later => before.is_some_and(|before| before < at_ms),
            Self::Sooner => before.is_none_or(|before| before > at_ms),
        }
    }
}

/// The moment that a lifetime of a field means. Writes the error for `command` itself.
pub(super) fn moment(
    cx: &mut Cx<'_>,
    amount: &[u8],
    lifetime: Lifetime,
    command: &str,
) -> Option<u64> {
    let Some(amount) = parse_i64(amount) else {
        cx.error(NOT_INTEGER);
        return None;
    };
    if amount < 0 {
        cx.error("ERR invalid expire time, must be >= 0");
        return None;
    }
    let moment = lifetime.moment_ms(amount, cx.shard.now_ms);
    let at_ms = moment.filter(|at_ms| (0..=END_MS_MAX).contains(at_ms));
    if at_ms.is_none() {
        invalid(cx, command);
    }
    at_ms.map(|at_ms| at_ms as u64)
}

/// The fields after `FIELDS numfields`, where `args` begins. Writes the error; `not_positive` is the one for the number.
pub(super) fn fields<'a>(
    cx: &mut Cx<'_>,
    args: &'a [&'a [u8]],
    not_positive: &str,
) -> Option<&'a [&'a [u8]]> {
    let [word, count, fields @ ..] = args else {
        cx.error(FIELDS_MISSING);
        return None;
    };
    if !is(word, "FIELDS") {
        cx.error(FIELDS_MISSING);
        return None;
    }
    let Some(count) = parse_i64(count).filter(|count| *count > 0) else {
        cx.error(not_positive);
        return None;
    };
    if usize::try_from(count) != Ok(fields.len()) {
        cx.error("ERR The `numfields` parameter must match the number of arguments");
        return None;
    }
    Some(fields)
}

const FIELDS_MISSING: &str =
    "ERR Mandatory argument FIELDS is missing or not at the right position";
pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

/// Whether the key is free for a hash or holds one; writes the error otherwise. Redis looks at the type before it looks at the arguments.
pub(super) fn may_hold_hash(cx: &mut Cx<'_>, key: &[u8]) -> bool {
    let checked = cx.shard.check_object::<Hash>(cx.db, key);
    if checked.is_err() {
        cx.wrong_type();
    }
    checked.is_ok()
}

/// Sets when a live field ends; one that ends in the past goes at once. Returns the reply's number.
pub(super) fn set_end(hash: &mut Hash, field: &[u8], at_ms: u64, now_ms: u64, seed: u64) -> i64 {
    if at_ms <= now_ms {
        hash.remove(field);
        return DELETED;
    }
    hash.set_expire(field, Some(at_ms), seed);
    DONE
}

fn expire(cx: &mut Cx<'_>, args: &[&[u8]], lifetime: Lifetime, command: &str) {
    let key = args[1];
    if !may_hold_hash(cx, key) {
        return;
    }
    let Some(at_ms) = moment(cx, args[2], lifetime, command) else {
        return;
    };
    let (condition, rest) = match Condition::of(args[3]) {
        Some(condition) => (condition, &args[4..]),
        None => (Condition::Always, &args[3..]),
    };
    let not_positive = "ERR Parameter `numFields` should be greater than 0";
    let Some(fields) = fields(cx, rest, not_positive) else {
        return;
    };
    let (now_ms, seed) = (cx.shard.now_ms, cx.shard.collection_seed());
    change_each(cx, key, fields, event::HEXPIRE, |hash, field| {
        let Some(before) = hash.expire_at(field) else {
            return NO_FIELD;
        };
        if !condition.holds(before, at_ms) {
            return CONDITION_NOT_MET;
        }
        set_end(hash, field, at_ms, now_ms, seed)
    });
}

/// Replies with what `change` says of each live field, and reports as many changes as there were.
fn change_each(
    cx: &mut Cx<'_>,
    key: &[u8],
    fields: &[&[u8]],
    event: Event,
    mut change: impl FnMut(&mut Hash, &[u8]) -> i64,
) {
    let now_ms = cx.shard.now_ms;
    let changed = cx.shard.change_object(cx.db, key, |hash: &mut Hash| {
        let mut answer = |field: &&[u8]| {
            hash.drop_due(field, now_ms);
            change(hash, field)
        };
        fields.iter().map(&mut answer).collect::<Vec<i64>>()
    });
    let answers = match changed {
        Ok(Some(answers)) => answers,
        Ok(None) => vec![NO_FIELD; fields.len()],
        Err(WrongType) => return cx.wrong_type(),
    };
    let changes = answers.iter().filter(|answer| **answer > 0).count();
    changed_times(cx.shard, cx.db, key, changes, event);
    cx.reply.array(answers.len());
    answers.iter().for_each(|answer| cx.reply.integer(*answer));
}

fn remaining(cx: &mut Cx<'_>, args: &[&[u8]], unit: Lifetime) {
    if !may_hold_hash(cx, args[1]) {
        return;
    }
    let Some(fields) = fields(cx, &args[2..], NOT_POSITIVE) else {
        return;
    };
    let now_ms = cx.shard.now_ms;
    let Ok(hash) = cx.shard.read_object::<Hash>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(fields.len());
    for field in fields {
        let end = hash
            .filter(|hash| hash.contains(field, now_ms))
            .and_then(|hash| hash.expire_at(field));
        cx.reply.integer(match end {
            None => NO_FIELD,
            Some(None) => NO_LIFETIME,
            Some(Some(at_ms)) => {
                let base_ms = if unit.absolute { 0 } else { now_ms };
                let ms = at_ms.saturating_sub(base_ms);
                (if unit.in_seconds {
                    ms.div_ceil(1000)
                } else {
                    ms
                }) as i64
            }
        });
    }
}

fn op_hpersist(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !may_hold_hash(cx, args[1]) {
        return;
    }
    let Some(fields) = fields(cx, &args[2..], NOT_POSITIVE) else {
        return;
    };
    let seed = cx.shard.collection_seed();
    change_each(
        cx,
        args[1],
        fields,
        event::HPERSIST,
        |hash, field| match hash.expire_at(field) {
            None => NO_FIELD,
            Some(None) => NO_LIFETIME,
            Some(Some(_)) => {
                hash.set_expire(field, None, seed);
                DONE
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn lifetimes_of_fields() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HEXPIRE none 10 FIELDS 2 a b", "[-2 -2]"),
            ("HTTL none FIELDS 1 a", "[-2]"),
            ("HPERSIST none FIELDS 1 a", "[-2]"),
            ("HSET h a 1 b 2 c 3", "3"),
            ("HEXPIRE h 10 FIELDS 2 a none", "[1 -2]"),
            ("OBJECT ENCODING h", "\"listpackex\""),
            ("HTTL h FIELDS 3 a b none", "[10 -1 -2]"),
            ("HPTTL h FIELDS 1 a", "[10000]"),
            ("HEXPIRETIME h FIELDS 1 a", "[1700000010]"),
            ("HPEXPIRETIME h FIELDS 2 a b", "[1700000010000 -1]"),
            ("HPEXPIRE h 1500 NX FIELDS 2 a b", "[0 1]"),
            ("HPEXPIRE h 1700 GT FIELDS 3 a b c", "[0 1 0]"),
            ("HPEXPIRE h 1600 LT FIELDS 3 a b c", "[1 1 1]"),
            ("HEXPIREAT h 1700000005 XX FIELDS 1 a", "[1]"),
            ("HPEXPIREAT h 1700000004000 FIELDS 1 a", "[1]"),
            ("HTTL h FIELDS 3 a b c", "[4 2 2]"),
            ("HPERSIST h FIELDS 3 a a none", "[1 -1 -2]"),
            ("HEXPIRE h 0 FIELDS 1 a", "[2]"),
            ("HSET h b new", "0"),
            ("HTTL h FIELDS 2 a b", "[-2 -1]"),
            ("HINCRBY h c 4", "7"),
            ("HPTTL h FIELDS 1 c", "[1600]"),
        ]);
        rig.wait(1600);
        rig.check(&[("HGET h c", "\"7\"")]);
        rig.wait(1);
        rig.check(&[
            ("HGETALL h", "[\"b\" \"new\"]"),
            ("HMGET h c b", "[(nil) \"new\"]"),
            ("HEXISTS h c", "0"),
            ("HSTRLEN h c", "0"),
            ("HSCAN h 0", "[\"0\" [\"b\" \"new\"]]"),
            ("HRANDFIELD h 5", "[\"b\"]"),
            ("HTTL h FIELDS 1 c", "[-2]"),
            ("HEXPIREAT h 1 FIELDS 1 b", "[2]"),
            ("EXISTS h", "0"),
        ]);
    }

    #[test]
    fn a_due_field_is_gone_for_whoever_writes() {
        let mut rig = Rig::new();
        let fresh = |rig: &mut Rig| {
            rig.run("DEL h");
            rig.check(&[("HSET h a 1 b 2", "2"), ("HPEXPIRE h 10 FIELDS 1 a", "[1]")]);
            rig.wait(11);
        };
        for (line, reply) in [
            ("HSET h a 9", "1"),
            ("HSETNX h a 9", "1"),
            ("HINCRBY h a 9", "9"),
            ("HINCRBYFLOAT h a 9", "\"9\""),
            ("HDEL h a", "0"),
            ("HEXPIRE h 9 FIELDS 1 a", "[-2]"),
            ("HPERSIST h FIELDS 1 a", "[-2]"),
            ("HGETDEL h FIELDS 1 a", "[(nil)]"),
            ("HGETEX h EX 9 FIELDS 1 a", "[(nil)]"),
            ("HSETEX h FXX FIELDS 1 a 9", "0"),
            ("HSETEX h FNX FIELDS 1 a 9", "1"),
            ("HSETEX h KEEPTTL FIELDS 1 a 9", "1"),
        ] {
            fresh(&mut rig);
            rig.check(&[(line, reply)]);
            let is_there = rig.run("HEXISTS h a");
            let expected = if is_there == "1" { "[-1]" } else { "[-2]" };
            rig.check(&[("HTTL h FIELDS 1 a", expected)]);
        }
    }

    #[test]
    fn refusals_in_the_order_of_redis() {
        let mut rig = Rig::new();
        rig.check(&[("SET s v", "OK"), ("HSET h a 1", "1")]);
        const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
        const MISSING: &str =
            "ERR Mandatory argument FIELDS is missing or not at the right position";
        rig.check(&[
            ("HEXPIRE s x FIELDS 1 a", WRONG),
            ("HTTL s FOO 1 a", WRONG),
            ("HPERSIST s FOO 1 a", WRONG),
            (
                "HEXPIRE h x FIELDS 1 a",
                "ERR value is not an integer or out of range",
            ),
            (
                "HEXPIRE h -1 FIELDS 1 a",
                "ERR invalid expire time, must be >= 0",
            ),
            (
                "HEXPIRE h 70368744178 FIELDS 1 a",
                "ERR invalid expire time in 'hexpire' command",
            ),
            (
                "HPEXPIREAT h 70368744177664 FIELDS 1 a",
                "ERR invalid expire time in 'hpexpireat' command",
            ),
            ("HPEXPIREAT h 70368744177663 FIELDS 1 a", "[1]"),
            ("HEXPIRE h 10 FOO FIELDS 1 a", MISSING),
            ("HEXPIRE h 10 NX FOO 1 a", MISSING),
            (
                "HEXPIRE h 10 FIELDS 0 a",
                "ERR Parameter `numFields` should be greater than 0",
            ),
            (
                "HEXPIRE h 10 FIELDS 2 a",
                "ERR The `numfields` parameter must match the number of arguments",
            ),
            ("HTTL h FOO 1 a", MISSING),
            (
                "HTTL h FIELDS x a",
                "ERR Number of fields must be a positive integer",
            ),
            (
                "HPERSIST h FIELDS 1 a b",
                "ERR The `numfields` parameter must match the number of arguments",
            ),
        ]);
    }

    #[test]
    fn lifetimes_go_with_the_key_and_the_last_field_takes_it_along() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HSET h a 1 b 2", "2"),
            ("HPEXPIRE h 50 FIELDS 2 a b", "[1 1]"),
            ("COPY h c", "1"),
            ("RENAME h r", "OK"),
            ("HPTTL c FIELDS 2 a b", "[50 50]"),
            ("HPTTL r FIELDS 2 a b", "[50 50]"),
            ("HPERSIST c FIELDS 1 b", "[1]"),
        ]);
        assert_eq!(rig.shard.table(0).field_ttl_len(), 2);
        assert!(rig.shard.wants_expiry());
        rig.wait(51);
        rig.shard.expire_slice();
        rig.check(&[("EXISTS r", "0"), ("HGETALL c", "[\"b\" \"2\"]")]);
        assert_eq!(rig.shard.stats.expired_fields, 3);
        assert_eq!(rig.shard.table(0).field_ttl_len(), 0);
        assert!(!rig.shard.wants_expiry());
    }

    #[test]
    fn large_hashes_lose_due_fields_in_bounded_slices() {
        let mut rig = Rig::new();
        for field in 0..20_000 {
            rig.run(&format!("HSET h {field} v"));
            rig.run(&format!("HPEXPIRE h {} FIELDS 1 {field}", 100 + field % 2));
        }
        rig.check(&[("HSET h stays v", "1")]);
        rig.wait(101);
        let mut slices = 0;
        while rig.run("HLEN h") != "10001" {
            let before = rig.shard.stats.expired_fields;
            rig.shard.expire_slice();
            assert!(rig.shard.stats.expired_fields - before < 2_500);
            slices += 1;
        }
        assert!(slices > 5);
        rig.wait(1);
        rig.check(&[("HGET h 0", "(nil)"), ("HGET h 1", "(nil)")]);
        while rig.run("HLEN h") != "1" {
            rig.shard.expire_slice();
        }
        rig.check(&[("HGETALL h", "[\"stays\" \"v\"]")]);
    }
}
