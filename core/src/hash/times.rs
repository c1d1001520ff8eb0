//! What a hash remembers of the lifetimes of its fields, so that those that are due are found without looking at all fields each time.
//!
//! Invariant: no field ends before `soonest_ms`; it may be too early (a field was removed or given another time), never too late. A pass
//! over the fields makes it exact again. Called by the encodings that know lifetimes.

/// See the head of this file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// No field ends before this moment.
    soonest_ms: u64,
    /// The same for the fields that the pass under way has seen, and those that were given a time since it began.
    seen_ms: u64,
    /// Where that pass stands.
    pub(super) cursor: u64,
}

impl Times {
    /// No lifetimes.
    pub(super) const NONE: Self = Self {
        soonest_ms: u64::MAX,
        seen_ms: u64::MAX,
        cursor: 0,
    };

    /// Whether a field may be due: whether its time ended before `now_ms`.
    #[inline]
    pub(super) fn has_due(&self, now_ms: u64) -> bool {
        self.soonest_ms < now_ms
    }

    /// Notes that a field was given this time.
    pub(super) fn set(&mut self, at_ms: u64) {
        self.soonest_ms = self.soonest_ms.min(at_ms);
        self.saw(at_ms);
    }

    /// Notes that the pass has seen a field that stays.
    pub(super) fn saw(&mut self, at_ms: u64) {
        self.seen_ms = self.seen_ms.min(at_ms);
    }

    /// Notes that the pass has seen all fields.
    pub(super) fn pass_ended(&mut self) {
        self.soonest_ms = std::mem::replace(&mut self.seen_ms, u64::MAX);
        self.cursor = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_makes_it_exact() {
        let mut times = Times::NONE;
        assert!(!times.has_due(u64::MAX));
        times.set(10);
        times.set(20);
        assert!(times.has_due(11) && !times.has_due(10));
        // The one of 10 has been persisted meanwhile; one of 15 comes during the pass.
        times.pass_ended();
        times.set(15);
        times.saw(20);
        times.pass_ended();
        assert!(times.has_due(16) && !times.has_due(15));
        times.pass_ended();
        assert!(!times.has_due(u64::MAX));
    }
}
