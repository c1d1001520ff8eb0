//! `Stream`: a stream of the model: entries under rising numbers, and how far its groups have read.
//!
//! All ids of the clients are of millisecond 1, so that the model knows them: entry number n has the id `1-(n-1)`, and number 0 is `0-0`, the id of nothing.
//! Each entry has one field.

use std::collections::BTreeMap;
use std::fmt;

use super::word::{Word, mix};

/// The field of every entry.
pub const FIELD: &str = "f";

/// A consumer group.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Group {
    /// The last entry that it was given.
    pub last: u64,
    /// Entries that nobody has acknowledged, with the consumers that have them.
    pub pending: BTreeMap<u64, Word>,
}

/// See the head of this file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Stream {
    /// The last entry ever added.
    pub last: u64,
    /// The values.
    pub entries: BTreeMap<u64, Word>,
    /// The groups by name.
    pub groups: BTreeMap<Word, Group>,
}

/// The id of an entry.
#[must_use]
pub fn id_of(number: u64) -> Word {
    match number.checked_sub(1) {
        Some(seq) => Word::from(format!("1-{seq}")),
        None => Word::from("0-0"),
    }
}

/// The entry with this id, as clients write it.
#[must_use]
pub fn number_of(id: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(id).ok()?;
    match text {
        "0" | "0-0" => Some(0),
        _ => Some(text.strip_prefix("1-")?.parse::<u64>().ok()? + 1),
    }
}

impl Stream {
    /// Stands for the content.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let entries = self.entries.iter();
        let entries = entries.map(|(number, value)| mix(*number, value.digest()));
        let groups = self.groups.iter().map(|(name, group)| {
            let pending = group.pending.iter();
            let pending = pending.map(|(number, consumer)| mix(*number, consumer.digest()));
            pending.fold(mix(name.digest(), group.last), mix)
        });
        entries.chain(groups).fold(mix(6, self.last), mix)
    }

    /// Adds an entry; returns its number.
    pub fn add(&mut self, value: &Word) -> u64 {
        self.last += 1;
        self.entries.insert(self.last, value.clone());
        self.last
    }

    /// At most so many entries behind this one.
    #[must_use]
    pub fn behind(&self, number: u64, count: usize) -> Vec<(u64, Word)> {
        let entries = self.entries.range(number + 1..).take(count);
        entries.map(|(at, value)| (*at, value.clone())).collect()
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream to {}", id_of(self.last))?;
        for (number, value) in &self.entries {
            write!(f, " {}:{value}", id_of(*number))?;
        }
        for (name, group) in &self.groups {
            write!(f, " group {name} at {}", id_of(group.last))?;
            for (number, consumer) in &group.pending {
                write!(f, " {}@{consumer}", id_of(*number))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers() {
        for number in [0, 1, 2, 77] {
            assert_eq!(number_of(&id_of(number)), Some(number));
        }
        assert_eq!(&*id_of(1), b"1-0");
        assert_eq!(number_of(b"0"), Some(0));
        assert_eq!(number_of(b"$"), None);
    }

    #[test]
    fn the_digest_follows_the_content() {
        let mut stream = Stream::default();
        let empty = stream.digest();
        let value = Word::from("v");
        assert_eq!((stream.add(&value), stream.add(&value)), (1, 2));
        assert_eq!(stream.behind(1, 9), [(2, value.clone())]);
        assert_eq!(stream.behind(0, 1).len(), 1);
        let two = stream.digest();
        stream.groups.insert(Word::from("g"), Group::default());
        let grouped = stream.digest();
        let group = stream.groups.get_mut(&b"g"[..]).expect("it was made");
        group.pending.insert(1, value);
        let digests = [empty, two, grouped, stream.digest()];
        assert!((1..4).all(|at| !digests[..at].contains(&digests[at])));
        assert_eq!(
            stream.to_string(),
            "stream to 1-1 1-0:v 1-1:v group g at 0-0 1-0@v"
        );
    }
}
