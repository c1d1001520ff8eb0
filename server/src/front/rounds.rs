//! What a shard does in slices for somebody who asked all shards: look at all its clients, or at all its keys.
//!
//! A call (`Parcel::Call`) leaves it in `Front::look`; the shard that asked gets its answer when the last slice has run. The first one runs at once, so
//! what is small is answered in the same turn. Keys are the engine's (`Engine::look_in_slices`); the rounds over clients are stepped here.

use std::ops::Range;

use tessera_shards::coordinator::Begin;
use tessera_shards::mesh::Origin;

use crate::front::Front;

/// Does a slice and says whether that was the last; what it has to say is appended to the buffer.
pub(crate) type RoundFn = Box<dyn FnMut(&mut Front, &mut Vec<u8>) -> bool>;

/// What a call goes on with.
pub(crate) enum Look {
    /// Over all keys; the number of the command that it is counted under.
    Keys(u16, Begin),
    /// Over all clients, or anything else that the front end has.
    Front(RoundFn),
}

/// One of the second kind, under way.
pub(crate) struct Round {
    origin: Origin,
    step: RoundFn,
    said: Vec<u8>,
}

/// The places of clients, some at a time.
#[derive(Debug, Default)]
pub(crate) struct Places {
    next: usize,
}

impl Places {
    /// The next `count` places, and whether they are the last. Who connects meanwhile may be left out.
    pub(crate) fn take(&mut self, front: &Front, count: usize) -> (Range<usize>, bool) {
        let end = front.clients.places().min(self.next + count);
        let range = self.next.min(end)..end;
        self.next = end;
        (range, end == front.clients.places())
    }
}

impl Front {
    /// Answers a call, now or when what it has left is done.
    pub(super) fn conclude_call(&mut self, origin: Origin, said: Vec<u8>) {
        match self.look.take() {
            None => self.engine.answer_call(origin, &said),
            Some(Look::Keys(command, begin)) => self.engine.look_in_slices(origin, command, begin),
            Some(Look::Front(step)) => {
                let round = Round { origin, step, said };
                self.step_round(round);
            }
        }
    }

    fn step_round(&mut self, mut round: Round) {
        let begun = self.engine.meter.begin(true);
        let is_done = (round.step)(self, &mut round.said);
        self.engine.meter.other(begun);
        if is_done {
            self.engine.answer_call(round.origin, &round.said);
        } else {
            self.rounds.push(round);
        }
    }

    /// Gives each round a slice.
    pub(super) fn step_rounds(&mut self) {
        if self.rounds.is_empty() {
            return;
        }
        for round in std::mem::take(&mut self.rounds) {
            self.step_round(round);
        }
        self.deliver_local();
    }
}
