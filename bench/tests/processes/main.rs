//! The load generator as a process, against real servers: redis-server from `PATH` (or `TESSERA_ORACLE`) and ours from the
//! release folder (or `TESSERA_SERVER`).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests of real processes, which they wait for; the harness is part of them"
)]

mod faults;
mod harness;
mod load;
mod outputs;
mod workloads;
