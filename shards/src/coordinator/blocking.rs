//! Blocking commands: clients that wait for a key to get something.
//!
//! A blocking command runs like any other. If it finds nothing it names the keys it waits for, and their owners note it, before anybody else can touch these
//! keys. A change of a key that is waited for is followed at once, before the next command, by another run of the command that has waited longest; so
//! first come is first served, and nobody comes in between. On an owner that has only some of the keys the others look empty, which is right: what
//! counts is the key that got something. A command that needs several keys at once (BLMOVE) goes back to its coordinator to be run over all of them.

use std::collections::{HashMap, VecDeque};

use tessera_core::list::List;
use tessera_core::resp::{Chain, OUT_OF_MEMORY, Reply, try_append_chain};

use crate::command::{Cx, Further, Words};
use crate::coordinator::claim::Claim;
use crate::coordinator::engine::{Asker, Engine, Submitted, refused};
use crate::coordinator::heat::note_heat;
use crate::coordinator::reads::note_reads;
use crate::coordinator::route::{Places, owner};
use crate::coordinator::work::{Job, Parked, distinct};
use crate::mesh::{KeyPlace, Parcel};
use crate::shard::Shard;

/// A client that waits.
struct Waiter {
    parked: Parked,
    /// The keys of this shard that it waits for.
    places: Vec<KeyPlace>,
    /// All its keys of this shard, tied to each other.
    tied: Vec<Box<[u8]>>,
}

/// All who wait for keys of one shard.
#[derive(Default)]
pub(super) struct Waiters {
    by_key: HashMap<KeyPlace, VecDeque<u64>>,
    /// By the name of the claim.
    all: HashMap<u64, Waiter>,
}

/// What a blocking command came to.
pub(super) enum Found {
    /// It has a reply.
    Replied(Chain),
    /// It waits for these keys, and is run again in this form.
    Waits(Vec<Box<[u8]>>, Parked),
    /// It waits already, and what it found is nothing to it.
    Nothing,
    /// Somebody else has answered it.
    Gone,
}

impl<X> Engine<X> {
    /// Takes up a blocking command. Whoever takes the claim first answers.
    pub fn submit_blocking(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        claim: Claim,
        out: &mut Vec<u8>,
    ) -> Submitted {
        let head = self.head(command, asker);
        let Some(parked) = Parked::blocking(&head, args, claim) else {
            return refused(out);
        };
        let spec = &self.rows[usize::from(command)].row.spec;
        let places = Places::of(spec, args, self.shards);
        let target = if places.keys.is_empty() {
            Some(self.id)
        } else {
            places.single_owner()
        };
        let Some(target) = target else {
            self.spans = true;
            let keys = self.keys_of_job(&Job::Command(parked.clone()));
            return self.borrow_for(Job::Command(parked), keys);
        };
        if target != self.id || asker.batched.is_some() {
            self.spans |= asker.batched.is_some_and(|before| before != target);
            self.hops += u64::from(target != self.id);
            self.out[target].parcel(Parcel::Job(Job::Command(parked)));
            return Submitted::Batched(target);
        }
        let job = Job::Command(parked.clone());
        if self.is_job_held_up(&job) {
            self.park(job);
            return Submitted::Waiting;
        }
        match self.run_blocking(&parked, false) {
            Found::Replied(reply) => {
                if !try_append_chain(out, &reply) {
                    out.extend_from_slice(OUT_OF_MEMORY);
                }
                self.serve_ready();
                Submitted::Done
            }
            Found::Waits(keys, parked) => {
                self.wait_for(&parked, &keys);
                Submitted::Waiting
            }
            Found::Nothing | Found::Gone => Submitted::Waiting,
        }
    }

    /// Runs a blocking command once. `is_waiter`: it waits already.
    pub(super) fn run_blocking(&mut self, parked: &Parked, is_waiter: bool) -> Found {
        let Some(claim) = &parked.claim else {
            return Found::Gone;
        };
        if !claim.try_it() {
            return Found::Gone;
        }
        let is_measured = self.shard.slow.wants_all();
        let is_looked_at = self.shard.heat.is_next();
        let begun = self.meter.begin(is_measured || is_looked_at);
        self.shard.no_touch = parked.head.no_touch;
        self.shard.run_for(parked.head.tracker);
        let mut reply = Chain::default();
        self.shard.begin_unit();
        let mark = self.shard.begin_command();
        let mut cx = Cx {
            shard: &mut self.shard,
            db: parked.head.db,
            reply: Reply::new(reply.tail(), parked.head.proto),
            reach: &|_| true,
            held: &[],
            is_alone: false,
            further: Further::default(),
            task: None,
            may_block: true,
            waits_for: None,
            waits_as: None,
        };
        (self.rows[usize::from(parked.head.command)].row.op)(&mut cx, &parked.args());
        cx.reply.finish();
        let Cx {
            task,
            waits_for,
            waits_as,
            ..
        } = cx;
        if let Some(mut task) = task {
            while !task.step(&mut self.shard, &mut reply) {}
            reply.mend();
        }
        if self.shard.records() {
            let spec = &self.rows[usize::from(parked.head.command)].row.spec;
            let (db, args) = (parked.head.db, parked.args());
            self.shard.end_command(mark, spec, db, &args);
            self.shard.commit_unit();
        }
        if let Some(tracker) = parked.head.tracker {
            let row = &self.rows[usize::from(parked.head.command)];
            note_reads(&mut self.shard, row, self.shards, tracker, &parked.args());
        }
        match waits_for {
            Some(keys) => {
                claim.give_back();
                let mut parked = parked.clone();
                if let Some(request) = waits_as.and_then(|request| Words::of(&request)) {
                    parked.args = request;
                }
                Found::Waits(keys, parked)
            }
            // A key of another type is none to one who waits already; but a group that is gone will not come back.
            None if is_waiter && reply.first() == Some(b'-') && !self.is_told(parked) => {
                claim.give_back();
                Found::Nothing
            }
            None => {
                #[cfg(feature = "sabotage")]
                if self.sabotage == Some(crate::coordinator::Sabotage::ServeTwice) {
                    claim.give_back();
                    return Found::Replied(reply);
                }
                claim.settle();
                let ns = self.meter.end(parked.head.command, begun);
                if is_measured {
                    let head = &parked.head;
                    let slow = &mut self.shard.slow;
                    slow.note(head.command, head.origin, &parked.args(), ns);
                }
                if is_looked_at {
                    let spec = &self.rows[usize::from(parked.head.command)].row.spec;
                    let (db, args) = (parked.head.db, parked.args());
                    note_heat(&mut self.shard, spec, db, &args, ns, reply.len());
                }
                Found::Replied(reply)
            }
        }
    }

    /// Notes that a command waits for those of these keys that are this shard's.
    pub(super) fn wait_for(&mut self, parked: &Parked, keys: &[Box<[u8]>]) {
        let Some(claim) = &parked.claim else {
            return;
        };
        if let Some(waiter) = self.waiters.all.get_mut(&claim.id()) {
            // Another owner had something for it, which somebody else took: it has kept its place here.
            waiter.parked = parked.clone();
            return;
        }
        let mut places: Vec<KeyPlace> = Vec::new();
        for key in keys {
            let place = (parked.head.db, key.clone());
            if owner(key, self.shards) == self.id && !places.contains(&place) {
                places.push(place);
            }
        }
        for place in &places {
            self.shard.wait(place);
            let queue = self.waiters.by_key.entry(place.clone()).or_default();
            queue.push_back(claim.id());
        }
        let spec = &self.rows[usize::from(parked.head.command)].row.spec;
        let mut tied = Vec::new();
        if keys.len() > 1 || spec.keys.len() > 1 {
            let args = parked.args();
            let own = |key: &&[u8]| owner(key, self.shards) == self.id;
            let all = spec.keys_of(&args);
            tied = distinct(
                all.iter()
                    .map(|(at, _)| args[*at])
                    .filter(own)
                    .map(Box::from),
            );
        }
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(crate::coordinator::Sabotage::LockUntied) {
            tied.clear();
        }
        self.locks.ties.tie(&tied);
        let waiter = Waiter {
            parked: parked.clone(),
            places,
            tied,
        };
        self.waiters.all.insert(claim.id(), waiter);
    }

    /// Forgets a command that waits here, if it does.
    pub fn forget_waiter(&mut self, claim: u64) {
        let Some(waiter) = self.waiters.all.remove(&claim) else {
            return;
        };
        self.locks.ties.untie(&waiter.tied);
        for place in &waiter.places {
            self.shard.unwait(place);
            if let Some(queue) = self.waiters.by_key.get_mut(place) {
                queue.retain(|other| *other != claim);
                if queue.is_empty() {
                    self.waiters.by_key.remove(place);
                }
            }
        }
    }

    /// Number of commands that wait here.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiters.all.len()
    }

    /// Serves those who wait for keys that have changed, unless a lock is in the way: then it is done when that goes.
    #[inline]
    pub(super) fn serve_ready(&mut self) {
        if self.shard.has_ready() {
            self.serve_all_ready(None);
        }
    }

    /// The same, before a lock goes to those who queue for it: they came after what made the keys ready.
    #[inline]
    pub(super) fn serve_before_release(&mut self, lock: u32) {
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(crate::coordinator::Sabotage::SkipWaiters) {
            while self.shard.next_ready().is_some() {}
        }
        if self.shard.has_ready() {
            self.serve_all_ready(Some(lock));
        }
    }

    /// `own`: the lock under which this happens.
    #[cold]
    fn serve_all_ready(&mut self, own: Option<u32>) {
        let mut later = Vec::new();
        while let Some(place) = self.shard.next_ready() {
            let mut key = std::iter::once(&*place.1);
            let is_held = self.locks.closed || self.locks.is_locked_beside(own, &mut key);
            if is_held {
                later.push(place);
            } else {
                self.serve_place(&place);
            }
        }
        self.shard.ready_later(later);
    }

    /// Those who wait for a key, in the order in which they came.
    fn waiting_for(&self, place: &KeyPlace) -> Vec<u64> {
        let queue = self.waiters.by_key.get(place).into_iter().flatten();
        #[cfg(feature = "sabotage")]
        if self.sabotage == Some(crate::coordinator::Sabotage::ServeLast) {
            return queue.rev().copied().collect();
        }
        queue.copied().collect()
    }

    /// Serves those who wait for a key, in the order in which they came, as long as there is something for them. Their other keys are at hand: whoever
    /// locked one of them would have locked this key with it.
    fn serve_place(&mut self, place: &KeyPlace) {
        for claim in self.waiting_for(place) {
            let Some(waiter) = self.waiters.all.get(&claim) else {
                continue;
            };
            let parked = waiter.parked.clone();
            if self.needs_elsewhere(&parked) {
                if self.is_of_use(place, &parked) {
                    self.forget_waiter(claim);
                    let coordinator = parked.head.origin.shard;
                    let again = Parcel::Again(Job::Command(parked));
                    self.out[coordinator].parcel(again);
                    // Those behind it are looked at when its keys have come back.
                    return;
                }
                continue;
            }
            match self.run_blocking(&parked, true) {
                Found::Nothing => {}
                Found::Replied(reply) => {
                    self.forget_waiter(claim);
                    self.answer_whole(parked.head.origin, reply);
                }
                Found::Waits(..) => {
                    // What it may have changed while it found nothing is nothing to wait for.
                    self.shard.forget_ready(place);
                    if !self.shard.exists(place.0, &place.1) {
                        return;
                    }
                    // Others may wait for another type, or for an earlier entry of the stream.
                }
                Found::Gone => self.forget_waiter(claim),
            }
        }
    }

    /// Whether a key that has changed is one that a command with several keys can use: it moves an element of a list, or reads for a group.
    fn is_of_use(&mut self, place: &KeyPlace, parked: &Parked) -> bool {
        self.is_of_a_group(parked) || self.shard.check_object::<List>(place.0, &place.1) == Ok(true)
    }

    /// Whether one who waits is told of an error: its group is gone, or there is an element for it and the other list is of another type.
    fn is_told(&mut self, parked: &Parked) -> bool {
        let rules = self.rows[usize::from(parked.head.command)]
            .row
            .spec
            .keys
            .len();
        let (db, from) = (parked.head.db, parked.args.get(1));
        let can_move = |shard: &mut Shard| {
            from.is_some_and(|key| shard.check_object::<List>(db, key) == Ok(true))
        };
        self.is_of_a_group(parked) || rules > 1 && can_move(&mut self.shard)
    }

    /// Whether a command reads for a consumer group.
    fn is_of_a_group(&self, parked: &Parked) -> bool {
        let spec = &self.rows[usize::from(parked.head.command)].row.spec;
        spec.name == "xreadgroup"
    }

    /// Whether a command changes keys that are not this shard's.
    fn needs_elsewhere(&self, parked: &Parked) -> bool {
        let args = parked.args();
        let row = &self.rows[usize::from(parked.head.command)].row;
        let rules = row.spec.keys.len();
        (rules > 1 || self.is_of_a_group(parked))
            && Places::of(&row.spec, &args, self.shards)
                .single_owner()
                .is_none()
    }

    /// A command that waited needs all its keys at once.
    pub(super) fn run_again(&mut self, job: Job) {
        self.spans = true;
        let keys = self.keys_of_job(&job);
        self.borrow_for(job, keys);
    }
}
