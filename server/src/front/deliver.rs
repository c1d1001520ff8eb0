//! Messages from other shards, and replies on their way to clients.

use tessera_core::resp::Chain;
use tessera_io::ConnId;
use tessera_shards::coordinator::{Said, Submitted};
use tessera_shards::mesh::{Batch, Parcel, Recipient, RequestHead, Route};

use crate::front::replay::REPLAY;
use crate::front::scripts::SCRIPT;
use crate::front::{Client, Front};

/// Batch buffers kept for reuse, and the largest of them.
const BATCH_BUFFERS_KEPT: usize = 64;
const BATCH_BUFFER_BYTES_KEPT: usize = 1 << 16;

impl Recipient<Front> for Front {
    fn announce(&mut self, db: usize, key: &[u8]) {
        self.announce_key(db, key);
    }

    fn announced(&mut self) {
        self.fetch_announced();
    }

    #[inline]
    fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        match head.origin.route {
            Route::Client(conn, seq)
                if head.origin.shard == self.id && self.is_plain_client(conn) =>
            {
                self.request_of_own(conn, seq, head, args);
            }
            _ => self.engine.request(head, args),
        }
    }

    #[inline]
    fn reply(&mut self, route: Route, bytes: &[u8]) {
        match route {
            Route::Client(conn, seq) => self.fill(conn, seq, bytes),
            Route::Gather(gather, part) => {
                self.engine.part(gather, part, Said::Short(bytes));
            }
        }
    }

    fn reply_whole(&mut self, route: Route, reply: Chain) {
        match route {
            Route::Client(conn, seq) => self.fill_long(conn, seq, reply),
            Route::Gather(gather, part) => self.engine.part(gather, part, Said::Long(reply)),
        }
    }

    fn parcel(&mut self, parcel: Parcel<Front>) {
        match parcel {
            Parcel::Call { origin, call } => {
                let mut said = Vec::new();
                call(self, &mut said);
                self.conclude_call(origin, said);
            }
            Parcel::Tell { call } => call(self, &mut Vec::new()),
            parcel => self.engine.parcel(parcel),
        }
    }
}

impl Front {
    /// Carries out the messages of a batch in order.
    pub(super) fn carry_out(&mut self, batch: Batch<Front>) {
        let buffer = batch.open(self);
        if self.batch_buffers.len() < BATCH_BUFFERS_KEPT
            && buffer.capacity() <= BATCH_BUFFER_BYTES_KEPT
        {
            self.batch_buffers.push(buffer);
        }
    }

    /// Hands the replies that the engine made for this shard's own clients and gathers over.
    pub(super) fn deliver_local(&mut self) {
        while self.engine.has_local() {
            let buffer = self.batch_buffers.pop().unwrap_or_default();
            if let Some(batch) = self.engine.take_local(buffer) {
                self.carry_out(batch);
            }
        }
    }

    /// A request that a client of this shard put into its batch, and whose reply needs no message.
    #[inline]
    fn request_of_own(&mut self, conn: ConnId, seq: u32, head: &RequestHead, args: &[&[u8]]) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        if self.engine.run_now(head, args, &mut bytes) == Submitted::Done {
            self.fill(conn, seq, &bytes);
        }
        self.keep_scratch(bytes);
    }

    /// Whether replies to this client set nothing else going.
    #[inline]
    fn is_plain_client(&self, conn: ConnId) -> bool {
        self.clients
            .get(conn)
            .is_some_and(|client| client.blocked.is_none() && client.execs.is_empty())
    }

    fn fill(&mut self, conn: ConnId, seq: u32, bytes: &[u8]) {
        let Some(mut client) = self.clients.get_mut(conn) else {
            if conn == REPLAY {
                self.replay_answered(bytes);
            } else if conn == SCRIPT {
                self.script_answered(seq, bytes);
            }
            return;
        };
        if client.blocked.is_some() || !client.execs.is_empty() {
            if self
                .special_answered(conn, seq, Said::Short(bytes))
                .is_none()
            {
                return;
            }
            match self.clients.get_mut(conn) {
                Some(same) => client = same,
                None => return,
            }
        }
        if client.out.capacity() == 0 {
            client.out = self.buffers.pop().unwrap_or_default();
        }
        let command = client.fill(seq, bytes);
        if bytes.first() == Some(&b'-')
            && let Some(command) = command
        {
            self.counters.errors += 1;
            self.tally.fail(command, &bytes[1..]);
        }
        if client.stalled && client.slots.is_empty() {
            self.held.push(conn);
        }
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    /// A long reply, which keeps its pieces.
    #[cold]
    fn fill_long(&mut self, conn: ConnId, seq: u32, reply: Chain) {
        let Some(Said::Long(reply)) = self.special_answered(conn, seq, Said::Long(reply)) else {
            return;
        };
        let Some(client) = self.clients.get_mut(conn) else {
            if conn == REPLAY {
                self.replay_answered(reply.head());
            }
            return;
        };
        client.fill_said(seq, Said::Long(reply));
        if client.stalled && client.slots.is_empty() {
            self.held.push(conn);
        }
        self.mark_dirty(conn);
    }

    /// Gives a reply back, unless it belongs to a blocking command or a transaction, which have seen to it then.
    #[cold]
    fn special_answered<'a>(
        &mut self,
        conn: ConnId,
        seq: u32,
        reply: Said<'a>,
    ) -> Option<Said<'a>> {
        let blocks = |client: &Client| client.blocked.is_some();
        let executes = |client: &Client| !client.execs.is_empty();
        let mut reply = Some(reply);
        if self.clients.get(conn).is_some_and(blocks) {
            reply = self.blocked_answered(conn, seq, reply?);
        }
        if self.clients.get(conn).is_some_and(executes) {
            reply = self.exec_answered(conn, seq, reply?);
        }
        reply
    }

    /// The batch for a shard, if there is anything in it.
    pub(super) fn take_batch(&mut self, target: usize) -> Option<Batch<Front>> {
        if !self.engine.has_batch(target) {
            return None;
        }
        let buffer = self.batch_buffers.pop().unwrap_or_default();
        self.engine.take_batch(target, buffer)
    }
}
