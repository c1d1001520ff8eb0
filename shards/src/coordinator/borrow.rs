//! Borrowing: keys of several shards come to the coordinator, the command runs there as if they were its own, and they go home.
//!
//! The entries change hands by pointer. The owner keeps the keys locked meanwhile; keys of the coordinator itself stay where they are, locked. The
//! foreign keys are in the coordinator's table only within one uninterrupted step, so that nobody sees them there.

use smallvec::{SmallVec, smallvec};
use tessera_core::number::parse_i64;

use crate::command::Further;
use crate::coordinator::blocking::Found;
use crate::coordinator::engine::{Asker, Engine, Submitted, refused};
use crate::coordinator::further::Outcome;
use crate::coordinator::payload::TOUCHED;
use crate::coordinator::route::{Places, owner};
use crate::coordinator::steps::Step;
use crate::coordinator::work::{Job, Parked, distinct};
use crate::mesh::{Parcel, TakenKey, Wait};
use crate::shard::event::Happened;
use crate::shard::tracking::Track;

/// A command that waits for its keys.
pub(super) struct Borrow {
    job: Job,
    waiting: usize,
    /// Owner, its lock, its keys.
    taken: Vec<Loan>,
    /// Whether a watched key had been touched: then nothing runs.
    touched: bool,
    /// All its keys in order, for one that may find more of them missing.
    lent: Vec<Box<[u8]>>,
}

/// Keys of one owner, borrowed under one lock. The coordinator's own keys are not in the list: they stay in its table.
pub(super) struct Loan {
    owner: usize,
    lock: u32,
    keys: Vec<TakenKey>,
    /// Which of them have changed, and in which database.
    changed: Vec<(usize, Box<[u8]>)>,
    /// What has happened to them.
    happened: Vec<Happened>,
    /// Who runs the command, if it tracks keys, and which of these it has read.
    track: Option<Box<Track>>,
    /// A command that waits for some of them from now on.
    wait: Option<Box<Wait>>,
    /// Whether others who wait for them are to be looked at.
    ready: bool,
}

/// Where a loan's entries lie while they are in the table.
pub(super) struct Place {
    owner: usize,
    lock: u32,
    keys: Vec<(usize, Box<[u8]>)>,
    changed: Vec<(usize, Box<[u8]>)>,
    happened: Vec<Happened>,
    track: Option<Box<Track>>,
}

/// The databases that a command touches: COPY and MOVE name a second one.
pub(super) fn databases(args: &[&[u8]], db: usize, count: usize) -> SmallVec<[usize; 2]> {
    if args[0].eq_ignore_ascii_case(b"move") {
        let named = args
            .get(2)
            .and_then(|arg| usize::try_from(parse_i64(arg)?).ok());
        return match named {
            Some(other) if other != db && other < count => smallvec![db, other],
            _ => smallvec![db],
        };
    }
    let named = args
        .windows(2)
        .skip(3)
        .filter(|pair| args[0].eq_ignore_ascii_case(b"copy") && pair[0].eq_ignore_ascii_case(b"db"))
        .filter_map(|pair| usize::try_from(parse_i64(pair[1])?).ok())
        .next_back();
    match named {
        Some(other) if other != db && other < count => smallvec![db, other],
        _ => smallvec![db],
    }
}

impl<X> Engine<X> {
    /// Sends the takes of a command whose keys lie on several shards.
    pub(super) fn submit_borrow(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        places: &Places,
        out: &mut Vec<u8>,
    ) -> Submitted {
        let head = self.head(command, asker);
        let dbs = databases(args, asker.db, self.shard.databases());
        let Some(parked) = Parked::new(&head, args) else {
            return refused(out);
        };
        let keys = distinct(places.keys.iter().map(|(at, _)| args[*at].into()));
        self.send_takes(Job::Command(parked), keys, &dbs);
        Submitted::Batched(self.id)
    }

    /// Sends the takes of a job whose keys lie on several shards.
    pub(super) fn borrow_for(&mut self, job: Job, keys: Vec<Box<[u8]>>) -> Submitted {
        let count = self.shard.databases();
        let mut dbs = match &job {
            Job::Command(parked) => databases(&parked.args(), parked.head.db, count),
            Job::Program(program) => {
                let of_step = |step: &Step| databases(&step.args.args(), step.db, count);
                program.1.steps.iter().flat_map(of_step).collect()
            }
        };
        dbs.sort_unstable();
        dbs.dedup();
        self.send_takes(job, keys, &dbs);
        Submitted::Batched(self.id)
    }

    /// Asks every owner for its share of the keys, in one position.
    pub(super) fn send_takes(
        &mut self,
        job: Job,
        keys: Vec<Box<[u8]>>,
        dbs: &SmallVec<[usize; 2]>,
    ) {
        let mut watches = match &job {
            Job::Program(program) => self.watches_of(&program.1),
            Job::Command(_) => Vec::new(),
        };
        let may_wait = matches!(&job, Job::Command(parked) if parked.claim.is_some());
        let lent = if self.is_open(&job) {
            keys.clone()
        } else {
            Vec::new()
        };
        let number = self.borrows.insert(Borrow {
            job,
            waiting: 0,
            taken: Vec::new(),
            touched: false,
            lent,
        });
        let mut shares: Vec<Vec<Box<[u8]>>> = vec![Vec::new(); self.shards];
        for key in keys {
            shares[owner(&key, self.shards)].push(key);
        }
        for (target, keys) in shares.into_iter().enumerate() {
            if keys.is_empty() {
                continue;
            }
            self.borrows[number].waiting += 1;
            self.hops += u64::from(target != self.id);
            let watch = watches.get_mut(target).map(std::mem::take).map(Box::new);
            self.out[target].parcel(Parcel::Take {
                sender: self.id,
                borrow: number as u32,
                dbs: dbs.clone(),
                keys,
                watch,
                may_wait,
            });
        }
    }

    /// A message about a borrow.
    pub fn parcel(&mut self, parcel: Parcel<X>) {
        match parcel {
            take @ Parcel::Take { .. } => self.take(take),
            Parcel::Taken {
                borrow,
                owner,
                lock,
                keys,
                touched,
            } => {
                let open = &mut self.borrows[borrow as usize];
                open.taken.push(Loan {
                    owner,
                    lock,
                    keys,
                    changed: Vec::new(),
                    happened: Vec::new(),
                    track: None,
                    wait: None,
                    ready: false,
                });
                open.touched |= touched;
                open.waiting -= 1;
                if open.waiting == 0 {
                    let ready = self.borrows.remove(borrow as usize);
                    self.run_with_borrowed(ready);
                }
            }
            Parcel::Return {
                lock,
                keys,
                changed,
                happened,
                track,
                wait,
                ready,
            } => {
                for key in keys {
                    if ready {
                        self.shard.note_ready(key.db, &key.key);
                    }
                    if let Some(entry) = key.entry {
                        self.shard.insert(key.db, entry);
                    }
                }
                #[cfg(feature = "sabotage")]
                let changed = if self.sabotage == Some(crate::coordinator::Sabotage::ForgetChanges)
                {
                    Vec::new()
                } else {
                    changed
                };
                self.note_track(track.as_deref());
                for (db, key) in changed {
                    self.shard.changed_elsewhere(db, &key);
                }
                self.shard.happened_elsewhere(happened);
                if let Some(wait) = wait {
                    self.wait_for(&wait.0, &wait.1);
                }
                self.release(lock);
            }
            Parcel::Job(job) => self.take_up(job),
            // Its takes belong to the next position of this shard, which may have been given out already.
            Parcel::Again(job) => self.woken.push(job),
            Parcel::Whole(parcel) => self.whole_parcel(parcel),
            // The front end runs calls itself.
            Parcel::Call { .. } | Parcel::Tell { .. } => {}
        }
    }

    /// The keys of a take are locked: sends their entries. The coordinator's own stay.
    pub(super) fn hand_over(&mut self, lock: u32, take: Parcel<X>) {
        let Parcel::Take {
            sender,
            borrow,
            dbs,
            keys,
            watch,
            may_wait: _,
        } = take
        else {
            return;
        };
        #[cfg(feature = "sabotage")]
        let watch = watch.filter(|_| {
            sender == self.id || self.sabotage != Some(crate::coordinator::Sabotage::SkipWatch)
        });
        let touched = watch.is_some_and(|watch| self.shard.end_watch(watch.0, &watch.1));
        let mut taken = Vec::new();
        if sender != self.id {
            for db in dbs {
                for key in &keys {
                    taken.push(TakenKey {
                        db,
                        key: key.clone(),
                        entry: self.shard.take(db, key),
                    });
                }
            }
        }
        let parcel = Parcel::Taken {
            borrow,
            owner: self.id,
            lock,
            keys: taken,
            touched,
        };
        if sender == self.id {
            self.parcel(parcel);
        } else {
            self.out[sender].parcel(parcel);
        }
    }

    fn run_with_borrowed(&mut self, ready: Borrow) {
        let Borrow {
            job,
            taken,
            touched,
            lent,
            ..
        } = ready;
        if touched {
            self.answer(job.origin(), &[TOUCHED]);
            return self.give_back(taken);
        }
        let mut taken = taken;
        if job.tracker().is_some() {
            for loan in &mut taken {
                loan.track = self.track_of(&job, loan.owner);
            }
        }
        let places = self.lay_out(taken);
        if let Job::Command(parked) = &job
            && parked.claim.is_some()
        {
            let outcome = self.run_blocking(parked, false);
            let mut loans = self.pick_up(places);
            match outcome {
                Found::Replied(reply) => {
                    self.answer_whole(parked.head.origin, reply);
                    loans.iter_mut().for_each(|loan| loan.ready = true);
                }
                Found::Waits(keys, parked) => {
                    let wait = Box::new((parked, keys));
                    loans
                        .iter_mut()
                        .for_each(|loan| loan.wait = Some(wait.clone()));
                }
                // Those behind it have not been looked at.
                Found::Nothing | Found::Gone => loans.iter_mut().for_each(|loan| loan.ready = true),
            }
            if loans.iter().any(|loan| loan.ready) {
                for key in self.keys_of_job(&job) {
                    self.shard.note_ready(parked.head.db, &key);
                }
            }
            return self.give_back(loans);
        }
        self.lent = lent;
        let outcome = self.run_job(&job);
        let lent = std::mem::take(&mut self.lent);
        let loans = self.pick_up(places);
        match outcome {
            Outcome::Done => self.give_back(loans),
            Outcome::Task(task) if task.holds_keys() => {
                self.start_with(&job, task, None, loans);
            }
            Outcome::Task(task) => {
                self.start_with(&job, task, None, Vec::new());
                self.give_back(loans);
            }
            Outcome::Missing(further) if further.needs_all() => {
                // It has read nothing yet, here and below.
                let mut loans = loans;
                loans.iter_mut().for_each(|loan| loan.track = None);
                self.put_off(job, further);
                self.give_back(loans);
            }
            Outcome::Missing(further) => {
                let mut loans = loans;
                loans.iter_mut().for_each(|loan| loan.track = None);
                let mut keys = further.asked();
                keys.extend(lent);
                self.put_off(job, Further::missing(keys));
                self.give_back(loans);
            }
        }
    }

    /// Notes what a borrower has read, before what it has changed.
    pub(super) fn note_track(&mut self, track: Option<&Track>) {
        self.shard.run_for(track.map(|track| track.tracker));
        if let Some(Track { tracker, keys }) = track
            && !keys.is_empty()
        {
            self.shard
                .note_reads(*tracker, keys.iter().map(|key| &**key));
        }
    }

    /// Puts borrowed entries into this shard's table, for one uninterrupted step.
    pub(super) fn lay_out(&mut self, loans: Vec<Loan>) -> Vec<Place> {
        let lay_out = |loan: Loan| {
            let lay_out = |TakenKey { db, key, entry }| {
                if let Some(entry) = entry {
                    self.shard.insert(db, entry);
                }
                (db, key)
            };
            Place {
                owner: loan.owner,
                lock: loan.lock,
                keys: loan.keys.into_iter().map(lay_out).collect(),
                changed: loan.changed,
                happened: loan.happened,
                track: loan.track,
            }
        };
        let places: Vec<Place> = loans.into_iter().map(lay_out).collect();
        if !places.is_empty() {
            self.shard.borrowed_changes = Some(Vec::new());
        }
        places
    }

    /// Takes what is under the borrowed keys out of the table again.
    pub(super) fn pick_up(&mut self, places: Vec<Place>) -> Vec<Loan> {
        let mut loans: Vec<Loan> = places
            .into_iter()
            .map(|place| {
                let pick_up = |(db, key): (usize, Box<[u8]>)| {
                    let entry = self.shard.take_unseen(db, &key);
                    TakenKey { db, key, entry }
                };
                Loan {
                    owner: place.owner,
                    lock: place.lock,
                    keys: place.keys.into_iter().map(pick_up).collect(),
                    changed: place.changed,
                    happened: place.happened,
                    track: place.track,
                    wait: None,
                    ready: false,
                }
            })
            .collect();
        for (db, key) in self.shard.borrowed_changes.take().unwrap_or_default() {
            let home = owner(&key, self.shards);
            if home == self.id {
                self.shard.changed_here(&key);
            } else if let Some(loan) = loans.iter_mut().find(|loan| loan.owner == home) {
                loan.changed.push((db, key));
            }
        }
        for loan in &mut loans {
            let (home, shards) = (loan.owner, self.shards);
            let read = self
                .shard
                .take_script_reads(|key| owner(key, shards) == home);
            if let (Some(track), Some(read)) = (&mut loan.track, read) {
                track.keys.extend(read.keys);
            }
        }
        let (id, shards) = (self.id, self.shards);
        for it in self.shard.happened_to(|key| owner(key, shards) != id) {
            let home = owner(&it.key, shards);
            if let Some(loan) = loans.iter_mut().find(|loan| loan.owner == home) {
                loan.happened.push(it);
            }
        }
        loans
    }

    /// Sends borrowed keys home; the own ones become free.
    pub(super) fn give_back(&mut self, loans: Vec<Loan>) {
        let mut own_lock = None;
        for Loan {
            owner,
            lock,
            keys,
            changed,
            happened,
            track,
            wait,
            ready,
        } in loans
        {
            if owner == self.id {
                if let Some(wait) = wait {
                    self.wait_for(&wait.0, &wait.1);
                }
                own_lock = Some(lock);
            } else {
                self.out[owner].parcel(Parcel::Return {
                    lock,
                    keys,
                    changed,
                    happened,
                    track,
                    wait,
                    ready,
                });
            }
        }
        if let Some(lock) = own_lock {
            self.release(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_and_move_name_a_second_database() {
        let dbs = |line: &str| {
            databases(
                &line.split(' ').map(str::as_bytes).collect::<Vec<_>>(),
                3,
                16,
            )
            .to_vec()
        };
        assert_eq!(dbs("COPY a b"), [3]);
        assert_eq!(dbs("copy a b DB 5 REPLACE"), [3, 5]);
        assert_eq!(dbs("copy a b DB 3"), [3]);
        assert_eq!(dbs("copy a b DB 16"), [3]);
        assert_eq!(dbs("copy a b DB x"), [3]);
        assert_eq!(dbs("copy db 5 REPLACE"), [3]);
        assert_eq!(dbs("RENAME a b"), [3]);
        assert_eq!(dbs("MOVE a 5"), [3, 5]);
        assert_eq!(dbs("move a 3"), [3]);
        assert_eq!(dbs("MOVE a 16"), [3]);
        assert_eq!(dbs("MOVE a x"), [3]);
        assert_eq!(dbs("MOVE a"), [3]);
    }
}
