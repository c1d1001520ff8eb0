//! What a key is inside a chunk: lengths, slot, type, what the flags announce, name, value to the end.

use tessera_core::entry::Entry;
use tessera_core::slot::key_slot;

use super::error::NativeError;
use super::layout::{u16_at, u32_at, u64_at};
use crate::rdb::{Usage, ValueWriter};

/// Length, slot, type, flags, length of the name.
const FIXED_BYTES: usize = 12;
/// In place of the length: the record goes on to the end of the key's last piece.
const IN_PIECES: u32 = u32::MAX;

/// The type of a string that is an integer, eight bytes. The other types are those of RDB.
pub(super) const INTEGER: u8 = 128;
/// The type of a string in pieces: its length, eight bytes, then its bytes.
pub(super) const LONG_STRING: u8 = 129;

const EXPIRES: u8 = 1;
const HAS_IDLE: u8 = 2;
const HAS_FREQUENCY: u8 = 4;
const HAS_DB: u8 = 8;

/// A key as it lies in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    /// Its database.
    pub(super) db: u32,
    /// Its slot.
    pub(super) slot: u16,
    /// The type of its value.
    pub(super) kind: u8,
    /// When its time ends, milliseconds since the Unix epoch.
    pub(super) expire_at: Option<u64>,
    /// How it was used.
    pub(super) usage: Usage,
    /// Its name.
    pub(super) name: &'a [u8],
    /// Its value, or what of it is in the first piece.
    pub(super) value: &'a [u8],
}

/// The slot of an entry.
pub(super) fn slot_of(entry: &Entry) -> u16 {
    key_slot(entry.key())
}

/// Writes what stands before a value. Returns where the length is to be put, or nothing if the value comes in pieces.
pub(super) fn begin(
    entry: &Entry,
    slot: u16,
    db: Option<u32>,
    usage: Usage,
    kind: u8,
    out: &mut Vec<u8>,
) -> usize {
    let at = out.len();
    let key = entry.key();
    out.extend_from_slice(&IN_PIECES.to_le_bytes());
    out.extend_from_slice(&slot.to_le_bytes());
    let expire_at = entry.expire_at();
    let used = match usage {
        Usage::Unknown => 0,
        Usage::Idle(_) => HAS_IDLE,
        Usage::Frequency(_) => HAS_FREQUENCY,
    };
    let expires = if expire_at.is_some() { EXPIRES } else { 0 };
    let names_db = if db.is_some() { HAS_DB } else { 0 };
    let flags = expires | used | names_db;
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    if let Some(db) = db {
        out.extend_from_slice(&db.to_le_bytes());
    }
    if let Some(at_ms) = expire_at {
        out.extend_from_slice(&at_ms.to_le_bytes());
    }
    match usage {
        Usage::Unknown => {}
        Usage::Idle(idle_s) => out.extend_from_slice(&idle_s.to_le_bytes()),
        Usage::Frequency(frequency) => out.push(frequency),
    }
    out.extend_from_slice(key);
    at
}

/// Writes the length of a record that began at `at` and is whole.
pub(super) fn end(at: usize, out: &mut [u8]) {
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The type of an entry's value when it is written at once.
pub(super) fn kind_of(entry: &Entry) -> u8 {
    match entry.string() {
        Some(tessera_core::entry::ValueRef::Int(_)) => INTEGER,
        _ => ValueWriter::kind(entry),
    }
}

/// The length and the slot of the record at the beginning of these bytes: enough to pass over it.
pub(super) fn glance(bytes: &[u8]) -> Result<(usize, u16), NativeError> {
    if bytes.len() < FIXED_BYTES {
        return Err(CUT);
    }
    let length = match u32_at(bytes, 0) {
        IN_PIECES => bytes.len(),
        length => length as usize + 4,
    };
    if length > bytes.len() || length < FIXED_BYTES {
        return Err(CUT);
    }
    Ok((length, u16_at(bytes, 4)))
}

const CUT: NativeError = NativeError::Corrupt("a key is cut off");

/// The record that takes up all of these bytes, in a chunk of this database.
pub(super) fn read(bytes: &[u8], db: u32) -> Result<Stored<'_>, NativeError> {
    let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES).ok_or(CUT)?;
    let (kind, flags) = (fixed[6], fixed[7]);
    let mut rest = rest;
    let mut take = |length: usize| -> Result<&[u8], NativeError> {
        let (part, after) = rest.split_at_checked(length).ok_or(CUT)?;
        rest = after;
        Ok(part)
    };
    let db = if flags & HAS_DB == 0 {
        db
    } else {
        u32_at(take(4)?, 0)
    };
    let expire_at = if flags & EXPIRES == 0 {
        None
    } else {
        Some(u64_at(take(8)?, 0))
    };
    let usage = if flags & HAS_IDLE != 0 {
        Usage::Idle(u32_at(take(4)?, 0))
    } else if flags & HAS_FREQUENCY != 0 {
        Usage::Frequency(take(1)?[0])
    } else {
        Usage::Unknown
    };
    let name = take(u32_at(fixed, 8) as usize)?;
    Ok(Stored {
        db,
        slot: u16_at(fixed, 4),
        kind,
        expire_at,
        usage,
        name,
        value: rest,
    })
}
