//! Closing: what is under way is cancelled, the last bytes are sent if asked for, then the
//! descriptor is closed by a submission.
//!
//! That submission stands behind every queued one that names the descriptor, so none of them can
//! meet a later file under the same number; and it costs no system call.

use std::os::fd::{AsRawFd, IntoRawFd};

use io_uring::{opcode, squeue, types};

use super::connection::Sending;
use super::reactor::Uring;
use super::token::{Kind, Token};
use crate::env::{CloseMode, ConnId};
use crate::lingering;

impl Uring {
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
    #[inline]
    pub(super) fn end_overdue(&mut self) {
        while let Some(id) = self.lingering.pop(|id| self.conns.get(id).is_some()) {
            self.release(id);
        }
    }

    /// Frees a connection's place and closes its descriptor.
    pub(super) fn release(&mut self, id: ConnId) {
        self.pause(id);
        let Some(mut conn) = self.conns.remove(id) else {
            return;
        };
        if conn.sending == Sending::Blocked {
            self.cancel(Token::of(Kind::Writable, id));
        }
        conn.outgoing.clear(&mut self.spares);
        if self.failed {
            // Nothing will be submitted any more; dropping the socket closes it.
            return;
        }
        let entry = opcode::Close::new(types::Fd(conn.socket.into_raw_fd()))
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Token::numbered(Kind::Ignored, 0).0);
        self.queue(&entry);
    }
}
