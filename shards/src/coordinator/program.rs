//! Programs: several commands that run as one, for EXEC.
//!
//! A program is locked for like one command with all its keys, those that are watched included. With one owner it runs there; otherwise its keys are
//! borrowed. It runs in slices while its keys stay locked. Its answer is a payload, which the front end takes apart.

use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;
use tessera_core::resp::{Chain, OUT_OF_MEMORY, Proto, Reply, try_append_chain};

use crate::command::spec::flag;
use crate::command::{Cx, Further, KeyspaceRow, Merge, Spread, Task};
use crate::coordinator::engine::{Asker, Engine, Row, Submitted};
use crate::coordinator::gather::only_value;
use crate::coordinator::heat::{Heated, note_heat};
use crate::coordinator::payload::{
    RAN, ReadyReplies, Said, TOUCHED, begin_reply, end_reply, put_reply,
};
use crate::coordinator::plan::Plan;
use crate::coordinator::route::owner;
use crate::coordinator::steps::{Step, Steps};
use crate::coordinator::work::Job;
use crate::mesh::{Origin, Parcel, Route, Watch};
use crate::shard::effects::Mark;
use crate::shard::tracking::{Track, Tracker};
use crate::shard::{Shard, Slow};

/// Commands per slice of a program.
pub const STEPS_PER_SLICE: usize = 256;
/// Bytes of replies after which a slice ends.
const BYTES_PER_SLICE: usize = 1 << 18;
/// Pieces of commands that have run that a slice frees.
const PIECES_PER_SLICE: usize = 8;

/// Several commands that run as one.
#[derive(Clone, Debug)]
pub struct Program {
    /// The commands.
    pub steps: Steps,
    /// Protocol of the replies.
    pub proto: Proto,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// It is one command, whose reply is the answer, instead of a payload.
    pub is_bare: bool,
    /// The client, if it tracks keys.
    pub tracker: Option<Tracker>,
    /// The client, if it watches keys; and these, with their databases.
    pub watcher: Option<u64>,
    /// The watched keys.
    pub watched: Vec<(usize, Box<[u8]>)>,
    /// What is known of a long program, if it can run by that ([`Engine::can_follow`]).
    pub plan: Option<Arc<Plan>>,
    /// The owner of those commands of a long program that are meant, if not all are.
    pub share: Option<u16>,
}

/// A program that runs.
struct Running {
    rows: Rc<[Row]>,
    steps: Steps,
    /// Of a long program: the owners of its commands, and whose are meant, if not all are.
    plan: Option<Arc<Plan>>,
    share: Option<u16>,
    /// How many of them have begun.
    begun: usize,
    proto: Proto,
    no_touch: bool,
    tracker: Option<Tracker>,
    /// Whether one of them looks at all keys: then nobody else's command may come between two slices.
    is_whole: bool,
    /// Number of shards.
    shards: usize,
    /// The payload so far. Of a long program it is what `ready` makes of it.
    payload: Chain,
    /// The errors of a program whose replies are ready to be sent as they are.
    ready: Option<ReadyReplies>,
    /// The command that goes on in slices itself.
    inner: Option<Inner>,
    /// For commands that are looked at.
    clock: Rc<dyn Fn() -> u64>,
    /// Tells how long each command takes, if that is of interest.
    watch: Option<StepWatch>,
}

/// A command of a program that goes on in slices.
struct Inner {
    task: Box<dyn Task>,
    /// Its reply so far.
    reply: Chain,
    mark: Mark,
    /// Which of the program's it is.
    at: usize,
    /// Whose keys it heats, and how long it took so far.
    heated: Option<Box<Heated>>,
    ns: u64,
}

/// Tells the log of a command that has run.
fn record(shard: &mut Shard, mark: Mark, row: &KeyspaceRow, step: &Step) {
    if shard.records() && row.spread != Spread::Script {
        shard.end_command(mark, &row.spec, step.db, &step.args.args());
    }
}

/// Measures the commands of a program one by one.
struct StepWatch {
    clock: Rc<dyn Fn() -> u64>,
    origin: Origin,
    /// The command that goes on in slices.
    inner: Option<Slow>,
}

impl StepWatch {
    /// A command has run that began at this time.
    fn ran(&mut self, shard: &mut Shard, step: &Step, begun: u64, goes_on: bool) {
        let ns = (self.clock)().saturating_sub(begun);
        if goes_on {
            let slow = Slow::new(step.command, self.origin, &step.args.args());
            self.inner = Some(Slow { ns, ..slow });
        } else {
            let args = step.args.args();
            shard.slow.note(step.command, self.origin, &args, ns);
        }
    }

    /// A slice of a command has run that began at this time.
    fn sliced(&mut self, shard: &mut Shard, begun: u64, is_done: bool) {
        let Some(slow) = &mut self.inner else {
            return;
        };
        slow.ns += (self.clock)().saturating_sub(begun);
        if is_done && let Some(slow) = self.inner.take() {
            shard.slow.note_slices(slow);
        }
    }
}

impl Running {
    /// Runs a slice of the command that goes on in slices, if there is one.
    fn run_inner(&mut self, shard: &mut Shard) -> bool {
        let Some(inner) = &mut self.inner else {
            return false;
        };
        let is_timed = self.watch.is_some() || inner.heated.is_some();
        let begun = is_timed.then(|| (self.clock)());
        let is_done = inner.task.step(shard, &mut inner.reply);
        inner.ns += begun.map_or(0, |begun| (self.clock)().saturating_sub(begun));
        if is_done {
            let mut inner = self.inner.take().expect("it was just there");
            let step = self.steps.get(inner.at).expect("a step that runs is kept");
            record(
                shard,
                inner.mark,
                &self.rows[usize::from(step.command)].row,
                step,
            );
            inner.reply.mend();
            if let Some(heated) = inner.heated {
                heated.end(shard, inner.ns, inner.reply.len());
            }
            match &mut self.ready {
                Some(ready) => {
                    ready.note(step.command, inner.reply.head());
                    self.payload.splice(inner.reply);
                }
                None => put_reply(&mut self.payload, Said::Long(inner.reply)),
            }
        }
        if let (Some(watch), Some(begun)) = (&mut self.watch, begun) {
            watch.sliced(shard, begun, is_done);
        }
        true
    }

    /// Runs the next command.
    fn run_one(&mut self, shard: &mut Shard) {
        let Some(step) = self.steps.get(self.begun) else {
            return;
        };
        self.begun += 1;
        let row = &self.rows[usize::from(step.command)].row;
        let is_looked_at = shard.heat.is_next();
        let is_watched = self.watch.is_some()
            && step.args.len() >= self.rows[usize::from(step.command)].measured_from;
        let begun = (is_watched || is_looked_at).then(|| (self.clock)());
        shard.no_touch = self.no_touch;
        shard.run_for(self.tracker);
        let args = step.args.args();
        if shard.records() {
            shard.prepare_record(&row.spec, step.db, &args);
        }
        let mark = shard.begin_command();
        let payload = self.payload.tail();
        let place = match &self.ready {
            Some(_) => payload.len(),
            None => begin_reply(payload),
        };
        let start = payload.len();
        let mut cx = Cx {
            shard,
            db: step.db,
            reply: Reply::new(payload, self.proto),
            reach: &|_| true,
            held: &[],
            is_alone: false,
            further: Further::default(),
            task: None,
            may_block: false,
            waits_for: None,
            waits_as: None,
        };
        (row.op)(&mut cx, &args);
        cx.reply.finish();
        let task = cx.task;
        if let (Some(watch), Some(begun), true) = (&mut self.watch, begun, is_watched) {
            watch.ran(shard, step, begun, task.is_some());
        }
        if let Some(tracker) = self.tracker.filter(|tracker| tracker.reads) {
            let places = read_places(row, &args);
            let is_own = |key: &&[u8]| owner(key, self.shards) == shard.id;
            let own: SmallVec<[&[u8]; 4]> = places.map(|at| args[at]).filter(is_own).collect();
            shard.note_reads(tracker, own.into_iter());
        }
        match task {
            Some(task) => {
                payload.truncate(place);
                self.inner = Some(Inner {
                    task,
                    reply: Chain::default(),
                    mark,
                    at: self.begun - 1,
                    heated: Heated::begin(shard, &row.spec, step.db, &args),
                    ns: 0,
                });
            }
            None => {
                if is_looked_at {
                    let ns = begun.map_or(0, |begun| (self.clock)().saturating_sub(begun));
                    let bytes_out = payload.len() - start;
                    note_heat(shard, &row.spec, step.db, &args, ns, bytes_out);
                }
                record(shard, mark, row, step);
                if is_weighted(row.spread) {
                    // With one shard nobody merges; the weight beside the value is for the merge only.
                    let reply = payload.split_off(start);
                    let merged = only_value(reply, self.proto, &mut shard.rng);
                    payload.extend_from_slice(&merged);
                }
                match &mut self.ready {
                    Some(ready) => ready.note(step.command, &payload[start..]),
                    None => end_reply(payload, place),
                }
            }
        }
    }

    /// Goes to the next command that is meant. Says whether there is none, and none that goes on.
    fn is_done(&mut self) -> bool {
        if let (Some(plan), Some(share)) = (&self.plan, self.share) {
            let rest = plan.owners.get(self.begun..).unwrap_or_default();
            let skipped = rest.iter().position(|owner| *owner == share);
            self.begun += skipped.unwrap_or(rest.len());
        }
        self.begun == self.steps.len() && self.inner.is_none()
    }

    /// Frees some of the commands that have run. Says whether all are.
    fn forget_steps(&mut self) -> bool {
        // What goes on in slices still has to be told to the log.
        let from = self.begun.saturating_sub(1);
        !(0..PIECES_PER_SLICE).all(|_| self.steps.forget_before(from))
    }

    /// The whole payload.
    fn take_payload(&mut self) -> Chain {
        let replies = std::mem::take(&mut self.payload);
        match self.ready.take() {
            Some(mut ready) => {
                ready.replies = replies;
                ready.into_payload()
            }
            None => replies,
        }
    }
}

/// Whether the row's reply is made for a merge alone: RANDOMKEY's.
fn is_weighted(spread: Spread) -> bool {
    let merge = Merge::Weighted;
    spread == Spread::Everywhere { merge }
}

impl Task for Running {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let full = self.payload.len() + BYTES_PER_SLICE;
        let per_slice = self.plan.as_ref();
        let per_slice = per_slice.map_or(STEPS_PER_SLICE, |plan| plan.per_slice);
        for _ in 0..per_slice {
            if self.inner.is_none() && self.is_done() {
                if !self.forget_steps() {
                    return false;
                }
                // If there is no memory for it, the whole answer is the error: no payload begins like this.
                reply.splice(self.take_payload());
                return true;
            }
            if self.run_inner(shard) {
                return false;
            }
            self.run_one(shard);
            if self.payload.len() > full {
                break;
            }
        }
        self.forget_steps();
        false
    }

    fn holds_keys(&self) -> bool {
        true
    }

    fn holds_gate(&self) -> bool {
        self.is_whole
    }
}

impl<X> Engine<X> {
    /// Takes up a program. A payload that is known at once is written to `out`.
    pub fn submit_program(
        &mut self,
        asker: &Asker,
        program: Program,
        out: &mut Vec<u8>,
    ) -> Submitted {
        let origin = Origin {
            shard: self.id,
            route: Route::Client(asker.conn, asker.seq),
        };
        if let Some(plan) = &program.plan {
            let plan = Arc::clone(plan);
            return self.submit_long(asker, program, &plan, out);
        }
        let owners = self.owners_of_program(&program);
        let is_whole = self.shards > 1 && self.is_whole_program(&program);
        if is_whole || self.is_open_program(&program) {
            return self.submit_whole(Box::new((origin, program)));
        }
        if owners.len() > 1
            && let Some(hands) = self.hands(&program)
        {
            return self.deal(asker, program, hands);
        }
        let job = Job::Program(Box::new((origin, program)));
        match owners[..] {
            [] => self.run_program_here(job, out),
            [target] => self.submit_program_to(target, asker, job, out),
            _ => {
                self.spans = true;
                let keys = self.keys_of_job(&job);
                self.borrow_for(job, keys)
            }
        }
    }

    /// A long program, of which is known where it belongs.
    fn submit_long(
        &mut self,
        asker: &Asker,
        program: Program,
        plan: &Arc<Plan>,
        out: &mut Vec<u8>,
    ) -> Submitted {
        if plan.all_owners.len() > 1 {
            return self.deal_long(asker, &program, plan);
        }
        let origin = Origin {
            shard: self.id,
            route: Route::Client(asker.conn, asker.seq),
        };
        let job = Job::Program(Box::new((origin, program)));
        match plan.all_owners.first() {
            None => self.run_program_here(job, out),
            Some(target) => self.submit_program_to(*target, asker, job, out),
        }
    }

    /// A program whose keys all belong to `target`.
    fn submit_program_to(
        &mut self,
        target: usize,
        asker: &Asker,
        job: Job,
        out: &mut Vec<u8>,
    ) -> Submitted {
        if target == self.id && asker.batched.is_none() {
            return self.run_program_here(job, out);
        }
        self.spans |= asker.batched.is_some_and(|before| before != target);
        self.hops += u64::from(target != self.id);
        self.out[target].parcel(Parcel::Job(job));
        Submitted::Batched(target)
    }

    /// Calls `visit` for every key of a program, as often as it names it.
    fn each_key(&self, program: &Program, mut visit: impl FnMut(&[u8])) {
        program.watched.iter().for_each(|(_, key)| visit(key));
        for step in program.steps.iter() {
            let args = step.args.args();
            let spec = &self.rows[usize::from(step.command)].row.spec;
            let keys = spec.keys_of(&args);
            keys.iter().for_each(|(at, _)| visit(args[*at]));
        }
    }

    /// The owners of a program's keys, each once, in order; of many, the first two found.
    fn owners_of_program(&self, program: &Program) -> SmallVec<[usize; 2]> {
        let mut owners = SmallVec::new();
        self.each_key(program, |key| {
            let owner = owner(key, self.shards);
            if owners.len() < 2 && !owners.contains(&owner) {
                owners.push(owner);
            }
        });
        owners
    }

    /// What each shard is asked about watched keys. Empty if the client watches none.
    pub(super) fn watches_of(&self, program: &Program) -> Vec<Watch> {
        let Some(watcher) = program.watcher else {
            return Vec::new();
        };
        let mut watches: Vec<Watch> = vec![(watcher, Vec::new()); self.shards];
        for place in &program.watched {
            let owner = owner(&place.1, self.shards);
            watches[owner].1.push(place.clone());
        }
        watches
    }

    /// All keys of a program, each once, in order.
    pub(super) fn keys_of_program(&self, program: &Program) -> Vec<Box<[u8]>> {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        self.each_key(program, |key| keys.push(key.into()));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Which keys of one owner a job reads, for the owner to note; and who runs it, so that it need not hear of its own changes.
    pub(super) fn track_of(&self, job: &Job, home: usize) -> Option<Box<Track>> {
        match job {
            Job::Program(program) => self.track_of_program(&program.1, home),
            Job::Command(parked) => {
                let tracker = job.tracker()?;
                let step = Step {
                    command: parked.head.command,
                    db: parked.head.db,
                    args: parked.args.clone(),
                };
                let keys = if tracker.reads {
                    self.reads_at(&step, home)
                } else {
                    Vec::new()
                };
                Some(Box::new(Track { tracker, keys }))
            }
        }
    }

    /// The same of a program.
    pub(super) fn track_of_program(&self, program: &Program, home: usize) -> Option<Box<Track>> {
        let tracker = program.tracker?;
        let keys = program.steps.iter().filter(|_| tracker.reads);
        let keys = keys.flat_map(|step| self.reads_at(step, home)).collect();
        Some(Box::new(Track { tracker, keys }))
    }

    fn reads_at(&self, step: &Step, home: usize) -> Vec<Box<[u8]>> {
        let args = step.args.args();
        let places = read_places(&self.rows[usize::from(step.command)].row, &args);
        places
            .map(|at| args[at])
            .filter(|key| owner(key, self.shards) == home)
            .map(Box::from)
            .collect()
    }

    /// Whether a program looks at whole shards.
    pub(super) fn is_whole_program(&self, program: &Program) -> bool {
        match &program.plan {
            Some(plan) => plan.is_whole,
            None => program
                .steps
                .iter()
                .any(|step| is_whole_step(&self.rows[usize::from(step.command)].row)),
        }
    }

    fn run_program_here(&mut self, job: Job, out: &mut Vec<u8>) -> Submitted {
        if self.is_job_held_up(&job) {
            self.park(job);
            return Submitted::Waiting;
        }
        let Job::Program(program) = &job else {
            return Submitted::Done;
        };
        match self.begin_program(program, out) {
            None => {
                self.serve_ready();
                Submitted::Done
            }
            Some(task) => {
                self.start(&job, task);
                Submitted::Waiting
            }
        }
    }

    /// Runs the first slice of a program. `None`: the payload is in `out`.
    pub(super) fn begin_program(
        &mut self,
        job: &(Origin, Program),
        out: &mut Vec<u8>,
    ) -> Option<Box<dyn Task>> {
        let (origin, program) = job;
        if let Some(watcher) = program.watcher
            && self.shard.end_watch(watcher, &program.watched)
        {
            out.push(TOUCHED);
            return None;
        }
        // A part of several is taken apart once more, to be merged.
        let is_ready = program.plan.is_some() && program.share.is_none();
        let mut running = Running {
            rows: Rc::clone(&self.rows),
            steps: program.steps.clone(),
            plan: program.plan.clone(),
            share: program.share,
            begun: 0,
            proto: program.proto,
            no_touch: program.no_touch,
            tracker: program.tracker,
            is_whole: false,
            shards: self.shards,
            payload: if is_ready {
                Chain::default()
            } else {
                vec![RAN].into()
            },
            ready: is_ready.then(ReadyReplies::default),
            inner: None,
            clock: self.meter.clock(),
            watch: self.step_watch(*origin, program),
        };
        let counts = counts_of(program);
        let begun = self.meter.begin(true);
        self.shard.begin_unit();
        let mut payload = Chain::default();
        if running.step(&mut self.shard, &mut payload) {
            payload.mend();
            put(out, payload);
            self.shard.commit_unit();
            self.meter.end_all(counts, begun);
            return None;
        }
        running.is_whole = self.is_whole_program(program);
        self.shard.set_unit_aside(None);
        self.meter.suspend(counts, None, None, begun);
        Some(Box::new(running))
    }

    /// A watch for the commands of a program, if one of them can be slow.
    fn step_watch(&self, origin: Origin, program: &Program) -> Option<StepWatch> {
        let can_be_slow = |step: &Step| self.is_measured(step.command, step.args.len());
        let wanted = self.shard.slow.is_on()
            && (program.plan.is_some() || program.steps.iter().any(can_be_slow));
        wanted.then(|| StepWatch {
            clock: self.meter.clock(),
            origin,
            inner: None,
        })
    }
}

/// How many of each command a program has.
fn counts_of(program: &Program) -> SmallVec<[(u16, u32); 1]> {
    match &program.plan {
        Some(plan) => plan.counts_of(program.share).collect(),
        None => count(program.steps.iter().map(|step| step.command)),
    }
}

/// How many there are of each of these, neighbours together.
pub(super) fn count(commands: impl Iterator<Item = u16>) -> SmallVec<[(u16, u32); 1]> {
    let mut counts: SmallVec<[(u16, u32); 1]> = SmallVec::new();
    for command in commands {
        match counts.last_mut() {
            Some((last, count)) if *last == command => *count += 1,
            _ => counts.push((command, 1)),
        }
    }
    counts
}

/// Where the keys of a command are, if it only reads.
fn read_places(row: &KeyspaceRow, args: &[&[u8]]) -> impl Iterator<Item = usize> {
    let only_reads = row.spec.resolve(args).has(flag::READONLY);
    let keys = if only_reads {
        row.spec.keys_of(args)
    } else {
        SmallVec::default()
    };
    keys.into_iter().map(|(at, _)| at)
}

/// Whether a command looks at whole shards.
pub(super) fn is_whole_step(row: &KeyspaceRow) -> bool {
    matches!(row.spread, Spread::Everywhere { .. } | Spread::Cursor)
}

/// Whether a command may need keys that it does not name.
pub(super) fn is_open_step(row: &KeyspaceRow, args: &[&[u8]]) -> bool {
    row.spec.open_keys.is_some_and(|open| open(args))
}

/// Puts the payload of one slice where a short reply goes.
fn put(out: &mut Vec<u8>, payload: Chain) {
    if out.is_empty() {
        *out = payload.into_bytes();
    } else if !try_append_chain(out, &payload) {
        // No payload begins like this: the whole answer is the error.
        out.extend_from_slice(OUT_OF_MEMORY);
    }
}
