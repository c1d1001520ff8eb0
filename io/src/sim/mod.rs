//! The deterministic twin of the reactor: N shards and their clients in one thread, run by a seed.
//!
//! A test makes a `World`, takes one `SimEnv` per shard from it, connects `SimClient`s, and asks
//! `World::step` who goes next until nothing can happen any more. Clock, network, disk, wake-ups and
//! all random numbers come from the seed, so that a run which fails can be run again exactly.
//! Nothing here reads a real clock, starts a thread or touches a file.
#![forbid(unsafe_code)]

mod client;
mod disk;
mod env;
mod faults;
mod inode;
mod link;
mod pipe;
mod prng;
mod reactor;
mod shard;
mod trace;
mod volume;
mod world;

#[cfg(test)]
mod tests;

pub use client::SimClient;
pub use disk::SimDisk;
pub use env::{SimChunk, SimEnv};
pub use faults::{Bounds, DiskFaults, Faults};
pub use prng::Prng;
pub use trace::{Stats, TraceEntry, TraceKind};
pub use world::{Step, World};
