//! A table on its way to another thread.
#![allow(unsafe_code)]

use super::keyspace::Table;

/// A table without walks. A table's entries belong to it alone; only what a walk tells its finds to may be bound to a thread.
pub struct QuietTable(Table);

// SAFETY: directory, overflow and counts are plain data owned by the table, entries are `Send`, and there are no walks, whose sinks are
// the only things in a table that are not.
unsafe impl Send for QuietTable {}

impl QuietTable {
    /// Takes a table, unless a walk of it is under way.
    ///
    /// # Errors
    /// Gives the table back if there is a walk.
    pub fn new(table: Table) -> Result<Self, Table> {
        if table.walks() == 0 {
            Ok(Self(table))
        } else {
            Err(table)
        }
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
        let Err(mut table) = QuietTable::new(table) else {
            panic!("a walk is under way")
        };
        table.end_walk(walk);
        let Ok(quiet) = QuietTable::new(table) else {
            panic!("no walk is under way")
        };
        let table = std::thread::spawn(move || quiet.into_table())
            .join()
            .unwrap();
        assert_eq!(table.len(), 1);
    }
}
