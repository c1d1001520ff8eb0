//! All databases of a shard, handed to another shard and back, while nobody else uses them.

use tessera_core::table::{QuietTable, Table};

use super::Shard;
use super::databases::Database;

/// The databases of one shard.
pub struct Databases(Vec<QuietTable>);

impl std::fmt::Debug for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} databases", self.0.len())
    }
}

/// The tables of a shard that is not this one, here for a while.
pub(crate) type Tables = Vec<Table>;

impl Shard {
    /// Takes all databases away, leaving empty ones. `None` while a walk is under way.
    pub(crate) fn hand_over(&mut self) -> Option<Databases> {
        self.collect_garbage();
        if self.dbs.iter().any(|database| database.table.walks() > 0) {
            return None;
        }
        let seed = self.hash_seed();
        let take = |database: &mut Database| {
            let table = std::mem::replace(&mut database.table, Table::new(seed));
            QuietTable::new(table).unwrap_or_else(|_| unreachable!("no walk is under way"))
        };
        Some(Databases(self.dbs.iter_mut().map(take).collect()))
    }

    /// Gets all databases back.
    pub(crate) fn get_back(&mut self, databases: Databases) {
        self.exchange(&mut databases.into_tables());
    }

    /// Puts these tables into the databases and those that were there into `tables`.
    pub(crate) fn exchange(&mut self, tables: &mut Tables) {
        for (database, table) in self.dbs.iter_mut().zip(tables) {
            std::mem::swap(&mut database.table, table);
        }
    }

    /// Which watched keys exist.
    pub(crate) fn watched_that_exist(&self) -> Vec<(usize, Box<[u8]>)> {
        let exists = |place: &&(usize, Box<[u8]>)| {
            let table = self.table(place.0);
            table.contains(table.hash(&place.1), &place.1)
        };
        self.watched_places().filter(exists).cloned().collect()
    }
}

impl Databases {
    /// The tables, to use them here.
    pub(crate) fn into_tables(self) -> Tables {
        self.0.into_iter().map(QuietTable::into_table).collect()
    }

    /// Tables on their way home. Nobody begins a walk in between.
    pub(crate) fn from_tables(tables: Tables) -> Self {
        let quiet = |table: Table| {
            QuietTable::new(table).unwrap_or_else(|_| {
                unreachable!("walks belong to tasks, which programs see to the end")
            })
        };
        Self(tables.into_iter().map(quiet).collect())
    }
}
