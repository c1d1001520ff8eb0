//! Programs that look at whole shards (DBSIZE, KEYS, FLUSHALL, SCAN, ... between MULTI and EXEC), where there are several shards.
//!
//! Every shard closes its gate and hands all of its tables over; the coordinator runs the commands one by one, each on the tables that it needs, and
//! sends them home. One position on every shard, as for a borrow, so it is as strict; but the whole node waits for it.

use std::collections::HashSet;

use tessera_core::number::parse_u64;
use tessera_core::resp::{Chain, OUT_OF_MEMORY, Reply};

use crate::command::spec::flag;
use crate::command::{Cx, Further, KeyspaceRow, Spread, Words};
use crate::coordinator::engine::{Engine, Submitted};
use crate::coordinator::gather::merge_parts;
use crate::coordinator::payload::{RAN, Said, TOUCHED, put_reply, replies};
use crate::coordinator::program::{Program, count};
use crate::coordinator::route::{Places, owner};
use crate::coordinator::scan::{Scanned, count_of, scanned};
use crate::coordinator::steps::{Step, Steps};
use crate::coordinator::work::{Work, distinct};
use crate::mesh::{KeyPlace, Origin, Parcel, Watch};
use crate::script::{CallFailed, Host, Progress, Question, Request, Run, Wanted, first_mistake};
use crate::shard::effects::Unit;
use crate::shard::event::Happened;
use crate::shard::tracking::{Track, Tracker};
use crate::shard::{Databases, Tables};

/// A program that waits for the shards.
pub(super) struct Whole {
    job: Box<(Origin, Program)>,
    waiting: usize,
    /// By shard.
    tables: Vec<Option<Databases>>,
    touched: bool,
}

/// A program that runs on all tables there are.
pub(super) struct WholeRun {
    origin: Origin,
    program: Program,
    /// The next command.
    at: usize,
    /// By shard.
    tables: Vec<Tables>,
    payload: Chain,
    changed: Vec<KeyPlace>,
    /// What has happened to keys.
    happened: Vec<Happened>,
    /// Whether whole databases were emptied or exchanged.
    reshuffled: bool,
    /// How often all keys were flushed.
    flushes: usize,
    /// A script between two slices.
    script: Option<Run>,
    /// How long the current command's slices took so far.
    step_ns: u64,
    /// What it has told the log so far.
    unit: Option<Box<Unit>>,
}

/// Whether a command empties or exchanges whole databases.
fn is_reshuffling(row: &KeyspaceRow) -> bool {
    matches!(row.spread, Spread::Everywhere { .. }) && row.spec.has(flag::WRITE)
}

/// All tables there are, for a script.
struct WholeHost<'a, X> {
    engine: &'a mut Engine<X>,
    tables: &'a mut [Tables],
    no_touch: bool,
    tracker: Option<Tracker>,
    reshuffled: bool,
}

impl<X> Host for WholeHost<'_, X> {
    fn call(&mut self, wanted: &Wanted<'_>) -> Result<Vec<u8>, CallFailed> {
        let Some(args) = Words::of(wanted.args) else {
            return Ok(OUT_OF_MEMORY.to_vec());
        };
        let program = Program {
            steps: Steps::default(),
            proto: wanted.proto,
            no_touch: self.no_touch,
            is_bare: true,
            tracker: self.tracker,
            watcher: None,
            watched: Vec::new(),
            plan: None,
            share: None,
        };
        let step = Step {
            command: wanted.known.number,
            db: wanted.db,
            args,
        };
        let row = &self.engine.rows[usize::from(step.command)].row;
        self.reshuffled |= is_reshuffling(row);
        let reply = self.engine.run_step(&program, &step, self.tables);
        Ok(reply.into_bytes())
    }

    fn ask(&mut self, question: Question) {
        self.engine.shard.scripts.questions.push(question);
    }

    fn now_ms(&self) -> u64 {
        self.engine.shard.now_ms
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        let refusal = self.engine.shard.scripts.refusal.as_ref();
        refusal.map(|refusal| refusal.command.clone())
    }

    fn notes_reads(&self) -> bool {
        self.engine.shard.notes_reads()
    }
}

/// A parcel about a program that looks at whole shards.
#[derive(Debug)]
pub enum WholeParcel {
    /// Close the gate and hand all tables over.
    Take {
        /// The coordinator.
        sender: usize,
        /// Number of the program there.
        whole: u32,
        /// The client whose watched keys have to be untouched, and these.
        watch: Option<Box<Watch>>,
    },
    /// All tables of a shard.
    Taken {
        /// Number of the program at the coordinator.
        whole: u32,
        /// Whose tables.
        owner: usize,
        /// The tables.
        databases: Databases,
        /// Whether a watched key had been touched.
        touched: bool,
    },
    /// The tables are back; open the gate.
    Return {
        /// The tables.
        databases: Databases,
        /// Which keys changed.
        changed: Vec<KeyPlace>,
        /// What has happened to keys.
        happened: Vec<Happened>,
        /// Who ran the program, if it tracks keys, and which of this shard's it has read.
        track: Option<Box<Track>>,
        /// How often all keys were flushed.
        flushes: usize,
        /// Whether whole databases were emptied or exchanged.
        reshuffled: bool,
    },
}

impl<X> Engine<X> {
    /// Asks all shards for their tables, in one position.
    pub(super) fn submit_whole(&mut self, job: Box<(Origin, Program)>) -> Submitted {
        self.spans = true;
        let mut watches = self.watches_of(&job.1);
        let whole = self.wholes.insert(Whole {
            job,
            waiting: self.shards,
            tables: (0..self.shards).map(|_| None).collect(),
            touched: false,
        }) as u32;
        for target in 0..self.shards {
            let watch = watches.get_mut(target).map(std::mem::take).map(Box::new);
            self.out[target].parcel(Parcel::Whole(WholeParcel::Take {
                sender: self.id,
                whole,
                watch,
            }));
        }
        Submitted::Batched(self.id)
    }

    /// A message about such a program.
    pub(super) fn whole_parcel(&mut self, parcel: WholeParcel) {
        match parcel {
            take @ WholeParcel::Take { .. } => {
                self.locks.gate.push_back(Work::Whole(take));
                self.open_gate();
            }
            WholeParcel::Taken {
                whole,
                owner,
                databases,
                touched,
            } => {
                let open = &mut self.wholes[whole as usize];
                open.tables[owner] = Some(databases);
                open.touched |= touched;
                open.waiting -= 1;
                if open.waiting == 0 {
                    let ready = self.wholes.remove(whole as usize);
                    self.run_whole(ready);
                }
            }
            WholeParcel::Return {
                databases,
                changed,
                happened,
                track,
                flushes,
                reshuffled,
            } => {
                self.shard.get_back(databases);
                let mut changed = changed;
                if reshuffled {
                    changed.extend(std::mem::take(&mut self.watched_before));
                    changed.extend(self.shard.watched_that_exist());
                }
                self.note_track(track.as_deref());
                for (db, key) in changed {
                    self.shard.changed_elsewhere(db, &key);
                }
                (0..flushes).for_each(|_| self.shard.make_all_stale());
                self.shard.happened_elsewhere(happened);
                self.locks.closed = false;
                // Who waits for what the program has changed comes before those who came after it.
                self.serve_ready();
                self.open_gate();
                self.serve_ready();
            }
        }
    }

    /// Whether the shard can be handed over now.
    pub(super) fn is_still(&self) -> bool {
        self.locks.is_free() && self.running.is_empty()
    }

    /// The gate is reached and nothing is under way: hands all tables over. Gives the parcel back if that can't be yet.
    pub(super) fn close(&mut self, take: WholeParcel) -> Result<(), WholeParcel> {
        let WholeParcel::Take {
            sender,
            whole,
            watch,
        } = take
        else {
            return Ok(());
        };
        let touched = watch
            .as_ref()
            .is_some_and(|watch| self.shard.is_touched(watch.0, &watch.1));
        self.watched_before = self.shard.watched_that_exist();
        let Some(databases) = self.shard.hand_over() else {
            return Err(WholeParcel::Take {
                sender,
                whole,
                watch,
            });
        };
        if let Some(watch) = watch {
            self.shard.unwatch(watch.0);
        }
        self.locks.closed = true;
        let parcel = WholeParcel::Taken {
            whole,
            owner: self.id,
            databases,
            touched,
        };
        if sender == self.id {
            self.whole_parcel(parcel);
        } else {
            self.out[sender].parcel(Parcel::Whole(parcel));
        }
        Ok(())
    }

    fn run_whole(&mut self, ready: Whole) {
        let tables = ready
            .tables
            .into_iter()
            .map(|databases| databases.map(Databases::into_tables).unwrap_or_default())
            .collect();
        let (origin, program) = *ready.job;
        self.go_on_whole(WholeRun {
            origin,
            at: if ready.touched {
                program.steps.len()
            } else {
                0
            },
            payload: vec![if ready.touched { TOUCHED } else { RAN }].into(),
            program,
            tables,
            changed: Vec::new(),
            happened: Vec::new(),
            reshuffled: false,
            flushes: 0,
            script: None,
            step_ns: 0,
            unit: None,
        });
    }

    /// Runs a program up to its end, or to the end of a slice of a script.
    pub(super) fn go_on_whole(&mut self, mut run: WholeRun) {
        self.shard.borrowed_changes = Some(std::mem::take(&mut run.changed));
        let earlier = self.shard.take_happened();
        // What a command of this turn has flushed is not the program's.
        let earlier_stale = self.shard.take_stale();
        self.shard.run_for(run.program.tracker);
        let begun = self.meter.begin(true);
        self.shard.resume_unit(run.unit.take());
        let is_done = self.step_whole(&mut run);
        if is_done {
            self.shard.commit_unit();
        } else {
            run.unit = self.shard.pause_unit();
        }
        run.flushes += self.shard.take_all_stale() / self.shards;
        self.shard.stale_before(earlier_stale);
        run.changed = self.shard.borrowed_changes.take().unwrap_or_default();
        run.happened.extend(self.shard.take_happened());
        self.shard.happened_elsewhere(earlier);
        if !is_done {
            self.whole_runs.push(run);
            return;
        }
        let steps = run.program.steps.iter();
        let counts = count(steps.map(|step| step.command));
        self.meter.end_all(counts, begun);
        for (home, tables) in run.tables.into_iter().enumerate() {
            let is_its = |place: &&(usize, Box<[u8]>)| owner(&place.1, self.shards) == home;
            let (its, others) = run
                .happened
                .into_iter()
                .partition(|it| owner(&it.key, self.shards) == home);
            run.happened = others;
            let mut track = self.track_of_program(&run.program, home);
            let read = self
                .shard
                .take_script_reads(|key| owner(key, self.shards) == home);
            if let (Some(track), Some(read)) = (&mut track, read) {
                track.keys.extend(read.keys);
            }
            let parcel = WholeParcel::Return {
                databases: Databases::from_tables(tables),
                happened: its,
                track,
                flushes: run.flushes,
                changed: run.changed.iter().filter(is_its).cloned().collect(),
                reshuffled: run.reshuffled,
            };
            self.out[home].parcel(Parcel::Whole(parcel));
        }
        run.payload.mend();
        let is_bare = run.program.is_bare && run.payload.first() == Some(RAN);
        let answer = if is_bare {
            let mut replies = replies(Said::Long(run.payload));
            replies.next().map(Said::into_chain).unwrap_or_default()
        } else {
            run.payload
        };
        self.answer_whole(run.origin, answer);
    }

    /// Runs the commands of a program that are left. Says no if a script among them goes on with another slice.
    fn step_whole(&mut self, run: &mut WholeRun) -> bool {
        let steps = run.program.steps.clone();
        while let Some(step) = steps.get(run.at) {
            let row = &self.rows[usize::from(step.command)].row;
            run.reshuffled |= is_reshuffling(row);
            let clock = self.meter.clock();
            let begun = clock();
            if row.spread == Spread::Script {
                match self.step_script(run, step) {
                    Some(reply) => put_reply(&mut run.payload, Said::Short(&reply)),
                    None => {
                        run.step_ns += clock().saturating_sub(begun);
                        return false;
                    }
                }
            } else {
                let reply = self.run_step(&run.program, step, &mut run.tables);
                put_reply(&mut run.payload, Said::Long(reply));
            }
            let ns = std::mem::take(&mut run.step_ns) + clock().saturating_sub(begun);
            let slow = &mut self.shard.slow;
            slow.note(step.command, run.origin, &step.args.args(), ns);
            run.at += 1;
        }
        true
    }

    /// Begins a script, or goes on with it. `None`: it goes on with another slice.
    fn step_script(&mut self, run: &mut WholeRun, step: &Step) -> Option<Vec<u8>> {
        let is_new = run.script.is_none();
        let mut script = match run.script.take() {
            Some(script) => script,
            None => match self.begin_script(&run.program, step) {
                Ok(script) => script,
                Err(reply) => return Some(reply),
            },
        };
        script.look_at_clock(self.shard.now_ms, self.shard.settings.busy_reply_ms);
        // For a script the time stands still.
        let now_ms = std::mem::replace(&mut self.shard.now_ms, script.started_ms());
        let mut host = WholeHost {
            engine: self,
            tables: &mut run.tables,
            no_touch: run.program.no_touch,
            tracker: run.program.tracker,
            reshuffled: false,
        };
        let progress = script.advance(&mut host);
        run.reshuffled |= host.reshuffled;
        self.shard.now_ms = now_ms;
        match progress {
            Progress::Done(reply) => {
                script.finish(&mut self.shard);
                Some(reply)
            }
            Progress::Paused => {
                if is_new {
                    script.linger(step.args.iter().map(Box::from).collect(), None);
                }
                run.script = Some(script);
                None
            }
            Progress::Missing | Progress::NeedsAll => {
                unreachable!("whoever has all keys misses none")
            }
        }
    }

    fn begin_script(&mut self, program: &Program, step: &Step) -> Result<Run, Vec<u8>> {
        let args = step.args.args();
        let (now_ms, databases) = (self.shard.now_ms, self.shard.databases());
        let seed = self.shard.rng.next_u64();
        let scripts = &mut self.shard.scripts;
        let begun = Request::parse(&args, step.db, program.proto)
            .map_err(|text| first_mistake(scripts, &args, text).as_bytes().to_vec())
            .and_then(|request| Run::new(scripts, &request, now_ms, databases, seed));
        begun.map_err(|text| {
            let mut reply = Vec::new();
            Reply::new(&mut reply, program.proto).error(text);
            reply
        })
    }

    /// Runs one command on the tables it needs and returns its reply.
    fn run_step(&mut self, program: &Program, step: &Step, tables: &mut [Tables]) -> Chain {
        let args = step.args.args();
        let row = self.rows[usize::from(step.command)].row;
        let mark = self.shard.begin_command();
        let reply = self.run_spread(&row, program, step, tables);
        if is_reshuffling(&row) {
            self.shard.end_command(mark, &row.spec, step.db, &args);
        }
        reply
    }

    fn run_spread(
        &mut self,
        row: &KeyspaceRow,
        program: &Program,
        step: &Step,
        tables: &mut [Tables],
    ) -> Chain {
        let args = step.args.args();
        match row.spread {
            Spread::Everywhere { merge } => {
                let parts: Vec<Chain> = tables
                    .iter_mut()
                    .map(|tables| self.run_on(program, step, &args, tables))
                    .collect();
                merge_parts(merge, &[], parts, program.proto, &mut self.shard.rng)
            }
            Spread::Cursor => self.scan_step(program, step, &args, tables),
            _ => {
                let places = Places::of(&row.spec, &args, self.shards);
                let home = places.keys.first().map_or(0, |(_, owner)| *owner);
                let mut lent = self.lend(&places, &args, home, tables);
                let reply = loop {
                    match self.try_on(program, step, &args, home, &lent, &mut tables[home]) {
                        Ok(reply) => break reply,
                        Err(missing) => self.lend_more(&mut lent, missing, home, tables),
                    }
                };
                self.bring_home(lent, home, tables);
                reply
            }
        }
    }

    /// Runs a command to its end on the tables of one shard.
    fn run_on(
        &mut self,
        program: &Program,
        step: &Step,
        args: &[&[u8]],
        tables: &mut Tables,
    ) -> Chain {
        // A command over whole shards needs no further keys.
        let ran = self.try_on(program, step, args, 0, &[], tables);
        ran.unwrap_or_default()
    }

    /// The same, unless keys of other shards are missing; then it has done nothing.
    fn try_on(
        &mut self,
        program: &Program,
        step: &Step,
        args: &[&[u8]],
        home: usize,
        lent: &[(usize, Box<[u8]>)],
        tables: &mut Tables,
    ) -> Result<Chain, Vec<Box<[u8]>>> {
        let lent: HashSet<&[u8]> = lent.iter().map(|(_, key)| &**key).collect();
        let shards = self.shards;
        self.shard.exchange(tables);
        self.shard.no_touch = program.no_touch;
        let mut reply = Chain::default();
        let row = &self.rows[usize::from(step.command)].row;
        if self.shard.records() {
            self.shard.prepare_record(&row.spec, step.db, args);
        }
        let mark = self.shard.begin_command();
        let mut cx = Cx {
            shard: &mut self.shard,
            db: step.db,
            reply: Reply::new(reply.tail(), program.proto),
            reach: &|key| owner(key, shards) == home || lent.contains(key),
            held: &[],
            is_alone: false,
            further: Further::default(),
            task: None,
            may_block: false,
            waits_for: None,
            waits_as: None,
        };
        (row.op)(&mut cx, args);
        cx.reply.finish();
        let Cx { task, further, .. } = cx;
        let missing = if further.is_missing() {
            further.asked()
        } else {
            Vec::new()
        };
        if let Some(mut task) = task {
            while !task.step(&mut self.shard, &mut reply) {}
            reply.mend();
        }
        // One over whole shards is recorded once for all.
        if missing.is_empty() && !is_reshuffling(row) {
            self.shard.end_command(mark, &row.spec, step.db, args);
        }
        self.shard.exchange(tables);
        if missing.is_empty() {
            Ok(reply)
        } else {
            Err(missing)
        }
    }

    /// SCAN: from the shard that the cursor names on, until COUNT is met.
    fn scan_step(
        &mut self,
        program: &Program,
        step: &Step,
        args: &[&[u8]],
        tables: &mut [Tables],
    ) -> Chain {
        let shards = self.shards as u64;
        let Some(cursor) = args.get(1).and_then(|text| parse_u64(text)) else {
            return self.run_on(program, step, args, &mut tables[0]);
        };
        let (mut at, mut inner) = (cursor % shards, cursor / shards);
        let (mut found, mut elements) = (0, Chain::default());
        loop {
            let inner_cursor = inner.to_string();
            let mut inner_args = args.to_vec();
            inner_args[1] = inner_cursor.as_bytes();
            let reply = self.run_on(program, step, &inner_args, &mut tables[at as usize]);
            if reply.first() == Some(b'-') {
                return reply;
            }
            let part = Scanned::of(reply.head());
            inner = part.cursor;
            found += part.count;
            Said::Long(reply).put_behind(part.header, &mut elements);
            if inner != 0 || at + 1 == shards || found >= count_of(args) {
                break;
            }
            at += 1;
        }
        let next = match inner {
            0 if at + 1 == shards => 0,
            0 => at + 1,
            inner => inner * shards + at,
        };
        scanned(next, found, elements, program.proto)
    }

    /// Moves the entries of a command's keys that are not at `home` there.
    fn lend(
        &mut self,
        places: &Places,
        args: &[&[u8]],
        home: usize,
        tables: &mut [Tables],
    ) -> Vec<(usize, Box<[u8]>)> {
        let mut lent: Vec<(usize, Box<[u8]>)> = places
            .keys
            .iter()
            .filter(|(_, owner)| *owner != home)
            .map(|(at, owner)| (*owner, args[*at].into()))
            .collect();
        lent.sort_unstable();
        lent.dedup();
        for (owner, key) in &lent {
            self.move_key(key, *owner, home, tables);
        }
        lent
    }

    /// Moves the entries of further keys to `home`.
    fn lend_more(
        &mut self,
        lent: &mut Vec<(usize, Box<[u8]>)>,
        missing: Vec<Box<[u8]>>,
        home: usize,
        tables: &mut [Tables],
    ) {
        for key in distinct(missing.into_iter()) {
            let owner = owner(&key, self.shards);
            self.move_key(&key, owner, home, tables);
            lent.push((owner, key));
        }
    }

    fn bring_home(&mut self, lent: Vec<(usize, Box<[u8]>)>, home: usize, tables: &mut [Tables]) {
        for (owner, key) in lent {
            self.move_key(&key, home, owner, tables);
        }
    }

    /// Moves a key, in all databases.
    fn move_key(&mut self, key: &[u8], from: usize, to: usize, tables: &mut [Tables]) {
        let hash = self.shard.hash(key);
        let moved: Vec<_> = tables[from]
            .iter_mut()
            .map(|database| database.table.remove(hash, key))
            .collect();
        for (database, entry) in tables[to].iter_mut().zip(moved) {
            if let Some(entry) = entry {
                database.table.insert(hash, entry);
            }
        }
    }
}
