//! The judge of places: after an epoch each key is on the shard that owns it, and nowhere else.
//!
//! Reads the tables themselves, so it also says what the keyspace is, which the judge of order needs.

use std::collections::BTreeSet;
use std::rc::Rc;

use tessera_core::entry::ValueRef;
use tessera_core::listpack::Item;
use tessera_core::object::Object;

use crate::simulator::model::{DATABASES, Entry, Model};
use crate::simulator::node::{Node, owner};
use crate::simulator::value::Value;
use crate::simulator::word::Word;

fn collection(object: &Object) -> Value {
    let word = |item: Item<'_>| Word::new(&item.to_vec());
    match object {
        Object::List(list) => Value::List(Rc::new(list.iter().map(word).collect())),
        Object::Set(set) => {
            let mut members = BTreeSet::new();
            set.for_each(&mut |item| _ = members.insert(word(item)));
            Value::Set(Rc::new(members))
        }
        Object::Zset(zset) => {
            let scored = zset.iter().map(|(item, score)| (word(item), score as i64));
            Value::Zset(Rc::new(scored.collect()))
        }
        Object::Hash(_) | Object::Stream(_) => Value::Foreign,
    }
}

/// The keyspace of a node at rest.
///
/// # Errors
/// When a key is where it does not belong, or twice, or when a table miscounts.
pub fn judge(node: &Node, now_ms: u64) -> Result<Model, String> {
    let mut model = Model::default();
    for (shard, seat) in node.seats.iter().enumerate() {
        for db in 0..DATABASES {
            let table = seat.driver.front.engine.shard.table(db);
            let mut entries = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = table.scan(cursor, &mut |entry| {
                    let value = match (entry.string(), entry.object()) {
                        (Some(ValueRef::Int(number)), _) => {
                            Value::Text(Word::from(number.to_string()))
                        }
                        (Some(ValueRef::Bytes(bytes)), _) => Value::Text(Word::new(bytes)),
                        (None, Some(object)) => collection(object),
                        (None, None) => Value::Foreign,
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
            // Nobody sees a key any more whose time has come.
            entries.retain(|(_, entry)| entry.expire_ms.is_none_or(|at| at >= now_ms));
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
