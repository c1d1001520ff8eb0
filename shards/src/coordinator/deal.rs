//! Programs dealt out: each owner runs its own commands of a program over several shards, and the coordinator puts the replies together.
//!
//! The parts travel like those of MGET: they are put into the batches of one turn, so they have one position, and no other command can come between
//! them (docs/design/transactions.md). That needs no lock and no second message, but every command must have all its keys on one shard, and nothing may decide
//! whether the program runs: no watched key. What the log keeps has to be one record, so there a program that writes borrows its keys.

use std::sync::Arc;

use tessera_core::resp::{Chain, OUT_OF_MEMORY};

use crate::command::{Spread, Task};
use crate::coordinator::engine::{Asker, Engine, Submitted};
use crate::coordinator::gather::Merging;
use crate::coordinator::payload::{RAN, ReadyReplies, Replies, Said, put_reply, replies};
use crate::coordinator::plan::Plan;
use crate::coordinator::program::Program;
use crate::coordinator::route::Places;
use crate::coordinator::steps::{Step, Steps};
use crate::coordinator::work::Job;
use crate::mesh::{Origin, Parcel, Route};
use crate::shard::Shard;

impl<X> Engine<X> {
    /// The owner of each command, if the program can be dealt out.
    pub(super) fn hands(&self, program: &Program) -> Option<Vec<u16>> {
        if program.watcher.is_some() || program.is_bare {
            return None;
        }
        let owner = |step: &Step| {
            let row = &self.rows[usize::from(step.command)].row;
            let is_plain = matches!(
                row.spread,
                Spread::One | Spread::Borrow | Spread::Split { .. }
            );
            if !is_plain || self.keeps_until_recorded(step.command) {
                return None;
            }
            let places = Places::of(&row.spec, &step.args.args(), self.shards);
            places.single_owner().map(|owner| owner as u16)
        };
        program.steps.iter().map(owner).collect()
    }

    /// Gives each owner its commands.
    pub(super) fn deal(&mut self, asker: &Asker, program: Program, owners: Vec<u16>) -> Submitted {
        let mut shares: Vec<Steps> = vec![Steps::default(); self.shards];
        for (step, owner) in program.steps.into_steps().zip(&owners) {
            shares[usize::from(*owner)].push(step);
        }
        let waiting = shares.iter().filter(|share| !share.is_empty()).count();
        let gather = self.open_gather(asker, waiting, Merging::Program(owners));
        self.spans = true;
        let shares = shares.into_iter().enumerate();
        for (target, share) in shares.filter(|(_, share)| !share.is_empty()) {
            let origin = Origin {
                shard: self.id,
                route: Route::Gather(gather, target as u32),
            };
            let part = Program {
                steps: share,
                watched: Vec::new(),
                plan: None,
                ..program
            };
            self.hops += u64::from(target != self.id);
            let job = Job::Program(Box::new((origin, part)));
            self.out[target].parcel(Parcel::Job(job));
        }
        Submitted::Batched(self.id)
    }
}

/// Replies that a merge of a long program puts together between two looks at their size, per command of a slice of it.
const MERGED_PER_STEP: usize = 8;
/// Bytes of replies after which a slice of the merge ends.
const BYTES_PER_SLICE: usize = 1 << 18;

impl<X> Engine<X> {
    /// The same for a long program: each owner gets all commands, which nobody copies, and runs its own.
    pub(super) fn deal_long(
        &mut self,
        asker: &Asker,
        program: &Program,
        plan: &Arc<Plan>,
    ) -> Submitted {
        let waiting = plan.all_owners.len();
        let gather = self.open_gather(asker, waiting, Merging::Long(Arc::clone(plan)));
        self.spans = true;
        for target in &plan.all_owners {
            let origin = Origin {
                shard: self.id,
                route: Route::Gather(gather, *target as u32),
            };
            let part = Program {
                share: Some(*target as u16),
                ..program.clone()
            };
            self.hops += u64::from(*target != self.id);
            let job = Job::Program(Box::new((origin, part)));
            self.out[*target].parcel(Parcel::Job(job));
        }
        Submitted::Batched(self.id)
    }

    /// All owners have answered: puts their replies together, in slices.
    pub(super) fn merge_long(&mut self, origin: Origin, plan: Arc<Plan>, mut parts: Vec<Chain>) {
        let is_error = |part: &Chain| !part.is_empty() && part.first() != Some(RAN);
        if let Some(error) = parts.iter().position(is_error) {
            return self.answer_whole(origin, parts.swap_remove(error));
        }
        let parts = parts.into_iter();
        let task = LongMerge {
            plan,
            parts: parts.map(|part| replies(Said::Long(part))).collect(),
            merged: 0,
            ready: ReadyReplies::default(),
        };
        self.start_aside(origin, Box::new(task));
    }
}

/// The replies of a long program, as they come together.
struct LongMerge {
    plan: Arc<Plan>,
    /// What each shard said, as far as it has not been merged.
    parts: Vec<Replies<'static>>,
    /// Commands whose replies have been merged.
    merged: usize,
    ready: ReadyReplies,
}

impl Task for LongMerge {
    fn step(&mut self, _: &mut Shard, reply: &mut Chain) -> bool {
        let full = self.ready.replies.len() + BYTES_PER_SLICE;
        for _ in 0..self.plan.per_slice * MERGED_PER_STEP {
            let (Some(owner), Some(command)) = (
                self.plan.owners.get(self.merged),
                self.plan.commands.get(self.merged),
            ) else {
                reply.splice(std::mem::take(&mut self.ready).into_payload());
                return true;
            };
            let said = self.parts[usize::from(*owner)].next();
            let said = said.unwrap_or(Said::Short(OUT_OF_MEMORY));
            self.ready.note(*command, said.head());
            said.put(&mut self.ready.replies);
            self.merged += 1;
            if self.ready.replies.len() > full {
                break;
            }
        }
        false
    }
}

/// One payload of what the owners said, whose commands these are. What is no payload is an error, and the whole answer.
pub(super) fn merge_program(owners: &[u16], parts: Vec<Chain>) -> Chain {
    let is_error = |part: &Chain| !part.is_empty() && part.first() != Some(RAN);
    if let Some(error) = parts.iter().position(is_error) {
        return parts.into_iter().nth(error).unwrap_or_default();
    }
    let rests = parts.into_iter().map(|part| replies(Said::Long(part)));
    let mut rests: Vec<_> = rests.collect();
    let mut merged = Chain::from(vec![RAN]);
    for owner in owners {
        let reply = rests[usize::from(*owner)].next();
        put_reply(&mut merged, reply.unwrap_or(Said::Short(OUT_OF_MEMORY)));
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_in_the_order_of_the_commands() {
        let payload = |said: &[&[u8]]| {
            let mut payload = Chain::from(vec![RAN]);
            let replies = said.iter().map(|reply| Said::Short(reply));
            replies.for_each(|reply| put_reply(&mut payload, reply));
            payload
        };
        let parts = [
            payload(&[b":1\r\n", b":3\r\n"]),
            Chain::default(),
            payload(&[b":2\r\n"]),
        ];
        let merged = merge_program(&[0, 2, 0], parts.into());
        let expected = payload(&[b":1\r\n", b":2\r\n", b":3\r\n"]);
        assert_eq!(merged.into_bytes(), expected.into_bytes());
        let parts = vec![
            payload(&[b":1\r\n"]),
            Chain::default(),
            OUT_OF_MEMORY.to_vec().into(),
        ];
        assert_eq!(merge_program(&[0, 2], parts).into_bytes(), OUT_OF_MEMORY);
    }
}
