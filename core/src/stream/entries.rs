//! The entries of a stream: blocks under the ids of their first entries.
//!
//! Invariants: ids ascend within and between blocks; `len` is the sum of the blocks' live entries; `first_id` is that of the first live entry, 0-0
//! without one; no entry's id is above `last_id`; `bytes` is what the blocks take, without their index.

use std::fmt;

use super::block::{self, Entry};
use super::blocks::Blocks;
use super::id::{NewId, StreamId};
use super::range::{Range, RangeBack};
use crate::listpack::Listpack;

/// A block and an entry have at most this many bytes, as in Redis.
const BYTES_MAX: usize = 1 << 30;

/// How large blocks get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// `stream-node-max-bytes`; 0 for no limit.
    pub bytes_max: usize,
    /// `stream-node-max-entries`; 0 for no limit.
    pub entries_max: usize,
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The last id is the highest there is.
    Exhausted,
    /// The id is not above the last one.
    NotAbove,
    /// Fields and values are too long.
    TooLarge,
}

/// See the head of this file.
#[derive(Default)]
pub struct Entries {
    pub(super) blocks: Blocks,
    pub(super) len: usize,
    pub(super) first_id: StreamId,
    pub(super) last_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    pub(super) added: u64,
    pub(super) bytes: usize,
}

/// Entries as they are kept elsewhere.
#[derive(Clone, Debug)]
pub struct EntriesParts {
    /// The blocks with their ids, in order.
    pub blocks: Vec<(StreamId, Listpack)>,
    /// The highest id ever, or one set by XSETID.
    pub last_id: StreamId,
    /// The highest id deleted by XDEL.
    pub max_deleted_id: StreamId,
    /// Number of entries ever added, if known.
    pub added: Option<u64>,
}

impl Clone for Entries {
    /// A copy's buffers have no room to spare, so it takes fewer bytes.
    fn clone(&self) -> Self {
        let blocks = self.blocks.clone();
        Self {
            bytes: blocks.iter().map(|(_, pack)| pack.heap_bytes()).sum(),
            blocks,
            ..*self
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("len", &self.len)
            .field("blocks", &self.blocks.len())
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Entries {
    /// Takes entries that came from elsewhere, after checking every one. O(bytes).
    #[must_use]
    pub fn from_parts(parts: EntriesParts) -> Option<Self> {
        let mut entries = Self {
            last_id: parts.last_id,
            max_deleted_id: parts.max_deleted_id,
            ..Self::default()
        };
        let mut last = None;
        for (id, pack) in parts.blocks {
            if last.is_some_and(|last| id <= last) || !block::is_valid(&pack, id) {
                return None;
            }
            last = block::backward(&pack, id).next().map(|entry| entry.id);
            entries.len += usize::try_from(block::head(&pack)?.live).ok()?;
            entries.bytes += pack.heap_bytes();
            entries.blocks.push(id, pack);
        }
        entries.first_id = entries.first_live().unwrap_or_default();
        entries.added = parts.added.unwrap_or(entries.len as u64);
        (entries.last_live().unwrap_or_default() <= entries.last_id).then_some(entries)
    }

    /// The blocks with their ids, in order.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = (StreamId, &Listpack)> {
        self.blocks.iter()
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    /// Number of entries. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry; 0-0 without entries.
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The highest id ever, or the one set by XSETID.
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The highest id deleted by XDEL; 0-0 without.
    #[must_use]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Number of entries ever added.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.added
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes + self.blocks.index_bytes()
    }

    /// Sets what XSETID sets.
    pub fn set_ids(
        &mut self,
        last_id: StreamId,
        added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        self.last_id = last_id;
        self.added = added.unwrap_or(self.added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Adds an entry of fields and values, alternately, and returns its id. Amortised O(entry + fields of the block).
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(
        &mut self,
        id: NewId,
        fields: &[&[u8]],
        limits: &NodeLimits,
        now_ms: u64,
    ) -> Result<StreamId, AppendError> {
        if self.last_id == StreamId::MAX {
            return Err(AppendError::Exhausted);
        }
        let id = self.next_id(id, now_ms).ok_or(AppendError::NotAbove)?;
        let bytes = fields.iter().map(|item| item.len()).sum();
        if bytes > BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        let mut is_full = true;
        if let Some((block, pack)) = self.blocks.last_mut() {
            let before = pack.heap_bytes();
            is_full = exceeds(pack, bytes, limits);
            if is_full {
                pack.shrink();
            } else {
                block::append(pack, block, id, fields);
            }
            self.bytes = self.bytes - before + pack.heap_bytes();
        }
        if is_full {
            self.open(id, fields);
        }
        self.len += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(id)
    }

    /// Starts a block with an entry.
    fn open(&mut self, id: StreamId, fields: &[&[u8]]) {
        let mut pack = block::create(fields);
        block::append(&mut pack, id, id, fields);
        self.bytes += pack.heap_bytes();
        self.blocks.push(id, pack);
    }

    /// The id that a new entry gets, if it is above the last one.
    fn next_id(&self, id: NewId, now_ms: u64) -> Option<StreamId> {
        let last = self.last_id;
        let id = match id {
            NewId::Auto if now_ms > last.ms => StreamId::new(now_ms, 0),
            NewId::Auto => last.next()?,
            NewId::Millisecond(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1)?),
            NewId::Millisecond(ms) => StreamId::new(ms, 0),
            NewId::Given(id) => id,
        };
        (id > last).then_some(id)
    }

    /// The entries from `start` to `end`, both included.
    #[must_use]
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range::new(self, start, end)
    }

    /// The same from the last one on.
    #[must_use]
    pub fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        RangeBack::new(self, start, end)
    }

    /// The entry with this id. O(log blocks + block).
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the first entry, found by looking.
    pub(super) fn first_live(&self) -> Option<StreamId> {
        let mut all = self.range(StreamId::MIN, StreamId::MAX);
        all.next().map(|entry| entry.id)
    }

    /// The id of the last entry.
    #[must_use]
    pub fn last_live(&self) -> Option<StreamId> {
        let mut all = self.range_back(StreamId::MIN, StreamId::MAX);
        all.next().map(|entry| entry.id)
    }

    /// Deletes an entry and says whether it was there. O(log blocks + block).
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((block, pack)) = self.blocks.holder_mut(id) else {
            return false;
        };
        let found = block::forward(pack, block)
            .find(|entry| entry.id == id && !entry.is_deleted())
            .map(Entry::to_delete);
        let Some(found) = found else { return false };
        let before = pack.heap_bytes();
        if block::head(pack).is_some_and(|head| head.live > 1) {
            block::delete(pack, &[found]);
            self.bytes = self.bytes - before + pack.heap_bytes();
        } else {
            self.remove_block(block);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if self.len == 0 {
            self.first_id = StreamId::MIN;
        } else if id == self.first_id {
            self.first_id = self.first_live().unwrap_or_default();
        }
        true
    }

    /// Removes a block with whatever is in it; the caller sees to the counts.
    pub(super) fn remove_block(&mut self, id: StreamId) {
        if let Some(pack) = self.blocks.remove(id) {
            self.bytes -= pack.heap_bytes();
        }
    }

    pub(super) fn free_some(&mut self, elements: usize) -> bool {
        let mut freed = 0;
        while freed < elements
            && let Some(pack) = self.blocks.pop_first()
        {
            self.bytes -= pack.heap_bytes();
            freed += block::head(&pack).map_or(1, |head| (head.live + head.deleted) as usize);
        }
        self.len = self.len.saturating_sub(freed);
        self.blocks.len() == 0
    }
}

/// Whether an entry of this many bytes goes into a new block.
fn exceeds(pack: &Listpack, bytes: usize, limits: &NodeLimits) -> bool {
    let bytes_max = match limits.bytes_max {
        0 => BYTES_MAX,
        bytes => bytes.min(BYTES_MAX),
    };
    if pack.as_bytes().len() + bytes >= bytes_max {
        return true;
    }
    limits.entries_max > 0
        && block::head(pack)
            .is_none_or(|head| (head.live + head.deleted) as usize >= limits.entries_max)
}
