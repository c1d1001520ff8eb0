//! The judge of copies: at rest, whoever keeps copies of values and drops those of which it hears has no old one.

use crate::simulator::cacher::Cacher;
use crate::simulator::model::Model;
use crate::simulator::value::Value;

/// What is wrong, if anything.
#[must_use]
pub fn judge(cachers: &[Cacher], end: &Model) -> Option<String> {
    for (number, cacher) in cachers.iter().enumerate() {
        if !cacher.is_done() {
            return Some(format!("cacher{number} never got its replies"));
        }
        for (key, copy) in &cacher.copies {
            let entry = end.get(cacher.db, key);
            let is_right = match (entry.map(|entry| &entry.value), copy) {
                (None, None) => true,
                // MGET says the same of both.
                (Some(value), None) => value.text().is_none(),
                (Some(Value::Text(text)), Some(copy)) => text == copy,
                _ => false,
            };
            if !is_right {
                let (ears, db) = (cacher.ears(), cacher.db);
                let told = copy
                    .as_ref()
                    .map_or("nothing".to_owned(), ToString::to_string);
                let real = entry.map_or("nothing".to_owned(), |entry| format!("{:?}", entry.value));
                return Some(format!(
                    "cacher{number} ({ears:?}) believes that {key} of database {db} is {told}; it is {real}"
                ));
            }
        }
    }
    None
}
