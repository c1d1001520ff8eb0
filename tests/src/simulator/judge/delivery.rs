//! The judge of delivery: every element that was pushed was taken once, or is still there.
//!
//! It counts elements, which are never pushed twice, and knows nothing of an order, so it says in one line what is wrong where the judge of order can only say that
//! there is none. Where lists are copied or deleted whole it has nothing to say. What a cut connection took is gone with it: as many elements as it had
//! commands without an answer that could take one.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulator::command::{Command, Verb};
use crate::simulator::history::History;
use crate::simulator::model::{DATABASES, Model};
use crate::simulator::reply::Reply;
use crate::simulator::transaction::Role;
use crate::simulator::value::Value;
use crate::simulator::word::Word;

#[derive(Default)]
struct Account {
    pushed: BTreeSet<Word>,
    /// Elements that may have been pushed: nobody was told.
    perhaps: BTreeSet<Word>,
    taken: BTreeMap<Word, usize>,
    /// Commands that may have taken an element: nobody was told.
    untold: usize,
}

impl Account {
    fn note(&mut self, command: &Command, reply: Option<&Reply>) {
        let args = command.args.as_slice();
        match (command.verb, reply) {
            (Verb::LPush | Verb::RPush, Some(Reply::Integer(_))) => {
                self.pushed.extend(args[1..].iter().cloned());
            }
            (Verb::LPush | Verb::RPush, None) => self.perhaps.extend(args[1..].iter().cloned()),
            (Verb::LPop | Verb::RPop, Some(Reply::Bulk(element))) => self.take(element),
            (Verb::Blpop | Verb::Brpop, Some(Reply::Array(parts))) => {
                if let Some(Reply::Bulk(element)) = parts.get(1) {
                    self.take(element);
                }
            }
            (Verb::Blmpop, Some(Reply::Array(parts))) => {
                let elements = parts.get(1).and_then(Reply::words).unwrap_or_default();
                elements.iter().for_each(|element| self.take(element));
            }
            (Verb::LPop | Verb::RPop | Verb::Blpop | Verb::Brpop | Verb::Blmpop, None) => {
                self.untold += 1;
            }
            _ => {}
        }
    }

    fn take(&mut self, element: &Word) {
        *self.taken.entry(element.clone()).or_default() += 1;
    }
}

fn lists(model: &Model) -> Vec<Word> {
    let databases = (0..DATABASES).flat_map(|db| model.database(db).entries());
    let elements = |entry: &Value| match entry {
        Value::List(elements) => elements.to_vec(),
        _ => Vec::new(),
    };
    databases
        .flat_map(|(_, entry)| elements(&entry.value))
        .collect()
}

/// What is wrong, if anything.
#[must_use]
pub fn judge(start: &Model, history: &History, end: &Model) -> Option<String> {
    let mut account = Account::default();
    account.pushed.extend(lists(start));
    for operation in &history.operations {
        match (&operation.role, operation.reply()) {
            (Role::Exec(exec), Some(Reply::Array(replies))) => {
                let pairs = exec.body.iter().zip(replies);
                pairs.for_each(|(command, reply)| account.note(command, Some(reply)));
            }
            (Role::Exec(_), Some(_)) => {}
            (_, reply) => {
                let commands = operation.commands().iter();
                commands.for_each(|command| account.note(command, reply));
            }
        }
    }
    for element in lists(end) {
        account.take(&element);
    }
    if let Some((element, count)) = account.taken.iter().find(|(_, count)| **count > 1) {
        return Some(format!(
            "{element} was delivered {count} times (or is still there)"
        ));
    }
    let is_known =
        |element: &Word| account.pushed.contains(element) || account.perhaps.contains(element);
    if let Some(stray) = account.taken.keys().find(|element| !is_known(element)) {
        return Some(format!("{stray} was delivered and never pushed"));
    }
    let is_gone = |element: &&Word| !account.taken.contains_key(*element);
    let lost: Vec<String> = account
        .pushed
        .iter()
        .filter(is_gone)
        .map(Word::to_string)
        .collect();
    (lost.len() > account.untold).then(|| {
        let (lost, untold) = (lost.join(" "), account.untold);
        format!("{lost}: lost; {untold} commands that could have taken one were never answered")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(operations: &[(&str, Option<Reply>)], end: &str) -> Option<String> {
        let mut history = History::default();
        let connection = history.connect(0, 0);
        for (line, reply) in operations {
            let number = history.invoke(connection, 0, Command::parse(line), Role::Plain);
            if let Some(reply) = reply {
                history.answer(number, reply.clone());
            }
        }
        let mut model = Model::default();
        if !end.is_empty() {
            model.apply(0, &Command::parse(end));
        }
        judge(&Model::default(), &history, &model)
    }

    #[test]
    fn each_element_counts_once() {
        let push = ("RPUSH k x y", Some(Reply::Integer(2)));
        let popped = |element: &str| {
            let parts = ["k", element].map(|word| Reply::Bulk(Word::from(word)));
            ("BLPOP k 0", Some(Reply::Array(parts.to_vec())))
        };
        assert_eq!(verdict(&[push.clone(), popped("x")], "RPUSH k y"), None);
        let lost = verdict(&[push.clone(), popped("x")], "").expect("y is lost");
        assert!(lost.starts_with("y: lost"));
        let cut = ("BLPOP k 0", None);
        assert_eq!(verdict(&[push.clone(), popped("x"), cut], ""), None);
        let twice = verdict(&[push.clone(), popped("x"), popped("x")], "RPUSH k y");
        assert!(twice.expect("a complaint").contains("2 times"));
        let kept = verdict(&[push, popped("x")], "RPUSH k x y");
        assert!(kept.expect("a complaint").contains("2 times"));
        let stray = verdict(&[popped("z")], "").expect("nobody pushed it");
        assert!(stray.contains("never pushed"));
    }
}
