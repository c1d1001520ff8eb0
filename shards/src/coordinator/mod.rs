//! The coordinator: from a parsed command of a client to its reply, over however many shards.
//!
//! `engine` takes commands up and carries them out, `answer` sends what they say; `route` decides where; `locks` keeps first come, first served per key, `ties` locks keys together that somebody waits for together; `gather` puts
//! the parts of split commands together; `borrow` brings keys to one place, `further` those that no argument names; `scan` leads SCAN through the shards;
//! `program` runs several commands (`steps`) as one, by a `plan` with a `keyset` if they are many, which answer with a `payload`, `deal` with each owner running its own of them, and `whole` those that look at whole shards; `blocking` keeps those
//! who wait for a key; `evict` makes room; `saving` lets a save go before who changes a large value; `meter` knows what it all cost, and `heat` for which keys;
//! `look` goes through all keys for somebody who asks all shards.

mod answer;
mod blocking;
mod borrow;
mod claim;
mod deal;
mod engine;
mod evict;
mod further;
mod gather;
mod heat;
mod keyset;
mod locking;
mod locks;
mod look;
mod meter;
mod payload;
mod plan;
mod program;
mod reads;
mod route;
mod saving;
mod scan;
mod steps;
mod ties;
mod whole;
mod work;

pub use claim::Claim;
#[cfg(feature = "sabotage")]
pub use engine::Sabotage;
pub use engine::{Asker, Engine, Submitted};
pub use gather::MergeFn;
pub(crate) use gather::only_value;
pub use meter::Meter;
pub use payload::{RAN, READY, Replies, Said, TOUCHED, ready_replies, replies};
pub use plan::{LONG, Plan};
pub use program::{Program, STEPS_PER_SLICE};
pub use route::owner;
pub use steps::{Step, Steps};
pub use whole::WholeParcel;
pub use work::{Begin, Job, Parked};
