//! Tessera's server as a library, so that tests and the simulator can run its parts in-process.

pub mod budget;
pub mod cli;
pub mod config;
pub mod crowd;
pub mod driver;
pub mod ending;
pub mod fragmentation;
pub mod front;
pub mod hot_keys;
pub mod huge_pages;
pub mod info;
pub mod limits;
pub mod listen;
pub mod loading;
mod log;
pub mod logging;
mod offline;
pub mod session;
pub mod shared;
pub mod signals;
pub mod slow_log;
pub mod spikes;
pub mod start;
pub mod supervisor;
