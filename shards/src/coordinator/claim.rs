//! The right to end a client's waiting: whoever takes it, answers.
//!
//! A client that waits for keys of several shards is known to each of them, and to its own connection, which looks after the time. The claim sees to it
//! that exactly one of these answers. It is touched when a client begins or ends to wait, and by nothing else.
//!
//! ```text
//! fresh --try_it--> tried --settle--> taken        an owner has found something and answers
//!   ^                 |
//!   |                 +--give_back--> waiting --try_it--> tried, --end--> taken
//! ```
//! The connection may end a waiting, but not a command that has not looked yet: what is there for it must not be missed. And whoever finds the claim tried waits for
//! the moment that one run of the command takes: it may be given back, and then nobody would have noticed what there was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const FRESH: u8 = 0;
const WAITING: u8 = 1;
const TRIED: u8 = 2;
const TAKEN: u8 = 3;

/// Looks at a claim that is tried before the thread is given up.
const SPINS_MAX: u32 = 64;

/// Shared by all who may answer one waiting command. Clones are the same claim.
#[derive(Clone, Debug)]
pub struct Claim {
    id: u64,
    state: Arc<AtomicU8>,
}

impl Claim {
    /// A claim that nobody has taken. `id` is the node's only one.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Claim {
            id,
            state: Arc::new(AtomicU8::new(FRESH)),
        }
    }

    /// One of a command that looks at nothing and only waits.
    #[must_use]
    pub fn waiting(id: u64) -> Self {
        let claim = Self::new(id);
        claim.give_back();
        claim
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        let state = &self.state;
        let outcome = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        outcome.is_ok()
    }

    /// Brings it from any of two states to another one, after a moment in which somebody tries it. Says no if it has been taken.
    fn leave(&self, from: [u8; 2], to: u8) -> bool {
        let mut spins = 0;
        loop {
            if from.iter().any(|from| self.exchange(*from, to)) {
                return true;
            }
            if self.state.load(Ordering::Acquire) == TAKEN {
                return false;
            }
            spins += 1;
            if spins < SPINS_MAX {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// An owner is about to run the command. Says no if it has been answered. `settle` or `give_back` must follow, before anything else is done.
    #[must_use]
    pub fn try_it(&self) -> bool {
        self.leave([FRESH, WAITING], TRIED)
    }

    /// The owner that tried it answers.
    pub fn settle(&self) {
        self.state.store(TAKEN, Ordering::Release);
    }

    /// The owner that tried it found nothing: the command waits.
    pub fn give_back(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// Whether the command has looked and found nothing.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), WAITING | TRIED)
    }

    /// The connection ends the waiting. Says no if the command does not wait: it has been answered, has not looked yet, or is looking at this moment.
    #[must_use]
    pub fn end(&self) -> bool {
        self.exchange(WAITING, TAKEN)
    }

    /// The same, but waits for the moment that a look takes.
    #[must_use]
    pub fn end_after_look(&self) -> bool {
        while self.state.load(Ordering::Acquire) == TRIED {
            std::thread::yield_now();
        }
        self.end()
    }

    /// The client has gone: nobody is to answer any more.
    pub fn drop_it(&self) {
        _ = self.leave([FRESH, WAITING], TAKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_it() {
        let claim = Claim::new(7);
        let other = claim.clone();
        assert!(!other.end(), "it has not looked yet");
        assert!(claim.try_it() && !other.end() && claim.is_waiting());
        claim.give_back();
        assert!(other.try_it());
        other.settle();
        assert!(!claim.try_it() && !claim.end() && !claim.is_waiting());
        assert_eq!(other.id(), 7);
    }

    #[test]
    fn who_ends_it_waits_for_a_look() {
        let claim = Claim::new(4);
        assert!(!claim.end_after_look(), "it has not looked yet");
        assert!(claim.try_it());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| claim.end_after_look());
            claim.give_back();
            assert!(other.join().expect("no panic"));
        });
        assert!(!claim.end_after_look());
    }

    #[test]
    fn a_waiting_ends_once() {
        let claim = Claim::new(1);
        assert!(claim.try_it());
        claim.give_back();
        assert!(claim.end() && !claim.end() && !claim.try_it());
        let gone = Claim::new(2);
        gone.drop_it();
        assert!(!gone.try_it());
    }

    /// Two owners look at once; one of them finds nothing. The other one must not take that for an answer.
    #[test]
    fn who_finds_it_tried_tries_after() {
        let claim = Claim::new(3);
        assert!(claim.try_it());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| claim.try_it());
            claim.give_back();
            assert!(other.join().expect("no panic"));
        });
    }
}
