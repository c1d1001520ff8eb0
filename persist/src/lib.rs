//! Tessera's on-disk formats, log, snapshots and recovery.
//!
//! Nothing is written yet: this version keeps its data in memory only, and refuses the directives that promise otherwise. The crate exists so that
//! the edges between rooms are what they will be: it may use `core` and `io`, and never sees a shard.
