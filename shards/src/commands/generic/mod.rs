//! Commands for keys of any type, and for whole databases: the rows of the family and what its files share.

mod copy;
mod copying;
mod database;
mod digest;
mod dump;
mod existence;
mod expire;
mod keys;
mod largest;
mod memory;
mod object;
mod rename;
mod restore;
mod save;
mod scan;
mod ttl;

use tessera_core::entry::Entry;
use tessera_core::object::Object;

use crate::command::spec::{KeySpec, access, category};
use crate::command::{KeyspaceRow, Spec};

pub use digest::Digest;
pub use largest::{Wanted, find_largest};
pub use object::{encoding, references};
pub use scan::parse_cursor;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    existence::DEL,
    existence::UNLINK,
    existence::EXISTS,
    existence::TOUCH,
    existence::TYPE,
    expire::EXPIRE,
    expire::PEXPIRE,
    expire::EXPIREAT,
    expire::PEXPIREAT,
    ttl::TTL,
    ttl::PTTL,
    ttl::EXPIRETIME,
    ttl::PEXPIRETIME,
    ttl::PERSIST,
    rename::RENAME,
    rename::RENAMENX,
    rename::MOVE,
    copy::COPY,
    dump::DUMP,
    restore::RESTORE,
    keys::KEYS,
    keys::RANDOMKEY,
    scan::SCAN,
    object::OBJECT,
    memory::MEMORY,
    database::DBSIZE,
    database::FLUSHALL,
    database::FLUSHDB,
    database::SWAPDB,
    save::SAVE,
    save::BGSAVE,
    save::BGREWRITEAOF,
];

/// A row to fill.
const ROW: Spec = Spec {
    categories: category::KEYSPACE,
    group: "generic",
    complexity: "O(1)",
    ..Spec::NONE
};

const CHANGES: &[KeySpec] = &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)];

/// Two database numbers, or keys, that are one and the same.
const SAME_OBJECT: &str = "ERR source and destination objects are the same";

/// What TYPE calls a value and SCAN's TYPE compares with.
fn type_name(entry: &Entry) -> &'static str {
    entry.object().map_or("string", Object::type_name)
}
