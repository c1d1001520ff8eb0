//! What clients, operators and bad luck do to a server: broken frames, floods, clients that never
//! read, wrong flags, signals. Where redis-server has an answer to the same bytes, ours is compared.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes in real time"
)]

mod frames;
mod limits;
mod memory;
mod pressure;
mod scripts;
mod start_stop;
mod together;
