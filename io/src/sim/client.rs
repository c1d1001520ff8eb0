//! `SimClient`: the client's end of a simulated connection, in the hands of a test.
//!
//! No call blocks and none moves the clock: `send` queues whatever is given and the network takes it
//! as there is room, `received` gives what has arrived by now. Dropping a client closes it.

use std::fmt;

use super::link::Link;
use super::pipe::Medium;
use super::trace::TraceKind;
use super::world::World;
use crate::env::Hangup;

/// A simulated client's connection.
pub struct SimClient {
    world: World,
    link: u32,
    shard: usize,
}

impl SimClient {
    /// The client's end of a link.
    pub(super) fn new(world: World, link: u32, shard: usize) -> Self {
        Self { world, link, shard }
    }

    /// The shard it is connected to.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Names the connection in the trace.
    #[must_use]
    pub fn link(&self) -> u32 {
        self.link
    }

    fn act<T>(&self, act: impl FnOnce(&mut Link, &mut Medium<'_>) -> T) -> T {
        self.world.state_mut().with_link(self.link, act)
    }

    fn look<T>(&self, look: impl FnOnce(&Link, u64) -> T) -> T {
        let state = self.world.state();
        look(&state.links[self.link as usize], state.now)
    }

    fn note_end(&self, how: u64) {
        self.world
            .state()
            .trace
            .note(TraceKind::ClientEnd, u64::from(self.link), how, 0);
    }

    /// Sends bytes. What the network cannot take yet waits at the client; on a connection that is
    /// closed they are lost.
    pub fn send(&mut self, bytes: &[u8]) {
        self.act(|link, medium| link.client_send(bytes, medium));
    }

    /// Bytes given to `send` which the network has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.look(|link, _| link.unsent())
    }

    /// How many bytes have arrived and not been taken. 0 while not reading.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.look(Link::readable)
    }

    /// Takes the bytes that have arrived by now.
    #[must_use]
    pub fn received(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.receive_into(&mut bytes);
        bytes
    }

    /// As `received`, to the end of `out`; says how many bytes.
    pub fn receive_into(&mut self, out: &mut Vec<u8>) -> usize {
        self.act(|link, medium| link.client_receive(out, medium))
    }

    /// Reads nothing until `start_reading`: the server's replies fill the buffers.
    pub fn stop_reading(&mut self) {
        self.act(|link, _| link.set_reading(false));
    }

    /// Reads again.
    pub fn start_reading(&mut self) {
        self.act(|link, _| link.set_reading(true));
    }

    /// Sends an end of file after all that was given to `send`, and reads on.
    pub fn shutdown(&mut self) {
        self.note_end(0);
        self.act(Link::client_shutdown);
    }

    /// Closes. What the network has not taken yet is lost, so a command may be cut in the middle.
    /// When replies have arrived unread, the server finds a reset, as with Linux.
    pub fn close(&mut self) {
        self.note_end(1);
        self.act(Link::client_close);
    }

    /// Resets: bytes on their way, and those the server has not read, are lost.
    pub fn reset(&mut self) {
        self.note_end(2);
        self.act(Link::client_reset);
    }

    /// Whether the connection is over for the client: closed by itself, or an end of file (with all
    /// before it taken) or a reset found by now.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.look(|link, now| link.is_client_done() || link.client_hangup(now).is_some())
    }

    /// How the server or the network ended the connection, once everything before is taken.
    #[must_use]
    pub fn hangup(&self) -> Option<Hangup> {
        self.look(Link::client_hangup)
    }
}

impl fmt::Debug for SimClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimClient({} at shard {})", self.link, self.shard)
    }
}

impl Drop for SimClient {
    fn drop(&mut self) {
        self.world.drop_client(self.link);
    }
}
