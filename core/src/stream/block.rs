//! A block of entries: a listpack in the format of Redis's stream nodes.
//!
//! ```text
//! live entries, deleted entries, number of field names, field names, 0
//! per entry: flags, ms and sequence relative to the block's id, values or (number, field, value, ...), number of elements so far
//! ```
//! The block's id is that of its first entry; its field names are those of that entry, and an entry with the same ones leaves them out. Deleted entries
//! are flagged and stay until the whole block goes. The number of elements behind an entry is for walks from the end; the 0 ends them.
//!
//! The functions here read and change one block; `Entries` owns them. Reading never panics: what does not fit ends a walk.

use super::id::StreamId;
use crate::listpack::{Item, Listpack, Pos};

/// The entry was deleted.
const DELETED: i64 = 1;
/// The entry has the field names of the block.
const SAME_FIELDS: i64 = 2;

/// What stands at the head of a block.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Entries that are not deleted.
    pub(super) live: i64,
    /// Entries that are.
    pub(super) deleted: i64,
    /// Number of field names.
    fields: usize,
    /// The first one.
    first_field: Option<Pos>,
    /// The 0 behind them.
    terminator: Pos,
}

/// An entry where it lies.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    pack: &'a Listpack,
    flags: i64,
    flags_at: Pos,
    fields: usize,
    /// Where the field names are, if those of the block.
    names: Option<Pos>,
    data: Option<Pos>,
}

impl<'a> Entry<'a> {
    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether it has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// The fields and their values.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            pack: self.pack,
            left: self.fields,
            is_same: self.flags & SAME_FIELDS != 0,
            names: self.names,
            data: self.data,
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// Elements from the flags to the last value.
    fn elements(&self) -> usize {
        if self.flags & SAME_FIELDS != 0 {
            3 + self.fields
        } else {
            4 + 2 * self.fields
        }
    }
}

/// The fields of an entry.
#[derive(Clone)]
pub struct Fields<'a> {
    pack: &'a Listpack,
    left: usize,
    is_same: bool,
    names: Option<Pos>,
    data: Option<Pos>,
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<Item<'a>> {
        let pos = self.data?;
        self.data = self.pack.next(pos);
        Some(self.pack.at(pos))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field = if self.is_same {
            let pos = self.names?;
            self.names = self.pack.next(pos);
            self.pack.at(pos)
        } else {
            self.take()?
        };
        Some((field, self.take()?))
    }
}

fn integer(pack: &Listpack, pos: Pos) -> Option<i64> {
    match pack.at(pos) {
        Item::Int(number) => Some(number),
        Item::Bytes(_) => None,
    }
}

fn skip(pack: &Listpack, pos: Pos, count: usize) -> Option<Pos> {
    (0..count).try_fold(pos, |pos, _| pack.next(pos))
}

/// A block for a first entry with these fields and values, which is still to be appended.
pub(super) fn create(fields: &[&[u8]]) -> Listpack {
    let mut pack = Listpack::new();
    let names = fields.iter().step_by(2).map(|field| Item::of(field));
    let head = [0, 0, (fields.len() / 2) as i64].map(Item::Int);
    pack.push_items(head.into_iter().chain(names).chain([Item::Int(0)]));
    pack
}

/// Reads the head.
pub(super) fn head(pack: &Listpack) -> Option<Head> {
    let live_at = pack.first()?;
    let deleted_at = pack.next(live_at)?;
    let fields_at = pack.next(deleted_at)?;
    let fields = usize::try_from(integer(pack, fields_at)?).ok()?;
    let first = pack.next(fields_at)?;
    Some(Head {
        live: integer(pack, live_at)?,
        deleted: integer(pack, deleted_at)?,
        fields,
        first_field: (fields > 0).then_some(first),
        terminator: skip(pack, first, fields)?,
    })
}

fn set_counts(pack: &mut Listpack, live: i64, deleted: i64) {
    if let Some(live_at) = pack.first() {
        pack.replace_integer(live_at, live);
        if let Some(deleted_at) = pack.next(live_at)
            && integer(pack, deleted_at) != Some(deleted)
        {
            pack.replace_integer(deleted_at, deleted);
        }
    }
}

/// Appends an entry of fields and values, whose id is above all others.
pub(super) fn append(pack: &mut Listpack, block: StreamId, id: StreamId, fields: &[&[u8]]) {
    let Some(head) = head(pack) else { return };
    let mut names = head.first_field;
    let is_same = head.fields == fields.len() / 2
        && fields.iter().step_by(2).all(|field| {
            let Some(pos) = names else { return false };
            names = pack.next(pos);
            pack.at(pos) == Item::of(field)
        });
    let count = (fields.len() / 2) as i64;
    let ids = [
        id.ms.wrapping_sub(block.ms) as i64,
        id.seq.wrapping_sub(block.seq) as i64,
    ]
    .map(Item::Int);
    if is_same {
        let values = fields
            .iter()
            .skip(1)
            .step_by(2)
            .map(|value| Item::of(value));
        let before = [Item::Int(SAME_FIELDS)].into_iter().chain(ids);
        pack.push_items(before.chain(values).chain([Item::Int(count + 3)]));
    } else {
        let items = fields.iter().map(|item| Item::of(item));
        let before = [Item::Int(0)].into_iter().chain(ids);
        let before = before.chain([Item::Int(count)]);
        pack.push_items(before.chain(items).chain([Item::Int(2 * count + 4)]));
    }
    set_counts(pack, head.live + 1, head.deleted);
}

/// Flags entries as deleted that were not.
pub(super) fn delete(pack: &mut Listpack, entries: &[DeletedAt]) {
    let Some(head) = head(pack) else { return };
    for entry in entries {
        pack.replace_integer(entry.at, entry.flags);
    }
    let count = entries.len() as i64;
    set_counts(pack, head.live - count, head.deleted + count);
}

/// Where an entry will be flagged.
pub(super) struct DeletedAt {
    at: Pos,
    flags: i64,
}

impl Entry<'_> {
    pub(super) fn to_delete(self) -> DeletedAt {
        DeletedAt {
            at: self.flags_at,
            flags: self.flags | DELETED,
        }
    }
}

/// The entry whose flags are there.
fn entry<'a>(pack: &'a Listpack, block: StreamId, head: &Head, flags_at: Pos) -> Option<Entry<'a>> {
    let flags = integer(pack, flags_at)?;
    let ms_at = pack.next(flags_at)?;
    let seq_at = pack.next(ms_at)?;
    let id = StreamId::new(
        block.ms.wrapping_add(integer(pack, ms_at)? as u64),
        block.seq.wrapping_add(integer(pack, seq_at)? as u64),
    );
    let (mut data, mut fields) = (pack.next(seq_at), head.fields);
    if flags & SAME_FIELDS == 0 {
        fields = usize::try_from(integer(pack, data?)?).ok()?;
        data = pack.next(data?);
    }
    Some(Entry {
        id,
        pack,
        flags,
        flags_at,
        fields,
        names: head.first_field,
        data,
    })
}

/// The entries of a block, deleted ones included, in order.
#[derive(Clone)]
pub(super) struct Forward<'a> {
    pack: &'a Listpack,
    block: StreamId,
    head: Option<Head>,
    next: Option<Pos>,
}

/// See [`Forward`].
pub(super) fn forward(pack: &Listpack, block: StreamId) -> Forward<'_> {
    let head = head(pack);
    Forward {
        pack,
        block,
        head,
        next: head.and_then(|head| pack.next(head.terminator)),
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let entry = entry(
            self.pack,
            self.block,
            self.head.as_ref()?,
            self.next.take()?,
        )?;
        let values = entry.elements() - if entry.flags & SAME_FIELDS != 0 { 3 } else { 4 };
        let count_at = skip(self.pack, entry.data?, values)?;
        self.next = self.pack.next(count_at);
        Some(entry)
    }
}

/// The entries of a block, deleted ones included, from the last one on.
#[derive(Clone)]
pub(super) struct Backward<'a> {
    pack: &'a Listpack,
    block: StreamId,
    head: Option<Head>,
    /// The number of elements behind the next one.
    count_at: Option<Pos>,
}

/// See [`Backward`].
pub(super) fn backward(pack: &Listpack, block: StreamId) -> Backward<'_> {
    Backward {
        pack,
        block,
        head: head(pack),
        count_at: pack.last(),
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let count_at = self.count_at.take()?;
        let count = integer(self.pack, count_at)?;
        if count <= 0 {
            return None;
        }
        let flags_at = (0..count).try_fold(count_at, |pos, _| self.pack.prev(pos))?;
        self.count_at = self.pack.prev(flags_at);
        entry(self.pack, self.block, self.head.as_ref()?, flags_at)
    }
}

/// Whether a listpack from elsewhere is a block with this id: its counts, its numbers of elements and the order of its ids. O(elements).
pub(super) fn is_valid(pack: &Listpack, block: StreamId) -> bool {
    let Some(head) = head(pack) else { return false };
    if integer(pack, head.terminator) != Some(0) {
        return false;
    }
    let (mut live, mut deleted, mut last) = (0, 0, None);
    let mut next = pack.next(head.terminator);
    while let Some(flags_at) = next {
        let Some(entry) = entry(pack, block, &head, flags_at) else {
            return false;
        };
        let count_at = skip(pack, flags_at, entry.elements());
        let states = count_at.and_then(|count_at| integer(pack, count_at));
        if states != Some(entry.elements() as i64)
            || entry.flags & !(DELETED | SAME_FIELDS) != 0
            || last.is_some_and(|last| entry.id <= last)
            || entry.id < block
        {
            return false;
        }
        *(if entry.is_deleted() {
            &mut deleted
        } else {
            &mut live
        }) += 1;
        last = Some(entry.id);
        next = count_at.and_then(|count_at| pack.next(count_at));
    }
    (live, deleted) == (head.live, head.deleted) && last.is_some()
}
