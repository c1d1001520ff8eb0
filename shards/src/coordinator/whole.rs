//! Programs that look at whole shards (DBSIZE, KEYS, FLUSHALL, SCAN, ... between MULTI and EXEC), where there are several shards.
//!
//! Every shard closes its gate and hands all of its tables over; the coordinator runs the commands one by one, each on the tables that it needs, and
//! sends them home. One position on every shard, as for a borrow, so it is as strict; but the whole node waits for it.

use std::collections::HashSet;

use tessera_core::number::parse_u64;
use tessera_core::resp::{OUT_OF_MEMORY, Reply, try_append};

use crate::command::{Cx, Further, Spread};
use crate::coordinator::engine::{Engine, Submitted, check_whole, distinct};
use crate::coordinator::gather::{merge_parts, split_number};
use crate::coordinator::program::{Program, RAN, Step, TOUCHED, put_reply};
use crate::coordinator::route::{Places, owner};
use crate::coordinator::scan::count_of;
use crate::coordinator::work::Work;
use crate::mesh::{KeyPlace, Origin, Parcel, Watch};
use crate::shard::event::Happened;
use crate::shard::{Databases, Tables};

/// A program that waits for the shards.
pub(super) struct Whole {
    job: Box<(Origin, Program)>,
    waiting: usize,
    /// By shard.
    tables: Vec<Option<Databases>>,
    touched: bool,
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
        /// Whether whole databases were emptied or exchanged.
        reshuffled: bool,
    },
}

impl<X> Engine<X> {
    /// Asks all shards for their tables, in one position.
    pub(super) fn submit_whole(&mut self, job: Box<(Origin, Program)>) -> Submitted {
        self.spans = true;
        let program = &job.1;
        let watch = program
            .watcher
            .map(|watcher| (watcher, program.watched.clone()));
        let whole = self.wholes.insert(Whole {
            job,
            waiting: self.shards,
            tables: (0..self.shards).map(|_| None).collect(),
            touched: false,
        }) as u32;
        for target in 0..self.shards {
            let mut watch = watch.clone().map(Box::new);
            if let Some(watch) = &mut watch {
                watch.1.retain(|(_, key)| owner(key, self.shards) == target);
            }
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
                reshuffled,
            } => {
                self.shard.get_back(databases);
                let mut changed = changed;
                if reshuffled {
                    changed.extend(std::mem::take(&mut self.watched_before));
                    changed.extend(self.shard.watched_that_exist());
                }
                for (db, key) in changed {
                    self.shard.changed_elsewhere(db, &key);
                }
                self.shard.happened_elsewhere(happened);
                self.locks.closed = false;
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
        let mut tables: Vec<Tables> = ready
            .tables
            .into_iter()
            .map(|databases| databases.map(Databases::into_tables).unwrap_or_default())
            .collect();
        let (origin, program) = *ready.job;
        self.shard.borrowed_changes = Some(Vec::new());
        let mut reshuffled = false;
        let mut payload = vec![if ready.touched { TOUCHED } else { RAN }];
        if !ready.touched {
            let begun = self.meter.begin(true);
            for step in &program.steps {
                let row = &self.rows[usize::from(step.command)].row;
                reshuffled |= matches!(row.spread, Spread::Everywhere { .. })
                    && row.spec.has(crate::command::spec::flag::WRITE);
                let reply = self.run_step(&program, step, &mut tables);
                put_reply(&mut payload, &reply);
            }
            let commands = program.steps.iter().map(|step| step.command);
            self.meter.end_all(commands, begun);
        }
        let changed = self.shard.borrowed_changes.take().unwrap_or_default();
        let mut happened = self.shard.happened_to(|_| true);
        for (home, tables) in tables.into_iter().enumerate() {
            let is_its = |place: &&(usize, Box<[u8]>)| owner(&place.1, self.shards) == home;
            let (its, others) = happened
                .into_iter()
                .partition(|it| owner(&it.key, self.shards) == home);
            happened = others;
            let parcel = WholeParcel::Return {
                databases: Databases::from_tables(tables),
                happened: its,
                changed: changed.iter().filter(is_its).cloned().collect(),
                reshuffled,
            };
            self.out[home].parcel(Parcel::Whole(parcel));
        }
        self.answer(origin, &payload);
    }

    /// Runs one command on the tables it needs and returns its reply.
    fn run_step(&mut self, program: &Program, step: &Step, tables: &mut [Tables]) -> Vec<u8> {
        let args: Vec<&[u8]> = step.args.iter().map(|arg| &**arg).collect();
        let row = self.rows[usize::from(step.command)].row;
        match row.spread {
            Spread::Everywhere { merge } => {
                let parts: Vec<Vec<u8>> = tables
                    .iter_mut()
                    .map(|tables| self.run_on(program, step, &args, tables))
                    .collect();
                let mut reply = Vec::new();
                let rng = &mut self.shard.rng;
                merge_parts(merge, &[], &parts, program.proto, rng, &mut reply);
                reply
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
    ) -> Vec<u8> {
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
    ) -> Result<Vec<u8>, Vec<Box<[u8]>>> {
        let lent: HashSet<&[u8]> = lent.iter().map(|(_, key)| &**key).collect();
        let shards = self.shards;
        self.shard.exchange(tables);
        self.shard.no_touch = program.no_touch;
        let mut reply = Vec::new();
        let mut cx = Cx {
            shard: &mut self.shard,
            db: step.db,
            reply: Reply::new(&mut reply, program.proto),
            reach: &|key| owner(key, shards) == home || lent.contains(key),
            further: Further::default(),
            task: None,
            may_block: false,
            waits_for: None,
            waits_as: None,
        };
        (self.rows[usize::from(step.command)].row.op)(&mut cx, args);
        cx.reply.finish();
        let Cx { task, further, .. } = cx;
        let missing = further.wanted().unwrap_or_default();
        if let Some(mut task) = task {
            while !task.step(&mut self.shard, &mut reply) {}
            check_whole(&mut reply);
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
    ) -> Vec<u8> {
        let shards = self.shards as u64;
        let Some(cursor) = args.get(1).and_then(|text| parse_u64(text)) else {
            return self.run_on(program, step, args, &mut tables[0]);
        };
        let (mut at, mut inner) = (cursor % shards, cursor / shards);
        let (mut found, mut elements) = (0, Vec::new());
        loop {
            let inner_cursor = inner.to_string();
            let mut inner_args = args.to_vec();
            inner_args[1] = inner_cursor.as_bytes();
            let reply = self.run_on(program, step, &inner_args, &mut tables[at as usize]);
            if reply.first() == Some(&b'-') {
                return reply;
            }
            let (_, rest) = split_number(&reply);
            let (length, rest) = split_number(rest);
            let (cursor, rest) = rest.split_at(length as usize);
            let (count, more) = split_number(&rest[2..]);
            inner = parse_u64(cursor).unwrap_or(0);
            found += count as usize;
            if !try_append(&mut elements, more) {
                return OUT_OF_MEMORY.to_vec();
            }
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
        let mut merged = Vec::new();
        let mut writer = Reply::new(&mut merged, program.proto);
        writer.array(2);
        writer.bulk(next.to_string().as_bytes());
        writer.array(found);
        writer.raw(&elements);
        writer.finish();
        merged
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
            .map(|table| table.remove(hash, key))
            .collect();
        for (table, entry) in tables[to].iter_mut().zip(moved) {
            if let Some(entry) = entry {
                table.insert(hash, entry);
            }
        }
    }
}
