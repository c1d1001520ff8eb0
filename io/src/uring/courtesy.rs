//! Letting others run before a turn that would serve next to nothing.
//!
//! A shard that wakes for one request takes the core from whoever runs there, often the very client that is about to send the next ones: many turns with little in each, and
//! every turn has its price. So a turn that wakes to few completions gives its core away once and then takes what has come meanwhile.
//!
//! That has a price too: a system call, and the scheduler's favour, since who gives way is put behind the others by a whole time slice, which lengthens the tail where
//! requests come in ones and twos. So it is left out for a while where it keeps bringing little. And where it gives way to one who does not
//! stop by himself, the whole time slice is gone, which no client may notice more than once in thousands of requests: after such a one the next pause is twice as long.

/// A turn with fewer completions gives way.
const FEW: usize = 4;
/// Completions that are worth it.
const WORTH: usize = 6;
/// Times in a row that brought less, after which it is left out.
const BARREN_MAX: u32 = 8;
/// For how many turns it is left out at least and at most: twice as many each time it brings too little again.
const LEFT_OUT_MIN: u32 = 16;
const LEFT_OUT_MAX: u32 = 512;
/// Who ran for so long, in nanoseconds, did not stop by himself.
const LONG_NS: u64 = 1_000_000;
/// Nanoseconds without giving way after such a one, at least and at most.
const PAUSE_MIN_NS: u64 = 100_000_000;
const PAUSE_MAX_NS: u64 = 25_600_000_000;
/// So many short ones in a row, and all is as at the start.
const FORGIVEN: u32 = 10_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Courtesy {
    /// Times in a row that brought too little.
    barren: u32,
    /// For how many turns it is left out next, and how many of these are left.
    left_out: u32,
    turns_left: u32,
    /// When the pause ends, how long the last one was, and how many short ones there were since.
    pause_ends_ns: u64,
    pause_ns: u64,
    short: u32,
}

impl Courtesy {
    /// Whether a turn that woke to so many completions gives way.
    #[inline]
    pub(crate) fn is_due(&mut self, completions: usize, now_ns: impl Fn() -> u64) -> bool {
        if completions >= FEW {
            return false;
        }
        if self.turns_left > 0 {
            self.turns_left -= 1;
            return false;
        }
        self.pause_ends_ns == 0 || now_ns() >= self.pause_ends_ns
    }

    /// It gave way from one time to another, in nanoseconds, and so many completions more were there.
    pub(crate) fn note(&mut self, from_ns: u64, to_ns: u64, more: usize) {
        if to_ns.saturating_sub(from_ns) > LONG_NS {
            self.pause_ns = (2 * self.pause_ns).clamp(PAUSE_MIN_NS, PAUSE_MAX_NS);
            self.pause_ends_ns = to_ns + self.pause_ns;
            self.short = 0;
            return;
        }
        self.short += 1;
        if self.short >= FORGIVEN {
            (self.pause_ns, self.pause_ends_ns, self.short) = (0, 0, 0);
        }
        if more >= WORTH {
            (self.barren, self.left_out) = (0, 0);
            return;
        }
        self.barren += 1;
        if self.barren >= BARREN_MAX {
            self.left_out = (2 * self.left_out).clamp(LEFT_OUT_MIN, LEFT_OUT_MAX);
            self.turns_left = self.left_out;
            // One more that brings too little is enough.
            self.barren = BARREN_MAX - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_with_enough_to_do_does_not_give_way() {
        let mut courtesy = Courtesy::default();
        assert!(courtesy.is_due(FEW - 1, || 0));
        assert!(!courtesy.is_due(FEW, || 0));
    }

    #[test]
    fn what_brings_little_is_left_out_longer_and_longer() {
        let mut courtesy = Courtesy::default();
        let mut gone = Vec::new();
        let mut last = 0;
        for turn in 0..2_000 {
            if courtesy.is_due(1, || 0) {
                courtesy.note(0, 500, WORTH - 1);
                gone.push(turn - last);
                last = turn;
            }
        }
        assert_eq!(gone[..8], [0, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(gone[8..13], [17, 33, 65, 129, 257]);
        assert!(gone[13..].iter().all(|turns| *turns == 513), "{gone:?}");
        while !courtesy.is_due(1, || 0) {}
        courtesy.note(0, 500, WORTH);
        assert!(courtesy.is_due(1, || 0), "it pays again");
    }

    #[test]
    fn who_keeps_the_core_is_met_seldom() {
        let mut courtesy = Courtesy::default();
        let (mut now_ns, mut met) = (1_u64, 0);
        // A minute of turns of 50 us beside somebody who always uses up his slice of 3 ms.
        while now_ns < 60_000_000_000 {
            if courtesy.is_due(1, || now_ns) {
                courtesy.note(now_ns, now_ns + 3_000_000, WORTH);
                now_ns += 3_000_000;
                met += 1;
            }
            now_ns += 50_000;
        }
        assert_eq!(met, 10);
        now_ns += PAUSE_MAX_NS;
        for _ in 0..FORGIVEN {
            assert!(courtesy.is_due(1, || now_ns));
            courtesy.note(now_ns, now_ns + 1_000, WORTH);
        }
        courtesy.note(now_ns, now_ns + 2 * LONG_NS, WORTH);
        assert_eq!(courtesy.pause_ns, PAUSE_MIN_NS, "as at the start");
    }
}
