//! Strings: the rows of the family and what its files share.
//!
//! A value that is the canonical text of a 64-bit integer is kept as one; an entry never parses, so that is decided here.

mod compare;
mod get;
mod lcs;
mod multi;
mod number;
mod range;
mod set;
mod whole;

use tessera_core::entry::{StrValue, ValueRef};
use tessera_core::number::parse_i64;
use tessera_core::resp::Reply;

use crate::command::spec::{KeySpec, access, category, flag};
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::shard::WrongType;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    get::GET,
    set::SET,
    number::INCR,
    number::DECR,
    number::INCRBY,
    number::DECRBY,
    number::INCRBYFLOAT,
    multi::MGET,
    multi::MSET,
    multi::MSETNX,
    multi::MSETEX,
    set::SETNX,
    set::SETEX,
    set::PSETEX,
    set::GETSET,
    compare::DELIFEQ,
    compare::DELEX,
    compare::DIGEST,
    get::GETDEL,
    get::GETEX,
    get::STRLEN,
    range::APPEND,
    range::GETRANGE,
    range::SUBSTR,
    range::SETRANGE,
    lcs::LCS,
];

/// A row to fill: one key, the category and group of strings.
const ROW: Spec = Spec {
    categories: category::STRING,
    group: "string",
    complexity: "O(1)",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];
const CHANGES: &[KeySpec] = &[KeySpec::range(
    access::RW | access::ACCESS | access::UPDATE,
    1,
    0,
    1,
)];
const OVERWRITES: &[KeySpec] = &[KeySpec::range(access::OW | access::UPDATE, 1, 0, 1)];

/// Flags of the commands that may need memory for a value.
const WRITES: u32 = flag::WRITE | flag::DENYOOM;

/// A string longer than `proto-max-bulk-len`.
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// The longest text of a 64-bit integer.
const INTEGER_BYTES_MAX: usize = 20;

/// A value as it is stored: canonical integers as such.
#[inline]
pub(crate) fn stored(bytes: &[u8]) -> StrValue<'_> {
    if bytes.len() <= INTEGER_BYTES_MAX
        && matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
        && let Some(number) = parse_i64(bytes)
    {
        return StrValue::Int(number);
    }
    StrValue::Bytes(bytes)
}

/// The bytes a client sees of a value.
#[inline]
pub(crate) fn text<'a>(value: ValueRef<'a>, digits: &'a mut itoa::Buffer) -> &'a [u8] {
    match value {
        ValueRef::Int(number) => digits.format(number).as_bytes(),
        ValueRef::Bytes(bytes) => bytes,
    }
}

/// Replies with a value.
#[inline]
fn reply_value(reply: &mut Reply<'_>, value: ValueRef<'_>) {
    match value {
        ValueRef::Bytes(bytes) => reply.bulk(bytes),
        ValueRef::Int(number) => reply.bulk_integer(number),
    }
}

/// What `reply_get` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Got {
    /// A string, which is the reply.
    Value,
    /// Nothing: the reply is null.
    Nothing,
    /// Another type: the reply is the error.
    WrongType,
}

/// Replies with the value of a key, null, or the error for another type.
#[inline]
fn reply_get(cx: &mut Cx<'_>, key: &[u8]) -> Got {
    match cx.shard.read_string(cx.db, key) {
        Ok(Some(value)) => {
            reply_value(&mut cx.reply, value);
            Got::Value
        }
        Ok(None) => {
            cx.reply.null();
            Got::Nothing
        }
        Err(WrongType) => {
            cx.wrong_type();
            Got::WrongType
        }
    }
}

/// Whether a string of `length` bytes and `added` more may be built under `proto-max-bulk-len`.
fn fits(length: usize, added: usize, bytes_max: u64) -> bool {
    length
        .checked_add(added)
        .is_some_and(|total| total as u64 <= bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_integers_are_stored_as_such() {
        for text in [
            "0",
            "-1",
            "42",
            "-9223372036854775808",
            "9223372036854775807",
        ] {
            assert_eq!(
                stored(text.as_bytes()),
                StrValue::Int(text.parse().unwrap())
            );
        }
        for text in [
            "",
            "-",
            "-0",
            "007",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "123456789012345678901",
        ] {
            assert_eq!(stored(text.as_bytes()), StrValue::Bytes(text.as_bytes()));
        }
    }
}
