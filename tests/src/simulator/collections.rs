//! The oracle's part about lists, sets, sorted sets and bits: what each command does and answers, one at a time. Hashes are in `hashes`, streams in `reading`.
//!
//! Written from the documentation like the rest of the oracle. Scores are whole numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::command::{Command, Verb};
use super::model::{Entry, Model};
use super::reply::{Answer, Reply};
use super::value::{Type, Value};
use super::word::Word;

fn integer(number: usize) -> Reply {
    Reply::Integer(number as i64)
}

fn bulks(words: impl IntoIterator<Item = Word>) -> Reply {
    Reply::Array(words.into_iter().map(Reply::Bulk).collect())
}

impl Model {
    /// Carries out a command about collections.
    pub(super) fn apply_to_collections(&mut self, db: usize, command: &Command) -> Answer {
        let args = command.args.as_slice();
        if self.has_other_type(db, command) {
            return Answer::Only(Reply::wrong_type());
        }
        if command.verb.blocks() {
            // Where it may not wait, it replies as if its time had run out.
            let found = self.try_blocking(db, command);
            return found.unwrap_or(Answer::Only(Reply::Null));
        }
        if command.verb.is_about_hashes() {
            return self.apply_to_hashes(db, command);
        }
        if command.verb.is_about_streams() {
            return self.apply_to_streams(db, command);
        }
        Answer::Only(match command.verb {
            Verb::LPush => self.push(db, args, true),
            Verb::RPush => self.push(db, args, false),
            Verb::LPop => Reply::value(self.pop(db, &args[0], true).as_ref()),
            Verb::RPop => Reply::value(self.pop(db, &args[0], false).as_ref()),
            Verb::LLen | Verb::SCard => integer(self.count_of(db, &args[0])),
            Verb::LRange => bulks(self.elements(db, &args[0])),
            Verb::LMove => self.shift(db, args),
            Verb::SAdd => self.add_members(db, args),
            Verb::SRem => self.remove_members(db, args),
            Verb::SMembers => return Answer::AnyOrder(self.elements(db, &args[0])),
            Verb::SMove => self.move_member(db, args),
            Verb::SInterStore | Verb::SUnionStore => self.store_algebra(db, command),
            Verb::ZAdd => self.add_scored(db, args),
            Verb::ZRange => self.ranked(db, &args[0]),
            Verb::ZUnionStore => self.store_scored(db, args),
            Verb::Sort => self.store_sorted(db, args),
            _ => self.combine_bits(db, args),
        })
    }

    fn type_of(&self, db: usize, key: &Word) -> Option<Type> {
        self.get(db, key).map(|entry| entry.value.kind())
    }

    /// Whether a command looks at a key of another type.
    pub(super) fn has_other_type(&self, db: usize, command: &Command) -> bool {
        let args = command.args.as_slice();
        let is_no = |key: &Word, fine: &[Type]| {
            let kind = self.type_of(db, key);
            kind.is_some_and(|kind| !fine.contains(&kind))
        };
        match command.verb {
            Verb::LPush | Verb::RPush | Verb::LPop | Verb::RPop | Verb::LLen | Verb::LRange => {
                is_no(&args[0], &[Type::List])
            }
            // The second key plays no role if the first is not there.
            Verb::LMove | Verb::Blmove => {
                self.get(db, &args[0]).is_some()
                    && args[..2].iter().any(|key| is_no(key, &[Type::List]))
            }
            Verb::SAdd | Verb::SRem | Verb::SCard | Verb::SMembers => is_no(&args[0], &[Type::Set]),
            Verb::SMove => {
                self.get(db, &args[0]).is_some()
                    && args[..2].iter().any(|key| is_no(key, &[Type::Set]))
            }
            Verb::SInterStore | Verb::SUnionStore => {
                args[1..].iter().any(|key| is_no(key, &[Type::Set]))
            }
            Verb::ZAdd | Verb::ZRange => is_no(&args[0], &[Type::Zset]),
            Verb::ZUnionStore => args[2..]
                .iter()
                .any(|key| is_no(key, &[Type::Set, Type::Zset])),
            Verb::Sort => is_no(&args[0], &[Type::List, Type::Set, Type::Zset]),
            Verb::XGroup => is_no(&args[1], &[Type::Stream]),
            // A read says itself what is wrong with the first of its keys.
            verb if verb.reads_streams() => false,
            verb if verb.is_about_hashes() => is_no(&args[0], &[Type::Hash]),
            verb if verb.is_about_streams() => is_no(&args[0], &[Type::Stream]),
            Verb::BitOp => args[2..].iter().any(|key| is_no(key, &[Type::Text])),
            _ => false,
        }
    }

    fn elements(&self, db: usize, key: &Word) -> Vec<Word> {
        let entry = self.get(db, key);
        entry
            .map(|entry| entry.value.elements())
            .unwrap_or_default()
    }

    fn count_of(&self, db: usize, key: &Word) -> usize {
        self.elements(db, key).len()
    }

    // ---- lists -----------------------------------------------------------------------------

    fn push(&mut self, db: usize, args: &[Word], is_left: bool) -> Reply {
        let mut elements = self.elements(db, &args[0]);
        for element in &args[1..] {
            let place = if is_left { 0 } else { elements.len() };
            elements.insert(place, element.clone());
        }
        let count = elements.len();
        self.store(db, &args[0], Value::List(Rc::new(elements)));
        integer(count)
    }

    /// Takes the element at one end of a list.
    pub(super) fn pop(&mut self, db: usize, key: &Word, is_left: bool) -> Option<Word> {
        let mut elements = self.elements(db, key);
        let element = if is_left && !elements.is_empty() {
            Some(elements.remove(0))
        } else {
            elements.pop()
        }?;
        self.store(db, key, Value::List(Rc::new(elements)));
        Some(element)
    }

    /// LMOVE.
    pub(super) fn shift(&mut self, db: usize, args: &[Word]) -> Reply {
        let is_left = |place: usize| *args[place] == *b"LEFT";
        let Some(element) = self.pop(db, &args[0], is_left(2)) else {
            return Reply::Null;
        };
        self.push(db, &[args[1].clone(), element.clone()], is_left(3));
        Reply::Bulk(element)
    }

    // ---- sets ------------------------------------------------------------------------------

    fn members(&self, db: usize, key: &Word) -> BTreeSet<Word> {
        self.elements(db, key).into_iter().collect()
    }

    /// Stores members if there are other ones than before. Returns how many.
    fn change_members(&mut self, db: usize, key: &Word, members: BTreeSet<Word>) -> usize {
        let before = self.count_of(db, key);
        let changed = before.abs_diff(members.len());
        if changed > 0 {
            self.store(db, key, Value::Set(Rc::new(members)));
        }
        changed
    }

    fn add_members(&mut self, db: usize, args: &[Word]) -> Reply {
        let mut members = self.members(db, &args[0]);
        members.extend(args[1..].iter().cloned());
        integer(self.change_members(db, &args[0], members))
    }

    fn remove_members(&mut self, db: usize, args: &[Word]) -> Reply {
        let mut members = self.members(db, &args[0]);
        members.retain(|member| !args[1..].contains(member));
        integer(self.change_members(db, &args[0], members))
    }

    fn move_member(&mut self, db: usize, args: &[Word]) -> Reply {
        let [from, to, member] = args else {
            return Reply::Null;
        };
        if !self.members(db, from).contains(member) {
            return Reply::Integer(0);
        }
        if from != to {
            self.remove_members(db, &[from.clone(), member.clone()]);
            self.add_members(db, &[to.clone(), member.clone()]);
        }
        Reply::Integer(1)
    }

    /// Puts a result in place of whatever is there, or takes that away.
    fn replace(&mut self, db: usize, key: &Word, value: Value) {
        if value.is_empty() {
            self.take(db, key);
        } else {
            self.put(db, key, Entry::of(value));
        }
    }

    fn store_algebra(&mut self, db: usize, command: &Command) -> Reply {
        let (to, from) = (&command.args[0], &command.args[1..]);
        let mut sets = from.iter().map(|key| self.members(db, key));
        let first = sets.next().unwrap_or_default();
        let result = if command.verb == Verb::SInterStore {
            sets.fold(first, |all, set| &all & &set)
        } else {
            sets.fold(first, |all, set| &all | &set)
        };
        let count = result.len();
        self.replace(db, to, Value::Set(Rc::new(result)));
        integer(count)
    }

    // ---- sorted sets -------------------------------------------------------------------------

    fn scores(&self, db: usize, key: &Word) -> BTreeMap<Word, i64> {
        let entry = self.get(db, key);
        let scored = entry.map(|entry| entry.value.scored());
        scored.unwrap_or_default().into_iter().collect()
    }

    fn add_scored(&mut self, db: usize, args: &[Word]) -> Reply {
        let before = self.scores(db, &args[0]);
        let mut scores = before.clone();
        for pair in args[1..].chunks_exact(2) {
            let score = pair[0].integer().unwrap_or_default();
            scores.insert(pair[1].clone(), score);
        }
        let added = scores.len() - before.len();
        if scores != before {
            self.store(db, &args[0], Value::Zset(Rc::new(scores)));
        }
        integer(added)
    }

    /// ZRANGE 0 -1 WITHSCORES.
    fn ranked(&self, db: usize, key: &Word) -> Reply {
        let scores = self.scores(db, key);
        let mut ranked: Vec<(i64, Word)> = scores
            .into_iter()
            .map(|(member, score)| (score, member))
            .collect();
        ranked.sort_unstable();
        let pair = |(score, member): (i64, Word)| [member, Word::from(score.to_string())];
        bulks(ranked.into_iter().flat_map(pair))
    }

    fn store_scored(&mut self, db: usize, args: &[Word]) -> Reply {
        let mut sums: BTreeMap<Word, i64> = BTreeMap::new();
        for key in &args[2..] {
            for (member, score) in self.scores(db, key) {
                *sums.entry(member).or_default() += score;
            }
        }
        let count = sums.len();
        self.replace(db, &args[0], Value::Zset(Rc::new(sums)));
        integer(count)
    }

    // ---- others ------------------------------------------------------------------------------

    /// SORT key ALPHA STORE to.
    fn store_sorted(&mut self, db: usize, args: &[Word]) -> Reply {
        let mut elements = self.elements(db, &args[0]);
        elements.sort_unstable();
        let count = elements.len();
        self.replace(db, &args[3], Value::List(Rc::new(elements)));
        integer(count)
    }

    /// BITOP OR and XOR.
    fn combine_bits(&mut self, db: usize, args: &[Word]) -> Reply {
        let texts = args[2..].iter().filter_map(|key| self.text(db, key));
        let mut bytes: Vec<u8> = Vec::new();
        for text in texts {
            bytes.resize(bytes.len().max(text.len()), 0);
            for (byte, other) in bytes.iter_mut().zip(text.iter()) {
                if *args[0] == *b"OR" {
                    *byte |= other;
                } else {
                    *byte ^= other;
                }
            }
        }
        let count = bytes.len();
        if count == 0 {
            self.take(db, &args[1]);
        } else {
            self.put(db, &args[1], Entry::new(Word::new(&bytes)));
        }
        integer(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_commands_do() {
        let mut model = Model::default();
        for (line, expected) in [
            ("RPUSH l a b c", ":3"),
            ("LPUSH l x y", ":5"),
            ("LRANGE l 0 -1", "[\"y\", \"x\", \"a\", \"b\", \"c\"]"),
            ("LMOVE l m LEFT RIGHT", "\"y\""),
            ("LMOVE l l RIGHT LEFT", "\"c\""),
            ("LMOVE none l LEFT LEFT", "null"),
            ("RPOP l", "\"b\""),
            ("LPOP m", "\"y\""),
            ("EXISTS m", ":0"),
            ("BLPOP none l 0", "[\"l\", \"c\"]"),
            ("BLPOP none 0", "null"),
            ("LLEN l", ":2"),
            ("SADD s 1 2 3", ":3"),
            ("SADD t 2 3 3 4", ":3"),
            ("SMOVE s t 1", ":1"),
            ("SMOVE s t 1", ":0"),
            ("SINTERSTORE u s t", ":2"),
            ("SUNIONSTORE v s t none", ":4"),
            ("SMEMBERS u", "{2, 3}"),
            ("SREM u 2 3 4", ":2"),
            ("SCARD u", ":0"),
            ("ZADD z 2 a 1 b", ":2"),
            ("ZADD z 5 a", ":0"),
            ("ZRANGE z 0 -1 WITHSCORES", "[\"b\", \"1\", \"a\", \"5\"]"),
            ("ZUNIONSTORE w 2 z s", ":4"),
            ("BZPOPMIN none w 0", "[\"w\", \"2\", \"1\"]"),
            ("SORT v ALPHA STORE sorted", ":4"),
            ("LPOP sorted", "\"1\""),
            ("SET text ab", "+OK"),
            ("BITOP XOR bits text text none", ":2"),
            ("GET bits", "\"\\x00\\x00\""),
            ("BITOP OR bits none", ":0"),
            ("EXISTS bits", ":0"),
        ] {
            assert_eq!(
                model.apply(0, &Command::parse(line)).to_string(),
                expected,
                "{line}"
            );
        }
        for line in [
            "GET l",
            "INCR s",
            "RPUSH text 1",
            "SMOVE s l 2",
            "BITOP OR x l",
            "BLPOP text l 0",
        ] {
            assert_eq!(
                model.apply(0, &Command::parse(line)),
                Answer::Only(Reply::wrong_type()),
                "{line}"
            );
        }
    }
}
