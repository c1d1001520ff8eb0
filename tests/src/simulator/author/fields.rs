//! Commands about hashes and streams.

use super::Author;
use crate::simulator::command::{Command, Verb};
use crate::simulator::stream::id_of;
use crate::simulator::word::Word;

/// Entries whose ids are named, at most.
const ENTRIES_NAMED: u64 = 12;

fn words(line: &str) -> Vec<Word> {
    line.split(' ').map(Word::from).collect()
}

impl Author {
    fn hash(&mut self) -> Word {
        self.of(|subject| &subject.hashes)
    }

    /// A key of a stream.
    fn stream(&mut self) -> Word {
        let streams = &self.subject.streams;
        streams[self.prng.index(streams.len())].clone()
    }

    fn field(&mut self) -> Word {
        Word::from(["f", "g", "n"][self.prng.index(3)])
    }

    fn group(&mut self) -> Word {
        Word::from(["g", "g", "h"][self.prng.index(3)])
    }

    /// Ids of some entries, there or not.
    fn ids(&mut self) -> Vec<Word> {
        let count = 1 + self.prng.index(3);
        (0..count)
            .map(|_| id_of(1 + self.prng.below(ENTRIES_NAMED)))
            .collect()
    }

    /// The arguments of a command about hashes or streams.
    pub(super) fn about_fields(&mut self, verb: Verb, client: usize) -> Vec<Word> {
        match verb {
            Verb::HGet => vec![self.hash(), self.field()],
            Verb::HGetAll | Verb::HLen => vec![self.hash()],
            Verb::HIncrBy => {
                let by = Word::from(["1", "-2", "1000"][self.prng.index(3)]);
                vec![self.hash(), self.field(), by]
            }
            Verb::HSet => {
                let mut args = vec![self.hash(), self.field(), self.value(client)];
                if self.one_in(3) {
                    args.extend([self.field(), self.value(client)]);
                }
                args
            }
            Verb::HDel => vec![self.hash(), self.field(), self.field()],
            Verb::XAdd => self.entry(client),
            Verb::XLen => vec![self.stream()],
            Verb::XRange => vec![self.stream(), Word::from("-"), Word::from("+")],
            Verb::XDel => std::iter::once(self.stream()).chain(self.ids()).collect(),
            Verb::XAck => {
                let place = [self.stream(), self.group()];
                place.into_iter().chain(self.ids()).collect()
            }
            Verb::XGroup if !self.subject.is_careful && self.one_in(4) => {
                vec![Word::from("DESTROY"), self.stream(), self.group()]
            }
            Verb::XGroup => self.new_group(),
            _ => self.reading(verb, client),
        }
    }

    fn entry(&mut self, client: usize) -> Vec<Word> {
        let is_odd = !self.subject.is_careful && self.one_in(25);
        let mut args = vec![if is_odd {
            self.mortal_key()
        } else {
            self.stream()
        }];
        if !self.subject.is_careful && self.one_in(8) {
            args.extend(words("MAXLEN = 3"));
        }
        args.extend(words("1-* f"));
        args.push(self.value(client));
        args
    }

    fn new_group(&mut self) -> Vec<Word> {
        let from = if self.subject.is_careful || self.one_in(2) {
            "0"
        } else {
            "$"
        };
        vec![
            Word::from("CREATE"),
            self.stream(),
            self.group(),
            Word::from(from),
            Word::from("MKSTREAM"),
        ]
    }

    /// XREAD and XREADGROUP. Where the judge is strict they wait for one stream: two may be answered from in either order.
    fn reading(&mut self, verb: Verb, client: usize) -> Vec<Word> {
        let is_strict = self.subject.is_strict;
        let mut args = Vec::new();
        if verb == Verb::XReadGroup {
            let consumer = Word::from(format!("c{client}"));
            args.extend([Word::from("GROUP"), self.group(), consumer]);
        }
        let count = 1 + self.prng.index(3);
        let time_ms = ["0", "0", "0", "1", "20", "1000"][self.prng.index(6)];
        args.extend(words(&format!("COUNT {count} BLOCK {time_ms} STREAMS")));
        let first = self.stream();
        let mut keys = vec![first.clone()];
        let second = self.stream();
        if !is_strict && second != first {
            keys.push(second);
        }
        let id = |author: &mut Self| match verb {
            Verb::XReadGroup => Word::from(">"),
            // Where nobody knows when it begins to wait, nobody knows what is the last entry then.
            _ if is_strict && author.one_in(2) => Word::from("$"),
            _ => id_of(author.prng.below(6)),
        };
        let ids: Vec<Word> = keys.iter().map(|_| id(self)).collect();
        args.extend(keys);
        args.extend(ids);
        args
    }

    /// Commands that make a group of each stream.
    pub fn groups(&mut self) -> Vec<Command> {
        let create = |key: &Word| {
            let args = [
                Word::from("CREATE"),
                key.clone(),
                Word::from("g"),
                Word::from("0"),
                Word::from("MKSTREAM"),
            ];
            Command::new(Verb::XGroup, args.to_vec())
        };
        self.subject.streams.iter().map(create).collect()
    }
}
