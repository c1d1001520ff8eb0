//! `Connection`: what the reactor knows of one socket.
//!
//! Invariants: `armed` is set exactly while a receive is queued or with the kernel and its last
//! completion has not been seen; `sending` is `Submitted` only inside `poll`. Only the files of this
//! folder touch it.

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::types::Fd;

use crate::env::Hangup;
use crate::outgoing::Outgoing;

/// Where the first bytes of `outgoing` are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// There is nothing to send.
    Idle,
    /// On the list of connections to send for in the next turn.
    Queued,
    /// Given to the kernel in this turn: so many bytes.
    Submitted(u32),
    /// The socket is full; a poll tells when it has room.
    Blocked,
}

/// One accepted socket.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) outgoing: Outgoing,
    pub(super) sending: Sending,
    /// Bytes were left after a turn, so `Drained` is owed.
    pub(super) backlogged: bool,
    /// The caller wants to read: neither paused nor closed.
    pub(super) wanted: bool,
    /// A receive is under way.
    pub(super) armed: bool,
    /// That receive is being cancelled.
    pub(super) cancelling: bool,
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
            sending: Sending::Idle,
            backlogged: false,
            wanted: true,
            armed: false,
            cancelling: false,
            starved: false,
            hangup: None,
            closing: false,
        }
    }

    pub(super) fn fd(&self) -> Fd {
        Fd(self.socket.as_raw_fd())
    }
}
