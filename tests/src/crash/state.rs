//! What records do, and which states a recovery may find: those after some prefix of the sequence that has everything acknowledged.

use std::collections::BTreeMap;

/// Numbers by database and name.
pub type State = BTreeMap<(usize, String), i64>;

/// What happens to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It gets a number.
    Set(i64),
    /// It gets the next one: done twice is not the same as once.
    Incr,
    /// It goes.
    Del,
}

/// Changes that happen as one.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The database.
    pub db: usize,
    /// Keys and what happens to them.
    pub deeds: Vec<(String, Deed)>,
    /// The file that it belongs to: records of a later one come behind all of an earlier one.
    pub generation: u64,
}

impl Unit {
    /// Does it.
    pub fn apply(&self, state: &mut State) {
        for (name, deed) in &self.deeds {
            let key = (self.db, name.clone());
            match deed {
                Deed::Set(number) => _ = state.insert(key, *number),
                Deed::Incr => *state.entry(key).or_default() += 1,
                Deed::Del => _ = state.remove(&key),
            }
        }
    }
}

/// Runs a command of the log.
///
/// # Errors
/// It is none that was recorded.
pub fn run(state: &mut State, db: usize, command: &[Box<[u8]>]) -> Result<(), String> {
    let words: Vec<String> = command
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let deed = match words.as_slice() {
        ["SET", _, number] => Deed::Set(number.parse().map_err(|_| format!("{words:?}"))?),
        ["INCR", _] => Deed::Incr,
        ["DEL", _] => Deed::Del,
        _ => return Err(format!("a record that nobody made: {words:?}")),
    };
    let unit = Unit {
        db,
        deeds: vec![(words[1].to_owned(), deed)],
        generation: 0,
    };
    unit.apply(state);
    Ok(())
}

/// What was handed over since a start, and how much of it was acknowledged.
#[derive(Debug, Default)]
pub struct Past {
    /// The state at the start.
    pub before: State,
    /// In the order in which they were handed over.
    pub units: Vec<Unit>,
    /// Positions of the log, and how many units had been handed over by then.
    pub positions: Vec<(u64, usize)>,
    /// So many of them were acknowledged, or shown to anybody.
    pub acked: usize,
}

impl Past {
    /// Everything up to a position of the log has been acknowledged.
    pub fn acknowledge(&mut self, position: u64) {
        let last = self.positions.iter().rev().find(|(at, _)| *at <= position);
        self.acked = self.acked.max(last.map_or(0, |(_, units)| *units));
    }

    /// Says how much of the past a state has.
    ///
    /// # Errors
    /// It is none that may be found.
    pub fn judge(&self, found: &State) -> Result<usize, String> {
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        order.sort_by_key(|at| self.units[*at].generation);
        let needed = order
            .iter()
            .rposition(|at| *at < self.acked)
            .map_or(0, |last| last + 1);
        let mut state = self.before.clone();
        let mut earlier = None;
        for count in 0..=order.len() {
            if state == *found {
                if count >= needed {
                    return Ok(count);
                }
                earlier = Some(count);
            }
            if let Some(at) = order.get(count) {
                self.units[*at].apply(&mut state);
            }
        }
        Err(match earlier {
            Some(count) => format!(
                "{needed} of {} units were acknowledged, and {count} are there",
                self.units.len()
            ),
            None => format!("no state of the past: {found:?} after {:?}", self.before),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, deed: Deed, generation: u64) -> Unit {
        Unit {
            db: 0,
            deeds: vec![(name.to_owned(), deed)],
            generation,
        }
    }

    #[test]
    fn prefixes_with_all_that_was_acknowledged() {
        let mut past = Past {
            units: vec![
                unit("a", Deed::Set(1), 0),
                unit("b", Deed::Incr, 1),
                unit("a", Deed::Incr, 0),
            ],
            ..Past::default()
        };
        let state = |pairs: &[(&str, i64)]| -> State {
            let pair = |(name, number): &(&str, i64)| ((0, (*name).to_owned()), *number);
            pairs.iter().map(pair).collect()
        };
        assert_eq!(past.judge(&state(&[])), Ok(0));
        assert_eq!(past.judge(&state(&[("a", 2)])), Ok(2));
        assert_eq!(past.judge(&state(&[("a", 2), ("b", 1)])), Ok(3));
        assert!(past.judge(&state(&[("a", 1), ("b", 1)])).is_err());
        past.acked = 1;
        assert!(
            past.judge(&state(&[]))
                .unwrap_err()
                .contains("acknowledged")
        );
        assert_eq!(past.judge(&state(&[("a", 1)])), Ok(1));
        past.acked = 2;
        assert!(past.judge(&state(&[("a", 2)])).is_err());
    }
}
