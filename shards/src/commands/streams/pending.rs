//! XACK and XPENDING: entries that were delivered and not acknowledged. Many are listed in slices while the key stays locked.

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered, Reply};
use tessera_core::stream::{Group, Stream, StreamId};

use super::{ENTRIES_AT_ONCE, READS, ROW, UPDATES, ids, no_group, reply_id};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::{Shard, WrongType};

pub(super) const XACK: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xack",
        arity: -4,
        flags: flag::WRITE | flag::FAST,
        keys: UPDATES,
        summary: "Acknowledges entries: they are pending no longer.",
        complexity: "O(N log M) with N ids and M pending entries",
        ..ROW
    },
    op: op_xack,
    spread: Spread::One,
};

/// Without key and group, ids are not even looked at.
fn op_xack(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, group) = (args[1], args[2]);
    match cx.shard.read_object::<Stream>(cx.db, key) {
        Ok(Some(stream)) if stream.groups.get(group).is_some() => {}
        Ok(_) => return cx.reply.integer(0),
        Err(WrongType) => return cx.wrong_type(),
    }
    let Some(ids) = ids::ids(cx, &args[3..]) else {
        return;
    };
    let count = cx.shard.change_object(cx.db, key, |stream: &mut Stream| {
        stream.groups.change(group, |group| {
            ids.iter().filter(|id| group.acknowledge(**id)).count()
        })
    });
    let count = count.ok().flatten().flatten().unwrap_or(0);
    if count > 0 {
        cx.shard.changed(cx.db, key);
    }
    cx.reply.integer(count as i64);
}

pub(super) const XPENDING: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xpending",
        arity: -3,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        summary: "Tells which entries of a group are pending, and whose.",
        complexity: "O(N) with N entries looked at; without a range, with N consumers; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_xpending,
    spread: Spread::One,
};

/// The part of the pending entries that is asked for, as far as it is not listed yet.
struct Listing {
    db: usize,
    key: Box<[u8]>,
    group: Box<[u8]>,
    start: StreamId,
    end: StreamId,
    /// How many are still to be listed.
    left: u64,
    idle_ms_min: i64,
    consumer: Option<Box<[u8]>>,
    now_ms: u64,
    found: usize,
    gathered: Gathered,
}

impl Listing {
    fn parse(cx: &mut Cx<'_>, args: &[&[u8]]) -> Option<Self> {
        const IDLE_ARGS_MIN: usize = 5;
        let (mut rest, mut idle_ms_min) = (&args[3..], 0);
        if is(rest[0], "IDLE") {
            idle_ms_min = integer(cx, rest[1])?;
            if rest.len() < IDLE_ARGS_MIN {
                cx.error(SYNTAX);
                return None;
            }
            rest = &rest[2..];
        }
        let left = u64::try_from(integer(cx, rest[2])?).unwrap_or(0);
        Some(Listing {
            db: cx.db,
            key: args[1].into(),
            group: args[2].into(),
            start: ids::start(cx, rest[0])?,
            end: ids::end(cx, rest[1])?,
            left,
            idle_ms_min,
            consumer: rest.get(3).map(|name| Box::from(*name)),
            now_ms: cx.shard.now_ms,
            found: 0,
            gathered: Gathered::expecting(0, cx.reply.proto()),
        })
    }

    /// Lists some more and says whether that was all.
    fn list_some(&mut self, group: &Group) -> bool {
        let number = self.consumer.as_ref().map(|name| group.find(name));
        if number == Some(None) || self.start > self.end {
            return true;
        }
        let range = self.start..=self.end;
        let own = number.flatten().and_then(|number| group.consumer(number));
        let last = match own {
            Some(consumer) => self.list(group, consumer.pending().range(range)),
            None => self.list(group, group.pending().range(range).map(|(id, _)| id)),
        };
        let next = last.filter(|_| self.left > 0).and_then(StreamId::next);
        next.is_none_or(|next| {
            self.start = next;
            next > self.end
        })
    }

    /// Lists some of these; the id of the last one that was looked at, if there may be more.
    fn list<'a>(
        &mut self,
        group: &Group,
        ids: impl Iterator<Item = &'a StreamId>,
    ) -> Option<StreamId> {
        let (now_ms, idle_ms_min) = (self.now_ms as i64, self.idle_ms_min);
        let (found, left) = (&mut self.found, &mut self.left);
        let (mut looked_at, mut last) = (0, None);
        self.gathered.write(|reply| {
            for id in ids.take(ENTRIES_AT_ONCE) {
                if *left == 0 {
                    break;
                }
                (looked_at, last) = (looked_at + 1, Some(*id));
                let Some(pending) = group.pending().get(id) else {
                    continue;
                };
                let idle_ms = now_ms - pending.delivered_ms as i64;
                if idle_ms_min != 0 && idle_ms < idle_ms_min {
                    continue;
                }
                (*found, *left) = (*found + 1, *left - 1);
                reply.array(4);
                reply_id(reply, *id);
                reply.bulk(group.consumer(pending.consumer).map_or(b"", |it| &it.name));
                reply.integer(idle_ms.max(0));
                reply.integer(pending.deliveries as i64);
            }
        });
        last.filter(|_| looked_at == ENTRIES_AT_ONCE)
    }
}

impl Task for Listing {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let stream = entry.and_then(|entry| entry.object()).and_then(Stream::of);
        let group = stream.and_then(|stream| stream.groups.get(&self.group));
        let is_done = group.is_none_or(|group| self.list_some(group));
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

fn op_xpending(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !matches!(args.len(), 3 | 6..=9) {
        return cx.error(SYNTAX);
    }
    let mut listing = None;
    if args.len() > 3 {
        let Some(parsed) = Listing::parse(cx, args) else {
            return;
        };
        listing = Some(parsed);
    }
    let stream = match cx.shard.read_object::<Stream>(cx.db, args[1]) {
        Ok(stream) => stream,
        Err(WrongType) => return cx.wrong_type(),
    };
    let Some(group) = stream.and_then(|stream| stream.groups.get(args[2])) else {
        return no_group(cx, args[1], args[2]);
    };
    let Some(mut listing) = listing else {
        return summary(&mut cx.reply, group);
    };
    if listing.list_some(group) {
        cx.reply.array(listing.found);
        listing.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(listing));
    }
}

fn summary(reply: &mut Reply<'_>, group: &Group) {
    let pending = group.pending();
    reply.array(4);
    reply.integer(pending.len() as i64);
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value())
    else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    reply_id(reply, *first);
    reply_id(reply, *last);
    let (header, mut found) = (reply.deferred_array(), 0);
    for consumer in group.consumers().filter(|it| !it.pending().is_empty()) {
        found += 1;
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_integer(consumer.pending().len() as i64);
    }
    reply.set_len(header, found);
}
