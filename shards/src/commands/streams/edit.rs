//! XLEN, XDEL and XSETID. XDEL of many ids goes in slices while its key stays locked.

use tessera_core::resp::{Chain, Proto, Reply};
use tessera_core::stream::{Stream, StreamId};

use super::ids::{id, ids};
use super::{DELETES, ROW, UPDATES};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const XLEN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xlen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::range(access::RO, 1, 0, 1)],
        summary: "Returns the number of entries of a stream.",
        ..ROW
    },
    op: op_xlen,
    spread: Spread::One,
};

fn op_xlen(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match cx.shard.read_object::<Stream>(cx.db, args[1]) {
        Ok(stream) => cx.reply.integer(stream.map_or(0, Stream::len) as i64),
        Err(WrongType) => cx.wrong_type(),
    }
}

pub(super) const XDEL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xdel",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: DELETES,
        summary: "Removes entries of a stream by their ids.",
        complexity: "O(N log M) with N ids and M blocks of entries",
        ..ROW
    },
    op: op_xdel,
    spread: Spread::One,
};

/// Without the key, ids are not even looked at.
fn op_xdel(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    match cx.shard.check_object::<Stream>(cx.db, key) {
        Ok(true) => {}
        Ok(false) => return cx.reply.integer(0),
        Err(WrongType) => return cx.wrong_type(),
    }
    let Some(ids) = ids(cx, &args[2..]) else {
        return;
    };
    if ids.len() > IDS_AT_ONCE {
        cx.task = Some(Box::new(Deletion {
            db: cx.db,
            key: key.into(),
            left: ids,
            deleted: 0,
            proto: cx.reply.proto(),
        }));
        return;
    }
    let deleted = delete(cx.shard, cx.db, key, &ids);
    if deleted > 0 {
        cx.shard.changed_by(cx.db, key, event::XDEL);
    }
    cx.reply.integer(deleted as i64);
}

/// Ids whose entries are removed at once. To remove one takes a walk through its block, a few microseconds.
const IDS_AT_ONCE: usize = 128;

/// Removes entries; how many there were. Reports no change.
fn delete(shard: &mut Shard, db: usize, key: &[u8], ids: &[StreamId]) -> usize {
    let deleted = shard.change_object(db, key, |stream: &mut Stream| {
        ids.iter().filter(|id| stream.entries.delete(**id)).count()
    });
    deleted.ok().flatten().unwrap_or(0)
}

/// An XDEL of many ids.
struct Deletion {
    db: usize,
    key: Box<[u8]>,
    /// Ids that are still to go, the next ones last.
    left: Vec<StreamId>,
    deleted: usize,
    proto: Proto,
}

impl Task for Deletion {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let next = self
            .left
            .split_off(self.left.len().saturating_sub(IDS_AT_ONCE));
        self.deleted += delete(shard, self.db, &self.key, &next);
        if !self.left.is_empty() {
            return false;
        }
        if self.deleted > 0 {
            shard.changed_by(self.db, &self.key, event::XDEL);
        }
        let mut reply = Reply::new(reply.tail(), self.proto);
        reply.integer(self.deleted as i64);
        reply.finish();
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

pub(super) const XSETID: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xsetid",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: UPDATES,
        summary: "Sets the last id of a stream and what it remembers of removed entries; for replication.",
        ..ROW
    },
    op: op_xsetid,
    spread: Spread::One,
};

/// What XSETID sets.
struct Ids {
    last: StreamId,
    added: Option<u64>,
    max_deleted: Option<StreamId>,
}

impl Ids {
    fn parse(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<Self> {
        let mut ids = Ids {
            last: id(cx, args[2])?,
            added: None,
            max_deleted: None,
        };
        let mut rest = &args[3..];
        while let [word, value, more @ ..] = rest {
            if is(word, "ENTRIESADDED") {
                ids.added = u64::try_from(integer(cx, value)?).ok();
                if ids.added.is_none() {
                    cx.error("ERR entries_added must be positive");
                    return None;
                }
            } else if is(word, "MAXDELETEDID") {
                let max_deleted = id(cx, value)?;
                if ids.last < max_deleted {
                    cx.error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
                    return None;
                }
                ids.max_deleted = Some(max_deleted);
            } else {
                break;
            }
            rest = more;
        }
        if !rest.is_empty() {
            cx.error(SYNTAX);
            return None;
        }
        Some(ids)
    }

    /// Sets them, or says why not.
    fn apply(self, stream: &mut Stream) -> Result<(), &'static str> {
        let entries = &mut stream.entries;
        if !entries.is_empty() {
            if entries.last_live().is_some_and(|top| self.last < top) {
                return Err(
                    "ERR The ID specified in XSETID is smaller than the target stream top item",
                );
            }
            if self.added.is_some_and(|added| added < entries.len() as u64) {
                return Err(
                    "ERR The entries_added specified in XSETID is smaller than the target stream length",
                );
            }
        }
        let max_deleted = self.max_deleted.filter(|id| *id != StreamId::MIN);
        entries.set_ids(self.last, self.added, max_deleted);
        Ok(())
    }
}

fn op_xsetid(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(ids) = Ids::parse(cx, args) else {
        return;
    };
    let key = args[1];
    match cx
        .shard
        .change_object(cx.db, key, |stream| ids.apply(stream))
    {
        Ok(Some(Ok(()))) => {
            cx.shard.changed_by(cx.db, key, event::XSETID);
            cx.reply.ok();
        }
        Ok(Some(Err(error))) => cx.error(error),
        Ok(None) => cx.error("ERR no such key"),
        Err(WrongType) => cx.wrong_type(),
    }
}
