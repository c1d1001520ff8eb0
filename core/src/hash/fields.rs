//! The fields of a hash in either encoding.
//!
//! Invariants: a field is there once; the packed form has no lifetimes; the table has no walks, so that a hash may move between threads.
//! Expired fields are there until somebody takes them out: callers ask with the time.

use crate::entry::{Entry, StrValue, ValueRef, refused, size_class};
use crate::listpack::{Item, Listpack, Pos};
use crate::object::PackLimits;
use crate::table::{ExpireChange, Table};

/// See the head of this file.
#[derive(Clone)]
pub struct Hash {
    repr: HashEncoding,
}

/// How a hash is kept.
#[derive(Clone)]
pub enum HashEncoding {
    /// Field, value, field, value.
    Packed(Listpack),
    /// One entry per field.
    Table(Box<Table>),
}

/// The bytes that a value is stored as.
fn stored(bytes: &[u8]) -> StrValue<'_> {
    match Item::of(bytes) {
        Item::Int(number) => StrValue::Int(number),
        Item::Bytes(bytes) => StrValue::Bytes(bytes),
    }
}

fn shown(entry: &Entry) -> Item<'_> {
    match entry.string() {
        Some(ValueRef::Int(number)) => Item::Int(number),
        Some(ValueRef::Bytes(bytes)) => Item::Bytes(bytes),
        None => Item::Bytes(b""),
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl Hash {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self {
            repr: HashEncoding::Packed(Listpack::new()),
        }
    }

    /// A hash of what was packed elsewhere, large if the limits say so. O(n); O(n log n) to look for duplicates.
    ///
    /// Returns `None` if a value or a field is missing or a field is there twice.
    #[must_use]
    pub fn from_listpack(pack: Listpack, limits: &PackLimits) -> Option<Self> {
        let items: Vec<Item<'_>> = pack.iter().collect();
        if !items.len().is_multiple_of(2) || items.is_empty() {
            return None;
        }
        let mut fields: Vec<Vec<u8>> = items.iter().step_by(2).map(|item| item.to_vec()).collect();
        fields.sort_unstable();
        if fields.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let longest = items.iter().map(|item| item.text_len()).max().unwrap_or(0);
        let mut hash = Self {
            repr: HashEncoding::Packed(pack),
        };
        if hash.len() > limits.entries_max || longest > limits.value_bytes_max {
            hash.enlarge(limits.seed);
        }
        Some(hash)
    }

    /// How it is kept.
    #[must_use]
    pub fn repr(&self) -> &HashEncoding {
        &self.repr
    }

    /// What OBJECT ENCODING says.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.repr {
            HashEncoding::Packed(_) => "listpack",
            HashEncoding::Table(_) => "hashtable",
        }
    }

    /// Number of fields, expired ones included. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.len() / 2,
            HashEncoding::Table(table) => table.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.heap_bytes(),
            HashEncoding::Table(table) => size_class(size_of::<Table>()) + table.mem_bytes(),
        }
    }

    /// The value of a field whose time has not ended. Packed: O(n).
    #[must_use]
    pub fn get(&self, field: &[u8], now_ms: u64) -> Option<Item<'_>> {
        match &self.repr {
            HashEncoding::Packed(pack) => {
                let pos = pack.find(pack.first(), field, 2)?;
                Some(pack.at(pack.next(pos)?))
            }
            HashEncoding::Table(table) => table
                .get(table.hash(field), field)
                .filter(|entry| is_live(entry, now_ms))
                .map(shown),
        }
    }

    /// Whether the field is there and its time has not ended.
    #[must_use]
    pub fn contains(&self, field: &[u8], now_ms: u64) -> bool {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.find(pack.first(), field, 2).is_some(),
            HashEncoding::Table(table) => table
                .get(table.hash(field), field)
                .is_some_and(|entry| is_live(entry, now_ms)),
        }
    }

    /// Sets the value of a field, whose lifetime ends thereby, and says whether it is new. An expired one counts as old: `expire` first.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &PackLimits) -> bool {
        self.set_with(field, value, ExpireChange::Clear, limits)
    }

    /// Sets the value of a field and keeps its lifetime. Says whether it is new.
    pub fn set_keeping(&mut self, field: &[u8], value: &[u8], limits: &PackLimits) -> bool {
        self.set_with(field, value, ExpireChange::Keep, limits)
    }

    fn set_with(
        &mut self,
        field: &[u8],
        value: &[u8],
        expire: ExpireChange,
        limits: &PackLimits,
    ) -> bool {
        if let HashEncoding::Packed(pack) = &self.repr
            && (field.len() > limits.value_bytes_max
                || value.len() > limits.value_bytes_max
                || !pack.has_room(field.len() + value.len()))
        {
            self.enlarge(limits.seed);
        }
        match &mut self.repr {
            HashEncoding::Packed(pack) => {
                let is_new = put(pack, field, value);
                if is_new && pack.len() / 2 > limits.entries_max {
                    self.enlarge(limits.seed);
                }
                is_new
            }
            HashEncoding::Table(table) => !table
                .set(table.hash(field), field, stored(value), expire)
                .unwrap_or_else(refused),
        }
    }

    /// Removes a field and says whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.repr {
            HashEncoding::Packed(pack) => match pack.find(pack.first(), field, 2) {
                Some(pos) => {
                    pack.remove(pos, 2);
                    true
                }
                None => false,
            },
            HashEncoding::Table(table) => table.remove(table.hash(field), field).is_some(),
        }
    }

    /// When a field's time ends, milliseconds since the Unix epoch; `Some(None)` if never.
    #[must_use]
    pub fn expire_at(&self, field: &[u8]) -> Option<Option<u64>> {
        match &self.repr {
            HashEncoding::Packed(_) => self.contains(field, 0).then_some(None),
            HashEncoding::Table(table) => table.get(table.hash(field), field).map(Entry::expire_at),
        }
    }

    /// Sets or clears the lifetime of a field and says whether the field is there.
    pub fn set_expire(&mut self, field: &[u8], expire_at: Option<u64>, seed: u64) -> bool {
        if expire_at.is_some() && self.contains(field, 0) {
            self.enlarge(seed);
        }
        match &mut self.repr {
            HashEncoding::Packed(_) => self.contains(field, 0),
            HashEncoding::Table(table) => {
                let Some(mut entry) = table.get_mut(table.hash(field), field) else {
                    return false;
                };
                entry.set_expire(expire_at);
                true
            }
        }
    }

    /// Number of fields with a lifetime. O(1).
    #[must_use]
    pub fn ttl_len(&self) -> usize {
        match &self.repr {
            HashEncoding::Packed(_) => 0,
            HashEncoding::Table(table) => table.ttl_len(),
        }
    }

    /// Removes the fields whose time ended before `now_ms` and returns how many. O(1) if no field has a lifetime, else O(n).
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let HashEncoding::Table(table) = &mut self.repr else {
            return 0;
        };
        if table.ttl_len() == 0 {
            return 0;
        }
        let mut due: Vec<Box<[u8]>> = Vec::new();
        each_entry(table, &mut |entry| {
            if entry.expire_at().is_some_and(|at_ms| at_ms < now_ms) {
                due.push(entry.key().into());
            }
        });
        for field in &due {
            table.remove(table.hash(field), field);
        }
        due.len()
    }

    /// Calls `visit` for every field whose time has not ended, and its value. The order is that of insertion while packed, else none.
    pub fn for_each(&self, now_ms: u64, visit: &mut dyn FnMut(Item<'_>, Item<'_>)) {
        match &self.repr {
            HashEncoding::Packed(pack) => {
                let mut items = pack.iter();
                while let (Some(field), Some(value)) = (items.next(), items.next()) {
                    visit(field, value);
                }
            }
            HashEncoding::Table(table) => {
                each_entry(table, &mut |entry| show(entry, now_ms, visit));
            }
        }
    }

    /// Visits some fields and returns the cursor to go on with, 0 at the end. Packed: all at once. See [`Table::scan`].
    pub fn scan(&self, cursor: u64, now_ms: u64, visit: &mut dyn FnMut(Item<'_>, Item<'_>)) -> u64 {
        match &self.repr {
            HashEncoding::Packed(_) => {
                self.for_each(now_ms, visit);
                0
            }
            HashEncoding::Table(table) => {
                table.scan(cursor, &mut |entry| show(entry, now_ms, visit))
            }
        }
    }

    /// A field and its value, chosen by a random number, expired or not. Packed: O(n).
    #[must_use]
    pub fn random(&self, random: u64) -> Option<(Item<'_>, Item<'_>)> {
        match &self.repr {
            HashEncoding::Packed(pack) => {
                let count = self.len() as u64;
                let index = if count == 0 {
                    return None;
                } else {
                    random % count
                };
                let field = pack.nth(2 * index as i64)?;
                Some((pack.at(field), pack.at(pack.next(field)?)))
            }
            HashEncoding::Table(table) => {
                let entry = table.random(random)?;
                Some((Item::Bytes(entry.key()), shown(entry)))
            }
        }
    }

    /// Frees some of the fields and says whether that was all.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match &mut self.repr {
            HashEncoding::Packed(_) => true,
            HashEncoding::Table(table) => table.free_some(1 + elements / FIELDS_PER_SEGMENT),
        }
    }

    /// Goes over to the table. O(n).
    fn enlarge(&mut self, seed: u64) {
        let HashEncoding::Packed(_) = &self.repr else {
            return;
        };
        let mut table = Table::new(seed);
        let (mut field_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        self.for_each(0, &mut |field, value| {
            let field = field.text(&mut field_digits);
            let value = stored(value.text(&mut value_digits));
            table
                .set(table.hash(field), field, value, ExpireChange::Clear)
                .unwrap_or_else(refused);
        });
        self.repr = HashEncoding::Table(Box::new(table));
    }
}

/// Entries of a segment that is usually full.
const FIELDS_PER_SEGMENT: usize = 256;

/// Whether a field's time has not ended.
#[inline]
fn is_live(entry: &Entry, now_ms: u64) -> bool {
    entry.expire_at().is_none_or(|at_ms| at_ms >= now_ms)
}

fn show(entry: &Entry, now_ms: u64, visit: &mut dyn FnMut(Item<'_>, Item<'_>)) {
    if is_live(entry, now_ms) {
        visit(Item::Bytes(entry.key()), shown(entry));
    }
}

/// Sets a field of a packed hash and says whether it is new.
fn put(pack: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    let value_of = |pos: Pos| pack.next(pos);
    match pack.find(pack.first(), field, 2).and_then(value_of) {
        Some(pos) => {
            pack.replace(pos, value);
            false
        }
        None => {
            pack.push(field);
            pack.push(value);
            true
        }
    }
}

/// Calls `visit` for every entry of a table.
fn each_entry(table: &Table, visit: &mut dyn FnMut(&Entry)) {
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, visit);
        if cursor == 0 {
            return;
        }
    }
}
