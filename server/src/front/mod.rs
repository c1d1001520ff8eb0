//! The front end of one shard: its clients, and the path of a request from received bytes to reply bytes.
//!
//! The driver calls the phases of a turn in order (docs/design/transactions.md): `begin`, `drain`, `received` and its kin, `flush`,
//! `background`, `settle`. Nothing here knows the reactor; what only it can do is left in lists that the driver empties.

mod accept;
mod account;
pub(crate) mod ahead;
mod attention;
mod blocked;
mod client;
mod clients;
mod cork;
mod defrag;
mod deliver;
mod dispatch;
mod events;
mod exec;
mod gate;
mod heat;
mod latency;
mod ledger;
mod log;
mod long;
mod output_limit;
mod pubsub;
mod refuse;
mod replay;
mod rounds;
mod save;
mod scripts;
mod serve;
mod share;
mod slow;
mod tally;
mod tracking;
mod transaction;
mod turn;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use tessera_core::resp::Parser;
use tessera_io::ConnId;
use tessera_shards::coordinator::Engine;
use tessera_shards::mesh::Batch;
use tessera_shards::shard::{Settings, Shard};

pub(crate) use attention::{Attention, Pause};
pub(crate) use blocked::End;
pub(crate) use log::sync_policy;
pub(crate) use replay::Replay;
pub(crate) use rounds::{Look, Places};
pub(crate) use tracking::{Mode, Trackers};

pub use accept::{MAXCLIENTS_ERROR, PROTECTED_ERROR, Verdict};
pub use client::{Client, ReplyMode};
pub use clients::Clients;
pub use latency::{Histogram, Latencies};
pub use pubsub::{Kind, Listens, Subscriptions};
pub use tally::{CommandTally, Tally};
pub use transaction::{LongPrograms, Transaction};

use crate::config::Config;
use crate::front::cork::Cork;
use crate::front::defrag::Defrag;
use crate::front::gate::Gate;
pub(crate) use crate::front::heat::{HeatMarks, Spending};
use crate::front::ledger::Ledger;
use crate::front::rounds::Round;
use crate::front::scripts::Questions;
use crate::info::Sampler;
use crate::loading::Unloading;
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
    /// When those who wait for a key give up, monotonic ns, by claim.
    pub(crate) deadlines: BTreeMap<(u64, u64), ConnId>,
    /// Who listens to what.
    pub subscriptions: Subscriptions,
    /// What commands are looked at more closely for.
    pub(crate) attention: Attention,
    /// Who tracks keys.
    pub(crate) trackers: Trackers,
    /// Subscriptions made so far.
    subscriptions_made: u64,
    /// What this front counts.
    pub counters: Counters,
    /// What it counts per command and per error.
    pub tally: Tally,
    /// What it had counted when the session of HOTKEYS began, and when it ended.
    pub(crate) heat_marks: Option<HeatMarks>,
    /// Set by a call that all shards are asked: what it goes on with in slices.
    pub(crate) look: Option<Look>,
    /// What does.
    rounds: Vec<Round>,
    /// How long commands took.
    pub latencies: Latencies,
    /// Monotonic clock of this turn, nanoseconds.
    pub now_ns: u64,
    /// Wall clock of this turn, microseconds since the Unix epoch.
    pub unix_us: u64,
    /// Connections to end in this turn (CLIENT KILL), with their replies so far.
    pub doomed: Vec<ConnId>,
    /// Time for which the thread must stand still (DEBUG SLEEP), microseconds.
    pub sleep_us: u64,
    /// The node listens elsewhere: see `Shared::addresses`.
    pub(crate) relistens: bool,
    /// From which INFO takes rates per second.
    pub sampler: Sampler,
    /// Number of this turn, from 1.
    pub(crate) turn: u64,
    /// When the next tick of periodic work is due, on the clock of `now_ns`.
    pub(crate) next_tick_ns: u64,
    /// Moving entries together.
    pub(crate) defrag: Defrag,
    /// When access times were last looked at, ms since the Unix epoch.
    pub(crate) aged_ms: u64,
    /// When they have to be looked at again.
    pub(crate) next_aging_ns: u64,
    /// Whether it is time to ask what the clients take (`maxmemory-clients`).
    pub(crate) looks_at_crowd: bool,
    /// The keys of a snapshot on their way to this shard.
    pub cargo: Option<Unloading>,
    /// Whether more of them can be taken at once.
    cargo_goes_on: bool,
    /// The log that is read.
    pub(crate) replay: Option<Replay>,
    /// Whether this shard has done what comes before clients are served.
    pub(crate) has_prepared: bool,
    /// Replies that wait for the disk.
    pub(crate) gate: Gate,
    /// When a rewrite of the log was tried last, seconds.
    rewrite_tried_s: u64,
    /// Whether this shard's part of a save can go on at once.
    save_goes_on: bool,
    /// When the rules for saves are looked at again, on the clock of `now_ns`.
    next_save_look_ns: u64,
    /// Whether this shard has gone quiet for the end of the node.
    is_quiet: bool,
    /// Whether some commands are refused: while keys are loaded, or because they cannot be saved.
    pub(crate) is_restricted: bool,
    /// Whether commands that write wait: the disk is behind.
    is_behind: bool,
    /// How long the last turn took.
    worked_ns: u64,
    /// Clients with replies to send.
    pub(crate) dirty: Vec<ConnId>,
    /// Those among them whose replies wait for later ones.
    pub(crate) cork: Cork,
    /// Clients to look at again in the next turn: stalled ones, and those that were sent much.
    pub(crate) held: Vec<ConnId>,
    /// Clients who have had their share of this turn: they go on in the next one.
    next_turn: Vec<ConnId>,
    /// How many these were before this turn.
    sharers: usize,
    /// Clients above the soft limit of their output.
    pub(crate) above_soft: Vec<ConnId>,
    /// Shards to wake.
    pub(crate) wakes: Vec<usize>,
    /// Empty buffers for replies, from the reactor.
    pub(crate) buffers: Vec<Vec<u8>>,
    /// Empty buffers of batches.
    batch_buffers: Vec<Vec<u8>>,
    /// Databases and hashes of the keys that the next messages of a batch will touch.
    soon: Vec<(usize, u64)>,
    /// Whether some of the keys announced last held collections.
    meets_collections: bool,
    /// Batches taken from the inbox; empty between phases.
    mail: Vec<Batch<Front>>,
    /// Parses chunks that hold whole frames; at the start of a frame between chunks.
    parser: Parser,
    /// How memory stands against its limit.
    pub(crate) ledger: Ledger,
    /// What scripts have asked.
    questions: Questions,
    /// Replies that cannot go straight to the client.
    scratch: Vec<u8>,
    /// Which transactions are planned ahead. The simulator has it otherwise, so that short ones are.
    pub long_programs: LongPrograms,
}

impl Front {
    /// The front end of shard `id`, with an empty shard and no clients.
    #[must_use]
    pub fn new(id: usize, shared: Arc<Shared>, hash_seed: u64, rng_seed: u64) -> Self {
        let config = shared.latest_config();
        let mut shard = Shard::new(id, config.databases, hash_seed, rng_seed);
        shard.settings = config.shard_settings(Settings::default(), shared.mesh.shards());
        shard.scripts.node = Arc::clone(&shared.scripts);
        shard.scripts.commands = Arc::clone(&shared.commands);
        shard.set_saver(Arc::clone(&shared.saver));
        shard.set_log(Arc::clone(&shared.log));
        let engine = Engine::new(
            shard,
            shared.mesh.shards(),
            tessera_shards::commands::FAMILIES,
        );
        let tally = Tally::new(shared.registry.numbers());
        let mut front = Front {
            id,
            shared,
            engine,
            clients: Clients::default(),
            deadlines: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            attention: Attention::default(),
            trackers: Trackers::default(),
            subscriptions_made: 0,
            config,
            counters: Counters::default(),
            tally,
            heat_marks: None,
            look: None,
            rounds: Vec::new(),
            latencies: Latencies::default(),
            now_ns: 0,
            unix_us: 0,
            doomed: Vec::new(),
            sleep_us: 0,
            relistens: false,
            sampler: Sampler::default(),
            turn: 0,
            next_tick_ns: 0,
            defrag: Defrag::default(),
            aged_ms: 0,
            next_aging_ns: u64::MAX,
            looks_at_crowd: false,
            cargo: None,
            cargo_goes_on: false,
            replay: None,
            has_prepared: false,
            gate: Gate::default(),
            rewrite_tried_s: 0,
            save_goes_on: false,
            next_save_look_ns: 0,
            is_quiet: false,
            is_restricted: false,
            is_behind: false,
            worked_ns: 0,
            dirty: Vec::new(),
            cork: Cork::default(),
            held: Vec::new(),
            next_turn: Vec::new(),
            sharers: 0,
            above_soft: Vec::new(),
            wakes: Vec::new(),
            buffers: Vec::new(),
            batch_buffers: Vec::new(),
            soon: Vec::new(),
            meets_collections: false,
            mail: Vec::new(),
            parser: Parser::new(),
            ledger: Ledger::default(),
            questions: Questions::default(),
            scratch: Vec::new(),
            long_programs: LongPrograms::default(),
        };
        front.set_memory_limit();
        front.adopt_slowness();
        front.adopt_heat();
        front
    }
}
