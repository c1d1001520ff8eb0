//! A load generator for RESP servers, and the page of results made from its runs.
//!
//! From the outside in: `args` turns flags into a plan, `run` carries it out phase by phase, a `worker` per
//! thread serves its `connection`s, `tally` counts, `report` and `table` show.

#![allow(
    clippy::disallowed_methods,
    reason = "the load generator is a client, not part of the simulated system"
)]

pub mod args;
pub mod buckets;
pub mod clock;
pub mod connection;
pub mod control;
pub mod crew;
pub mod disturb;
pub mod error;
pub mod hgrm;
pub mod idle;
pub mod keys;
pub mod live;
pub mod load;
pub mod markdown;
pub mod plan;
pub mod plot;
pub mod process;
pub mod progress;
pub mod random;
pub mod reply;
pub mod report;
pub mod results;
pub mod run;
pub mod server_stats;
pub mod table;
pub mod tally;
pub mod target;
pub mod template;
pub mod timeline;
pub mod values;
pub mod worker;
pub mod workload;
