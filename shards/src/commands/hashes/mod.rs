//! Hashes: the rows of the family and what its files share.

mod combined;
mod fields;
mod lifetime;
mod number;
mod random;
mod scan;
mod whole;

use tessera_core::listpack::Item;
use tessera_core::resp::Reply;

use crate::command::spec::{KeySpec, access, category, flag};
use crate::command::{KeyspaceRow, Spec};
use crate::shard::Shard;
use crate::shard::event::Event;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    fields::HSET,
    fields::HMSET,
    fields::HSETNX,
    fields::HGET,
    fields::HMGET,
    fields::HDEL,
    fields::HLEN,
    fields::HSTRLEN,
    fields::HEXISTS,
    number::HINCRBY,
    number::HINCRBYFLOAT,
    whole::HKEYS,
    whole::HVALS,
    whole::HGETALL,
    scan::HSCAN,
    random::HRANDFIELD,
    lifetime::HEXPIRE,
    lifetime::HPEXPIRE,
    lifetime::HEXPIREAT,
    lifetime::HPEXPIREAT,
    lifetime::HTTL,
    lifetime::HPTTL,
    lifetime::HEXPIRETIME,
    lifetime::HPEXPIRETIME,
    lifetime::HPERSIST,
    combined::HGETDEL,
    combined::HGETEX,
    combined::HSETEX,
];

/// A row to fill: one key, the category and group of hashes.
const ROW: Spec = Spec {
    categories: category::HASH,
    group: "hash",
    since: "2.0.0",
    complexity: "O(1)",
    ..Spec::NONE
};

const LOOKS: &[KeySpec] = &[KeySpec::range(access::RO, 1, 0, 1)];
const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];

/// Flags of the commands that may need memory for a value.
const WRITES: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

/// Replies with an element.
pub(crate) fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(number) => reply.bulk_integer(number),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Reports a change of a key that Redis counts as several.
fn changed_times(shard: &mut Shard, db: usize, key: &[u8], times: usize, event: Event) {
    if times > 0 {
        shard.stats.changes += times as u64 - 1;
        shard.changed_by(db, key, event);
    }
}
