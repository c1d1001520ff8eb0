//! Key locks of one shard: first come, first served, per key.
//!
//! There are locks only while keys are borrowed; otherwise the table is quiet and a command pays one look at two lengths. A key's queue
//! starts with the lock that holds it. A lock that wants several keys enters all their queues at once and is granted when it
//! stands first in each; since all shards see takes in the same order, nobody waits in a circle. Keys are locked
//! whatever the database: a borrow may touch two, and the same name in two databases rarely meets. Keys that are tied (`ties`) are locked together.
//!
//! A long program's lock is *wide*: it holds a set of keys (`keyset`) without a queue for each, so that it is entered and released in one step. A key of the set
//! gets a queue, with the wide lock in it, when somebody else wants the key. Wide locks wait for each other as if they had a key in common.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::coordinator::plan::Plan;
use crate::coordinator::ties::Ties;
use crate::coordinator::work::Work;

struct Holder<X> {
    /// Queues in which it does not stand first yet.
    missing: usize,
    /// Those in whose queues it stands.
    keys: Vec<Box<[u8]>>,
    /// The program whose keys it holds, if it is wide.
    wide: Option<Arc<Plan>>,
    /// Those that it has tied to each other.
    tied: Vec<Box<[u8]>>,
    /// What to do when granted; taken out then.
    work: Option<Work<X>>,
}

impl<X> Holder<X> {
    /// Whether it is wide and has this key.
    fn has_in_set(&self, key: &[u8]) -> bool {
        let plan = self.wide.as_ref();
        plan.is_some_and(|plan| plan.keys.contains(key))
    }
}

/// The locks.
pub(super) struct Locks<X> {
    queues: HashMap<Box<[u8]>, VecDeque<u32>>,
    holders: HashMap<u32, Holder<X>>,
    /// The wide ones, in the order in which they came.
    wide: VecDeque<u32>,
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
            wide: VecDeque::new(),
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
        self.is_free() && self.gate.is_empty() && !self.closed
    }

    /// Whether whatever comes has to wait at the gate.
    pub(super) fn is_shut(&self) -> bool {
        self.closed || !self.gate.is_empty()
    }

    /// Whether no key is locked.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.queues.is_empty() && self.wide.is_empty()
    }

    /// Whether any of the keys is locked.
    pub(super) fn is_locked<'k>(&self, mut keys: impl Iterator<Item = &'k [u8]>) -> bool {
        keys.any(|key| self.queues.contains_key(key) || self.wide_with(key).next().is_some())
    }

    /// The wide locks that hold a key or will, in the order in which they came.
    fn wide_with(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        let has_key = move |number: &&u32| {
            let holder = self.holders.get(number);
            holder.is_some_and(|holder| holder.has_in_set(key))
        };
        self.wide.iter().filter(has_key).copied()
    }

    /// Whether any key of a long program is locked, or another long program is under way.
    pub(super) fn is_set_locked(&self, plan: &Plan) -> bool {
        !self.wide.is_empty() || self.queues.keys().any(|key| plan.keys.contains(key))
    }

    /// Whether any of the keys is locked, not counting the lock `own` that has been granted.
    pub(super) fn is_locked_beside<'k>(
        &self,
        own: Option<u32>,
        mut keys: impl Iterator<Item = &'k [u8]>,
    ) -> bool {
        keys.any(|key| {
            let first = match self.queues.get(key) {
                Some(queue) => queue.front().copied(),
                None => self.wide_with(key).next(),
            };
            first.is_some() && first != own
        })
    }

    /// Puts a lock into the queue of a key. Says whether it does not stand first.
    fn queue(&mut self, key: &[u8], number: u32) -> bool {
        if !self.queues.contains_key(key) {
            let before: VecDeque<u32> = self.wide_with(key).collect();
            for (place, wide) in before.iter().enumerate() {
                if let Some(holder) = self.holders.get_mut(wide) {
                    holder.keys.push(key.into());
                    holder.missing += usize::from(place > 0);
                }
            }
            self.queues.insert(key.into(), before);
        }
        let queue = self.queues.entry(key.into()).or_default();
        let is_behind = !queue.is_empty();
        queue.push_back(number);
        is_behind
    }

    fn new_number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
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
        let number = self.new_number();
        let behind = keys.iter().filter(|key| self.queue(key, number)).count();
        let holder = Holder {
            missing: behind,
            keys,
            wide: None,
            tied,
            work: Some(work),
        };
        (number, self.admit(number, holder))
    }

    /// The same for all keys of a long program. As many steps as keys have queues.
    pub(super) fn enter_wide(&mut self, plan: Arc<Plan>, work: Work<X>) -> (u32, Option<Work<X>>) {
        let number = self.new_number();
        let keys = self.queued_of(&plan);
        let behind = keys.iter().filter(|key| self.queue(key, number)).count();
        let missing = behind + usize::from(!self.wide.is_empty());
        self.wide.push_back(number);
        let holder = Holder {
            missing,
            keys,
            wide: Some(plan),
            tied: Vec::new(),
            work: Some(work),
        };
        (number, self.admit(number, holder))
    }

    /// The keys of a long program that have queues, and all that are tied to its keys: in their queues its lock has to stand.
    fn queued_of(&self, plan: &Plan) -> Vec<Box<[u8]>> {
        let is_its = |key: &[u8]| plan.keys.contains(key);
        let mut keys = self.ties.beside(is_its);
        let queued = self.queues.keys().filter(|key| is_its(key));
        keys.extend(queued.cloned());
        keys
    }

    /// Keeps a lock. Returns its work if it stands first everywhere.
    fn admit(&mut self, number: u32, mut holder: Holder<X>) -> Option<Work<X>> {
        let granted = (holder.missing == 0).then(|| holder.work.take()).flatten();
        self.holders.insert(number, holder);
        granted
    }

    /// Locks keys (each once) of which none is locked. Returns the lock's number.
    pub(super) fn hold(&mut self, keys: Vec<Box<[u8]>>) -> u32 {
        let mut keys = self.ties.all_of(keys);
        // All of them, unless the protocol is broken on purpose.
        keys.retain(|key| !self.queues.contains_key(key));
        let number = self.new_number();
        for key in &keys {
            self.queues
                .entry(key.clone())
                .or_default()
                .push_front(number);
        }
        let holder = Holder {
            missing: 0,
            keys,
            wide: None,
            tied: Vec::new(),
            work: None,
        };
        self.holders.insert(number, holder);
        number
    }

    /// Locks all keys of a long program, of which none is locked while no other long program is under way. Returns the lock's number.
    pub(super) fn hold_wide(&mut self, plan: Arc<Plan>) -> u32 {
        let number = self.new_number();
        let keys = self.queued_of(&plan);
        for key in &keys {
            self.queue(key, number);
        }
        self.wide.push_back(number);
        let holder = Holder {
            missing: 0,
            keys,
            wide: Some(plan),
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
            match queue.front().copied() {
                Some(next) => granted.extend(self.step_forward(next)),
                None => _ = self.queues.remove(&key),
            }
        }
        if holder.wide.is_some() {
            debug_assert_eq!(
                self.wide.front(),
                Some(&number),
                "wide locks are granted one after the other"
            );
            self.wide.pop_front();
            if let Some(next) = self.wide.front().copied() {
                granted.extend(self.step_forward(next));
            }
        }
        granted.sort_by_key(|(number, _)| *number);
        granted
    }

    /// A lock stands first in one more queue. Returns it and its work if that was the last one.
    fn step_forward(&mut self, number: u32) -> Option<(u32, Work<X>)> {
        let waiting = self
            .holders
            .get_mut(&number)
            .expect("a queued lock has a holder");
        waiting.missing -= 1;
        let is_granted = waiting.missing == 0;
        is_granted.then(|| (number, waiting.work.take().expect("a lock is granted once")))
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

    fn plan(names: &str) -> Arc<Plan> {
        let mut plan = Plan::new(1);
        keys(names).iter().for_each(|key| plan.keys.insert(key));
        Arc::new(plan)
    }

    fn numbers(granted: Vec<(u32, Work<()>)>) -> Vec<u32> {
        granted.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_wide_lock_stands_in_every_queue_of_its_keys() {
        let mut locks: Locks<()> = Locks::default();
        let (before, _) = locks.enter(keys("b"), false, work());
        assert!(locks.is_set_locked(&plan("a b")) && !locks.is_set_locked(&plan("a c")));
        let (wide, granted) = locks.enter_wide(plan("a b c"), work());
        assert!(granted.is_none(), "b is locked");
        let (behind, granted) = locks.enter(keys("a x"), false, work());
        assert!(granted.is_none(), "a is promised to the wide one");
        let (last, granted) = locks.enter(keys("a"), false, work());
        assert!(granted.is_none());
        let (beside, granted) = locks.enter(keys("y"), false, work());
        assert!(granted.is_some());
        assert!(locks.is_locked([&b"c"[..]].into_iter()));
        assert!(!locks.is_locked([&b"z"[..]].into_iter()));
        assert_eq!(numbers(locks.release(before)), [wide]);
        let key = |name: &'static [u8]| [name].into_iter();
        assert!(locks.is_locked_beside(Some(before), key(b"c")));
        assert!(!locks.is_locked_beside(Some(wide), key(b"c")));
        assert!(!locks.is_locked_beside(Some(wide), key(b"a")));
        assert_eq!(numbers(locks.release(wide)), [behind]);
        assert_eq!(numbers(locks.release(behind)), [last]);
        assert!(locks.release(last).is_empty() && locks.release(beside).is_empty());
        assert!(locks.is_quiet());
    }

    #[test]
    fn wide_locks_wait_for_each_other() {
        let mut locks: Locks<()> = Locks::default();
        let first = locks.hold_wide(plan("a b"));
        let (second, granted) = locks.enter_wide(plan("b c"), work());
        assert!(granted.is_none());
        let (third, granted) = locks.enter_wide(plan("d"), work());
        assert!(granted.is_none());
        // In the queue of b behind both, in that of c behind the second alone.
        let (of_b, granted) = locks.enter(keys("b"), false, work());
        assert!(granted.is_none());
        let (of_c, granted) = locks.enter(keys("c"), false, work());
        assert!(granted.is_none());
        assert_eq!(numbers(locks.release(first)), [second]);
        let mut next = numbers(locks.release(second));
        next.sort_unstable();
        assert_eq!(next, [third, of_b, of_c]);
        for number in next {
            assert!(locks.release(number).is_empty());
        }
        assert!(locks.is_quiet());
    }

    #[test]
    fn a_wide_lock_holds_what_is_tied_to_its_keys() {
        let mut locks: Locks<()> = Locks::default();
        locks.ties.tie(&keys("a b"));
        let wide = locks.hold_wide(plan("a z"));
        assert!(locks.is_locked([&b"b"[..]].into_iter()));
        let (push, granted) = locks.enter(keys("b"), false, work());
        assert!(granted.is_none());
        assert_eq!(numbers(locks.release(wide)), [push]);
        assert!(locks.release(push).is_empty() && locks.is_quiet());
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
