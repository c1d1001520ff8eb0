//! A large hash: the segmented table of the keyspace, whose entries are the fields, and what is known of their lifetimes.
//!
//! Invariant: the table has no walks, so that a hash may move between threads. Called by `Hash` only.

use super::times::Times;
use crate::entry::{Entry, StrValue, ValueRef, refused, size_class};
use crate::listpack::Item;
use crate::table::{ExpireChange, Table};

/// See the head of this file.
#[derive(Clone)]
pub struct Large {
    pub(super) table: Table,
    times: Times,
}

/// The bytes that a value is stored as.
fn stored(bytes: &[u8]) -> StrValue<'_> {
    match Item::of(bytes) {
        Item::Int(number) => StrValue::Int(number),
        Item::Bytes(bytes) => StrValue::Bytes(bytes),
    }
}

/// The value of a field.
pub(super) fn shown(entry: &Entry) -> Item<'_> {
    match entry.string() {
        Some(ValueRef::Int(number)) => Item::Int(number),
        Some(ValueRef::Bytes(bytes)) => Item::Bytes(bytes),
        None => Item::Bytes(b""),
    }
}

/// Whether a field's time has not ended.
#[inline]
pub(super) fn is_live(end: Option<u64>, now_ms: u64) -> bool {
    end.is_none_or(|at_ms| at_ms >= now_ms)
}

impl Large {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: Table::new(seed),
            times: Times::NONE,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_class(size_of::<Self>()) + self.table.mem_bytes()
    }

    #[inline]
    pub(super) fn has_due(&self, now_ms: u64) -> bool {
        self.times.has_due(now_ms)
    }

    #[inline]
    pub(super) fn entry(&self, field: &[u8]) -> Option<&Entry> {
        self.table.get(self.table.hash(field), field)
    }

    /// Sets the value of a field and says whether it is new.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8], expire: ExpireChange) -> bool {
        if let ExpireChange::At(at_ms) = expire {
            self.times.set(at_ms);
        }
        let hash = self.table.hash(field);
        let existed = self.table.set(hash, field, stored(value), expire);
        !existed.unwrap_or_else(refused)
    }

    /// Sets or clears when a field ends and says whether the field is there.
    pub(super) fn set_expire(&mut self, field: &[u8], expire_at: Option<u64>) -> bool {
        let hash = self.table.hash(field);
        let Some(mut entry) = self.table.get_mut(hash, field) else {
            return false;
        };
        entry.set_expire(expire_at);
        if let Some(at_ms) = expire_at {
            self.times.set(at_ms);
        }
        true
    }

    /// Looks at some buckets for fields whose time ended before `now_ms`, and removes these. Returns how many fields with a lifetime it saw and how many it removed.
    pub(super) fn expire_some(&mut self, now_ms: u64, buckets: usize) -> (usize, usize) {
        let Some(due_ms) = now_ms.checked_sub(1) else {
            return (0, 0);
        };
        let cursor = &mut self.times.cursor;
        let seen = self
            .table
            .expire_step(cursor, due_ms, buckets, &mut |_gone| {});
        if let Some(at_ms) = seen.next_ms {
            self.times.saw(at_ms);
        }
        if seen.wrapped {
            self.times.pass_ended();
        }
        (seen.examined, seen.expired)
    }

    /// Removes all fields whose time ended before `now_ms` and returns how many.
    pub(super) fn expire(&mut self, now_ms: u64) -> usize {
        let mut removed = 0;
        while self.has_due(now_ms) {
            removed += self.expire_some(now_ms, usize::MAX).1;
        }
        removed
    }
}
