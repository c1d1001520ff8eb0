//! The judge of messages: what listeners received and did not.
//!
//! A message is received by whoever listened from before it was published until after, once per name that it matches, and by nobody who does not listen. One
//! publisher's messages come in the order in which they were published, one that was answered comes before one that was sent later, and any two
//! come in the same order to everybody. That a message comes after the writes before it is for the judge of order: it knows when each was first received.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulator::command::Verb;
use crate::simulator::history::{History, Sound, Tape};
use crate::simulator::reply::Reply;
use crate::simulator::transaction::Role;
use crate::simulator::word::Word;

/// Names match patterns that end with `*`, and themselves.
fn matches(name: &Word, channel: &Word) -> bool {
    match name.strip_suffix(b"*") {
        Some(prefix) => channel.starts_with(prefix),
        None => name == channel,
    }
}

/// A message that was published for certain: its operation, channel, text, when it began to be and when it was over.
struct Published {
    operation: usize,
    channel: Word,
    text: Word,
    invoked: u64,
    finished: u64,
}

fn published(history: &History) -> Vec<Published> {
    let mut all = Vec::new();
    for (number, operation) in history.operations.iter().enumerate() {
        let ran = match operation.reply() {
            Some(Reply::Integer(_)) => true,
            Some(Reply::Array(_)) => matches!(operation.role, Role::Exec(_)),
            _ => operation.seen.is_some(),
        };
        for command in operation.commands() {
            if ran && command.verb == Verb::Publish {
                all.push(Published {
                    operation: number,
                    channel: command.args[0].clone(),
                    text: command.args[1].clone(),
                    invoked: operation.invoked,
                    // Those of a transaction are published one after the other.
                    finished: match operation.role {
                        Role::Exec(_) => operation.answered.as_ref().map_or(u64::MAX, |by| by.at),
                        _ => operation.finished(),
                    },
                });
            }
        }
    }
    all
}

/// From when to when a tape's connection surely listened to a name.
fn certain(tape: &Tape, name: &Word) -> Vec<(u64, u64)> {
    let mut spans = Vec::new();
    let mut since = tape.first.contains(name).then_some(0);
    let confirmed = tape
        .sounds
        .iter()
        .filter(|sound| sound.message.is_none() && sound.name == *name)
        .map(|sound| (sound.at, !sound.kind.ends_with(b"unsubscribe"), true));
    let asked = tape
        .asked
        .iter()
        .filter(|(_, listens, asked)| !listens && asked == name);
    let asked = asked.map(|(at, _, _)| (*at, false, false));
    let mut moments: Vec<(u64, bool, bool)> = confirmed.chain(asked).collect();
    moments.sort_unstable();
    // Between asking to hear no more and being told so nothing is certain, whatever is confirmed meanwhile.
    let mut leaving: usize = 0;
    for (at, listens, is_confirmed) in moments {
        match (listens, is_confirmed) {
            (true, _) => since = since.or((leaving == 0).then_some(at)),
            (false, true) => leaving = leaving.saturating_sub(1),
            (false, false) => {
                leaving += 1;
                spans.extend(since.take().map(|from| (from, at)));
            }
        }
    }
    spans.extend(since.map(|from| (from, u64::MAX)));
    spans
}

/// Whether a tape has a message that came although nobody listened, came twice, or was never published.
fn strays(history: &History, number: usize, tape: &Tape) -> Option<String> {
    let mut listens: BTreeSet<&Word> = tape.first.iter().collect();
    let mut known = BTreeSet::new();
    for Sound {
        kind,
        name,
        message,
        ..
    } in &tape.sounds
    {
        let Some(text) = message else {
            if kind.ends_with(b"unsubscribe") {
                listens.remove(name);
            } else {
                listens.insert(name);
            }
            continue;
        };
        let complaint = |what: &str| Some(format!("tape {number}: {what}: {kind} {name} {text}"));
        if !listens.contains(name) {
            return complaint("received without listening");
        }
        if !known.insert((name, text)) {
            return complaint("received twice");
        }
        let Some(operation) = history.publisher(text) else {
            return complaint("nobody published it");
        };
        let is_of = |channel: &Word| matches(name, channel);
        let mut commands = history.operations[operation].commands().iter();
        if !commands.any(|command| command.args.get(1) == Some(text) && is_of(&command.args[0])) {
            return complaint("published to another channel");
        }
    }
    None
}

/// Whether a message is missing on a tape.
fn missing(number: usize, tape: &Tape, published: &[Published]) -> Option<String> {
    if tape.cut.is_some() {
        return None;
    }
    let heard = |name: &Word, text: &Word| {
        let mut sounds = tape.sounds.iter();
        sounds.any(|sound| sound.name == *name && sound.message.as_ref() == Some(text))
    };
    let names = tape
        .sounds
        .iter()
        .map(|sound| &sound.name)
        .chain(&tape.first);
    for name in names.collect::<BTreeSet<&Word>>() {
        for (from, to) in certain(tape, name) {
            let in_time = |message: &&Published| {
                matches(name, &message.channel) && message.invoked > from && message.finished < to
            };
            let mut due = published.iter().filter(in_time);
            if let Some(lost) = due.find(|message| !heard(name, &message.text)) {
                return Some(format!(
                    "tape {number}: {name} missed {} of operation sent at {}",
                    lost.text, lost.invoked
                ));
            }
        }
    }
    None
}

/// The messages of a tape, each once, in order of their first arrival.
fn order<'a>(tape: &'a Tape, places: &BTreeMap<&'a Word, usize>) -> Vec<usize> {
    let mut order = Vec::new();
    for text in tape
        .sounds
        .iter()
        .filter_map(|sound| sound.message.as_ref())
    {
        if let Some(place) = places.get(text)
            && !order.contains(place)
        {
            order.push(*place);
        }
    }
    order
}

/// Whether messages came in an order in which they were not published, or in different ones.
fn disorder(history: &History, published: &[Published]) -> Option<String> {
    let places = published.iter().enumerate();
    let places: BTreeMap<&Word, usize> = places
        .map(|(place, message)| (&message.text, place))
        .collect();
    let mut came: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (number, tape) in history.tapes.iter().enumerate() {
        let order = order(tape, &places);
        for (at, later) in order.iter().enumerate() {
            for earlier in &order[..at] {
                let (a, b) = (&published[*earlier], &published[*later]);
                let (first, second) = (
                    &history.operations[a.operation],
                    &history.operations[b.operation],
                );
                let is_older = |x: usize, y: usize| x < y;
                let same_source = first.connection == second.connection;
                let answered = second
                    .answered
                    .as_ref()
                    .map_or(u64::MAX, |answered| answered.at);
                let is_wrong = same_source && is_older(b.operation, a.operation)
                    || answered < a.invoked
                    || a.operation == b.operation && is_older(*later, *earlier);
                if is_wrong {
                    return Some(format!("tape {number}: {} came before {}", a.text, b.text));
                }
                if let Some(other) = came.get(&(*later, *earlier)) {
                    return Some(format!(
                        "tapes {number} and {other} do not agree on {} and {}",
                        a.text, b.text
                    ));
                }
                came.insert((*earlier, *later), number);
            }
        }
    }
    None
}

/// Whether a publisher was told of fewer listeners than there were for certain.
fn miscount(history: &History, published: &[Published]) -> Option<String> {
    for message in published {
        let operation = &history.operations[message.operation];
        let Some(Reply::Integer(told)) = operation.reply() else {
            continue;
        };
        let mut sure = 0;
        for tape in &history.tapes {
            let names = tape
                .sounds
                .iter()
                .map(|sound| &sound.name)
                .chain(&tape.first);
            let names: BTreeSet<&Word> = names
                .filter(|name| matches(name, &message.channel))
                .collect();
            let over = tape.cut.unwrap_or(u64::MAX);
            let listened = |name: &&Word| {
                certain(tape, name)
                    .iter()
                    .any(|(from, to)| message.invoked > *from && message.finished < *to)
            };
            if over == u64::MAX {
                sure += names.into_iter().filter(listened).count();
            }
        }
        if *told < sure as i64 {
            return Some(format!(
                "{} had {sure} listeners and was told of {told}",
                message.text
            ));
        }
    }
    None
}

/// What is wrong, if anything.
#[must_use]
pub fn judge(history: &History) -> Option<String> {
    let published = published(history);
    for (number, tape) in history.tapes.iter().enumerate() {
        let complaint = strays(history, number, tape);
        let complaint = complaint.or_else(|| missing(number, tape, &published));
        if complaint.is_some() {
            return complaint;
        }
    }
    disorder(history, &published).or_else(|| miscount(history, &published))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::command::Command;

    fn sound(at: u64, kind: &str, name: &str, message: Option<&str>) -> Sound {
        Sound {
            at,
            kind: Word::from(kind),
            name: Word::from(name),
            message: message.map(Word::from),
        }
    }

    /// Two listeners of `ch` who heard these messages; `m1` and `m2` were published by one client, `m3` by another after an answer to `m1`.
    fn verdict(first: &[&str], second: &[&str]) -> Option<String> {
        let mut history = History::default();
        let (a, b) = (history.connect(0, 0), history.connect(1, 1));
        (0..5).for_each(|_| _ = history.event());
        let mut publish = |connection, text: &str| {
            let command = Command::parse(&format!("PUBLISH ch {text}"));
            history.invoke(connection, 0, command, Role::Plain)
        };
        let (m1, m2) = (publish(a, "m1"), publish(a, "m2"));
        history.answer(m1, Reply::Integer(2));
        let command = Command::parse("PUBLISH ch m3");
        let m3 = history.invoke(b, 0, command, Role::Plain);
        history.answer(m2, Reply::Integer(2));
        history.answer(m3, Reply::Integer(2));
        for heard in [first, second] {
            let mut tape = Tape {
                asked: vec![(1, true, Word::from("ch"))],
                ..Tape::default()
            };
            tape.sounds.push(sound(2, "subscribe", "ch", None));
            let messages = heard
                .iter()
                .map(|text| sound(30, "message", "ch", Some(text)));
            tape.sounds.extend(messages);
            history.tapes.push(tape);
        }
        judge(&history)
    }

    #[test]
    fn what_listeners_may_receive() {
        assert_eq!(verdict(&["m1", "m2", "m3"], &["m1", "m2", "m3"]), None);
        assert_eq!(verdict(&["m1", "m3", "m2"], &["m1", "m3", "m2"]), None);
        let says = |first: &[&str], second: &[&str]| verdict(first, second).expect("a complaint");
        assert!(says(&["m1", "m3", "m2"], &["m1", "m2", "m3"]).contains("do not agree"));
        assert!(says(&["m2", "m1", "m3"], &["m2", "m1", "m3"]).contains("came before"));
        assert!(says(&["m3", "m1", "m2"], &["m3", "m1", "m2"]).contains("came before"));
        assert!(says(&["m1", "m2"], &["m1", "m2", "m3"]).contains("missed m3"));
        assert!(says(&["m1", "m2", "m2", "m3"], &["m1", "m2", "m3"]).contains("twice"));
        assert!(says(&["m1", "m2", "m3", "m4"], &["m1", "m2", "m3"]).contains("nobody"));
    }

    #[test]
    fn who_leaves_need_not_be_told() {
        let mut tape = Tape::default();
        tape.sounds.push(sound(5, "subscribe", "ch", None));
        tape.asked.push((9, false, Word::from("ch")));
        let name = Word::from("ch");
        assert_eq!(certain(&tape, &name), [(5, 9)]);
        tape.sounds.push(sound(12, "unsubscribe", "ch", None));
        tape.sounds.push(sound(14, "subscribe", "ch", None));
        assert_eq!(certain(&tape, &name), [(5, 9), (14, u64::MAX)]);
        tape.sounds.push(sound(15, "message", "ch", Some("m")));
        assert!(
            strays(&History::default(), 0, &tape)
                .expect("unknown")
                .contains("nobody")
        );
    }
}
