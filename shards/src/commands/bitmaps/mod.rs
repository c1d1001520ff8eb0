//! Bitmaps: strings seen as bits. The rows of the family and what its files share.

mod combine;
mod field;
mod range;
mod single;

use tessera_core::entry::{Entry, StrValue};
use tessera_core::number::parse_i64;

use crate::command::spec::{KeySpec, access, category, flag};
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::commands::args::OUT_OF_MEMORY;
use crate::shard::WrongType;
use crate::shard::event;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    single::SETBIT,
    single::GETBIT,
    range::BITCOUNT,
    range::BITPOS,
    combine::BITOP,
    field::BITFIELD,
    field::BITFIELD_RO,
];

/// A row to fill: one key, the category and group of bitmaps.
const ROW: Spec = Spec {
    categories: category::BITMAP,
    group: "bitmap",
    complexity: "O(1)",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];

/// Flags of the commands that may need memory for a value.
const WRITES: u32 = flag::WRITE | flag::DENYOOM;

/// Bytes that are looked at without becoming a task, and per slice of one: less than 500 µs of memory's speed.
const BYTES_PER_SLICE: usize = 1 << 20;

/// The number of a bit, which must be in a string that `proto-max-bulk-len` allows; writes the error. With a width, `#n` is the n-th field.
fn bit_offset(cx: &mut Cx<'_>, arg: &[u8], width: Option<u32>) -> Option<u64> {
    let bits_max = cx.shard.settings.bulk_bytes_max.saturating_mul(8);
    let offset = match (arg, width) {
        ([b'#', number @ ..], Some(width)) => {
            parse_i64(number).and_then(|number| number.checked_mul(width.into()))
        }
        _ => parse_i64(arg),
    };
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    let offset = offset.filter(|offset| *offset < bits_max);
    if offset.is_none() {
        cx.error("ERR bit offset is not an integer or out of range");
    }
    offset
}

/// Makes the string under a key long enough for bit `last`, and lets `change` have its bytes; tells it whether that made it longer. The result says
/// what `change` did and whether anything is different. Writes the errors.
fn change_bytes<R>(
    cx: &mut Cx<'_>,
    key: &[u8],
    last: u64,
    change: impl FnOnce(&mut [u8]) -> (R, bool),
) -> Option<R> {
    let bytes_min = usize::try_from(last / 8).ok()?.checked_add(1)?;
    let found = match cx.shard.write_string(cx.db, key) {
        Ok(found) => found,
        Err(WrongType) => {
            cx.wrong_type();
            return None;
        }
    };
    if let Some(mut entry) = found {
        let before = entry.string().map_or(0, |value| value.len());
        let Ok(bytes) = entry.grow(bytes_min) else {
            cx.error(OUT_OF_MEMORY);
            return None;
        };
        let has_grown = bytes.len() > before;
        let (result, is_changed) = change(bytes);
        if is_changed || has_grown {
            cx.shard.changed_by(cx.db, key, event::SETBIT);
        }
        return Some(result);
    }
    let mut entry = Entry::new(key, StrValue::Bytes(b""), None);
    let Ok(bytes) = entry.grow(bytes_min) else {
        cx.error(OUT_OF_MEMORY);
        return None;
    };
    let (result, _) = change(bytes);
    cx.shard.add(cx.db, entry, event::SETBIT);
    Some(result)
}
