//! COPY: a second key with the same value.

use tessera_core::entry::{Entry, INLINE_MAX, OutOfMemory, StrValue, ValueRef};
use tessera_core::object::Object;

use super::copying::Copying;
use super::{ROW, SAME_OBJECT};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{OUT_OF_MEMORY, SYNTAX, database, is};
use crate::shard::{Shard, event};

pub(super) const COPY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "copy",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::RO | access::ACCESS, 1, 0, 1),
            KeySpec::range(access::OW | access::UPDATE, 2, 0, 1),
        ],
        since: "6.2.0",
        summary: "Copies the value of a key to another key.",
        complexity: "O(N) with N elements of a collection or bytes of a string; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_copy,
    spread: Spread::Borrow,
};

fn op_copy(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (from, to) = (args[1], args[2]);
    let (mut db, mut replace) = (cx.db, false);
    let mut rest = &args[3..];
    while let [word, more @ ..] = rest {
        rest = more;
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB")
            && let [number, more @ ..] = more
        {
            let Some(number) = database(cx, number) else {
                return;
            };
            (db, rest) = (number, more);
        } else {
            return cx.error(SYNTAX);
        }
    }
    if db == cx.db && from == to {
        return cx.error(SAME_OBJECT);
    }
    // The other key is looked at only if there is something to copy.
    if cx.shard.read(cx.db, from).is_none() || !replace && cx.shard.exists(db, to) {
        return cx.reply.integer(0);
    }
    let Some(entry) = cx.shard.table(cx.db).get(cx.shard.hash(from), from) else {
        return;
    };
    let copy = Copy {
        from: (cx.db, from.into()),
        to: (db, to.into()),
    };
    match Copying::of(entry, &copy, cx.shard, cx.reply.proto()) {
        Ok(None) => {}
        Ok(Some(task)) => {
            cx.task = Some(Box::new(task));
            return;
        }
        Err(OutOfMemory) => return cx.error(OUT_OF_MEMORY),
    }
    let Ok(entry) = duplicate(entry, to) else {
        return cx.error(OUT_OF_MEMORY);
    };
    copy.put(cx.shard, entry);
    cx.reply.integer(1);
}

/// From which key of which database to which.
#[derive(Clone)]
pub(super) struct Copy {
    from: (usize, Box<[u8]>),
    to: (usize, Box<[u8]>),
}

impl Copy {
    /// The database and the key that is copied.
    pub(super) fn source(&self) -> (usize, &[u8]) {
        (self.from.0, &self.from.1)
    }

    /// The key that the copy gets.
    pub(super) fn target(&self) -> &[u8] {
        &self.to.1
    }

    /// The copy of an entry, whose collection has been copied before.
    pub(super) fn entry(&self, model: &Entry, object: Object) -> Entry {
        let copy = Entry::with_object(&self.to.1, object, model.expire_at());
        copy.set_access(model.access());
        copy
    }

    /// Puts the copy in its place.
    pub(super) fn put(&self, shard: &mut Shard, copy: Entry) {
        let (db, key) = (self.to.0, &self.to.1);
        if let Some(old) = shard.take(db, key) {
            // Redis deletes it first, so the copy is a new key; that is no event.
            shard.discard(old);
        }
        shard.add(db, copy, event::COPY_TO);
    }
}

/// The same value, encoding included, and expiry time under another key.
fn duplicate(entry: &Entry, key: &[u8]) -> Result<Entry, OutOfMemory> {
    let empty = StrValue::Bytes(b"");
    let Some(value) = entry.string() else {
        return Ok(entry.clone().with_key(key));
    };
    match value {
        // Appending is what makes a value raw. It also asks for a large buffer in a way that may be refused.
        ValueRef::Bytes(bytes) if entry.is_raw() || bytes.len() > INLINE_MAX => {
            let mut copy = Entry::try_new(key, empty, entry.expire_at())?;
            copy.append(bytes)?;
            Ok(copy)
        }
        value => Entry::try_new(key, value.into(), entry.expire_at()),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn copies_value_lifetime_and_encoding() {
        let mut rig = Rig::new();
        rig.check(&[
            ("COPY a b", "0"),
            ("SET a 12 EX 100", "OK"),
            ("COPY a b", "1"),
            ("OBJECT ENCODING b", "\"int\""),
            ("TTL b", "100"),
            ("APPEND a x", "3"),
            ("COPY a b", "0"),
            ("COPY a b replace", "1"),
            ("GET b", "\"12x\""),
            ("OBJECT ENCODING b", "\"raw\""),
            ("COPY a a DB 1", "1"),
            ("COPY a a DB 1", "0"),
            ("COPY a c DB 0 REPLACE DB 1", "1"),
            ("EXISTS c", "0"),
            ("DBSIZE", "2"),
        ]);
        rig.db = 1;
        rig.check(&[("MGET a c", "[\"12x\" \"12x\"]"), ("PTTL a", "100000")]);
    }

    #[test]
    fn refuses() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a 1", "OK"),
            (
                "COPY a a",
                "ERR source and destination objects are the same",
            ),
            (
                "COPY none none REPLACE",
                "ERR source and destination objects are the same",
            ),
            ("COPY a b DB", "ERR syntax error"),
            ("COPY a b foo", "ERR syntax error"),
            ("COPY a b DB 16", "ERR DB index is out of range"),
            (
                "COPY a b DB x",
                "ERR value is not an integer or out of range",
            ),
        ]);
    }
}
