//! The work of ZUNION and its kin, at once or in slices while the keys stay locked.
//!
//! Owns [`Merge`]. The result is gathered in a large sorted set, input by input: a union takes all of them, an intersection goes through the smallest and a
//! difference through the first, looking each member up in the others. Then it is stored or written. The inputs are summed from the smallest to the
//! largest, as in Redis: with floating point the order shows. Called by `combine.rs`.

use tessera_core::entry::Entry;
use tessera_core::object::{Collection, PackLimits};
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::zset::{Scored, Zset};

use super::reading::Style;
use super::{ELEMENTS_AT_ONCE, store};
use crate::command::{Cx, Task};
use crate::commands::args::is;
use crate::shard::Shard;
use crate::shard::event;

/// What is made of the inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Inter,
    Diff,
}

/// What becomes of a member's scores in several inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            _ if is(name, "SUM") => Some(Self::Sum),
            _ if is(name, "MIN") => Some(Self::Min),
            _ if is(name, "MAX") => Some(Self::Max),
            _ => None,
        }
    }

    /// Opposite infinities add up to 0.
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => not_nan(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// An input.
pub(super) struct Source {
    pub(super) key: Box<[u8]>,
    pub(super) len: usize,
    pub(super) weight: f64,
}

/// What the result is for.
pub(super) enum Goal {
    /// To be stored under this key.
    Store(Box<[u8]>),
    /// To be written.
    Reply(Style),
    /// To be counted, up to a limit.
    Count { limit: usize },
}

/// See the head of this file.
pub(super) struct Merge {
    db: usize,
    proto: Proto,
    sources: Vec<Source>,
    operation: Operation,
    aggregate: Aggregate,
    goal: Goal,
    /// For the result: always large, as only that keeps the sign of a zero.
    limits: PackLimits,
    result: Zset,
    count: usize,
    /// The source that is being read, and how far.
    at: usize,
    cursor: u64,
    is_gathered: bool,
    /// Elements of the result that have been written.
    written: usize,
}

impl Merge {
    pub(super) fn new(
        mut sources: Vec<Source>,
        operation: Operation,
        aggregate: Aggregate,
        goal: Goal,
    ) -> Self {
        if operation != Operation::Diff {
            sources.sort_by_key(|source| source.len);
        }
        Self {
            db: 0,
            proto: Proto::Resp2,
            sources,
            operation,
            aggregate,
            goal,
            limits: PackLimits {
                entries_max: 0,
                value_bytes_max: 0,
                seed: 0,
            },
            result: Zset::new(),
            count: 0,
            at: 0,
            cursor: 0,
            is_gathered: false,
            written: 0,
        }
    }

    /// Does it, or leaves it as a task.
    pub(super) fn run(mut self, cx: &mut Cx<'_>) {
        self.db = cx.db;
        self.proto = cx.reply.proto();
        self.limits.seed = cx.shard.collection_seed();
        if self.sources.iter().map(|source| source.len).sum::<usize>() > ELEMENTS_AT_ONCE {
            cx.task = Some(Box::new(self));
            return;
        }
        while !self.gather(cx.shard) {}
        self.finish(cx.shard, &mut cx.reply);
    }

    /// Takes up some more elements and says whether those were all.
    fn gather(&mut self, shard: &Shard) -> bool {
        let db = self.db;
        let input = |source: &Source| {
            let entry = shard.table(db).get(shard.hash(&source.key), &source.key);
            entry
                .and_then(|entry| entry.object())
                .and_then(|object| object.scored())
        };
        let inputs: Vec<Option<Scored<'_>>> = self.sources.iter().map(input).collect();
        let walked = if self.operation == Operation::Union {
            inputs.len()
        } else {
            1
        };
        // A member costs a look-up in every other input, or one in the result, and at most one insertion.
        let cost = if walked == 1 { inputs.len() } else { 1 } + 1;
        let mut left = ELEMENTS_AT_ONCE as isize;
        while self.at < walked && left > 0 {
            let (cursor, weight) = (self.cursor, self.sources[self.at].weight);
            let mut next = 0;
            if let Some(input) = inputs[self.at].filter(|input| !input.is_empty()) {
                let mut digits = itoa::Buffer::new();
                next = input.walk(cursor, &mut |member, score| {
                    left -= cost as isize;
                    let score = not_nan(weight * score);
                    self.take(&inputs, member.text(&mut digits), score);
                });
            }
            self.cursor = next;
            self.at += usize::from(next == 0);
            if matches!(self.goal, Goal::Count { limit } if self.count >= limit) {
                return true;
            }
        }
        self.at >= walked
    }

    /// Takes up a member of the current input.
    fn take(&mut self, inputs: &[Option<Scored<'_>>], member: &[u8], score: f64) {
        let mut score = score;
        let scores = inputs.iter().skip(1).map(|input| (*input)?.score(member));
        match self.operation {
            Operation::Union => return self.add(member, score),
            Operation::Diff => {
                let mut scores = scores;
                if scores.any(|other| other.is_some()) {
                    return;
                }
            }
            Operation::Inter => {
                for (other, source) in scores.zip(&self.sources[1..]) {
                    let Some(other) = other else { return };
                    score = self.aggregate.of(score, other * source.weight);
                }
            }
        }
        if let Goal::Count { .. } = self.goal {
            self.count += 1;
        } else {
            self.result.insert(member, score, &self.limits);
        }
    }

    /// Adds a member to a union.
    fn add(&mut self, member: &[u8], score: f64) {
        let Some(old) = self.result.score(member) else {
            self.result.insert(member, score, &self.limits);
            return;
        };
        let score = self.aggregate.of(old, score);
        if score.to_bits() == old.to_bits() {
            return;
        }
        // Another sign of zero is no other score to `insert`.
        if score == old {
            self.result.remove(member);
        }
        self.result.insert(member, score, &self.limits);
    }

    /// Stores the result or writes what is left of it.
    fn finish(&mut self, shard: &mut Shard, reply: &mut Reply<'_>) {
        match &self.goal {
            Goal::Count { limit } => reply.integer(self.count.min(*limit) as i64),
            Goal::Store(key) => {
                let result = fitted(std::mem::take(&mut self.result), &shard.zset_limits());
                let event = match self.operation {
                    Operation::Union => event::ZUNIONSTORE,
                    Operation::Inter => event::ZINTERSTORE,
                    Operation::Diff => event::ZDIFFSTORE,
                };
                reply.integer(store(shard, self.db, key, result, 1, event) as i64);
            }
            Goal::Reply(_) => while !self.write_some(reply) {},
        }
        self.discard(shard);
    }

    /// Writes some more of the result and says whether that was all.
    fn write_some(&mut self, reply: &mut Reply<'_>) -> bool {
        let Goal::Reply(style) = self.goal else {
            return true;
        };
        let len = self.result.len();
        if self.written == 0 {
            style.header(reply, len);
        }
        let end = len.min(self.written + ELEMENTS_AT_ONCE);
        style.elements(reply, &self.result, self.written..end, false);
        self.written = end;
        end == len
    }

    /// Frees what is left, aside if it is large.
    fn discard(&mut self, shard: &mut Shard) {
        let result = std::mem::take(&mut self.result);
        if !result.is_empty() {
            shard.discard(Entry::with_object(b"", result.into_object(), None));
        }
    }
}

/// The same elements, packed if they may be.
fn fitted(zset: Zset, limits: &PackLimits) -> Zset {
    let is_short = zset.len() <= limits.entries_max;
    if !is_short
        || zset
            .iter()
            .any(|(member, _)| member.text_len() > limits.value_bytes_max)
    {
        return zset;
    }
    let (mut packed, mut digits) = (Zset::new(), itoa::Buffer::new());
    for (member, score) in zset.iter() {
        packed.insert(member.text(&mut digits), score, limits);
    }
    packed
}

impl Task for Merge {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        if !self.is_gathered {
            self.is_gathered = self.gather(shard);
            return false;
        }
        let mut reply = Reply::new(reply.tail(), self.proto);
        if matches!(self.goal, Goal::Reply(_)) {
            let is_done = self.write_some(&mut reply);
            if is_done {
                self.discard(shard);
            }
            return is_done;
        }
        self.finish(shard, &mut reply);
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
