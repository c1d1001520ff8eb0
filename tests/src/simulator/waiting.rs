//! `Blocked`: a command of the model that waits for a list, a sorted set or a stream, and how it is served.
//!
//! As one thread does it: whoever waits is looked at after every command, those who came first in front, and is served as soon as one of
//! its keys holds what it wants. If several keys do at once, the reply that it really got tells which one it was.

use std::rc::Rc;

use super::command::{Command, Verb};
use super::model::Model;
use super::reading::{Reading, named};
use super::reply::{Answer, Reply};
use super::value::{Type, Value};
use super::word::{Word, mix};

/// A command that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// Its connection.
    pub connection: usize,
    /// Its database.
    pub db: usize,
    /// What it is.
    pub command: Command,
}

impl Blocked {
    /// Stands for it. A connection waits with one command at a time, but that depends on when it began to: it may name the last entry of that moment.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let args = self.command.args.iter().map(Word::digest);
        args.fold(mix(7, self.connection as u64), mix)
    }
}

/// The keys that a blocking command waits for.
#[must_use]
pub fn awaited(command: &Command) -> &[Word] {
    let args = command.args.as_slice();
    match command.verb {
        Verb::Blpop | Verb::Brpop | Verb::BzpopMin => &args[..args.len() - 1],
        Verb::Blmove => &args[..1],
        Verb::Blmpop => &args[2..args.len() - 1],
        Verb::XRead | Verb::XReadGroup => Reading::of(command).map_or(&[], |reading| reading.keys),
        _ => &[],
    }
}

fn wanted(verb: Verb) -> Type {
    if verb == Verb::BzpopMin {
        Type::Zset
    } else {
        Type::List
    }
}

impl Model {
    /// Carries a blocking command out, if there is something for it.
    pub fn try_blocking(&mut self, db: usize, command: &Command) -> Option<Answer> {
        if let Some(reading) = Reading::of(command) {
            let mistake = self.mistake_of(db, &reading);
            return mistake
                .or_else(|| self.read(db, &reading, |_| true))
                .map(Answer::Only);
        }
        let type_of = |key: &Word| self.get(db, key).map(|entry| entry.value.kind());
        let found = awaited(command)
            .iter()
            .find_map(|key| Some((key.clone(), type_of(key)?)));
        let (key, kind) = found?;
        if kind != wanted(command.verb) {
            return Some(Answer::Only(Reply::wrong_type()));
        }
        Some(Answer::Only(self.serve_from(db, command, &key)))
    }

    /// The same, on the key that its reply names, if that holds what it wants.
    pub fn try_named(
        &mut self,
        db: usize,
        command: &Command,
        got: Option<&Reply>,
    ) -> Option<Answer> {
        if let Some(reading) = Reading::of(command) {
            let told = named(got);
            if self.mistake_of(db, &reading).is_some() {
                return None;
            }
            let read = self.read(db, &reading, |key| told.contains(key));
            return read.map(Answer::Only);
        }
        let Some(Reply::Array(parts)) = got else {
            return None;
        };
        let Some(Reply::Bulk(key)) = parts.first() else {
            return None;
        };
        let kind = self.get(db, key).map(|entry| entry.value.kind());
        let is_fine = awaited(command).contains(key) && kind == Some(wanted(command.verb));
        is_fine.then(|| Answer::Only(self.serve_from(db, command, key)))
    }

    /// Carries a blocking command out on a key that holds what it wants.
    fn serve_from(&mut self, db: usize, command: &Command, key: &Word) -> Reply {
        let pair = |element: Option<Word>| {
            let parts = [Some(key.clone()), element];
            Reply::Array(parts.into_iter().flatten().map(Reply::Bulk).collect())
        };
        match command.verb {
            Verb::Blpop => pair(self.pop(db, key, true)),
            Verb::Brpop => pair(self.pop(db, key, false)),
            Verb::Blmove => self.shift(db, &command.args),
            Verb::Blmpop => {
                let from_left = command.args.last().is_some_and(|word| **word == *b"LEFT");
                let element = self.pop(db, key, from_left);
                let elements = element.into_iter().map(Reply::Bulk).collect();
                Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Array(elements)])
            }
            _ => self.pop_least(db, key),
        }
    }

    fn pop_least(&mut self, db: usize, key: &Word) -> Reply {
        let Some(Value::Zset(members)) = self.get(db, key).map(|entry| entry.value.clone()) else {
            return Reply::Null;
        };
        let least = members
            .iter()
            .min_by_key(|(member, score)| (**score, (*member).clone()));
        let Some((member, score)) = least.map(|(member, score)| (member.clone(), *score)) else {
            return Reply::Null;
        };
        let mut members = members;
        Rc::make_mut(&mut members).remove(&member);
        self.store(db, key, Value::Zset(members));
        let words = [key.clone(), member, Word::from(score.to_string())];
        Reply::Array(words.into_iter().map(Reply::Bulk).collect())
    }

    /// A command begins to wait.
    pub fn block(&mut self, blocked: Blocked) {
        Rc::make_mut(&mut self.blocked).push(blocked);
    }

    /// Whether a connection waits.
    #[must_use]
    pub fn is_blocked(&self, connection: usize) -> bool {
        self.blocked
            .iter()
            .any(|blocked| blocked.connection == connection)
    }

    /// A connection waits no more.
    pub fn unblock(&mut self, connection: usize) {
        if self.is_blocked(connection) {
            Rc::make_mut(&mut self.blocked).retain(|blocked| blocked.connection != connection);
        }
    }

    /// Serves one of those for whom there is something, the one that has waited longest. `hint` tells what a connection really got. Returns who it was
    /// and what it gets.
    pub fn serve_next(&mut self, hint: impl Fn(usize) -> Option<Reply>) -> Option<(usize, Reply)> {
        let all = Rc::clone(&self.blocked);
        for blocked in all.iter() {
            let Blocked {
                connection,
                db,
                command,
            } = blocked;
            if let Some(reading) = Reading::of(command) {
                // Its group is gone; a plain reader goes on waiting for a key of another type.
                let mistake = self.mistake_of(*db, &reading);
                let mistake = mistake.filter(|_| reading.group.is_some());
                let Some(reply) = mistake.or_else(|| self.read(*db, &reading, |_| true)) else {
                    continue;
                };
                self.unblock(*connection);
                return Some((*connection, reply));
            }
            let has = |key: &&Word| {
                self.get(*db, key)
                    .is_some_and(|entry| entry.value.kind() == wanted(command.verb))
            };
            let mut ready: Vec<Word> = awaited(command).iter().filter(has).cloned().collect();
            if let Some(Reply::Array(parts)) = hint(*connection)
                && let Some(Reply::Bulk(told)) = parts.first()
                && command.verb != Verb::Blmove
                && ready.contains(told)
            {
                ready = vec![told.clone()];
            }
            let Some(key) = ready.first() else { continue };
            // A destination of another type: it is told so.
            let is_other = |key: &Word| {
                let entry = self.get(*db, key);
                entry.is_some_and(|entry| entry.value.kind() != Type::List)
            };
            if command.verb == Verb::Blmove && is_other(&command.args[1]) {
                self.unblock(*connection);
                return Some((*connection, Reply::wrong_type()));
            }
            self.unblock(*connection);
            let reply = self.serve_from(*db, command, key);
            return Some((*connection, reply));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(connection: usize, line: &str) -> Blocked {
        Blocked {
            connection,
            db: 0,
            command: Command::parse(line),
        }
    }

    fn served(model: &mut Model) -> String {
        match model.serve_next(|_| None) {
            Some((connection, reply)) => format!("{connection} {reply}"),
            None => "nobody".to_owned(),
        }
    }

    #[test]
    fn who_came_first_is_served_first() {
        let mut model = Model::default();
        model.block(blocked(1, "BLPOP a b 0"));
        model.block(blocked(2, "BLPOP b 0"));
        model.block(blocked(3, "BLMOVE b c LEFT RIGHT 0"));
        model.block(blocked(4, "BRPOP c 0"));
        assert_eq!(served(&mut model), "nobody");
        model.apply(0, &Command::parse("RPUSH b x y z w"));
        assert_eq!(served(&mut model), "1 [\"b\", \"x\"]");
        assert_eq!(served(&mut model), "2 [\"b\", \"y\"]");
        assert_eq!(served(&mut model), "3 \"z\"");
        assert_eq!(served(&mut model), "4 [\"c\", \"z\"]");
        assert_eq!(served(&mut model), "nobody");
        model.block(blocked(5, "BLMPOP 0 1 b LEFT"));
        assert_eq!(served(&mut model), "5 [\"b\", [\"w\"]]");
        assert!(model.get(0, b"b").is_none() && !model.is_blocked(5));
        model.block(blocked(6, "BZPOPMIN z 0"));
        model.apply(0, &Command::parse("ZADD z 2 b 1 c"));
        assert_eq!(served(&mut model), "6 [\"z\", \"c\", \"1\"]");
    }

    #[test]
    fn an_entry_goes_to_one_of_a_group_and_to_all_others() {
        let mut model = Model::default();
        model.apply(0, &Command::parse("XGROUP CREATE x g $ MKSTREAM"));
        let consumer = |who| format!("XREADGROUP GROUP g {who} COUNT 1 BLOCK 0 STREAMS x >");
        model.block(blocked(1, &consumer("a")));
        model.block(blocked(2, &consumer("b")));
        model.block(blocked(3, "XREAD COUNT 1 BLOCK 0 STREAMS x 0-0"));
        model.block(blocked(4, "XREAD COUNT 1 BLOCK 0 STREAMS x 1-0"));
        assert_eq!(served(&mut model), "nobody");
        model.apply(0, &Command::parse("XADD x 1-* f v"));
        let entry = "[[\"x\", [[\"1-0\", [\"f\", \"v\"]]]]]";
        assert_eq!(served(&mut model), format!("1 {entry}"));
        assert_eq!(served(&mut model), format!("3 {entry}"));
        assert_eq!(served(&mut model), "nobody");
        model.apply(0, &Command::parse("DEL x"));
        let gone = "NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option";
        let told = model.serve_next(|_| None);
        assert_eq!(told, Some((2, Reply::error(gone))));
        assert_eq!(served(&mut model), "nobody");
    }
}
