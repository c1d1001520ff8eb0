//! The front end of one shard: its clients, and the path of a request from received bytes to reply bytes.

mod client;
mod clients;

use std::sync::Arc;

use tessera_shards::coordinator::Engine;

pub use client::{Client, ReplyMode};
pub use clients::Clients;

use crate::config::Config;
use crate::shared::{Counters, Shared};

/// Everything of one shard's thread except the reactor.
pub struct Front {
    /// Number of the shard.
    pub id: usize,
    /// What all shards of the node share.
    pub shared: Arc<Shared>,
    /// Routing, ordering and execution; holds the shard's data.
    pub engine: Engine<Front>,
    /// The connections accepted by this shard.
    pub clients: Clients,
    /// The configuration as this shard last received it.
    pub config: Arc<Config>,
    /// What this front counts; published once a turn.
    pub counters: Counters,
    /// Monotonic clock of this turn, nanoseconds.
    pub now_ns: u64,
    /// Wall clock of this turn, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// Connections to end in this turn (CLIENT KILL), with their replies so far.
    pub doomed: Vec<tessera_io::ConnId>,
    /// Time for which the thread must stand still (DEBUG SLEEP), microseconds.
    pub sleep_us: u64,
}
