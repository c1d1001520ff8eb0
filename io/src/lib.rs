//! Tessera's reactor and the kernel: clock, network, disk and randomness behind one trait.
#![allow(unsafe_code)] // the one crate besides core's table that talks to the kernel and raw memory

mod disk;
mod env;
pub mod sim;

pub use disk::{Disk, FileId};
pub use env::{CloseMode, ConnId, Env, Event, Hangup, Peer, Wait};
