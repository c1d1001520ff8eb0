//! Accepting: one multishot accept per listener.
//!
//! When the process or the machine has no descriptor left the accept ends; it is started anew after
//! a pause, because at once it would end at once again. Sockets inherit their options from the
//! listener, so a new connection costs no call for them.

use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::{opcode, types};

use super::connection::Connection;
use super::reactor::Uring;
use super::ring::{Completion, goes_on};
use super::token::{Kind, Token};
use crate::clock;
use crate::env::Event;
use crate::listener::{ACCEPT_PAUSE_NS, Listener, Relisten};
use crate::peer;
use crate::pool::Chunk;

/// A listener and its accept.
pub(super) struct ListenerState {
    /// None when nobody listens there any more: the numbers of the others stay.
    listener: Option<Listener>,
    /// When to start the accept again, if it was given a pause; else the end of time.
    retry_at: u64,
}

impl ListenerState {
    pub(super) fn new(listener: Listener) -> Self {
        Self {
            listener: Some(listener),
            retry_at: u64::MAX,
        }
    }
}

impl Uring {
    pub(super) fn arm_accept(&mut self, number: usize) {
        let Some(state) = self.listeners.get_mut(number) else {
            return;
        };
        state.retry_at = u64::MAX;
        let Some(listener) = &state.listener else {
            return;
        };
        let entry = opcode::AcceptMulti::new(types::Fd(listener.fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build()
            .user_data(Token::numbered(Kind::Accept, number).0);
        self.queue(&entry);
    }

    /// The next moment at which an accept is to be started again.
    #[inline]
    pub(super) fn accept_deadline(&self) -> u64 {
        self.listeners
            .iter()
            .map(|state| state.retry_at)
            .min()
            .unwrap_or(u64::MAX)
    }

    #[inline]
    pub(super) fn retry_accepts(&mut self) {
        let deadline = self.accept_deadline();
        if deadline == u64::MAX || clock::monotonic_ns() < deadline {
            return;
        }
        for number in 0..self.listeners.len() {
            if self.listeners[number].retry_at <= deadline {
                self.arm_accept(number);
            }
        }
    }

    pub(super) fn on_accept(
        &mut self,
        number: usize,
        completion: &Completion,
        events: &mut Vec<Event<Chunk>>,
    ) {
        if completion.result >= 0 {
            // SAFETY: a descriptor which the kernel has just made for us and told nobody else.
            let socket = unsafe { OwnedFd::from_raw_fd(completion.result) };
            self.admit(number, socket, events);
        }
        if goes_on(completion) {
            return;
        }
        let state = self.listeners.get_mut(number);
        let Some(state) = state.filter(|state| state.listener.is_some()) else {
            return;
        };
        match -completion.result {
            // The connection that was to be accepted is gone or forbidden; the next may be fine.
            ..=0 | libc::ECONNABORTED | libc::EPERM | libc::EPROTO | libc::EINTR => {
                self.arm_accept(number);
            }
            _ => state.retry_at = clock::monotonic_ns() + ACCEPT_PAUSE_NS,
        }
    }

    /// Takes a socket in. Dropping it instead, when listening has stopped or every name is in use,
    /// closes it.
    fn admit(&mut self, number: usize, socket: OwnedFd, events: &mut Vec<Event<Chunk>>) {
        let state = self.listeners.get(number);
        let Some(listener) = state.and_then(|state| state.listener.as_ref()) else {
            return;
        };
        let peer = peer::describe(&socket, listener);
        let Ok(conn) = self.conns.insert(Connection::new(socket)) else {
            return;
        };
        events.push(Event::Accepted { conn, peer });
        self.receive(conn);
    }

    /// See `Env::relisten`.
    pub(crate) fn relisten(&mut self, change: Relisten) {
        let is_dropped = |listener: &Listener| change.dropped.iter().any(|it| listener.is_at(*it));
        self.end_listeners(is_dropped);
        for listener in change.added {
            self.listeners.push(ListenerState::new(listener));
            self.arm_accept(self.listeners.len() - 1);
        }
    }

    /// See `Env::stop_listening`.
    pub(crate) fn stop_listening(&mut self) {
        self.end_listeners(|_| true);
        self.listeners.clear();
    }

    fn end_listeners(&mut self, are_meant: impl Fn(&Listener) -> bool) {
        let mut ended = Vec::new();
        for number in 0..self.listeners.len() {
            let state = &mut self.listeners[number];
            if let Some(listener) = state.listener.take_if(|listener| are_meant(listener)) {
                state.retry_at = u64::MAX;
                listener.shut_down();
                ended.push(listener);
                self.cancel(Token::numbered(Kind::Accept, number));
            }
        }
        // An accept may still be queued; it must not meet a stranger under its descriptor. If the
        // ring fails here, the next poll says so, and nothing queued will ever be submitted.
        if !ended.is_empty() && !self.failed && self.ring.flush().is_err() {
            self.failed = true;
        }
    }
}
