//! Long replies of one client, in pieces: those whose turn has come leave before `Client::out`, the others wait for earlier ones.
//!
//! Nobody copies them; the reactor frees each piece when it has been sent.

use std::collections::BTreeMap;

use tessera_core::resp::Chain;

/// See the head of this file. Only a client that has some owns it.
#[derive(Debug, Default)]
pub(crate) struct Long {
    /// What leaves next.
    ready: Chain,
    /// By the sequence number of the command.
    waiting: BTreeMap<u32, Chain>,
    waiting_bytes: usize,
}

impl Long {
    /// A reply that waits for earlier ones.
    pub(super) fn keep(&mut self, seq: u32, reply: Chain) {
        self.waiting_bytes += reply.len();
        self.waiting.insert(seq, reply);
    }

    /// The turn of that reply has come.
    pub(super) fn release(&mut self, seq: u32) -> Chain {
        let reply = self.waiting.remove(&seq).unwrap_or_default();
        self.waiting_bytes -= reply.len();
        reply
    }

    /// Adds what leaves next, behind what stands before it. Says false when there is no memory for that.
    #[must_use]
    pub(super) fn put(&mut self, before: Vec<u8>, reply: Chain) -> bool {
        self.ready.push(before);
        self.ready.splice(reply);
        !self.ready.is_broken()
    }

    /// What leaves next. Says as well whether that was all there is.
    pub(super) fn take(&mut self) -> (Chain, bool) {
        let ready = std::mem::take(&mut self.ready);
        (ready, self.waiting.is_empty())
    }

    /// Bytes of replies.
    pub(crate) fn bytes(&self) -> usize {
        self.ready.len() + self.waiting_bytes
    }

    /// Bytes on the heap, about, and in how many pieces.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let chains = || self.waiting.values().chain(std::iter::once(&self.ready));
        let bytes = chains().map(Chain::memory_bytes).sum::<usize>();
        let pieces = chains().flat_map(Chain::pieces);
        let pieces = pieces.filter(|piece| !piece.is_empty()).count();
        (size_of::<Self>() + bytes, pieces)
    }
}
