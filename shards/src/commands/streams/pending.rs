//! XACK and XPENDING: entries that were delivered and not acknowledged.

use tessera_core::resp::Reply;
use tessera_core::stream::{Group, Stream, StreamId};

use super::{READS, ROW, UPDATES, ids, no_group, reply_id};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::WrongType;

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
        complexity: "O(N) with N entries looked at; without a range, with N consumers",
        ..ROW
    },
    op: op_xpending,
    spread: Spread::One,
};

/// The part of the pending entries that is asked for.
struct Part<'a> {
    start: StreamId,
    end: StreamId,
    count: u64,
    idle_ms_min: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Part<'a> {
    fn parse(cx: &mut Cx<'_>, args: &[&'a [u8]]) -> Option<Self> {
        const IDLE_ARGS_MIN: usize = 5;
        let (mut rest, mut idle_ms_min) = (args, 0);
        if is(args[0], "IDLE") {
            idle_ms_min = integer(cx, args[1])?;
            if args.len() < IDLE_ARGS_MIN {
                cx.error(SYNTAX);
                return None;
            }
            rest = &args[2..];
        }
        let count = u64::try_from(integer(cx, rest[2])?).unwrap_or(0);
        Some(Part {
            start: ids::start(cx, rest[0])?,
            end: ids::end(cx, rest[1])?,
            count,
            idle_ms_min,
            consumer: rest.get(3).copied(),
        })
    }

    fn reply(&self, reply: &mut Reply<'_>, group: &Group, now_ms: u64) {
        let number = self.consumer.map(|name| group.find(name));
        if number == Some(None) || self.start > self.end {
            return reply.array(0);
        }
        let own = number.flatten().and_then(|number| group.consumer(number));
        let ids: Box<dyn Iterator<Item = &StreamId>> = match own {
            Some(consumer) => Box::new(consumer.pending().range(self.start..=self.end)),
            None => Box::new(
                group
                    .pending()
                    .range(self.start..=self.end)
                    .map(|(id, _)| id),
            ),
        };
        let (header, mut found) = (reply.deferred_array(), 0);
        for id in ids {
            let Some(pending) = group.pending().get(id) else {
                continue;
            };
            let idle_ms = now_ms as i64 - pending.delivered_ms as i64;
            if found as u64 == self.count {
                break;
            }
            if self.idle_ms_min != 0 && idle_ms < self.idle_ms_min {
                continue;
            }
            found += 1;
            reply.array(4);
            reply_id(reply, *id);
            reply.bulk(group.consumer(pending.consumer).map_or(b"", |it| &it.name));
            reply.integer(idle_ms.max(0));
            reply.integer(pending.deliveries as i64);
        }
        reply.set_len(header, found);
    }
}

fn op_xpending(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !matches!(args.len(), 3 | 6..=9) {
        return cx.error(SYNTAX);
    }
    let mut part = None;
    if args.len() > 3 {
        let Some(parsed) = Part::parse(cx, &args[3..]) else {
            return;
        };
        part = Some(parsed);
    }
    let now_ms = cx.shard.now_ms;
    let stream = match cx.shard.read_object::<Stream>(cx.db, args[1]) {
        Ok(stream) => stream,
        Err(WrongType) => return cx.wrong_type(),
    };
    match (stream.and_then(|stream| stream.groups.get(args[2])), part) {
        (None, _) => no_group(cx, args[1], args[2]),
        (Some(group), None) => summary(&mut cx.reply, group),
        (Some(group), Some(part)) => part.reply(&mut cx.reply, group, now_ms),
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
