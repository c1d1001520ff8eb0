//! The configuration values that matter to a shard, as it last received them.

use super::{Eviction, Thresholds};

/// What the access bits of an entry remember.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracks {
    /// The time of the last access: OBJECT IDLETIME answers.
    Times,
    /// How often, about: OBJECT FREQ answers. For the LFU policies.
    Counts,
    /// Places in the queues of S3-FIFO.
    Queues,
}

/// What CONFIG SET sends to every shard. Small and copied whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `proto-max-bulk-len`, bytes: also the longest string a command may build.
    pub bulk_bytes_max: u64,
    /// What is remembered of accesses, by `maxmemory-policy`.
    pub tracks: Tracks,
    /// Which keys go when memory is short: none without this.
    pub eviction: Option<Eviction>,
    /// `maxmemory-samples`: keys looked at for each that goes.
    pub eviction_samples: usize,
    /// `lfu-log-factor`.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time`, minutes.
    pub lfu_decay_minutes: u32,
    /// Up to where collections stay packed.
    pub thresholds: Thresholds,
    /// `tracking-table-max-keys`, this shard's share; 0 for no limit.
    pub tracked_keys_max: usize,
    /// Classes of `notify-keyspace-events` that are told, as bits of `event`; 0 if none is or nobody could hear it.
    pub notify: u32,
    /// `active-expire-effort`, 1 to 10.
    pub expire_effort: u32,
    /// Whether the active expiry cycle runs (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Whether RESTORE believes any checksum (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skips_checksums: bool,
    /// `appendonly`: commands that write on several shards keep their keys until their record has been handed over.
    pub logs: bool,
    /// `busy-reply-threshold`: how long a script runs before others are told, ms.
    pub busy_reply_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bulk_bytes_max: 512 * 1024 * 1024,
            tracks: Tracks::Times,
            eviction: None,
            eviction_samples: 5,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            thresholds: Thresholds::default(),
            tracked_keys_max: 0,
            notify: 0,
            expire_effort: 1,
            active_expire: true,
            skips_checksums: false,
            logs: false,
            busy_reply_ms: 5000,
        }
    }
}
