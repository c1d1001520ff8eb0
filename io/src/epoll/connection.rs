//! `Connection`: what the epoll reactor knows of one socket.
//!
//! Invariant: `interest` is what the poller waits for on its behalf; `wanted_interest` says what that
//! should be. Only the files of this folder touch it.

use std::os::fd::OwnedFd;

use super::poller::{READABLE, WRITABLE};
use crate::env::Hangup;
use crate::outgoing::Outgoing;

/// One accepted socket.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) outgoing: Outgoing,
    /// What the poller waits for.
    pub(super) interest: u32,
    /// On the list of connections to send for in the next turn.
    pub(super) queued: bool,
    /// Bytes were left after a turn: the socket is full, and `Drained` is owed.
    pub(super) backlogged: bool,
    /// The caller wants to read: neither paused nor closed.
    pub(super) wanted: bool,
    /// It waits for a receive buffer, on the list of those.
    pub(super) starved: bool,
    /// The end, once it has been reported. After an error nothing more may be.
    pub(super) hangup: Option<Hangup>,
    /// The caller has closed it; it stays for the rest of its bytes.
    pub(super) closing: bool,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outgoing: Outgoing::default(),
            interest: 0,
            queued: false,
            backlogged: false,
            wanted: true,
            starved: false,
            hangup: None,
            closing: false,
        }
    }

    /// What the poller should wait for. What nobody wants must not be waited for: it would be
    /// reported again and again.
    pub(super) fn wanted_interest(&self) -> u32 {
        let reads = self.wanted && !self.starved && self.hangup.is_none();
        let writes = self.backlogged && !self.queued;
        (if reads { READABLE } else { 0 }) | (if writes { WRITABLE } else { 0 })
    }
}
