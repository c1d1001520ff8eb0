//! The fields of a hash in either encoding.
//!
//! Invariants: a field is there once; the plain packed form has no lifetimes. Fields whose time has ended are there until somebody takes
//! them out (`drop_due`, `expire`, `expire_some`), but no look-up with the time shows them.

use super::large::{Large, is_live, shown};
use super::timed::Timed;
use crate::entry::Entry;
use crate::listpack::{Item, Listpack, Pos};
use crate::object::{PackLimits, tag};
use crate::table::{ExpireChange, Table};

/// See the head of this file.
#[derive(Clone)]
#[repr(transparent)]
pub struct Hash {
    repr: HashEncoding,
}

/// How a hash is kept. The discriminant is the first byte of an object.
#[derive(Clone)]
#[repr(u8)]
pub enum HashEncoding {
    /// Field, value, field, value.
    Packed(Listpack) = tag::HASH,
    /// Field, value, end, field, value, end.
    Timed(Box<Timed>) = tag::HASH + 1,
    /// One entry per field.
    Table(Box<Large>) = tag::HASH + 2,
}

/// What a step of expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldExpiry {
    /// Fields with a lifetime that were looked at.
    pub examined: usize,
    /// Fields that were removed.
    pub expired: usize,
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl Hash {
    /// Where the elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.as_bytes().as_ptr(),
            HashEncoding::Timed(timed) => std::ptr::from_ref(&**timed).cast(),
            HashEncoding::Table(large) => std::ptr::from_ref(&**large).cast(),
        }
    }

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
            HashEncoding::Timed(_) => "listpackex",
            HashEncoding::Table(_) => "hashtable",
        }
    }

    /// Number of fields, expired ones included. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.len() / 2,
            HashEncoding::Timed(timed) => timed.len(),
            HashEncoding::Table(large) => large.table.len(),
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
            HashEncoding::Timed(timed) => timed.heap_bytes(),
            HashEncoding::Table(large) => large.heap_bytes(),
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
            HashEncoding::Timed(timed) => {
                let (value, end) = timed.get(field)?;
                is_live(end, now_ms).then_some(value)
            }
            HashEncoding::Table(large) => large
                .entry(field)
                .filter(|entry| is_live(entry.expire_at(), now_ms))
                .map(shown),
        }
    }

    /// Whether the field is there and its time has not ended.
    #[must_use]
    pub fn contains(&self, field: &[u8], now_ms: u64) -> bool {
        match &self.repr {
            HashEncoding::Packed(pack) => pack.find(pack.first(), field, 2).is_some(),
            HashEncoding::Timed(timed) => timed
                .get(field)
                .is_some_and(|(_, end)| is_live(end, now_ms)),
            HashEncoding::Table(large) => large
                .entry(field)
                .is_some_and(|entry| is_live(entry.expire_at(), now_ms)),
        }
    }

    /// Sets the value of a field, whose lifetime ends thereby, and says whether it is new. An expired one counts as old: `drop_due` first.
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
        let bytes = field.len() + value.len();
        let has_room = match &self.repr {
            HashEncoding::Packed(pack) => pack.has_room(bytes),
            HashEncoding::Timed(timed) => timed.has_room(bytes + END_BYTES_MAX),
            HashEncoding::Table(_) => true,
        };
        if field.len().max(value.len()) > limits.value_bytes_max || !has_room {
            self.enlarge(limits.seed);
        }
        let is_new = match &mut self.repr {
            HashEncoding::Packed(pack) => put(pack, field, value),
            HashEncoding::Timed(timed) => timed.set(field, value, expire),
            HashEncoding::Table(large) => return large.set(field, value, expire),
        };
        if is_new && self.len() > limits.entries_max {
            self.enlarge(limits.seed);
        }
        is_new
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
            HashEncoding::Timed(timed) => timed.remove(field),
            HashEncoding::Table(large) => {
                let hash = large.table.hash(field);
                large.table.remove(hash, field).is_some()
            }
        }
    }

    /// When a field's time ends, milliseconds since the Unix epoch; `Some(None)` if never. Due fields are there, too.
    #[must_use]
    pub fn expire_at(&self, field: &[u8]) -> Option<Option<u64>> {
        match &self.repr {
            HashEncoding::Packed(_) => self.contains(field, 0).then_some(None),
            HashEncoding::Timed(timed) => timed.get(field).map(|(_, end)| end),
            HashEncoding::Table(large) => large.entry(field).map(Entry::expire_at),
        }
    }

    /// Sets or clears the lifetime of a field and says whether the field is there. The first lifetime of a packed hash repacks it.
    pub fn set_expire(&mut self, field: &[u8], expire_at: Option<u64>, seed: u64) -> bool {
        if let HashEncoding::Packed(pack) = &self.repr {
            if !self.contains(field, 0) {
                return false;
            }
            if expire_at.is_none() {
                return true;
            }
            if pack.has_room(self.len() * END_BYTES_MAX) {
                self.repr = HashEncoding::Timed(Box::new(Timed::new(pack)));
            } else {
                self.enlarge(seed);
            }
        }
        match &mut self.repr {
            HashEncoding::Packed(_) => false,
            HashEncoding::Timed(timed) => timed.set_expire(field, expire_at),
            HashEncoding::Table(large) => large.set_expire(field, expire_at),
        }
    }

    /// Number of fields with a lifetime. O(1).
    #[inline]
    #[must_use]
    pub fn ttl_len(&self) -> usize {
        match &self.repr {
            HashEncoding::Packed(_) => 0,
            HashEncoding::Timed(timed) => timed.ttl_len(),
            HashEncoding::Table(large) => large.table.ttl_len(),
        }
    }

    /// Whether the time of a field may have ended before `now_ms`; if not, `expire` finds nothing. O(1).
    #[inline]
    #[must_use]
    pub fn has_due(&self, now_ms: u64) -> bool {
        match &self.repr {
            HashEncoding::Packed(_) => false,
            HashEncoding::Timed(timed) => timed.has_due(now_ms),
            HashEncoding::Table(large) => large.has_due(now_ms),
        }
    }

    /// Removes a field if its time ended before `now_ms`, so that what follows finds it gone.
    #[inline]
    pub fn drop_due(&mut self, field: &[u8], now_ms: u64) -> bool {
        self.has_due(now_ms)
            && self
                .expire_at(field)
                .is_some_and(|end| !is_live(end, now_ms))
            && self.remove(field)
    }

    /// Removes all fields whose time ended before `now_ms` and returns how many. O(1) if there is none, else O(n).
    pub fn expire(&mut self, now_ms: u64) -> usize {
        match &mut self.repr {
            HashEncoding::Timed(timed) if timed.has_due(now_ms) => timed.expire(now_ms),
            HashEncoding::Table(large) => large.expire(now_ms),
            HashEncoding::Packed(_) | HashEncoding::Timed(_) => 0,
        }
    }

    /// A step of `expire`: looks at some buckets of a large hash, from where the last step stopped.
    pub fn expire_some(&mut self, now_ms: u64, buckets: usize) -> FieldExpiry {
        if !self.has_due(now_ms) {
            return FieldExpiry::default();
        }
        let (examined, expired) = match &mut self.repr {
            HashEncoding::Packed(_) => (0, 0),
            HashEncoding::Timed(timed) => (timed.ttl_len(), timed.expire(now_ms)),
            HashEncoding::Table(large) => large.expire_some(now_ms, buckets),
        };
        FieldExpiry { examined, expired }
    }

    /// Calls `visit` for every field whose time has not ended, and its value. The order is that of insertion while packed, else none.
    pub fn for_each(&self, now_ms: u64, visit: &mut dyn FnMut(Item<'_>, Item<'_>)) {
        self.for_each_timed(now_ms, &mut |field, value, _end| visit(field, value));
    }

    /// The same, with the moment at which the field's time ends.
    pub fn for_each_timed(
        &self,
        now_ms: u64,
        visit: &mut dyn FnMut(Item<'_>, Item<'_>, Option<u64>),
    ) {
        let mut show = |field: Item<'_>, value: Item<'_>, end| {
            if is_live(end, now_ms) {
                visit(field, value, end);
            }
        };
        match &self.repr {
            HashEncoding::Packed(pack) => {
                let mut items = pack.iter();
                while let (Some(field), Some(value)) = (items.next(), items.next()) {
                    show(field, value, None);
                }
            }
            HashEncoding::Timed(timed) => timed.for_each(&mut show),
            HashEncoding::Table(large) => each_entry(&large.table, &mut |entry| {
                show(Item::Bytes(entry.key()), shown(entry), entry.expire_at());
            }),
        }
    }

    /// Visits some fields and returns the cursor to go on with, 0 at the end. Packed: all at once. See [`Table::scan`].
    pub fn scan(&self, cursor: u64, now_ms: u64, visit: &mut dyn FnMut(Item<'_>, Item<'_>)) -> u64 {
        match &self.repr {
            HashEncoding::Packed(_) | HashEncoding::Timed(_) => {
                self.for_each(now_ms, visit);
                0
            }
            HashEncoding::Table(large) => large.table.scan(cursor, &mut |entry| {
                if is_live(entry.expire_at(), now_ms) {
                    visit(Item::Bytes(entry.key()), shown(entry));
                }
            }),
        }
    }

    /// A field and its value, chosen by a random number, expired or not. Packed: O(n).
    #[must_use]
    pub fn random(&self, random: u64) -> Option<(Item<'_>, Item<'_>)> {
        let index = random.checked_rem(self.len() as u64)?;
        match &self.repr {
            HashEncoding::Packed(pack) => {
                let field = pack.nth(2 * index as i64)?;
                Some((pack.at(field), pack.at(pack.next(field)?)))
            }
            HashEncoding::Timed(timed) => timed.nth(index as usize),
            HashEncoding::Table(large) => {
                let entry = large.table.random(random)?;
                Some((Item::Bytes(entry.key()), shown(entry)))
            }
        }
    }

    /// Frees some of the fields and says whether that was all.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match &mut self.repr {
            HashEncoding::Packed(_) | HashEncoding::Timed(_) => true,
            HashEncoding::Table(large) => large.table.free_some(1 + elements / FIELDS_PER_SEGMENT),
        }
    }

    /// Goes over to the table now if so many fields are about to come that it will not stay packed.
    pub fn expect(&mut self, expected: usize, limits: &PackLimits) {
        if expected > limits.entries_max {
            self.enlarge(limits.seed);
        }
    }

    /// Goes over to the table. O(n).
    fn enlarge(&mut self, seed: u64) {
        if let HashEncoding::Table(_) = &self.repr {
            return;
        }
        let mut large = Large::new(seed);
        let (mut field_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        self.for_each_timed(0, &mut |field, value, end| {
            let expire = end.map_or(ExpireChange::Clear, ExpireChange::At);
            let field = field.text(&mut field_digits);
            large.set(field, value.text(&mut value_digits), expire);
        });
        self.repr = HashEncoding::Table(Box::new(large));
    }
}

/// Entries of a segment that is usually full.
const FIELDS_PER_SEGMENT: usize = 256;
/// What the end of a field takes at most in a listpack.
const END_BYTES_MAX: usize = 10;

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
