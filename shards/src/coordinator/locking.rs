//! Locks and the gate: what has to wait, and what goes on when it need not any more.
//!
//! docs/design/transactions.md tells the rules. Called by `engine.rs` for each command that a lock might stop, and by whoever releases one.

use std::sync::Arc;

use crate::command::Spread;
use crate::coordinator::Engine;
#[cfg(feature = "sabotage")]
use crate::coordinator::Sabotage;
use crate::coordinator::further::Outcome;
use crate::coordinator::work::{Job, Work};
use crate::mesh::{Parcel, RequestHead};

impl<X> Engine<X> {
    pub(super) fn is_whole_shard(&self, command: u16) -> bool {
        matches!(
            self.rows[usize::from(command)].row.spread,
            Spread::Everywhere { .. } | Spread::Cursor
        )
    }

    pub(super) fn is_blocked(&self, head: &RequestHead, args: &[&[u8]]) -> bool {
        if self.locks.is_shut() {
            return true;
        }
        if self.is_whole_shard(head.command) {
            #[cfg(feature = "sabotage")]
            if self.sabotage == Some(Sabotage::IgnoreGate) {
                return false;
            }
            return !self.locks.is_free();
        }
        let keys = self.rows[usize::from(head.command)].row.spec.keys_of(args);
        self.locks.is_locked(keys.iter().map(|(at, _)| args[*at]))
    }

    /// Redis's words to a command that would have to wait for a script that has run for long.
    #[cold]
    pub(super) fn busy_refusal(&self, head: &RequestHead, args: &[&[u8]]) -> Option<&'static str> {
        let node = &self.shard.scripts.node;
        if self.is_whole_shard(head.command) {
            return node.refusal(None);
        }
        let spec = &self.rows[usize::from(head.command)].row.spec;
        let keys = spec.keys_of(args);
        let keys: Vec<&[u8]> = keys.iter().map(|(at, _)| args[*at]).collect();
        node.refusal(Some(&keys))
    }

    /// Whether a job has to wait.
    pub(super) fn is_job_blocked(&self, job: &Job) -> bool {
        if self.locks.is_shut() {
            return true;
        }
        if self.is_whole_job(job) {
            return !self.locks.is_free();
        }
        self.is_job_locked(job)
    }

    /// Whether any key of a job is locked.
    fn is_job_locked(&self, job: &Job) -> bool {
        if let Some(plan) = job.plan() {
            return self.locks.is_set_locked(plan);
        }
        let keys = self.keys_of_job(job);
        self.locks.is_locked(keys.iter().map(|key| &**key))
    }

    fn is_whole_job(&self, job: &Job) -> bool {
        match job {
            Job::Command(parked) => self.is_whole_shard(parked.head.command),
            Job::Program(program) => self.is_whole_program(&program.1),
        }
    }

    /// Puts a blocked job where it waits: at the gate, or in the queues of its keys.
    pub(super) fn park(&mut self, job: Job) {
        if self.locks.is_shut() || self.is_whole_job(&job) {
            self.locks.gate.push_back(Work::Job(job));
        } else {
            self.enter(Work::Job(job));
        }
    }

    fn enter(&mut self, work: Work<X>) {
        if let Work::Job(job) = &work
            && let Some(plan) = job.plan()
        {
            let (number, granted) = self.locks.enter_wide(Arc::clone(plan), work);
            if let Some(work) = granted {
                self.grant(vec![(number, work)]);
            }
            return;
        }
        let mut keys = match &work {
            Work::Job(job) => self.keys_of_job(job),
            Work::Take(Parcel::Take { keys, .. }) => keys.clone(),
            Work::Take(_) | Work::Whole(_) | Work::Look(..) => Vec::new(),
        };
        keys.sort_unstable();
        keys.dedup();
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(Sabotage::SkipLock) {
            keys.pop();
        }
        let may_wait = match &work {
            Work::Job(Job::Command(parked)) => parked.claim.is_some(),
            Work::Take(Parcel::Take { may_wait, .. }) => *may_wait,
            Work::Job(_) | Work::Take(_) | Work::Whole(_) | Work::Look(..) => false,
        };
        #[cfg(feature = "sabotage")]
        let may_wait = may_wait && self.sabotage != Some(Sabotage::LockUntied);
        let (number, granted) = self.locks.enter(keys, may_wait, work);
        if let Some(work) = granted {
            self.grant(vec![(number, work)]);
        }
    }

    /// A take: locks the keys, now or when those before it are done.
    pub(super) fn take(&mut self, parcel: Parcel<X>) {
        if self.locks.is_shut() {
            self.locks.gate.push_back(Work::Take(parcel));
        } else {
            if self.shard.is_saving()
                && let Parcel::Take { keys, .. } = &parcel
            {
                let is_free = |key: &&[u8]| !self.locks.is_locked(std::iter::once(*key));
                let free: Vec<&[u8]> = keys.iter().map(|key| &**key).filter(is_free).collect();
                self.save_first(free.into_iter());
            }
            self.enter(Work::Take(parcel));
        }
    }

    /// Does what was granted, and what that grants in turn.
    fn grant(&mut self, mut granted: Vec<(u32, Work<X>)>) {
        while !granted.is_empty() {
            let mut next = Vec::new();
            for (number, work) in granted {
                match work {
                    Work::Job(job) => {
                        let mut keeps = false;
                        match self.run_job(&job) {
                            Outcome::Done => {}
                            Outcome::Task(task) => {
                                keeps = task.holds_keys();
                                let lock = keeps.then_some(number);
                                self.start_with(&job, task, lock, Vec::new());
                            }
                            Outcome::Missing(further) => self.put_off(job, further),
                        }
                        if !keeps {
                            self.serve_before_release(number);
                            next.extend(self.locks.release(number));
                        }
                    }
                    Work::Take(parcel) => self.hand_over(number, parcel),
                    // They wait at the gate only.
                    Work::Whole(_) | Work::Look(..) => {}
                }
            }
            granted = next;
        }
    }

    /// Releases a lock: commands that wait for what happened under it are served, those who waited for it go on, then those at the gate.
    pub(super) fn release(&mut self, lock: u32) {
        self.serve_before_release(lock);
        let granted = self.locks.release(lock);
        self.grant(granted);
        self.open_gate();
        self.serve_ready();
    }

    /// Lets pass who stands at the gate, up to the next whole-shard command that has to wait for locks.
    pub(super) fn open_gate(&mut self) {
        while !self.locks.closed {
            let is_stopped = match self.locks.gate.front() {
                None => return,
                Some(Work::Job(job)) => self.is_whole_job(job) && !self.locks.is_free(),
                Some(Work::Take(_)) => false,
                Some(Work::Look(..)) => !self.locks.is_free(),
                Some(Work::Whole(_)) => !self.is_still(),
            };
            if is_stopped {
                return;
            }
            match self.locks.gate.pop_front() {
                Some(Work::Whole(take)) => {
                    if let Err(take) = self.close(take) {
                        self.locks.gate.push_front(Work::Whole(take));
                        return;
                    }
                }
                Some(work) => self.pass_gate(work),
                None => return,
            }
        }
    }

    fn pass_gate(&mut self, work: Work<X>) {
        match work {
            Work::Job(job) => {
                if self.is_job_locked(&job) {
                    self.enter(Work::Job(job));
                } else {
                    let outcome = self.run_job(&job);
                    self.go_on(job, outcome);
                }
            }
            Work::Look(origin, command, begin) => self.begin_look(origin, command, begin),
            take @ (Work::Take(_) | Work::Whole(_)) => self.enter(take),
        }
    }
}
