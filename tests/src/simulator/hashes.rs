//! The oracle's part about hashes.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::command::{Command, Verb};
use super::model::Model;
use super::reply::{Answer, Reply};
use super::value::Value;
use super::word::Word;

impl Model {
    /// Carries a command about hashes out; its key holds nothing else.
    pub(super) fn apply_to_hashes(&mut self, db: usize, command: &Command) -> Answer {
        let (key, words) = (&command.args[0], &command.args[1..]);
        let mut fields = self.fields(db, key);
        let before = fields.len();
        Answer::Only(match command.verb {
            Verb::HGet => Reply::value(fields.get(&words[0])),
            Verb::HGetAll => return Answer::Pairs(fields.into_iter().collect()),
            Verb::HLen => Reply::Integer(before as i64),
            Verb::HSet => {
                let pairs = words.chunks_exact(2);
                fields.extend(pairs.map(|pair| (pair[0].clone(), pair[1].clone())));
                let added = fields.len() - before;
                self.store(db, key, Value::Hash(Rc::new(fields)));
                Reply::Integer(added as i64)
            }
            Verb::HDel => {
                words.iter().for_each(|field| _ = fields.remove(field));
                let removed = before - fields.len();
                if removed > 0 {
                    self.store(db, key, Value::Hash(Rc::new(fields)));
                }
                Reply::Integer(removed as i64)
            }
            _ => self.add_to_field(db, command, fields),
        })
    }

    fn fields(&self, db: usize, key: &Word) -> BTreeMap<Word, Word> {
        match self.get(db, key).map(|entry| &entry.value) {
            Some(Value::Hash(fields)) => BTreeMap::clone(fields),
            _ => BTreeMap::new(),
        }
    }

    /// HINCRBY. The clients' numbers are far from the ends.
    fn add_to_field(
        &mut self,
        db: usize,
        command: &Command,
        mut fields: BTreeMap<Word, Word>,
    ) -> Reply {
        let (key, field) = (&command.args[0], &command.args[1]);
        let old = fields.get(field).map_or(Some(0), Word::integer);
        let (Some(old), Some(by)) = (old, command.integer(2)) else {
            return Reply::error("ERR hash value is not an integer");
        };
        let sum = old + by;
        fields.insert(field.clone(), Word::from(sum.to_string()));
        self.store(db, key, Value::Hash(Rc::new(fields)));
        Reply::Integer(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut model = Model::default();
        for (line, expected) in [
            ("HSET h a 1 b x", ":2"),
            ("HSET h a 2 c y", ":1"),
            ("HGET h a", "\"2\""),
            ("HGET h z", "null"),
            ("HINCRBY h a 40", ":42"),
            ("HINCRBY h b 1", "-ERR hash value is not an integer"),
            ("HINCRBY h n -3", ":-3"),
            ("HGETALL h", "{a=42, b=x, c=y, n=-3}"),
            ("HDEL h a b z", ":2"),
            ("HLEN h", ":2"),
            ("HDEL h c n", ":2"),
            ("EXISTS h", ":0"),
            ("SET t 1", "+OK"),
        ] {
            let answer = model.apply(0, &Command::parse(line)).to_string();
            assert_eq!(answer, expected, "{line}");
        }
        let answer = model.apply(0, &Command::parse("HSET t a 1"));
        assert_eq!(answer, Answer::Only(Reply::wrong_type()));
    }
}
