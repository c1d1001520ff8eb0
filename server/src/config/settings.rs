//! `Config`: the values that the code reads, each a typed field that a row of the table fills.
//!
//! Immutable once it is shared: CONFIG SET changes a copy, and the copy replaces it in one step.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tessera_core::number::parse_u64;
use tessera_persist::snapshot::{Format, Target};
use tessera_shards::shard::{Settings, Thresholds};

use crate::config::{
    Allowed, CLIENT_CLASSES, Events, IoBackend, LogLevel, LogSync, OutputLimit, Place, Policy,
    ROWS, SnapshotFormat, Supervised, Value,
};

/// `rename-command`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rename {
    /// Name of a command.
    pub from: Vec<u8>,
    /// Its new name; empty: there is no such command any more.
    pub to: Vec<u8>,
    /// Where the line stands.
    pub place: Place,
}

/// The configuration of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// `port`: TCP port, 0 for none.
    pub port: u16,
    /// `bind`: addresses to listen on.
    pub bind: Vec<Vec<u8>>,
    /// `protected-mode`: without a password, only clients of this machine.
    pub protected_mode: bool,
    /// `tcp-backlog`.
    pub tcp_backlog: u32,
    /// `unixsocket`: path, empty for none.
    pub unixsocket: PathBuf,
    /// `unixsocketperm`: permission bits, 0 for those of the umask.
    pub unixsocket_mode: u32,
    /// `timeout`: idle clients are closed after this; 0 for never.
    pub idle_timeout_s: u32,
    /// `tcp-keepalive`: 0 for none.
    pub keepalive_s: u32,
    /// `supervised`.
    pub supervised: Supervised,
    /// `io-threads`: accepted because configurations have it, and without effect.
    pub io_threads: u32,
    /// `pidfile`: empty for none.
    pub pidfile: PathBuf,
    /// `loglevel`.
    pub log_level: LogLevel,
    /// `logfile`: empty for standard output.
    pub logfile: PathBuf,
    /// `always-show-logo`.
    pub always_show_logo: bool,
    /// `disable-thp`: never ask for huge pages.
    pub disable_thp: bool,
    /// `databases`.
    pub databases: usize,
    /// `dir`.
    pub dir: PathBuf,
    /// `dbfilename`: the snapshot's name there.
    pub snapshot_name: PathBuf,
    /// `save`: pairs of seconds and changes.
    pub save_rules: Vec<Vec<u8>>,
    /// `snapshot-format`.
    pub snapshot_format: SnapshotFormat,
    /// `rdbcompression`.
    pub snapshot_compresses: bool,
    /// `rdbchecksum`.
    pub snapshot_sums: bool,
    /// `rdb-key-save-delay`: microseconds per key, or, negative, keys per microsecond.
    pub key_save_delay: i64,
    /// `key-load-delay`, the same.
    pub key_load_delay: i64,
    /// `stop-writes-on-bgsave-error`.
    pub stops_writes_on_error: bool,
    /// `appendonly`.
    pub log_on: bool,
    /// `appendfilename`.
    pub log_name: PathBuf,
    /// `appenddirname`.
    pub log_dir: PathBuf,
    /// `appendfsync`.
    pub log_sync: LogSync,
    /// `auto-aof-rewrite-percentage`; 0 for never.
    pub log_growth_percent: u32,
    /// `auto-aof-rewrite-min-size`.
    pub log_rewrite_bytes_min: u64,
    /// `aof-load-truncated`.
    pub log_may_be_cut: bool,
    /// `requirepass`.
    pub password: Option<Vec<u8>>,
    /// `maxclients`.
    pub clients_max: usize,
    /// `maxmemory`: bytes, 0 for no limit.
    pub memory_bytes_max: u64,
    /// `maxmemory-clients`: bytes, or a part of `maxmemory` in percent as a negative number; 0 for no limit.
    pub client_memory_max: i64,
    /// `activedefrag`: whether entries are moved out of sparsely used memory.
    pub defrag: bool,
    /// `active-defrag-ignore-bytes`: this much may be wasted.
    pub defrag_ignore_bytes: u64,
    /// `active-defrag-threshold-lower`: and this many percent of what is used.
    pub defrag_percent: u64,
    /// `maxmemory-policy`.
    pub policy: Policy,
    /// `maxmemory-samples`: keys looked at for each that is evicted.
    pub eviction_samples: usize,
    /// `lfu-log-factor`.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time`.
    pub lfu_decay_minutes: u32,
    /// `busy-reply-threshold`, ms.
    pub busy_reply_ms: u64,
    /// `active-expire-effort`.
    pub expire_effort: u32,
    /// Up to where collections stay packed.
    pub thresholds: Thresholds,
    /// `hz`: ticks per second of what happens now and then.
    pub hz: u32,
    /// `proto-max-bulk-len`.
    pub bulk_bytes_max: u64,
    /// `client-query-buffer-limit`.
    pub query_buffer_bytes_max: u64,
    /// `client-output-buffer-limit`, in the order of `CLIENT_CLASSES`.
    pub output_limits: [OutputLimit; CLIENT_CLASSES.len()],
    /// `enable-debug-command`.
    pub debug_allowed: Allowed,
    /// `enable-protected-configs`.
    pub protected_allowed: Allowed,
    /// `shards`: 0 for one per core.
    pub shards: usize,
    /// `io-backend`.
    pub io_backend: IoBackend,
    /// `receive-buffers`: per shard.
    pub receive_buffers: u16,
    /// `stall-warning-ms`: a turn longer than this is worth a line in the log; 0 for never.
    pub stall_warning_ms: u64,
    /// `hotkeys-sample-ratio`: one command of so many tells which keys are hot; 0 for none.
    pub hot_ratio: u32,
    /// `slowlog-log-slower-than`, µs; `None`: no command is logged.
    pub slowlog_from_us: Option<u64>,
    /// `slowlog-max-len`.
    pub slowlog_len_max: usize,
    /// `latency-monitor-threshold`, ms; 0: nothing is monitored.
    pub spike_from_ms: u64,
    /// `latency-tracking`.
    pub latency_tracking: bool,
    /// `latency-tracking-info-percentiles`: numbers from 0 to 100.
    pub latency_percentiles: Vec<Vec<u8>>,
    /// `tracking-table-max-keys`: of all shards; 0 for no limit.
    pub tracked_keys_max: usize,
    /// `notify-keyspace-events`.
    pub notify_events: Events,
    /// `rename-command`, in the order of the lines.
    pub renames: Vec<Rename>,
    /// Values of the directives that nothing reads.
    pub kept: BTreeMap<&'static str, Value>,
}

impl Default for Config {
    /// The defaults of all rows.
    fn default() -> Self {
        let mut config = Config::blank();
        for row in ROWS {
            let value = row.parse_one(row.default.as_bytes(), &config);
            row.put(&mut config, value.expect("a test parses every default"));
        }
        config
    }
}

impl Config {
    /// Bytes that all clients may take together, if that is limited.
    #[must_use]
    pub fn client_limit(&self) -> Option<u64> {
        let amount = self.client_memory_max.unsigned_abs();
        match self.client_memory_max {
            0 => None,
            1.. => Some(amount),
            _ if self.memory_bytes_max == 0 => None,
            _ => Some((u128::from(self.memory_bytes_max) * u128::from(amount) / 100) as u64),
        }
    }

    /// Before the defaults of the rows.
    fn blank() -> Self {
        Config {
            port: 0,
            bind: Vec::new(),
            protected_mode: true,
            tcp_backlog: 0,
            unixsocket: PathBuf::new(),
            unixsocket_mode: 0,
            idle_timeout_s: 0,
            keepalive_s: 0,
            supervised: Supervised::No,
            io_threads: 1,
            pidfile: PathBuf::new(),
            log_level: LogLevel::Notice,
            logfile: PathBuf::new(),
            always_show_logo: false,
            disable_thp: false,
            databases: 0,
            dir: PathBuf::new(),
            snapshot_name: PathBuf::new(),
            save_rules: Vec::new(),
            snapshot_format: SnapshotFormat::Rdb,
            snapshot_compresses: true,
            snapshot_sums: true,
            key_save_delay: 0,
            key_load_delay: 0,
            stops_writes_on_error: true,
            log_on: false,
            log_name: PathBuf::new(),
            log_dir: PathBuf::new(),
            log_sync: LogSync::EverySecond,
            log_growth_percent: 0,
            log_rewrite_bytes_min: 0,
            log_may_be_cut: true,
            password: None,
            clients_max: 0,
            memory_bytes_max: 0,
            client_memory_max: 0,
            defrag: false,
            defrag_ignore_bytes: 0,
            defrag_percent: 0,
            policy: Policy::Noeviction,
            eviction_samples: 0,
            lfu_log_factor: 0,
            lfu_decay_minutes: 0,
            busy_reply_ms: 0,
            expire_effort: 1,
            thresholds: Thresholds::default(),
            hz: 0,
            bulk_bytes_max: 0,
            query_buffer_bytes_max: 0,
            output_limits: Default::default(),
            debug_allowed: Allowed::No,
            protected_allowed: Allowed::No,
            shards: 0,
            io_backend: IoBackend::Auto,
            receive_buffers: 0,
            stall_warning_ms: 0,
            hot_ratio: 0,
            slowlog_from_us: None,
            slowlog_len_max: 0,
            spike_from_ms: 0,
            latency_tracking: false,
            latency_percentiles: Vec::new(),
            tracked_keys_max: 0,
            notify_events: Events::default(),
            renames: Vec::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Where snapshots go, and how.
    #[must_use]
    pub fn snapshot_target(&self) -> Target {
        Target {
            dir: self.dir.clone(),
            name: self.snapshot_name.clone(),
            format: match self.snapshot_format {
                SnapshotFormat::Rdb => Format::Rdb,
                SnapshotFormat::Native => Format::Native,
            },
            compresses: self.snapshot_compresses,
            sums: self.snapshot_sums,
            key_delay: self.key_save_delay,
            about: vec![
                ("redis-ver", crate::session::REDIS_VERSION.to_owned()),
                ("redis-bits", "64".to_owned()),
                ("tessera-ver", crate::session::VERSION.to_owned()),
                ("databases", self.databases.to_string()),
                ("maxmemory", self.memory_bytes_max.to_string()),
            ],
            functions: Vec::new(),
        }
    }

    /// The `save` rules: seconds and changes.
    pub fn save_points(&self) -> impl Iterator<Item = (u64, u64)> {
        let number = |text: &Vec<u8>| parse_u64(text).unwrap_or(u64::MAX);
        self.save_rules
            .chunks_exact(2)
            .map(move |pair| (number(&pair[0]), number(&pair[1])))
    }

    /// What a shard has to know of it, given what it knows.
    #[must_use]
    pub fn shard_settings(&self, before: Settings, shards: usize) -> Settings {
        Settings {
            bulk_bytes_max: self.bulk_bytes_max,
            tracks: self.policy.tracks(),
            eviction: self.policy.eviction(),
            eviction_samples: self.eviction_samples,
            lfu_log_factor: self.lfu_log_factor,
            lfu_decay_minutes: self.lfu_decay_minutes,
            tracked_keys_max: self.tracked_keys_max.div_ceil(shards),
            notify: self.notify_events.told(),
            expire_effort: self.expire_effort,
            thresholds: self.thresholds,
            // What DEBUG sets is no directive: it stays.
            active_expire: before.active_expire,
            skips_checksums: before.skips_checksums,
            busy_reply_ms: self.busy_reply_ms,
            logs: self.log_on,
        }
    }
}
