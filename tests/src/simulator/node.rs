//! `Node`: a whole server in a simulated world: its shards' drivers, each somewhere in its turn.
//!
//! The scheduler names a shard and the shard does one piece of its turn, so that the pieces of different shards
//! interleave in every way in which threads could. What threads see of each other are the inboxes and the
//! wake-ups, so a piece is what lies between two touches of those: the announcement of sleep, the poll, the
//! drain, the serving, every batch that is appended alone, the flush of those that are appended together.

use std::sync::Arc;

use tessera_core::slot::{SLOTS, key_slot};
use tessera_io::Wait;
use tessera_io::sim::{Bounds, Prng, SimEnv, World};
use tessera_server::config::{Config, Events};
use tessera_server::driver::Driver;
use tessera_server::front::{Front, LongPrograms};
use tessera_server::shared::Shared;
use tessera_shards::shard::event::class;

/// The shard that owns a key: slots in ranges of equal length.
#[must_use]
pub fn owner(key: &[u8], shards: usize) -> usize {
    usize::from(key_slot(key)) * shards / usize::from(SLOTS)
}

/// What a shard does next.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Announces that it is about to sleep.
    Doze,
    /// Polls, or sleeps in the poll.
    Poll(Wait),
    /// Takes its inbox.
    Drain,
    /// Serves its clients.
    Serve,
    /// Appends batches one by one, from this target on, then flushes what is left.
    Flush(usize),
    /// Appends replies one by one, from this target on, then settles.
    Settle(usize),
}

/// One shard.
pub struct Seat {
    /// Its driver.
    pub driver: Driver<SimEnv>,
    phase: Phase,
}

/// How the shards of a node differ from the real ones, for the tests of the judges.
#[derive(Clone, Copy, Default)]
pub struct Tampering {
    /// Breaks a front before it starts.
    pub front: Option<fn(&mut Front)>,
    /// Rule 1: serves before it drains.
    pub serves_first: bool,
}

/// A server.
pub struct Node {
    /// What its shards share.
    pub shared: Arc<Shared>,
    /// Its shards.
    pub seats: Vec<Seat>,
    prng: Prng,
    phase_ns: Bounds,
    serves_first: bool,
}

impl Seat {
    /// Whether a batch waits for a target from this one on; which.
    fn batch_from(&self, from: usize, shards: usize) -> Option<usize> {
        let front = &self.driver.front;
        (from..shards).find(|&target| target != front.id && front.engine.has_batch(target))
    }
}

impl Node {
    /// A node of so many shards, all about to begin their first turn. `tells`: of what happens to keys.
    #[must_use]
    pub fn new(
        world: &World,
        shards: usize,
        phase_ns: Bounds,
        mut prng: Prng,
        (tampering, tells): (Tampering, bool),
    ) -> Self {
        let config = Config {
            // What the allocator says is not the seed's.
            defrag: false,
            protected_mode: false,
            notify_events: Events(if tells {
                class::ALL | class::KEYSPACE
            } else {
                0
            }),
            ..Config::default()
        };
        let shared = Arc::new(Shared::new(config, shards));
        let hash_seed = prng.bits();
        // In half of the runs short transactions are taken for long ones, which are planned ahead and go on in slices.
        let long_programs = if prng.bits() & 1 == 0 {
            LongPrograms::default()
        } else {
            LongPrograms {
                from: 2,
                per_slice: 1 + prng.bits() as usize % 3,
            }
        };
        let seat = |id: usize| {
            let mut front = Front::new(id, Arc::clone(&shared), hash_seed, prng.bits());
            front.long_programs = long_programs;
            if let Some(tamper) = tampering.front {
                tamper(&mut front);
            }
            Seat {
                driver: Driver::new(front, world.env(id)),
                phase: Phase::Doze,
            }
        };
        Self {
            seats: (0..shards).map(seat).collect(),
            shared,
            prng,
            phase_ns,
            serves_first: tampering.serves_first,
        }
    }

    /// Does one piece of a shard's turn.
    ///
    /// # Errors
    /// When its reactor fails, which a simulated one does not.
    pub fn step(&mut self, shard: usize, world: &World) -> std::io::Result<()> {
        world.advance(self.prng.within(self.phase_ns));
        let shards = self.seats.len();
        let seat = &mut self.seats[shard];
        let driver = &mut seat.driver;
        let (after_poll, after_drain, after_serve) = if self.serves_first {
            (Phase::Serve, Phase::Flush(0), Phase::Drain)
        } else {
            (Phase::Drain, Phase::Serve, Phase::Flush(0))
        };
        seat.phase = match seat.phase {
            Phase::Doze => Phase::Poll(driver.front.wait()),
            Phase::Poll(wait) => {
                driver.reap(wait)?;
                if world.asleep(shard) {
                    Phase::Poll(wait)
                } else {
                    driver.begin();
                    after_poll
                }
            }
            Phase::Drain => {
                driver.drain();
                after_drain
            }
            Phase::Serve => {
                driver.serve();
                after_serve
            }
            Phase::Flush(from) => {
                let is_together = driver.front.engine.spans();
                match seat.batch_from(from, shards).filter(|_| !is_together) {
                    Some(target) => {
                        seat.driver.front.append_to(target);
                        Phase::Flush(target + 1)
                    }
                    None => {
                        seat.driver.flush();
                        Phase::Settle(0)
                    }
                }
            }
            Phase::Settle(from) => match seat.batch_from(from, shards) {
                Some(target) => {
                    seat.driver.front.append_to(target);
                    Phase::Settle(target + 1)
                }
                None => {
                    seat.driver.settle();
                    Phase::Doze
                }
            },
        };
        Ok(())
    }

    /// Whether all shards sleep and have nothing left to do.
    #[must_use]
    pub fn is_at_rest(&self, world: &World) -> bool {
        self.seats.iter().enumerate().all(|(shard, seat)| {
            let is_idle = world.asleep(shard) && !world.runnable(shard);
            is_idle && !self.shared.mesh.has_mail(shard) && seat.driver.front.engine.is_quiet()
        })
    }

    /// Where each shard stands, for a report.
    #[must_use]
    pub fn situation(&self, world: &World) -> String {
        let line = |(shard, seat): (usize, &Seat)| {
            let front = &seat.driver.front;
            format!(
                "  shard{shard}: {:?}{}{}{}, {} clients\n",
                seat.phase,
                if world.asleep(shard) { ", asleep" } else { "" },
                if self.shared.mesh.has_mail(shard) {
                    ", has mail"
                } else {
                    ""
                },
                if front.engine.is_quiet() {
                    ""
                } else {
                    ", has work under way"
                },
                front.clients.len(),
            )
        };
        self.seats.iter().enumerate().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_follow_the_hash_tag_and_cover_all_shards() {
        assert_eq!(owner(b"{t}1", 5), owner(b"{t}2", 5));
        let owners: Vec<usize> = (0..200)
            .map(|n| owner(format!("k{n}").as_bytes(), 3))
            .collect();
        assert!((0..3).all(|shard| owners.contains(&shard)));
        assert!(owners.iter().all(|owner| *owner < 3));
    }
}
