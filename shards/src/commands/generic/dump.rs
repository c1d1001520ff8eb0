//! DUMP: a value in the form of Redis's snapshots. A large one is written in slices while its key stays locked.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::object::Object;
use tessera_core::resp::{Chain, Gathered, Proto, Reply};
use tessera_persist::rdb::{Encoder, PayloadSum, ValueWriter, dump_footer};

use super::ROW;
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::shard::Shard;

pub(super) const DUMP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "dump",
        arity: 2,
        flags: flag::READONLY,
        keys: &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)],
        tips: &["nondeterministic_output"],
        since: "2.6.0",
        summary: "Returns the value of a key in the form in which RESTORE takes it.",
        complexity: "O(N) with N bytes; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_dump,
    spread: Spread::One,
};

/// Elements written at once.
const ELEMENTS_AT_ONCE: usize = 1024;
/// Bytes of a string written at once. A longer one is not compressed.
const BYTES_AT_ONCE: usize = 1 << 20;

fn op_dump(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(entry) = cx.shard.read(cx.db, args[1]) else {
        return cx.reply.null();
    };
    let proto = cx.reply.proto();
    let mut encoder = Encoder::new(true);
    let mut payload = vec![ValueWriter::kind(entry)];
    if let Some(ValueRef::Bytes(bytes)) = entry.string()
        && bytes.len() > BYTES_AT_ONCE
    {
        Encoder::plain_length(bytes.len(), &mut payload);
        let expected = payload.len() + bytes.len();
        let task = DumpTask::new((cx.db, args[1]), Place::Bytes(0), &payload, expected, proto);
        cx.task = Some(Box::new(task));
        return;
    }
    let weight = entry.object().map_or(0, Object::weight);
    if let Some(mut writer) = ValueWriter::begin(entry, &mut encoder, &mut payload) {
        let is_done = writer.step(entry, &mut encoder, &mut payload, ELEMENTS_AT_ONCE);
        if !is_done {
            let expected = payload.len() * weight / ELEMENTS_AT_ONCE;
            let place = Place::Element(writer, Box::new(encoder));
            let task = DumpTask::new((cx.db, args[1]), place, &payload, expected, proto);
            cx.task = Some(Box::new(task));
            return;
        }
    }
    dump_footer(&mut payload);
    cx.reply.bulk(&payload);
}

/// What of a value is written next.
enum Place {
    Element(ValueWriter, Box<Encoder>),
    /// A byte of a string.
    Bytes(usize),
}

/// A value that is being written.
struct DumpTask {
    db: usize,
    key: Box<[u8]>,
    place: Place,
    kind: u8,
    sum: PayloadSum,
    /// Bytes of the payload so far.
    len: usize,
    gathered: Gathered,
}

impl DumpTask {
    /// Goes on behind what has been written of the payload.
    fn new(
        (db, key): (usize, &[u8]),
        place: Place,
        payload: &[u8],
        expected: usize,
        proto: Proto,
    ) -> Self {
        let mut task = Self {
            db,
            key: key.into(),
            place,
            kind: payload.first().copied().unwrap_or_default(),
            sum: PayloadSum::default(),
            len: 0,
            gathered: Gathered::expecting_head(proto, |reply| head(reply, expected)),
        };
        task.put(payload);
        task
    }

    fn put(&mut self, piece: &[u8]) {
        self.sum.cover(piece);
        self.gathered.append(piece);
        self.len += piece.len();
    }

    /// Writes some more and says whether that was all.
    fn write_some(&mut self, entry: &Entry) -> bool {
        match &mut self.place {
            Place::Element(writer, encoder) => {
                let mut piece = Vec::new();
                let is_done = writer.step(entry, encoder, &mut piece, ELEMENTS_AT_ONCE);
                self.put(&piece);
                is_done
            }
            Place::Bytes(at) => {
                let Some(ValueRef::Bytes(bytes)) = entry.string() else {
                    return true;
                };
                let rest = bytes.get(*at..).unwrap_or(b"");
                let piece = rest.get(..BYTES_AT_ONCE).unwrap_or(rest);
                *at += piece.len();
                self.put(piece);
                piece.len() == rest.len()
            }
        }
    }
}

/// The header of a bulk of so many bytes.
fn head(reply: &mut Reply<'_>, len: usize) {
    reply.raw(format!("${len}\r\n").as_bytes());
}

impl Task for DumpTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let Some(entry) = shard.table(self.db).get(shard.hash(&self.key), &self.key) else {
            // The key is locked, but its time may have come.
            Reply::new(reply.tail(), self.gathered.proto()).null();
            return true;
        };
        let is_done = self.write_some(entry) || self.gathered.is_refused();
        if is_done {
            let footer = self.sum.footer(self.kind);
            self.put(&footer);
            self.gathered.append(b"\r\n");
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
    use crate::commands::generic::Digest;
    use crate::commands::rig::Rig;

    /// What was dumped in slices is restored as it was.
    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        rig.run("SETRANGE text 3000000 end");
        for n in 0..5_000 {
            rig.run(&format!("SADD s member:{n}"));
            rig.run(&format!("XADD x {}-1 f v{n}", n + 1));
            rig.run(&format!("HSET h f{n} v"));
        }
        for key in ["text", "s", "x", "h"] {
            let reply = rig.bytes(&[b"DUMP", key.as_bytes()]);
            assert!(rig.slices > 1, "{key}");
            let start = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let head = String::from_utf8(reply[1..start - 2].to_vec()).unwrap();
            let payload = &reply[start..reply.len() - 2];
            assert_eq!(head.parse(), Ok(payload.len()), "{key}");
            let restored = rig.bytes(&[b"RESTORE", b"copy", b"0", payload, b"REPLACE"]);
            assert_eq!(restored, b"+OK\r\n", "{key}");
            let [was, is] = [key, "copy"].map(|key| {
                let hash = rig.shard.hash(key.as_bytes());
                let entry = rig.shard.table(0).get(hash, key.as_bytes()).unwrap();
                Digest::of_value(entry, rig.shard.now_ms)
            });
            assert_eq!(was, is, "{key}");
        }
    }
}
