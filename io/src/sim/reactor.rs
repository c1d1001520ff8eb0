//! The server's side of the network: what a `poll` does, and the calls that name a connection.
//!
//! Invariants: a `poll` first gives what was queued to the network and collects what has arrived, in
//! any order that keeps the order within each connection; a shard sleeps only when the `poll` had
//! nothing to return for. Called by `env`; the state belongs to `world`.

use super::env::SimChunk;
use super::link::{Input, Link, Stage};
use super::pipe::Medium;
use super::shard::Shard;
use super::trace::{TraceKind, hash_bytes};
use super::world::State;
use crate::env::{CloseMode, ConnId, Event, Hangup, Wait};
use std::rc::Rc;

/// A `poll` returns so many events at most, as a completion queue does.
const EVENTS_MAX: usize = 256;

impl Shard {
    /// When the earliest of its connections needs a `poll`.
    pub(super) fn links_due(&self, links: &[Link], chunks_max: u32, now: u64) -> Option<u64> {
        let buffers = self.chunks.held() < chunks_max;
        self.links
            .iter()
            .filter_map(|&id| {
                let link = &links[id as usize];
                match (link.input_due(buffers), link.output_due(now)) {
                    (Some(input), Some(output)) => Some(input.min(output)),
                    (input, output) => input.or(output),
                }
            })
            .min()
    }
}

impl State {
    /// One `poll` of a shard.
    pub(super) fn poll(&mut self, shard: usize, wait: Wait, events: &mut Vec<Event<SimChunk>>) {
        self.stats.polls += 1;
        let step_ns = self.prng.within(self.faults.step_ns);
        self.move_clock(self.now.saturating_add(step_ns));
        let before = events.len();

        // Whether sends or receives complete first is the kernel's affair.
        if self.faults.shuffle && self.prng.chance(500_000) {
            self.collect(shard, events);
            self.transmit(shard, events);
        } else {
            self.transmit(shard, events);
            self.collect(shard, events);
        }
        let Self { shards, links, .. } = self;
        shards[shard]
            .links
            .retain(|&id| links[id as usize].stage() != Stage::Gone);

        let count = events.len() - before;
        let asleep = self.settle(shard, wait, count > 0);
        self.trace.note(
            TraceKind::Poll,
            shard as u64,
            count as u64,
            u64::from(asleep),
        );
    }

    /// Decides whether the `poll` returns or the shard sleeps.
    fn settle(&mut self, shard: usize, wait: Wait, any_event: bool) -> bool {
        let Self {
            now,
            shards,
            prng,
            faults,
            stats,
            ..
        } = self;
        let (now, shard) = (*now, &mut shards[shard]);
        let woken = shard.take_wake(now);
        let spurious = shard.is_spurious(now);
        let over = match wait {
            Wait::Never => true,
            Wait::Forever => false,
            Wait::Until(at) => at <= shard.now(now),
        };
        if any_event || woken || spurious || over {
            stats.spurious += u64::from(!any_event && !woken && !over);
            shard.run_on();
            return false;
        }
        stats.sleeps += 1;
        let spurious_at = prng
            .chance(faults.spurious_ppm)
            .then(|| now + prng.within(faults.spurious_ns));
        shard.fall_asleep(wait, spurious_at);
        true
    }

    /// Gives what the shard has queued to the network.
    fn transmit(&mut self, shard: usize, events: &mut Vec<Event<SimChunk>>) {
        let Self {
            now,
            prng,
            faults,
            stats,
            trace,
            links,
            shards,
            spare,
            ..
        } = self;
        for &id in &shards[shard].links {
            let link = &mut links[id as usize];
            let mut medium = Medium {
                now: *now,
                prng,
                faults,
                stats,
                trace,
            };
            if link.transmit(spare, &mut medium) {
                stats.drained += 1;
                trace.note(TraceKind::Drained, u64::from(id), 0, 0);
                events.push(Event::Drained { conn: link.conn() });
            }
        }
    }

    /// Collects what has arrived, one event of a random connection at a time, and perhaps not all.
    fn collect(&mut self, shard: usize, events: &mut Vec<Event<SimChunk>>) {
        let mut due = std::mem::take(&mut self.scratch);
        due.clear();
        let (now, chunks_max) = (self.now, self.faults.chunks_max);
        let is_due = |link: &Link, shard: &Shard| {
            link.input_due(shard.chunks.held() < chunks_max)
                .is_some_and(|at| at <= now)
        };
        let home = &self.shards[shard];
        due.extend(
            home.links
                .iter()
                .filter(|&&id| is_due(&self.links[id as usize], home)),
        );
        for _ in 0..EVENTS_MAX {
            if due.is_empty() || self.prng.chance(self.faults.partial_poll_ppm) {
                break;
            }
            let place = if self.faults.shuffle {
                self.prng.index(due.len())
            } else {
                0
            };
            let id = due[place];
            // A chunk handed out for another connection may have been the last buffer.
            if is_due(&self.links[id as usize], &self.shards[shard]) {
                events.extend(self.input(shard, id));
            }
            if !is_due(&self.links[id as usize], &self.shards[shard]) {
                due.remove(place);
            }
        }
        self.scratch = due;
    }

    /// The next event of one connection.
    fn input(&mut self, shard: usize, id: u32) -> Option<Event<SimChunk>> {
        let Self {
            now,
            prng,
            faults,
            stats,
            trace,
            links,
            shards,
            ..
        } = self;
        let (link, home) = (&mut links[id as usize], &mut shards[shard]);
        let pool = Rc::clone(&home.chunks);
        let mut bytes = pool.take();
        let mut medium = Medium {
            now: *now,
            prng,
            faults,
            stats,
            trace,
        };
        let input = link.input(&mut bytes, &mut medium);
        // Dropped below, the chunk gives its buffer back.
        let chunk = SimChunk::new(bytes, pool);
        let conn = link.conn();
        match input? {
            Input::Accepted => {
                let conn = home.name(id);
                link.set_conn(conn);
                stats.accepted += 1;
                let (index, generation) = (u64::from(conn.index), u64::from(conn.generation));
                trace.note(TraceKind::Accepted, shard as u64, index, generation);
                Some(Event::Accepted {
                    conn,
                    peer: link.peer(),
                })
            }
            Input::Received => {
                stats.chunks += 1;
                stats.received_bytes += chunk.len() as u64;
                let hash = hash_bytes(&chunk);
                trace.note(TraceKind::Received, u64::from(id), chunk.len() as u64, hash);
                Some(Event::Received { conn, chunk })
            }
            Input::Closed(hangup) => {
                stats.closed += 1;
                let errno = match hangup {
                    Hangup::Eof => 0,
                    Hangup::Error(errno) => u64::from(errno.unsigned_abs()),
                };
                trace.note(TraceKind::Closed, u64::from(id), errno, 0);
                Some(Event::Closed { conn, hangup })
            }
        }
    }

    /// Acts on the connection of this name; counts the call when there is none.
    pub(super) fn with_conn(
        &mut self,
        shard: usize,
        conn: ConnId,
        act: impl FnOnce(&mut Link, &mut Medium<'_>),
    ) {
        match self.shards[shard].find(conn) {
            Some(id) => self.with_link(id, act),
            None => self.count_ignored(shard, conn),
        }
    }

    fn count_ignored(&mut self, shard: usize, conn: ConnId) {
        self.stats.ignored_calls += 1;
        self.stats.unknown_names += u64::from(!self.shards[shard].has_given(conn));
    }

    /// `Env::close`.
    pub(super) fn close(&mut self, shard: usize, conn: ConnId, mode: CloseMode) {
        let Some(id) = self.shards[shard].unname(conn) else {
            self.count_ignored(shard, conn);
            return;
        };
        let abort = u64::from(mode == CloseMode::Abort);
        self.trace.note(TraceKind::Close, u64::from(id), abort, 0);
        self.with_link(id, |link, medium| link.close(mode, medium));
    }

    /// `Env::stop_listening`: whoever was not accepted finds a reset.
    pub(super) fn stop_listening(&mut self, shard: usize) {
        self.shards[shard].listening = false;
        for place in 0..self.shards[shard].links.len() {
            let id = self.shards[shard].links[place];
            if let Stage::Arriving(_) = self.links[id as usize].stage() {
                self.with_link(id, |link, medium| link.refuse(medium));
            }
        }
    }
}
