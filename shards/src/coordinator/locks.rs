//! Key locks of one shard: first come, first served, per key.
//!
//! There are locks only while keys are borrowed; otherwise the table is quiet and a command pays one look at two lengths. A key's queue
//! starts with the lock that holds it. A lock that wants several keys enters all their queues at once and is granted when it
//! stands first in each; since all shards see takes in the same order, nobody waits in a circle. Keys are locked
//! whatever the database: a borrow may touch two, and the same name in two databases rarely meets. Keys that are tied (`ties`) are locked together.

use std::collections::{HashMap, VecDeque};

use crate::coordinator::ties::Ties;
use crate::coordinator::work::Work;

struct Holder<X> {
    /// Queues in which it does not stand first yet.
    missing: usize,
    keys: Vec<Box<[u8]>>,
    /// Those that it has tied to each other.
    tied: Vec<Box<[u8]>>,
    /// What to do when granted; taken out then.
    work: Option<Work<X>>,
}

/// The locks.
pub(super) struct Locks<X> {
    queues: HashMap<Box<[u8]>, VecDeque<u32>>,
    holders: HashMap<u32, Holder<X>>,
    next: u32,
    /// Keys that are locked together.
    pub(super) ties: Ties,
    /// Whole-shard commands that wait for locks, and all that came after them.
    pub(super) gate: VecDeque<Work<X>>,
    /// The shard's tables are elsewhere: all wait at the gate.
    pub(super) closed: bool,
}

impl<X> Default for Locks<X> {
    fn default() -> Self {
        Locks {
            queues: HashMap::new(),
            holders: HashMap::new(),
            next: 0,
            ties: Ties::default(),
            gate: VecDeque::new(),
            closed: false,
        }
    }
}

impl<X> Locks<X> {
    /// Whether nobody holds or waits for anything.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.queues.is_empty() && self.gate.is_empty() && !self.closed
    }

    /// Whether whatever comes has to wait at the gate.
    pub(super) fn is_shut(&self) -> bool {
        self.closed || !self.gate.is_empty()
    }

    /// Whether no key is locked.
    pub(super) fn is_free(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether any of the keys is locked.
    pub(super) fn is_locked<'k>(&self, mut keys: impl Iterator<Item = &'k [u8]>) -> bool {
        keys.any(|key| self.queues.contains_key(key))
    }

    /// Whether any of the keys is locked, not counting the lock `own` that has been granted.
    pub(super) fn is_locked_beside<'k>(
        &self,
        own: Option<u32>,
        mut keys: impl Iterator<Item = &'k [u8]>,
    ) -> bool {
        keys.any(|key| {
            let first = self.queues.get(key).and_then(VecDeque::front);
            first.is_some() && first != own.as_ref()
        })
    }

    /// Queues for the keys (each once). `may_wait`: whoever gets them may wait for them afterwards. Returns the lock's number, and the work at once if it
    /// is granted now.
    pub(super) fn enter(
        &mut self,
        keys: Vec<Box<[u8]>>,
        may_wait: bool,
        work: Work<X>,
    ) -> (u32, Option<Work<X>>) {
        let mut tied = Vec::new();
        if may_wait && keys.len() > 1 {
            self.ties.tie(&keys);
            tied.clone_from(&keys);
        }
        let keys = self.ties.all_of(keys);
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut missing = 0;
        for key in &keys {
            let queue = self.queues.entry(key.clone()).or_default();
            missing += usize::from(!queue.is_empty());
            queue.push_back(number);
        }
        let mut holder = Holder {
            missing,
            keys,
            tied,
            work: Some(work),
        };
        let granted = if missing == 0 {
            holder.work.take()
        } else {
            None
        };
        self.holders.insert(number, holder);
        (number, granted)
    }

    /// Locks keys (each once) of which none is locked. Returns the lock's number.
    pub(super) fn hold(&mut self, keys: Vec<Box<[u8]>>) -> u32 {
        let mut keys = self.ties.all_of(keys);
        // All of them, unless the protocol is broken on purpose.
        keys.retain(|key| !self.queues.contains_key(key));
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        for key in &keys {
            self.queues
                .entry(key.clone())
                .or_default()
                .push_front(number);
        }
        let holder = Holder {
            missing: 0,
            keys,
            tied: Vec::new(),
            work: None,
        };
        self.holders.insert(number, holder);
        number
    }

    /// Releases a granted lock. Returns the numbers and works that are granted thereby, in the order in which they had come.
    pub(super) fn release(&mut self, number: u32) -> Vec<(u32, Work<X>)> {
        let mut granted = Vec::new();
        let Some(holder) = self.holders.remove(&number) else {
            return granted;
        };
        self.ties.untie(&holder.tied);
        for key in holder.keys {
            let Some(queue) = self.queues.get_mut(&key) else {
                continue;
            };
            debug_assert_eq!(
                queue.front(),
                Some(&number),
                "only a granted lock is released"
            );
            queue.pop_front();
            let Some(next) = queue.front().copied() else {
                self.queues.remove(&key);
                continue;
            };
            let waiting = self
                .holders
                .get_mut(&next)
                .expect("a queued lock has a holder");
            waiting.missing -= 1;
            if waiting.missing == 0 {
                granted.push((next, waiting.work.take().expect("a lock is granted once")));
            }
        }
        granted.sort_by_key(|(number, _)| *number);
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Parcel;

    fn work() -> Work<()> {
        Work::Take(Parcel::Return {
            lock: 0,
            keys: Vec::new(),
            changed: Vec::new(),
            happened: Vec::new(),
            track: None,
            wait: None,
            ready: false,
        })
    }

    fn keys(names: &str) -> Vec<Box<[u8]>> {
        names
            .split(' ')
            .map(|name| Box::from(name.as_bytes()))
            .collect()
    }

    #[test]
    fn first_come_first_served_per_key() {
        let mut locks: Locks<()> = Locks::default();
        let (first, granted) = locks.enter(keys("a b"), false, work());
        assert!(granted.is_some());
        let (second, granted) = locks.enter(keys("b c"), false, work());
        assert!(granted.is_none());
        let (third, granted) = locks.enter(keys("c"), false, work());
        assert!(granted.is_none(), "c is promised to the second");
        assert!(locks.is_locked([&b"zz"[..], b"c"].into_iter()));
        assert!(!locks.is_locked([&b"zz"[..]].into_iter()));
        let next: Vec<u32> = locks
            .release(first)
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        assert_eq!(next, [second]);
        let next: Vec<u32> = locks
            .release(second)
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        assert_eq!(next, [third]);
        assert!(locks.release(third).is_empty());
        assert!(locks.is_quiet());
    }
    #[test]
    fn keys_that_somebody_may_wait_for_together_are_locked_together() {
        let mut locks: Locks<()> = Locks::default();
        let numbers = |granted: Vec<(u32, Work<()>)>| -> Vec<u32> {
            granted.into_iter().map(|(number, _)| number).collect()
        };
        let (first, _) = locks.enter(keys("b"), false, work());
        let (waiter, granted) = locks.enter(keys("a b"), true, work());
        assert!(granted.is_none());
        // It came before the waiter waits, and takes what the waiter waits for all the same.
        let (second, _) = locks.enter(keys("b"), false, work());
        let (push, granted) = locks.enter(keys("a"), false, work());
        assert!(granted.is_none());
        assert_eq!(numbers(locks.release(first)), [waiter]);
        locks.ties.tie(&keys("a b"));
        assert_eq!(numbers(locks.release(waiter)), [second]);
        assert_eq!(numbers(locks.release(second)), [push]);
        assert!(locks.is_locked([&b"b"[..]].into_iter()), "by the push");
        assert!(locks.release(push).is_empty() && locks.is_quiet());
        let task = locks.hold(keys("b"));
        assert!(locks.is_locked([&b"a"[..]].into_iter()));
        assert!(locks.release(task).is_empty());
        locks.ties.untie(&keys("a b"));
        let task = locks.hold(keys("b"));
        assert!(!locks.is_locked([&b"a"[..]].into_iter()));
        assert!(locks.release(task).is_empty());
    }
}
