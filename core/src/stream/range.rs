//! Ranges of entries, in either direction, without the deleted ones.

use super::block::{self, Backward, Entry, Forward};
use super::blocks::Span;
use super::entries::Entries;
use super::id::StreamId;

/// Entries of a range in order.
#[derive(Clone)]
pub struct Range<'a> {
    blocks: Span<'a>,
    block: Option<Forward<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Range<'a> {
    pub(super) fn new(entries: &'a Entries, start: StreamId, end: StreamId) -> Self {
        Self {
            blocks: entries.blocks.range(start, end),
            block: None,
            start,
            end,
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(entry) = self.block.as_mut().and_then(Iterator::next) else {
                let (id, pack) = self.blocks.next()?;
                self.block = Some(block::forward(pack, id));
                continue;
            };
            if entry.id > self.end {
                return None;
            }
            if entry.id >= self.start && !entry.is_deleted() {
                return Some(entry);
            }
        }
    }
}

/// Entries of a range from the last one on.
#[derive(Clone)]
pub struct RangeBack<'a> {
    blocks: Span<'a>,
    block: Option<Backward<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(entries: &'a Entries, start: StreamId, end: StreamId) -> Self {
        Self {
            blocks: entries.blocks.range(start, end),
            block: None,
            start,
            end,
        }
    }
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(entry) = self.block.as_mut().and_then(Iterator::next) else {
                let (id, pack) = self.blocks.next_back()?;
                self.block = Some(block::backward(pack, id));
                continue;
            };
            if entry.id < self.start {
                return None;
            }
            if entry.id <= self.end && !entry.is_deleted() {
                return Some(entry);
            }
        }
    }
}
