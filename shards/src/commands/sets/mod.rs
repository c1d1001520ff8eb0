//! Sets: the rows of the family and what its files share.

mod algebra;
mod members;
mod operation;
mod pop;
mod random;
mod scan;

use tessera_core::listpack::Item;
use tessera_core::resp::Reply;

use crate::command::spec::{KeySpec, access, category, flag};
use crate::command::{KeyspaceRow, Spec};

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    members::SADD,
    members::SREM,
    members::SISMEMBER,
    members::SMISMEMBER,
    members::SCARD,
    members::SMOVE,
    pop::SPOP,
    random::SRANDMEMBER,
    scan::SSCAN,
    algebra::SMEMBERS,
    algebra::SINTER,
    algebra::SUNION,
    algebra::SDIFF,
    algebra::SINTERSTORE,
    algebra::SUNIONSTORE,
    algebra::SDIFFSTORE,
    algebra::SINTERCARD,
];

/// A row to fill: one key, the category and group of sets.
const ROW: Spec = Spec {
    categories: category::SET,
    group: "set",
    complexity: "O(1), not counting the size of a packed set",
    ..Spec::NONE
};

const LOOKS: &[KeySpec] = &[KeySpec::range(access::RO, 1, 0, 1)];
const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];

/// Flags of the commands that may need memory for a member.
const WRITES: u32 = flag::WRITE | flag::DENYOOM;

/// Members that one slice of a long command looks at: a few hundred microseconds.
const MEMBERS_PER_SLICE: usize = 1024;

/// Replies with a member.
fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(number) => reply.bulk_integer(number),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}
