//! What a shard hands over at the end of a turn: whole units of records, in order.

use super::block::LINE_BYTES;
use super::command::put_command;
use super::file::begin_block;

/// Records of one shard. The first ones are for the database `first`, without saying so: whoever puts chunks behind each other does.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Once something is in it, with room before the records: a large chunk is a block of the file as it lies.
    bytes: Vec<u8>,
    /// The databases in which it begins and ends.
    dbs: Option<(usize, usize)>,
    /// The file that it belongs to: that of the shard's position.
    pub generation: u64,
}

/// The command that chooses a database.
fn put_select(db: usize, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    put_command(&[b"SELECT", digits.format(db).as_bytes()], out);
}

impl Chunk {
    /// Whether there is nothing in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in it.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(LINE_BYTES)
    }

    /// Forgets the records, and keeps their room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.dbs = None;
    }

    /// Bytes that it takes, with or without records.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    /// The next records are for this database.
    #[inline]
    pub fn choose(&mut self, db: usize) {
        match &mut self.dbs {
            Some((_, last)) if *last == db => {}
            Some((_, last)) => {
                *last = db;
                put_select(db, &mut self.bytes);
            }
            None => {
                self.dbs = Some((db, db));
                begin_block(&mut self.bytes);
            }
        }
    }

    /// Appends a command of the chosen database.
    pub fn command(&mut self, args: &[&[u8]]) {
        put_command(args, &mut self.bytes);
    }

    /// Appends commands that are in RESP already.
    #[inline]
    pub fn raw(&mut self, commands: &[u8]) {
        self.bytes.extend_from_slice(commands);
    }

    /// Appends all to a file's records, whose last ones were for the database `db`.
    pub(super) fn append_to(&self, db: &mut Option<usize>, out: &mut Vec<u8>) {
        let Some((first, last)) = self.dbs else {
            return;
        };
        if *db != Some(first) {
            put_select(first, out);
        }
        out.extend_from_slice(&self.bytes[LINE_BYTES..]);
        *db = Some(last);
    }

    /// The records as a block of their own, behind records whose last ones were for the database `db`; nothing if that has to be said first.
    pub(super) fn as_block(&mut self, db: &mut Option<usize>) -> Option<&mut [u8]> {
        let (_, last) = self.dbs.filter(|(first, _)| *db == Some(*first))?;
        *db = Some(last);
        Some(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_said_when_they_change() {
        let mut chunk = Chunk::default();
        for db in [3, 3, 0] {
            chunk.choose(db);
            chunk.command(&[b"X"]);
        }
        let (mut db, mut out) = (Some(3), Vec::new());
        chunk.append_to(&mut db, &mut out);
        chunk.append_to(&mut db, &mut out);
        let text = String::from_utf8(out).unwrap().replace("\r\n", " ");
        let (x, select) = ("*1 $1 X ", "*2 $6 SELECT $1 ");
        assert_eq!(
            text,
            format!("{x}{x}{select}0 {x}{select}3 {x}{x}{select}0 {x}")
        );
        assert_eq!(db, Some(0));
    }
}
