//! What has to wait: its own copy of everything that is needed to run it later.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::command::{Task, Words};
use crate::coordinator::claim::Claim;
use crate::coordinator::engine::Engine;
use crate::coordinator::plan::Plan;
use crate::coordinator::program::Program;
use crate::coordinator::steps::{Step, Steps};
use crate::coordinator::whole::WholeParcel;
use crate::mesh::{Origin, Parcel, RequestHead};
use crate::shard::Shard;
use crate::shard::tracking::Tracker;

impl<X> Engine<X> {
    /// Whether a turn without messages or requests would still find work.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.running.is_empty()
            || !self.again.is_empty()
            || !self.woken.is_empty()
            || !self.whole_runs.is_empty()
    }
}

/// A request with its own arguments.
#[derive(Clone, Debug)]
pub struct Parked {
    pub(super) head: RequestHead,
    pub(super) args: Words,
    /// Of a blocking command: the right to answer it.
    pub(super) claim: Option<Claim>,
    /// How often it has begun and found keys missing.
    pub(super) tries: u8,
}

impl Parked {
    /// `None` if there is no memory for the arguments.
    pub(super) fn new(head: &RequestHead, args: &[&[u8]]) -> Option<Self> {
        Some(Parked {
            head: *head,
            args: Words::of(args)?,
            claim: None,
            tries: 0,
        })
    }

    /// One that waits if it finds nothing.
    pub(super) fn blocking(head: &RequestHead, args: &[&[u8]], claim: Claim) -> Option<Self> {
        Some(Parked {
            claim: Some(claim),
            ..Self::new(head, args)?
        })
    }

    /// The same as a program that looks at whole shards.
    pub(super) fn into_program(self) -> (Origin, Program) {
        let program = Program {
            steps: Steps::from_iter([Step {
                command: self.head.command,
                db: self.head.db,
                args: self.args,
            }]),
            proto: self.head.proto,
            no_touch: self.head.no_touch,
            is_bare: true,
            tracker: self.head.tracker,
            watcher: None,
            watched: Vec::new(),
            plan: None,
            share: None,
        };
        (self.head.origin, program)
    }

    pub(super) fn args(&self) -> SmallVec<[&[u8]; 8]> {
        self.args.args()
    }
}

/// What runs under one lock.
#[derive(Clone, Debug)]
pub enum Job {
    /// A command.
    Command(Parked),
    /// Several commands as one, and who waits for the payload.
    Program(Box<(Origin, Program)>),
}

impl Job {
    /// Who waits for the reply.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Job::Command(parked) => parked.head.origin,
            Job::Program(program) => program.0,
        }
    }

    /// What is known of it, if it is a long program.
    pub(super) fn plan(&self) -> Option<&Arc<Plan>> {
        match self {
            Job::Command(_) => None,
            Job::Program(program) => program.1.plan.as_ref(),
        }
    }

    /// The client, if it tracks keys.
    pub(super) fn tracker(&self) -> Option<Tracker> {
        match self {
            Job::Command(parked) => parked.head.tracker,
            Job::Program(program) => program.1.tracker,
        }
    }
}

/// Begins something that goes on in slices.
pub type Begin = Box<dyn FnOnce(&mut Shard) -> Box<dyn Task>>;

/// What waits for a lock or at the gate.
pub(super) enum Work<X> {
    /// A job of this shard's keys.
    Job(Job),
    /// A take, `Parcel::Take`.
    Take(Parcel<X>),
    /// A take of all there is, `WholeParcel::Take`.
    Whole(WholeParcel),
    /// A look at the whole shard for somebody who asks all shards: the command that it is counted under.
    Look(Origin, u16, Begin),
}

/// Copies of keys, each once, in order.
pub(super) fn distinct(keys: impl Iterator<Item = Box<[u8]>>) -> Vec<Box<[u8]>> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
