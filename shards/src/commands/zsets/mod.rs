//! Sorted sets: the rows of the family and what its files share.

mod add;
mod blocking;
mod bounds;
mod combine;
mod count;
mod members;
mod merge;
mod pop;
mod query;
mod random;
mod range;
mod reading;
mod remove;
mod scan;
mod store;

use tessera_core::listpack::Item;
use tessera_core::object::Collection;
use tessera_core::resp::Reply;
use tessera_core::zset::Zset;

use crate::command::spec::{Begin, Bits, Find, KeySpec, access, category};
use crate::command::{KeyspaceRow, Spec};
use crate::shard::Shard;
use crate::shard::event::Event;

pub(super) use add::{Options, put};
pub(super) use store::store;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    add::ZADD,
    add::ZINCRBY,
    members::ZREM,
    members::ZCARD,
    members::ZSCORE,
    members::ZMSCORE,
    members::ZRANK,
    members::ZREVRANK,
    count::ZCOUNT,
    count::ZLEXCOUNT,
    range::ZRANGE,
    range::ZREVRANGE,
    range::ZRANGEBYSCORE,
    range::ZREVRANGEBYSCORE,
    range::ZRANGEBYLEX,
    range::ZREVRANGEBYLEX,
    store::ZRANGESTORE,
    remove::ZREMRANGEBYRANK,
    remove::ZREMRANGEBYSCORE,
    remove::ZREMRANGEBYLEX,
    pop::ZPOPMIN,
    pop::ZPOPMAX,
    pop::ZMPOP,
    blocking::BZPOPMIN,
    blocking::BZPOPMAX,
    blocking::BZMPOP,
    random::ZRANDMEMBER,
    scan::ZSCAN,
    combine::ZUNION,
    combine::ZINTER,
    combine::ZDIFF,
    combine::ZUNIONSTORE,
    combine::ZINTERSTORE,
    combine::ZDIFFSTORE,
    combine::ZINTERCARD,
];

/// A row to fill: one key, the category and group of sorted sets.
const ROW: Spec = Spec {
    categories: category::SORTEDSET,
    group: "sorted-set",
    since: "1.2.0",
    complexity: "O(log N) with N members",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];
const REMOVES: &[KeySpec] = &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)];
const POPS: Bits = access::RW | access::ACCESS | access::DELETE;

/// The rule "a number of keys at `index`, then the keys".
const fn counted(access: Bits, index: i32) -> KeySpec {
    KeySpec {
        access,
        notes: "",
        begin: Begin::Index(index),
        find: Find::KeyNum {
            index: 0,
            first: 1,
            step: 1,
        },
    }
}

/// Elements that a command handles at once; with more, it goes on in slices.
pub(super) const ELEMENTS_AT_ONCE: usize = 1024;

/// Replies with a member.
pub(super) fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(number) => reply.bulk_integer(number),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// The sorted set under a locked key: what a task comes back to. Counts nothing and lets nothing expire.
pub(super) fn held<'a>(shard: &'a Shard, db: usize, key: &[u8]) -> Option<&'a Zset> {
    let entry = shard.table(db).get(shard.hash(key), key)?;
    entry.object().and_then(Zset::of)
}

/// Reports a change of a key that Redis counts as several.
fn changed_times(shard: &mut Shard, db: usize, key: &[u8], times: usize, event: Event) {
    if times > 0 {
        shard.stats.changes += times as u64 - 1;
        shard.changed_by(db, key, event);
    }
}
