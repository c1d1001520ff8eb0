//! The judge of places: after an epoch each key is on the shard that owns it, and nowhere else.
//!
//! Reads the tables themselves, so it also says what the keyspace is, which the judge of order needs.

use tessera_core::entry::ValueRef;

use crate::simulator::model::{DATABASES, Entry, Model};
use crate::simulator::node::{Node, owner};
use crate::simulator::word::Word;

/// The keyspace of a node at rest.
///
/// # Errors
/// When a key is where it does not belong, or twice, or when a table miscounts.
pub fn judge(node: &Node) -> Result<Model, String> {
    let mut model = Model::default();
    for (shard, seat) in node.seats.iter().enumerate() {
        for db in 0..DATABASES {
            let table = seat.driver.front.engine.shard.table(db);
            let mut entries = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = table.scan(cursor, &mut |entry| {
                    let value = match entry.string() {
                        Some(ValueRef::Int(number)) => Word::from(number.to_string()),
                        Some(ValueRef::Bytes(bytes)) => Word::new(bytes),
                        // The simulated clients know strings only.
                        None => Word::new(b"a collection"),
                    };
                    let expire_ms = entry.expire_at();
                    entries.push((Word::new(entry.key()), Entry { value, expire_ms }));
                });
                if cursor == 0 {
                    break;
                }
            }
            if entries.len() != table.len() {
                let (found, len) = (entries.len(), table.len());
                return Err(format!(
                    "shard{shard} db{db} counts {len} keys and has {found}"
                ));
            }
            for (key, entry) in entries {
                let home = owner(&key, node.seats.len());
                if home != shard {
                    return Err(format!(
                        "db{db} {key} is on shard{shard}, but shard{home} owns it"
                    ));
                }
                if model.put(db, &key, entry) {
                    return Err(format!("db{db} {key} is on shard{shard} twice"));
                }
            }
        }
    }
    Ok(model)
}
