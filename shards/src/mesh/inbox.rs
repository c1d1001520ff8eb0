//! The inboxes of all shards: one queue each, many producers, one consumer, in order of arrival.
//!
//! `append_together` holds the locks of several inboxes at once, taken in ascending order, so that all of them see the batches of any
//! two turns in the same order (docs/design/transactions.md, rule 3). A shard that is about to sleep says so with `doze`; whoever
//! appends afterwards gets the duty to wake it, once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::mesh::Batch;

/// One shard's queue, on cache lines of its own.
#[repr(align(128))]
struct Inbox<X> {
    queue: Mutex<Vec<Batch<X>>>,
    /// Whether the queue may hold something: read without the lock.
    pending: AtomicBool,
    /// Whether the owner waits, or is about to.
    dozing: AtomicBool,
}

/// The inboxes.
pub struct Mesh<X> {
    inboxes: Box<[Inbox<X>]>,
}

impl<X> Inbox<X> {
    /// A panic while the lock was held cannot leave the vector broken, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, Vec<Batch<X>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, queue: &mut Vec<Batch<X>>, batch: Batch<X>) {
        queue.push(batch);
        self.pending.store(true, Ordering::SeqCst);
    }
}

impl<X> Mesh<X> {
    /// Empty inboxes for so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let inbox = |_| Inbox {
            queue: Mutex::new(Vec::new()),
            pending: AtomicBool::new(false),
            dozing: AtomicBool::new(false),
        };
        Mesh {
            inboxes: (0..shards).map(inbox).collect(),
        }
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// Appends one batch.
    pub fn append(&self, target: usize, batch: Batch<X>) {
        let inbox = &self.inboxes[target];
        inbox.push(&mut inbox.lock(), batch);
    }

    /// Appends batches to several inboxes and takes the own inbox, all as one position. `batches` must come in ascending order of target,
    /// without the own one.
    pub fn append_together(
        &self,
        own: usize,
        batches: SmallVec<[(usize, Batch<X>); 8]>,
        taken: &mut Vec<Batch<X>>,
    ) {
        debug_assert!(batches.is_sorted_by_key(|(target, _)| *target));
        let mut guards: SmallVec<[MutexGuard<'_, Vec<Batch<X>>>; 9]> = SmallVec::new();
        let mut own_guard = None;
        for (target, _) in &batches {
            if own_guard.is_none() && own < *target {
                own_guard = Some(self.inboxes[own].lock());
            }
            guards.push(self.inboxes[*target].lock());
        }
        let mut own_guard = own_guard.unwrap_or_else(|| self.inboxes[own].lock());
        for ((target, batch), queue) in batches.into_iter().zip(&mut guards) {
            self.inboxes[target].push(queue, batch);
        }
        taken.append(&mut own_guard);
        self.inboxes[own].pending.store(false, Ordering::SeqCst);
    }

    /// Whether `take` might find something. No lock.
    #[must_use]
    pub fn has_mail(&self, own: usize) -> bool {
        self.inboxes[own].pending.load(Ordering::Acquire)
    }

    /// Takes everything that has arrived.
    pub fn take(&self, own: usize, taken: &mut Vec<Batch<X>>) {
        let inbox = &self.inboxes[own];
        if inbox.pending.load(Ordering::Acquire) {
            let mut queue = inbox.lock();
            taken.append(&mut queue);
            inbox.pending.store(false, Ordering::SeqCst);
        }
    }

    /// Announces that the owner is about to wait. Returns false, and takes the announcement back, if something has arrived.
    pub fn doze(&self, own: usize) -> bool {
        let inbox = &self.inboxes[own];
        inbox.dozing.store(true, Ordering::SeqCst);
        let may_sleep = !inbox.pending.load(Ordering::SeqCst);
        if !may_sleep {
            inbox.dozing.store(false, Ordering::SeqCst);
        }
        may_sleep
    }

    /// The owner is awake.
    pub fn rouse(&self, own: usize) {
        self.inboxes[own].dozing.store(false, Ordering::Relaxed);
    }

    /// After an append: whether the caller has to wake the target. True once per `doze`.
    #[must_use]
    pub fn must_wake(&self, target: usize) -> bool {
        let inbox = &self.inboxes[target];
        inbox.dozing.load(Ordering::SeqCst) && inbox.dozing.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{Item, Route};
    use smallvec::smallvec;

    fn numbered(number: u32) -> Batch<()> {
        let mut batch = Batch::default();
        batch.reply(Route::Gather(number, 0), |_| true);
        batch
    }

    fn numbers(batches: Vec<Batch<()>>) -> Vec<u32> {
        let mut all = Vec::new();
        for batch in batches {
            batch.open(&mut |item: Item<'_, ()>| {
                if let Item::Reply(Route::Gather(number, _), _) = item {
                    all.push(number);
                }
            });
        }
        all
    }

    #[test]
    fn two_inboxes_see_the_turns_of_many_threads_in_one_order() {
        let mesh: Mesh<()> = Mesh::new(5);
        std::thread::scope(|scope| {
            for own in 2..5usize {
                let mesh = &mesh;
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    for turn in 0..2_000u32 {
                        let number = turn * 8 + own as u32;
                        mesh.append_together(
                            own,
                            smallvec![(0, numbered(number)), (1, numbered(number))],
                            &mut taken,
                        );
                    }
                });
            }
        });
        let (mut first, mut second) = (Vec::new(), Vec::new());
        mesh.take(0, &mut first);
        mesh.take(1, &mut second);
        let first = numbers(first);
        assert_eq!(first.len(), 6_000);
        assert_eq!(first, numbers(second));
    }

    #[test]
    fn a_sleeper_is_woken_once_and_never_missed() {
        let mesh: Mesh<()> = Mesh::new(2);
        assert!(mesh.doze(0));
        mesh.append(0, numbered(1));
        assert!(mesh.must_wake(0));
        assert!(!mesh.must_wake(0));
        assert!(!mesh.doze(0), "mail is waiting");
        let mut taken = Vec::new();
        mesh.take(0, &mut taken);
        assert_eq!(numbers(taken), [1]);
        assert!(mesh.doze(0));
        mesh.rouse(0);
        mesh.append(0, numbered(2));
        assert!(!mesh.must_wake(0));
    }
}
