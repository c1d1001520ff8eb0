//! Accepting on epoll: as many connections per turn as a bound allows, a rest when the process has
//! no descriptors left. Sockets inherit their options from the listener.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::connection::Connection;
use super::poller::{EXCLUSIVE, READABLE, Source};
use super::reactor::Epoll;
use crate::clock;
use crate::env::Event;
use crate::listener::{ACCEPT_PAUSE_NS, Listener, Relisten};
use crate::peer;
use crate::pool::Chunk;

/// Connections accepted per listener and turn; those who are in already shall not wait for long.
const ACCEPTS_MAX: usize = 64;

const LISTENER_INTEREST: u32 = READABLE | EXCLUSIVE;

/// A listener, and whether the poller waits for it.
pub(super) struct ListenerState {
    /// None when nobody listens there any more: the numbers of the others stay.
    listener: Option<Listener>,
    /// When to wait for it again, if it was given a rest; else the end of time.
    retry_at: u64,
}

fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: reads and writes the flags of a live descriptor; no pointers.
    let done = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags < 0 {
            flags
        } else {
            libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)
        }
    };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let nowhere = std::ptr::null_mut();
    // SAFETY: null for the address and its length means that none is wanted.
    let fd = unsafe { libc::accept4(listener, nowhere, std::ptr::null_mut(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Epoll {
    pub(super) fn add_listener(&mut self, listener: Listener) -> io::Result<()> {
        set_nonblocking(listener.fd())?;
        let source = Source::Listener(self.listeners.len());
        self.poller
            .change(listener.fd(), source, 0, LISTENER_INTEREST)?;
        self.listeners.push(ListenerState {
            listener: Some(listener),
            retry_at: u64::MAX,
        });
        Ok(())
    }

    pub(super) fn on_connections(&mut self, number: usize, events: &mut Vec<Event<Chunk>>) {
        for _ in 0..ACCEPTS_MAX {
            let state = self.listeners.get(number);
            let Some(listener) = state.and_then(|state| state.listener.as_ref()) else {
                return;
            };
            match accept(listener.fd()) {
                Ok(socket) => self.admit(number, socket, events),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return,
                    // That connection is gone or forbidden; the next may be fine.
                    Some(libc::ECONNABORTED | libc::EPERM | libc::EPROTO | libc::EINTR) => {}
                    _ => return self.rest(number),
                },
            }
        }
    }

    fn admit(&mut self, number: usize, socket: OwnedFd, events: &mut Vec<Event<Chunk>>) {
        let Some(listener) = &self.listeners[number].listener else {
            return;
        };
        let peer = peer::describe(&socket, listener);
        // With every name in use the socket is dropped, which closes it.
        let Ok(conn) = self.conns.insert(Connection::new(socket)) else {
            return;
        };
        events.push(Event::Accepted { conn, peer });
        self.update_interest(conn);
    }

    /// Leaves a listener alone for a while: waiting for it would return at once, again and again.
    fn rest(&mut self, number: usize) {
        let state = &mut self.listeners[number];
        let Some(listener) = &state.listener else {
            return;
        };
        state.retry_at = clock::monotonic_ns() + ACCEPT_PAUSE_NS;
        let fd = listener.fd();
        let left = self
            .poller
            .change(fd, Source::Listener(number), LISTENER_INTEREST, 0);
        left.unwrap_or_else(|error| self.fail(error));
    }

    /// The next moment at which a listener is to be waited for again.
    pub(super) fn accept_deadline(&self) -> u64 {
        self.listeners
            .iter()
            .map(|state| state.retry_at)
            .min()
            .unwrap_or(u64::MAX)
    }

    pub(super) fn retry_accepts(&mut self) {
        let deadline = self.accept_deadline();
        if deadline == u64::MAX || clock::monotonic_ns() < deadline {
            return;
        }
        for number in 0..self.listeners.len() {
            let state = &mut self.listeners[number];
            if state.retry_at <= deadline
                && let Some(listener) = &state.listener
            {
                state.retry_at = u64::MAX;
                let fd = listener.fd();
                let back = self
                    .poller
                    .change(fd, Source::Listener(number), 0, LISTENER_INTEREST);
                back.unwrap_or_else(|error| self.fail(error));
            }
        }
    }

    /// See `Env::relisten`.
    pub(crate) fn relisten(&mut self, change: Relisten) {
        let is_dropped = |listener: &Listener| change.dropped.iter().any(|it| listener.is_at(*it));
        self.end_listeners(is_dropped);
        for listener in change.added {
            let added = self.add_listener(listener);
            added.unwrap_or_else(|error| self.fail(error));
        }
    }

    /// See `Env::stop_listening`.
    pub(crate) fn stop_listening(&mut self) {
        self.end_listeners(|_| true);
        self.listeners.clear();
    }

    fn end_listeners(&mut self, are_meant: impl Fn(&Listener) -> bool) {
        for (number, state) in self.listeners.iter_mut().enumerate() {
            let Some(listener) = state.listener.take_if(|listener| are_meant(listener)) else {
                continue;
            };
            if state.retry_at == u64::MAX {
                // The shared Unix socket stays open in other shards, so it must be taken off here.
                let source = Source::Listener(number);
                let fd = listener.fd();
                let _ = self.poller.change(fd, source, LISTENER_INTEREST, 0);
            }
            state.retry_at = u64::MAX;
            listener.shut_down();
        }
    }
}
