//! Stretches of bits: BITCOUNT, BITPOS. Long ones are read in slices while the key stays locked.

use tessera_core::bits;
use tessera_core::entry::Entry;
use tessera_core::resp::{Chain, Proto, Reply};

use super::{BYTES_PER_SLICE, READS, ROW};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::strings::text;
use crate::shard::{Shard, WrongType};

pub(super) const BITCOUNT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bitcount",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        since: "2.6.0",
        summary: "Counts the bits set in a string or a part of it.",
        complexity: "O(N); commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_bitcount,
    spread: Spread::One,
};

fn op_bitcount(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let bytes = match length(cx, args[1]) {
        Some(Some(bytes)) => bytes,
        Some(None) => return cx.reply.integer(0),
        None => return,
    };
    let span = match args[2..] {
        [] => Span::of(0, -1, bytes, false),
        [first, last, ref unit @ ..] if unit.len() < 2 => {
            let Some(first) = integer(cx, first) else {
                return;
            };
            let Some(last) = integer(cx, last) else {
                return;
            };
            // Before the unit, as in Redis.
            if first < 0 && last < 0 && first > last {
                return cx.reply.integer(0);
            }
            let Some(in_bits) = unit_of(cx, unit.first().copied()) else {
                return;
            };
            Span::of(first, last, bytes, in_bits)
        }
        _ => return cx.error(SYNTAX),
    };
    match span {
        Some(span) => read(cx, args[1], span, Search::Count(0)),
        None => cx.reply.integer(0),
    }
}

pub(super) const BITPOS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bitpos",
        arity: -3,
        since: "2.8.7",
        summary: "Finds the first bit that is set, or clear, in a string or a part of it.",
        ..BITCOUNT.spec
    },
    op: op_bitpos,
    spread: Spread::One,
};

fn op_bitpos(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let is_set = match integer(cx, args[2]) {
        Some(0) => false,
        Some(1) => true,
        Some(_) => return cx.error("ERR The bit argument must be 1 or 0."),
        None => return,
    };
    let bytes = match length(cx, args[1]) {
        Some(Some(bytes)) => bytes,
        // Nothing is as good as zeros without end.
        Some(None) => return cx.reply.integer(if is_set { -1 } else { 0 }),
        None => return,
    };
    let rest = &args[3..];
    if rest.len() > 3 {
        return cx.error(SYNTAX);
    }
    let (mut first, mut last, mut in_bits) = (0, -1, false);
    if let Some(arg) = rest.first() {
        let Some(number) = integer(cx, arg) else {
            return;
        };
        first = number;
        let Some(unit) = unit_of(cx, rest.get(2).copied()) else {
            return;
        };
        in_bits = unit;
    }
    if let Some(arg) = rest.get(1) {
        let Some(number) = integer(cx, arg) else {
            return;
        };
        last = number;
    }
    // Without an end, what follows the string counts as zeros.
    let otherwise = if is_set || rest.len() > 1 {
        -1
    } else {
        bytes as i64 * 8
    };
    match Span::of(first, last, bytes, in_bits) {
        Some(span) => read(cx, args[1], span, Search::Find { is_set, otherwise }),
        None => cx.reply.integer(-1),
    }
}

/// The length of the string under a key, if there is one; writes the error for another type.
fn length(cx: &mut Cx<'_>, key: &[u8]) -> Option<Option<usize>> {
    match cx.shard.read_string(cx.db, key) {
        Ok(value) => Some(value.map(|value| value.len())),
        Err(WrongType) => {
            cx.wrong_type();
            None
        }
    }
}

/// Whether positions are those of bits; writes the error for a word that is no unit.
fn unit_of(cx: &mut Cx<'_>, unit: Option<&[u8]>) -> Option<bool> {
    let in_bits = match unit {
        None => Some(false),
        Some(unit) if is(unit, "BIT") => Some(true),
        Some(unit) if is(unit, "BYTE") => Some(false),
        Some(_) => None,
    };
    if in_bits.is_none() {
        cx.error(SYNTAX);
    }
    in_bits
}

/// Bits from `first` to `last`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// The bits between two positions, negative from the end. `None` if there are none.
    fn of(first: i64, last: i64, bytes: usize, in_bits: bool) -> Option<Self> {
        let total = if in_bits {
            bytes as i64 * 8
        } else {
            bytes as i64
        };
        let place = |position: i64| {
            if position < 0 {
                total.saturating_add(position).max(0)
            } else {
                position
            }
        };
        let (first, last) = (place(first), place(last).min(total - 1));
        if first > last {
            return None;
        }
        let (first, last) = (first as u64, last as u64);
        Some(if in_bits {
            Span { first, last }
        } else {
            Span {
                first: first * 8,
                last: last * 8 + 7,
            }
        })
    }

    /// Splits off the first bits, as many as a slice takes.
    fn split(&mut self) -> Option<Span> {
        if self.first > self.last {
            return None;
        }
        let last = self.last.min(self.first + 8 * BYTES_PER_SLICE as u64 - 1);
        let part = Span { last, ..*self };
        self.first = last + 1;
        Some(part)
    }
}

/// What is wanted of a span.
#[derive(Clone, Copy)]
enum Search {
    /// The bits set, so many so far.
    Count(u64),
    /// The first bit of this value, or a number for none.
    Find { is_set: bool, otherwise: i64 },
}

impl Search {
    /// Goes over a part and returns the answer if it is known before the end.
    fn go_over(&mut self, bytes: &[u8], part: Span) -> Option<i64> {
        match self {
            Search::Count(count) => {
                *count += bits::count_between(bytes, part.first, part.last);
                None
            }
            Search::Find { is_set, .. } => {
                let found = bits::find_between(bytes, part.first, part.last, *is_set);
                found.map(|at| at as i64)
            }
        }
    }

    /// The answer at the end.
    fn rest(self) -> i64 {
        match self {
            Search::Count(count) => count as i64,
            Search::Find { otherwise, .. } => otherwise,
        }
    }
}

fn read(cx: &mut Cx<'_>, key: &[u8], span: Span, search: Search) {
    let mut task = ReadTask {
        db: cx.db,
        key: key.into(),
        proto: cx.reply.proto(),
        span,
        search,
    };
    match task.advance(cx.shard) {
        Some(answer) => cx.reply.integer(answer),
        None => cx.task = Some(Box::new(task)),
    }
}

/// A string that is being read.
struct ReadTask {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    /// What is left.
    span: Span,
    search: Search,
}

impl ReadTask {
    /// Reads a slice and returns the answer once it is known.
    fn advance(&mut self, shard: &Shard) -> Option<i64> {
        let mut digits = itoa::Buffer::new();
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let value = entry.and_then(Entry::string);
        let bytes = value.map_or(&b""[..], |value| text(value, &mut digits));
        // The key is locked, but its time may have come.
        let is_there = self.span.last / 8 < bytes.len() as u64;
        let Some(part) = self.span.split().filter(|_| is_there) else {
            return Some(self.search.rest());
        };
        let answer = self.search.go_over(bytes, part);
        let is_over = self.span.first > self.span.last;
        answer.or_else(|| is_over.then(|| self.search.rest()))
    }
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let answer = self.advance(shard);
        if let Some(answer) = answer {
            Reply::new(reply.tail(), self.proto).integer(answer);
        }
        answer.is_some()
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Span;
    use crate::commands::rig::Rig;

    #[test]
    fn bitcount() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k foobar", "OK"),
            ("BITCOUNT k", "26"),
            ("BITCOUNT none", "0"),
            ("BITCOUNT k 0 0", "4"),
            ("BITCOUNT k 1 1 BYTE", "6"),
            ("BITCOUNT k 5 30 bit", "17"),
            ("BITCOUNT k -2 -1", "7"),
            ("BITCOUNT k -1 -2 bogus", "0"),
            ("BITCOUNT k 1 0", "0"),
            ("BITCOUNT k 7 9", "0"),
            ("BITCOUNT k 0 9223372036854775807 BIT", "26"),
            ("BITCOUNT k -9223372036854775808 0", "4"),
            ("BITCOUNT k 1", "ERR syntax error"),
            ("BITCOUNT k 0 1 bogus", "ERR syntax error"),
            ("BITCOUNT k 0 1 BIT 2", "ERR syntax error"),
            ("BITCOUNT none 1", "0"),
            (
                "BITCOUNT k x 1",
                "ERR value is not an integer or out of range",
            ),
            ("SET n 12345", "OK"),
            ("BITCOUNT n 0 0", "3"),
            ("SET e \"\"", "OK"),
            ("BITCOUNT e", "0"),
            ("BITCOUNT e 0 -1", "0"),
        ]);
    }

    #[test]
    fn bitpos() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k \"\\xff\\xf0\\x00\"", "OK"),
            ("BITPOS k 0", "12"),
            ("BITPOS k 1", "0"),
            ("BITPOS k 1 2", "-1"),
            ("BITPOS k 0 0 0", "-1"),
            ("BITPOS k 1 7 15 BIT", "7"),
            ("BITPOS k 0 7 11 BIT", "-1"),
            ("BITPOS k 0 7 12 BIT", "12"),
            ("BITPOS none 0", "0"),
            ("BITPOS none 1 x", "-1"),
            ("SET f \"\\xff\\xff\"", "OK"),
            ("BITPOS f 0", "16"),
            ("BITPOS f 0 0", "16"),
            ("BITPOS f 0 0 -1", "-1"),
            ("BITPOS f 0 5", "-1"),
            ("BITPOS f 2", "ERR The bit argument must be 1 or 0."),
            ("BITPOS f x", "ERR value is not an integer or out of range"),
            ("BITPOS f 0 0 1 bogus", "ERR syntax error"),
            ("BITPOS f 0 0 1 BIT 2", "ERR syntax error"),
        ]);
    }

    #[test]
    fn spans() {
        let of =
            |first, last, in_bits| Span::of(first, last, 3, in_bits).map(|it| (it.first, it.last));
        assert_eq!(of(0, -1, false), Some((0, 23)));
        assert_eq!(of(-2, 7, false), Some((8, 23)));
        assert_eq!(of(-5, -22, true), None);
        assert_eq!(of(-9, -1, true), Some((15, 23)));
        assert_eq!(of(3, 9, false), None);
        assert_eq!(Span::of(0, -1, 0, false), None);
    }

    #[test]
    fn large_strings_in_slices() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETBIT k 33554431 1", "0"),
            ("SETBIT k 20000001 1", "0"),
            ("SETBIT k 9000000 1", "0"),
            ("BITCOUNT k", "3"),
        ]);
        assert_eq!(rig.slices, 3);
        rig.check(&[
            ("BITPOS k 1", "9000000"),
            ("BITPOS k 1 9000001 -1 BIT", "20000001"),
            ("BITPOS k 1 2500001", "33554431"),
            ("BITPOS k 1 20000002 33554430 BIT", "-1"),
            ("BITCOUNT k 9000000 20000001 BIT", "2"),
        ]);
    }
}
