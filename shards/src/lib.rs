//! Tessera's shards: ownership, ordering, execution, and the command families.
//!
//! `docs/design/transactions.md` states the protocol that this crate follows.

pub mod command;
pub mod commands;
pub mod coordinator;
pub mod mesh;
pub mod script;
pub mod shard;
