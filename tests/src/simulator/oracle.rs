//! The oracle: what each command does to the keyspace and what it answers, one command at a time.
//!
//! Written from Redis's documentation of the commands and kept apart from the server: it shares no
//! code with it. Collections are in `collections`, commands that wait in `waiting`, WATCH in `watching`. Times are far in the future, or past, in
//! which case the key goes at once; one that is near comes as an operation of its own (`expiry`).

use super::command::{Command, Verb};
use super::model::{Entry, Model};
use super::reply::{Answer, Reply};
use super::value::{Type, Value};
use super::word::Word;

const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
const OVERFLOW: &str = "ERR increment or decrement would overflow";
const NO_KEY: &str = "ERR no such key";
const SAME_OBJECT: &str = "ERR source and destination objects are the same";
const SYNTAX: &str = "ERR syntax error";

/// Times up to this are past, in milliseconds since the epoch: a moment before any world begins.
pub const PAST_MS: i64 = 1_000_000_000_000;

fn integer(number: usize) -> Reply {
    Reply::Integer(number as i64)
}

impl Model {
    /// Carries a command out in database `db` and says what may be answered.
    pub fn apply(&mut self, db: usize, command: &Command) -> Answer {
        let args = command.args.as_slice();
        if self.has_wrong_type(db, command) {
            return Answer::Only(Reply::wrong_type());
        }
        if command.verb.is_about_collections() {
            return self.apply_to_collections(db, command);
        }
        Answer::Only(match command.verb {
            Verb::Keys => return Answer::AnyOrder(self.matching(db, &args[0])),
            Verb::RandomKey => return Answer::OneOf(self.database(db).keys().cloned().collect()),
            Verb::Scan => return Answer::SomeKeys,
            Verb::Eval => return self.run_script(db, args),
            Verb::Echo => Reply::Bulk(args[0].clone()),
            Verb::Select => Reply::ok(),

            Verb::Get => Reply::value(self.text(db, &args[0])),
            Verb::Mget => Reply::Array(self.values(db, args)),
            Verb::StrLen => integer(self.length(db, &args[0])),
            Verb::GetRange => self.get_range(db, command),
            Verb::Exists | Verb::Touch => integer(self.count(db, args)),
            Verb::PexpireTime => self.expire_time(db, &args[0]),
            Verb::DbSize => integer(self.database(db).len()),
            Verb::Lcs => self.common(db, command),

            Verb::Set => self.set(db, command),
            Verb::SetNx => self.set_new(db, args),
            Verb::GetSet => {
                let old = self.text(db, &args[0]).cloned();
                self.put(db, &args[0], Entry::new(args[1].clone()));
                Reply::value(old.as_ref())
            }
            Verb::GetDel => {
                let old = self.text(db, &args[0]).cloned();
                self.take(db, &args[0]);
                Reply::value(old.as_ref())
            }
            Verb::Append => self.append(db, args),
            Verb::SetRange => self.set_range(db, command),
            Verb::Incr => self.add(db, &args[0], Some(1)),
            Verb::IncrBy => self.add(db, &args[0], args[1].integer()),
            Verb::Mset => {
                self.set_all(db, args);
                Reply::ok()
            }
            Verb::MsetNx => self.set_new(db, args),
            Verb::Del | Verb::Unlink => {
                integer(args.iter().filter_map(|key| self.take(db, key)).count())
            }
            Verb::Persist => self.persist(db, &args[0]),
            Verb::PexpireAt => self.expire_at(db, &args[0], args[1].integer()),

            Verb::Rename => self.rename(db, args, true),
            Verb::RenameNx => self.rename(db, args, false),
            Verb::Copy => self.copy(db, command),
            Verb::Move => self.move_key(db, command),
            Verb::SwapDb => match (command.database(0), command.database(1)) {
                (Some(a), Some(b)) => {
                    self.swap(a, b);
                    Reply::ok()
                }
                _ => Reply::error("ERR invalid first DB index"),
            },
            Verb::Expire => {
                self.come_due(db, args);
                Reply::ok()
            }
            Verb::Publish => return Answer::SomeNumber,
            Verb::FlushDb => {
                self.clear(db);
                Reply::ok()
            }
            Verb::FlushAll => {
                (0..super::model::DATABASES).for_each(|db| self.clear(db));
                Reply::ok()
            }
            // The others are about connections: `stage`.
            _ => Reply::ok(),
        })
    }

    /// The string under a key.
    #[must_use]
    pub fn text(&self, db: usize, key: &[u8]) -> Option<&Word> {
        self.get(db, key)?.value.text()
    }

    /// Whether a command looks at a key of a type that is none of its.
    fn has_wrong_type(&self, db: usize, command: &Command) -> bool {
        let args = command.args.as_slice();
        let is_other = |key: &Word| {
            let kind = self.get(db, key).map(|entry| entry.value.kind());
            kind.is_some_and(|kind| kind != Type::Text)
        };
        match command.verb {
            Verb::Get
            | Verb::StrLen
            | Verb::GetRange
            | Verb::GetSet
            | Verb::GetDel
            | Verb::Append
            | Verb::SetRange
            | Verb::Incr
            | Verb::IncrBy => is_other(&args[0]),
            Verb::Set => command.has(2, "GET") && is_other(&args[0]),
            _ => false,
        }
    }

    /// A key whose time has come goes, if it still has that time.
    fn come_due(&mut self, db: usize, args: &[Word]) {
        let at = args[1].integer().and_then(|at| u64::try_from(at).ok());
        if self
            .get(db, &args[0])
            .is_some_and(|entry| entry.expire_ms == at)
        {
            self.take(db, &args[0]);
        }
    }

    // ---- reading ---------------------------------------------------------------------------

    /// The keys that match a pattern, in order: a literal, or a literal prefix and `*`.
    fn matching(&self, db: usize, pattern: &Word) -> Vec<Word> {
        let matches = |key: &&Word| match pattern.strip_suffix(b"*") {
            Some(prefix) => key.starts_with(prefix),
            None => **key == *pattern,
        };
        self.database(db).keys().filter(matches).cloned().collect()
    }

    fn values(&self, db: usize, keys: &[Word]) -> Vec<Reply> {
        let value = |key: &Word| Reply::value(self.text(db, key));
        keys.iter().map(value).collect()
    }

    fn count(&self, db: usize, keys: &[Word]) -> usize {
        keys.iter()
            .filter(|key| self.get(db, key).is_some())
            .count()
    }

    fn length(&self, db: usize, key: &Word) -> usize {
        self.text(db, key).map_or(0, |text| text.len())
    }

    /// GETRANGE with both places from the start.
    fn get_range(&self, db: usize, command: &Command) -> Reply {
        let (Some(first), Some(last)) = (command.database(1), command.database(2)) else {
            return Reply::error(NOT_INTEGER);
        };
        let Some(text) = self.text(db, &command.args[0]) else {
            return Reply::Bulk(Word::from(""));
        };
        let end = (last + 1).min(text.len());
        Reply::Bulk(Word::new(text.get(first..end).unwrap_or_default()))
    }

    fn expire_time(&self, db: usize, key: &Word) -> Reply {
        Reply::Integer(match self.get(db, key).map(|entry| entry.expire_ms) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => at as i64,
        })
    }

    /// LCS with LEN: the length of the longest common subsequence.
    fn common(&self, db: usize, command: &Command) -> Reply {
        if !command.has(2, "LEN") {
            return Reply::error(SYNTAX);
        }
        let is_other = |key: &Word| {
            let entry = self.get(db, key);
            entry.is_some_and(|entry| entry.value.kind() != Type::Text)
        };
        if command.args[..2].iter().any(is_other) {
            return Reply::error("ERR The specified keys must contain string values");
        }
        let value = |place: usize| self.text(db, &command.args[place]).map(|text| &**text);
        let (a, b) = (value(0).unwrap_or_default(), value(1).unwrap_or_default());
        let mut row = vec![0usize; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (place, y) in b.iter().enumerate() {
                let above = row[place + 1];
                let best = if x == y {
                    diagonal + 1
                } else {
                    above.max(row[place])
                };
                (row[place + 1], diagonal) = (best, above);
            }
        }
        integer(row[b.len()])
    }

    // ---- writing ---------------------------------------------------------------------------

    fn set(&mut self, db: usize, command: &Command) -> Reply {
        let (key, value) = (&command.args[0], &command.args[1]);
        let old = self.get(db, key).cloned();
        let wanted = match &old {
            Some(_) => !command.has(2, "NX"),
            None => !command.has(2, "XX"),
        };
        if wanted {
            let kept = old.as_ref().and_then(|entry| entry.expire_ms);
            let given = command.option(2, "PXAT").and_then(Word::integer);
            let expire_ms = match given {
                Some(at) => u64::try_from(at).ok(),
                None => kept.filter(|_| command.has(2, "KEEPTTL")),
            };
            let value = Value::Text(value.clone());
            self.put(db, key, Entry { value, expire_ms });
        }
        match (command.has(2, "GET"), wanted) {
            (true, _) => Reply::value(old.as_ref().and_then(|entry| entry.value.text())),
            (false, true) => Reply::ok(),
            (false, false) => Reply::Null,
        }
    }

    fn set_all(&mut self, db: usize, pairs: &[Word]) {
        for pair in pairs.chunks_exact(2) {
            self.put(db, &pair[0], Entry::new(pair[1].clone()));
        }
    }

    /// SETNX and MSETNX.
    fn set_new(&mut self, db: usize, pairs: &[Word]) -> Reply {
        let is_free = pairs
            .iter()
            .step_by(2)
            .all(|key| self.get(db, key).is_none());
        if is_free {
            self.set_all(db, pairs);
        }
        Reply::Integer(is_free.into())
    }

    /// Changes a value and leaves its time as it is.
    fn change(&mut self, db: usize, key: &Word, text: Word) {
        self.store(db, key, Value::Text(text));
    }

    /// Puts a value in place of an older state of it, whose time it keeps. A collection without elements goes.
    pub(super) fn store(&mut self, db: usize, key: &Word, value: Value) {
        if value.is_empty() {
            self.take(db, key);
            return;
        }
        let expire_ms = self.get(db, key).and_then(|entry| entry.expire_ms);
        self.put(db, key, Entry { value, expire_ms });
    }

    fn append(&mut self, db: usize, args: &[Word]) -> Reply {
        let old = self.text(db, &args[0]);
        let mut bytes = old.map(|text| text.to_vec()).unwrap_or_default();
        bytes.extend_from_slice(&args[1]);
        self.change(db, &args[0], Word::new(&bytes));
        integer(bytes.len())
    }

    fn set_range(&mut self, db: usize, command: &Command) -> Reply {
        let (key, patch) = (&command.args[0], &command.args[2]);
        let Some(offset) = command.database(1) else {
            return Reply::error("ERR offset is out of range");
        };
        if patch.is_empty() {
            return integer(self.length(db, key));
        }
        let old = self.text(db, key);
        let mut bytes = old.map(|text| text.to_vec()).unwrap_or_default();
        let end = offset + patch.len();
        bytes.resize(bytes.len().max(end), 0);
        bytes[offset..end].copy_from_slice(patch);
        self.change(db, key, Word::new(&bytes));
        integer(bytes.len())
    }

    fn add(&mut self, db: usize, key: &Word, by: Option<i64>) -> Reply {
        let Some(by) = by else {
            return Reply::error(NOT_INTEGER);
        };
        let old = match self.text(db, key) {
            None => 0,
            Some(text) => match text.integer() {
                Some(number) => number,
                None => return Reply::error(NOT_INTEGER),
            },
        };
        let Some(sum) = old.checked_add(by) else {
            return Reply::error(OVERFLOW);
        };
        self.change(db, key, Word::from(sum.to_string()));
        Reply::Integer(sum)
    }

    fn persist(&mut self, db: usize, key: &Word) -> Reply {
        let entry = self.get(db, key).filter(|entry| entry.expire_ms.is_some());
        let Some(value) = entry.map(|entry| entry.value.clone()) else {
            return Reply::Integer(0);
        };
        self.put(db, key, Entry::of(value));
        Reply::Integer(1)
    }

    fn expire_at(&mut self, db: usize, key: &Word, at: Option<i64>) -> Reply {
        let Some(at) = at else {
            return Reply::error(NOT_INTEGER);
        };
        let Some(entry) = self.get(db, key).cloned() else {
            return Reply::Integer(0);
        };
        match u64::try_from(at) {
            Ok(ms) if at > PAST_MS => {
                let value = entry.value;
                let expire_ms = Some(ms);
                self.put(db, key, Entry { value, expire_ms });
            }
            _ => drop(self.take(db, key)),
        }
        Reply::Integer(1)
    }

    // ---- two keys or databases ---------------------------------------------------------------

    fn rename(&mut self, db: usize, args: &[Word], overwrites: bool) -> Reply {
        let (from, to) = (&args[0], &args[1]);
        let Some(entry) = self.get(db, from).cloned() else {
            return Reply::error(NO_KEY);
        };
        if !overwrites && self.get(db, to).is_some() {
            return Reply::Integer(0);
        }
        if from != to {
            self.take(db, from);
            self.put(db, to, entry);
        }
        if overwrites {
            Reply::ok()
        } else {
            Reply::Integer(1)
        }
    }

    fn copy(&mut self, db: usize, command: &Command) -> Reply {
        let (from, to) = (&command.args[0], &command.args[1]);
        let named = command.option(2, "DB").and_then(Word::integer);
        let to_db = named.and_then(|db| usize::try_from(db).ok()).unwrap_or(db);
        if to_db == db && from == to {
            return Reply::error(SAME_OBJECT);
        }
        let entry = self.get(db, from).cloned();
        let is_free = command.has(2, "REPLACE") || self.get(to_db, to).is_none();
        match entry.filter(|_| is_free) {
            Some(entry) => {
                self.put(to_db, to, entry);
                Reply::Integer(1)
            }
            None => Reply::Integer(0),
        }
    }

    fn move_key(&mut self, db: usize, command: &Command) -> Reply {
        let key = &command.args[0];
        let to_db = match command.database(1) {
            Some(to_db) if to_db == db => return Reply::error(SAME_OBJECT),
            Some(to_db) => to_db,
            None => return Reply::error(NOT_INTEGER),
        };
        if self.get(to_db, key).is_some() {
            return Reply::Integer(0);
        }
        match self.take(db, key) {
            Some(entry) => {
                self.put(to_db, key, entry);
                Reply::Integer(1)
            }
            None => Reply::Integer(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script of `[db] command = answer` lines.
    fn script(lines: &str) -> Model {
        let mut model = Model::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (line, expected) = line.split_once(" = ").expect("a command and its answer");
            let (db, line) = match line.strip_prefix('[') {
                Some(rest) => rest.split_once("] ").expect("a database"),
                None => ("0", line),
            };
            let db = db.parse().expect("a database is a number");
            let answer = model.apply(db, &Command::parse(line)).to_string();
            assert_eq!(answer, expected, "{line}");
        }
        model
    }

    #[test]
    fn strings() {
        script(
            r#"
            GET a = null
            SET a 1 = +OK
            INCR a = :2
            INCRBY a 40 = :42
            APPEND a x = :3
            INCR a = -ERR value is not an integer or out of range
            SETRANGE a 5 yz = :7
            GET a = "42x\x00\x00yz"
            GETRANGE a 1 2 = "2x"
            GETRANGE a 6 99 = "z"
            GETRANGE a 7 99 = ""
            STRLEN a = :7
            GETSET a new = "42x\x00\x00yz"
            SET a other NX = null
            SET a other XX GET = "new"
            SETNX a again = :0
            SETNX b fresh = :1
            LCS a b LEN = :1
            GETDEL b = "fresh"
            GETDEL b = null
            MSET c 1 d 2 = +OK
            MSETNX d 3 e 3 = :0
            MSETNX e 3 f 3 = :1
            MGET c zz f = ["1", null, "3"]
            EXISTS c c zz = :2
            DEL c c d = :2
            ECHO hello = "hello"
            "#,
        );
    }

    #[test]
    fn names_times_and_databases() {
        let model = script(
            r#"
            RENAME a b = -ERR no such key
            SET a 1 = +OK
            PEXPIREAT a 9000000000000 = :1
            PEXPIRETIME a = :9000000000000
            RENAME a b = +OK
            PEXPIRETIME b = :9000000000000
            SET b 2 KEEPTTL = +OK
            COPY b c = :1
            COPY b c = :0
            COPY b c REPLACE = :1
            COPY b b = -ERR source and destination objects are the same
            COPY b b DB 3 = :1
            PERSIST c = :1
            PERSIST c = :0
            PEXPIREAT c 1 = :1
            PEXPIREAT c 1 = :0
            RENAMENX b b = :0
            [3] GET b = "2"
            [3] MOVE b 0 = :0
            [3] MOVE b 4 = :1
            [3] DBSIZE = :0
            SWAPDB 0 4 = +OK
            [4] PEXPIRETIME b = :9000000000000
            SET bb x = +OK
            KEYS b* = {b, bb}
            KEYS b = {b}
            RANDOMKEY = one of {b, bb}
            FLUSHDB = +OK
            KEYS * = {}
            RANDOMKEY = one of {}
            "#,
        );
        assert_eq!(model.database(4).len(), 1);
        let mut model = model;
        model.apply(9, &Command::parse("FLUSHALL"));
        assert_eq!(model.digest(), Model::default().digest());
    }
}
