//! DUMP: a value in the form of Redis's snapshots. A large one is written in slices while its key stays locked.

use tessera_core::resp::{Proto, Reply};
use tessera_persist::rdb::{Encoder, ValueWriter, dump_footer};

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

fn op_dump(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(entry) = cx.shard.read(cx.db, args[1]) else {
        return cx.reply.null();
    };
    let is_large = entry
        .object()
        .is_some_and(|object| object.weight() > ELEMENTS_AT_ONCE);
    let mut encoder = Encoder::new(true);
    let mut payload = vec![ValueWriter::kind(entry)];
    match ValueWriter::begin(entry, &mut encoder, &mut payload) {
        Some(writer) if is_large => {
            cx.task = Some(Box::new(DumpTask {
                db: cx.db,
                key: args[1].into(),
                proto: cx.reply.proto(),
                writer,
                encoder,
                payload,
            }));
        }
        writer => {
            if let Some(mut writer) = writer {
                while !writer.step(entry, &mut encoder, &mut payload, usize::MAX) {}
            }
            dump_footer(&mut payload);
            cx.reply.bulk(&payload);
        }
    }
}

/// A value that is being written.
struct DumpTask {
    db: usize,
    key: Box<[u8]>,
    proto: Proto,
    writer: ValueWriter,
    encoder: Encoder,
    payload: Vec<u8>,
}

impl Task for DumpTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Vec<u8>) -> bool {
        let Some(entry) = shard.table(self.db).get(shard.hash(&self.key), &self.key) else {
            // The key is locked, so it is there.
            Reply::new(reply, self.proto).null();
            return true;
        };
        let is_done = self.writer.step(
            entry,
            &mut self.encoder,
            &mut self.payload,
            ELEMENTS_AT_ONCE,
        );
        if is_done {
            dump_footer(&mut self.payload);
            let mut reply = Reply::new(reply, self.proto);
            reply.bulk(&self.payload);
            reply.finish();
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
