//! DEBUG RELOAD: every value goes through the encoding of files and back, where it lies.
//!
//! Redis saves, forgets all keys and loads the file, and nobody sees the time between. Here each shard does it value by value at one position, which gives the same
//! keys; what is under way with a key that is locked is left alone. Nothing is counted, told or recorded: nothing has changed.

use tessera_core::entry::Entry;
use tessera_persist::rdb::{Encoder, Input, Limits, RdbError, Value, ValueReader, ValueWriter};

use super::Shard;

/// The value of an entry, written and read.
fn round_trip(entry: &Entry, limits: Limits, now_ms: u64) -> Result<Option<Value>, RdbError> {
    let mut encoder = Encoder::new(true);
    let mut bytes = Vec::new();
    if let Some(mut writer) = ValueWriter::begin(entry, &mut encoder, &mut bytes) {
        while !writer.step(entry, &mut encoder, &mut bytes, usize::MAX) {}
    }
    let mut input = Input::new(bytes.as_slice());
    let mut reader = ValueReader::begin(ValueWriter::kind(entry), &mut input, limits, now_ms)?;
    reader.step(&mut input, usize::MAX)
}

impl Shard {
    /// Puts what a file would give back in place of every value of this shard.
    ///
    /// # Errors
    /// The key whose value did not survive; it is as it was.
    pub fn reload(&mut self) -> Result<u64, Box<[u8]>> {
        let mut reloaded = 0;
        for db in 0..self.databases() {
            let (mut names, mut cursor) = (Vec::<Box<[u8]>>::new(), 0);
            loop {
                let note = &mut |entry: &Entry| names.push(entry.key().into());
                cursor = self.table(db).scan(cursor, note);
                if cursor == 0 {
                    break;
                }
            }
            for name in names {
                reloaded += u64::from(self.reload_key(db, &name)?);
            }
        }
        Ok(reloaded)
    }

    fn reload_key(&mut self, db: usize, name: &[u8]) -> Result<bool, Box<[u8]>> {
        let Some(old) = self.table(db).get(self.hash(name), name) else {
            return Ok(false);
        };
        if self.is_due(old) {
            return Ok(false);
        }
        let (expire_at, access) = (old.expire_at(), old.access());
        let value = round_trip(old, self.limits(), self.now_ms).ok().flatten();
        let entry = value.and_then(|value| value.into_entry(name, expire_at).ok());
        let Some(entry) = entry else {
            return Err(name.into());
        };
        entry.set_access(access);
        self.insert(db, entry);
        Ok(true)
    }
}
