//! This shard's part of a round that moves entries out of sparsely used memory: a slice, a pause, a slice. Where memory is sparse is measured against the
//! average, which rises as entries move together, so a round has as many passes as move something.

use tessera_io::allocator::{Sparseness, without_cache};

use crate::front::Front;

/// Time between two slices, which take about a third of a millisecond.
const PAUSE_NS: u64 = 1_000_000;
/// While more than one entry in this many is moved by a pass, another one follows.
const MOVED_ONE_IN: usize = 50;
/// Time after the last command at which the allocator is looked at once more.
const LOOK_NS: u64 = 1_000_000_000;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Defrag {
    /// `None` if the allocator cannot tell.
    sparseness: Option<Sparseness>,
    /// Rounds that were made, or passed over.
    rounds: u64,
    /// Entries of this pass that were looked at, and those that were moved.
    examined: usize,
    moved: usize,
    next_ns: u64,
    /// When the allocator is to be looked at, and the commands counted then.
    look_ns: u64,
    commands: u64,
}

impl Default for Defrag {
    fn default() -> Self {
        Defrag {
            sparseness: Sparseness::new(),
            rounds: 0,
            examined: 0,
            moved: 0,
            next_ns: 0,
            look_ns: u64::MAX,
            commands: 0,
        }
    }
}

impl Front {
    /// When there is something to do for this, if there is.
    pub(super) fn next_defrag_ns(&self) -> u64 {
        if self.shared.fragmentation.round() > self.defrag.rounds {
            self.defrag.next_ns.max(self.now_ns)
        } else {
            self.defrag.look_ns
        }
    }

    /// Looks at the allocator when commands have changed something, and runs a slice while a round goes on.
    pub(super) fn defragment(&mut self) {
        if self.counters.commands != self.defrag.commands && self.defrag.look_ns == u64::MAX {
            self.defrag.commands = self.counters.commands;
            self.defrag.look_ns = self.now_ns + LOOK_NS;
        }
        if self.now_ns >= self.defrag.look_ns {
            self.defrag.look_ns = u64::MAX;
            if self.shared.fragmentation.weigh(&self.config, self.now_ns) {
                self.wake_all();
            }
        }
        let round = self.shared.fragmentation.round();
        if round > self.defrag.rounds && self.now_ns >= self.defrag.next_ns {
            self.defrag_slice(round);
        }
    }

    fn defrag_slice(&mut self, round: u64) {
        let Some(sparseness) = self.defrag.sparseness.filter(|_| self.config.defrag) else {
            self.defrag.rounds = round;
            return;
        };
        self.defrag.next_ns = self.now_ns + PAUSE_NS;
        if self.engine.is_away() {
            return;
        }
        let begun = self.engine.meter.begin(true);
        let shard = &mut self.engine.shard;
        let is_sparse = |ptr: *const u8| sparseness.is_sparse(ptr);
        let stats = without_cache(|| shard.defrag_slice(&mut |part| part.is_sparse(is_sparse)));
        self.engine.meter.other(begun);
        self.counters.defrag_hits += stats.moved as u64;
        self.counters.defrag_misses += (stats.examined - stats.moved) as u64;
        self.defrag.examined += stats.examined;
        self.defrag.moved += stats.moved;
        if !stats.wrapped {
            return;
        }
        let moved = std::mem::take(&mut self.defrag.moved);
        if moved * MOVED_ONE_IN < std::mem::take(&mut self.defrag.examined) {
            self.defrag.rounds = round;
            // What this pass has changed is looked at when the pages have gone back.
            self.defrag.look_ns = self.now_ns + 10 * LOOK_NS;
        }
    }

    /// Other shards may sleep.
    fn wake_all(&mut self) {
        for target in 0..self.shared.mesh.shards() {
            if target != self.id && self.shared.mesh.must_wake(target) {
                self.counters.wakes += 1;
                self.wakes.push(target);
            }
        }
    }
}
