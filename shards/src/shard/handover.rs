//! All databases of a shard, handed to another shard and back, while nobody else uses them.

use tessera_core::table::QuietTable;

use super::Shard;
use super::databases::Database;

/// The databases of one shard: tables with their identities. A snapshot's walks come along.
pub struct Databases(Vec<(QuietTable, u64)>);

impl std::fmt::Debug for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} databases", self.0.len())
    }
}

/// The databases of a shard that is not this one, here for a while.
pub(crate) type Tables = Vec<Database>;

impl Shard {
    /// Takes all databases away, leaving empty ones. `None` while a walk that cannot come along is under way.
    pub(crate) fn hand_over(&mut self) -> Option<Databases> {
        self.collect_garbage();
        let mut taken = Vec::with_capacity(self.dbs.len());
        for database in &mut self.dbs {
            match QuietTable::take(&mut database.table) {
                Some(quiet) => {
                    let next = self.detached.next_identity();
                    taken.push((quiet, std::mem::replace(&mut database.identity, next)));
                }
                None => break,
            }
        }
        if taken.len() == self.dbs.len() {
            return Some(Databases(taken));
        }
        self.get_back(Databases(taken));
        None
    }

    /// Gets all databases back.
    pub(crate) fn get_back(&mut self, databases: Databases) {
        self.exchange(&mut databases.into_tables());
    }

    /// Puts these databases in place of those that are here, and those into `tables`.
    pub(crate) fn exchange(&mut self, tables: &mut Tables) {
        for (database, table) in self.dbs.iter_mut().zip(tables) {
            std::mem::swap(database, table);
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
    /// The databases, to use them here.
    pub(crate) fn into_tables(self) -> Tables {
        let databases = self.0.into_iter();
        databases
            .map(|(quiet, identity)| Database {
                table: quiet.into_table(),
                identity,
            })
            .collect()
    }

    /// Databases on their way home. Walks that are bound belong to tasks, which programs see to the end, so there are none.
    pub(crate) fn from_tables(mut tables: Tables) -> Self {
        let quiet = |database: &mut Database| {
            Some((QuietTable::take(&mut database.table)?, database.identity))
        };
        Self(tables.iter_mut().filter_map(quiet).collect())
    }
}
