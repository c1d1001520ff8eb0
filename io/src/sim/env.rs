//! `SimEnv`: the world as one simulated shard sees it; `SimChunk`: bytes it received.
//!
//! Invariants: `poll` never blocks. When it found nothing to return for, the shard counts as asleep
//! (`World::asleep`), and whoever drives the shard is to call `poll` again once
//! `World::runnable` says so, before any other code of the turn runs. To go on with the turn instead
//! is allowed too: it is then a return without an event, as `Env` permits at any time.
//! A `SimEnv` that is dropped, or whose world crashed, is a process that has ended.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use super::disk::SimDisk;
use super::shard::ChunkPool;
use super::trace::TraceKind;
use super::world::World;
use crate::env::{CloseMode, ConnId, Env, Event, Wait};
use crate::listener::Relisten;

/// The wall clock of every world starts here (2023-11-14), in microseconds since the Unix epoch.
const UNIX_START_US: u64 = 1_700_000_000_000_000;

/// Bytes received, in a buffer that goes back to the reactor when dropped.
pub struct SimChunk {
    bytes: Vec<u8>,
    pool: Rc<ChunkPool>,
}

impl SimChunk {
    /// Wraps a buffer taken from `pool`.
    pub(super) fn new(bytes: Vec<u8>, pool: Rc<ChunkPool>) -> Self {
        Self { bytes, pool }
    }
}

impl Deref for SimChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for SimChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimChunk({})", self.bytes.escape_ascii())
    }
}

impl Drop for SimChunk {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

/// One shard's environment in a simulated world.
pub struct SimEnv {
    world: World,
    shard: usize,
    epoch: u64,
    disk: SimDisk,
}

impl SimEnv {
    /// The environment of the reactor `epoch` of a shard.
    pub(super) fn new(world: World, shard: usize, epoch: u64, disk: SimDisk) -> Self {
        Self {
            world,
            shard,
            epoch,
            disk,
        }
    }

    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The world it is in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether the process of this environment still runs.
    fn is_alive(&self) -> bool {
        let state = self.world.state();
        let shard = &state.shards[self.shard];
        shard.alive && shard.epoch == self.epoch
    }
}

impl Env for SimEnv {
    type Chunk = SimChunk;
    type Disk = SimDisk;

    fn now(&self) -> u64 {
        let state = self.world.state();
        state.shards[self.shard].now(state.now)
    }

    fn stopwatch(&self) -> Box<dyn Fn() -> u64> {
        let (world, shard) = (self.world.clone(), self.shard);
        Box::new(move || {
            let state = world.state();
            state.shards[shard].now(state.now)
        })
    }

    fn unix_us(&self) -> u64 {
        let offset_us = self.world.state().wall_offset_us;
        (UNIX_START_US + self.now() / 1_000).saturating_add_signed(offset_us)
    }

    fn random(&mut self) -> u64 {
        self.world.state_mut().shards[self.shard].prng.bits()
    }

    /// The code that runs on sees its clock moved; the shard is not runnable until the world's clock
    /// has come as far.
    fn sleep(&mut self, time: Duration) {
        let mut state = self.world.state_mut();
        let now = state.now;
        let shard = &mut state.shards[self.shard];
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        shard.clock_at = shard.now(now).saturating_add(nanos);
        shard.held_until = shard.held_until.max(shard.clock_at);
    }

    fn poll(&mut self, wait: Wait, events: &mut Vec<Event<SimChunk>>) -> io::Result<()> {
        if !self.is_alive() {
            return Err(io::Error::other("this simulated process has ended"));
        }
        self.world.state_mut().poll(self.shard, wait, events);
        Ok(())
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.world.state_mut().spare.pop().unwrap_or_default()
    }

    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        if self.is_alive() && !bytes.is_empty() {
            self.world
                .state_mut()
                .with_conn(self.shard, conn, |link, _| link.queue(bytes));
        }
    }

    fn backlog(&self, conn: ConnId) -> usize {
        if !self.is_alive() {
            return 0;
        }
        let state = self.world.state();
        let link = state.shards[self.shard].find(conn);
        link.map_or(0, |link| state.links[link as usize].backlog())
    }

    fn pause(&mut self, conn: ConnId) {
        if self.is_alive() {
            self.world
                .state_mut()
                .with_conn(self.shard, conn, |link, medium| link.pause(medium));
        }
    }

    fn resume(&mut self, conn: ConnId) {
        if self.is_alive() {
            self.world
                .state_mut()
                .with_conn(self.shard, conn, |link, _| link.resume());
        }
    }

    fn close(&mut self, conn: ConnId, mode: CloseMode) {
        if self.is_alive() {
            self.world.state_mut().close(self.shard, conn, mode);
        }
    }

    fn relisten(&mut self, _: Relisten) {
        // There are no addresses here: whoever connects names a shard.
    }

    fn stop_listening(&mut self) {
        if self.is_alive() {
            self.world.state_mut().stop_listening(self.shard);
        }
    }

    fn wake(&mut self, shard: usize) {
        if !self.is_alive() {
            return;
        }
        let mut state = self.world.state_mut();
        assert!(
            shard < state.shards.len(),
            "wake of shard {shard}, which never was"
        );
        let sent_at = state.shards[self.shard].now(state.now);
        let bounds = state.faults.wake_delay_ns;
        let at = sent_at + state.prng.within(bounds);
        state.shards[shard].wake(at);
        state.stats.wakes += 1;
        state.trace.note(TraceKind::Wake, shard as u64, at, 0);
    }

    fn disk(&mut self) -> &mut SimDisk {
        &mut self.disk
    }
}

impl Drop for SimEnv {
    fn drop(&mut self) {
        self.world.end_process(self.shard, self.epoch);
    }
}
