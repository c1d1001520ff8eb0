//! XINFO STREAM FULL: entries, groups, pending entries and consumers of a stream. Many are written in slices while the key stays locked.

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered, Reply};
use tessera_core::stream::{Consumer, Group, Stream, StreamId};

use super::info::{head, number, progress};
use super::{ENTRIES_AT_ONCE, reply_entry, reply_id};
use crate::command::{Cx, Task};
use crate::shard::Shard;

/// Replies with all there is to know, and at most `count` entries of each kind.
pub(super) fn reply(cx: &mut Cx<'_>, key: &[u8], count: usize) {
    const FIELDS: usize = 9;
    let Ok(Some(stream)) = cx.shard.read_object::<Stream>(cx.db, key) else {
        return;
    };
    let mut task = FullTask {
        db: cx.db,
        key: key.into(),
        count,
        stage: Some(Stage::Entries {
            from: StreamId::MIN,
            left: stream.entries.len().min(count),
        }),
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    task.gathered.write(|reply| {
        head(reply, stream, FIELDS);
        reply.bulk(b"entries");
        reply.array(stream.entries.len().min(count));
    });
    if task.write_some(stream) {
        task.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(task));
    }
}

/// What comes next.
enum Stage {
    Entries {
        from: StreamId,
        left: usize,
    },
    /// The group behind this one.
    Group(Option<Box<[u8]>>),
    /// Pending entries of a group.
    Pending {
        group: Box<[u8]>,
        from: StreamId,
        left: usize,
    },
    /// The consumer of a group behind this one.
    Consumer {
        group: Box<[u8]>,
        after: Option<Box<[u8]>>,
    },
    /// Pending entries of a consumer.
    Owned {
        group: Box<[u8]>,
        consumer: Box<[u8]>,
        from: StreamId,
        left: usize,
    },
}

/// A description under way.
struct FullTask {
    db: usize,
    key: Box<[u8]>,
    count: usize,
    /// There until all is written.
    stage: Option<Stage>,
    gathered: Gathered,
}

impl FullTask {
    /// Writes some more and says whether that was all.
    fn write_some(&mut self, stream: &Stream) -> bool {
        let (count, mut budget) = (self.count, ENTRIES_AT_ONCE);
        while budget > 0
            && let Some(stage) = self.stage.take()
        {
            self.stage = self
                .gathered
                .write(|reply| stage.write(reply, stream, count, &mut budget));
        }
        self.stage.is_none() || self.gathered.is_refused()
    }
}

impl Stage {
    /// Writes some of it, and takes what that was from the budget; what comes then.
    fn write(
        self,
        reply: &mut Reply<'_>,
        stream: &Stream,
        count: usize,
        budget: &mut usize,
    ) -> Option<Self> {
        match self {
            Self::Entries { from, left } => {
                let entries = stream.entries.range(from, StreamId::MAX);
                let mut next = Some(from);
                let these = left.min(*budget);
                for entry in entries.take(these) {
                    reply_entry(reply, &entry);
                    next = entry.id.next();
                }
                *budget -= these;
                match next.filter(|_| left > these) {
                    Some(from) => Some(Self::Entries {
                        from,
                        left: left - these,
                    }),
                    None => {
                        reply.bulk(b"groups");
                        reply.array(stream.groups.len());
                        Some(Self::Group(None))
                    }
                }
            }
            Self::Group(after) => {
                *budget -= 1;
                let (name, group) = stream.groups.after(after.as_deref())?;
                group_head(reply, stream, (name, group), count);
                Some(Self::Pending {
                    group: name.into(),
                    from: StreamId::MIN,
                    left: group.pending().len().min(count),
                })
            }
            Self::Pending { group, from, left } => {
                let state = stream.groups.get(&group)?;
                let next = pending(reply, state, from, left.min(*budget));
                let these = left.min(*budget);
                *budget -= these;
                Some(match next.filter(|_| left > these) {
                    Some(from) => Self::Pending {
                        group,
                        from,
                        left: left - these,
                    },
                    None => {
                        reply.bulk(b"consumers");
                        reply.array(state.consumers_len());
                        Self::Consumer { group, after: None }
                    }
                })
            }
            Self::Consumer { group, after } => {
                *budget -= 1;
                let state = stream.groups.get(&group)?;
                let Some(consumer) = state.consumer_after(after.as_deref()) else {
                    return Some(Self::Group(Some(group)));
                };
                consumer_head(reply, consumer, count);
                Some(Self::Owned {
                    group,
                    consumer: consumer.name.clone(),
                    from: StreamId::MIN,
                    left: consumer.pending().len().min(count),
                })
            }
            Self::Owned {
                group,
                consumer,
                from,
                left,
            } => {
                let state = stream.groups.get(&group)?;
                let these = left.min(*budget);
                let next = owned(reply, state, &consumer, from, these);
                *budget -= these;
                Some(match next.filter(|_| left > these) {
                    Some(from) => Self::Owned {
                        group,
                        consumer,
                        from,
                        left: left - these,
                    },
                    None => Self::Consumer {
                        group,
                        after: Some(consumer),
                    },
                })
            }
        }
    }
}

fn group_head(
    reply: &mut Reply<'_>,
    stream: &Stream,
    (name, group): (&[u8], &Group),
    count: usize,
) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    progress(reply, stream, group);
    number(reply, "pel-count", group.pending().len() as i64);
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(count));
}

/// Writes so many pending entries of a group; the id to go on with.
fn pending(reply: &mut Reply<'_>, group: &Group, from: StreamId, count: usize) -> Option<StreamId> {
    let mut next = Some(from);
    for (id, pending) in group.pending().range(from..).take(count) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).map_or(b"", |it| &it.name));
        reply.integer(pending.delivered_ms as i64);
        reply.integer(pending.deliveries as i64);
        next = id.next();
    }
    next
}

fn consumer_head(reply: &mut Reply<'_>, consumer: &Consumer, count: usize) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(&consumer.name);
    number(reply, "seen-time", consumer.seen_ms as i64);
    let active = consumer.active_ms.map_or(-1, |ms| ms as i64);
    number(reply, "active-time", active);
    number(reply, "pel-count", consumer.pending().len() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(count));
}

/// Writes so many pending entries of a consumer; the id to go on with.
fn owned(
    reply: &mut Reply<'_>,
    group: &Group,
    consumer: &[u8],
    from: StreamId,
    count: usize,
) -> Option<StreamId> {
    let consumer = group
        .find(consumer)
        .and_then(|number| group.consumer(number))?;
    let mut next = Some(from);
    for id in consumer.pending().range(from..).take(count) {
        let pending = group.pending().get(id);
        reply.array(3);
        reply_id(reply, *id);
        reply.integer(pending.map_or(0, |pending| pending.delivered_ms as i64));
        reply.integer(pending.map_or(0, |pending| pending.deliveries as i64));
        next = id.next();
    }
    next
}

impl Task for FullTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let stream = entry.and_then(|entry| entry.object()).and_then(Stream::of);
        let Some(stream) = stream else {
            // The key is locked, but its time may have come.
            Reply::new(reply.tail(), self.gathered.proto()).error("ERR no such key");
            return true;
        };
        let is_done = self.write_some(stream);
        if is_done {
            self.gathered.finish(reply, |_| {});
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
    fn many_in_slices_as_at_once() {
        let mut rig = Rig::new();
        for n in 0..3_000 {
            rig.run(&format!("XADD x {}-1 f v", n + 1));
        }
        for (group, consumer, count) in [("a", "p", 1_500), ("a", "q", 1_500), ("b", "r", 10)] {
            rig.run(&format!("XGROUP CREATE x {group} 0"));
            rig.run(&format!(
                "XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS x >"
            ));
        }
        rig.run("XGROUP CREATECONSUMER x b idle");
        let all = rig.run("XINFO STREAM x FULL COUNT 0");
        assert!(rig.slices > 6, "{}", rig.slices);
        // Every id once as an entry, and twice for each consumer that has it; the first and the last are told elsewhere, too.
        for (id, times) in [("\"1-1\"", 6), ("\"11-1\"", 3), ("\"3000-1\"", 5)] {
            assert_eq!(all.matches(id).count(), times, "{id}");
        }
        let few = rig.run("XINFO STREAM x FULL COUNT 2");
        assert_eq!(rig.slices, 0);
        assert_eq!(few.matches("\"2-1\"").count(), 5);
        assert_eq!(few.matches("\"3-1\"").count(), 0);
        for name in ["\"p\"", "\"q\"", "\"idle\""] {
            assert!(few.contains(name), "{name}");
        }
        let last = "\"pel-count\" 10 \"pending\" [[\"1-1\" 1700000000000 1] [\"2-1\" 1700000000000 1]]]]]]]";
        assert!(few.ends_with(last), "{few}");
    }
}
