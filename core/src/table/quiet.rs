//! A table on its way to another thread.
#![allow(unsafe_code)]

use super::keyspace::Table;

/// A table without walks that are bound to a thread. A table's entries belong to it alone; only what a walk tells its finds to may be so bound.
pub struct QuietTable(Table);

// SAFETY: directory, overflow and counts are plain data owned by the table, entries are `Send`, and so are the sinks of its walks:
// those that are not are the only things in a table that may not go, and `take` has seen to it that there are none.
unsafe impl Send for QuietTable {}

impl QuietTable {
    /// Takes the contents of a table and leaves it empty. Free walks come along. `None`, and nothing is taken, while a
    /// bound one is under way.
    pub fn take(table: &mut Table) -> Option<Self> {
        (!table.is_bound()).then(|| Self(table.take()))
    }

    /// The table.
    #[must_use]
    pub fn into_table(self) -> Table {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, StrValue};
    use crate::table::WalkSink;

    struct Nothing;

    impl WalkSink for Nothing {
        fn entry(&mut self, _: &Entry) {}
    }

    #[test]
    fn only_without_walks() {
        let mut table = Table::new(1);
        table.insert(table.hash(b"k"), Entry::new(b"k", StrValue::Int(1), None));
        let walk = table.begin_walk(Box::new(Nothing));
        assert!(QuietTable::take(&mut table).is_none());
        table.end_walk(walk);
        table.begin_free_walk(Box::new(Nothing));
        let quiet = QuietTable::take(&mut table).unwrap();
        assert!(table.is_empty());
        let len = std::thread::spawn(move || quiet.into_table().len())
            .join()
            .unwrap();
        assert_eq!(len, 1);
    }
}
