//! `Pipe`: one direction of a simulated connection: a byte stream with delays and a bounded buffer.
//!
//! Invariants: bytes come out in the order in which they went in, each at or after its own arrival
//! time, and arrival times never decrease; at most `capacity` bytes are inside. The stream ends at
//! most once for its reader: by an end of file after the last byte, or by a reset, which takes with
//! it whatever the reader has not read by then. Called by `link`.

use std::collections::VecDeque;

use super::faults::Faults;
use super::prng::Prng;
use super::trace::{Stats, Trace};
use crate::env::Hangup;

/// A write is cut into so many fragments at most; more would cost time and show nothing new.
const FRAGMENTS_MAX: usize = 32;

/// What the pieces of the network need to act: the time, the dice, and where to note it.
pub(super) struct Medium<'a> {
    pub(super) now: u64,
    pub(super) prng: &'a mut Prng,
    pub(super) faults: &'a Faults,
    pub(super) stats: &'a mut Stats,
    pub(super) trace: &'a Trace,
}

impl Medium<'_> {
    /// When something that leaves now arrives.
    pub(super) fn arrival(&mut self) -> u64 {
        let delay_ns = self.prng.within(self.faults.delay_ns).max(1);
        let mut at = self.now.saturating_add(delay_ns);
        if self.prng.chance(self.faults.slow_ppm) {
            at = at.saturating_add(self.prng.within(self.faults.slow_ns));
        }
        at
    }
}

/// Bytes that arrive together.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    at: u64,
    len: usize,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    fragments: VecDeque<Fragment>,
    /// Arrival of the last thing sent; nothing overtakes it.
    last_at: u64,
    capacity: usize,
    /// Bytes that may still pass before the network cuts the connection.
    quota: Option<u64>,
    end_at: Option<u64>,
    reset_at: Option<u64>,
}

impl Pipe {
    /// An empty stream that holds so many bytes, and lets `quota` bytes pass before it is cut.
    pub(super) fn new(capacity: usize, quota: Option<u64>) -> Self {
        Self {
            bytes: VecDeque::new(),
            fragments: VecDeque::new(),
            last_at: 0,
            capacity,
            quota,
            end_at: None,
            reset_at: None,
        }
    }

    /// How many bytes the sender may put in now. Into a stream that was reset at its other end, any
    /// number: they are lost.
    pub(super) fn room(&self, now: u64) -> usize {
        if self.is_reset(now) {
            return usize::MAX;
        }
        self.capacity - self.bytes.len()
    }

    /// Puts bytes in as far as there is room and says how many.
    pub(super) fn push(&mut self, bytes: &[u8], medium: &mut Medium<'_>) -> usize {
        if self.is_reset(medium.now) {
            return bytes.len();
        }
        let mut count = bytes.len().min(self.room(medium.now));
        if let Some(quota) = &mut self.quota {
            count = count.min(usize::try_from(*quota).unwrap_or(usize::MAX));
            *quota -= count as u64;
        }
        self.bytes.extend(&bytes[..count]);
        self.cut_up(count, medium);
        count
    }

    /// Gives `count` new bytes their arrival times.
    fn cut_up(&mut self, mut count: usize, medium: &mut Medium<'_>) {
        let cut = medium.prng.chance(medium.faults.fragment_ppm);
        for left in (0..FRAGMENTS_MAX).rev() {
            if count == 0 {
                return;
            }
            let mut len = count;
            if cut && left > 0 {
                let piece = medium.prng.within(medium.faults.fragment_bytes).max(1);
                len = len.min(usize::try_from(piece).unwrap_or(usize::MAX));
            }
            self.last_at = self.last_at.max(medium.arrival());
            self.fragments.push_back(Fragment {
                at: self.last_at,
                len,
            });
            count -= len;
        }
    }

    /// How many bytes the reader finds, counting no further than `max`.
    pub(super) fn arrived(&self, now: u64, max: usize) -> usize {
        if self.is_reset(now) {
            return 0;
        }
        let mut count = 0;
        for fragment in &self.fragments {
            if fragment.at > now || count >= max {
                break;
            }
            count += fragment.len;
        }
        count.min(max)
    }

    /// Moves `count` bytes, which must have arrived, to the end of `out`.
    pub(super) fn take(&mut self, count: usize, out: &mut Vec<u8>) {
        out.extend(self.bytes.drain(..count));
        let mut left = count;
        while left > 0 {
            let Some(first) = self.fragments.front_mut() else {
                return;
            };
            if first.len > left {
                first.len -= left;
                return;
            }
            left -= first.len;
            self.fragments.pop_front();
        }
    }

    /// Ends the stream after the bytes that are in it.
    pub(super) fn end(&mut self, medium: &mut Medium<'_>) {
        if self.end_at.is_none() {
            self.last_at = self.last_at.max(medium.arrival());
            self.end_at = Some(self.last_at);
        }
    }

    /// Lets the reader find a reset at that time, if not sooner.
    pub(super) fn reset(&mut self, at: u64) {
        self.reset_at = Some(self.reset_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Arrival of the last thing sent.
    pub(super) fn last_at(&self) -> u64 {
        self.last_at
    }

    /// Whether the network is to cut the connection: the quota is used up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.quota == Some(0)
    }

    /// Whether the reader's side was reset by now.
    pub(super) fn is_reset(&self, now: u64) -> bool {
        self.reset_at.is_some_and(|at| at <= now)
    }

    /// When the next bytes arrive or have arrived.
    pub(super) fn bytes_at(&self) -> Option<u64> {
        self.fragments.front().map(|fragment| fragment.at)
    }

    /// When the reader finds the end of file, which is not before it has read all.
    pub(super) fn end_at(&self) -> Option<u64> {
        if self.fragments.is_empty() {
            self.end_at
        } else {
            None
        }
    }

    /// When the reader finds a reset.
    pub(super) fn reset_at(&self) -> Option<u64> {
        self.reset_at
    }

    /// The first time after `now` at which the reader can find something new.
    pub(super) fn next_after(&self, now: u64) -> Option<u64> {
        let next = [self.bytes_at(), self.end_at(), self.reset_at];
        // Behind a first fragment that has arrived there may be others that have not: look on.
        let later = self
            .fragments
            .iter()
            .map(|fragment| fragment.at)
            .find(|&at| at > now);
        next.into_iter()
            .chain([later])
            .flatten()
            .filter(|&at| at > now)
            .min()
    }

    /// What ended the stream for its reader by now.
    pub(super) fn hangup(&self, now: u64) -> Option<Hangup> {
        if self.is_reset(now) {
            return Some(Hangup::Error(libc::ECONNRESET));
        }
        self.end_at().filter(|&at| at <= now).map(|_| Hangup::Eof)
    }

    /// Gives the memory back when nobody reads any more.
    pub(super) fn discard(&mut self) {
        self.bytes = VecDeque::new();
        self.fragments = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::Bounds;
    use super::*;

    /// Pushes at time `now` under `faults`.
    fn with_medium<T>(now: u64, faults: &Faults, act: impl FnOnce(&mut Medium<'_>) -> T) -> T {
        let (mut prng, mut stats) = (Prng::new(now ^ 99), Stats::default());
        let trace = Trace::default();
        act(&mut Medium {
            now,
            prng: &mut prng,
            faults,
            stats: &mut stats,
            trace: &trace,
        })
    }

    #[test]
    fn bytes_arrive_in_order_however_they_are_cut() {
        let mut faults = Faults::none();
        faults.delay_ns = Bounds::new(1, 1_000);
        faults.fragment_ppm = 800_000;
        faults.fragment_bytes = Bounds::new(1, 20);
        let mut pipe = Pipe::new(64, None);
        let sent: Vec<u8> = (0..1_000_u32).map(|n| n as u8).collect();
        let (mut got, mut next, mut now) = (Vec::new(), 0, 0);
        while got.len() < sent.len() {
            next += with_medium(now, &faults, |medium| pipe.push(&sent[next..], medium));
            assert!(pipe.room(now) + pipe.arrived(now, usize::MAX) <= 64);
            let count = pipe.arrived(now, 7);
            pipe.take(count, &mut got);
            if count == 0 {
                now = pipe.next_after(now).unwrap();
            }
        }
        assert_eq!(sent, got);
    }

    #[test]
    fn an_end_waits_for_the_bytes_and_a_reset_takes_them() {
        let faults = Faults::none();
        let mut pipe = Pipe::new(64, None);
        with_medium(0, &faults, |medium| {
            pipe.push(b"abc", medium);
            pipe.end(medium);
        });
        assert_eq!(None, pipe.hangup(u64::MAX));
        assert_eq!(0, pipe.arrived(0, 9));
        assert_eq!(3, pipe.arrived(20_000, 9));
        pipe.take(3, &mut Vec::new());
        assert_eq!(Some(Hangup::Eof), pipe.hangup(20_000));

        let mut pipe = Pipe::new(64, None);
        with_medium(0, &faults, |medium| pipe.push(b"abc", medium));
        pipe.reset(30_000);
        assert_eq!(3, pipe.arrived(29_999, 9));
        assert_eq!(0, pipe.arrived(30_000, 9));
        assert_eq!(Some(Hangup::Error(libc::ECONNRESET)), pipe.hangup(30_000));
        assert_eq!(
            9,
            with_medium(40_000, &faults, |medium| pipe.push(b"swallowed", medium))
        );
    }

    #[test]
    fn a_quota_stops_the_stream_in_the_middle() {
        let mut pipe = Pipe::new(64, Some(2));
        assert_eq!(
            2,
            with_medium(0, &Faults::none(), |medium| pipe.push(b"abc", medium))
        );
        assert!(pipe.is_exhausted());
    }
}
