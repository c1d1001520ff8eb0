//! `Model`: the whole keyspace as one thread would hold it.
//!
//! Plain ordered maps, shared until they are changed, so that the search for an order may keep one
//! per step. Invariant: `digest` of a database is the exclusive or of its entries' digests, so that it
//! follows every change at the price of the entry changed. What commands do is in `oracle`.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::value::Value;
use super::waiting::Blocked;
use super::watching::Watch;
use super::word::{Word, mix};

/// Databases of a node.
pub const DATABASES: usize = 16;

/// What is under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// When it expires, milliseconds since the epoch.
    pub expire_ms: Option<u64>,
}

impl Entry {
    /// A string that does not expire.
    #[must_use]
    pub fn new(text: Word) -> Self {
        Self::of(Value::Text(text))
    }

    /// A value that does not expire.
    #[must_use]
    pub fn of(value: Value) -> Self {
        Self {
            value,
            expire_ms: None,
        }
    }

    fn digest(&self, key: &Word) -> u64 {
        let expire = self.expire_ms.map_or(0, |at| at + 1);
        mix(mix(key.digest(), self.value.digest()), expire)
    }
}

/// One database.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Database {
    entries: BTreeMap<Word, Entry>,
    digest: u64,
}

impl Database {
    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Word> {
        self.entries.keys()
    }

    /// All entries, in order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&Word, &Entry)> {
        self.entries.iter()
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// All databases, and what the connections wait for and watch.
#[derive(Clone, PartialEq, Eq)]
pub struct Model {
    databases: Vec<Rc<Database>>,
    /// Who watches what: see `watching`.
    pub(super) watches: Rc<Vec<Watch>>,
    /// Who waits, those who came first in front: see `waiting`.
    pub(super) blocked: Rc<Vec<Blocked>>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            databases: vec![Rc::default(); DATABASES],
            watches: Rc::default(),
            blocked: Rc::default(),
        }
    }
}

impl Model {
    /// A database.
    #[must_use]
    pub fn database(&self, db: usize) -> &Database {
        &self.databases[db]
    }

    /// The entry of a key.
    #[must_use]
    pub fn get(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        self.databases[db].get(key)
    }

    /// Puts an entry in place of whatever was there. Says whether there was anything.
    pub fn put(&mut self, db: usize, key: &Word, entry: Entry) -> bool {
        self.touch(db, key);
        let database = Rc::make_mut(&mut self.databases[db]);
        database.digest ^= entry.digest(key);
        let old = database.entries.insert(key.clone(), entry);
        if let Some(old) = &old {
            database.digest ^= old.digest(key);
        }
        old.is_some()
    }

    /// Takes an entry out.
    pub fn take(&mut self, db: usize, key: &Word) -> Option<Entry> {
        self.databases[db].get(key)?;
        self.touch(db, key);
        let database = Rc::make_mut(&mut self.databases[db]);
        let old = database.entries.remove(&**key)?;
        database.digest ^= old.digest(key);
        Some(old)
    }

    /// Empties a database.
    pub fn clear(&mut self, db: usize) {
        self.touch_all(db, db);
        self.databases[db] = Rc::default();
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a != b {
            self.touch_all(a, b);
            self.touch_all(b, a);
        }
        self.databases.swap(a, b);
    }

    /// Stands for the content: equal models have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let databases = self.databases.iter().map(|database| database.digest);
        let watches = self.watches.iter().map(Watch::digest);
        let blocked = self.blocked.iter().map(Blocked::digest);
        databases.chain(watches).chain(blocked).fold(0, mix)
    }

    /// Whether both hold the same keys; who waits or watches does not count.
    #[must_use]
    pub fn has_keys_of(&self, other: &Model) -> bool {
        self.databases == other.databases
    }

    /// In which entries two keyspaces differ, one line each.
    #[must_use]
    pub fn differences(&self, other: &Model) -> Vec<String> {
        let mut lines = Vec::new();
        for db in 0..DATABASES {
            let (ours, theirs) = (self.database(db), other.database(db));
            for (key, entry) in ours.entries() {
                match theirs.get(key) {
                    None => lines.push(format!("db{db} {key}: {entry} against nothing")),
                    Some(other) if other != entry => {
                        lines.push(format!("db{db} {key}: {entry} against {other}"));
                    }
                    Some(_) => {}
                }
            }
            let only_theirs = theirs.entries().filter(|(key, _)| ours.get(key).is_none());
            lines.extend(
                only_theirs.map(|(key, entry)| format!("db{db} {key}: nothing against {entry}")),
            );
        }
        lines
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        match self.expire_ms {
            Some(at) => write!(f, " until {at}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut any = false;
        for db in (0..DATABASES).filter(|db| !self.database(*db).is_empty()) {
            any = true;
            write!(f, "  db{db}:")?;
            for (key, entry) in self.database(db).entries() {
                write!(f, " {key}={entry}")?;
            }
            writeln!(f)?;
        }
        if any {
            Ok(())
        } else {
            writeln!(f, "  no keys")
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry::new(Word::from(text))
    }

    #[test]
    fn the_digest_follows_the_content() {
        let (a, b) = (Word::from("a"), Word::from("b"));
        let mut model = Model::default();
        let empty = model.digest();
        assert!(!model.put(0, &a, entry("1")));
        let one = model.digest();
        let before = model.clone();
        assert!(model.put(0, &a, entry("2")));
        assert_ne!(model.digest(), one);
        model.put(0, &a, entry("1"));
        assert_eq!((model.digest(), &model), (one, &before));
        model.put(1, &b, entry("x"));
        model.swap(0, 1);
        assert_ne!(model.digest(), one);
        assert_eq!(model.take(0, &b), Some(entry("x")));
        model.swap(0, 1);
        assert_eq!(model.digest(), one);
        model.clear(0);
        assert_eq!((model.digest(), model.take(0, &a)), (empty, None));
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let key = Word::from("k");
        let mut model = Model::default();
        model.put(3, &key, entry("old"));
        let clone = model.clone();
        model.put(3, &key, entry("new"));
        assert_eq!(clone.get(3, b"k"), Some(&entry("old")));
        assert_eq!(clone.differences(&model), ["db3 k: old against new"]);
    }
}
