//! A long string on its way into a reply: in slices, while its key stays locked. Called by GET, GETRANGE, GETDEL and GETEX; what the last two do to the
//! key comes with the last slice, and not at all if there is no memory for the reply.

use std::ops::Range;

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::resp::{Chain, Gathered, Reply};

use crate::command::{Cx, Task};
use crate::shard::{Shard, event};

/// A reply of at most so many bytes is written at once; and as many are written per slice.
pub(super) const BYTES_AT_ONCE: usize = 1 << 20;

/// What becomes of the key when it has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// It stays as it is.
    Nothing,
    /// It goes.
    Remove,
    /// It loses its expiry time.
    Persist,
    /// It gets this one, ms since the Unix epoch.
    ExpireAt(u64),
}

impl After {
    fn apply(self, shard: &mut Shard, db: usize, key: &[u8]) {
        match self {
            After::Nothing => {}
            After::Remove => _ = shard.remove(db, key),
            After::Persist => _ = shard.persist(db, key),
            After::ExpireAt(at_ms) => {
                if let Some(mut entry) = shard.write(db, key) {
                    entry.set_expire(Some(at_ms));
                    shard.changed_by(db, key, event::EXPIRE);
                }
            }
        }
    }
}

/// Leaves it to a task to reply with these bytes of a string.
#[cold]
pub(super) fn read(cx: &mut Cx<'_>, key: &[u8], bytes: Range<usize>, after: After) {
    let len = bytes.len();
    cx.task = Some(Box::new(ReadTask {
        db: cx.db,
        key: key.into(),
        bytes,
        len,
        after,
        gathered: Gathered::expecting_head(cx.reply.proto(), |reply| head(reply, len)),
    }));
}

/// The header of a bulk of so many bytes.
fn head(reply: &mut Reply<'_>, len: usize) {
    reply.raw(format!("${len}\r\n").as_bytes());
}

/// A string that is being read.
struct ReadTask {
    db: usize,
    key: Box<[u8]>,
    /// What is left to read, and how much it was.
    bytes: Range<usize>,
    len: usize,
    after: After,
    gathered: Gathered,
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let end = self.bytes.end.min(self.bytes.start + BYTES_AT_ONCE);
        let piece = match entry.and_then(Entry::string) {
            Some(ValueRef::Bytes(bytes)) => bytes.get(self.bytes.start..end),
            _ => None,
        };
        let Some(piece) = piece else {
            // The key is locked, but its time may have come.
            Reply::new(reply.tail(), self.gathered.proto()).null();
            return true;
        };
        self.gathered.append(piece);
        self.bytes.start = end;
        let is_done = self.bytes.is_empty() || self.gathered.is_refused();
        if is_done {
            self.gathered.append(b"\r\n");
            if !self.gathered.is_refused() {
                self.after.apply(shard, self.db, &self.key);
            }
            let len = self.len;
            self.gathered.finish(reply, |reply| head(reply, len));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn long_strings_in_slices() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETRANGE k 3500000 end", "3500003"),
            ("SETRANGE k 1000000 begin", "3500003"),
        ]);
        let whole = rig.bytes(&[b"GET", b"k"]);
        assert_eq!(rig.slices, 4);
        assert!(whole.starts_with(b"$3500003\r\n\0\0") && whole.ends_with(b"\0end\r\n"));
        assert_eq!(whole.len(), 10 + 3_500_003 + 2);
        let part = rig.bytes(&[b"GETRANGE", b"k", b"1000000", b"-2"]);
        assert_eq!(rig.slices, 3);
        assert!(part.starts_with(b"$2500002\r\nbegin\0") && part.ends_with(b"\0en\r\n"));
        assert_eq!(part.len(), 10 + 2_500_002 + 2);
    }

    #[test]
    fn what_follows_comes_with_the_last_slice() {
        for (line, pttl, exists) in [
            ("GETEX k PX 7000", "7000", "1"),
            ("GETEX k", "5000", "1"),
            ("GETEX k PERSIST", "-1", "1"),
            ("GETDEL k", "-2", "0"),
            ("GETEX k PXAT 1", "-2", "0"),
        ] {
            let mut rig = Rig::new();
            rig.check(&[
                ("SETRANGE k 2500000 end", "2500003"),
                ("PEXPIRE k 5000", "1"),
            ]);
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let changes = rig.shard.stats.changes;
            let mut seen = Vec::new();
            let reply = rig.bytes_during(&words, |shard| {
                seen.push((shard.exists(0, b"k"), shard.stats.changes - changes));
            });
            assert_eq!(seen, [(true, 0); 3], "{line}");
            assert!(reply.starts_with(b"$2500003\r\n\0") && reply.ends_with(b"\0end\r\n"));
            rig.check(&[("PTTL k", pttl), ("EXISTS k", exists)]);
        }
    }
}
