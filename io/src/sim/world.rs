//! `World`: clock, dice, network, shards and disk of one simulation, and who runs next.
//!
//! The driver of a test calls `step` in a loop and runs what it names; everything that would be
//! chance on a real machine is drawn from the seed. Invariants: the clock never goes back; the same
//! seed and the same calls give the same run, byte for byte (`trace_hash` tells); a shard that has
//! nothing to do is not named, so a lost wake-up ends in `Step::Idle` with requests unanswered.

use std::cell::{Ref, RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::rc::Rc;

use super::client::SimClient;
use super::disk::SimDisk;
use super::env::SimEnv;
use super::faults::Faults;
use super::link::{Link, Stage};
use super::pipe::Medium;
use super::prng::Prng;
use super::shard::Shard;
use super::trace::{Stats, Trace, TraceEntry, TraceKind};
use crate::env::Peer;

/// What comes next in a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// This shard may run: one phase of its turn.
    Shard(usize),
    /// The clock moved: something may have arrived at a client, or an alarm rang.
    Time,
    /// Nothing will ever happen again unless a client acts.
    Idle,
}

/// Everything in a world but the disk's content.
pub(super) struct State {
    pub(super) now: u64,
    pub(super) wall_offset_us: i64,
    pub(super) prng: Prng,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) stats: Stats,
    pub(super) shards: Vec<Shard>,
    /// All connections ever made; what is over keeps no buffers.
    pub(super) links: Vec<Link>,
    /// Buffers for `Env::buffer`.
    pub(super) spare: Vec<Vec<u8>>,
    /// For lists that live no longer than one call.
    pub(super) scratch: Vec<u32>,
    /// The connections that may still bring something to their client.
    current: Vec<u32>,
    alarms: BinaryHeap<Reverse<u64>>,
    /// Decisions of the test come from a stream of their own, so that they do not depend on how
    /// often the code under test draws.
    choices: Prng,
    /// Seeds of the shards' own streams.
    seeds: Prng,
}

/// A simulated world. Clones are handles to the same one.
#[derive(Clone)]
pub struct World {
    state: Rc<RefCell<State>>,
    disk: SimDisk,
}

impl State {
    /// Moves the clock, never back.
    pub(super) fn move_clock(&mut self, to: u64) {
        self.now = self.now.max(to);
        self.trace.set_now(self.now);
    }

    /// Acts on one connection.
    pub(super) fn with_link<T>(
        &mut self,
        id: u32,
        act: impl FnOnce(&mut Link, &mut Medium<'_>) -> T,
    ) -> T {
        let Self {
            now,
            prng,
            faults,
            stats,
            trace,
            links,
            ..
        } = self;
        let mut medium = Medium {
            now: *now,
            prng,
            faults,
            stats,
            trace,
        };
        act(&mut links[id as usize], &mut medium)
    }

    /// When a shard runs next, perhaps in the past.
    fn runs_at(&self, shard: &Shard) -> Option<u64> {
        shard.runs_at(|| shard.links_due(&self.links, self.faults.chunks_max, self.now))
    }

    fn is_runnable(&self, shard: usize) -> bool {
        let runs_at = self.shards.get(shard).and_then(|shard| self.runs_at(shard));
        runs_at.is_some_and(|at| at <= self.now)
    }

    /// The first moment after now at which anything happens.
    fn next_moment(&self) -> Option<u64> {
        let shards = self.shards.iter().filter_map(|shard| self.runs_at(shard));
        let clients = self
            .current
            .iter()
            .filter_map(|&id| self.links[id as usize].client_next_after(self.now));
        let alarms = self.alarms.peek().map(|alarm| alarm.0);
        shards
            .filter(|&at| at > self.now)
            .chain(clients)
            .chain(alarms)
            .min()
    }

    /// Moves the clock to the next moment; false when there is none.
    fn advance(&mut self) -> bool {
        let now = self.now;
        let links = &mut self.links;
        self.current.retain(|&id| !links[id as usize].is_over(now));
        let Some(next) = self.next_moment() else {
            return false;
        };
        self.move_clock(next);
        self.ring_alarms();
        self.trace.note(TraceKind::Advance, 0, 0, 0);
        true
    }

    fn ring_alarms(&mut self) {
        while self.alarms.peek().is_some_and(|alarm| alarm.0 <= self.now) {
            self.alarms.pop();
        }
    }

    /// A random one of the shards that may run.
    fn pick(&mut self) -> Option<usize> {
        let mut runnable = std::mem::take(&mut self.scratch);
        runnable.clear();
        runnable.extend((0..self.shards.len() as u32).filter(|&n| self.is_runnable(n as usize)));
        let mut picked = None;
        while picked.is_none() && !runnable.is_empty() {
            let place = self.prng.index(runnable.len());
            let shard = runnable.swap_remove(place) as usize;
            if self.prng.chance(self.faults.stall_ppm) {
                let until = self.now + self.prng.within(self.faults.stall_ns);
                self.stall(shard, until);
            } else {
                self.trace
                    .note(TraceKind::Choose, shard as u64, runnable.len() as u64, 1);
                picked = Some(shard);
            }
        }
        self.scratch = runnable;
        picked
    }

    fn stall(&mut self, shard: usize, until: u64) {
        self.stats.stalls += 1;
        self.trace.note(TraceKind::Stall, shard as u64, until, 0);
        let shard = &mut self.shards[shard];
        shard.held_until = shard.held_until.max(until);
    }

    fn connect(&mut self, shard: usize, peer: Option<Peer>) -> u32 {
        let id = self.links.len() as u32;
        let peer = peer.unwrap_or_else(|| Peer::Tcp {
            remote: SocketAddr::from(([10, 0, (id >> 14) as u8, 1], 10_000 + (id % 50_000) as u16)),
            local: SocketAddr::from(([127, 0, 0, 1], 6_379)),
        });
        self.trace
            .note(TraceKind::Connect, u64::from(id), shard as u64, 0);
        let Self {
            now,
            prng,
            faults,
            stats,
            trace,
            ..
        } = self;
        let mut medium = Medium {
            now: *now,
            prng,
            faults,
            stats,
            trace,
        };
        let mut link = Link::connect(u64::from(id), peer, &mut medium);
        match self.shards.get_mut(shard).filter(|shard| shard.listening) {
            Some(shard) => shard.links.push(id),
            None => link.refuse(&mut medium),
        }
        self.links.push(link);
        self.current.push(id);
        id
    }

    /// Ends a shard's reactor. `tell`: the kernel lives on and ends the connections in good order.
    fn stop_shard(&mut self, shard: usize, tell: bool) {
        for id in self.shards[shard].stop() {
            self.with_link(id, |link, medium| match link.stage() {
                Stage::Gone => {}
                Stage::Arriving(_) => link.refuse(medium),
                _ if tell => link.abort(medium),
                _ => link.refuse(medium),
            });
        }
    }
}

impl World {
    /// The world of this seed under these faults.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut prng = Prng::new(seed);
        let (choices, seeds) = (prng.fork(), prng.fork());
        let trace = Trace::default();
        let disk = SimDisk::with_trace(prng.fork(), faults.disk.clone(), trace.clone());
        let state = State {
            now: 0,
            wall_offset_us: 0,
            prng,
            faults,
            trace,
            stats: Stats::default(),
            shards: Vec::new(),
            links: Vec::new(),
            spare: Vec::new(),
            scratch: Vec::new(),
            current: Vec::new(),
            alarms: BinaryHeap::new(),
            choices,
            seeds,
        };
        Self {
            state: Rc::new(RefCell::new(state)),
            disk,
        }
    }

    /// The world of this seed under the faults of this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self::new(seed, Faults::from_seed(&mut Prng::new(!seed)))
    }

    pub(super) fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    pub(super) fn state_mut(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    // ---- shards and clients ----------------------------------------------------------------

    /// Starts a shard: its environment, over the world's own disk.
    ///
    /// # Panics
    /// When the shard runs already.
    #[must_use]
    pub fn env(&self, shard: usize) -> SimEnv {
        self.env_with_disk(shard, self.disk.clone())
    }

    /// As `env`, over another disk: a shard of another machine.
    ///
    /// # Panics
    /// When the shard runs already.
    #[must_use]
    pub fn env_with_disk(&self, shard: usize, disk: SimDisk) -> SimEnv {
        let mut state = self.state_mut();
        while state.shards.len() <= shard {
            let prng = state.seeds.fork();
            state.shards.push(Shard::new(prng));
        }
        let place = &mut state.shards[shard];
        assert!(!place.alive, "shard {shard} runs already");
        place.start();
        SimEnv::new(self.clone(), shard, place.epoch, disk)
    }

    /// Connects a client to a shard's listener. Where nobody listens, it finds a reset.
    #[must_use]
    pub fn connect(&self, shard: usize) -> SimClient {
        let link = self.state_mut().connect(shard, None);
        SimClient::new(self.clone(), link, shard)
    }

    /// Connects a client of this address.
    #[must_use]
    pub fn connect_from(&self, shard: usize, peer: Peer) -> SimClient {
        let link = self.state_mut().connect(shard, Some(peer));
        SimClient::new(self.clone(), link, shard)
    }

    /// The disk shared by all shards.
    #[must_use]
    pub fn disk(&self) -> SimDisk {
        self.disk.clone()
    }

    /// An empty disk for another machine; it crashes only by its own `SimDisk::crash`.
    #[must_use]
    pub fn another_disk(&self) -> SimDisk {
        let mut state = self.state_mut();
        let prng = state.seeds.fork();
        SimDisk::with_trace(prng, state.faults.disk.clone(), state.trace.clone())
    }

    // ---- the scheduler ---------------------------------------------------------------------

    /// Who goes next: a random one of the shards that may run, or the clock.
    #[must_use]
    pub fn step(&self) -> Step {
        let mut state = self.state_mut();
        match state.pick() {
            Some(shard) => Step::Shard(shard),
            None if state.advance() => Step::Time,
            None => Step::Idle,
        }
    }

    /// Whether a shard may run now: in the middle of a turn, or asleep with a reason to wake up; and
    /// not stalled.
    #[must_use]
    pub fn runnable(&self, shard: usize) -> bool {
        self.state().is_runnable(shard)
    }

    /// Whether a shard's last `poll` found nothing to return for. Until it is runnable again, a real
    /// one would still be blocked in that call; call `poll` again then.
    #[must_use]
    pub fn asleep(&self, shard: usize) -> bool {
        self.state().shards.get(shard).is_some_and(Shard::is_asleep)
    }

    /// When the next thing happens after now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.state().next_moment()
    }

    /// Moves the clock to the next thing that happens; false when nothing ever will.
    pub fn advance_to_next(&self) -> bool {
        self.state_mut().advance()
    }

    /// Moves the clock on by so much.
    pub fn advance(&self, ns: u64) {
        let mut state = self.state_mut();
        let to = state.now.saturating_add(ns);
        state.move_clock(to);
        state.ring_alarms();
    }

    /// Makes the clock stop at this time, for a test that wants to act then.
    pub fn alarm(&self, at: u64) {
        let mut state = self.state_mut();
        if at > state.now {
            state.alarms.push(Reverse(at));
        }
    }

    /// Holds a shard's thread up until then.
    pub fn stall(&self, shard: usize, until: u64) {
        self.state_mut().stall(shard, until);
    }

    /// A decision of the test: a number below `n`, or 0.
    #[must_use]
    pub fn choose(&self, n: usize) -> usize {
        let mut state = self.state_mut();
        let chosen = state.choices.index(n);
        state
            .trace
            .note(TraceKind::Choose, chosen as u64, n as u64, 0);
        chosen
    }

    /// A decision of the test: true with this probability in parts per million.
    #[must_use]
    pub fn chance(&self, ppm: u32) -> bool {
        let mut state = self.state_mut();
        let hit = state.choices.chance(ppm);
        state
            .trace
            .note(TraceKind::Choose, u64::from(hit), u64::from(ppm), 2);
        hit
    }

    // ---- clock, record ---------------------------------------------------------------------

    /// The clock, in nanoseconds since the start of the world.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.state().now
    }

    /// Sets the wall clock forward or back, as an administrator or NTP does; the monotonic clock
    /// does not notice.
    pub fn step_wall_clock(&self, us: i64) {
        let mut state = self.state_mut();
        state.wall_offset_us = state.wall_offset_us.saturating_add(us);
    }

    /// A hash over all that has happened.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.state().trace.hash()
    }

    /// Keeps a record of what happens from now on, for the study of a failed seed.
    pub fn keep_trace(&self) {
        self.state().trace.keep_entries();
    }

    /// Takes the record kept so far.
    #[must_use]
    pub fn take_trace(&self) -> Vec<TraceEntry> {
        self.state().trace.take_entries()
    }

    /// How often what happened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    /// The faults of this world.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.state().faults.clone()
    }

    /// Changes the faults from now on, say to none for the end of a run. The disk's are its own:
    /// `SimDisk::set_faults`.
    pub fn set_faults(&self, faults: Faults) {
        self.state_mut().faults = faults;
    }

    // ---- ends ------------------------------------------------------------------------------

    /// Kills all shards (SIGKILL): connections end, the disk keeps what was written to it.
    /// Environments that still exist are dead; `env` starts the shards anew.
    pub fn kill_process(&self) {
        let mut state = self.state_mut();
        state.trace.note(TraceKind::Crash, 0, 0, 0);
        for shard in 0..state.shards.len() {
            state.stop_shard(shard, true);
        }
        self.disk.close_all();
    }

    /// Power failure: as `kill_process`, and the disk keeps only what a crash keeps.
    pub fn crash_machine(&self) {
        let mut state = self.state_mut();
        state.trace.note(TraceKind::Crash, 1, 0, 0);
        for shard in 0..state.shards.len() {
            state.stop_shard(shard, false);
        }
        self.disk.crash();
    }

    /// Makes the world's disk forget what a crash forgets.
    pub fn crash_disk(&self) {
        self.disk.crash();
    }

    /// A `SimEnv` was dropped. Does nothing during a panic that holds the state.
    pub(super) fn end_process(&self, shard: usize, epoch: u64) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            let place = &state.shards[shard];
            if place.alive && place.epoch == epoch {
                state.stop_shard(shard, true);
            }
        }
    }

    /// A `SimClient` was dropped. Does nothing during a panic that holds the state.
    pub(super) fn drop_client(&self, link: u32) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.with_link(link, Link::client_close);
        }
    }
}
