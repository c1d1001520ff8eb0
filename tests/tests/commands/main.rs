//! Single commands and their effects, where a generator does not reach: what takes time, what needs
//! several connections, what is large, what the server says about itself.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

mod attention;
mod blocking;
mod both;
mod clients;
mod config;
mod databases;
mod dump;
mod edges;
mod expiry;
mod hot_keys;
mod huge_pages;
mod introspection;
mod large;
mod long_replies;
mod long_transactions;
mod memory;
mod native;
mod notifications;
mod observation;
mod protocol;
mod pubsub;
mod scan;
mod scene;
mod scripts;
mod slowness;
mod snapshots;
mod sorting;
mod strings;
mod tables;
mod tracking;
mod transactions;
