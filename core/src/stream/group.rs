//! A consumer group: how far it has read, its consumers, and the entries delivered but not acknowledged.
//!
//! Invariants: each pending entry belongs to one consumer and is in that consumer's set; a consumer's number stays until it is removed, then
//! another one may get it. `bytes` counts all of it, with the maps at their usual fill.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::id::StreamId;
use crate::entry::size_class;

/// A pending entry in the group's map and in its consumer's set.
const PENDING_BYTES: usize = 88;
/// A consumer beside its name: the place in the map and the one in the list.
const CONSUMER_BYTES: usize = 104;

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it was delivered last, milliseconds since the Unix epoch.
    pub delivered_ms: u64,
    /// How often.
    pub deliveries: u64,
    /// Number of the consumer that it was delivered to.
    pub consumer: u32,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Box<[u8]>,
    /// When it asked last.
    pub seen_ms: u64,
    /// When it was given something last.
    pub active_ms: Option<u64>,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Ids of the entries that were delivered to it, in order.
    #[must_use]
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

/// A consumer as it is kept elsewhere.
#[derive(Clone, Debug)]
pub struct ConsumerParts {
    /// Its name.
    pub name: Vec<u8>,
    /// When it asked last.
    pub seen_ms: u64,
    /// When it was given something last.
    pub active_ms: Option<u64>,
    /// Ids of its pending entries.
    pub pending: Vec<StreamId>,
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Id of the last entry delivered.
    pub last_id: StreamId,
    /// Number of entries up to that one since the stream's beginning, where known.
    pub entries_read: Option<i64>,
    pending: BTreeMap<StreamId, Pending>,
    numbers: BTreeMap<Box<[u8]>, u32>,
    consumers: Vec<Option<Consumer>>,
    /// Numbers that no consumer has.
    free: Vec<u32>,
    bytes: usize,
}

impl Group {
    /// A group without consumers.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }

    /// A group that came from elsewhere, with its pending entries (id, delivered, deliveries). `None` if an entry belongs to no consumer or to two, or if a
    /// consumer is there twice.
    #[must_use]
    pub fn from_parts(
        last_id: StreamId,
        entries_read: Option<i64>,
        pending: &[(StreamId, u64, u64)],
        consumers: Vec<ConsumerParts>,
    ) -> Option<Self> {
        let mut group = Self::new(last_id, entries_read);
        let times: BTreeMap<StreamId, (u64, u64)> = pending
            .iter()
            .map(|&(id, delivered_ms, deliveries)| (id, (delivered_ms, deliveries)))
            .collect();
        for parts in consumers {
            let (number, is_new) = group.consumer_or_new(&parts.name, parts.seen_ms);
            group.consumer_mut(number)?.active_ms = parts.active_ms;
            for id in parts.pending {
                let &(delivered_ms, deliveries) = times.get(&id)?;
                if !is_new || group.pending.contains_key(&id) {
                    return None;
                }
                group.assign(id, number, delivered_ms, deliveries);
            }
            if !is_new {
                return None;
            }
        }
        (group.pending.len() == pending.len()).then_some(group)
    }

    /// Bytes taken, as counted. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// The pending entries in order.
    #[must_use]
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// The consumers by name, with their numbers.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        let numbers = self.numbers.values();
        numbers.filter_map(|number| self.consumer(*number))
    }

    /// The first consumer by name, or the one behind this name.
    #[must_use]
    pub fn consumer_after(&self, name: Option<&[u8]>) -> Option<&Consumer> {
        let start = name.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.numbers.range::<[u8], _>((start, Bound::Unbounded));
        rest.next().and_then(|(_, number)| self.consumer(*number))
    }

    /// Number of consumers.
    #[must_use]
    pub fn consumers_len(&self) -> usize {
        self.numbers.len()
    }

    /// The consumer of this number.
    #[must_use]
    pub fn consumer(&self, number: u32) -> Option<&Consumer> {
        self.consumers.get(number as usize)?.as_ref()
    }

    /// The consumer of this number, to be changed.
    pub fn consumer_mut(&mut self, number: u32) -> Option<&mut Consumer> {
        self.consumers.get_mut(number as usize)?.as_mut()
    }

    /// The number of the consumer of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The number of the consumer of this name, and whether it was made now.
    pub fn consumer_or_new(&mut self, name: &[u8], now_ms: u64) -> (u32, bool) {
        if let Some(number) = self.find(name) {
            return (number, false);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.consumers.push(None);
            (self.consumers.len() - 1) as u32
        });
        self.consumers[number as usize] = Some(Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: BTreeSet::new(),
        });
        self.numbers.insert(name.into(), number);
        self.bytes += CONSUMER_BYTES + 2 * size_class(name.len());
        (number, true)
    }

    /// Removes up to `most` pending entries of a consumer, and the consumer when it has no more. Returns how many entries went; the consumer was there.
    pub fn remove_consumer(&mut self, name: &[u8], most: usize) -> Option<usize> {
        let number = self.find(name)?;
        let consumer = self.consumer(number)?;
        let ids: Vec<StreamId> = consumer.pending.iter().take(most).copied().collect();
        let is_all = ids.len() == consumer.pending.len();
        for id in &ids {
            self.acknowledge(*id);
        }
        if is_all {
            self.numbers.remove(name);
            self.consumers[number as usize] = None;
            self.free.push(number);
            self.bytes -= CONSUMER_BYTES + 2 * size_class(name.len());
        }
        Some(ids.len())
    }

    /// Makes an entry one of this consumer's, whoever had it.
    pub fn assign(&mut self, id: StreamId, consumer: u32, delivered_ms: u64, deliveries: u64) {
        let fresh = Pending {
            delivered_ms,
            deliveries,
            consumer,
        };
        match self.pending.insert(id, fresh) {
            Some(old) if old.consumer == consumer => return,
            Some(old) => {
                if let Some(loser) = self.consumer_mut(old.consumer) {
                    loser.pending.remove(&id);
                }
            }
            None => self.bytes += PENDING_BYTES,
        }
        if let Some(winner) = self.consumer_mut(consumer) {
            winner.pending.insert(id);
        }
    }

    /// Notes that a pending entry was delivered once more to the consumer that has it.
    pub fn redeliver(&mut self, id: StreamId, now_ms: u64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Takes a pending entry away and says whether it was there.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.remove(&id);
        }
        self.bytes -= PENDING_BYTES;
        true
    }

    /// Frees up to `count` pending entries, and returns how many: for a group that goes.
    pub(super) fn free_pending(&mut self, count: usize) -> usize {
        let ids: Vec<StreamId> = self.pending.keys().take(count).copied().collect();
        ids.iter().filter(|id| self.acknowledge(**id)).count()
    }
}
