//! The members of a set in any of the three encodings, and the changes between them.
//!
//! Conversions are those of Redis 7.2: integers stay an intset up to its limit and become a table beyond; a member that is no integer makes a
//! listpack of a short intset and a table of a longer one; a listpack becomes a table beyond its limits; nothing goes back by itself.
//! Invariants: a member is there once; the table's entries have empty values and no expiry; the table has no walks, so that a set may move between threads.

use super::Intset;
use crate::entry::{Entry, StrValue, size_class};
use crate::listpack::{Item, Listpack};
use crate::object::tag;
use crate::table::{ExpireChange, Table};

/// Up to where a set stays packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimits {
    /// Most members of an intset.
    pub integers_max: usize,
    /// Most members of a listpack.
    pub entries_max: usize,
    /// Longest member of a listpack, bytes.
    pub value_bytes_max: usize,
    /// Seed of the hashes of a large one.
    pub seed: u64,
}

/// Most members of any intset, whatever the limit says: its count has 32 bits.
const INTSET_MAX: usize = 1 << 30;

/// See the head of this file.
#[derive(Clone)]
#[repr(transparent)]
pub struct Set {
    repr: SetEncoding,
}

/// How a set is kept. The discriminant is the first byte of an object.
#[derive(Clone)]
#[repr(u8)]
pub enum SetEncoding {
    /// Integers only.
    Integers(Intset) = tag::SET,
    /// Members in the order of their arrival.
    Packed(Listpack) = tag::SET + 1,
    /// One entry per member.
    Table(Box<Table>) = tag::SET + 2,
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

fn entry_of(member: &[u8]) -> Entry {
    Entry::new(member, StrValue::Bytes(b""), None)
}

fn text_len(number: i64) -> usize {
    itoa::Buffer::new().format(number).len()
}

impl Set {
    /// Where the elements begin, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn contents(&self) -> *const u8 {
        match &self.repr {
            SetEncoding::Integers(integers) => integers.as_bytes().as_ptr(),
            SetEncoding::Packed(pack) => pack.as_bytes().as_ptr(),
            SetEncoding::Table(table) => std::ptr::from_ref(&**table).cast(),
        }
    }

    /// No members, to be filled with integers as long as it goes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            repr: SetEncoding::Integers(Intset::new()),
        }
    }

    /// No members yet, made for a first one and about `expected` in all.
    #[must_use]
    pub fn for_members(first: &[u8], expected: usize, limits: &SetLimits) -> Self {
        let is_integer = matches!(Item::of(first), Item::Int(_));
        let repr = if is_integer && expected <= limits.integers_max {
            SetEncoding::Integers(Intset::new())
        } else if expected <= limits.entries_max {
            SetEncoding::Packed(Listpack::new())
        } else {
            SetEncoding::Table(Box::new(Table::new(limits.seed)))
        };
        Self { repr }
    }

    /// A set of what was packed elsewhere, large if the limits say so. O(n log n).
    ///
    /// Returns `None` if there is no member or one is there twice.
    #[must_use]
    pub fn from_listpack(pack: Listpack, limits: &SetLimits) -> Option<Self> {
        let mut members: Vec<Vec<u8>> = pack.iter().map(Item::to_vec).collect();
        members.sort_unstable();
        if members.is_empty() || members.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let longest = members.iter().map(Vec::len).max().unwrap_or(0);
        let mut set = Self {
            repr: SetEncoding::Packed(pack),
        };
        if members.len() > limits.entries_max || longest > limits.value_bytes_max {
            set.enlarge(limits.seed);
        }
        Some(set)
    }

    /// A set of integers that came from elsewhere, large if the limits say so. `None` if there is no member.
    #[must_use]
    pub fn from_intset(intset: Intset, limits: &SetLimits) -> Option<Self> {
        let count = intset.len();
        let mut set = Self {
            repr: SetEncoding::Integers(intset),
        };
        if count > limits.integers_max.min(INTSET_MAX) {
            set.enlarge(limits.seed);
        }
        (count > 0).then_some(set)
    }

    /// How it is kept.
    #[must_use]
    pub fn repr(&self) -> &SetEncoding {
        &self.repr
    }

    /// What OBJECT ENCODING says.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.repr {
            SetEncoding::Integers(_) => "intset",
            SetEncoding::Packed(_) => "listpack",
            SetEncoding::Table(_) => "hashtable",
        }
    }

    /// Number of members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.repr {
            SetEncoding::Integers(intset) => intset.len(),
            SetEncoding::Packed(pack) => pack.len(),
            SetEncoding::Table(table) => table.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes taken from the allocator. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.repr {
            SetEncoding::Integers(intset) => intset.heap_bytes(),
            SetEncoding::Packed(pack) => pack.heap_bytes(),
            SetEncoding::Table(table) => size_class(size_of::<Table>()) + table.mem_bytes(),
        }
    }

    /// Whether the member is there. Intset: O(log n); listpack: O(n); table: O(1).
    #[must_use]
    pub fn contains(&self, member: Item<'_>) -> bool {
        match &self.repr {
            SetEncoding::Integers(intset) => match member {
                Item::Int(number) => intset.contains(number),
                Item::Bytes(bytes) => {
                    matches!(Item::of(bytes), Item::Int(number) if intset.contains(number))
                }
            },
            SetEncoding::Packed(pack) => {
                let mut digits = itoa::Buffer::new();
                pack.find(pack.first(), member.text(&mut digits), 1)
                    .is_some()
            }
            SetEncoding::Table(table) => {
                let mut digits = itoa::Buffer::new();
                let member = member.text(&mut digits);
                table.contains(table.hash(member), member)
            }
        }
    }

    /// Goes over to the table now if so many members are about to come that it will not stay packed.
    pub fn expect(&mut self, expected: usize, limits: &SetLimits) {
        let is_too_small = match &self.repr {
            SetEncoding::Integers(_) => expected > limits.integers_max,
            SetEncoding::Packed(_) => expected > limits.entries_max,
            SetEncoding::Table(_) => false,
        };
        if is_too_small {
            self.enlarge(limits.seed);
        }
    }

    /// Adds a member and says whether it is new.
    pub fn add(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        match &mut self.repr {
            SetEncoding::Integers(intset) => {
                let Item::Int(number) = Item::of(member) else {
                    self.leave_integers(member, limits);
                    return self.add(member, limits);
                };
                let is_new = intset.insert(number);
                if is_new && intset.len() > limits.integers_max.min(INTSET_MAX) {
                    self.enlarge(limits.seed);
                }
                is_new
            }
            SetEncoding::Packed(pack) => {
                if pack.find(pack.first(), member, 1).is_some() {
                    return false;
                }
                let fits = member.len() <= limits.value_bytes_max && pack.has_room(member.len());
                if fits && pack.len() < limits.entries_max {
                    pack.push(member);
                } else {
                    self.enlarge(limits.seed);
                    self.add(member, limits);
                }
                true
            }
            SetEncoding::Table(table) => {
                let hash = table.hash(member);
                if table.contains(hash, member) {
                    return false;
                }
                table
                    .set(hash, member, StrValue::Bytes(b""), ExpireChange::Clear)
                    .expect("an empty value needs no buffer");
                true
            }
        }
    }

    /// Adds a member read from another set.
    pub fn add_item(&mut self, member: Item<'_>, limits: &SetLimits) -> bool {
        self.add(member.text(&mut itoa::Buffer::new()), limits)
    }

    /// Makes room for a member that is no integer: a listpack if the integers and it fit, else a table.
    fn leave_integers(&mut self, member: &[u8], limits: &SetLimits) {
        let SetEncoding::Integers(intset) = &self.repr else {
            return;
        };
        let count = intset.len();
        let longest = match count {
            0 => 0,
            _ => text_len(intset.at(0)).max(text_len(intset.at(count - 1))),
        };
        if count >= limits.entries_max || member.len().max(longest) > limits.value_bytes_max {
            return self.enlarge(limits.seed);
        }
        let mut pack = Listpack::new();
        (0..count).for_each(|index| pack.push_item(Item::Int(intset.at(index))));
        self.repr = SetEncoding::Packed(pack);
    }

    /// Removes a member and says whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            SetEncoding::Integers(intset) => {
                matches!(Item::of(member), Item::Int(number) if intset.remove(number))
            }
            SetEncoding::Packed(pack) => match pack.find(pack.first(), member, 1) {
                Some(pos) => {
                    pack.remove(pos, 1);
                    true
                }
                None => false,
            },
            SetEncoding::Table(table) => table.remove(table.hash(member), member).is_some(),
        }
    }

    /// A member chosen by a random number. Listpack: O(n).
    #[must_use]
    pub fn random(&self, random: u64) -> Option<Item<'_>> {
        let nth = |count: usize| ((u128::from(random) * count as u128) >> 64) as usize;
        match &self.repr {
            SetEncoding::Integers(intset) if intset.is_empty() => None,
            SetEncoding::Integers(intset) => Some(Item::Int(intset.at(nth(intset.len())))),
            SetEncoding::Packed(pack) => Some(pack.at(pack.nth(nth(pack.len()) as i64)?)),
            SetEncoding::Table(table) => Some(Item::Bytes(table.random(random)?.key())),
        }
    }

    /// Takes out a member chosen by a random number.
    pub fn pop(&mut self, random: u64) -> Option<Vec<u8>> {
        let member = self.random(random)?.to_vec();
        self.remove(&member);
        Some(member)
    }

    /// Visits some members and returns the cursor to go on with, 0 at the end, for SSCAN: all at once while packed. See [`Table::scan`].
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(Item<'_>)) -> u64 {
        match &self.repr {
            SetEncoding::Integers(intset) => {
                (0..intset.len()).for_each(|index| visit(Item::Int(intset.at(index))));
                0
            }
            _ => self.walk(cursor, visit),
        }
    }

    /// As `scan`, in small pieces, for those who can promise that the set stays as it is in between.
    pub fn walk(&self, cursor: u64, visit: &mut dyn FnMut(Item<'_>)) -> u64 {
        const INTEGERS: usize = 64;
        match &self.repr {
            SetEncoding::Integers(intset) => {
                let start = (cursor as usize).min(intset.len());
                let end = intset.len().min(start + INTEGERS);
                (start..end).for_each(|index| visit(Item::Int(intset.at(index))));
                if end == intset.len() { 0 } else { end as u64 }
            }
            SetEncoding::Packed(pack) => {
                pack.iter().for_each(visit);
                0
            }
            SetEncoding::Table(table) => {
                table.scan(cursor, &mut |entry| visit(Item::Bytes(entry.key())))
            }
        }
    }

    /// Calls `visit` for every member.
    pub fn for_each(&self, visit: &mut dyn FnMut(Item<'_>)) {
        let mut cursor = 0;
        loop {
            cursor = self.walk(cursor, visit);
            if cursor == 0 {
                return;
            }
        }
    }

    /// Makes a listpack of a table that has become short enough. O(n), which is little then.
    pub fn repack(&mut self, limits: &SetLimits) {
        let SetEncoding::Table(table) = &self.repr else {
            return;
        };
        if table.len() > limits.entries_max {
            return;
        }
        let mut packed = Self {
            repr: SetEncoding::Packed(Listpack::new()),
        };
        self.for_each(&mut |member| {
            packed.add_item(member, limits);
        });
        *self = packed;
    }

    /// Frees some of the members and says whether that was all.
    pub fn free_some(&mut self, elements: usize) -> bool {
        match &mut self.repr {
            SetEncoding::Integers(_) | SetEncoding::Packed(_) => true,
            SetEncoding::Table(table) => table.free_some(1 + elements / MEMBERS_PER_SEGMENT),
        }
    }

    /// Goes over to the table. O(n).
    fn enlarge(&mut self, seed: u64) {
        if let SetEncoding::Table(_) = &self.repr {
            return;
        }
        let mut table = Table::new(seed);
        self.for_each(&mut |member| {
            let mut digits = itoa::Buffer::new();
            let member = member.text(&mut digits);
            table.insert(table.hash(member), entry_of(member));
        });
        self.repr = SetEncoding::Table(Box::new(table));
    }
}

/// Entries of a segment that is usually full.
const MEMBERS_PER_SEGMENT: usize = 256;
