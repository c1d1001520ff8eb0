//! Messages from other shards, and replies on their way to clients.

use tessera_io::ConnId;
use tessera_shards::mesh::{Batch, Item, Parcel, Recipient, Route};

use crate::front::Front;

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

    fn accept(&mut self, item: Item<'_, Front>) {
        match item {
            Item::Request(head, args) => self.engine.request(&head, &args),
            Item::Reply(Route::Client(conn, seq), bytes) => self.fill(conn, seq, bytes),
            Item::Reply(Route::Gather(gather, part), bytes) => {
                self.engine.part(gather, part, bytes)
            }
            Item::Parcel(Parcel::Call { origin, call }) => {
                let mut said = Vec::new();
                call(self, &mut said);
                self.engine.answer_call(origin, &said);
            }
            Item::Parcel(Parcel::Tell { call }) => call(self, &mut Vec::new()),
            Item::Parcel(parcel) => self.engine.parcel(parcel),
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
        while let Some(batch) = {
            let buffer = self.batch_buffers.pop().unwrap_or_default();
            self.engine.take_local(buffer)
        } {
            self.carry_out(batch);
        }
    }

    fn fill(&mut self, conn: ConnId, seq: u32, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if client.blocked.is_some() && self.blocked_answered(conn, seq, bytes) {
            return;
        }
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if !client.execs.is_empty() && self.exec_answered(conn, seq, bytes) {
            return;
        }
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
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

    /// The batch for a shard, if there is anything in it.
    pub(super) fn take_batch(&mut self, target: usize) -> Option<Batch<Front>> {
        if !self.engine.has_batch(target) {
            return None;
        }
        let buffer = self.batch_buffers.pop().unwrap_or_default();
        self.engine.take_batch(target, buffer)
    }
}
