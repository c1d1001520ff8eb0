//! LPOS, and the search for an element, which goes on in slices on a long list while its key stays locked.

use tessera_core::list::{End, List, Spot};
use tessera_core::listpack::Item;
use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Proto, Reply};

use super::{ELEMENTS_PER_SLICE, READS, ROW, list_at};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::{Shard, WrongType};

pub(super) const LPOS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lpos",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        since: "6.0.6",
        summary: "Returns the numbers of the elements of a list that equal an element.",
        complexity: "O(N) with N elements up to the last one returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_lpos,
    spread: Spread::One,
};

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of \
    the list";

/// A walk over a list from one end in search of an element, which goes on where it stopped.
pub(super) struct Search {
    wanted: Box<[u8]>,
    towards: End,
    next: Option<Spot>,
    looked: usize,
    most: usize,
}

impl Search {
    /// A search from the end opposite to `towards` through at most `most` elements.
    pub(super) fn new(wanted: &[u8], towards: End, most: usize) -> Self {
        Search {
            wanted: wanted.into(),
            towards,
            next: None,
            looked: 0,
            most,
        }
    }

    /// Looks at some more elements. `found` is given how many were looked at before a match, and says whether that was enough. Says whether the
    /// search has ended.
    pub(super) fn step(&mut self, list: &List, found: &mut dyn FnMut(usize) -> bool) -> bool {
        let start = match self.towards {
            End::Back => End::Front,
            End::Front => End::Back,
        };
        let from = if self.looked == 0 {
            list.end(start)
        } else {
            self.next
        };
        let wanted = Item::of(&self.wanted);
        let end = self.most.min(self.looked + ELEMENTS_PER_SLICE);
        let mut elements = list.elements(from, self.towards);
        while self.looked < end {
            let Some(item) = elements.next() else {
                return true;
            };
            self.looked += 1;
            if item == wanted && found(self.looked - 1) {
                return true;
            }
        }
        self.next = elements.spot();
        self.looked >= self.most || self.next.is_none()
    }
}

/// What is asked for.
struct Wanted {
    rank: u64,
    /// `Some(0)`: all matches.
    count: Option<usize>,
    matches: u64,
    found: Vec<usize>,
}

impl Wanted {
    /// Takes note of a match and says whether it was the last one.
    fn take(&mut self, index: usize) -> bool {
        self.matches += 1;
        if self.matches < self.rank {
            return false;
        }
        self.found.push(index);
        self.count
            .is_none_or(|count| count > 0 && self.found.len() >= count)
    }

    fn answer(&self, reply: &mut Reply<'_>) {
        match (self.count, self.found.first()) {
            (Some(_), _) => {
                reply.array(self.found.len());
                for index in &self.found {
                    reply.integer(*index as i64);
                }
            }
            (None, Some(index)) => reply.integer(*index as i64),
            (None, None) => reply.null(),
        }
    }
}

fn op_lpos(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some((search, wanted)) = options(cx, args) else {
        return;
    };
    let mut task = LposTask {
        db: cx.db,
        key: args[1].into(),
        proto: cx.reply.proto(),
        search,
        wanted,
    };
    match cx.shard.read_object::<List>(cx.db, args[1]) {
        Err(WrongType) => cx.wrong_type(),
        Ok(Some(list)) if !task.search(list) => cx.task = Some(Box::new(task)),
        Ok(_) => task.wanted.answer(&mut cx.reply),
    }
}

/// Writes the error for options that are none.
fn options(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<(Search, Wanted)> {
    let (mut rank, mut count, mut most) = (1i64, None, 0);
    let mut rest = &args[3..];
    while let [word, more @ ..] = rest {
        let [value, more @ ..] = more else { break };
        if is(word, "RANK") {
            rank = integer(cx, value)?;
            if rank == i64::MIN {
                cx.error(format!(
                    "ERR value is out of range, value must between {} and {}",
                    -i64::MAX,
                    i64::MAX
                ));
                return None;
            }
            if rank == 0 {
                cx.error(RANK_ZERO);
                return None;
            }
        } else if is(word, "COUNT") {
            count = Some(natural(cx, value, "ERR COUNT can't be negative")?);
        } else if is(word, "MAXLEN") {
            most = natural(cx, value, "ERR MAXLEN can't be negative")?;
        } else {
            break;
        }
        rest = more;
    }
    if !rest.is_empty() {
        cx.error(SYNTAX);
        return None;
    }
    let towards = if rank < 0 { End::Front } else { End::Back };
    let most = if most == 0 { usize::MAX } else { most };
    let wanted = Wanted {
        rank: rank.unsigned_abs(),
        count,
        matches: 0,
        found: Vec::new(),
    };
    Some((Search::new(args[2], towards, most), wanted))
}

fn natural(cx: &mut Cx<'_>, arg: &[u8], error: &str) -> Option<usize> {
    let number = parse_i64(arg).and_then(|number| usize::try_from(number).ok());
    if number.is_none() {
        cx.error(error);
    }
    number
}

/// A search under way.
struct LposTask {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    search: Search,
    wanted: Wanted,
}

impl LposTask {
    /// Looks at some more elements and says whether that was all.
    fn search(&mut self, list: &List) -> bool {
        let (wanted, len, towards) = (&mut self.wanted, list.len(), self.search.towards);
        self.search.step(list, &mut |looked| {
            wanted.take(match towards {
                End::Back => looked,
                End::Front => len - looked - 1,
            })
        })
    }
}

impl Task for LposTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let list = list_at(shard, self.db, &self.key);
        let is_done = list.is_none_or(|list| self.search(list));
        if is_done {
            self.wanted
                .answer(&mut Reply::new(reply.tail(), self.proto));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn ranks_counts_and_limits() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LPOS l a", "(nil)"),
            ("LPOS l a COUNT 0", "[]"),
            ("RPUSH l a b c 1 2 3 c c", "8"),
            ("LPOS l c", "2"),
            ("LPOS l 3", "5"),
            ("LPOS l x", "(nil)"),
            ("LPOS l c RANK 2", "6"),
            ("LPOS l c RANK -1", "7"),
            ("LPOS l c RANK -3", "2"),
            ("LPOS l c RANK 4", "(nil)"),
            ("LPOS l c COUNT 2", "[2 6]"),
            ("LPOS l c COUNT 0", "[2 6 7]"),
            ("LPOS l c RANK -1 COUNT 2", "[7 6]"),
            ("LPOS l c RANK 2 COUNT 0", "[6 7]"),
            ("LPOS l c COUNT 0 MAXLEN 7", "[2 6]"),
            ("LPOS l c RANK -1 COUNT 0 MAXLEN 1", "[7]"),
            ("LPOS l c MAXLEN 2", "(nil)"),
            ("LPOS l c COUNT -1", "ERR COUNT can't be negative"),
            ("LPOS l c MAXLEN x", "ERR MAXLEN can't be negative"),
            (
                "LPOS l c RANK x",
                "ERR value is not an integer or out of range",
            ),
            ("LPOS l c RANK", "ERR syntax error"),
            ("LPOS l c FOO 1", "ERR syntax error"),
            (
                "LPOS l c RANK -9223372036854775808",
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
        ]);
        assert!(rig.run("LPOS l c RANK 0").starts_with("ERR RANK can't be"));
    }

    #[test]
    fn a_long_list_in_slices() {
        let mut rig = Rig::new();
        for number in 0..20_000 {
            rig.run(&format!("RPUSH l {}", number % 9_000));
        }
        rig.check(&[("LPOS l 8000 COUNT 0", "[8000 17000]")]);
        assert!(rig.slices >= 4, "{}", rig.slices);
        rig.check(&[
            ("LPOS l 8000 RANK -2", "8000"),
            ("LPOS l 8000 RANK 2 MAXLEN 17000", "(nil)"),
            ("LPOS l 8000 RANK 2 MAXLEN 17001", "17000"),
        ]);
    }
}
