//! What a node that is killed gives back: real processes, real files, and the real server reading ours.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

mod damaged;
mod exchange;
mod full;
mod killed;
mod refused;
mod slow;
mod small_disk;
mod tools;

use tessera_tests::launch::Launch;

/// A node with the log, on so many shards.
fn node(shards: usize, sync: &str) -> Launch {
    Launch::tessera()
        .shards(shards)
        .with("appendonly", "yes")
        .with("appendfsync", sync)
}
