//! Reading entries of several streams, for nobody in particular or for a consumer of a group. Many entries are read in slices while the keys stay
//! locked.

use std::ops::Bound;

use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered, Part, Proto, Reply};
use tessera_core::stream::{Entries, Group, Stream, StreamId};

use super::{ENTRIES_AT_ONCE, reply_entry, reply_id};
use crate::command::Task;
use crate::shard::Shard;
use crate::shard::event;

/// What is wanted of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Entries behind this id.
    After(StreamId),
    /// Entries that the group did not get yet.
    New,
    /// Entries behind this id that the consumer still has to acknowledge.
    History(StreamId),
}

/// A stream and what is wanted of it.
pub(super) struct Source {
    pub(super) key: Box<[u8]>,
    pub(super) wanted: Wanted,
}

/// For whom entries are read.
pub(super) struct Reader {
    pub(super) group: Box<[u8]>,
    pub(super) consumer: Box<[u8]>,
    /// NOACK: entries do not become pending.
    pub(super) skips_pending: bool,
}

/// How far the stream under way has been read.
struct Progress {
    /// Where to go on.
    start: StreamId,
    /// Entries still wanted.
    left: u64,
    found: usize,
    /// Its part of the reply.
    part: Part,
}

/// A read, and how far it got.
pub(super) struct ReadTask {
    db: usize,
    proto: Proto,
    sources: Vec<Source>,
    reader: Option<Reader>,
    /// Most entries of a stream.
    count: u64,
    /// The stream that is being read.
    at: usize,
    progress: Option<Progress>,
    /// Streams with something to return, and their replies.
    served: usize,
    body: Gathered,
}

/// What stands before the streams that have something to return.
fn head(reply: &mut Reply<'_>, served: usize) {
    match reply.proto() {
        Proto::Resp2 => reply.array(served),
        Proto::Resp3 => reply.map(served),
    }
}

/// What stands before the entries of a stream.
fn stream_head(reply: &mut Reply<'_>, key: &[u8], found: usize) {
    if reply.proto() == Proto::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
    reply.array(found);
}

impl ReadTask {
    /// A read of at most `count` entries of each stream, or of all if that is 0.
    pub(super) fn new(
        db: usize,
        proto: Proto,
        sources: Vec<Source>,
        reader: Option<Reader>,
        count: u64,
    ) -> Self {
        let body = Gathered::expecting_head(proto, |reply| head(reply, sources.len()));
        ReadTask {
            db,
            proto,
            sources,
            reader,
            count: if count == 0 { u64::MAX } else { count },
            at: 0,
            progress: None,
            served: 0,
            body,
        }
    }

    /// Reads some more and says whether that was all.
    pub(super) fn advance(&mut self, shard: &mut Shard) -> bool {
        let mut budget = ENTRIES_AT_ONCE;
        while let Some(Source { key, wanted }) = self.sources.get(self.at) {
            let (mut progress, wanted) = (self.progress.take(), *wanted);
            let is_done = match &self.reader {
                None => {
                    let entry = shard.table(self.db).get(shard.hash(key), key);
                    let stream = entry.and_then(|entry| entry.object()).and_then(Stream::of);
                    stream.is_none_or(|stream| {
                        let body = &mut self.body;
                        let pass = &mut Pass::new(body, key, self.count, &mut budget, 0);
                        pass.plain(&stream.entries, wanted, &mut progress)
                    })
                }
                Some(reader) => {
                    let (count, now_ms, body) = (self.count, shard.now_ms, &mut self.body);
                    let mut is_new = false;
                    let done = shard.change_object(self.db, key, |stream: &mut Stream| {
                        let mut pass = Pass::new(body, key, count, &mut budget, now_ms);
                        let done = pass.for_group(stream, reader, wanted, &mut progress);
                        is_new = pass.has_new_consumer;
                        done
                    });
                    if is_new {
                        let words: [&[u8]; 5] = [
                            b"XGROUP",
                            b"CREATECONSUMER",
                            key,
                            &reader.group,
                            &reader.consumer,
                        ];
                        shard.tell_besides(self.db, &words);
                        shard.note(self.db, key, event::XGROUP_CREATECONSUMER);
                    }
                    // One that finds nothing must not wake those who wait, itself among them.
                    if progress.is_some() {
                        shard.changed(self.db, key);
                    }
                    done.ok().flatten().unwrap_or(true)
                }
            };
            if !is_done {
                self.progress = progress;
                return false;
            }
            if let Some(Progress { part, found, .. }) = progress {
                self.body
                    .close(part, |reply| stream_head(reply, key, found));
                self.served += 1;
            }
            self.at += 1;
        }
        true
    }

    /// Whether no stream had anything to return.
    pub(super) fn has_nothing(&self) -> bool {
        self.served == 0
    }

    /// The streams, and what is wanted of each.
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Writes the reply.
    pub(super) fn finish(&self, reply: &mut Reply<'_>) {
        if self.has_nothing() {
            return reply.null_array();
        }
        head(reply, self.served);
        self.body.append_to(reply);
    }
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.advance(shard);
        if is_done && self.has_nothing() {
            Reply::new(reply.tail(), self.proto).null_array();
        } else if is_done {
            let served = self.served;
            self.body.finish(reply, |reply| head(reply, served));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

/// One slice's work on one stream. The functions say whether the stream is done.
struct Pass<'a> {
    /// The reply, and the key that its part is named after.
    body: &'a mut Gathered,
    key: &'a [u8],
    count: u64,
    budget: &'a mut usize,
    now_ms: u64,
    /// Whether it has made the consumer.
    has_new_consumer: bool,
}

impl<'a> Pass<'a> {
    fn new(
        body: &'a mut Gathered,
        key: &'a [u8],
        count: u64,
        budget: &'a mut usize,
        now_ms: u64,
    ) -> Self {
        Pass {
            body,
            key,
            count,
            budget,
            now_ms,
            has_new_consumer: false,
        }
    }

    /// Begins behind an id, in a stream of so many entries.
    fn begin(&mut self, after: StreamId, entries_len: usize) -> Progress {
        let expected = usize::try_from(self.count).map_or(entries_len, |it| it.min(entries_len));
        let key = self.key;
        Progress {
            start: after.next().unwrap_or(StreamId::MAX),
            left: self.count,
            found: 0,
            part: self.body.open(|reply| stream_head(reply, key, expected)),
        }
    }

    /// Reads for nobody in particular. A stream without anything new is not part of the reply.
    fn plain(
        &mut self,
        entries: &Entries,
        wanted: Wanted,
        progress: &mut Option<Progress>,
    ) -> bool {
        if progress.is_none() {
            let (Wanted::After(id) | Wanted::History(id)) = wanted else {
                return true;
            };
            if entries.last_live().is_none_or(|last| last <= id) {
                return true;
            }
            *progress = Some(self.begin(id, entries.len()));
        }
        let progress = progress.as_mut().expect("it was set just now");
        self.entries(entries, progress, |_| {})
    }

    /// Writes entries until the budget, the count or the stream ends.
    fn entries(
        &mut self,
        entries: &Entries,
        progress: &mut Progress,
        mut note: impl FnMut(StreamId),
    ) -> bool {
        let wanted = progress.left.min(*self.budget as u64) as usize;
        let (mut count, mut last) = (0, None);
        self.body.write(|reply| {
            for entry in entries.range(progress.start, StreamId::MAX).take(wanted) {
                reply_entry(reply, &entry);
                note(entry.id);
                count += 1;
                last = Some(entry.id);
            }
        });
        self.end(progress, count, wanted, last)
    }

    fn end(
        &mut self,
        progress: &mut Progress,
        count: usize,
        wanted: usize,
        last: Option<StreamId>,
    ) -> bool {
        progress.found += count;
        progress.left -= count as u64;
        *self.budget -= count;
        match last.map(StreamId::next) {
            Some(Some(next)) => progress.start = next,
            Some(None) => return true,
            None => {}
        }
        progress.left == 0 || count < wanted
    }

    /// Reads for a consumer, which is created if need be.
    fn for_group(
        &mut self,
        stream: &mut Stream,
        reader: &Reader,
        wanted: Wanted,
        progress: &mut Option<Progress>,
    ) -> bool {
        let Stream { entries, groups } = stream;
        let done = groups.change(&reader.group, |group| {
            let (number, is_new) = group.consumer_or_new(&reader.consumer, self.now_ms);
            self.has_new_consumer |= is_new;
            if let Some(consumer) = group.consumer_mut(number) {
                consumer.seen_ms = self.now_ms;
            }
            if progress.is_none() {
                *progress = match wanted {
                    Wanted::After(id) | Wanted::History(id) => Some(self.begin(id, entries.len())),
                    Wanted::New => {
                        let after = group.last_id;
                        let has_new = entries.last_live().is_some_and(|last| last > after);
                        has_new.then(|| self.begin(after, entries.len()))
                    }
                };
            }
            match progress {
                None => true,
                Some(progress) if wanted == Wanted::New => {
                    self.new_entries(entries, group, number, reader, progress)
                }
                Some(progress) => self.history(entries, group, number, progress),
            }
        });
        done.unwrap_or(true)
    }

    /// Gives the consumer entries that the group did not get yet.
    fn new_entries(
        &mut self,
        entries: &Entries,
        group: &mut Group,
        number: u32,
        reader: &Reader,
        progress: &mut Progress,
    ) -> bool {
        let (now_ms, before) = (self.now_ms, progress.found);
        let is_done = self.entries(entries, progress, |id| {
            if id > group.last_id {
                entries.note_read(group, id);
            }
            if !reader.skips_pending {
                group.assign(id, number, now_ms, 1);
            }
        });
        if progress.found > before
            && !reader.skips_pending
            && let Some(consumer) = group.consumer_mut(number)
        {
            consumer.active_ms = Some(now_ms);
        }
        is_done
    }

    /// Gives the consumer again what it did not acknowledge; entries that are gone have no fields.
    fn history(
        &mut self,
        entries: &Entries,
        group: &mut Group,
        number: u32,
        progress: &mut Progress,
    ) -> bool {
        let wanted = progress.left.min(*self.budget as u64) as usize;
        let Some(consumer) = group.consumer(number) else {
            return true;
        };
        let range = (Bound::Included(progress.start), Bound::Unbounded);
        let ids: Vec<StreamId> = consumer
            .pending()
            .range(range)
            .take(wanted)
            .copied()
            .collect();
        let now_ms = self.now_ms;
        self.body.write(|reply| {
            for &id in &ids {
                if let Some(entry) = entries.get(id) {
                    reply_entry(reply, &entry);
                    group.redeliver(id, now_ms);
                } else {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            }
        });
        self.end(progress, ids.len(), wanted, ids.last().copied())
    }
}
