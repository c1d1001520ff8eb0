//! One shard: the keys it owns and the rules by which they are found, changed and expire.

mod access;
mod expiry;
mod keyspace;
mod settings;
mod stats;

pub use expiry::ExpiryCycle;
pub use keyspace::{Rng, Shard};
pub use settings::Settings;
pub use stats::Stats;
