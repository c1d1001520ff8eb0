//! The reactor on epoll, for where io_uring is forbidden or too old: `reactor` is the turn, the
//! others are what happens in it.

mod accept;
mod connection;
mod poller;
mod reactor;
mod transfer;

pub(crate) use reactor::{Epoll, EpollParts};
