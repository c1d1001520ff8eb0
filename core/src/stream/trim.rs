//! Trimming: removing the oldest entries, by number or by id.
//!
//! As in Redis whole blocks go first; the approximate form stops there, the exact one then flags entries in the first block that stays. What is left to do is in
//! [`Trim`], so that a long trim can be done in slices.

use super::block::{self, DeletedAt, Entry};
use super::entries::Entries;
use super::id::StreamId;

/// What stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// At most this many entries.
    Length(u64),
    /// Entries from this id on.
    Id(StreamId),
}

/// A trim, and how far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What stays.
    pub to: TrimTo,
    /// Whether only whole blocks go.
    pub is_approximate: bool,
    /// Stop before more entries than this would have gone; 0 for no limit.
    pub limit: u64,
    /// Entries removed so far.
    pub removed: u64,
}

impl Trim {
    /// Whether this block goes as a whole.
    fn takes(&self, len: usize, live: usize, last: StreamId) -> bool {
        match self.to {
            TrimTo::Length(length) => (len - live) as u64 >= length,
            TrimTo::Id(id) => last < id,
        }
    }
}

impl Entries {
    /// Does at most `blocks` blocks' worth of a trim and says whether that was all.
    pub fn trim(&mut self, trim: &mut Trim, blocks: usize) -> bool {
        let before = trim.removed;
        let is_done = self.trim_blocks(trim, blocks);
        if self.len == 0 {
            self.first_id = StreamId::MIN;
        } else if trim.removed > before {
            self.first_id = self.first_live().unwrap_or_default();
        }
        is_done
    }

    fn trim_blocks(&mut self, trim: &mut Trim, blocks: usize) -> bool {
        for _ in 0..blocks {
            let Some((id, pack)) = self.blocks.first() else {
                return true;
            };
            if matches!(trim.to, TrimTo::Length(length) if self.len as u64 <= length) {
                return true;
            }
            let live = block::head(pack).map_or(0, |head| head.live as usize);
            if trim.limit > 0 && trim.removed + live as u64 > trim.limit {
                return true;
            }
            let last = block::backward(pack, id).next().map(|entry| entry.id);
            if trim.takes(self.len, live, last.unwrap_or_default()) {
                self.remove_block(id);
                self.len -= live;
                trim.removed += live as u64;
            } else {
                if !trim.is_approximate {
                    trim.removed += self.trim_block(id, trim.to) as u64;
                }
                return true;
            }
        }
        false
    }

    /// Flags the entries of the first block that do not stay, and returns how many.
    fn trim_block(&mut self, id: StreamId, to: TrimTo) -> usize {
        let len = self.len;
        let Some(pack) = self.blocks.first_mut() else {
            return 0;
        };
        let entries = block::forward(pack, id);
        let found: Vec<DeletedAt> = match to {
            TrimTo::Length(length) => entries
                .filter(|entry| !entry.is_deleted())
                .take(len - length as usize)
                .map(Entry::to_delete)
                .collect(),
            TrimTo::Id(first) => entries
                .take_while(|entry| entry.id < first)
                .filter(|entry| !entry.is_deleted())
                .map(Entry::to_delete)
                .collect(),
        };
        let before = pack.heap_bytes();
        block::delete(pack, &found);
        self.bytes = self.bytes - before + pack.heap_bytes();
        self.len -= found.len();
        found.len()
    }
}
