//! Lists: the rows of the family and what its files share.

mod blocking;
mod insert;
mod places;
mod pop;
mod position;
mod push;
mod range;
mod remove;
mod shift;
mod trim;

use tessera_core::list::{End, List};
use tessera_core::object::Collection;

use super::args::{SYNTAX, is};
use crate::command::spec::{KeySpec, access, category};
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::shard::Shard;
use crate::shard::event::{self, Event};

pub(crate) use super::hashes::reply_item;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    push::LPUSH,
    push::RPUSH,
    push::LPUSHX,
    push::RPUSHX,
    pop::LPOP,
    pop::RPOP,
    pop::LMPOP,
    places::LLEN,
    places::LINDEX,
    places::LSET,
    insert::LINSERT,
    range::LRANGE,
    remove::LREM,
    trim::LTRIM,
    position::LPOS,
    shift::LMOVE,
    shift::RPOPLPUSH,
    blocking::BLPOP,
    blocking::BRPOP,
    blocking::BLMPOP,
    blocking::BLMOVE,
    blocking::BRPOPLPUSH,
];

/// A row to fill: one key, the category and group of lists.
const ROW: Spec = Spec {
    categories: category::LIST,
    group: "list",
    since: "1.0.0",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];

/// Elements that are looked at in one slice of a long search.
const ELEMENTS_PER_SLICE: usize = 4096;

/// The list that a task comes back to. Counts nothing.
fn list_at<'a>(shard: &'a Shard, db: usize, key: &[u8]) -> Option<&'a List> {
    let entry = shard.table(db).get(shard.hash(key), key)?;
    entry.object().and_then(List::of)
}

/// LEFT or RIGHT; writes the error otherwise.
fn end(cx: &mut Cx<'_>, arg: &[u8]) -> Option<End> {
    if is(arg, "LEFT") {
        Some(End::Front)
    } else if is(arg, "RIGHT") {
        Some(End::Back)
    } else {
        cx.error(SYNTAX);
        None
    }
}

/// The elements that a range means, which may count from the end: the first one and how many. Both may be far outside.
fn range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, stop) = (from_front(start).max(0), from_front(stop).min(len - 1));
    if start > stop {
        return (0, 0);
    }
    (start as usize, (stop - start + 1) as usize)
}

/// The event of an element that came at this end.
fn pushed(end: End) -> Event {
    match end {
        End::Front => event::LPUSH,
        End::Back => event::RPUSH,
    }
}

/// The event of an element that left at this end.
fn popped(end: End) -> Event {
    match end {
        End::Front => event::LPOP,
        End::Back => event::RPOP,
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges() {
        for (start, stop, expected) in [
            (0, -1, (0, 5)),
            (0, 0, (0, 1)),
            (-2, -1, (3, 2)),
            (-100, 100, (0, 5)),
            (3, 2, (0, 0)),
            (5, 9, (0, 0)),
            (0, -6, (0, 0)),
            (i64::MIN, i64::MAX, (0, 5)),
            (i64::MAX, i64::MIN, (0, 0)),
        ] {
            assert_eq!(range(start, stop, 5), expected, "{start} {stop}");
        }
        assert_eq!(range(0, -1, 0), (0, 0));
    }
}
