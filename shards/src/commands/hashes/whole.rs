//! A whole hash: HGETALL, HKEYS, HVALS. A large one is read in slices while its key stays locked.

use tessera_core::hash::Hash;
use tessera_core::listpack::Item;
use tessera_core::object::Collection;
use tessera_core::resp::{Chain, DeferredLen, Gathered, Proto, Reply};

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

impl Part {
    fn write(self, reply: &mut Reply<'_>, field: Item<'_>, value: Item<'_>) {
        if self != Part::Values {
            reply_item(reply, field);
        }
        if self != Part::Fields {
            reply_item(reply, value);
        }
    }

    fn header(self, reply: &mut Reply<'_>, fields: usize) {
        match self {
            Part::Both => reply.map(fields),
            Part::Fields | Part::Values => reply.array(fields),
        }
    }

    fn deferred_header(self, reply: &mut Reply<'_>) -> DeferredLen {
        match self {
            Part::Both => reply.deferred_map(),
            Part::Fields | Part::Values => reply.deferred_array(),
        }
    }

    /// The number in the header of so many fields.
    fn elements_len(self, fields: usize, proto: Proto) -> usize {
        match (self, proto) {
            (Part::Both, Proto::Resp2) => 2 * fields,
            _ => fields,
        }
    }
}

/// A hash of at most this many fields is read at once.
const FIELDS_AT_ONCE: usize = 1024;

fn read(cx: &mut Cx<'_>, key: &[u8], part: Part) {
    let now_ms = cx.shard.now_ms;
    let hash = match cx.shard.read_object::<Hash>(cx.db, key) {
        Ok(hash) => hash,
        Err(WrongType) => return cx.wrong_type(),
    };
    let reply = &mut cx.reply;
    let Some(hash) = hash else {
        return part.header(reply, 0);
    };
    if hash.len() > FIELDS_AT_ONCE {
        let expected = part.elements_len(hash.len(), reply.proto());
        cx.task = Some(Box::new(ReadTask {
            db: cx.db,
            key: key.into(),
            part,
            cursor: 0,
            fields: 0,
            gathered: Gathered::expecting(expected, reply.proto()),
        }));
        return;
    }
    let header = part.deferred_header(reply);
    let mut fields = 0;
    hash.for_each(now_ms, &mut |field, value| {
        fields += 1;
        part.write(reply, field, value);
    });
    reply.set_len(header, fields);
}

/// A hash that is being read.
struct ReadTask {
    db: usize,
    key: Box<[u8]>,
    part: Part,
    cursor: u64,
    fields: usize,
    /// What has been read, as replies.
    gathered: Gathered,
}

impl ReadTask {
    /// Reads some more and says whether that was all.
    fn read_some(&mut self, hash: &Hash, now_ms: u64) -> bool {
        let (part, fields, cursor) = (self.part, &mut self.fields, &mut self.cursor);
        let end = *fields + FIELDS_AT_ONCE;
        self.gathered.write(|reply| {
            loop {
                *cursor = hash.scan(*cursor, now_ms, &mut |field: Item<'_>, value: Item<'_>| {
                    *fields += 1;
                    part.write(reply, field, value);
                });
                if *cursor == 0 || *fields >= end {
                    break;
                }
            }
        });
        self.cursor == 0
    }
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let (db, now_ms) = (self.db, shard.now_ms);
        let key = std::mem::take(&mut self.key);
        let entry = shard.table(db).get(shard.hash(&key), &key);
        let hash = entry.and_then(|entry| entry.object()).and_then(Hash::of);
        let is_done = hash.is_none_or(|hash| self.read_some(hash, now_ms));
        self.key = key;
        if is_done {
            let (part, fields) = (self.part, self.fields);
            self.gathered
                .finish(reply, |reply| part.header(reply, fields));
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
