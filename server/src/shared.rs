//! What all shards of a node share: tables fixed at start, the configuration's latest version, the inboxes.
//!
//! Of this, only the registry and the inboxes are on the path of a command.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tessera_persist::log::Log;
use tessera_persist::snapshot::{Saver, Testimony};
use tessera_shards::command::Registry;
use tessera_shards::mesh::Mesh;
use tessera_shards::script::Commands;
use tessera_shards::shard::Stats;
use tessera_shards::shard::heat::Warmth;
use tessera_shards::shard::largest::BigKey;

use crate::budget::Budget;
use crate::config::{Config, Rename};
use crate::crowd::Crowd;
use crate::ending::Ending;
use crate::fragmentation::Fragmentation;
use crate::front::{Front, Latencies, Tally};
use crate::hot_keys::HotKeys;
use crate::huge_pages::HugePages;
use crate::info::{Memory, Rates, allocated};
use crate::listen::Addresses;
use crate::loading::Loading;
use crate::logging::Verbosity;
use crate::session::SessionFn;
use crate::slow_log::SlowLog;
use crate::spikes::{Sample, Spikes};

/// What a front counts besides its shard's `Stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands carried out for this shard's connections.
    pub commands: u64,
    /// Commands answered with an error.
    pub errors: u64,
    /// Connections accepted.
    pub connections_received: u64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: u64,
    /// Clients ended because of `maxmemory-clients`.
    pub evicted_clients: u64,
    /// Bytes received.
    pub net_in_bytes: u64,
    /// Bytes sent.
    pub net_out_bytes: u64,
    /// Commands sent to other shards.
    pub hops: u64,
    /// Batches appended to other shards' inboxes.
    pub batches: u64,
    /// Wake-ups of other shards.
    pub wakes: u64,
    /// Entries that were moved together, and those that were looked at and left.
    pub defrag_hits: u64,
    /// See `defrag_hits`.
    pub defrag_misses: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Longest turn without the wait, microseconds.
    pub turn_us_max: u64,
}

/// Keys and TTLs of one database on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DbFigures {
    /// Keys.
    pub keys: u64,
    /// Keys with a TTL.
    pub ttls: u64,
}

/// The clients of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientFigures {
    /// How many are connected.
    pub count: u64,
    /// Bytes of their state and buffers.
    pub mem_bytes: u64,
    /// Largest input that waits for the rest of its frame.
    pub input_bytes_max: u64,
    /// Largest output that waits to be sent.
    pub output_bytes_max: u64,
    /// How many wait for a key.
    pub blocked: u64,
    /// How many track keys.
    pub tracking: u64,
}

/// One shard's figures, as it gives them when INFO asks all shards.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The shard's counters.
    pub stats: Stats,
    /// The front's counters.
    pub counters: Counters,
    /// Connected clients.
    pub clients: ClientFigures,
    /// Keys that somebody has read who tracks.
    pub tracked_keys: u64,
    /// Clients over all of these.
    pub tracked_items: u64,
    /// Prefixes that clients of the node follow.
    pub followed_prefixes: u64,
    /// Bytes of entries and tables.
    pub mem_bytes: u64,
    /// Per database.
    pub dbs: Vec<DbFigures>,
    /// Per command and per error.
    pub tally: Tally,
    /// How long commands took, if that was asked for.
    pub latencies: Latencies,
    /// What changes how fast.
    pub rates: Rates,
    /// Which keys are hot, if that was asked for.
    pub warmth: Warmth,
    /// Which keys are large, if that was asked for, and how often all tables have been looked through.
    pub census: (Vec<BigKey>, u64),
}

/// Shared by all shards of a node.
pub struct Shared {
    /// Every command by name.
    pub registry: Registry<SessionFn>,
    /// What scripts can call.
    pub commands: Arc<Commands>,
    /// Scripts and libraries, and which of them run.
    pub scripts: Arc<tessera_shards::script::Node>,
    /// The latest configuration; each front holds the version that it was sent.
    pub config: Mutex<Arc<Config>>,
    /// Where the configuration came from, for CONFIG REWRITE.
    pub config_file: Option<std::path::PathBuf>,
    /// The inboxes.
    pub mesh: Mesh<Front>,
    /// Where the node listens.
    pub(crate) addresses: Mutex<Addresses>,
    /// Whether a shard has listeners, by shard.
    pub(crate) listening: Vec<AtomicBool>,
    /// Set by SHUTDOWN and signals: every driver leaves its loop.
    pub shutdown: AtomicBool,
    /// Set by SHUTDOWN and signals where the data are to be saved first.
    pub ending: Ending,
    /// Snapshots: the one under way, and how the last one went.
    pub saver: Arc<Saver>,
    /// Held by who changes libraries until the change is recorded.
    pub(crate) library_order: Mutex<()>,
    /// Commands that took long.
    pub slow_log: SlowLog,
    /// How long stalls were.
    pub spikes: Spikes,
    /// The session of HOTKEYS.
    pub hot_keys: HotKeys,
    /// The append-only log.
    pub log: Arc<Log>,
    /// Whether all shards have heard of a configuration that was set at run time.
    pub log_adopted: AtomicBool,
    /// The snapshot that is being loaded.
    pub loading: Loading,
    /// Next CLIENT ID.
    pub next_client_id: AtomicU64,
    /// Name of the next claim of a waiting command.
    pub next_claim: AtomicU64,
    /// Connections of all shards, for `maxclients`.
    pub connected: AtomicUsize,
    /// 40 hex digits, new at each start.
    pub run_id: String,
    /// Wall clock at start, microseconds since the Unix epoch.
    pub started_us: u64,
    /// The reactor in use, for INFO: `io_uring` or `epoll`.
    pub backend: &'static str,
    /// Which lines the log takes.
    pub verbosity: Arc<Verbosity>,
    /// Memory in use before the first connection, bytes.
    pub start_bytes: u64,
    /// Most memory in use so far, bytes.
    pub peak_bytes: AtomicU64,
    /// What of the memory is used, against `maxmemory`.
    pub budget: Budget,
    /// Whether entries have to be moved together.
    pub fragmentation: Fragmentation,
    /// What clients take.
    pub crowd: Crowd,
    /// When memory comes in huge pages.
    pub huge_pages: HugePages,
}

impl Shared {
    /// A node of so many shards, without a name and a past.
    #[must_use]
    pub fn new(config: Config, shards: usize) -> Self {
        let registry = Registry::new(tessera_shards::commands::FAMILIES, crate::session::FAMILIES);
        let saver = Arc::new(Saver::new(shards, crate::start::wall_clock_s));
        saver.set_target(config.snapshot_target());
        let log = Arc::new(Log::new(shards));
        log.set_policy(crate::front::sync_policy(&config));
        let folder = crate::log::folder_of(&config);
        let unfinished = folder.unfinished_base();
        saver.set_log(Arc::clone(&log), folder.path, unfinished);
        let scripts = Arc::<tessera_shards::script::Node>::default();
        let node = Arc::clone(&scripts);
        saver.ask(Box::new(move || {
            let libraries = node.libraries();
            let sources = libraries.iter().map(|library| library.source.to_vec());
            Testimony {
                functions: sources.collect(),
                used_bytes: Memory::now().allocated,
            }
        }));
        Shared {
            commands: Arc::new(Commands::of(&registry)),
            scripts,
            log,
            log_adopted: AtomicBool::new(false),
            ending: Ending::default(),
            saver,
            library_order: Mutex::new(()),
            slow_log: SlowLog::default(),
            spikes: Spikes::default(),
            hot_keys: HotKeys::default(),
            loading: Loading::default(),
            registry,
            config: Mutex::new(Arc::new(config)),
            config_file: None,
            mesh: Mesh::new(shards),
            addresses: Mutex::new(Addresses::new(Vec::new(), shards)),
            listening: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            shutdown: AtomicBool::new(false),
            next_client_id: AtomicU64::new(1),
            next_claim: AtomicU64::new(1),
            connected: AtomicUsize::new(0),
            run_id: "0".repeat(40),
            started_us: 0,
            backend: "",
            verbosity: Arc::default(),
            start_bytes: 0,
            peak_bytes: AtomicU64::new(0),
            budget: Budget::new(shards, allocated),
            fragmentation: Fragmentation::default(),
            crowd: Crowd::new(shards),
            huge_pages: HugePages::never(),
        }
    }

    /// As `new`, with the command names that the configuration changes.
    ///
    /// # Errors
    /// A `rename-command` that names no command, or takes a name that is taken.
    pub fn with_renames(config: Config, shards: usize) -> Result<Self, String> {
        let renames = config.renames.clone();
        let mut shared = Self::new(config, shards);
        for Rename { from, to, place } in renames {
            let failed = |cause| {
                format!(
                    "{place}: 'rename-command {}': {cause}",
                    String::from_utf8_lossy(&from)
                )
            };
            let to = String::from_utf8(to).map_err(|_| failed("the new name is no text"))?;
            shared.registry.rename(&from, &to).map_err(failed)?;
        }
        shared.commands = Arc::new(Commands::of(&shared.registry));
        Ok(shared)
    }

    /// Whether a shard has listeners. Who subscribed before it said something is seen.
    #[must_use]
    pub fn is_listening(&self, shard: usize) -> bool {
        self.listening[shard].load(Ordering::Acquire)
    }

    /// A shard has listeners from now on, or none.
    pub(crate) fn set_listening(&self, shard: usize, listens: bool) {
        self.listening[shard].store(listens, Ordering::Release);
    }

    /// One change of the libraries at a time, up to its record: so the log has them in the order in which they took effect.
    pub(crate) fn order_libraries(&self) -> MutexGuard<'_, ()> {
        self.library_order
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the disk took, for LATENCY, if that is long.
    pub(crate) fn note_disk(&self, event: &'static str, ms: u64) {
        let from_ms = self.latest_config().spike_from_ms;
        if from_ms > 0 && ms >= from_ms {
            let unix_s = crate::start::wall_clock_s();
            self.spikes.add(event, Sample { unix_s, ms });
        }
    }

    /// The latest configuration.
    #[must_use]
    pub fn latest_config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the node: every driver leaves its loop when it next wakes. Whoever calls this from outside a shard's thread wakes the shards.
    pub fn begin_shutdown(&self) {
        self.shutdown.store(true, Ordering::Release);
    }

    /// Whether the node is to end.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.load(Ordering::Acquire)
    }
}
