//! The reactor on io_uring: `reactor` is the turn, the others are what happens in it.

mod accept;
pub(crate) mod buffers;
mod close;
mod connection;
mod courtesy;
mod reactor;
mod receive;
pub(crate) mod ring;
mod send;
mod token;

pub(crate) use reactor::{Uring, UringParts};
