//! A whole hash: HGETALL, HKEYS, HVALS. A large one is read in slices while its key stays locked.

use tessera_core::hash::Hash;
use tessera_core::listpack::Item;
use tessera_core::object::Collection;
use tessera_core::resp::{Proto, Reply};

use super::{READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::shard::{Shard, WrongType};

pub(super) const HGETALL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hgetall",
        arity: 2,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output_order"],
        summary: "Returns all fields of a hash with their values.",
        complexity: "O(N) with N fields; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| read(cx, args[1], Part::Both),
    spread: Spread::One,
};

pub(super) const HKEYS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hkeys",
        summary: "Returns all fields of a hash.",
        ..HGETALL.spec
    },
    op: |cx, args| read(cx, args[1], Part::Fields),
    spread: Spread::One,
};

pub(super) const HVALS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hvals",
        summary: "Returns the values of all fields of a hash.",
        ..HGETALL.spec
    },
    op: |cx, args| read(cx, args[1], Part::Values),
    spread: Spread::One,
};

/// What is wanted of each field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Fields,
    Values,
    Both,
}

/// A hash of at most this many fields is read at once.
const FIELDS_AT_ONCE: usize = 1024;

fn read(cx: &mut Cx<'_>, key: &[u8], part: Part) {
    let now_ms = cx.shard.now_ms;
    let hash = match cx.shard.read_object::<Hash>(cx.db, key) {
        Ok(hash) => hash,
        Err(WrongType) => return cx.wrong_type(),
    };
    let mut task = ReadTask {
        db: cx.db,
        key: key.into(),
        part,
        proto: cx.reply.proto(),
        cursor: 0,
        fields: 0,
        bulks: Vec::new(),
        refused: false,
    };
    if hash.is_some_and(|hash| hash.len() > FIELDS_AT_ONCE) {
        cx.task = Some(Box::new(task));
        return;
    }
    while hash.is_some_and(|hash| !task.read_some(hash, now_ms)) {}
    task.finish(&mut cx.reply);
}

/// A hash that is being read.
struct ReadTask {
    db: usize,
    key: Box<[u8]>,
    part: Part,
    proto: Proto,
    cursor: u64,
    fields: usize,
    /// What has been read, as replies.
    bulks: Vec<u8>,
    /// There was no memory for it all.
    refused: bool,
}

impl ReadTask {
    /// Reads some more and says whether that was all.
    fn read_some(&mut self, hash: &Hash, now_ms: u64) -> bool {
        let mut reply = Reply::new(&mut self.bulks, self.proto);
        let (part, fields) = (self.part, &mut self.fields);
        let end = *fields + FIELDS_AT_ONCE;
        let mut cursor = self.cursor;
        loop {
            cursor = hash.scan(cursor, now_ms, &mut |field: Item<'_>, value: Item<'_>| {
                *fields += 1;
                if part != Part::Values {
                    reply_item(&mut reply, field);
                }
                if part != Part::Fields {
                    reply_item(&mut reply, value);
                }
            });
            if cursor == 0 || *fields >= end {
                break;
            }
        }
        self.refused |= reply.is_refused();
        self.cursor = cursor;
        cursor == 0
    }

    fn finish(&self, reply: &mut Reply<'_>) {
        match self.part {
            Part::Both => reply.map(self.fields),
            Part::Fields | Part::Values => reply.array(self.fields),
        }
        reply.raw(&self.bulks);
        if self.refused {
            reply.refuse();
        }
        reply.finish();
    }
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Vec<u8>) -> bool {
        let (db, now_ms) = (self.db, shard.now_ms);
        let key = std::mem::take(&mut self.key);
        let entry = shard.table(db).get(shard.hash(&key), &key);
        let hash = entry.and_then(|entry| entry.object()).and_then(Hash::of);
        let is_done = hash.is_none_or(|hash| self.read_some(hash, now_ms));
        self.key = key;
        if is_done {
            self.finish(&mut Reply::new(reply, self.proto));
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
    fn all_of_it() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HGETALL none", "[]"),
            ("HSET h b 1 a x", "2"),
            ("HGETALL h", "[\"b\" \"1\" \"a\" \"x\"]"),
            ("HKEYS h", "[\"b\" \"a\"]"),
            ("HVALS h", "[\"1\" \"x\"]"),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[
            ("HGETALL h", "{\"b\" \"1\" \"a\" \"x\"}"),
            ("HGETALL none", "{}"),
            ("HKEYS none", "[]"),
        ]);
    }

    #[test]
    fn a_large_one_in_slices() {
        let mut rig = Rig::new();
        for field in 0..20_000 {
            rig.run(&format!("HSET h {field} v{field}"));
        }
        let shown = rig.run("HGETALL h");
        assert!(rig.slices > 10, "{}", rig.slices);
        let mut fields: Vec<u32> = shown
            .trim_matches(['[', ']'])
            .split(' ')
            .step_by(2)
            .map(|field| field.trim_matches('"').parse().unwrap())
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, (0..20_000).collect::<Vec<_>>());
    }
}
