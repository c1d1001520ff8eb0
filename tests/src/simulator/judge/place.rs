//! The judge of places: after an epoch each key is on the shard that owns it, and nowhere else.
//!
//! Reads the tables themselves, so it also says what the keyspace is, which the judge of order needs.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tessera_core::entry::ValueRef;
use tessera_core::listpack::Item;
use tessera_core::object::{Object, View};
use tessera_core::stream::StreamId;

use crate::simulator::model::{DATABASES, Entry, Model};
use crate::simulator::node::{Node, owner};
use crate::simulator::stream::{Group, Stream};
use crate::simulator::value::Value;
use crate::simulator::word::Word;

fn collection(object: &Object) -> Value {
    let word = |item: Item<'_>| Word::new(&item.to_vec());
    match object.view() {
        View::List(list) => Value::List(Rc::new(list.iter().map(word).collect())),
        View::Set(set) => {
            let mut members = BTreeSet::new();
            set.for_each(&mut |item| _ = members.insert(word(item)));
            Value::Set(Rc::new(members))
        }
        View::Zset(zset) => {
            let scored = zset.iter().map(|(item, score)| (word(item), score as i64));
            Value::Zset(Rc::new(scored.collect()))
        }
        View::Hash(hash) => {
            let mut fields = BTreeMap::new();
            hash.for_each(0, &mut |field, value| {
                fields.insert(word(field), word(value));
            });
            Value::Hash(Rc::new(fields))
        }
        View::Stream(stream) => Value::Stream(Rc::new(entries(stream))),
    }
}

/// The number of an entry, of which the clients' have millisecond 1.
fn number(id: StreamId) -> u64 {
    match (id.ms, id.seq) {
        (0, 0) => 0,
        (1, seq) => seq + 1,
        _ => u64::MAX,
    }
}

fn entries(stream: &tessera_core::stream::Stream) -> Stream {
    let mut found = Stream {
        last: number(stream.entries.last_id()),
        ..Stream::default()
    };
    for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
        let value = entry.fields().next().map(|(_, value)| value.to_vec());
        let value = Word::new(&value.unwrap_or_default());
        found.entries.insert(number(entry.id), value);
    }
    for (name, group) in stream.groups.iter() {
        let pending = group.pending().iter().map(|(id, pending)| {
            let consumer = group.consumer(pending.consumer);
            let name = consumer.map_or(&b"(nobody)"[..], |consumer| &consumer.name);
            (number(*id), Word::new(name))
        });
        let group = Group {
            last: number(group.last_id),
            pending: pending.collect(),
        };
        found.groups.insert(Word::new(name), group);
    }
    found
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
