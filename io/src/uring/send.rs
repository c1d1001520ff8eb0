//! Sending: one send per connection and turn, which says nothing when it succeeds.
//!
//! A send is submitted as MSG_DONTWAIT | MSG_WAITALL with CQE_SKIP_SUCCESS. The kernel carries it out
//! during the submission: it takes all bytes and posts nothing, so that the wait of the same system
//! call goes on, or it posts how many it took, or EAGAIN. Hence, once the queue has been submitted
//! and everything posted has been reaped, a send without a completion is complete, and its memory
//! free. The probe tests at start that the kernel behaves so; where it does not, every send posts a
//! completion.
//!
//! Sends whose end something waits for (`Drained`, the close of a flushed connection, more bytes
//! behind them) always post one.

use std::os::fd::AsRawFd;

use io_uring::{opcode, squeue};

use super::connection::Sending;
use super::reactor::Uring;
use super::token::{Kind, Token};
use crate::env::{ConnId, Event, Hangup};
use crate::lingering;
use crate::outgoing::SEND_BYTES_MAX;
use crate::pool::Chunk;

impl Uring {
    /// See `Env::buffer`.
    #[inline]
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spares.take()
    }

    /// See `Env::send`.
    #[inline]
    pub(crate) fn send(&mut self, id: ConnId, bytes: Vec<u8>) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.closing) else {
            return self.spares.give_back(bytes);
        };
        conn.outgoing.push(bytes, &mut self.spares);
        if conn.sending == Sending::Idle && !conn.outgoing.is_empty() {
            conn.sending = Sending::Queued;
            self.to_send.push(id);
        }
    }

    /// See `Env::backlog`.
    pub(crate) fn backlog(&self, id: ConnId) -> usize {
        self.conns
            .get(id)
            .filter(|conn| !conn.closing)
            .map_or(0, |conn| conn.outgoing.len())
    }

    /// Queues one send for each connection that has bytes.
    pub(super) fn submit_sends(&mut self) {
        let mut to_send = std::mem::take(&mut self.to_send);
        for id in to_send.drain(..) {
            self.submit_send(id);
        }
        self.to_send = to_send;
    }

    #[inline]
    fn submit_send(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.sending != Sending::Queued {
            return;
        }
        let bytes = conn.outgoing.next();
        let length = bytes.len().min(SEND_BYTES_MAX);
        let whole = length == bytes.len() && !conn.outgoing.has_more();
        let silent = whole && !conn.backlogged && !conn.closing && self.features.silent_send;
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let mut entry = opcode::Send::new(conn.fd(), bytes.as_ptr(), length as u32)
            .flags(flags)
            .build()
            .user_data(Token::of(Kind::Send, id).0);
        conn.sending = Sending::Submitted(length as u32);
        if silent {
            entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
            self.silent.push(id);
        }
        self.queue(&entry);
    }

    /// Frees the bytes of the sends that said nothing: the submission queue is empty and all
    /// completions have been translated, so they have succeeded.
    #[inline]
    pub(super) fn settle_sends(&mut self) {
        let mut silent = std::mem::take(&mut self.silent);
        for id in silent.drain(..) {
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            if let Sending::Submitted(length) = conn.sending {
                conn.outgoing.advance(length as usize, &mut self.spares);
                conn.sending = Sending::Idle;
            }
        }
        self.silent = silent;
    }

    pub(super) fn on_send(&mut self, id: ConnId, result: i32, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Sending::Submitted(length) = conn.sending else {
            return;
        };
        let taken = match u32::try_from(result) {
            Ok(taken) => taken,
            // The last two: no memory for the socket at this moment.
            Err(_) => match -result {
                libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM => 0,
                errno => return self.fail_send(id, errno, events),
            },
        };
        conn.outgoing.advance(taken as usize, &mut self.spares);
        if taken < length {
            conn.sending = Sending::Blocked;
            conn.backlogged = true;
            self.await_room(id);
        } else if conn.outgoing.is_empty() {
            self.all_sent(id, events);
        } else {
            conn.sending = Sending::Queued;
            conn.backlogged = true;
            self.to_send.push(id);
        }
    }

    fn all_sent(&mut self, id: ConnId, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.sending = Sending::Idle;
        let owed = std::mem::take(&mut conn.backlogged);
        if conn.closing {
            lingering::discard_unread(conn.socket.as_raw_fd());
            self.release(id);
        } else if owed && conn.hangup.is_none_or(|hangup| hangup == Hangup::Eof) {
            events.push(Event::Drained { conn: id });
        }
    }

    fn await_room(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let entry = opcode::PollAdd::new(conn.fd(), libc::POLLOUT as u32)
            .build()
            .user_data(Token::of(Kind::Writable, id).0);
        self.queue(&entry);
    }

    /// The socket has room, or an error which the next send will bring.
    pub(super) fn on_writable(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.sending == Sending::Blocked {
            conn.sending = Sending::Queued;
            self.to_send.push(id);
        }
    }

    /// Nothing can be sent any more.
    fn fail_send(&mut self, id: ConnId, errno: i32, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.sending = Sending::Idle;
        let owed = std::mem::take(&mut conn.backlogged);
        conn.outgoing.clear(&mut self.spares);
        if conn.closing {
            return self.release(id);
        }
        if owed && conn.hangup == Some(Hangup::Eof) {
            events.push(Event::Drained { conn: id });
        }
        self.hang_up(id, Hangup::Error(errno), events);
    }
}
