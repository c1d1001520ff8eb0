//! Up to where collections stay packed: the directives `*-max-listpack-*` and their kin.

use tessera_core::list::ListLimits;
use tessera_core::object::PackLimits;
use tessera_core::set::SetLimits;
use tessera_persist::rdb::Limits;

use super::Shard;

/// The directives, named after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `hash-max-listpack-entries`.
    pub hash_entries_max: usize,
    /// `hash-max-listpack-value`, bytes.
    pub hash_value_bytes_max: usize,
    /// `list-max-listpack-size`: elements, or if negative one of five sizes.
    pub list_size: i32,
    /// `set-max-intset-entries`.
    pub set_integers_max: usize,
    /// `set-max-listpack-entries`.
    pub set_entries_max: usize,
    /// `set-max-listpack-value`, bytes.
    pub set_value_bytes_max: usize,
    /// `zset-max-listpack-entries`.
    pub zset_entries_max: usize,
    /// `zset-max-listpack-value`, bytes.
    pub zset_value_bytes_max: usize,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_bytes_max: usize,
    /// `stream-node-max-bytes`; 0 for no limit.
    pub stream_node_bytes_max: usize,
    /// `stream-node-max-entries`; 0 for no limit.
    pub stream_node_entries_max: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            hash_entries_max: 512,
            hash_value_bytes_max: 64,
            list_size: -2,
            set_integers_max: 512,
            set_entries_max: 128,
            set_value_bytes_max: 64,
            zset_entries_max: 128,
            zset_value_bytes_max: 64,
            hll_sparse_bytes_max: 3000,
            stream_node_bytes_max: 4096,
            stream_node_entries_max: 100,
        }
    }
}

impl Shard {
    /// Up to where a hash stays packed.
    #[must_use]
    pub fn hash_limits(&self) -> PackLimits {
        let thresholds = &self.settings.thresholds;
        PackLimits {
            entries_max: thresholds.hash_entries_max,
            value_bytes_max: thresholds.hash_value_bytes_max,
            seed: self.collection_seed(),
        }
    }

    /// Up to where a list stays packed, and how large its blocks are.
    #[must_use]
    pub fn list_limits(&self) -> ListLimits {
        ListLimits::of(self.settings.thresholds.list_size)
    }

    /// Up to where a set stays packed.
    #[must_use]
    pub fn set_limits(&self) -> SetLimits {
        let thresholds = &self.settings.thresholds;
        SetLimits {
            integers_max: thresholds.set_integers_max,
            entries_max: thresholds.set_entries_max,
            value_bytes_max: thresholds.set_value_bytes_max,
            seed: self.collection_seed(),
        }
    }

    /// Up to where a sorted set stays packed.
    #[must_use]
    pub fn zset_limits(&self) -> PackLimits {
        let thresholds = &self.settings.thresholds;
        PackLimits {
            entries_max: thresholds.zset_entries_max,
            value_bytes_max: thresholds.zset_value_bytes_max,
            seed: self.collection_seed(),
        }
    }

    /// All of them, for what is read from elsewhere.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            hash: self.hash_limits(),
            list: self.list_limits(),
            set: self.set_limits(),
            zset: self.zset_limits(),
        }
    }
}
