//! The differential suite: one seeded stream of commands to two servers, every reply compared.
//! A family of commands is one file of draws; what may differ is decided in `judge` and `known` alone.

pub mod bitmaps;
pub mod connection;
pub mod database;
pub mod draw;
mod elements;
pub mod expiry;
pub mod functions;
pub mod generator;
pub mod generic;
pub mod geo;
pub mod hashes;
pub mod hyperloglog;
pub mod judge;
pub mod known;
pub mod lists;
pub mod node;
pub mod pubsub;
pub mod recovery;
pub mod run;
pub mod scenes;
pub mod scope;
pub mod scripts;
pub mod sets;
pub mod shrink;
pub mod side;
pub mod step;
pub mod streams;
pub mod strings;
pub mod transactions;
pub mod waiting;
pub mod zsets;
