//! The oracle's part about streams: adding entries, and reading them, for nobody in particular or for a consumer of a group.
//!
//! Reads name their options in one order (COUNT, BLOCK, STREAMS) and always wait if they find nothing, where a command may. An entry goes to one consumer of a
//! group, and to every plain reader that waits for it.

use std::rc::Rc;

use super::command::{Command, Verb};
use super::model::Model;
use super::reply::{Answer, Reply};
use super::stream::{FIELD, Group, Stream, id_of, number_of};
use super::value::Value;
use super::word::Word;

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty \
    stream automatically.";

/// What an XREAD or XREADGROUP asks for.
pub struct Reading<'a> {
    /// Group and consumer.
    pub group: Option<(&'a Word, &'a Word)>,
    /// Most entries of a stream.
    pub count: usize,
    /// The streams.
    pub keys: &'a [Word],
    /// Behind which entries, one for each stream.
    pub ids: &'a [Word],
}

impl<'a> Reading<'a> {
    /// `None` if the command is no such read.
    #[must_use]
    pub fn of(command: &'a Command) -> Option<Self> {
        if !command.verb.reads_streams() {
            return None;
        }
        let args = command.args.as_slice();
        let group = (command.verb == Verb::XReadGroup).then(|| (&args[1], &args[2]));
        let from = args.iter().position(|arg| **arg == *b"STREAMS")? + 1;
        let (keys, ids) = args[from..].split_at((args.len() - from) / 2);
        let count = command.option(0, "COUNT")?.integer()?;
        Some(Self {
            group,
            count: usize::try_from(count).ok()?,
            keys,
            ids,
        })
    }
}

/// An entry as it is replied.
fn entry((number, value): (u64, Word)) -> Reply {
    let fields = [Word::from(FIELD), value].map(Reply::Bulk);
    Reply::Array(vec![
        Reply::Bulk(id_of(number)),
        Reply::Array(fields.to_vec()),
    ])
}

fn entries(entries: Vec<(u64, Word)>) -> Reply {
    Reply::Array(entries.into_iter().map(entry).collect())
}

/// The streams that a reply to a read names.
#[must_use]
pub fn named(reply: Option<&Reply>) -> Vec<Word> {
    let Some(Reply::Array(streams)) = reply else {
        return Vec::new();
    };
    let key = |stream: &Reply| match stream {
        Reply::Array(parts) => match parts.first() {
            Some(Reply::Bulk(key)) => Some(key.clone()),
            _ => None,
        },
        _ => None,
    };
    streams.iter().filter_map(key).collect()
}

impl Model {
    /// The stream under a key.
    fn stream(&self, db: usize, key: &Word) -> Option<&Rc<Stream>> {
        match self.get(db, key).map(|entry| &entry.value) {
            Some(Value::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    /// Changes the stream under a key, which holds nothing else.
    fn change_stream<R>(
        &mut self,
        db: usize,
        key: &Word,
        change: impl FnOnce(&mut Stream) -> R,
    ) -> R {
        let mut stream = self.stream(db, key).cloned().unwrap_or_default();
        let result = change(Rc::make_mut(&mut stream));
        self.store(db, key, Value::Stream(stream));
        result
    }

    /// Carries a command about streams out that does not wait; its key holds nothing else.
    pub(super) fn apply_to_streams(&mut self, db: usize, command: &Command) -> Answer {
        let args = command.args.as_slice();
        let key = &args[0];
        Answer::Only(match command.verb {
            Verb::XAdd => {
                let most = command.option(1, "=").and_then(Word::integer);
                let value = &args[args.len() - 1];
                let number = self.change_stream(db, key, |stream| {
                    let number = stream.add(value);
                    let most = most.map_or(usize::MAX, |most| most as usize);
                    while stream.entries.len() > most {
                        stream.entries.pop_first();
                    }
                    number
                });
                Reply::Bulk(id_of(number))
            }
            Verb::XLen => {
                let stream = self.stream(db, key);
                Reply::Integer(stream.map_or(0, |stream| stream.entries.len() as i64))
            }
            Verb::XRange => {
                let stream = self.stream(db, key);
                entries(stream.map_or_else(Vec::new, |stream| stream.behind(0, usize::MAX)))
            }
            Verb::XDel => self.delete_entries(db, key, &args[1..]),
            Verb::XAck => self.acknowledge(db, key, &args[1], &args[2..]),
            _ => self.change_groups(db, command),
        })
    }

    fn delete_entries(&mut self, db: usize, key: &Word, ids: &[Word]) -> Reply {
        let has = |id: &Word| {
            let (stream, number) = (self.stream(db, key), number_of(id));
            stream.is_some_and(|stream| number.is_some_and(|it| stream.entries.contains_key(&it)))
        };
        if !ids.iter().any(has) {
            return Reply::Integer(0);
        }
        let removed = self.change_stream(db, key, |stream| {
            let numbers = ids.iter().filter_map(|id| number_of(id));
            let removed = numbers.filter_map(|number| stream.entries.remove(&number));
            removed.count()
        });
        Reply::Integer(removed as i64)
    }

    fn acknowledge(&mut self, db: usize, key: &Word, group: &Word, ids: &[Word]) -> Reply {
        let has_group = |stream: &&Rc<Stream>| stream.groups.contains_key(group);
        if self.stream(db, key).filter(has_group).is_none() {
            return Reply::Integer(0);
        }
        let acknowledged = self.change_stream(db, key, |stream| {
            let pending = stream.groups.get_mut(group).map(|group| &mut group.pending);
            let numbers = ids.iter().filter_map(|id| number_of(id));
            pending.map_or(0, |pending| {
                numbers
                    .filter(|number| pending.remove(number).is_some())
                    .count()
            })
        });
        Reply::Integer(acknowledged as i64)
    }

    /// XGROUP CREATE with MKSTREAM, and XGROUP DESTROY.
    fn change_groups(&mut self, db: usize, command: &Command) -> Reply {
        let [what, key, name, rest @ ..] = command.args.as_slice() else {
            return Reply::ok();
        };
        if **what == *b"DESTROY" {
            if self.stream(db, key).is_none() {
                return Reply::error(NO_KEY);
            }
            let is_gone =
                self.change_stream(db, key, |stream| stream.groups.remove(name).is_some());
            return Reply::Integer(is_gone.into());
        }
        let has = |stream: &Rc<Stream>| stream.groups.contains_key(name);
        if self.stream(db, key).is_some_and(has) {
            return Reply::error("BUSYGROUP Consumer Group name already exists");
        }
        self.change_stream(db, key, |stream| {
            let from = rest.first().and_then(|id| number_of(id));
            let group = Group {
                last: from.unwrap_or(stream.last),
                ..Group::default()
            };
            stream.groups.insert(name.clone(), group);
        });
        Reply::ok()
    }

    /// The error of a read: the first of its keys that is no stream, or has no such group.
    #[must_use]
    pub fn mistake_of(&self, db: usize, reading: &Reading<'_>) -> Option<Reply> {
        reading.keys.iter().find_map(|key| {
            let stream = self.stream(db, key);
            if stream.is_none() && self.get(db, key).is_some() {
                return Some(Reply::wrong_type());
            }
            let (name, _) = reading.group?;
            if stream.is_some_and(|stream| stream.groups.contains_key(name)) {
                return None;
            }
            let text = format!(
                "NOGROUP No such key '{key}' or consumer group '{name}' in XREADGROUP with GROUP option"
            );
            Some(Reply::error(&text))
        })
    }

    /// Reads from those of its streams that `is_asked` names. `None`: there is nothing.
    pub fn read(
        &mut self,
        db: usize,
        reading: &Reading<'_>,
        is_asked: impl Fn(&Word) -> bool,
    ) -> Option<Reply> {
        let mut streams = Vec::new();
        for (key, id) in reading.keys.iter().zip(reading.ids) {
            let Some(stream) = self.stream(db, key).filter(|_| is_asked(key)) else {
                continue;
            };
            let after = match reading.group {
                Some((name, _)) => stream.groups.get(name).map(|group| group.last),
                None => number_of(id),
            };
            let found = stream.behind(after.unwrap_or(stream.last), reading.count);
            if found.is_empty() {
                continue;
            }
            if let Some((name, consumer)) = reading.group {
                self.change_stream(db, key, |stream| {
                    let group = stream.groups.entry(name.clone()).or_default();
                    for (number, _) in &found {
                        group.last = *number;
                        group.pending.insert(*number, consumer.clone());
                    }
                });
            }
            streams.push(Reply::Array(vec![Reply::Bulk(key.clone()), entries(found)]));
        }
        (!streams.is_empty()).then_some(Reply::Array(streams))
    }

    /// The same command, as it waits from now on: behind the entries that are there.
    #[must_use]
    pub fn as_it_waits(&self, db: usize, command: &Command) -> Command {
        let mut waiting = command.clone();
        if let Some(reading) = Reading::of(command) {
            let first = command.args.len() - reading.ids.len();
            for (at, key) in reading.keys.iter().enumerate() {
                if *reading.ids[at] == *b"$" {
                    let last = self.stream(db, key).map_or(0, |stream| stream.last);
                    waiting.args[first + at] = id_of(last);
                }
            }
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_groups() {
        let mut model = Model::default();
        for (line, expected) in [
            ("XADD x 1-* f a", "\"1-0\""),
            ("XADD x 1-* f b", "\"1-1\""),
            ("XADD x MAXLEN = 2 1-* f c", "\"1-2\""),
            ("XLEN x", ":2"),
            (
                "XRANGE x - +",
                "[[\"1-1\", [\"f\", \"b\"]], [\"1-2\", [\"f\", \"c\"]]]",
            ),
            ("XGROUP CREATE x g 0 MKSTREAM", "+OK"),
            (
                "XGROUP CREATE x g 0 MKSTREAM",
                "-BUSYGROUP Consumer Group name already exists",
            ),
            (
                "XREADGROUP GROUP g me COUNT 1 BLOCK 0 STREAMS x >",
                "[[\"x\", [[\"1-1\", [\"f\", \"b\"]]]]]",
            ),
            (
                "XREADGROUP GROUP g you COUNT 9 BLOCK 0 STREAMS x >",
                "[[\"x\", [[\"1-2\", [\"f\", \"c\"]]]]]",
            ),
            ("XREADGROUP GROUP g me COUNT 1 BLOCK 0 STREAMS x >", "null"),
            ("XACK x g 1-1 1-0", ":1"),
            ("XACK x h 1-1", ":0"),
            ("XDEL x 1-1 1-9", ":1"),
            ("XREAD COUNT 9 BLOCK 0 STREAMS x $", "null"),
            (
                "XREAD COUNT 9 BLOCK 0 STREAMS x 0",
                "[[\"x\", [[\"1-2\", [\"f\", \"c\"]]]]]",
            ),
            ("XGROUP DESTROY x h", ":0"),
            ("XGROUP DESTROY x g", ":1"),
            ("XDEL x 1-2", ":1"),
            ("EXISTS x", ":1"),
            ("XADD x 1-* f d", "\"1-3\""),
        ] {
            let answer = model.apply(0, &Command::parse(line)).to_string();
            assert_eq!(answer, expected, "{line}");
        }
        let command = Command::parse("XREADGROUP GROUP h me COUNT 1 BLOCK 0 STREAMS x >");
        let text = "NOGROUP No such key 'x' or consumer group 'h' in XREADGROUP with GROUP option";
        let answer = model.apply(0, &command);
        assert_eq!(answer, Answer::Only(Reply::error(text)));
    }

    #[test]
    fn the_last_entry_is_that_of_the_moment() {
        let mut model = Model::default();
        model.apply(0, &Command::parse("XADD x 1-* f a"));
        let command = Command::parse("XREAD COUNT 9 BLOCK 0 STREAMS x none $ $");
        let waiting = model.as_it_waits(0, &command).to_string();
        assert_eq!(waiting, "XREAD COUNT 9 BLOCK 0 STREAMS x none 1-0 0-0");
    }
}
