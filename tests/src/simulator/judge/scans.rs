//! The judge of SCAN: what a whole cycle of calls must and must not have returned.
//!
//! The promise: a key that was there from the first call to the last is returned, and a key that was never there meanwhile is
//! not. The judge is careful: a key counts as there throughout only if it was there when the epoch began and
//! nothing sent before the cycle's end could have taken it away.

use std::collections::BTreeSet;

use crate::simulator::command::{Command, Verb};
use crate::simulator::history::{Cycle, History, Operation};
use crate::simulator::model::{DATABASES, Model};
use crate::simulator::oracle::PAST_MS;
use crate::simulator::scripting::parts;
use crate::simulator::word::Word;

/// What an operation may have done to the set of keys.
#[derive(Default)]
struct Effect {
    created: Vec<(usize, Word)>,
    removed: Vec<(usize, Word)>,
    /// Databases that may have lost all keys.
    emptied: Vec<usize>,
    /// Databases that may have got any keys.
    replaced: Vec<usize>,
}

impl Effect {
    fn of(operation: &Operation, command: &Command) -> Self {
        let db = operation.db;
        let args = command.args.as_slice();
        let here = |keys: &[Word]| keys.iter().map(|key| (db, key.clone())).collect::<Vec<_>>();
        let mut effect = Self::default();
        match command.verb {
            _ if operation.changed_nothing() => {}
            // Not worth telling which of the words are keys.
            verb if verb.is_about_collections() => {
                effect.removed = here(args);
                effect.created = here(args);
            }
            Verb::Expire => effect.removed = here(&args[..1]),
            Verb::Set
            | Verb::GetSet
            | Verb::SetNx
            | Verb::Append
            | Verb::SetRange
            | Verb::Incr
            | Verb::IncrBy => effect.created = here(&args[..1]),
            Verb::Mset | Verb::MsetNx => {
                let keys: Vec<Word> = args.iter().step_by(2).cloned().collect();
                effect.created = here(&keys);
            }
            Verb::Del | Verb::Unlink => effect.removed = here(args),
            Verb::GetDel => effect.removed = here(&args[..1]),
            Verb::PexpireAt if command.integer(1).is_some_and(|at| at <= PAST_MS) => {
                effect.removed = here(&args[..1]);
            }
            Verb::Rename | Verb::RenameNx => {
                effect.removed = here(&args[..1]);
                effect.created = here(&args[1..2]);
            }
            Verb::Copy => {
                let named = command.option(2, "DB").and_then(Word::integer);
                let to_db = named.and_then(|db| usize::try_from(db).ok()).unwrap_or(db);
                effect.created = vec![(to_db, args[1].clone())];
            }
            Verb::Move => {
                effect.removed = here(&args[..1]);
                let to_db = command.database(1).unwrap_or(db);
                effect.created = vec![(to_db, args[0].clone())];
            }
            Verb::FlushDb => effect.emptied = vec![db],
            Verb::FlushAll => effect.emptied = (0..DATABASES).collect(),
            Verb::SwapDb => {
                effect.emptied = (0..2).filter_map(|place| command.database(place)).collect();
                effect.replaced.clone_from(&effect.emptied);
            }
            _ => {}
        }
        effect
    }
}

/// What is wrong with a cycle, if anything.
#[must_use]
pub fn judge(start: &Model, history: &History, cycle: &Cycle) -> Option<String> {
    let keys = |db: usize| start.database(db).keys().cloned();
    let mut must: BTreeSet<Word> = keys(cycle.db).collect();
    let mut may = must.clone();
    let mut is_replaced = false;
    let in_time = |operation: &&Operation| operation.invoked < cycle.ended;
    let operations = history.operations.iter().filter(in_time);
    let all = operations.flat_map(|operation| {
        let commands = operation.commands().iter().flat_map(parts);
        commands.map(move |command| Effect::of(operation, &command))
    });
    for effect in all {
        let here = |(db, key): (usize, Word)| (db == cycle.db).then_some(key);
        effect.removed.into_iter().filter_map(here).for_each(|key| {
            must.remove(&key);
        });
        may.extend(effect.created.into_iter().filter_map(here));
        if effect.emptied.contains(&cycle.db) {
            must.clear();
        }
        is_replaced |= effect.replaced.contains(&cycle.db);
    }
    let seen: BTreeSet<&Word> = cycle.seen.iter().collect();
    if let Some(missing) = must.iter().find(|key| !seen.contains(key)) {
        return Some(format!(
            "{missing} was there all the time and was not returned"
        ));
    }
    let stray = seen.iter().find(|key| !is_replaced && !may.contains(**key));
    stray.map(|key| format!("{key} was returned and was never there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::reply::Reply;
    use crate::simulator::transaction::Role;

    /// What the judge says of a scan that returned `seen` while these commands went on.
    fn verdict(commands: &[(&str, Reply)], seen: &[&str]) -> Option<String> {
        let mut start = Model::default();
        start.apply(0, &Command::parse("MSET a 1 b 1 c 1"));
        let mut history = History::default();
        let connection = history.connect(0, 0);
        for (line, reply) in commands {
            let number = history.invoke(connection, 0, Command::parse(line), Role::Plain);
            history.answer(number, reply.clone());
        }
        let cycle = Cycle {
            connection,
            db: 0,
            first: 0,
            ended: history.events() + 1,
            seen: seen.iter().map(|key| Word::from(*key)).collect(),
        };
        judge(&start, &history, &cycle)
    }

    #[test]
    fn what_stays_must_be_seen() {
        assert_eq!(verdict(&[], &["a", "b", "c", "c"]), None);
        let missing = verdict(&[], &["a", "b"]).expect("c is missing");
        assert!(missing.starts_with("c was there"));
        let del = ("DEL c", Reply::Integer(1));
        assert_eq!(verdict(std::slice::from_ref(&del), &["a", "b"]), None);
        let in_vain = ("RENAME zz c", Reply::error("ERR no such key"));
        assert!(verdict(&[in_vain], &["a", "b"]).is_some());
        assert_eq!(verdict(&[("FLUSHALL", Reply::ok())], &[]), None);
    }

    #[test]
    fn what_never_was_must_not() {
        assert!(verdict(&[], &["a", "b", "c", "d"]).is_some());
        let renamed = ("RENAME a d", Reply::ok());
        assert_eq!(verdict(&[renamed], &["b", "c", "d"]), None);
        let elsewhere = ("COPY a d DB 3", Reply::Integer(1));
        assert!(verdict(&[elsewhere], &["a", "b", "c", "d"]).is_some());
        let swapped = ("SWAPDB 0 1", Reply::ok());
        assert_eq!(verdict(&[swapped], &["zz"]), None);
    }
}
