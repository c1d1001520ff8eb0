//! One suite over the real reactor, run on every backend: io_uring, io_uring without its optional
//! parts, epoll. Real sockets, real threads, no sleeps.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a test may panic and asks the system"
)]

mod backpressure;
mod buffers;
mod closing;
mod harness;
mod listening;
mod serving;
mod waiting;
mod waking;
