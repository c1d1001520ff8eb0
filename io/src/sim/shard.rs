//! `Shard`: what the world keeps about one shard's reactor: names of connections, sleep, wake-ups.
//!
//! Invariants: a name is valid from `Accepted` to `close` and never again, since its place counts a
//! generation on; a shard sleeps only between a `poll` that found nothing and the moment that ends
//! its `Wait`. Called by `world` and `reactor`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::prng::Prng;
use crate::env::{ConnId, Wait};

/// Receive buffers of one reactor: counts those held by the code above and reuses the others.
#[derive(Debug, Default)]
pub(super) struct ChunkPool {
    held: Cell<u32>,
    free: RefCell<Vec<Vec<u8>>>,
}

impl ChunkPool {
    /// How many chunks the code above holds.
    pub(super) fn held(&self) -> u32 {
        self.held.get()
    }

    /// An empty buffer, which counts as held.
    pub(super) fn take(&self) -> Vec<u8> {
        self.held.set(self.held.get() + 1);
        self.free.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        self.held.set(self.held.get().saturating_sub(1));
        buffer.clear();
        self.free.borrow_mut().push(buffer);
    }
}

/// A place in the slab of connections.
#[derive(Debug)]
struct Slot {
    generation: u32,
    link: Option<u32>,
}

/// How a shard's thread stands between two calls of `poll`.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    wait: Wait,
    /// A sleep that ends for no reason does so at this time.
    spurious_at: Option<u64>,
}

/// One shard's reactor.
#[derive(Debug)]
pub(super) struct Shard {
    /// Counts the reactors that have run as this shard; an older one is dead.
    pub(super) epoch: u64,
    /// A reactor exists for this shard now.
    pub(super) alive: bool,
    /// Connections are accepted.
    pub(super) listening: bool,
    /// The connections that are not over at the server's end, in no particular order.
    pub(super) links: Vec<u32>,
    /// Receive buffers.
    pub(super) chunks: Rc<ChunkPool>,
    /// For `Env::random`.
    pub(super) prng: Prng,
    /// The thread does not run before this time: `Env::sleep`, or a stall.
    pub(super) held_until: u64,
    /// How far `Env::sleep` has put this shard's own clock ahead of the world's.
    pub(super) clock_at: u64,
    /// Generations start here, so that the names of one shard or process mean nothing to another.
    first_generation: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    asleep: Option<Sleep>,
    woken_at: Option<u64>,
}

impl Shard {
    /// A shard without a reactor.
    pub(super) fn new(prng: Prng) -> Self {
        Self {
            epoch: 0,
            alive: false,
            listening: false,
            links: Vec::new(),
            chunks: Rc::default(),
            prng,
            held_until: 0,
            clock_at: 0,
            first_generation: 1,
            slots: Vec::new(),
            free: Vec::new(),
            asleep: None,
            woken_at: None,
        }
    }

    /// Starts a new reactor, awake, without connections.
    pub(super) fn start(&mut self) {
        self.epoch += 1;
        self.first_generation = 1 + self.prng.below(1 << 30) as u32;
        self.alive = true;
        self.listening = true;
        self.chunks = Rc::default();
        self.slots.clear();
        self.free.clear();
        self.asleep = None;
        self.woken_at = None;
        self.held_until = 0;
        self.clock_at = 0;
    }

    /// Ends the reactor. The connections are the caller's to end.
    pub(super) fn stop(&mut self) -> Vec<u32> {
        self.alive = false;
        self.listening = false;
        self.slots.clear();
        self.free.clear();
        std::mem::take(&mut self.links)
    }

    // ---- names -----------------------------------------------------------------------------

    /// Names a connection. The place freed last is used first, to show confusions soonest.
    pub(super) fn name(&mut self, link: u32) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: self.first_generation - 1,
                link: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.generation += 1;
        slot.link = Some(link);
        ConnId {
            index,
            generation: slot.generation,
        }
    }

    /// The connection of this name, if it still has one.
    pub(super) fn find(&self, conn: ConnId) -> Option<u32> {
        let slot = self.slots.get(conn.index as usize)?;
        slot.link.filter(|_| slot.generation == conn.generation)
    }

    /// Whether this reactor ever gave this name.
    pub(super) fn has_given(&self, conn: ConnId) -> bool {
        let slot = self.slots.get(conn.index as usize);
        slot.is_some_and(|slot| {
            (self.first_generation..=slot.generation).contains(&conn.generation)
        })
    }

    /// Frees a name and says which connection had it.
    pub(super) fn unname(&mut self, conn: ConnId) -> Option<u32> {
        let link = self.find(conn)?;
        self.slots[conn.index as usize].link = None;
        self.free.push(conn.index);
        Some(link)
    }

    // ---- sleep -----------------------------------------------------------------------------

    /// Makes `poll` return at that time, or sooner when a wake-up is already on its way: nothing
    /// tells one wake-up from two.
    pub(super) fn wake(&mut self, at: u64) {
        self.woken_at = Some(self.woken_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Uses up a wake-up that has come.
    pub(super) fn take_wake(&mut self, now: u64) -> bool {
        let woken = self.woken_at.is_some_and(|at| at <= now);
        if woken {
            self.woken_at = None;
        }
        woken
    }

    /// Whether the sleep ends now for no reason.
    pub(super) fn is_spurious(&self, now: u64) -> bool {
        let over = |sleep: Sleep| sleep.spurious_at.is_some_and(|at| at <= now);
        self.asleep.is_some_and(over)
    }

    /// Records that `poll` returned with something, or found nothing and sleeps on.
    pub(super) fn run_on(&mut self) {
        self.asleep = None;
    }

    /// Records that `poll` found nothing. A spurious moment set earlier in the same sleep stays.
    pub(super) fn fall_asleep(&mut self, wait: Wait, spurious_at: Option<u64>) {
        let spurious_at = self
            .asleep
            .and_then(|sleep| sleep.spurious_at)
            .or(spurious_at);
        self.asleep = Some(Sleep { wait, spurious_at });
    }

    /// Whether the last `poll` would still be blocked.
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }

    /// The shard's own clock.
    pub(super) fn now(&self, world_now: u64) -> u64 {
        world_now.max(self.clock_at)
    }

    /// When the thread can run next, given when its connections have something due. `None`: never,
    /// as things stand.
    pub(super) fn runs_at(&self, links_due: impl FnOnce() -> Option<u64>) -> Option<u64> {
        if !self.alive {
            return None;
        }
        let Some(sleep) = self.asleep else {
            return Some(self.held_until);
        };
        let deadline = match sleep.wait {
            Wait::Never => Some(0),
            Wait::Forever => None,
            Wait::Until(at) => Some(at),
        };
        [deadline, sleep.spurious_at, self.woken_at, links_due()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(self.held_until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_reused_under_another_name() {
        let mut shard = Shard::new(Prng::new(1));
        shard.start();
        let first = shard.name(10);
        assert_eq!(Some(10), shard.find(first));
        assert_eq!(Some(10), shard.unname(first));
        assert_eq!(None, shard.unname(first));
        let second = shard.name(11);
        assert_eq!(first.index, second.index);
        assert_ne!(first, second);
        assert_eq!(None, shard.find(first));
        assert_eq!(Some(11), shard.find(second));
        assert_eq!(
            None,
            shard.find(ConnId {
                index: 9,
                generation: 1
            })
        );
    }

    #[test]
    fn a_sleep_ends_at_the_first_cause() {
        let mut shard = Shard::new(Prng::new(1));
        assert_eq!(None, shard.runs_at(|| Some(0)));
        shard.start();
        assert_eq!(Some(0), shard.runs_at(|| None));
        shard.fall_asleep(Wait::Forever, None);
        assert_eq!(None, shard.runs_at(|| None));
        assert_eq!(Some(70), shard.runs_at(|| Some(70)));
        shard.fall_asleep(Wait::Until(50), None);
        assert_eq!(Some(50), shard.runs_at(|| Some(70)));
        shard.wake(30);
        shard.wake(40);
        assert_eq!(Some(30), shard.runs_at(|| Some(70)));
        shard.held_until = 60;
        assert_eq!(Some(60), shard.runs_at(|| Some(70)));
        assert!(!shard.take_wake(29));
        assert!(shard.take_wake(30));
        assert!(!shard.take_wake(30));
    }

    #[test]
    fn chunks_are_counted() {
        let pool = ChunkPool::default();
        let (a, _b) = (pool.take(), pool.take());
        assert_eq!(2, pool.held());
        pool.give_back(a);
        assert_eq!(1, pool.held());
    }
}
