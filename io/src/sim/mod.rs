//! The deterministic twin of the reactor: N shards and their clients in one thread, run by a seed.
//!
//! A test makes a `World`, takes one `SimEnv` per shard from it, connects `SimClient`s, and asks
//! `World::step` who goes next until nothing can happen any more. Clock, network, disk, wake-ups and
//! all random numbers come from the seed, so that a run which fails can be run again exactly.
//!
//! ```
//! use tessera_io::sim::{Step, World};
//! use tessera_io::{Env, Event, Wait};
//!
//! let world = World::from_seed(1);
//! let mut env = world.env(0);
//! let mut client = world.connect(0);
//! client.send(b"hello");
//! let mut events = Vec::new();
//! let mut echoed = Vec::new();
//! loop {
//!     match world.step() {
//!         Step::Shard(_) => env.poll(Wait::Forever, &mut events).unwrap(),
//!         Step::Time => drop(client.receive_into(&mut echoed)),
//!         Step::Idle => break, // nothing can happen any more: see whether that is right
//!     }
//!     if world.asleep(0) {
//!         continue; // a real reactor would still be inside `poll`
//!     }
//!     for event in events.drain(..) {
//!         if let Event::Received { conn, chunk } = event {
//!             env.send(conn, chunk.to_vec());
//!         }
//!     }
//! }
//! assert!(echoed == b"hello" || client.is_closed());
//! ```
//!
//! Nothing here reads a real clock, starts a thread or touches a file.
#![forbid(unsafe_code)]

mod client;
mod client_end;
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
