//! XRANGE and XREVRANGE. Many entries are read in slices while the key stays locked.

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered};
use tessera_core::stream::{Entry, Stream, StreamId};

use super::{ENTRIES_AT_ONCE, READS, ROW, ids, reply_entry};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::{Shard, WrongType};

pub(super) const XRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xrange",
        arity: -4,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns the entries of a stream whose ids lie in a range.",
        complexity: "O(log M + N) with N entries returned of M blocks; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| read(cx, args, false),
    spread: Spread::One,
};

pub(super) const XREVRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xrevrange",
        summary: "Returns the entries of a stream whose ids lie in a range, the last one first.",
        ..XRANGE.spec
    },
    op: |cx, args| read(cx, args, true),
    spread: Spread::One,
};

fn read(cx: &mut Cx<'_>, args: &[&[u8]], is_back: bool) {
    let (start, end) = if is_back {
        (args[3], args[2])
    } else {
        (args[2], args[3])
    };
    let Some(start) = ids::start(cx, start) else {
        return;
    };
    let Some(end) = ids::end(cx, end) else {
        return;
    };
    let Some(count) = count(cx, &args[4..]) else {
        return;
    };
    let stream = match cx.shard.read_object::<Stream>(cx.db, args[1]) {
        Ok(Some(stream)) => stream,
        Ok(None) => return cx.reply.array(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    if count == 0 {
        return cx.reply.null_array();
    }
    let mut task = RangeTask {
        db: cx.db,
        key: Box::default(),
        start,
        end,
        is_back,
        left: count,
        found: 0,
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    if task.read_some(stream) {
        cx.reply.array(task.found);
        task.gathered.append_to(&mut cx.reply);
    } else {
        task.key = args[1].into();
        cx.task = Some(Box::new(task));
    }
}

/// COUNT: how many entries are wanted at most.
fn count(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<u64> {
    let (mut count, mut rest) = (u64::MAX, args);
    while let [word, more @ ..] = rest {
        let [number, more @ ..] = more else {
            cx.error(SYNTAX);
            return None;
        };
        if !is(word, "COUNT") {
            cx.error(SYNTAX);
            return None;
        }
        count = u64::try_from(integer(cx, number)?).unwrap_or(0);
        rest = more;
    }
    Some(count)
}

/// A range that is being read.
struct RangeTask {
    db: usize,
    key: Box<[u8]>,
    /// What is left of the range.
    start: StreamId,
    end: StreamId,
    is_back: bool,
    /// Entries still wanted.
    left: u64,
    found: usize,
    /// What has been read, as replies.
    gathered: Gathered,
}

impl RangeTask {
    /// Reads some more and says whether that was all.
    fn read_some(&mut self, stream: &Stream) -> bool {
        let (entries, start, end) = (&stream.entries, self.start, self.end);
        let last = if self.is_back {
            self.take(entries.range_back(start, end))
        } else {
            self.take(entries.range(start, end))
        };
        let Some(last) = last.filter(|_| self.left > 0) else {
            return true;
        };
        let next = if self.is_back {
            last.prev().map(|id| self.end = id)
        } else {
            last.next().map(|id| self.start = id)
        };
        next.is_none() || self.start > self.end
    }

    /// Writes entries; the id of the last one, if there may be more.
    fn take<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) -> Option<StreamId> {
        let wanted = self.left.min(ENTRIES_AT_ONCE as u64) as usize;
        let (mut count, mut last) = (0, None);
        self.gathered.write(|reply| {
            for entry in entries.take(wanted) {
                reply_entry(reply, &entry);
                count += 1;
                last = Some(entry.id);
            }
        });
        self.found += count;
        self.left -= count as u64;
        last.filter(|_| count == wanted)
    }
}

impl Task for RangeTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let stream = entry.and_then(|entry| entry.object()).and_then(Stream::of);
        let is_done = stream.is_none_or(|stream| self.read_some(stream));
        if is_done {
            let found = self.found;
            self.gathered.finish(reply, |reply| reply.array(found));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
