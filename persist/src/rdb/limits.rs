//! Up to where the collections that are read stay packed.

use tessera_core::list::ListLimits;
use tessera_core::object::PackLimits;
use tessera_core::set::SetLimits;

/// The directives' values, per type.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hashes.
    pub hash: PackLimits,
    /// Lists.
    pub list: ListLimits,
    /// Sets.
    pub set: SetLimits,
    /// Sorted sets.
    pub zset: PackLimits,
}
