//! The commands of a program, in pieces of bounded size: nothing that touches all of them at once is needed to keep, share or free them.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::command::Words;

/// Commands per piece.
const PIECE: usize = 256;

/// One command of a program.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number among the keyspace commands.
    pub command: u16,
    /// The database in which it runs.
    pub db: usize,
    /// Its arguments, the name included.
    pub args: Words,
}

/// See the head of this file. Copies share the pieces: a copy costs 1/256 of a reference count per command.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// All but the last are full, or have been forgotten.
    pieces: SmallVec<[Arc<Vec<Step>>; 1]>,
    /// How many of them have been forgotten.
    forgotten: usize,
    len: usize,
}

impl Steps {
    /// Adds a command behind the others.
    pub fn push(&mut self, step: Step) {
        if self.len.is_multiple_of(PIECE) {
            self.pieces.push(Arc::default());
        }
        if let Some(last) = self.pieces.last_mut() {
            Arc::make_mut(last).push(step);
            self.len += 1;
        }
    }

    /// How many there are, those that have been forgotten included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The command at this place. `None` behind the last one, and for one that has been forgotten.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Step> {
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    /// All of them, in order, but those that have been forgotten.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// All of them, in order. Shared ones are copied.
    pub fn into_steps(self) -> impl Iterator<Item = Step> {
        self.pieces.into_iter().flat_map(Arc::unwrap_or_clone)
    }

    /// Those before `from` are needed no more: frees one more piece of them. Says whether there was one.
    pub(super) fn forget_before(&mut self, from: usize) -> bool {
        let has_more = self.forgotten < from / PIECE;
        if has_more && let Some(piece) = self.pieces.get_mut(self.forgotten) {
            *piece = Arc::default();
            self.forgotten += 1;
        }
        has_more
    }
}

impl FromIterator<Step> for Steps {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        let mut all = Steps::default();
        steps.into_iter().for_each(|step| all.push(step));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize) -> Step {
        Step {
            command: 7,
            db: number,
            args: Words::default(),
        }
    }

    #[test]
    fn steps_come_out_as_they_went_in() {
        let mut steps: Steps = (0..1000).map(step).collect();
        let shared = steps.clone();
        steps.push(step(1000));
        assert_eq!((steps.len(), shared.len()), (1001, 1000));
        assert!(steps.iter().map(|step| step.db).eq(0..1001));
        assert!(shared.iter().map(|step| step.db).eq(0..1000));
        assert_eq!(steps.get(999).map(|step| step.db), Some(999));
        assert!(steps.get(1001).is_none());
        assert!(Steps::default().is_empty() && Steps::default().get(0).is_none());
    }

    #[test]
    fn what_is_forgotten_is_freed() {
        let mut steps: Steps = (0..600).map(step).collect();
        assert!(!steps.forget_before(255));
        assert!(steps.forget_before(512) && steps.forget_before(512));
        assert!(!steps.forget_before(512));
        assert_eq!(steps.get(512).map(|step| step.db), Some(512));
        assert_eq!((steps.len(), steps.iter().count()), (600, 600 - 2 * PIECE));
        assert!(steps.get(0).is_none());
    }
}
