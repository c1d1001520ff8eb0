//! A small hash with lifetimes: a listpack of field, value, end, field, value, end. The end is 0 for a field without a lifetime; Redis calls this `listpackex`.
//!
//! Invariants: the number of elements is a multiple of three; the third of each is an integer. Called by `Hash` only.

use super::times::Times;
use crate::entry::size_class;
use crate::listpack::{Item, Listpack, Pos};
use crate::table::ExpireChange;

/// Elements per field.
const STRIDE: usize = 3;

/// See the head of this file.
#[derive(Clone)]
pub struct Timed {
    pack: Listpack,
    times: Times,
    /// Fields with a lifetime.
    ttl_len: usize,
}

impl Timed {
    /// The fields of a hash without lifetimes. O(n).
    pub(super) fn new(plain: &Listpack) -> Self {
        let mut pack = Listpack::new();
        let mut items = plain.iter();
        while let (Some(field), Some(value)) = (items.next(), items.next()) {
            pack.push_items([field, value, Item::Int(0)]);
        }
        Self {
            pack,
            times: Times::NONE,
            ttl_len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pack.len() / STRIDE
    }

    pub(super) fn ttl_len(&self) -> usize {
        self.ttl_len
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_class(size_of::<Self>()) + self.pack.heap_bytes()
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.pack.has_room(bytes)
    }

    pub(super) fn has_due(&self, now_ms: u64) -> bool {
        self.times.has_due(now_ms)
    }

    fn find(&self, field: &[u8]) -> Option<Pos> {
        self.pack.find(self.pack.first(), field, STRIDE)
    }

    /// The element so many places after this one, in the same field.
    fn after(&self, field: Pos, places: usize) -> Pos {
        (0..places).fold(field, |pos, _| {
            self.pack.next(pos).expect("a field has three elements")
        })
    }

    /// When the field at `pos` ends.
    fn end_at(&self, pos: Pos) -> Option<u64> {
        match self.pack.at(self.after(pos, 2)) {
            Item::Int(at_ms) if at_ms > 0 => Some(at_ms as u64),
            _ => None,
        }
    }

    /// The value of a field and when it ends.
    pub(super) fn get(&self, field: &[u8]) -> Option<(Item<'_>, Option<u64>)> {
        let pos = self.find(field)?;
        Some((self.pack.at(self.after(pos, 1)), self.end_at(pos)))
    }

    /// Calls `visit` for every field, its value and its end, due or not.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(Item<'_>, Item<'_>, Option<u64>)) {
        let mut items = self.pack.iter();
        while let (Some(field), Some(value), Some(end)) = (items.next(), items.next(), items.next())
        {
            let end = match end {
                Item::Int(at_ms) if at_ms > 0 => Some(at_ms as u64),
                _ => None,
            };
            visit(field, value, end);
        }
    }

    /// The field with this number and its value.
    pub(super) fn nth(&self, index: usize) -> Option<(Item<'_>, Item<'_>)> {
        let pos = self.pack.nth((STRIDE * index) as i64)?;
        Some((self.pack.at(pos), self.pack.at(self.after(pos, 1))))
    }

    /// Sets the value of a field and says whether it is new.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8], expire: ExpireChange) -> bool {
        let pos = self.find(field);
        match pos {
            Some(pos) => self.pack.replace(self.after(pos, 1), value),
            None => self
                .pack
                .push_items([Item::of(field), Item::of(value), Item::Int(0)]),
        }
        match expire {
            ExpireChange::Keep => {}
            ExpireChange::Clear if pos.is_none() => {}
            ExpireChange::Clear => _ = self.set_expire(field, None),
            ExpireChange::At(at_ms) => _ = self.set_expire(field, Some(at_ms)),
        }
        pos.is_none()
    }

    /// Sets or clears when a field ends and says whether the field is there.
    pub(super) fn set_expire(&mut self, field: &[u8], expire_at: Option<u64>) -> bool {
        let Some(pos) = self.find(field) else {
            return false;
        };
        let before = self.end_at(pos).is_some();
        self.ttl_len = self.ttl_len + usize::from(expire_at.is_some()) - usize::from(before);
        if before || expire_at.is_some() {
            let number = i64::try_from(expire_at.unwrap_or(0)).unwrap_or(i64::MAX);
            self.pack.replace_integer(self.after(pos, 2), number);
        }
        if let Some(at_ms) = expire_at {
            self.times.set(at_ms);
        }
        true
    }

    /// Removes a field and says whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(pos) = self.find(field) else {
            return false;
        };
        self.ttl_len -= usize::from(self.end_at(pos).is_some());
        self.pack.remove(pos, STRIDE);
        true
    }

    /// Removes the fields whose time ended before `now_ms` and returns how many.
    pub(super) fn expire(&mut self, now_ms: u64) -> usize {
        let (mut next, mut removed) = (self.pack.first(), 0);
        while let Some(pos) = next {
            let end = self.end_at(pos);
            if end.is_some_and(|at_ms| at_ms < now_ms) {
                next = self.pack.remove(pos, STRIDE);
                removed += 1;
                continue;
            }
            if let Some(at_ms) = end {
                self.times.saw(at_ms);
            }
            next = self.pack.next(self.after(pos, 2));
        }
        self.ttl_len -= removed;
        self.times.pass_ended();
        removed
    }
}
