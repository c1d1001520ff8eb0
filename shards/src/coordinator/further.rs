//! Further keys: those that a command turns out to need and that no argument names, such as the keys of SORT's patterns.
//!
//! A function asks for each of them by `Cx::reaches`. One that is not at hand is noted; then the function has changed nothing, what it wrote is dropped, and the command
//! is submitted again as a borrow of its own keys and those, until nothing is missing. docs/design/transactions.md says why that keeps the order.

use crate::command::{Further, Task};
use crate::coordinator::borrow::databases;
use crate::coordinator::engine::Engine;
use crate::coordinator::locks::Locks;
use crate::coordinator::program::{Program, is_open_step};
use crate::coordinator::route::owner;
use crate::coordinator::work::Job;

/// How often a command is run anew with more keys before it gets all there are.
const TRIES_MAX: u8 = 6;

/// What became of a function that was run.
pub(super) enum Outcome {
    /// The reply has been written.
    Done,
    /// It goes on in slices.
    Task(Box<dyn Task>),
    /// It needs these keys first. Nothing was changed or written.
    Missing(Further),
}

/// Which keys are at hand beyond those that the arguments name.
pub(super) struct Reach<'a, X> {
    pub(super) id: usize,
    pub(super) shards: usize,
    pub(super) locks: &'a Locks<X>,
    /// All keys of the borrow that runs, in order.
    pub(super) lent: &'a [Box<[u8]>],
}

impl<X> Reach<'_, X> {
    /// Whether a key is one of those borrowed; with nothing borrowed, whether it is this shard's own and nobody has or awaits it. (An own key that
    /// is not locked may have changed since the others were locked.)
    pub(super) fn has(&self, key: &[u8]) -> bool {
        if !self.lent.is_empty() {
            return self.lent.binary_search_by(|lent| (**lent).cmp(key)).is_ok();
        }
        let is_own = owner(key, self.shards) == self.id;
        is_own && !self.locks.is_shut() && !self.locks.is_locked([key].into_iter())
    }
}

impl<X> Engine<X> {
    /// A job that has to wait for further keys: it is submitted again at the end of the turn's serving, so that its takes have one position.
    pub(super) fn put_off(&mut self, job: Job, missing: Further) {
        debug_assert!(
            self.is_open(&job),
            "a function that asks for further keys says so in its row"
        );
        self.again.push((job, missing));
    }

    /// Submits again what found keys missing: before the turn's batches get their position.
    pub fn submit_again(&mut self) {
        for job in std::mem::take(&mut self.woken) {
            self.run_again(job);
        }
        for (job, missing) in std::mem::take(&mut self.again) {
            let Job::Command(mut parked) = job else {
                unreachable!("open programs get whole shards")
            };
            parked.tries += 1;
            if missing.needs_all() || parked.tries > TRIES_MAX {
                self.submit_whole(Box::new(parked.into_program()));
                continue;
            }
            let dbs = databases(&parked.args(), parked.head.db, self.shard.databases());
            let job = Job::Command(parked);
            let mut keys = self.keys_of_job(&job);
            keys.extend(missing.asked());
            keys.sort_unstable();
            keys.dedup();
            self.spans = true;
            self.send_takes(job, keys, &dbs);
        }
    }

    /// Whether a job may need further keys and can be run again.
    pub(super) fn is_open(&self, job: &Job) -> bool {
        match job {
            Job::Command(parked) => {
                let spec = &self.rows[usize::from(parked.head.command)].row.spec;
                spec.open_keys.is_some_and(|open| open(&parked.args()))
            }
            Job::Program(_) => false,
        }
    }

    /// Whether one of a program's commands may need further keys. They could not be fetched when earlier commands have made changes, so such a program
    /// gets whole shards.
    pub(super) fn is_open_program(&self, program: &Program) -> bool {
        program.steps.iter().any(|step| {
            let row = &self.rows[usize::from(step.command)].row;
            is_open_step(row, &step.args.args())
        })
    }
}
