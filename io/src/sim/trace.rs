//! `Trace`: a hash over everything that happened in a world, and the record of it on demand; `Stats`:
//! how often what happened.
//!
//! Invariant: every decision of the scheduler, every delivery (time, length, content) and every disk
//! operation is folded in, in order; two runs with equal hashes took the same path. The world, its
//! reactors and its disks share one trace.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::prng::splitmix64;

/// What a trace entry is about; the meaning of its `a`, `b`, `c` in parentheses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TraceKind {
    /// The scheduler chose (what, of how many).
    Choose = 1,
    /// The clock moved to the next happening.
    Advance,
    /// A poll returned (shard, events, 1 when it would have slept on).
    Poll,
    /// A client connected (link, shard).
    Connect,
    /// Accepted (shard, slab index, generation).
    Accepted,
    /// Received (link, bytes, hash of them).
    Received,
    /// Drained (link).
    Drained,
    /// Closed (link, errno or 0).
    Closed,
    /// The kernel took bytes of a send (link, bytes, hash of them).
    Taken,
    /// The server closed a connection (link, 1 for abort).
    Close,
    /// A client read (link, bytes, hash of them).
    ClientRead,
    /// A client ended its side (link, how).
    ClientEnd,
    /// A wake-up was sent (target, due).
    Wake,
    /// A shard was stalled (shard, until).
    Stall,
    /// A disk operation ended (operation, file or bytes, errno or 0).
    Disk,
    /// A crash or kill (what).
    Crash,
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceEntry {
    /// When, in nanoseconds.
    pub at: u64,
    /// What.
    pub kind: TraceKind,
    /// First detail.
    pub a: u64,
    /// Second detail.
    pub b: u64,
    /// Third detail.
    pub c: u64,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, kind, a, b, c } = self;
        write!(
            f,
            "{:>12.3} us {kind:?} {a} {b} {c:x}",
            *at as f64 / 1_000.0
        )
    }
}

/// How often what happened in a world; lets a test show that its faults did occur.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Calls of `poll`.
    pub polls: u64,
    /// Polls that would have slept.
    pub sleeps: u64,
    /// Polls that returned without any cause.
    pub spurious: u64,
    /// Calls of `wake`.
    pub wakes: u64,
    /// Accepted connections.
    pub accepted: u64,
    /// `Received` events.
    pub chunks: u64,
    /// Bytes in them.
    pub received_bytes: u64,
    /// Bytes the kernel took from sends.
    pub taken_bytes: u64,
    /// Sends of which a part had to wait.
    pub partial_sends: u64,
    /// `Drained` events.
    pub drained: u64,
    /// `Closed` events.
    pub closed: u64,
    /// Connections that the network will cut or has cut.
    pub cuts: u64,
    /// Stalls of a shard.
    pub stalls: u64,
    /// Calls ignored because they named a connection that is no more.
    pub ignored_calls: u64,
    /// Those of them whose name this shard's reactor never gave: always a fault of the caller.
    pub unknown_names: u64,
}

#[derive(Default)]
struct Record {
    hash: Cell<u64>,
    now: Cell<u64>,
    entries: RefCell<Option<Vec<TraceEntry>>>,
}

/// A handle to the trace of a world.
#[derive(Clone, Default)]
pub(super) struct Trace {
    record: Rc<Record>,
}

impl Trace {
    /// Tells the time of what follows; the disks have no other clock.
    pub(super) fn set_now(&self, now: u64) {
        self.record.now.set(now);
    }

    /// Folds one happening in.
    pub(super) fn note(&self, kind: TraceKind, a: u64, b: u64, c: u64) {
        let at = self.record.now.get();
        let mut hash = self.record.hash.get();
        for word in [at, kind as u64, a, b, c] {
            hash ^= word;
            hash = splitmix64(&mut hash);
        }
        self.record.hash.set(hash);
        if let Some(entries) = self.record.entries.borrow_mut().as_mut() {
            entries.push(TraceEntry { at, kind, a, b, c });
        }
    }

    /// The hash over all that was noted.
    pub(super) fn hash(&self) -> u64 {
        self.record.hash.get()
    }

    /// Keeps the entries from now on.
    pub(super) fn keep_entries(&self) {
        self.record
            .entries
            .borrow_mut()
            .get_or_insert_with(Vec::new);
    }

    /// The entries kept so far; keeps going when it was keeping.
    pub(super) fn take_entries(&self) -> Vec<TraceEntry> {
        self.record
            .entries
            .borrow_mut()
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }
}

/// A hash of some bytes, for entries about them (not FNV: eight bytes per step).
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = bytes.len() as u64;
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    for &byte in rest {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_time_and_content_matter() {
        let hash_of = |notes: &[(u64, u64)]| {
            let trace = Trace::default();
            for &(now, a) in notes {
                trace.set_now(now);
                trace.note(TraceKind::Choose, a, 0, 0);
            }
            trace.hash()
        };
        assert_eq!(hash_of(&[(1, 2), (3, 4)]), hash_of(&[(1, 2), (3, 4)]));
        assert_ne!(hash_of(&[(1, 2), (3, 4)]), hash_of(&[(1, 4), (3, 2)]));
        assert_ne!(hash_of(&[(1, 2)]), hash_of(&[(2, 2)]));
        assert_ne!(hash_bytes(b"12345678a"), hash_bytes(b"12345678b"));
        assert_ne!(hash_bytes(b"12345678"), hash_bytes(b"02345678"));
    }

    #[test]
    fn entries_are_kept_only_on_demand() {
        let trace = Trace::default();
        trace.note(TraceKind::Wake, 1, 2, 3);
        assert!(trace.take_entries().is_empty());
        trace.keep_entries();
        trace.set_now(1_500);
        trace.note(TraceKind::Wake, 1, 2, 255);
        let entries = trace.take_entries();
        assert_eq!("       1.500 us Wake 1 2 ff", entries[0].to_string());
        assert!(trace.take_entries().is_empty());
    }
}
