//! HyperLogLog: the rows of the family and what its files share. The strings themselves are in `tessera_core::hyperloglog`.

mod count;
mod debug;
mod write;

use tessera_core::entry::{Entry, StrValue, ValueRef};
use tessera_core::hyperloglog::{Encoding, Invalid, check};
use tessera_core::table::EntryMut;

use crate::command::spec::category;
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::shard::WrongType;
use crate::shard::event;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    write::PFADD,
    write::PFMERGE,
    count::PFCOUNT,
    debug::PFDEBUG,
    debug::PFSELFTEST,
];

/// A row to fill: the category and group of HyperLogLog.
const ROW: Spec = Spec {
    categories: category::HYPERLOGLOG,
    since: "2.8.9",
    group: "hyperloglog",
    ..Spec::NONE
};

/// Replies that a string is no HyperLogLog, or a broken one.
#[cold]
fn refuse(cx: &mut Cx<'_>, why: Invalid) {
    cx.error(match why {
        Invalid::NotHyperLogLog => "WRONGTYPE Key is not a valid HyperLogLog string value.",
        Invalid::Corrupt => "INVALIDOBJ Corrupted HLL object detected",
    });
}

/// The layout of a value.
fn layout(value: ValueRef<'_>) -> Result<Encoding, Invalid> {
    match value {
        ValueRef::Bytes(bytes) => check(bytes),
        ValueRef::Int(_) => Err(Invalid::NotHyperLogLog),
    }
}

/// Whether the key is there, for a command that reads it; writes the error for a value that is no HyperLogLog.
fn read_layout(cx: &mut Cx<'_>, key: &[u8]) -> Option<Option<Encoding>> {
    let found = match cx.shard.read_string(cx.db, key) {
        Ok(value) => value.map(layout).transpose(),
        Err(WrongType) => {
            cx.wrong_type();
            return None;
        }
    };
    found.map_err(|why| refuse(cx, why)).ok()
}

/// The bytes of a string that has been checked.
fn bytes_of(entry: Option<&Entry>) -> Option<&[u8]> {
    match entry?.string()? {
        ValueRef::Bytes(bytes) => Some(bytes),
        ValueRef::Int(_) => None,
    }
}

/// The entry of a key that has been checked, to change it.
fn entry<'a>(cx: &'a mut Cx<'_>, key: &[u8]) -> Option<EntryMut<'a>> {
    cx.shard.write_string(cx.db, key).ok().flatten()
}

/// Puts other bytes in place of the value; its lifetime stays.
fn replace(entry: &mut EntryMut<'_>, string: &[u8]) {
    entry
        .set_value(StrValue::Bytes(string))
        .expect("12 KiB are no large buffer");
    // A value changed in place, as OBJECT ENCODING tells.
    entry.bytes_mut();
}

/// A new key.
fn create(cx: &mut Cx<'_>, key: &[u8], string: &[u8]) {
    let mut entry = Entry::new(key, StrValue::Bytes(string), None);
    entry.bytes_mut();
    cx.shard.add(cx.db, entry, event::PFADD);
}
