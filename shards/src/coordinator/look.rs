//! Looks at whole shards in slices, for a call that asks all shards (`Engine::ask_all`) and is answered when they are done: MEMORY KEYS.

use smallvec::smallvec;
use tessera_core::resp::Chain;

use crate::coordinator::Engine;
use crate::coordinator::engine::Running;
use crate::coordinator::work::{Begin, Work};
use crate::mesh::Origin;

impl<X> Engine<X> {
    /// Begins a look at the whole shard, for a call of `ask_all` that is answered when its slices are done. Like a command over all keys it waits
    /// until no key is locked.
    pub fn look_in_slices(&mut self, origin: Origin, command: u16, begin: Begin) {
        if self.locks.is_shut() || !self.locks.is_free() {
            let look = Work::Look(origin, command, begin);
            self.locks.gate.push_back(look);
        } else {
            self.begin_look(origin, command, begin);
        }
    }

    pub(super) fn begin_look(&mut self, origin: Origin, command: u16, begin: Begin) {
        let begun = self.meter.begin(true);
        let task = begin(&mut self.shard);
        self.meter
            .suspend(smallvec![(command, 1)], None, None, begun);
        let spent = self.meter.resume();
        self.running.push(Running {
            origin,
            again: None,
            task,
            reply: Chain::default(),
            lock: None,
            borrowed: Vec::new(),
            spent,
            tracker: None,
            unit: None,
            record: None,
        });
    }
}
