//! `Watch`: what a connection of the model watches, and whether it was touched.
//!
//! Every change of the model passes `touch`. A watch ends with EXEC, DISCARD or UNWATCH; the order in which connections began to watch plays no role, so
//! they are kept by number.

use std::rc::Rc;

use super::model::Model;
use super::word::{Word, mix};

/// The watched keys of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    connection: usize,
    keys: Vec<(usize, Word)>,
    is_touched: bool,
}

impl Watch {
    /// Stands for the content.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let keys = self
            .keys
            .iter()
            .map(|(db, key)| mix(*db as u64, key.digest()));
        let keys = keys.fold(5, mix);
        mix(mix(self.connection as u64, self.is_touched.into()), keys)
    }
}

impl Model {
    /// A connection wants to know whether these keys change from now on.
    pub fn watch(&mut self, connection: usize, db: usize, keys: &[Word]) {
        let watches = Rc::make_mut(&mut self.watches);
        let place = watches.partition_point(|watch| watch.connection < connection);
        if watches
            .get(place)
            .is_none_or(|watch| watch.connection != connection)
        {
            let watch = Watch {
                connection,
                keys: Vec::new(),
                is_touched: false,
            };
            watches.insert(place, watch);
        }
        let watch = &mut watches[place];
        if !watch.is_touched {
            watch.keys.extend(keys.iter().map(|key| (db, key.clone())));
            watch.keys.sort_unstable();
            watch.keys.dedup();
        }
    }

    /// It does not want to know any more.
    pub fn unwatch(&mut self, connection: usize) {
        if self
            .watches
            .iter()
            .any(|watch| watch.connection == connection)
        {
            Rc::make_mut(&mut self.watches).retain(|watch| watch.connection != connection);
        }
    }

    /// Whether a key that it watches has changed.
    #[must_use]
    pub fn is_touched(&self, connection: usize) -> bool {
        let mut watches = self.watches.iter();
        watches.any(|watch| watch.connection == connection && watch.is_touched)
    }

    fn touch_where(&mut self, touches: impl Fn(&(usize, Word)) -> bool) {
        let is_news = |watch: &Watch| !watch.is_touched && watch.keys.iter().any(&touches);
        if !self.watches.iter().any(is_news) {
            return;
        }
        for watch in Rc::make_mut(&mut self.watches) {
            if is_news(watch) {
                watch.is_touched = true;
                // Whatever else it watches makes no difference any more.
                watch.keys.clear();
            }
        }
    }

    /// A key changes.
    pub(super) fn touch(&mut self, db: usize, key: &Word) {
        self.touch_where(|(at, name)| *at == db && name == key);
    }

    /// All keys of a database change that are there, or in the one that takes its place.
    pub(super) fn touch_all(&mut self, db: usize, other: usize) {
        if !self.watches.is_empty() {
            let (here, there) = (self.database(db).clone(), self.database(other).clone());
            let is_there = |key: &Word| here.get(key).is_some() || there.get(key).is_some();
            self.touch_where(|(at, key)| *at == db && is_there(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::command::Command;

    #[test]
    fn changes_touch_and_others_do_not() {
        let touches = |lines: &str| {
            let mut model = Model::default();
            model.apply(0, &Command::parse("MSET k 1 j 1"));
            model.watch(3, 0, &[Word::from("k")]);
            for line in lines.split(';') {
                model.apply(0, &Command::parse(line));
            }
            assert!(!model.is_touched(4));
            model.is_touched(3)
        };
        for line in [
            "SET k 1",
            "DEL k",
            "RENAME j k",
            "FLUSHALL",
            "SWAPDB 0 5",
            "MSET a 1 k 2",
            "PEXPIREAT k 9000000000000",
            "DEL k;SET k 1",
        ] {
            assert!(touches(line), "{line}");
        }
        for line in [
            "SET j 2",
            "GET k",
            "DEL x",
            "SETNX k 3",
            "SWAPDB 3 5",
            "SET k 2 NX",
        ] {
            assert!(!touches(line), "{line}");
        }
    }
}
