//! Numbers in strings: INCR and its kin on 64-bit integers, INCRBYFLOAT on x87 long doubles as Redis has them.

use tessera_core::entry::{StrValue, ValueRef};
use tessera_core::number::{LongDouble, parse_i64};
use tessera_core::table::ExpireChange;

use super::{CHANGES, ROW, WRITES};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{NOT_INTEGER, integer};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const INCR: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "incr",
        arity: 2,
        flags: WRITES | flag::FAST,
        keys: CHANGES,
        summary: "Adds one to the integer value of a key, which is 0 if the key does not exist.",
        ..ROW
    },
    op: op_incr,
    spread: Spread::One,
};

fn op_incr(cx: &mut Cx<'_>, args: &[&[u8]]) {
    add(cx, args[1], 1);
}

pub(super) const DECR: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "decr",
        summary: "Subtracts one from the integer value of a key, which is 0 if the key does not exist.",
        ..INCR.spec
    },
    op: op_decr,
    spread: Spread::One,
};

fn op_decr(cx: &mut Cx<'_>, args: &[&[u8]]) {
    add(cx, args[1], -1);
}

pub(super) const INCRBY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "incrby",
        arity: 3,
        summary: "Adds a number to the integer value of a key.",
        ..INCR.spec
    },
    op: op_incrby,
    spread: Spread::One,
};

fn op_incrby(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(by) = integer(cx, args[2]) else {
        return;
    };
    add(cx, args[1], by);
}

pub(super) const DECRBY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "decrby",
        arity: 3,
        summary: "Subtracts a number from the integer value of a key.",
        ..INCR.spec
    },
    op: op_decrby,
    spread: Spread::One,
};

fn op_decrby(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(by) = integer(cx, args[2]) else {
        return;
    };
    let Some(negated) = by.checked_neg() else {
        return cx.error("ERR decrement would overflow");
    };
    add(cx, args[1], negated);
}

fn add(cx: &mut Cx<'_>, key: &[u8], by: i64) {
    let mut entry = match cx.shard.write_string(cx.db, key) {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            if cx.store_as(key, StrValue::Int(by), ExpireChange::Clear, event::INCRBY) {
                cx.reply.integer(by);
            }
            return;
        }
        Err(WrongType) => return cx.wrong_type(),
    };
    let old = entry.string().and_then(|value| match value {
        ValueRef::Int(number) => Some(number),
        ValueRef::Bytes(bytes) => parse_i64(bytes),
    });
    let Some(old) = old else {
        return cx.error(NOT_INTEGER);
    };
    let Some(sum) = old.checked_add(by) else {
        return cx.error("ERR increment or decrement would overflow");
    };
    if entry.set_value(StrValue::Int(sum)).is_err() {
        return cx.reply.refuse();
    }
    cx.shard.changed_by(cx.db, key, event::INCRBY);
    cx.reply.integer(sum);
}

pub(super) const INCRBYFLOAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "incrbyfloat",
        arity: 3,
        since: "2.6.0",
        summary: "Adds a number to the floating-point value of a key, which is 0 if the key does not exist.",
        ..INCR.spec
    },
    op: op_incrbyfloat,
    spread: Spread::One,
};

const NOT_FLOAT: &str = "ERR value is not a valid float";

/// The sum is stored as text even where it is an integer, as Redis does.
fn op_incrbyfloat(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let Ok(entry) = cx.shard.write_string(cx.db, key) else {
        return cx.wrong_type();
    };
    let old = match entry.as_ref().and_then(|entry| entry.string()) {
        None => Some(LongDouble::from_i64(0)),
        Some(ValueRef::Int(number)) => Some(LongDouble::from_i64(number)),
        Some(ValueRef::Bytes(bytes)) => LongDouble::parse(bytes),
    };
    let (Some(old), Some(by)) = (old, LongDouble::parse(args[2])) else {
        return cx.error(NOT_FLOAT);
    };
    let sum = old + by;
    if !sum.is_finite() {
        return cx.error("ERR increment would produce NaN or Infinity");
    }
    let mut text = Vec::with_capacity(32);
    sum.write_human(&mut text);
    match entry {
        Some(mut entry) => {
            if entry.set_value(StrValue::Bytes(&text)).is_err() {
                return cx.reply.refuse();
            }
            cx.shard.changed_by(cx.db, key, event::INCRBYFLOAT);
        }
        None => {
            if !cx.store_as(
                key,
                StrValue::Bytes(&text),
                ExpireChange::Clear,
                event::INCRBYFLOAT,
            ) {
                return;
            }
        }
    }
    cx.reply.bulk(&text);
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn integers() {
        let mut rig = Rig::new();
        rig.check(&[
            ("INCR k", "1"),
            ("DECR k", "0"),
            ("DECR j", "-1"),
            ("INCRBY k 41", "41"),
            ("DECRBY k -1", "42"),
            ("GET k", "\"42\""),
            ("EXPIRE k 10", "1"),
            ("INCR k", "43"),
            ("TTL k", "10"),
            ("SET k 9223372036854775807", "OK"),
            ("INCR k", "ERR increment or decrement would overflow"),
            ("SET k -9223372036854775808", "OK"),
            ("DECR k", "ERR increment or decrement would overflow"),
            (
                "DECRBY k -9223372036854775808",
                "ERR decrement would overflow",
            ),
            (
                "INCRBY k 1.5",
                "ERR value is not an integer or out of range",
            ),
            ("SET k 007", "OK"),
            ("INCR k", "ERR value is not an integer or out of range"),
            ("SET k \"\"", "OK"),
            ("INCRBY k 1", "ERR value is not an integer or out of range"),
        ]);
    }

    /// The figures are redis-server 7.0's.
    #[test]
    fn floats() {
        let mut rig = Rig::new();
        rig.check(&[
            ("INCRBYFLOAT k 10.50", "\"10.5\""),
            ("INCRBYFLOAT k 0.1", "\"10.6\""),
            ("INCRBYFLOAT k -5", "\"5.6\""),
            ("INCRBYFLOAT k 5.0e3", "\"5005.60000000000000009\""),
            ("OBJECT ENCODING k", "\"embstr\""),
            ("SET k 3", "OK"),
            ("PEXPIRE k 100", "1"),
            ("INCRBYFLOAT k 1", "\"4\""),
            ("PTTL k", "100"),
            ("OBJECT ENCODING k", "\"embstr\""),
            ("INCR k", "5"),
            ("INCRBYFLOAT k x", "ERR value is not a valid float"),
            ("INCRBYFLOAT k \" 1\"", "ERR value is not a valid float"),
            ("INCRBYFLOAT k nan", "ERR value is not a valid float"),
            (
                "INCRBYFLOAT k inf",
                "ERR increment would produce NaN or Infinity",
            ),
            (
                "INCRBYFLOAT none -inf",
                "ERR increment would produce NaN or Infinity",
            ),
            ("EXISTS none", "0"),
            ("SET k text", "OK"),
            ("INCRBYFLOAT k 1", "ERR value is not a valid float"),
        ]);
    }
}
