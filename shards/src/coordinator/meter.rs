//! What the commands of a turn cost, without a look at the clock for each.
//!
//! A command that can be slow is measured alone. Of the others only the order is noted; they share what is left of the turn when
//! the measured ones are taken off. The engine notes keyspace commands, the front end its own, and empties the meter at the end of the
//! turn.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::command::spec::flag;
use crate::command::{KeyspaceRow, Spec, Spread};
use crate::coordinator::heat::Heated;
use crate::shard::Slow;

/// Arguments from which on a command that works key by key is measured.
const MANY_ARGS: usize = 16;

/// See the head of this file.
pub struct Meter {
    clock: Rc<dyn Fn() -> u64>,
    /// Commands of this turn that were not measured, in order.
    pub cheap: Vec<u16>,
    /// Commands that ended in this turn and were measured: the number, the nanoseconds of all slices of each, and how many there were.
    pub measured: Vec<(u16, u64, u32)>,
    /// Nanoseconds of this turn that were measured.
    pub busy_ns: u64,
    /// What took longest of what was measured in this turn.
    pub longest: Option<(u16, u64)>,
    /// What began and goes on in slices, until it is among the running ones.
    suspended: Spent,
}

/// What goes on in slices, the commands of a program or a single one, and how long its slices took so far.
#[derive(Default)]
pub(super) struct Spent {
    /// The numbers, and how many there are of each.
    commands: SmallVec<[(u16, u32); 1]>,
    ns: u64,
    /// What is noted of a single command if it took long.
    slow: Option<Box<Slow>>,
    /// Whose keys it heats.
    heated: Option<Box<Heated>>,
}

impl Spent {
    /// How long all slices took, nanoseconds.
    pub(super) fn ns(&self) -> u64 {
        self.ns
    }
}

impl Default for Meter {
    /// A meter whose clock stands still.
    fn default() -> Self {
        Self::new(Box::new(|| 0))
    }
}

impl Meter {
    /// A meter by this clock, which counts nanoseconds.
    #[must_use]
    pub fn new(clock: Box<dyn Fn() -> u64>) -> Self {
        Meter {
            clock: clock.into(),
            cheap: Vec::new(),
            measured: Vec::new(),
            busy_ns: 0,
            longest: None,
            suspended: Spent::default(),
        }
    }

    /// The clock.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        (self.clock)()
    }

    /// A command, a slice of one or something else begins. Looks at the clock if it is to be measured.
    #[inline]
    #[must_use]
    pub fn begin(&self, is_measured: bool) -> Option<u64> {
        is_measured.then(|| (self.clock)())
    }

    /// A command has ended: how long it took, 0 if it was not measured.
    #[inline]
    pub fn end(&mut self, command: u16, begun: Option<u64>) -> u64 {
        match begun {
            None => {
                self.cheap.push(command);
                0
            }
            Some(_) => {
                let ns = self.part(command, begun);
                self.measured.push((command, ns, 1));
                ns
            }
        }
    }

    /// What the clock shows, for whoever measures pieces of something that is measured as a whole.
    pub(super) fn clock(&self) -> Rc<dyn Fn() -> u64> {
        Rc::clone(&self.clock)
    }

    /// A part of a command has ended that is not counted by itself: how long it took.
    pub fn part(&mut self, command: u16, begun: Option<u64>) -> u64 {
        let ns = self.other(begun);
        if self.longest.is_none_or(|(_, longest)| ns > longest) {
            self.longest = Some((command, ns));
        }
        ns
    }

    /// Commands that run as one have ended.
    pub(super) fn end_all(&mut self, commands: SmallVec<[(u16, u32); 1]>, begun: Option<u64>) {
        let mut spent = Spent {
            commands,
            ..Spent::default()
        };
        self.slice(&mut spent, begun);
        self.finish(&spent);
    }

    /// The first slice of what goes on in slices has ended.
    pub(super) fn suspend(
        &mut self,
        commands: SmallVec<[(u16, u32); 1]>,
        slow: Option<Box<Slow>>,
        heated: Option<Box<Heated>>,
        begun: Option<u64>,
    ) {
        let mut spent = Spent {
            commands,
            slow,
            heated,
            ns: 0,
        };
        self.slice(&mut spent, begun);
        self.suspended = spent;
    }

    /// What was suspended is among the running ones.
    pub(super) fn resume(&mut self) -> Spent {
        std::mem::take(&mut self.suspended)
    }

    /// A slice has ended.
    pub(super) fn slice(&mut self, spent: &mut Spent, begun: Option<u64>) {
        spent.ns += match spent.commands.first() {
            Some((first, _)) => self.part(*first, begun),
            None => self.other(begun),
        };
    }

    /// The last slice has ended: the commands share what all of them took.
    pub(super) fn finish(&mut self, spent: &Spent) {
        let count: u64 = spent
            .commands
            .iter()
            .map(|(_, count)| u64::from(*count))
            .sum();
        let ns = spent.ns / count.max(1);
        let commands = spent.commands.iter();
        self.measured
            .extend(commands.map(|(command, count)| (*command, ns, *count)));
    }

    /// Whose keys it has heated.
    pub(super) fn take_heated(spent: &mut Spent) -> Option<Box<Heated>> {
        spent.heated.take()
    }

    /// What is to be noted if it took long.
    pub(super) fn take_slow(spent: &mut Spent) -> Option<Slow> {
        let slow = spent.slow.take()?;
        Some(Slow {
            ns: spent.ns,
            ..*slow
        })
    }

    /// Something that is no command has ended: how long it took.
    pub fn other(&mut self, begun: Option<u64>) -> u64 {
        let ns = begun.map_or(0, |begun| (self.clock)().saturating_sub(begun));
        self.busy_ns += ns;
        ns
    }

    /// A new turn begins.
    pub fn clear(&mut self) {
        self.cheap.clear();
        self.measured.clear();
        self.busy_ns = 0;
        self.longest = None;
    }
}

/// With how many arguments, its name included, a keyspace command is measured.
pub(super) fn measured_from(row: &KeyspaceRow) -> usize {
    match row.spread {
        Spread::Split { .. } => MANY_ARGS,
        Spread::One | Spread::Borrow if row.spec.has(flag::FAST) || is_constant(&row.spec) => {
            usize::MAX
        }
        _ => 0,
    }
}

fn is_constant(spec: &Spec) -> bool {
    spec.complexity.starts_with("O(1)")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::commands::FAMILIES;

    #[test]
    fn measured_time_is_kept_apart() {
        let time = Rc::new(Cell::new(0));
        let clock = Rc::clone(&time);
        let mut meter = Meter::new(Box::new(move || clock.get()));
        assert_eq!(meter.end(3, None), 0);
        let begun = meter.begin(true);
        time.set(70);
        assert_eq!(meter.end(5, begun), 70);
        let begun = meter.begin(true);
        time.set(100);
        meter.suspend([(6, 1), (7, 2)].into_iter().collect(), None, None, begun);
        let mut spent = meter.resume();
        assert_eq!(meter.begin(false), None);
        assert_eq!(meter.busy_ns, 100);
        assert_eq!(
            (&*meter.cheap, &*meter.measured),
            (&[3][..], &[(5, 70, 1)][..])
        );
        assert_eq!(meter.longest, Some((5, 70)));
        meter.clear();
        assert_eq!((meter.busy_ns, meter.longest), (0, None));
        let begun = meter.begin(true);
        time.set(200);
        meter.slice(&mut spent, begun);
        meter.finish(&spent);
        assert_eq!(meter.measured, [(6, 43, 1), (7, 43, 2)]);
        assert_eq!(meter.longest, Some((6, 100)));
    }

    #[test]
    fn only_what_can_be_slow_is_measured() {
        let from = |name: &str| {
            let mut rows = FAMILIES.iter().copied().flatten();
            measured_from(rows.find(|row| row.spec.name == name).unwrap())
        };
        for name in ["get", "set", "incr", "append", "expire", "rename", "type"] {
            assert_eq!(from(name), usize::MAX, "{name}");
        }
        for name in ["keys", "lcs", "getrange", "flushall", "scan"] {
            assert_eq!(from(name), 0, "{name}");
        }
        for name in ["mget", "mset", "del"] {
            assert_eq!(from(name), MANY_ARGS, "{name}");
        }
    }
}
