//! Streams: the rows of the family and what its files share.

mod add;
mod claim;
mod edit;
mod full;
mod group;
mod ids;
mod info;
mod pending;
mod range;
mod read;
mod reading;
#[cfg(test)]
mod tests;
mod trim;

use tessera_core::listpack::Item;
use tessera_core::resp::Reply;
use tessera_core::stream::{Entry, NodeLimits, Stream, StreamId};

use crate::command::spec::{KeySpec, access, category};
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::shard::WrongType;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    add::XADD,
    trim::XTRIM,
    edit::XLEN,
    edit::XDEL,
    edit::XSETID,
    range::XRANGE,
    range::XREVRANGE,
    read::XREAD,
    read::XREADGROUP,
    group::XGROUP,
    pending::XACK,
    pending::XPENDING,
    claim::XCLAIM,
    claim::XAUTOCLAIM,
    info::XINFO,
];

/// A row to fill.
const ROW: Spec = Spec {
    categories: category::STREAM,
    group: "stream",
    since: "5.0.0",
    complexity: "O(1)",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];
const UPDATES: &[KeySpec] = &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)];
const DELETES: &[KeySpec] = &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)];

/// Entries that a command reads or changes at once; what is more goes in slices.
const ENTRIES_AT_ONCE: usize = 1_000;

/// How large blocks get.
fn limits(cx: &Cx<'_>) -> NodeLimits {
    let thresholds = &cx.shard.settings.thresholds;
    NodeLimits {
        bytes_max: thresholds.stream_node_bytes_max,
        entries_max: thresholds.stream_node_entries_max,
    }
}

fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.shown().as_ref());
}

fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(number) => reply.bulk_integer(number),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Replies with an entry: its id, and an array of fields and values.
fn reply_entry(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.len());
    for (field, value) in entry.fields() {
        reply_item(reply, field);
        reply_item(reply, value);
    }
}

/// Changes the stream under a key and a group of it; writes the error if either is missing.
fn change_group<R>(
    cx: &mut Cx<'_>,
    key: &[u8],
    group: &[u8],
    change: impl FnOnce(&mut Stream) -> Option<R>,
) -> Option<R> {
    match cx.shard.change_object(cx.db, key, change) {
        Ok(Some(Some(result))) => return Some(result),
        Ok(_) => no_group(cx, key, group),
        Err(WrongType) => cx.wrong_type(),
    }
    None
}

/// The error for a key or a group that is not there.
#[cold]
fn no_group(cx: &mut Cx<'_>, key: &[u8], group: &[u8]) {
    let text = [
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"'",
    ];
    cx.error(text.concat());
}
