//! LCS: the longest common subsequence of two strings.
//!
//! The classic table: `L(i, j)` is the length for the first `i` bytes of one string and the first `j` of the other, from the
//! neighbours above, left and above-left. The way back through it needs to know only which of the first two is greater where the
//! bytes differ: one bit per cell, and one row of lengths. (Redis keeps the whole table; its limit on it is kept, so
//! that both refuse the same requests.) Where both are equal the way goes left, as in Redis, which decides which of several
//! subsequences is returned.
//!
//! The work is proportional to the product of the lengths, so it is done in slices on copies of the strings; a small one
//! is done at once.

use tessera_core::entry::Entry;
use tessera_core::resp::{Chain, Proto, Reply};

use super::{READS, ROW, text};
use crate::command::spec::{Find, KeySpec, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::Shard;

pub(super) const LCS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lcs",
        arity: -3,
        flags: flag::READONLY,
        keys: &[KeySpec {
            find: Find::Range {
                last: 1,
                step: 1,
                limit: 0,
            },
            ..READS[0]
        }],
        since: "7.0.0",
        summary: "Finds the longest common subsequence of two strings.",
        complexity: "O(N*M) with strings of N and M bytes",
        ..ROW
    },
    op: op_lcs,
    spread: Spread::Borrow,
};

const TOO_LONG: &str = "ERR String too long for LCS";
const TABLE_TOO_LARGE: &str =
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
const NO_MEMORY: &str = "ERR Insufficient memory, failed allocating transient memory for LCS";

/// Bytes of a cell of the table that Redis would make.
const REDIS_CELL_BYTES: u64 = 4;
/// Cells, or steps back, per slice: about 500 µs.
const CELLS_PER_SLICE: usize = 200_000;
/// Up to this many cells the command does not become a task.
const CELLS_AT_ONCE: usize = 100_000;

/// What the reply shall be.
#[derive(Clone, Copy)]
enum Wanted {
    /// The subsequence itself.
    Text,
    /// Its length (LEN).
    Length,
    /// Where it lies in both strings (IDX).
    Matches { bytes_min: usize, with_length: bool },
}

impl Wanted {
    /// Writes the error for options that are none.
    fn parse(cx: &mut Cx<'_>, mut args: &[&[u8]]) -> Option<Self> {
        let (mut length, mut index, mut with_length, mut bytes_min) = (false, false, false, 0);
        while let [word, rest @ ..] = args {
            args = rest;
            if is(word, "IDX") {
                index = true;
            } else if is(word, "LEN") {
                length = true;
            } else if is(word, "WITHMATCHLEN") {
                with_length = true;
            } else if is(word, "MINMATCHLEN")
                && let [number, rest @ ..] = rest
            {
                bytes_min = usize::try_from(integer(cx, number)?).unwrap_or(0);
                args = rest;
            } else {
                cx.error(SYNTAX);
                return None;
            }
        }
        if index && length {
            cx.error("ERR If you want both the length and indexes, please just use IDX.");
            return None;
        }
        Some(match (index, length) {
            (true, _) => Wanted::Matches {
                bytes_min,
                with_length,
            },
            (_, true) => Wanted::Length,
            _ => Wanted::Text,
        })
    }
}

fn op_lcs(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let length = |cx: &mut Cx<'_>, key| {
        let value = cx.shard.read_string(cx.db, key);
        value.map(|value| value.map_or(0, |value| value.len()))
    };
    let (Ok(a), Ok(b)) = (length(cx, args[1]), length(cx, args[2])) else {
        return cx.error("ERR The specified keys must contain string values");
    };
    let Some(wanted) = Wanted::parse(cx, &args[3..]) else {
        return;
    };
    if a.max(b) >= u32::MAX as usize - 1 {
        return cx.error(TOO_LONG);
    }
    let cells = (a as u64 + 1) * (b as u64 + 1);
    if cells.saturating_mul(REDIS_CELL_BYTES) > cx.shard.settings.bulk_bytes_max {
        return cx.error(TABLE_TOO_LARGE);
    }
    let strings = copy(cx, args[1]).zip(copy(cx, args[2]));
    let Some(mut search) = strings.and_then(|(a, b)| Search::new(a, b, wanted)) else {
        return cx.error(NO_MEMORY);
    };
    if cells <= CELLS_AT_ONCE as u64 {
        while !search.advance(CELLS_AT_ONCE) {}
        return search.reply(&mut cx.reply);
    }
    cx.task = Some(Box::new(LcsTask {
        search,
        proto: cx.reply.proto(),
    }));
}

/// The bytes of a key, none if it does not exist; `None` if there is no memory for them.
fn copy(cx: &Cx<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let mut digits = itoa::Buffer::new();
    let entry = cx.shard.table(cx.db).get(cx.shard.hash(key), key);
    let bytes = entry
        .and_then(Entry::string)
        .map_or(&b""[..], |value| text(value, &mut digits));
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

struct LcsTask {
    search: Search,
    proto: Proto,
}

impl Task for LcsTask {
    fn step(&mut self, _shard: &mut Shard, reply: &mut Chain) -> bool {
        let done = self.search.advance(CELLS_PER_SLICE);
        if done {
            let mut reply = Reply::new(reply.tail(), self.proto);
            self.search.reply(&mut reply);
            reply.finish();
        }
        done
    }
}

/// A stretch that both strings have in common: where it starts in each, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    a: usize,
    b: usize,
    length: usize,
}

/// The two strings and how far the search has come: down the table row by row, then back up.
struct Search {
    a: Vec<u8>,
    b: Vec<u8>,
    wanted: Wanted,
    /// `L(i, 0..)` left of the current cell, `L(i - 1, ..)` from it on.
    row: Vec<u32>,
    /// `L(i - 1, j - 1)`.
    diagonal: u32,
    /// One bit per cell without row and column 0: set where `L(i - 1, j) > L(i, j - 1)`.
    above_greater: Vec<u64>,
    /// The current cell; on the way down it is counted from 0.
    i: usize,
    j: usize,
    going_back: bool,
    /// The subsequence, last byte first.
    text: Vec<u8>,
    /// The stretches, last one first.
    matches: Vec<Match>,
}

impl Search {
    /// `None` if there is no memory for it.
    fn new(a: Vec<u8>, b: Vec<u8>, wanted: Wanted) -> Option<Self> {
        let mut row = Vec::new();
        row.try_reserve_exact(b.len() + 1).ok()?;
        row.resize(b.len() + 1, 0);
        let mut above_greater = Vec::new();
        if !matches!(wanted, Wanted::Length) {
            let words = (a.len() * b.len()).div_ceil(64);
            above_greater.try_reserve_exact(words).ok()?;
            above_greater.resize(words, 0);
        }
        let (mut text, matches) = (Vec::new(), Vec::new());
        if matches!(wanted, Wanted::Text) {
            text.try_reserve_exact(a.len().min(b.len())).ok()?;
        }
        Some(Search {
            a,
            b,
            wanted,
            row,
            diagonal: 0,
            above_greater,
            i: 0,
            j: 0,
            going_back: false,
            text,
            matches,
        })
    }

    /// Visits at most this many cells. Returns whether the search is over.
    fn advance(&mut self, mut cells: usize) -> bool {
        while !self.going_back {
            if self.i == self.a.len() || self.b.is_empty() {
                self.going_back = true;
                (self.i, self.j) = (self.a.len(), self.b.len());
                if matches!(self.wanted, Wanted::Length) {
                    self.i = 0;
                }
                break;
            }
            let end = self.b.len().min(self.j + cells);
            cells -= end - self.j;
            self.fill(end);
            if self.j == self.b.len() {
                (self.i, self.j, self.diagonal) = (self.i + 1, 0, 0);
            }
            if cells == 0 {
                return false;
            }
        }
        self.go_back(cells)
    }

    /// Fills the current row up to column `end`.
    fn fill(&mut self, end: usize) {
        let (byte, width, keep) = (self.a[self.i], self.b.len(), !self.above_greater.is_empty());
        let mut left = self.row[self.j];
        for j in self.j..end {
            let above = self.row[j + 1];
            let length = if self.b[j] == byte {
                self.diagonal + 1
            } else {
                if keep && above > left {
                    let bit = self.i * width + j;
                    self.above_greater[bit / 64] |= 1 << (bit % 64);
                }
                above.max(left)
            };
            (self.diagonal, left) = (above, length);
            self.row[j + 1] = length;
        }
        self.j = end;
    }

    /// Follows the subsequence from its end to its start.
    fn go_back(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            if self.i == 0 || self.j == 0 {
                return true;
            }
            let (i, j) = (self.i - 1, self.j - 1);
            if self.a[i] == self.b[j] {
                self.take(i, j);
                (self.i, self.j) = (i, j);
                continue;
            }
            let bit = i * self.b.len() + j;
            if self.above_greater[bit / 64] >> (bit % 64) & 1 != 0 {
                self.i = i;
            } else {
                self.j = j;
            }
        }
        self.i == 0 || self.j == 0
    }

    /// Notes a byte of the subsequence: it makes the last stretch longer if it stands right before it in both strings.
    fn take(&mut self, i: usize, j: usize) {
        if matches!(self.wanted, Wanted::Text) {
            return self.text.push(self.a[i]);
        }
        match self.matches.last_mut() {
            Some(last) if last.a == i + 1 && last.b == j + 1 => {
                *last = Match {
                    a: i,
                    b: j,
                    length: last.length + 1,
                }
            }
            _ => self.matches.push(Match {
                a: i,
                b: j,
                length: 1,
            }),
        }
    }

    fn reply(&mut self, reply: &mut Reply<'_>) {
        let length = self.row.last().copied().unwrap_or(0);
        match self.wanted {
            Wanted::Text => {
                self.text.reverse();
                reply.bulk(&self.text);
            }
            Wanted::Length => reply.integer(length.into()),
            Wanted::Matches {
                bytes_min,
                with_length,
            } => {
                self.matches.retain(|found| found.length >= bytes_min);
                reply.map(2);
                reply.bulk(b"matches");
                reply.array(self.matches.len());
                for found in &self.matches {
                    reply.array(2 + usize::from(with_length));
                    for start in [found.a, found.b] {
                        reply.array(2);
                        reply.integer(start as i64);
                        reply.integer((start + found.length - 1) as i64);
                    }
                    if with_length {
                        reply.integer(found.length as i64);
                    }
                }
                reply.bulk(b"len");
                reply.integer(length.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;
    use crate::shard::Rng;

    #[test]
    fn options_and_errors() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSET a ohmytext b mynewtext", "OK"),
            ("LCS a b", "\"mytext\""),
            ("LCS a b len", "6"),
            (
                "LCS a b IDX",
                "[\"matches\" [[[4 7] [5 8]] [[2 3] [0 1]]] \"len\" 6]",
            ),
            (
                "LCS a b IDX MINMATCHLEN 4",
                "[\"matches\" [[[4 7] [5 8]]] \"len\" 6]",
            ),
            (
                "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
                "[\"matches\" [[[4 7] [5 8] 4]] \"len\" 6]",
            ),
            (
                "LCS a b IDX MINMATCHLEN -3 WITHMATCHLEN",
                "[\"matches\" [[[4 7] [5 8] 4] [[2 3] [0 1] 2]] \"len\" 6]",
            ),
            ("LCS a b LEN WITHMATCHLEN", "6"),
            ("LCS a none", "\"\""),
            ("LCS none a LEN", "0"),
            ("LCS none none IDX", "[\"matches\" [] \"len\" 0]"),
            (
                "LCS a b LEN IDX",
                "ERR If you want both the length and indexes, please just use IDX.",
            ),
            ("LCS a b MINMATCHLEN", "ERR syntax error"),
            (
                "LCS a b MINMATCHLEN x",
                "ERR value is not an integer or out of range",
            ),
            ("LCS a b c", "ERR syntax error"),
            ("MSET m 1212 n 2121", "OK"),
            ("LCS m n", "\"212\""),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("LCS a b IDX MINMATCHLEN 9", "{\"matches\" [] \"len\" 6}")]);
    }

    #[test]
    fn a_table_that_redis_would_refuse_is_refused() {
        let mut rig = Rig::new();
        rig.check(&[("MSET a 123456789 b 123456789", "OK")]);
        rig.shard.settings.bulk_bytes_max = 4 * 10 * 10;
        rig.check(&[("LCS a b LEN", "9")]);
        rig.shard.settings.bulk_bytes_max -= 1;
        rig.check(&[(
            "LCS a b LEN",
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        )]);
    }

    /// The length by the plain recurrence.
    fn length(a: &[u8], b: &[u8]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                table[i + 1][j + 1] = if x == y {
                    table[i][j] + 1
                } else {
                    table[i][j + 1].max(table[i + 1][j])
                };
            }
        }
        table[a.len()][b.len()]
    }

    fn is_subsequence(short: &[u8], long: &[u8]) -> bool {
        let mut rest = long.iter();
        short.iter().all(|byte| rest.any(|other| other == byte))
    }

    #[test]
    fn a_large_search_goes_in_slices_and_finds_the_same() {
        let mut rig = Rig::new();
        let mut rng = Rng::new(5);
        for (rows, columns) in [(300, 200), (1_000, 900), (3, 400_000), (400_000, 2)] {
            let mut text = |len: usize| -> Vec<u8> {
                (0..len).map(|_| b"abcd"[rng.below(4) as usize]).collect()
            };
            let (a, b) = (text(rows), text(columns));
            rig.bytes(&[b"MSET", b"a", &a, b"b", &b]);
            let expected = length(&a, &b);
            assert_eq!(rig.run("LCS a b LEN"), expected.to_string());
            let found = rig.bytes(&[b"LCS", b"a", b"b"]);
            assert_eq!(rig.slices > 1, rows * columns > 200_000, "{}", rig.slices);
            let header = format!("${expected}\r\n");
            let found = found
                .strip_prefix(header.as_bytes())
                .and_then(|rest| rest.strip_suffix(b"\r\n"))
                .unwrap();
            assert!(is_subsequence(found, &a) && is_subsequence(found, &b));
        }
    }
}
