//! Tessera's reactor and the kernel: clock, network, disk and randomness behind one trait.
#![allow(unsafe_code)] // the one crate besides core's table that talks to the kernel and raw memory

pub mod allocator;
mod clock;
mod disk;
mod env;
mod epoll;
mod fsdisk;
mod lingering;
mod listener;
mod mapped;
mod outgoing;
mod patient;
mod peer;
mod pool;
mod probe;
mod real;
pub mod sim;
mod slab;
mod uring;
mod wake;

pub use allocator::MALLOC_CONF;
pub use disk::{Disk, FileId, Source};
pub use env::{CloseMode, ConnId, Env, Event, Hangup, Peer, Wait};
pub use fsdisk::FsDisk;
pub use listener::{Listen, ListenError, Relisten, relisten};
pub use mapped::Mapped;
pub use patient::give_way;
pub use pool::Chunk;
pub use probe::{Backend, Report};
pub use real::{BackendChoice, Options, Reactor, ReactorGroup, ReactorSeed, StartError};
pub use wake::Waker;
