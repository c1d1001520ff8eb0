//! Intersection, union and difference of sets under keys, in slices: a task that comes back to its keys, which stay locked.
//!
//! Each operation walks one or more of the sets and decides per member, by looking it up in others, whether it belongs to the result:
//! - intersection: walk the smallest, keep what all others have;
//! - union: walk all, keep what is new among what was kept before;
//! - difference: walk the first, keep what no other has; where the others are few members against the first one's, or many sets,
//!   their union is made first and looked up instead (Redis chooses by the same sums).

use smallvec::SmallVec;
use tessera_core::entry::Entry;
use tessera_core::listpack::Item;
use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered, Proto, Reply};
use tessera_core::set::{Set, SetLimits};

use super::{MEMBERS_PER_SLICE, reply_item};
use crate::command::{Cx, Task};
use crate::shard::event::{self, Event};
use crate::shard::{Shard, WrongType};

/// The set that is an entry's value.
pub(super) fn set_of(entry: Option<&Entry>) -> Option<&Set> {
    entry.and_then(Entry::object).and_then(Set::of)
}

/// Which members belong to the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Those in all sets.
    Intersection,
    /// Those in any set.
    Union,
    /// Those in the first set and no other.
    Difference,
}

/// What is done with the result.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// It is the reply.
    Reply,
    /// It is the reply, and the only key goes.
    Take,
    /// It is stored under a key; the reply is its size.
    Store(Box<[u8]>),
    /// The reply is its size, at most this.
    Count(u64),
}

/// An operation under way.
pub(super) struct Operation {
    db: usize,
    kind: Kind,
    output: Output,
    proto: Proto,
    limits: SetLimits,
    /// The sets that there are, in the order of their use.
    keys: Vec<Box<[u8]>>,
    /// Which of them are walked, one after the other, and how far it has come.
    walked: Vec<usize>,
    turn: usize,
    cursor: u64,
    /// Whether a difference makes the union of the others first.
    collects: bool,
    /// The union of the others.
    collected: Set,
    /// What has been found so far, where it is to be stored or must not be found twice.
    kept: Set,
    found: u64,
    /// The result as replies.
    gathered: Gathered,
}

impl Operation {
    /// An operation on the sets under keys; writes the error if one is of another type.
    pub(super) fn new(cx: &mut Cx<'_>, kind: Kind, output: Output, keys: &[&[u8]]) -> Option<Self> {
        let mut sizes = Vec::with_capacity(keys.len());
        for key in keys {
            match cx.shard.read_object::<Set>(cx.db, key) {
                Ok(set) => sizes.push((set.map_or(0, Set::len), *key)),
                Err(WrongType) => {
                    cx.wrong_type();
                    return None;
                }
            }
        }
        let first = sizes.first().map_or(0, |(size, _)| *size);
        let is_void = match kind {
            Kind::Intersection => sizes.iter().any(|(size, _)| *size == 0),
            Kind::Union => false,
            Kind::Difference => first == 0,
        };
        if is_void {
            sizes.clear();
        }
        sizes.retain(|(size, _)| *size > 0);
        match kind {
            Kind::Intersection => sizes.sort_by_key(|(size, _)| *size),
            Kind::Union => {}
            // The larger a set, the sooner it has what is looked for.
            Kind::Difference => {
                if let Some(others) = sizes.get_mut(1..) {
                    others.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
                }
            }
        }
        let total: usize = sizes.iter().map(|(size, _)| *size).sum();
        let collects = kind == Kind::Difference && first * sizes.len() / 2 > total;
        let walked = match kind {
            Kind::Union => (0..sizes.len()).collect(),
            Kind::Difference if collects => (1..sizes.len()).chain([0]).collect(),
            _ => (0..sizes.len().min(1)).collect(),
        };
        let most = match kind {
            Kind::Intersection => sizes.first().map_or(0, |(size, _)| *size),
            Kind::Union => total,
            Kind::Difference => first,
        };
        let expected = if most > MEMBERS_PER_SLICE { most } else { 0 };
        Some(Operation {
            db: cx.db,
            kind,
            output,
            proto: cx.reply.proto(),
            limits: cx.shard.set_limits(),
            keys: sizes.iter().map(|(_, key)| Box::from(*key)).collect(),
            walked,
            turn: 0,
            cursor: 0,
            collects,
            collected: Set::new(),
            kept: Set::new(),
            found: 0,
            gathered: Gathered::expecting(expected, cx.reply.proto()),
        })
    }

    /// Does it at once if it is little, else leaves it as a task.
    pub(super) fn run(mut self, cx: &mut Cx<'_>) {
        if self.advance(cx.shard) {
            if self.replies() {
                cx.reply.set(self.found as usize);
                self.gathered.append_to(&mut cx.reply);
            }
            self.finish(cx.shard, &mut cx.reply);
        } else {
            cx.task = Some(Box::new(self));
        }
    }

    /// One slice. Returns whether the result is complete.
    fn advance(&mut self, shard: &Shard) -> bool {
        let keys = std::mem::take(&mut self.keys);
        let table = shard.table(self.db);
        let sets: SmallVec<[Option<&Set>; 8]> = keys
            .iter()
            .map(|key| set_of(table.get(shard.hash(key), key)))
            .collect();
        let mut lookups = 0;
        while let Some(&walked) = self.walked.get(self.turn) {
            let cursor = self.cursor;
            let next = sets[walked].map_or(0, |set| {
                set.walk(cursor, &mut |member| lookups += self.meet(&sets, member))
            });
            self.cursor = next;
            self.turn += usize::from(next == 0);
            if self.is_enough() || lookups >= MEMBERS_PER_SLICE {
                break;
            }
        }
        self.keys = keys;
        self.is_enough() || self.turn == self.walked.len()
    }

    fn is_enough(&self) -> bool {
        matches!(self.output, Output::Count(most) if self.found >= most)
    }

    /// A member of the walked set. Returns how many sets were looked at.
    fn meet(&mut self, sets: &[Option<&Set>], member: Item<'_>) -> usize {
        let has = |set: &Option<&Set>| set.is_some_and(|set| set.contains(member));
        let is_last = self.turn + 1 == self.walked.len();
        let others = sets.get(1..).unwrap_or(&[]);
        let (belongs, lookups) = match self.kind {
            Kind::Intersection => (others.iter().all(has), sets.len()),
            Kind::Union if self.stores() => (true, 1),
            // The last set need not be remembered; the first has nothing before it.
            Kind::Union if sets.len() == 1 => (true, 1),
            Kind::Union if is_last => (!self.kept.contains(member), 1),
            Kind::Union => (self.kept.add_item(member, &self.limits), 1),
            Kind::Difference if !self.collects => (!others.iter().any(has), sets.len()),
            Kind::Difference if is_last => (!self.collected.contains(member), 1),
            Kind::Difference => {
                self.collected.add_item(member, &self.limits);
                (false, 1)
            }
        };
        if belongs {
            self.emit(member);
        }
        lookups
    }

    fn replies(&self) -> bool {
        matches!(self.output, Output::Reply | Output::Take)
    }

    fn stores(&self) -> bool {
        matches!(self.output, Output::Store(_))
    }

    fn emit(&mut self, member: Item<'_>) {
        self.found += 1;
        match self.output {
            Output::Reply | Output::Take => {
                self.gathered.write(|reply| reply_item(reply, member));
            }
            Output::Store(_) => {
                self.kept.add_item(member, &self.limits);
            }
            Output::Count(_) => {}
        }
    }

    /// Writes the number that is the reply, if it is not the members, and stores what is to be stored.
    fn finish(&mut self, shard: &mut Shard, reply: &mut Reply<'_>) {
        let kept = std::mem::take(&mut self.kept);
        match &self.output {
            Output::Reply | Output::Take => {
                discard(shard, kept);
                if self.output == Output::Take
                    && let Some(key) = self.keys.first()
                {
                    shard.note(self.db, key, event::SPOP);
                    shard.remove(self.db, key);
                }
            }
            Output::Store(key) => {
                reply.integer(kept.len() as i64);
                let event = match self.kind {
                    Kind::Intersection => event::SINTERSTORE,
                    Kind::Union => event::SUNIONSTORE,
                    Kind::Difference => event::SDIFFSTORE,
                };
                store(shard, self.db, key, kept, event);
            }
            Output::Count(most) => reply.integer(self.found.min(*most) as i64),
        }
        discard(shard, std::mem::take(&mut self.collected));
    }
}

/// Frees a set aside if it is large.
fn discard(shard: &mut Shard, set: Set) {
    if !set.is_empty() {
        shard.discard(Entry::with_object(b"", set.into_object(), None));
    }
}

/// Puts a result in place of whatever was under the key.
fn store(shard: &mut Shard, db: usize, key: &[u8], set: Set, event: Event) {
    if set.is_empty() {
        shard.remove(db, key);
        return;
    }
    shard.put_object(db, key, set);
    shard.changed_by(db, key, event);
}

impl Task for Operation {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.advance(shard);
        if is_done {
            let found = self.found as usize;
            if self.replies() {
                self.gathered.finish(reply, |reply| reply.set(found));
            }
            self.finish(shard, &mut Reply::new(reply.tail(), self.proto));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
