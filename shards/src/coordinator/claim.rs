//! The right to end a client's waiting: whoever takes it, answers.
//!
//! A client that waits for keys of several shards is known to each of them, and to its own connection, which looks after the time. The claim sees to it
//! that exactly one of these answers. It is touched when a client begins or ends to wait, and by nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by all who may answer one waiting command. Clones are the same claim.
#[derive(Clone, Debug)]
pub struct Claim {
    id: u64,
    taken: Arc<AtomicBool>,
}

impl Claim {
    /// A claim that nobody has taken. `id` is the node's only one.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Claim {
            id,
            taken: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes it; says no if somebody else has.
    #[must_use]
    pub fn take(&self) -> bool {
        let outcome = self
            .taken
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        outcome.is_ok()
    }

    /// Gives it back: there was nothing to answer with.
    pub fn give_back(&self) {
        self.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_it() {
        let claim = Claim::new(7);
        let other = claim.clone();
        assert!(claim.take() && !other.take() && !claim.take());
        claim.give_back();
        assert!(other.take() && !claim.take());
        assert_eq!(other.id(), 7);
    }
}
