//! Times that come while a world runs: every command that gives a key a near time makes an operation that takes the key away, with the bounds within which that
//! must happen.
//!
//! It is not earlier than the time: whatever was answered before comes before it, unless it came behind a command that another shard carried out after the time: a command
//! has its place in the order when it is sent, which a message that was published behind it may show, and looks at the clock when it runs. And it is not much later: what was sent after the time, and the longest turn of a
//! shard that had read the clock before, comes after it. A key that was given another time meanwhile stays.

use super::command::{Command, Verb};
use super::history::{Answered, History, Operation};
use super::model::{DATABASES, Model};
use super::reply::Reply;
use super::transaction::Role;
use super::word::Word;

/// The simulated wall clock at the beginning of a world, milliseconds since the epoch.
pub const START_MS: u64 = 1_700_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// The wall clock, milliseconds since the epoch.
#[must_use]
pub fn wall_ms(now_ns: u64) -> u64 {
    START_MS + now_ns / NS_PER_MS
}

/// The key and the time that a command gives it.
fn given(command: &Command) -> Option<(Word, u64)> {
    let at = match command.verb {
        Verb::PexpireAt => command.integer(1),
        Verb::Set => command.option(2, "PXAT").and_then(Word::integer),
        _ => None,
    };
    let at = u64::try_from(at?).ok()?;
    Some((command.args.first()?.clone(), at))
}

/// The first event that shows something to have its place behind a command that was answered after `event`.
fn first_overtaken(history: &History, event: u64) -> u64 {
    let first_of = |list: &Vec<usize>| {
        let operations = list.iter().map(|number| &history.operations[*number]);
        let is_late = |operation: &Operation| match &operation.answered {
            Some(answered) => answered.at > event,
            None => true,
        };
        let later = operations.skip_while(|operation| !is_late(operation));
        later.map(Operation::placed).min()
    };
    let firsts = history.by_connection().into_iter();
    firsts
        .filter_map(|list| first_of(&list))
        .min()
        .unwrap_or(u64::MAX)
}

/// Adds the operations that take keys away. `late_ns`: how late a shard may be.
pub fn come_due(history: &mut History, start: &Model, now_ns: u64, late_ns: u64) {
    let mut due: Vec<(usize, Word, u64, u64)> = Vec::new();
    for db in 0..DATABASES {
        let entries = start.database(db).entries();
        let timed = entries.filter_map(|(key, entry)| Some((key.clone(), entry.expire_ms?)));
        due.extend(timed.map(|(key, at)| (db, key, at, 0)));
    }
    for operation in &history.operations {
        let answered = operation
            .answered
            .as_ref()
            .map_or(u64::MAX - 1, |answered| answered.at);
        let given = operation.commands().iter().filter_map(given);
        due.extend(given.map(|(key, at)| (operation.db, key, at, answered)));
    }
    for (db, key, at_ms, given_by) in due {
        if at_ms > wall_ms(now_ns) || at_ms < START_MS {
            continue;
        }
        // A key goes with the millisecond after; but at once if it is given a time that is now. One more for the edges of milliseconds.
        let at_ns = (at_ms - START_MS) * NS_PER_MS;
        let is_over = at_ms < wall_ms(now_ns);
        let early = history.last_before(at_ns.saturating_sub(NS_PER_MS));
        let late = history
            .first_after(at_ns + NS_PER_MS + late_ns)
            .unwrap_or(u64::MAX - 1);
        let connection = history.connect(usize::MAX, 0);
        let args = vec![key, Word::from(at_ms.to_string())];
        history.operations.push(Operation {
            connection,
            db,
            command: Command::new(Verb::Expire, args),
            role: Role::Plain,
            target: None,
            invoked: early.min(first_overtaken(history, early).saturating_sub(1)),
            answered: is_over.then(|| Answered {
                at: late.max(given_by),
                reply: Reply::ok(),
            }),
            settled: None,
            seen: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_behind_a_late_command_shows_its_place() {
        let mut history = History::default();
        let connection = history.connect(0, 0);
        for (answered, seen) in [(5, None), (9, None), (10, Some(6)), (11, None)] {
            history.operations.push(Operation {
                connection,
                db: 0,
                command: Command::new(Verb::Expire, Vec::new()),
                role: Role::Plain,
                target: None,
                invoked: 1,
                answered: Some(Answered {
                    at: answered,
                    reply: Reply::ok(),
                }),
                settled: None,
                seen,
            });
        }
        assert_eq!(first_overtaken(&history, 4), 5);
        assert_eq!(first_overtaken(&history, 7), 6);
        assert_eq!(first_overtaken(&history, 10), 11);
        assert_eq!(first_overtaken(&history, 11), u64::MAX);
    }
}
