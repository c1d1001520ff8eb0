//! Bytes in and out of a connection on epoll, and its end.
//!
//! One receive per ready connection and turn, into a pool buffer; one send per connection and turn,
//! at the turn's end. Write readiness is waited for only after a send that was not taken whole.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::connection::Connection;
use super::poller::{READABLE, WRITABLE};
use super::reactor::Epoll;
use crate::env::{CloseMode, ConnId, Event, Hangup};
use crate::lingering;
use crate::outgoing::SEND_BYTES_MAX;
use crate::pool::Chunk;

/// How many bytes the kernel took; 0 when the socket is full.
fn send_some(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: reads from a live slice.
    let count = unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(count).or_else(|_| {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM) => Ok(0),
            _ => Err(error),
        }
    })
}

impl Epoll {
    pub(super) fn on_ready(&mut self, id: ConnId, readiness: u32, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        // Errors and hang-ups are reported alone, whatever was waited for: the calls find them.
        let trouble = readiness & !(READABLE | WRITABLE) != 0;
        if conn.interest & WRITABLE != 0 && (trouble || readiness & WRITABLE != 0) {
            self.send_for(id, events);
        }
        // A failed send has ended it, or a last one released it.
        let reads = |conn: &Connection| conn.interest & READABLE != 0;
        if self.conns.get(id).is_some_and(reads) && (trouble || readiness & READABLE != 0) {
            self.receive(id, events);
        }
    }

    fn receive(&mut self, id: ConnId, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let Some(buffer) = self.pool.take() else {
            conn.starved = true;
            self.starved.push_back(id);
            return self.update_interest(id);
        };
        let address = self.pool.address(buffer).as_ptr().cast();
        let length = self.pool.buffer_bytes() as usize;
        let socket = conn.socket.as_raw_fd();
        // SAFETY: the buffer was taken from the pool, so it is ours alone, and it is that long.
        let count = unsafe { libc::recv(socket, address, length, libc::MSG_DONTWAIT) };
        if let Some(length) = u32::try_from(count).ok().filter(|&length| length > 0) {
            // SAFETY: the kernel has written these bytes into a buffer that is ours alone.
            let chunk = unsafe { Chunk::new(&self.pool, buffer, length) };
            return events.push(Event::Received { conn: id, chunk });
        }
        let error = io::Error::last_os_error();
        self.pool.give_back(buffer);
        if count == 0 {
            return self.hang_up(id, Hangup::Eof, events);
        }
        match error.raw_os_error().unwrap_or(0) {
            libc::EAGAIN | libc::EINTR => {}
            errno => self.hang_up(id, Hangup::Error(errno), events),
        }
    }

    /// Reports the end of a connection, once.
    fn hang_up(&mut self, id: ConnId, hangup: Hangup, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.hangup.is_none() {
            conn.hangup = Some(hangup);
            events.push(Event::Closed { conn: id, hangup });
        }
        self.update_interest(id);
    }

    /// Lets as many of the connections that wait for a buffer receive as there are buffers.
    pub(super) fn feed_starved(&mut self) {
        for _ in 0..self.pool.free() {
            let Some(id) = self.starved.pop_front() else {
                return;
            };
            if let Some(conn) = self.conns.get_mut(id) {
                conn.starved = false;
                self.update_interest(id);
            }
        }
    }

    /// See `Env::pause`.
    pub(crate) fn pause(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.wanted = false;
            self.update_interest(id);
        }
    }

    /// See `Env::resume`.
    pub(crate) fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.closing) {
            conn.wanted = true;
            self.update_interest(id);
        }
    }

    /// See `Env::buffer`.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spares.take()
    }

    /// See `Env::send`.
    pub(crate) fn send(&mut self, id: ConnId, bytes: Vec<u8>) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.closing) else {
            return self.spares.give_back(bytes);
        };
        conn.outgoing.push(bytes, &mut self.spares);
        if !conn.queued && !conn.backlogged && !conn.outgoing.is_empty() {
            conn.queued = true;
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

    /// Sends what the turn has gathered.
    pub(super) fn send_queued(&mut self, events: &mut Vec<Event<Chunk>>) {
        let mut to_send = std::mem::take(&mut self.to_send);
        for id in to_send.drain(..) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.queued = false;
                self.send_for(id, events);
            }
        }
        // Those that have more to send than one turn may.
        to_send.append(&mut self.to_send);
        self.to_send = to_send;
    }

    /// Sends until all has left, the socket is full, or it has been much: then the rest follows in the next turn.
    fn send_for(&mut self, id: ConnId, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let mut left = SEND_BYTES_MAX;
        while !conn.outgoing.is_empty() {
            if left == 0 {
                conn.backlogged = true;
                conn.queued = true;
                self.to_send.push(id);
                return self.update_interest(id);
            }
            let bytes = conn.outgoing.next();
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            match send_some(conn.socket.as_raw_fd(), bytes) {
                Ok(count) => {
                    let full = count < bytes.len();
                    conn.outgoing.advance(count, &mut self.spares);
                    if full {
                        conn.backlogged = true;
                        return self.update_interest(id);
                    }
                }
                Err(error) => {
                    return self.fail_send(id, error.raw_os_error().unwrap_or(0), events);
                }
            }
        }
        self.all_sent(id, events);
    }

    fn all_sent(&mut self, id: ConnId, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let owed = std::mem::take(&mut conn.backlogged);
        if conn.closing {
            lingering::discard_unread(conn.socket.as_raw_fd());
            return self.release(id);
        }
        if owed && conn.hangup.is_none_or(|hangup| hangup == Hangup::Eof) {
            events.push(Event::Drained { conn: id });
        }
        self.update_interest(id);
    }

    /// Nothing can be sent any more.
    fn fail_send(&mut self, id: ConnId, errno: i32, events: &mut Vec<Event<Chunk>>) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
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

    /// See `Env::close`.
    pub(crate) fn close(&mut self, id: ConnId, mode: CloseMode) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.closing) else {
            return;
        };
        conn.closing = true;
        if mode == CloseMode::Flush {
            if !conn.outgoing.is_empty() {
                self.pause(id);
                return self.lingering.add(id);
            }
            lingering::discard_unread(conn.socket.as_raw_fd());
        }
        self.release(id);
    }

    /// Ends the connections whose time to flush is over.
    pub(super) fn end_overdue(&mut self) {
        while let Some(id) = self.lingering.pop(|id| self.conns.get(id).is_some()) {
            self.release(id);
        }
    }

    /// Frees a connection's place; dropping its socket closes it and takes it off the poller.
    fn release(&mut self, id: ConnId) {
        if let Some(mut conn) = self.conns.remove(id) {
            conn.outgoing.clear(&mut self.spares);
        }
    }
}
