//! What is known of a long program before it runs, collected command by command while it is queued.
//!
//! A program of a hundred thousand commands would hold its shard for a long time only to find out where it belongs and to lock its keys one by one. So from [`LONG`]
//! commands on the front end has each looked at as it comes, and EXEC finds all the answers.

use smallvec::SmallVec;

use crate::command::Spread;
use crate::command::spec::flag;
use crate::coordinator::engine::Engine;
use crate::coordinator::keyset::KeySet;
use crate::coordinator::program::{is_open_step, is_whole_step};
use crate::coordinator::route::owner;
use crate::coordinator::steps::Step;

/// From how many commands on a program is long.
pub const LONG: usize = 1024;

/// The owner of a command that has none, or several.
const NOBODY: u16 = u16::MAX;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(super) keys: KeySet,
    /// The owner of each command's keys, or [`NOBODY`].
    pub(super) owners: Vec<u16>,
    /// Each command's number.
    pub(super) commands: Vec<u16>,
    /// The owners of all keys, each once.
    pub(super) all_owners: SmallVec<[usize; 2]>,
    /// How many commands of each kind there are: owner or [`NOBODY`], number, count.
    counts: Vec<(u16, u16, u32)>,
    /// Whether a command looks at whole shards.
    pub(super) is_whole: bool,
    /// Whether a command may need keys that it does not name.
    is_open: bool,
    /// Whether every command has one owner, and none of another kind is among them.
    is_plain: bool,
    writes: bool,
    /// Commands per slice.
    pub(super) per_slice: usize,
}

impl Plan {
    /// For no commands yet, so many of which run in a slice, at least 1.
    #[must_use]
    pub fn new(per_slice: usize) -> Self {
        Plan {
            is_plain: true,
            per_slice,
            ..Plan::default()
        }
    }

    /// How many commands it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// How many commands of each kind there are.
    pub fn counts(&self) -> impl Iterator<Item = (u16, u32)> {
        self.counts
            .iter()
            .map(|(_, command, count)| (*command, *count))
    }

    /// The same of one owner.
    pub(super) fn counts_of(&self, share: Option<u16>) -> impl Iterator<Item = (u16, u32)> {
        let all = self.counts.iter();
        let own = all.filter(move |(owner, ..)| share.is_none_or(|share| share == *owner));
        own.map(|(_, command, count)| (*command, *count))
    }

    fn note_owner(&mut self, owner: usize) {
        if !self.all_owners.contains(&owner) {
            self.all_owners.push(owner);
        }
    }

    fn note_count(&mut self, owner: u16, command: u16) {
        let mut known = self.counts.iter_mut();
        match known.find(|(its, number, _)| (*its, *number) == (owner, command)) {
            Some((.., count)) => *count += 1,
            None => self.counts.push((owner, command, 1)),
        }
    }
}

impl<X> Engine<X> {
    /// Looks at a command that was queued behind those that the plan knows.
    pub fn plan_step(&self, plan: &mut Plan, step: &Step) {
        let row = &self.rows[usize::from(step.command)].row;
        let args = step.args.args();
        let mut its = None;
        for (at, _) in &row.spec.keys_of(&args) {
            let owner = owner(args[*at], self.shards);
            its = match its {
                None => Some(owner as u16),
                Some(before) if usize::from(before) == owner => its,
                Some(_) => Some(NOBODY),
            };
            plan.note_owner(owner);
            plan.keys.insert(args[*at]);
        }
        let its = its.unwrap_or(NOBODY);
        plan.owners.push(its);
        plan.commands.push(step.command);
        plan.note_count(its, step.command);
        let is_dealt = matches!(
            row.spread,
            Spread::One | Spread::Borrow | Spread::Split { .. }
        );
        plan.is_plain &= is_dealt && its != NOBODY;
        plan.is_whole |= is_whole_step(row);
        plan.is_open |= is_open_step(row, &args);
        plan.writes |= row.spec.has(flag::WRITE);
    }

    /// Adds the keys that the client watches. Says whether the program can run by the plan: not if it needs whole shards, or keys of several shards in one place.
    pub fn can_follow(&self, plan: &mut Plan, watched: &[(usize, Box<[u8]>)]) -> bool {
        for (_, key) in watched {
            plan.note_owner(owner(key, self.shards));
            plan.keys.insert(key);
        }
        let is_in_one_place = plan.all_owners.len() < 2;
        let is_recorded_apart = self.shard.settings.logs && plan.writes;
        let can_be_dealt = plan.is_plain && watched.is_empty() && !is_recorded_apart;
        let needs_all = plan.is_open || plan.is_whole && self.shards > 1;
        !needs_all && (is_in_one_place || can_be_dealt)
    }
}
