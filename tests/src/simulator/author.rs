//! `Author`: makes up the commands that clients send.
//!
//! Every value is used once, so that a reply tells which command wrote what it shows. Pays no attention to what the
//! commands will do; the judges see to that.

mod fields;

use tessera_io::sim::Prng;

use super::command::{Command, Verb};
use super::history::History;
use super::plan::Subject;
use super::scripting::{CALLED, CODE, SLOW_CODE, request};
use super::word::Word;

/// Keys of a command with many, at most.
const KEYS_MAX: usize = 4;
/// Length of a big value.
const BIG_BYTES: usize = 64 << 10;
/// A time that no run reaches, milliseconds since the epoch.
const FUTURE_MS: u64 = 9_000_000_000_000;

/// Makes commands up.
pub struct Author {
    prng: Prng,
    subject: Subject,
    weight: u64,
    written: u64,
    /// Wall clock, milliseconds since the epoch.
    pub now_ms: u64,
}

impl Author {
    /// An author on this subject.
    #[must_use]
    pub fn new(prng: Prng, subject: Subject) -> Self {
        let weight = subject.verbs.iter().map(|(_, weight)| weight).sum();
        Self {
            prng,
            subject,
            weight,
            written: 0,
            now_ms: 0,
        }
    }

    fn verb(&mut self) -> Verb {
        let mut at = self.prng.below(self.weight);
        for (verb, weight) in &self.subject.verbs {
            if at < *weight {
                return *verb;
            }
            at -= weight;
        }
        Verb::Get
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.prng.below(n) == 0
    }

    /// A value that was never used before.
    fn value(&mut self, client: usize) -> Word {
        self.written += 1;
        let number = self.written;
        if self.one_in(3) {
            Word::from((number * 10 + client as u64).to_string())
        } else {
            Word::from(format!("c{client}v{number}"))
        }
    }

    /// A value of many KiB that was never used before.
    fn big_value(&mut self, client: usize) -> Word {
        let mut bytes = self.value(client).to_vec();
        let length = if self.one_in(4) {
            BIG_BYTES / 8
        } else {
            BIG_BYTES
        };
        bytes.resize(length, b'a' + client as u8);
        Word::new(&bytes)
    }

    /// Whether clients want to know what the server calls them.
    #[must_use]
    pub fn is_curious(&self) -> bool {
        self.subject
            .verbs
            .iter()
            .any(|(verb, _)| *verb == Verb::Unblock)
    }

    /// A key of a collection, now and then of any type.
    fn of(&mut self, keys: fn(&Subject) -> &[Word]) -> Word {
        if !self.subject.is_careful && self.one_in(25) {
            return self.mortal_key();
        }
        let count = keys(&self.subject).len();
        let place = self.prng.index(count);
        keys(&self.subject)[place].clone()
    }

    fn list(&mut self) -> Word {
        self.of(|subject| &subject.lists)
    }

    /// One or two lists. Where the judge is strict they are on one shard: two shards may notice two changes in either order.
    fn lists_to_wait_for(&mut self, count: usize) -> Vec<Word> {
        if count == 1 {
            return vec![self.list()];
        }
        if !self.subject.is_strict {
            return vec![self.list(), self.list()];
        }
        let (a, b) = self.subject.near[self.prng.index(self.subject.near.len())].clone();
        vec![a, b]
    }

    fn set_key(&mut self) -> Word {
        self.of(|subject| &subject.sets)
    }

    fn zset(&mut self) -> Word {
        self.of(|subject| &subject.zsets)
    }

    /// One of a few members.
    fn member(&mut self) -> Word {
        Word::from(["1", "2", "3", "x", "y"][self.prng.index(5)])
    }

    fn side(&mut self) -> Word {
        Word::from(["LEFT", "RIGHT"][self.prng.index(2)])
    }

    fn timeout(&mut self) -> Word {
        Word::from(["0", "0", "0", "0.001", "0.02", "1"][self.prng.index(6)])
    }

    /// Commands about transactions, waiting and messages.
    fn about_others(&mut self, verb: Verb, client: usize, history: &History) -> Vec<Word> {
        let count = 1 + self.prng.index(2);
        match verb {
            Verb::Watch => self.keys(),
            Verb::Publish => {
                let channels = &self.subject.channels;
                let channel = channels[self.prng.index(channels.len())].clone();
                vec![channel, self.value(client)]
            }
            Verb::Unblock => {
                let ids: Vec<i64> = history
                    .connections
                    .iter()
                    .filter_map(|conn| conn.id)
                    .collect();
                let id = match ids.as_slice() {
                    [] => 0,
                    ids => ids[self.prng.index(ids.len())],
                };
                let how = ["TIMEOUT", "ERROR"][self.prng.index(2)];
                vec![
                    Word::from("UNBLOCK"),
                    Word::from(id.to_string()),
                    Word::from(how),
                ]
            }
            Verb::Blpop | Verb::Brpop => {
                let mut args = self.lists_to_wait_for(count);
                args.push(self.timeout());
                args
            }
            Verb::BzpopMin => vec![self.zset(), self.timeout()],
            Verb::Blmpop => {
                let lists = self.lists_to_wait_for(count);
                let mut args = vec![self.timeout(), Word::from(count.to_string())];
                args.extend(lists);
                args.push(self.side());
                args
            }
            Verb::Blmove => {
                let pairs = &self.subject.near;
                let (from, to) = pairs[self.prng.index(pairs.len())].clone();
                vec![from, to, self.side(), self.side(), self.timeout()]
            }
            _ => Vec::new(),
        }
    }

    fn about_collections(&mut self, verb: Verb, client: usize) -> Vec<Word> {
        let count = 1 + self.prng.index(3);
        match verb {
            Verb::LPush | Verb::RPush => {
                let list = self.list();
                let elements = (0..count).map(|_| self.value(client));
                std::iter::once(list).chain(elements).collect()
            }
            Verb::LPop | Verb::RPop | Verb::LLen => vec![self.list()],
            Verb::LRange => vec![self.list(), Word::from("0"), Word::from("-1")],
            Verb::LMove => vec![self.list(), self.list(), self.side(), self.side()],
            Verb::SAdd | Verb::SRem => {
                let set = self.set_key();
                let members = (0..count).map(|_| self.member());
                std::iter::once(set).chain(members).collect()
            }
            Verb::SMembers | Verb::SCard => vec![self.set_key()],
            Verb::SMove => vec![self.set_key(), self.set_key(), self.member()],
            Verb::SInterStore | Verb::SUnionStore => (0..=count).map(|_| self.set_key()).collect(),
            Verb::ZAdd => {
                let score = Word::from(self.prng.below(9).to_string());
                vec![self.zset(), score, self.member()]
            }
            Verb::ZRange => {
                let words = ["0", "-1", "WITHSCORES"].map(Word::from);
                std::iter::once(self.zset()).chain(words).collect()
            }
            Verb::ZUnionStore => {
                let (to, a) = (self.zset(), self.zset());
                let b = if self.one_in(2) {
                    self.set_key()
                } else {
                    self.zset()
                };
                vec![to, Word::from("2"), a, b]
            }
            Verb::Sort => {
                let from = match self.prng.index(3) {
                    0 => self.list(),
                    1 => self.set_key(),
                    _ => self.zset(),
                };
                vec![from, Word::from("ALPHA"), Word::from("STORE"), self.list()]
            }
            _ => {
                let how = Word::from(["OR", "XOR"][self.prng.index(2)]);
                vec![how, self.key(), self.key(), self.key()]
            }
        }
    }

    /// A command of a client that has said MULTI.
    pub fn queued(&mut self, client: usize, history: &History) -> Command {
        let verb = match self.prng.index(100) {
            0..40 => Verb::Exec,
            40..44 => Verb::Discard,
            44..46 => Verb::Nonsense,
            46..48 => Verb::Multi,
            48 => Verb::Watch,
            _ => {
                let command = self.command(client, history);
                let is_odd = match command.verb {
                    Verb::Select | Verb::Scan | Verb::Unblock | Verb::Unwatch | Verb::Identity => {
                        true
                    }
                    Verb::PexpireAt | Verb::Set => self.subject.near_ms > 0,
                    _ => false,
                };
                return if is_odd { self.read(client) } else { command };
            }
        };
        let args = self.about_others(verb, client, history);
        Command::new(verb, args)
    }

    /// Commands that give something to whoever waits for this key.
    pub fn help(&mut self, verb: Verb, key: &Word, client: usize) -> Vec<Command> {
        if verb == Verb::BzpopMin {
            let score = Word::from("7");
            let args = vec![key.clone(), score, self.member()];
            return vec![Command::new(Verb::ZAdd, args)];
        }
        if verb.reads_streams() {
            let words = ["1-*", "f"].map(Word::from);
            let args = std::iter::once(key.clone()).chain(words);
            let args = args.chain([self.value(client)]).collect();
            return vec![Command::new(Verb::XAdd, args)];
        }
        // Now and then by way of another list, under a lock.
        let first = match self.subject.lists.is_empty() || self.one_in(2) {
            true => key.clone(),
            false => self.list(),
        };
        let mut help = vec![Command::new(
            Verb::RPush,
            vec![first.clone(), self.value(client)],
        )];
        if first != *key {
            let args = vec![first, key.clone(), Word::from("RIGHT"), Word::from("RIGHT")];
            help.push(Command::new(Verb::LMove, args));
        }
        help
    }

    fn key(&mut self) -> Word {
        // Any type where one type is as good as another.
        if !self.subject.is_careful && !self.subject.lists.is_empty() && self.one_in(30) {
            return match self.prng.index(3) {
                0 => self.list(),
                1 => self.set_key(),
                _ => self.zset(),
            };
        }
        let keys = &self.subject.keys;
        keys[self.prng.index(keys.len())].clone()
    }

    /// A key that may go.
    fn mortal_key(&mut self) -> Word {
        let mortal = &self.subject.keys[self.subject.anchors..];
        mortal[self.prng.index(mortal.len())].clone()
    }

    /// A key that may go, or one of a collection.
    fn movable_key(&mut self) -> Word {
        if self.subject.lists.is_empty() || !self.one_in(3) {
            return self.mortal_key();
        }
        match self.prng.index(3) {
            0 | 1 => self.list(),
            _ => self.zset(),
        }
    }

    fn keys(&mut self) -> Vec<Word> {
        let count = 1 + self.prng.index(KEYS_MAX);
        (0..count).map(|_| self.key()).collect()
    }

    fn pairs(&mut self, client: usize) -> Vec<Word> {
        let keys = self.keys();
        let pair = |key: Word| [key, self.value(client)];
        keys.into_iter().flat_map(pair).collect()
    }

    fn database(&mut self) -> Word {
        Word::from(self.database_number().to_string())
    }

    fn database_number(&mut self) -> usize {
        let databases = &self.subject.databases;
        databases[self.prng.index(databases.len())]
    }

    /// The next command of this client.
    pub fn command(&mut self, client: usize, history: &History) -> Command {
        let verb = self.verb();
        if !self.subject.big_keys.is_empty() && self.one_in(2) {
            return self.big_command(client);
        }
        self.about(verb, client, history)
    }

    /// A command of this verb.
    fn about(&mut self, verb: Verb, client: usize, history: &History) -> Command {
        let args = match verb {
            Verb::Eval => self.script(client, history),
            Verb::Echo => vec![self.value(client)],
            Verb::Select => vec![self.database()],
            Verb::DbSize | Verb::RandomKey | Verb::FlushAll | Verb::FlushDb => Vec::new(),
            Verb::Keys => vec![self.pattern()],
            Verb::Scan => vec![Word::from("0")],
            Verb::SwapDb => vec![self.database(), self.database()],

            Verb::Get | Verb::StrLen | Verb::Incr | Verb::PexpireTime | Verb::Persist => {
                vec![self.key()]
            }
            Verb::GetDel => vec![self.mortal_key()],
            Verb::GetRange => vec![self.key(), Word::from("1"), Word::from("3")],
            Verb::IncrBy => vec![self.key(), Word::from("1000000")],
            Verb::Set => self.set(client),
            Verb::SetNx | Verb::GetSet | Verb::Append => vec![self.key(), self.value(client)],
            Verb::SetRange => vec![self.key(), Word::from("2"), self.value(client)],
            Verb::PexpireAt if self.one_in(3) => vec![self.mortal_key(), Word::from("1")],
            Verb::PexpireAt => vec![self.key(), self.moment()],

            Verb::Mget | Verb::Exists | Verb::Touch => self.keys(),
            Verb::Del | Verb::Unlink => {
                let count = 1 + self.prng.index(KEYS_MAX);
                let mut keys: Vec<Word> = (0..count).map(|_| self.mortal_key()).collect();
                if !self.subject.streams.is_empty() && self.one_in(6) {
                    let place = self.prng.index(self.subject.streams.len());
                    keys.push(self.subject.streams[place].clone());
                }
                keys
            }
            Verb::Mset | Verb::MsetNx => self.pairs(client),
            Verb::Rename | Verb::RenameNx => vec![self.mortal_key(), self.key()],
            Verb::Copy => self.copy(),
            Verb::Move => vec![self.movable_key(), self.database()],
            Verb::Lcs => vec![self.key(), self.key(), Word::from("LEN")],
            verb if verb.is_about_hashes() || verb.is_about_streams() => {
                self.about_fields(verb, client)
            }
            verb if verb.blocks() => self.about_others(verb, client, history),
            verb if verb.is_about_collections() => self.about_collections(verb, client),
            verb => self.about_others(verb, client, history),
        };
        Command::new(verb, args)
    }

    /// The arguments of a script. It declares the first key of some of its commands.
    fn script(&mut self, client: usize, history: &History) -> Vec<Word> {
        let verbs = self.subject.verbs.iter().map(|(verb, _)| *verb);
        let verbs: Vec<Verb> = verbs.filter(|verb| CALLED.contains(verb)).collect();
        let called: Vec<Command> = (0..1 + self.prng.index(4))
            .map(|_| match verbs[self.prng.index(verbs.len())] {
                // Without a time, which nobody would hear of.
                Verb::Set => Command::new(Verb::Set, vec![self.key(), self.value(client)]),
                verb => self.about(verb, client, history),
            })
            .collect();
        let (declares, is_slow) = (self.prng.index(3), self.one_in(4));
        let mut declared: Vec<Word> = Vec::new();
        for key in called.iter().filter_map(|command| command.args.first()) {
            let is_wanted = declares == 0 || declares == 1 && self.one_in(2);
            if is_wanted && !declared.contains(key) {
                declared.push(key.clone());
            }
        }
        request(if is_slow { SLOW_CODE } else { CODE }, &declared, &called)
    }

    /// A moment in the future: near, or never the same.
    fn moment(&mut self) -> Word {
        if self.subject.near_ms > 0 && !self.one_in(4) {
            let at = self.now_ms + self.prng.below(self.subject.near_ms);
            return Word::from(at.to_string());
        }
        self.written += 1;
        Word::from((FUTURE_MS + self.written).to_string())
    }

    fn pattern(&mut self) -> Word {
        match self.prng.index(4) {
            0 => self.key(),
            1 => Word::from("{*"),
            _ => Word::from("*"),
        }
    }

    fn set(&mut self, client: usize) -> Vec<Word> {
        let mut args = vec![self.key(), self.value(client)];
        if self.one_in(6) {
            args.push(Word::from(["NX", "XX"][self.prng.index(2)]));
        }
        if self.one_in(6) {
            args.push(Word::from("GET"));
        }
        let has_times = self
            .subject
            .verbs
            .iter()
            .any(|(verb, _)| *verb == Verb::PexpireAt);
        if has_times && self.one_in(3) {
            if self.one_in(2) {
                args.push(Word::from("KEEPTTL"));
            } else {
                args.extend([Word::from("PXAT"), self.moment()]);
            }
        }
        args
    }

    fn copy(&mut self) -> Vec<Word> {
        let mut args = vec![self.key(), self.key()];
        if !self.subject.lists.is_empty() && self.one_in(3) {
            args = vec![self.list(), self.list()];
        }
        if self.one_in(3) {
            args.extend([Word::from("DB"), self.database()]);
        }
        if self.one_in(2) {
            args.push(Word::from("REPLACE"));
        }
        args
    }

    /// A command that reads one key or a few.
    pub fn read(&mut self, client: usize) -> Command {
        if !self.subject.lists.is_empty() && self.one_in(3) {
            let verb = [Verb::LRange, Verb::SMembers, Verb::ZRange][self.prng.index(3)];
            return Command::new(verb, self.about_collections(verb, client));
        }
        if !self.subject.hashes.is_empty() && self.one_in(4) {
            return Command::new(Verb::HGetAll, self.about_fields(Verb::HGetAll, client));
        }
        match self.prng.index(8) {
            0 => Command::new(Verb::Echo, vec![self.value(client)]),
            1 => Command::new(Verb::Mget, self.keys()),
            _ => Command::new(Verb::Get, vec![self.key()]),
        }
    }

    /// A command about big values.
    fn big_command(&mut self, client: usize) -> Command {
        let keys = self.subject.big_keys.clone();
        let mut key = || keys[self.prng.index(keys.len())].clone();
        let (a, b) = (key(), key());
        match self.prng.index(8) {
            0 | 1 => Command::new(Verb::Set, vec![a, self.big_value(client)]),
            2 => Command::new(Verb::Rename, vec![a, b]),
            3 => Command::new(Verb::Copy, vec![a, b, Word::from("REPLACE")]),
            4 => Command::new(Verb::SetRange, vec![a, Word::from("9"), self.value(client)]),
            5 => Command::new(Verb::Mget, vec![a, b]),
            _ => Command::new(Verb::Get, vec![a]),
        }
    }

    /// A command of a flood: small and with a small reply, or a big reply where there are big values.
    pub fn flood_command(&mut self, client: usize) -> Command {
        match self.subject.big_keys.first().cloned() {
            Some(key) => Command::new(Verb::Get, vec![key]),
            None if self.one_in(8) => {
                let (key, value) = (self.key(), self.value(client));
                Command::new(Verb::Set, vec![key, value])
            }
            None => Command::new(Verb::Get, vec![self.key()]),
        }
    }

    /// One command that sets all keys.
    pub fn prefill(&mut self, client: usize) -> Command {
        let mut pairs = Vec::new();
        for key in self.subject.keys.clone() {
            pairs.extend([key, self.value(client)]);
        }
        for key in self.subject.big_keys.clone() {
            pairs.extend([key, self.big_value(client)]);
        }
        Command::new(Verb::Mset, pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::model::Model;
    use crate::simulator::plan::Plan;

    #[test]
    fn whatever_it_writes_the_oracle_understands() {
        for seed in 0..40 {
            let plan = Plan::from_seed(seed);
            let mut author = Author::new(Prng::new(seed), plan.subject);
            let (mut model, history) = (Model::default(), History::default());
            model.apply(0, &author.prefill(0));
            for _ in 0..300 {
                let command = author.command(1, &history);
                let answer = model.apply(0, &command).to_string();
                let expected = [
                    "-ERR no such key",
                    "-ERR source",
                    "-ERR value is not",
                    "-ERR The specified keys",
                    "-ERR The XGROUP subcommand",
                    "-ERR hash value is not",
                    "-BUSYGROUP",
                    "-NOGROUP",
                    "-WRONGTYPE",
                ];
                let is_fine = !answer.starts_with('-')
                    || expected.iter().any(|text| answer.starts_with(text));
                assert!(is_fine, "{command}: {answer}");
            }
        }
    }
}
