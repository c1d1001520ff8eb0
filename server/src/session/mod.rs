//! Commands that concern a connection or the node instead of keys: they run on the shard of their connection.
//!
//! One file per family; each has its table of rows. A command writes its reply, or asks for something that only the driver
//! can do by setting `then`.

mod acl;
mod client;
mod command;
mod config;
mod connection;
mod container;
mod context;
mod dataset;
mod debug;
mod function;
mod hotkeys;
mod info;
mod largest;
mod latency;
mod lolwut;
mod memory;
mod observe;
mod pubsub;
mod replication;
#[cfg(test)]
pub(crate) mod rig;
mod script;
mod server;
mod slowlog;
mod transaction;

use tessera_shards::command::Spec;

pub(crate) use client::address;
pub use context::{Call, MergeCalls, Session, SessionFn, Then};

/// Tables of all session families.
pub const FAMILIES: &[&[(Spec, SessionFn)]] = &[
    connection::ROWS,
    client::ROWS,
    command::ROWS,
    config::ROWS,
    info::ROWS,
    server::ROWS,
    replication::ROWS,
    debug::ROWS,
    acl::ROWS,
    transaction::ROWS,
    pubsub::ROWS,
    script::ROWS,
    function::ROWS,
    observe::ROWS,
    slowlog::ROWS,
    latency::ROWS,
    hotkeys::ROWS,
];

/// The function of a request to MEMORY, the command over keys that is marked `OF_NODE`, if the request concerns the node.
pub(crate) fn of_node(args: &[&[u8]]) -> Option<SessionFn> {
    memory::of_node(args)
}

/// The version of Redis whose commands, replies and fields clients may count on: they ask for it before they use them.
pub const REDIS_VERSION: &str = "7.2.4";

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
