//! A table on its way to another thread.
#![allow(unsafe_code)]

use super::keyspace::Table;

/// A table without walks. A table's entries belong to it alone; only what a walk tells its finds to may be bound to a thread.
pub struct QuietTable(Table);

// SAFETY: directory, overflow and counts are plain data owned by the table, entries are `Send`, and there are no walks, whose sinks are
// the only things in a table that are not.
unsafe impl Send for QuietTable {}

impl QuietTable {
    /// Takes the contents of a table and leaves it empty. `None`, and nothing is taken, while a walk is under way.
    pub fn take(table: &mut Table) -> Option<Self> {
        (table.walks() == 0).then(|| Self(table.take()))
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
        let quiet = QuietTable::take(&mut table).unwrap();
        assert!(table.is_empty());
        let len = std::thread::spawn(move || quiet.into_table().len())
            .join()
            .unwrap();
        assert_eq!(len, 1);
    }
}
