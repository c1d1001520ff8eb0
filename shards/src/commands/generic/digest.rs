//! What DEBUG DIGEST and DEBUG DIGEST-VALUE tell: a fingerprint of values that does not depend on how they are kept.
//!
//! The same figures as redis-server's: SHA-1 over the elements, mixed in order where order matters and by exclusive or where it does not.
//! Whoever wants to know whether two servers hold the same data compares 40 digits. Called by the front end's DEBUG.

use sha1::{Digest as _, Sha1};
use tessera_core::entry::{Entry, ValueRef};
use tessera_core::listpack::Item;
use tessera_core::number::write_double;
use tessera_core::object::{Object, View};
use tessera_core::stream::StreamId;

use crate::shard::Shard;

/// A fingerprint.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Digest(pub [u8; 20]);

impl Digest {
    /// Adds what stands in no order.
    pub fn add(&mut self, bytes: &[u8]) {
        self.merge(&Digest(Sha1::digest(bytes).into()));
    }

    /// Adds what comes after all that was added.
    pub fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Adds a fingerprint as it is.
    pub fn merge(&mut self, other: &Digest) {
        for (byte, more) in self.0.iter_mut().zip(other.0) {
            *byte ^= more;
        }
    }

    /// Of a value with its time to live.
    #[must_use]
    pub fn of_value(entry: &Entry, now_ms: u64) -> Self {
        let mut digest = Digest::default();
        digest.mix_value(entry, now_ms);
        digest
    }

    /// Of a key with its value.
    #[must_use]
    pub fn of_key(entry: &Entry, now_ms: u64) -> Self {
        let mut digest = Digest::default();
        digest.mix(entry.key());
        digest.mix_value(entry, now_ms);
        digest
    }

    /// Of all keys of a database that this shard has; `None` if there is none. O(keys).
    #[must_use]
    pub fn of_database(shard: &Shard, db: usize) -> Option<Self> {
        let table = shard.table(db);
        let mut digest = Digest::default();
        let mut cursor = 0;
        loop {
            cursor = table.scan(cursor, &mut |entry| {
                if !shard.is_due(entry) {
                    digest.add(&Digest::of_key(entry, shard.now_ms).0);
                }
            });
            if cursor == 0 {
                return (!table.is_empty()).then_some(digest);
            }
        }
    }

    fn mix_value(&mut self, entry: &Entry, now_ms: u64) {
        let mut digits = itoa::Buffer::new();
        match (entry.string(), entry.object()) {
            (Some(ValueRef::Int(number)), _) => {
                self.mix(&0u32.to_be_bytes());
                self.mix(digits.format(number).as_bytes());
            }
            (Some(ValueRef::Bytes(bytes)), _) => {
                self.mix(&0u32.to_be_bytes());
                self.mix(bytes);
            }
            (None, Some(object)) => self.mix_object(object, now_ms),
            (None, None) => {}
        }
        if entry.expire_at().is_some() {
            self.add(b"!!expire!!");
        }
    }

    fn mix_object(&mut self, object: &Object, now_ms: u64) {
        let number: u32 = match object.view() {
            View::List(_) => 1,
            View::Set(_) => 2,
            View::Zset(_) => 3,
            View::Hash(_) => 4,
            View::Stream(_) => 6,
        };
        self.mix(&number.to_be_bytes());
        let mut digits = itoa::Buffer::new();
        match object.view() {
            View::List(list) => {
                for item in list.iter() {
                    self.mix(item.text(&mut digits));
                }
            }
            View::Set(set) => set.for_each(&mut |item| self.add(item.text(&mut digits))),
            View::Zset(zset) => {
                let mut text = Vec::new();
                for (member, score) in zset.iter() {
                    text.clear();
                    write_double(&mut text, score);
                    self.add_pair(member, &text);
                }
            }
            View::Hash(hash) => hash.for_each(now_ms, &mut |field, value| {
                self.add_pair(field, value.text(&mut digits));
            }),
            View::Stream(stream) => {
                for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (field, value) in entry.fields() {
                        self.mix(field.text(&mut digits));
                        self.mix(value.text(&mut itoa::Buffer::new()));
                    }
                }
            }
        }
    }

    fn add_pair(&mut self, first: Item<'_>, second: &[u8]) {
        let mut pair = Digest::default();
        pair.mix(first.text(&mut itoa::Buffer::new()));
        pair.mix(second);
        self.add(&pair.0);
    }

    /// As 40 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
