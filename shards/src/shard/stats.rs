//! What a shard counts. Plain numbers, owned by the shard's thread; the server publishes copies once a turn.

/// Counters since the start or the last CONFIG RESETSTAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups for reading that found their key.
    pub keyspace_hits: u64,
    /// Lookups for reading that did not.
    pub keyspace_misses: u64,
    /// Keys removed because their time had come.
    pub expired_keys: u64,
    /// Fields of hashes removed because their time had come.
    pub expired_fields: u64,
    /// Keys removed to make room.
    pub evicted_keys: u64,
    /// Times the active cycle stopped at its limit with work left.
    pub expired_time_cap_reached: u64,
    /// Changes to the data since the start (RESETSTAT leaves it).
    pub changes: u64,
}
