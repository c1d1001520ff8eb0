//! Access to an entry in its table, to change it.
//!
//! Owns [`EntryMut`], which keeps the table's totals and the slot's TTL bit true whatever happens to the blob.
//! Invariant: it exists only after the walks have seen the entry's home bucket. Called by the command families
//! through `Table::get_mut`.

use std::ops::Deref;

use super::bucket::Slot;
use super::keyspace::Counts;
use super::segment::{Place, Segment};
use crate::entry::{Entry, OutOfMemory, StrValue};
use crate::object::Object;

/// Exclusive access to one entry of a table. Reads like an [`Entry`].
pub struct EntryMut<'a> {
    home: Home<'a>,
    counts: &'a mut Counts,
}

enum Home<'a> {
    Segment(&'a mut Segment, Place),
    Overflow(&'a mut Slot),
}

impl<'a> EntryMut<'a> {
    #[inline]
    pub(super) fn in_segment(
        segment: &'a mut Segment,
        place: Place,
        counts: &'a mut Counts,
    ) -> Self {
        Self {
            home: Home::Segment(segment, place),
            counts,
        }
    }

    #[inline]
    pub(super) fn in_overflow(slot: &'a mut Slot, counts: &'a mut Counts) -> Self {
        Self {
            home: Home::Overflow(slot),
            counts,
        }
    }

    #[inline]
    fn entry_mut(&mut self) -> &mut Entry {
        let slot = match &mut self.home {
            Home::Segment(segment, place) => segment.slot_mut(*place),
            Home::Overflow(slot) => slot,
        };
        slot.entry_mut()
            .expect("an EntryMut is made of an occupied slot")
    }

    /// Runs a change of the blob and brings the totals up to date.
    #[inline]
    fn change<R>(&mut self, change: impl FnOnce(&mut Entry) -> R) -> R {
        let entry = self.entry_mut();
        let before = entry.heap_bytes();
        let result = change(entry);
        let after = entry.heap_bytes();
        self.counts.entry_bytes = self.counts.entry_bytes - before + after;
        result
    }

    /// Brings slot and totals up to date after a change of what has a lifetime: the key, or fields of its value.
    #[inline]
    fn note_times(&mut self, (key_before, fields_before): (bool, bool)) {
        let (key, fields) = self.times();
        if (key, fields) == (key_before, fields_before) {
            return;
        }
        match &mut self.home {
            Home::Segment(segment, place) => segment.set_ttl(*place, key || fields),
            Home::Overflow(slot) => slot.set_ttl(key || fields),
        }
        let counts = &mut *self.counts;
        counts.ttl_len = counts.ttl_len + usize::from(key) - usize::from(key_before);
        counts.field_ttl_len =
            counts.field_ttl_len + usize::from(fields) - usize::from(fields_before);
    }

    /// Whether the key and whether fields of its value have a lifetime.
    #[inline]
    fn times(&self) -> (bool, bool) {
        (self.expire_at().is_some(), self.has_field_times())
    }

    /// Replaces value and expiry (milliseconds since the Unix epoch). See [`Entry::try_set`].
    ///
    /// # Errors
    /// [`OutOfMemory`] when memory is refused; the entry is then unchanged.
    #[inline]
    pub fn set(&mut self, value: StrValue<'_>, expire_at: Option<u64>) -> Result<(), OutOfMemory> {
        if self.entry_mut().rewrite(value, expire_at) {
            return Ok(());
        }
        let before = self.times();
        self.change(|entry| entry.try_set(value, expire_at))?;
        self.note_times(before);
        Ok(())
    }

    /// Replaces the value, keeps the expiry.
    ///
    /// # Errors
    /// As for [`EntryMut::set`].
    #[inline]
    pub fn set_value(&mut self, value: StrValue<'_>) -> Result<(), OutOfMemory> {
        self.set(value, self.expire_at())
    }

    /// Sets or clears the expiry time, in milliseconds since the Unix epoch.
    #[inline]
    pub fn set_expire(&mut self, expire_at: Option<u64>) {
        let before = self.times();
        self.change(|entry| entry.set_expire(expire_at));
        self.note_times(before);
    }

    /// Changes the collection that is the value. `None` if it is a string.
    pub fn change_object<R>(&mut self, change: impl FnOnce(&mut Object) -> R) -> Option<R> {
        let before = self.times();
        let changed = self.change(|entry| entry.object_mut().map(change));
        self.note_times(before);
        changed
    }

    /// The value's bytes, to be changed in place; an integer becomes its decimal form. See [`Entry::bytes_mut`].
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.change(|entry| {
            entry.bytes_mut();
        });
        self.entry_mut().bytes_mut()
    }

    /// Makes the value at least `len` bytes long, filling with zero bytes, and returns it. See [`Entry::grow`].
    ///
    /// # Errors
    /// [`OutOfMemory`] when a large buffer is refused.
    pub fn grow(&mut self, len: usize) -> Result<&mut [u8], OutOfMemory> {
        self.change(|entry| entry.grow(len).map(|_| ()))?;
        Ok(self.entry_mut().bytes_mut())
    }

    /// Appends bytes and returns the new length. See [`Entry::append`].
    ///
    /// # Errors
    /// [`OutOfMemory`] when a large buffer is refused.
    pub fn append(&mut self, bytes: &[u8]) -> Result<usize, OutOfMemory> {
        self.change(|entry| entry.append(bytes))
    }
}

impl Deref for EntryMut<'_> {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        let slot = match &self.home {
            Home::Segment(segment, place) => segment.slot(*place),
            Home::Overflow(slot) => slot,
        };
        slot.entry()
            .expect("an EntryMut is made of an occupied slot")
    }
}
