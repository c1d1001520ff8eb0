//! Registers as runs, while most of them are zero.
//!
//! ```text
//! 00llllll           l + 1 registers of zero
//! 01llllll llllllll  l + 1 registers of zero, the high byte first
//! 1vvvvvll           l + 1 registers of value v + 1
//! ```
//! Invariant: the runs of a valid one add up to all registers. A change replaces one run by up to three and then joins runs of equal
//! values nearby: the very steps of Redis, so that equal commands make equal bytes.

use super::dense::REGISTERS;

/// Longest run of one byte.
const ZERO_MAX: usize = 64;
/// Longest run of a value.
const VALUE_LEN_MAX: usize = 4;
/// Greatest value that a run can have.
pub(super) const VALUE_MAX: u8 = 32;
/// Runs looked at for joining after a change.
const JOINED_RUNS: usize = 5;

/// A run: value 0 for one of zeros.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) value: u8,
    pub(super) len: usize,
    /// Bytes it takes.
    pub(super) bytes: usize,
}

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// The register was as high already.
    None,
    /// It was raised.
    Raised,
    /// The runs cannot hold it: they must become dense first.
    TooLarge,
}

/// The run at a place.
#[inline]
pub(super) fn read(runs: &[u8], at: usize) -> Run {
    let byte = runs[at];
    match byte >> 6 {
        0 => Run {
            value: 0,
            len: usize::from(byte & 0x3F) + 1,
            bytes: 1,
        },
        1 => {
            let low = runs.get(at + 1).copied().unwrap_or(0);
            Run {
                value: 0,
                len: usize::from(byte & 0x3F) << 8 | usize::from(low),
                bytes: 2,
            }
            .longer()
        }
        _ => Run {
            value: (byte >> 2 & 0x1F) + 1,
            len: usize::from(byte & 3) + 1,
            bytes: 1,
        },
    }
}

impl Run {
    fn longer(self) -> Self {
        Self {
            len: self.len + 1,
            ..self
        }
    }
}

/// The runs in order.
pub(super) fn iter(runs: &[u8]) -> impl Iterator<Item = Run> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = (at < runs.len()).then(|| read(runs, at))?;
        at += run.bytes;
        Some(run)
    })
}

/// All registers zero.
pub(super) fn zeros(out: &mut Vec<u8>) {
    push_zeros(out, REGISTERS);
}

fn push_zeros(out: &mut Vec<u8>, len: usize) {
    let bits = (len - 1) as u16;
    if len > ZERO_MAX {
        out.extend_from_slice(&[0x40 | (bits >> 8) as u8, bits as u8]);
    } else {
        out.push(bits as u8);
    }
}

fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// Raises a register of the runs that begin at `start` of the string. `None`: no run covers it. `bytes_max` is for the whole string.
pub(super) fn raise(
    string: &mut Vec<u8>,
    start: usize,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Option<Change> {
    if value > VALUE_MAX {
        return Some(Change::TooLarge);
    }
    let (mut at, mut before, mut first) = (start, start, 0);
    let run = loop {
        if at >= string.len() {
            return None;
        }
        let run = read(string, at);
        if index < first + run.len {
            break run;
        }
        (before, at) = (at, at + run.bytes);
        first += run.len;
    };
    if run.value >= value {
        return Some(Change::None);
    }
    if run.len == 1 && run.bytes == 1 {
        string[at] = value_run(value, 1);
    } else {
        let (mut fresh, last) = (Vec::with_capacity(5), first + run.len - 1);
        let push = |fresh: &mut Vec<u8>, len: usize| match (len, run.value) {
            (0, _) => {}
            (len, 0) => push_zeros(fresh, len),
            (len, old) => fresh.push(value_run(old, len)),
        };
        push(&mut fresh, index - first);
        fresh.push(value_run(value, 1));
        push(&mut fresh, last - index);
        let grown = (string.len() + fresh.len()).saturating_sub(run.bytes);
        if fresh.len() > run.bytes && grown > bytes_max {
            return Some(Change::TooLarge);
        }
        let end = string.len().min(at + run.bytes);
        string.splice(at..end, fresh);
    }
    join(string, before);
    Some(Change::Raised)
}

/// Joins neighbouring runs of equal values.
fn join(string: &mut Vec<u8>, mut at: usize) {
    let mut looked = 0;
    while at < string.len() && looked < JOINED_RUNS {
        looked += 1;
        let run = read(string, at);
        if run.value != 0 && at + 1 < string.len() {
            let next = read(string, at + 1);
            if next.value == run.value && run.len + next.len <= VALUE_LEN_MAX {
                string[at + 1] = value_run(run.value, run.len + next.len);
                string.remove(at);
                continue;
            }
        }
        at += run.bytes;
    }
}
