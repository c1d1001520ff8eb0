//! Receiving: one multishot receive per connection, paused, resumed and fed with buffers.
//!
//! A receive ends for many reasons besides the end of the connection: no buffer, a cancel, a full
//! completion queue. Whatever the reason, the completion without the "more" flag is the moment to
//! decide whether to start it anew, and only that one: how a cancel itself completes differs between
//! kernels and is not looked at.

use io_uring::opcode;

use super::buffers::GROUP;
use super::reactor::Uring;
use super::ring::{Completion, buffer_of, goes_on};
use super::token::{Kind, Token};
use crate::env::{ConnId, Event, Hangup};
use crate::pool::Chunk;

impl Uring {
    /// Starts to receive, unless that is under way, unwanted, or waits for a buffer.
    pub(super) fn receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.armed || conn.starved || !conn.wanted || conn.hangup.is_some() {
            return;
        }
        conn.armed = true;
        let entry = opcode::RecvMulti::new(conn.fd(), GROUP)
            .build()
            .user_data(Token::of(Kind::Receive, id).0);
        self.queue(&entry);
    }

    /// See `Env::pause`.
    pub(crate) fn pause(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.wanted = false;
        if conn.armed && !conn.cancelling {
            conn.cancelling = true;
            self.cancel(Token::of(Kind::Receive, id));
        }
    }

    /// See `Env::resume`. While a cancel is under way, its end starts the receive anew.
    pub(crate) fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.closing {
            conn.wanted = true;
            self.receive(id);
        }
    }

    pub(super) fn on_receive(
        &mut self,
        id: ConnId,
        completion: &Completion,
        events: &mut Vec<Event<Chunk>>,
    ) {
        let length = u32::try_from(completion.result).unwrap_or(0);
        // Made before the connection is looked up: also a connection that is gone gives buffers back.
        // SAFETY: buffer and length are those of this completion, which is looked at once.
        let chunk = buffer_of(completion).map(|b| unsafe { self.buffers.chunk(b, length) });
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let ended = !goes_on(completion);
        if ended {
            conn.armed = false;
            conn.cancelling = false;
        }
        if conn.closing || conn.hangup.is_some() {
            return;
        }
        match (completion.result, chunk) {
            (1.., Some(chunk)) => events.push(Event::Received { conn: id, chunk }),
            (0.., _) => return self.hang_up(id, Hangup::Eof, events),
            (error, _) => match -error {
                libc::ENOBUFS => return self.starve(id),
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                errno => return self.hang_up(id, Hangup::Error(errno), events),
            },
        }
        if ended {
            self.receive(id);
        }
    }

    /// Reports the end of a connection, once.
    pub(super) fn hang_up(&mut self, id: ConnId, hangup: Hangup, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.hangup.is_none() {
            conn.hangup = Some(hangup);
            events.push(Event::Closed { conn: id, hangup });
        }
    }

    /// Puts a connection on the list of those that wait for a buffer.
    fn starve(&mut self, id: ConnId) {
        self.buffers.ran_out();
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.starved {
            conn.starved = true;
            self.starved.push_back(id);
        }
    }

    /// Starts as many of the waiting receives as there are buffers, the longest waiting first.
    #[inline]
    pub(super) fn feed_starved(&mut self) {
        let mut buffers = self.buffers.offered();
        while buffers > 0 {
            let Some(id) = self.starved.pop_front() else {
                return;
            };
            let Some(conn) = self.conns.get_mut(id) else {
                continue;
            };
            conn.starved = false;
            self.receive(id);
            buffers -= 1;
        }
    }
}
