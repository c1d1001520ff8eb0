//! One shard: the keys it owns and the rules by which they are found, changed and expire.

mod access;
mod aging;
mod databases;
mod defrag;
pub(crate) mod effects;
pub mod event;
mod eviction;
mod expiry;
mod fifo;
mod handover;
mod keyspace;
pub(crate) mod record;
mod reload;
mod rng;
mod saving;
mod settings;
mod slow;
mod stats;
mod thresholds;
pub mod tracking;
mod typed;
mod waiting;
mod watches;

pub use databases::Walk;
pub use eviction::{Eviction, Holdings, Rank};
pub use expiry::ExpiryCycle;
pub use handover::Databases;
pub(crate) use handover::Tables;
pub use keyspace::Shard;
pub use rng::Rng;
pub use saving::SaveRefused;
pub use settings::{Settings, Tracks};
pub use slow::{Slow, SlowWatch};
pub use stats::Stats;
pub use thresholds::Thresholds;
pub use typed::WrongType;
