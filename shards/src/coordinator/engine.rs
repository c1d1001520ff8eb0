//! The engine of one shard: takes commands of its own clients and messages of other shards, and carries them out.
//!
//! The front end calls `submit` for a client's command, hands the messages of its inbox to `request`, `part` and `parcel`, and at the end of the turn
//! empties `out` into the other shards' inboxes. The rules are those of docs/design/transactions.md. Replies to clients
//! of this shard that could not be written at once are in `local`.

use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;
use smallvec::smallvec;
use tessera_core::resp::{Chain, OUT_OF_MEMORY, Proto, Reply};
use tessera_io::ConnId;

use crate::command::spec::flag;
use crate::command::{Cx, Further, KeyspaceRow, Merge, Spread, Task};
use crate::coordinator::blocking::{Found, Waiters};
use crate::coordinator::borrow::{Borrow, Loan};
use crate::coordinator::further::{Outcome, Reach};
use crate::coordinator::gather::Gather;
use crate::coordinator::heat::{Heated, note_heat};
use crate::coordinator::locks::Locks;
use crate::coordinator::meter::{Meter, Spent, measured_from};
use crate::coordinator::reads::{note_reads, note_script_reads};
use crate::coordinator::route::{KeyPlan, Places, owner};
use crate::coordinator::saving::SavedFirst;
use crate::coordinator::whole::{Whole, WholeRun};
use crate::coordinator::work::{Job, Parked, distinct};
use crate::mesh::{Batch, Origin, RequestHead, Route};
use crate::shard::effects::Unit;
use crate::shard::record::plain_up_to;
use crate::shard::tracking::Tracker;
use crate::shard::{Shard, Slow};

/// The client that asks, as far as the engine needs it.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Its connection.
    pub conn: ConnId,
    /// Sequence number of the reply's slot, if one is needed.
    pub seq: u32,
    /// Its database.
    pub db: usize,
    /// Its protocol.
    pub proto: Proto,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// The client, if it tracks keys.
    pub tracker: Option<Tracker>,
    /// The target of its last command that went into a batch in this turn.
    pub batched: Option<usize>,
}

/// What became of a submitted command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Submitted {
    /// It ran; the reply has been written.
    Done,
    /// It is in the batch to this shard (one of them, if there are several); the reply comes to the slot.
    Batched(usize),
    /// It waits on this shard, for a lock or as a task; the reply comes to the slot.
    Waiting,
}

/// A keyspace command with what routing precomputed.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) row: KeyspaceRow,
    pub(super) plan: KeyPlan,
    /// With how many arguments it is measured.
    pub(super) measured_from: usize,
    /// With how many arguments its record is what was sent.
    plain_up_to: usize,
}

/// A command that goes on in slices.
pub(super) struct Running {
    pub(super) origin: Origin,
    /// The job, if it may have to be run anew.
    pub(super) again: Option<Job>,
    pub(super) task: Box<dyn Task>,
    pub(super) reply: Chain,
    /// The lock on its keys, if it comes back to them.
    pub(super) lock: Option<u32>,
    /// Keys of other shards, if it comes back to them: in the table during a slice only.
    pub(super) borrowed: Vec<Loan>,
    /// What its slices cost so far.
    pub(super) spent: Spent,
    /// Whose command it is, if the client tracks keys.
    pub(super) tracker: Option<Tracker>,
    /// What it has told the log so far.
    pub(super) unit: Option<Box<Unit>>,
    /// The command, if it tells its record at the end.
    pub(super) record: Option<Parked>,
}

/// Ways to break the protocol, so that a test can show that the simulator's judges would notice.
#[cfg(feature = "sabotage")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// Rule 3: batches of one turn get positions of their own.
    AppendOneByOne,
    /// Rule 2: a local command runs at once although an earlier one of its connection has no position yet.
    RunAtOnce,
    /// Rule 4: one key of every lock is not locked.
    SkipLock,
    /// Whole-shard commands do not wait for locks.
    IgnoreGate,
    /// Some sleepers are not woken.
    DropWake,
    /// Messages go out before the batch with the writes before them.
    PublishEarly,
    /// Owners do not note who has a claim: a waiting command is served by each of them.
    ServeTwice,
    /// Owners do not hear what changed while a key was borrowed.
    ForgetChanges,
    /// A client that goes while it waits keeps its place.
    KeepClaim,
    /// Who waits is not looked at when a lock goes.
    SkipWaiters,
    /// Those who came last are served first.
    ServeLast,
    /// Keys that somebody waits for together are not locked together.
    LockUntied,
    /// EXEC does not ask other shards for watched keys.
    SkipWatch,
    /// News of stale keys does not wait for the replies that are owed.
    TellAhead,
    /// Events are told on the shard where they happen, and nowhere else.
    TellHere,
}

/// See the head of this file.
pub struct Engine<X> {
    /// The data.
    pub shard: Shard,
    /// Commands sent to other shards since the start.
    pub hops: u64,
    /// What the commands of this turn cost.
    pub meter: Meter,
    pub(super) id: usize,
    pub(super) shards: usize,
    pub(super) rows: Rc<[Row]>,
    pub(super) out: Vec<Batch<X>>,
    pub(super) local: Batch<X>,
    /// Whether somebody could compare the positions of this turn's batches (rule 3).
    pub(super) spans: bool,
    pub(super) locks: Locks<X>,
    pub(super) gathers: Slab<Gather>,
    /// Who asked, by number of the gather, the last one with that number.
    pub(super) gatherers: Vec<ConnId>,
    pub(super) borrows: Slab<Borrow>,
    pub(super) waiters: Waiters,
    pub(super) wholes: Slab<Whole>,
    /// Those that run in slices.
    pub(super) whole_runs: Vec<WholeRun>,
    /// Watched keys that existed when this shard's tables left.
    pub(super) watched_before: Vec<(usize, Box<[u8]>)>,
    pub(super) running: Vec<Running>,
    /// Commands that waited and have something to look at, to be run over all their keys.
    pub(super) woken: Vec<Job>,
    /// Keys that the save writes before others.
    pub(super) saved_first: Vec<SavedFirst>,
    /// Jobs that found keys missing, to be submitted again with these.
    pub(super) again: Vec<(Job, Further)>,
    /// All keys of the borrow that runs, in order, if it has had keys missing.
    pub(super) lent: Vec<Box<[u8]>>,
    /// What is broken on purpose.
    #[cfg(feature = "sabotage")]
    pub sabotage: Option<Sabotage>,
}

impl<X> Engine<X> {
    /// An engine for one of `shards` shards. `families` are the tables of keyspace commands in the order of the registry.
    #[must_use]
    pub fn new(shard: Shard, shards: usize, families: &[&[KeyspaceRow]]) -> Self {
        let all = || families.iter().copied().flatten();
        // As the registry numbers them: a subcommand, which has a number for statistics, runs as its command.
        let parts = all().flat_map(|row| row.spec.subcommands.iter().map(move |_| row));
        let rows = all().chain(parts).map(|row| Row {
            row: *row,
            plan: KeyPlan::of(&row.spec),
            measured_from: measured_from(row),
            plain_up_to: plain_up_to(&row.spec),
        });
        Engine {
            id: shard.id,
            shard,
            hops: 0,
            meter: Meter::default(),
            shards,
            rows: rows.collect(),
            out: (0..shards).map(|_| Batch::default()).collect(),
            local: Batch::default(),
            spans: false,
            locks: Locks::default(),
            gathers: Slab::new(),
            gatherers: Vec::new(),
            borrows: Slab::new(),
            waiters: Waiters::default(),
            wholes: Slab::new(),
            whole_runs: Vec::new(),
            watched_before: Vec::new(),
            running: Vec::new(),
            woken: Vec::new(),
            saved_first: Vec::new(),
            again: Vec::new(),
            lent: Vec::new(),
            #[cfg(feature = "sabotage")]
            sabotage: None,
        }
    }

    /// Takes up a client's command, whose arity is right. `command` is its number in the registry.
    #[inline]
    pub fn submit(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Submitted {
        let row = &self.rows[usize::from(command)];
        let (plan, spread) = (row.plan, row.row.spread);
        if self.shards == 1
            && asker.batched.is_none()
            && !matches!(
                spread,
                Spread::Everywhere {
                    merge: Merge::Weighted
                }
            )
        {
            return self.run_here(command, asker, args, out);
        }
        match plan {
            KeyPlan::First => {
                let target = owner(args[1], self.shards);
                self.submit_to(target, command, asker, args, out)
            }
            KeyPlan::Rules => self.submit_by_rules(command, asker, args, out),
            KeyPlan::None => match spread {
                Spread::Everywhere { .. }
                    if self.keeps_until_recorded(command) && self.shards > 1 =>
                {
                    let head = self.head(command, asker);
                    match Parked::new(&head, args) {
                        Some(parked) => self.submit_whole(Box::new(parked.into_program())),
                        None => refused(out),
                    }
                }
                Spread::Everywhere { merge } => {
                    self.submit_everywhere(command, asker, args, merge, out)
                }
                Spread::Cursor => self.submit_scan(command, asker, args, out),
                Spread::One | Spread::Split { .. } | Spread::Borrow | Spread::Script => {
                    self.run_here(command, asker, args, out)
                }
            },
        }
    }

    /// Whether a command with so many arguments is measured.
    pub(super) fn is_measured(&self, command: u16, args: usize) -> bool {
        args >= self.rows[usize::from(command)].measured_from
    }

    /// Notes commands that take so long from now on, or none.
    pub fn watch_slow(&mut self, from_ns: Option<u64>) {
        let slow = &mut self.shard.slow;
        slow.set(from_ns);
        let wants_all = slow.wants_all();
        for row in Rc::make_mut(&mut self.rows) {
            row.measured_from = if wants_all {
                0
            } else {
                measured_from(&row.row)
            };
        }
    }

    /// Whether a key belongs to this shard.
    #[inline]
    #[must_use]
    pub fn owns(&self, key: &[u8]) -> bool {
        owner(key, self.shards) == self.id
    }

    fn submit_by_rules(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Submitted {
        let row = &self.rows[usize::from(command)].row;
        let places = Places::of(&row.spec, args, self.shards);
        if places.keys.is_empty() {
            // A script without keys may touch some all the same: it must not overtake what its client sent before.
            return self.submit_to(self.id, command, asker, args, out);
        }
        if let Some(target) = places.single_owner() {
            return self.submit_to(target, command, asker, args, out);
        }
        self.spans = true;
        match row.spread {
            Spread::Split { stride, merge } => {
                // Arguments that do not divide by the stride (MSET a 1 b) get their error from the command itself.
                if !(args.len() - 1).is_multiple_of(stride) {
                    return self.run_here(command, asker, args, out);
                }
                if self.keeps_until_recorded(command) {
                    return self.submit_borrow(command, asker, args, &places, out);
                }
                self.submit_split(command, asker, args, &places, stride, merge)
                    .unwrap_or_else(|| refused(out))
            }
            _ => self.submit_borrow(command, asker, args, &places, out),
        }
    }

    /// Whether a command's parts would be records of several shards: it is run in one place, and its keys are kept until its record has been handed over.
    #[inline]
    pub(super) fn keeps_until_recorded(&self, command: u16) -> bool {
        self.shard.settings.logs && self.rows[usize::from(command)].row.spec.has(flag::WRITE)
    }

    /// A command whose keys all belong to `target`.
    #[inline]
    fn submit_to(
        &mut self,
        target: usize,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Submitted {
        #[cfg(feature = "sabotage")]
        if target == self.id && self.sabotage == Some(Sabotage::RunAtOnce) {
            return self.run_here(command, asker, args, out);
        }
        if target == self.id && asker.batched.is_none() {
            return self.run_here(command, asker, args, out);
        }
        if !self.out[target].make_room(args) {
            return refused(out);
        }
        self.spans |= asker.batched.is_some_and(|before| before != target);
        self.hops += u64::from(target != self.id);
        let head = self.head(command, asker);
        self.out[target].request(&head, args);
        Submitted::Batched(target)
    }

    pub(super) fn head(&self, command: u16, asker: &Asker) -> RequestHead {
        let origin = Origin {
            shard: self.id,
            route: Route::Client(asker.conn, asker.seq),
        };
        RequestHead {
            origin,
            command,
            db: asker.db,
            proto: asker.proto,
            no_touch: asker.no_touch,
            tracker: asker.tracker,
        }
    }

    /// Runs a client's command at once, unless a lock is in its way.
    #[inline]
    pub(super) fn run_here(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Submitted {
        let head = self.head(command, asker);
        self.run_now(&head, args, out)
    }

    /// Carries out a request of a client of this shard, at once unless a lock is in its way. The reply goes to `out` if there is one already, else to whoever
    /// `head` names, later.
    #[inline]
    pub fn run_now(&mut self, head: &RequestHead, args: &[&[u8]], out: &mut Vec<u8>) -> Submitted {
        if self.is_held_up(head, args) {
            if let Some(text) = self.busy_refusal(head, args) {
                Reply::new(out, head.proto).error(text);
                return Submitted::Done;
            }
            let Some(parked) = Parked::new(head, args) else {
                return refused(out);
            };
            self.park(Job::Command(parked));
            return Submitted::Waiting;
        }
        let reach = Reach {
            id: self.id,
            shards: self.shards,
            locks: &self.locks,
            lent: &self.lent,
        };
        let (rows, shard, meter) = (&self.rows, &mut self.shard, &mut self.meter);
        match execute(rows, shard, meter, &reach, head, args, out) {
            Outcome::Done => {
                self.serve_ready();
                return Submitted::Done;
            }
            outcome => match Parked::new(head, args) {
                Some(parked) => self.go_on(Job::Command(parked), outcome),
                None => return refused(out),
            },
        }
        Submitted::Waiting
    }

    /// Carries out a request of another shard, or one of this shard that was put into its own batch.
    #[inline]
    pub fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        if self.is_held_up(head, args) {
            if let Some(text) = self.busy_refusal(head, args) {
                return self.answer(head.origin, format!("-{text}\r\n").as_bytes());
            }
            match Parked::new(head, args) {
                Some(parked) => self.park(Job::Command(parked)),
                None => self.answer(head.origin, OUT_OF_MEMORY),
            }
        } else {
            match self.run_or_task(head, args) {
                Outcome::Done => {}
                outcome => match Parked::new(head, args) {
                    Some(parked) => self.go_on(Job::Command(parked), outcome),
                    None => self.answer(head.origin, OUT_OF_MEMORY),
                },
            }
        }
    }

    /// What follows when a job has run that had no lock.
    pub(super) fn go_on(&mut self, job: Job, outcome: Outcome) {
        match outcome {
            Outcome::Done => {}
            Outcome::Task(task) => self.start(&job, task),
            Outcome::Missing(further) => self.put_off(job, further),
        }
    }

    /// Puts a command that goes on in slices among the running ones, with its keys locked if it comes back to them.
    pub(super) fn start(&mut self, job: &Job, task: Box<dyn Task>) {
        let lock = task.holds_keys().then(|| {
            if let Some(plan) = job.plan() {
                return self.locks.hold_wide(Arc::clone(plan));
            }
            let keys = self.keys_of_job(job);
            self.locks.hold(keys)
        });
        if task.holds_gate() {
            self.locks.closed = true;
        }
        self.start_with(job, task, lock, Vec::new());
    }

    /// All keys of a job, each once, in order.
    pub(super) fn keys_of_job(&self, job: &Job) -> Vec<Box<[u8]>> {
        match job {
            Job::Command(parked) => {
                let args = parked.args();
                let spec = &self.rows[usize::from(parked.head.command)].row.spec;
                distinct(spec.keys_of(&args).iter().map(|(at, _)| args[*at].into()))
            }
            Job::Program(program) => self.keys_of_program(&program.1),
        }
    }

    /// Puts a command that goes on in slices among the running ones.
    pub(super) fn start_with(
        &mut self,
        job: &Job,
        task: Box<dyn Task>,
        lock: Option<u32>,
        borrowed: Vec<Loan>,
    ) {
        let again = self.is_open(job).then(|| job.clone());
        let unit = self.shard.take_unit_aside();
        let record = match job {
            Job::Command(parked) if unit.is_some() => Some(parked.clone()),
            _ => None,
        };
        let spent = self.meter.resume();
        self.running.push(Running {
            origin: job.origin(),
            again,
            tracker: job.tracker(),
            task,
            reply: Chain::default(),
            lock,
            borrowed,
            spent,
            unit,
            record,
        });
    }

    /// Puts a task among the running ones that touches no key.
    pub(super) fn start_aside(&mut self, origin: Origin, task: Box<dyn Task>) {
        self.running.push(Running {
            origin,
            again: None,
            task,
            reply: Chain::default(),
            lock: None,
            borrowed: Vec::new(),
            spent: Spent::default(),
            tracker: None,
            unit: None,
            record: None,
        });
    }

    /// Runs a job and answers it, unless it goes on in slices.
    pub(super) fn run_job(&mut self, job: &Job) -> Outcome {
        match job {
            Job::Command(parked) if parked.claim.is_some() => {
                match self.run_blocking(parked, false) {
                    Found::Replied(reply) => self.answer_whole(parked.head.origin, reply),
                    Found::Waits(keys, parked) => self.wait_for(&parked, &keys),
                    Found::Nothing | Found::Gone => {}
                }
                self.serve_ready();
                Outcome::Done
            }
            Job::Command(parked) => self.run_or_task(&parked.head, &parked.args()),
            Job::Program(program) => {
                let mut payload = Vec::new();
                let task = self.begin_program(program, &mut payload);
                match task {
                    Some(task) => Outcome::Task(task),
                    None => {
                        self.answer(program.0, &payload);
                        self.serve_ready();
                        Outcome::Done
                    }
                }
            }
        }
    }

    /// A job for keys of this shard, from wherever.
    pub(super) fn take_up(&mut self, job: Job) {
        if self.is_job_held_up(&job) {
            self.park(job);
        } else {
            let outcome = self.run_job(&job);
            self.go_on(job, outcome);
        }
    }

    /// Runs a command and answers it, unless it goes on in slices or finds keys missing.
    pub(super) fn run_or_task(&mut self, head: &RequestHead, args: &[&[u8]]) -> Outcome {
        let Engine {
            rows,
            shard,
            out,
            local,
            meter,
            id,
            ..
        } = self;
        let reach = Reach {
            id: *id,
            shards: self.shards,
            locks: &self.locks,
            lent: &self.lent,
        };
        let mut outcome = Outcome::Done;
        let batch = if head.origin.shard == *id {
            local
        } else {
            &mut out[head.origin.shard]
        };
        batch.reply(head.origin.route, |bytes| {
            outcome = execute(rows, shard, meter, &reach, head, args, bytes);
            matches!(outcome, Outcome::Done)
        });
        // A script that goes on has not got its locks yet, and what it has pushed may be taken back.
        if matches!(outcome, Outcome::Done) {
            self.serve_ready();
        }
        outcome
    }

    /// Gives each running task one slice.
    pub fn run_tasks(&mut self) {
        for run in std::mem::take(&mut self.whole_runs) {
            self.go_on_whole(run);
        }
        let mut index = 0;
        while index < self.running.len() {
            let loans = std::mem::take(&mut self.running[index].borrowed);
            let places = self.lay_out(loans);
            let running = &mut self.running[index];
            let begun = self.meter.begin(true);
            self.shard.run_for(running.tracker);
            self.shard.resume_unit(running.unit.take());
            let is_done = running.task.step(&mut self.shard, &mut running.reply);
            self.meter.slice(&mut running.spent, begun);
            note_script_reads(&mut self.shard, self.shards);
            let loans = self.pick_up(places);
            if is_done {
                let mut done = self.running.swap_remove(index);
                done.reply.mend();
                self.meter.finish(&done.spent);
                if let Some(slow) = Meter::take_slow(&mut done.spent) {
                    self.shard.slow.note_slices(slow);
                }
                let further = done.task.needs();
                if let Some(heated) = Meter::take_heated(&mut done.spent)
                    && !further.is_missing()
                {
                    heated.end(&mut self.shard, done.spent.ns(), done.reply.len());
                }
                self.record_task(done.record.as_ref(), further.is_missing());
                match done.again {
                    Some(job) if further.is_missing() => self.put_off(job, further),
                    _ => self.answer_whole(done.origin, std::mem::take(&mut done.reply)),
                }
                if done.task.holds_gate() {
                    self.locks.closed = false;
                    self.serve_ready();
                }
                self.give_back(loans);
                if let Some(lock) = done.lock {
                    self.release(lock);
                }
                self.open_gate();
                if self.running.is_empty() {
                    self.open_gate();
                }
                self.serve_ready();
            } else {
                self.running[index].borrowed = loans;
                if self.running[index].task.holds_keys() {
                    self.running[index].unit = self.shard.pause_unit();
                }
                index += 1;
            }
        }
    }

    /// The record of a command that has gone on in slices, while its keys are still locked.
    fn record_task(&mut self, record: Option<&Parked>, is_undone: bool) {
        if is_undone {
            self.shard.undo_unit();
        } else if let (Some(parked), Some(mark)) = (record, self.shard.take_mark()) {
            let spec = &self.rows[usize::from(parked.head.command)].row.spec;
            self.shard
                .end_command(mark, spec, parked.head.db, &parked.args());
        }
        self.shard.commit_unit();
    }

    /// The batch to a shard, emptied; `None` if there is nothing in it.
    #[must_use]
    pub fn take_batch(&mut self, target: usize, buffer: Vec<u8>) -> Option<Batch<X>> {
        let batch = &mut self.out[target];
        if batch.is_empty() {
            None
        } else {
            Some(std::mem::replace(batch, Batch::with_buffer(buffer)))
        }
    }

    /// Whether there is anything for this shard.
    #[must_use]
    pub fn has_batch(&self, target: usize) -> bool {
        !self.out[target].is_empty()
    }

    /// Whether there is anything for any shard.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        self.out.iter().any(|batch| !batch.is_empty())
    }

    /// Whether this turn's batches must be appended together; asked once per turn.
    pub fn take_spans(&mut self) -> bool {
        let spans = self.spans();
        self.spans = false;
        spans
    }

    /// Whether this turn's batches, as far as it has come, must be appended together.
    #[must_use]
    pub fn spans(&self) -> bool {
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(Sabotage::AppendOneByOne) {
            return false;
        }
        self.spans
    }

    /// Whether nothing is under way: no lock, no gather, no borrow, no task, no message.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_idle = self.gathers.is_empty()
            && self.borrows.is_empty()
            && self.wholes.is_empty()
            && self.whole_runs.is_empty()
            && self.running.is_empty()
            && self.again.is_empty()
            && self.woken.is_empty();
        let is_silent = self.local.is_empty() && self.out.iter().all(Batch::is_empty);
        is_idle && is_silent && self.locks.is_quiet()
    }
}

/// Runs a command on the keys of this shard.
#[inline]
fn execute<X>(
    rows: &[Row],
    shard: &mut Shard,
    meter: &mut Meter,
    reach: &Reach<'_, X>,
    head: &RequestHead,
    args: &[&[u8]],
    out: &mut Vec<u8>,
) -> Outcome {
    let row = &rows[usize::from(head.command)];
    let (is_looked_at, is_measured) = (shard.heat.is_next(), args.len() >= row.measured_from);
    let begun = meter.begin(is_measured | is_looked_at);
    shard.no_touch = head.no_touch;
    shard.run_for(head.tracker);
    let start = out.len();
    let records = shard.records();
    if records {
        shard.begin_unit();
        shard.prepare_record(&row.row.spec, head.db, args);
    }
    let mark = shard.begin_command();
    let mut cx = Cx {
        shard,
        db: head.db,
        reply: Reply::new(out, head.proto),
        reach: &|key| reach.has(key),
        held: reach.lent,
        is_alone: reach.shards == 1 && reach.locks.is_quiet(),
        further: Further::default(),
        task: None,
        may_block: false,
        waits_for: None,
        waits_as: None,
    };
    (row.row.op)(&mut cx, args);
    cx.reply.finish();
    let Cx { task, further, .. } = cx;
    if further.is_missing() {
        meter.part(head.command, begun);
        out.truncate(start);
        shard.undo_unit();
        return Outcome::Missing(further);
    }
    if let Some(tracker) = head.tracker {
        note_reads(shard, row, reach.shards, tracker, args);
    }
    let is_script = row.row.spread == Spread::Script;
    if records && task.is_none() && args.len() <= row.plain_up_to {
        shard.end_plain_command(mark, head.db, args);
    } else if records && task.as_ref().is_none_or(|task| !task.holds_keys()) {
        if !is_script {
            shard.end_command(mark, &row.row.spec, head.db, args);
        }
        shard.commit_unit();
    } else if records {
        shard.set_unit_aside((!is_script).then_some(mark));
    }
    let Some(task) = task else {
        let ns = meter.end(head.command, begun);
        if is_measured {
            shard.slow.note(head.command, head.origin, args, ns);
        }
        if is_looked_at {
            let bytes_out = out.len() - start;
            note_heat(shard, &row.row.spec, head.db, args, ns, bytes_out);
        }
        return Outcome::Done;
    };
    let slow = shard.slow.is_on();
    let slow = slow.then(|| Box::new(Slow::new(head.command, head.origin, args)));
    let heated = Heated::begin(shard, &row.row.spec, head.db, args);
    meter.suspend(smallvec![(head.command, 1)], slow, heated, begun);
    Outcome::Task(task)
}

/// Answers a command for whose arguments there is no memory; nothing has been done about it.
#[cold]
pub(super) fn refused(out: &mut Vec<u8>) -> Submitted {
    out.extend_from_slice(OUT_OF_MEMORY);
    Submitted::Done
}
