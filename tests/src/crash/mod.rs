//! The log and snapshots on a disk that fails, run by a seed: docs/design/simulator.md, *The log* and *Snapshots*.
//!
//! `saves` has the worlds of snapshots. Of the log the code under test is that of the node: the sequence that shards push into, the keeper that writes, and recovery. `world` does what the shards, the thread that
//! writes a base, the operator and the power company do; `state` says what may be found afterwards; `lies` breaks one promise of the disk at a time.

pub mod campaign;
pub mod lies;
pub mod saves;
pub mod state;
pub mod world;
