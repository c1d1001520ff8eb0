//! The judge of reading: a group's entries go to one consumer each, once, and none is passed over.
//!
//! It compares what readers were replied with how far the groups had come when the epoch began and ended, and knows nothing of an order. Where streams or groups
//! are deleted, or entries trimmed, it has nothing to say. What a cut connection read is gone with it: as many entries as its commands without an answer had
//! asked for.

use std::collections::BTreeMap;

use crate::simulator::command::Command;
use crate::simulator::history::History;
use crate::simulator::model::Model;
use crate::simulator::reading::Reading;
use crate::simulator::reply::Reply;
use crate::simulator::stream::{Stream, number_of};
use crate::simulator::transaction::Role;
use crate::simulator::value::Value;
use crate::simulator::word::Word;

/// What the readers of one group of a stream got.
#[derive(Default)]
struct Account {
    /// How often an entry came, and the value that it had.
    delivered: BTreeMap<u64, (usize, Word)>,
    /// Entries that commands without an answer may have got.
    untold: usize,
}

/// By stream and group.
type Accounts = BTreeMap<(Word, Word), Account>;

/// The entries of each stream in a reply to a read.
fn entries(reply: &Reply) -> Vec<(Word, Vec<(u64, Word)>)> {
    let parts = |reply: &Reply| match reply {
        Reply::Array(parts) => parts.clone(),
        _ => Vec::new(),
    };
    let entry = |reply: &Reply| {
        let parts = parts(reply);
        let (Some(Reply::Bulk(id)), Some(fields)) = (parts.first(), parts.get(1)) else {
            return None;
        };
        Some((number_of(id)?, fields.words()?.get(1)?.clone()))
    };
    let stream = |reply: &Reply| {
        let parts = parts(reply);
        let (Some(Reply::Bulk(key)), Some(Reply::Array(all))) = (parts.first(), parts.get(1))
        else {
            return None;
        };
        Some((key.clone(), all.iter().filter_map(entry).collect()))
    };
    parts(reply).iter().filter_map(stream).collect()
}

/// Notes a command and what it was replied. Says what is wrong with that alone.
fn note(accounts: &mut Accounts, command: &Command, reply: Option<&Reply>) -> Option<String> {
    let reading = Reading::of(command)?;
    let (group, _) = reading.group?;
    let Some(reply) = reply else {
        for key in reading.keys {
            let account = accounts.entry((key.clone(), group.clone()));
            account.or_default().untold += reading.count;
        }
        return None;
    };
    for (key, entries) in entries(reply) {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) || entries.len() > reading.count {
            return Some(format!("{command} -> {reply}: out of order, or too many"));
        }
        let account = accounts.entry((key, group.clone())).or_default();
        for (number, value) in entries {
            let delivered = account.delivered.entry(number);
            delivered.or_insert((0, value)).0 += 1;
        }
    }
    None
}

fn stream<'a>(model: &'a Model, key: &Word) -> Option<&'a Stream> {
    match &model.get(0, key)?.value {
        Value::Stream(stream) => Some(stream),
        _ => None,
    }
}

/// What is wrong with what one group got.
fn compare(
    account: &Account,
    start: Option<&Stream>,
    end: &Stream,
    group: &Word,
) -> Option<String> {
    let last = |stream: &Stream| stream.groups.get(group).map(|group| group.last);
    let (from, to) = (start.and_then(last).unwrap_or(0), last(end)?);
    for (number, (count, value)) in &account.delivered {
        if *count > 1 {
            return Some(format!("entry {number} came {count} times"));
        }
        if *number <= from || *number > to {
            return Some(format!("entry {number} is not between {from} and {to}"));
        }
        if end.entries.get(number) != Some(value) {
            return Some(format!("entry {number} came as {value}"));
        }
    }
    let numbers = end.entries.keys().copied();
    let lost: Vec<u64> = numbers
        .filter(|number| *number > from && *number <= to)
        .filter(|number| !account.delivered.contains_key(number))
        .collect();
    (lost.len() > account.untold).then(|| {
        let untold = account.untold;
        format!("entries {lost:?} came to nobody; {untold} were asked for without an answer")
    })
}

/// What is wrong, if anything.
#[must_use]
pub fn judge(start: &Model, history: &History, end: &Model) -> Option<String> {
    let mut accounts = Accounts::new();
    for operation in &history.operations {
        let complaint = match (&operation.role, operation.reply()) {
            (Role::Exec(exec), Some(Reply::Array(replies))) => {
                let mut pairs = exec.body.iter().zip(replies);
                pairs.find_map(|(command, reply)| note(&mut accounts, command, Some(reply)))
            }
            (Role::Exec(_), Some(_)) => None,
            (_, reply) => {
                let mut commands = operation.commands().iter();
                commands.find_map(|command| note(&mut accounts, command, reply))
            }
        };
        if complaint.is_some() {
            return complaint;
        }
    }
    for (key, value) in end.database(0).entries() {
        let Value::Stream(at_end) = &value.value else {
            continue;
        };
        for group in at_end.groups.keys() {
            let account = accounts.remove(&(key.clone(), group.clone()));
            let at_start = stream(start, key);
            if let Some(text) = compare(&account.unwrap_or_default(), at_start, at_end, group) {
                return Some(format!("group {group} of {key}: {text}"));
            }
        }
    }
    let stray = |(_, account): &(&(Word, Word), &Account)| !account.delivered.is_empty();
    let ((key, group), _) = accounts.iter().find(stray)?;
    Some(format!(
        "group {group} of {key} got entries and is not there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "XREADGROUP GROUP g me COUNT 2 BLOCK 0 STREAMS x >";

    fn got(entries: &[(&str, &str)]) -> Option<Reply> {
        let bulk = |word: &str| Reply::Bulk(Word::from(word));
        let entry = |(id, value): &(&str, &str)| {
            Reply::Array(vec![bulk(id), Reply::Array(vec![bulk("f"), bulk(value)])])
        };
        let entries = Reply::Array(entries.iter().map(entry).collect());
        Some(Reply::Array(vec![Reply::Array(vec![bulk("x"), entries])]))
    }

    /// What the judge says of these replies to reads, after which the group has come `reads` reads far.
    fn verdict(replies: &[Option<Reply>], reads: usize) -> Option<String> {
        let mut end = Model::default();
        for line in [
            "XADD x 1-* f a",
            "XADD x 1-* f b",
            "XADD x 1-* f c",
            "XGROUP CREATE x g 0 MKSTREAM",
        ] {
            end.apply(0, &Command::parse(line));
        }
        let start = end.clone();
        for _ in 0..reads {
            end.apply(0, &Command::parse(READ));
        }
        let mut history = History::default();
        let connection = history.connect(0, 0);
        for reply in replies {
            let number = history.invoke(connection, 0, Command::parse(READ), Role::Plain);
            if let Some(reply) = reply {
                history.answer(number, reply.clone());
            }
        }
        judge(&start, &history, &end)
    }

    #[test]
    fn each_entry_comes_once() {
        let first = || got(&[("1-0", "a"), ("1-1", "b")]);
        let second = || got(&[("1-2", "c")]);
        assert_eq!(verdict(&[first(), second()], 2), None);
        assert_eq!(verdict(&[first()], 1), None);
        assert_eq!(verdict(&[first(), None], 2), None, "its answer was lost");
        let complaint = |replies: &[Option<Reply>], reads| verdict(replies, reads).unwrap();
        assert!(complaint(&[first()], 2).contains("came to nobody"));
        assert!(complaint(&[first(), first()], 1).contains("2 times"));
        assert!(complaint(&[second()], 0).contains("not between"));
        let other = got(&[("1-0", "z")]);
        assert!(complaint(&[other], 1).contains("came as z"));
        let mixed = got(&[("1-1", "b"), ("1-0", "a")]);
        assert!(complaint(&[mixed], 1).contains("out of order"));
    }
}
