//! Strict serializability, hammered over TCP: whatever many clients do to many shards, each sees what
//! one thread executing one command after the other could have shown it.
//!
//! `TESSERA_ATOMICITY_SECONDS` sets how long each hammer runs on each shard count.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

mod caching;
mod collections;
mod counting;
mod hammer;
mod messages;
mod moving;
mod ordering;
mod scripts;
mod transactions;
mod waiting;
mod writing;
