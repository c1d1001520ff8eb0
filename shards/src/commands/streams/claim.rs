//! XCLAIM and XAUTOCLAIM: pending entries that get another consumer. A long XAUTOCLAIM goes on in slices while its key stays locked.

use std::ops::Bound;

use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Gathered, Reply};
use tessera_core::stream::{Entries, Group, Pending, Stream, StreamId};

use super::{
    DELETES, ENTRIES_AT_ONCE, ROW, UPDATES, change_group, ids, no_group, reply_entry, reply_id,
};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, is};
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const XCLAIM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xclaim",
        arity: -6,
        flags: flag::WRITE | flag::FAST,
        keys: UPDATES,
        tips: &["nondeterministic_output"],
        summary: "Gives pending entries to another consumer, as if they had been delivered to it.",
        complexity: "O(N log M) with N ids and M pending entries",
        ..ROW
    },
    op: op_xclaim,
    spread: Spread::One,
};

/// An integer with an error of its own.
fn number(cx: &mut Cx<'_>, arg: &[u8], error: &str) -> Option<i64> {
    let number = parse_i64(arg);
    if number.is_none() {
        cx.error(error);
    }
    number
}

/// How entries are claimed.
struct Claim {
    idle_ms_min: i64,
    /// The time of delivery that the entries get.
    delivered_ms: u64,
    /// The number of deliveries that they get; otherwise one more.
    deliveries: Option<u64>,
    /// Entries that nobody has are claimed, too.
    is_forced: bool,
    /// Only ids are returned, and not counted as delivered.
    only_ids: bool,
    /// Up to where the group has read at least.
    last_id: StreamId,
}

impl Claim {
    fn new(idle_ms_min: i64, now_ms: u64) -> Self {
        Claim {
            idle_ms_min: idle_ms_min.max(0),
            delivered_ms: now_ms,
            deliveries: None,
            is_forced: false,
            only_ids: false,
            last_id: StreamId::MIN,
        }
    }

    fn parse(cx: &mut Cx<'_>, mut rest: &[&[u8]], idle_ms_min: i64) -> Option<Self> {
        let now_ms = cx.shard.wall_ms();
        let mut claim = Claim::new(idle_ms_min, now_ms);
        // A time that cannot be is the present one: clients compute it, and their clocks differ.
        let wall_ms = cx.shard.wall_ms();
        let sane = |ms: i64| u64::try_from(ms).map_or(wall_ms, |ms| ms.min(wall_ms));
        while let [word, more @ ..] = rest {
            rest = match more {
                _ if is(word, "FORCE") => {
                    claim.is_forced = true;
                    more
                }
                _ if is(word, "JUSTID") => {
                    claim.only_ids = true;
                    more
                }
                [arg, more @ ..] if is(word, "IDLE") => {
                    let idle = number(cx, arg, "ERR Invalid IDLE option argument for XCLAIM")?;
                    claim.delivered_ms = sane((now_ms as i64).wrapping_sub(idle));
                    more
                }
                [arg, more @ ..] if is(word, "TIME") => {
                    let time = number(cx, arg, "ERR Invalid TIME option argument for XCLAIM")?;
                    claim.delivered_ms = sane(time);
                    more
                }
                [arg, more @ ..] if is(word, "RETRYCOUNT") => {
                    let error = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                    claim.deliveries = u64::try_from(number(cx, arg, error)?).ok();
                    more
                }
                [arg, more @ ..] if is(word, "LASTID") => {
                    claim.last_id = ids::id(cx, arg)?;
                    more
                }
                _ => {
                    let text = [b"ERR Unrecognized XCLAIM option '", *word, b"'"];
                    cx.error(text.concat());
                    return None;
                }
            };
        }
        Some(claim)
    }

    /// Gives a pending entry, or one that nobody has, to a consumer. Says whether it did.
    fn take(
        &self,
        group: &mut Group,
        id: StreamId,
        old: Option<Pending>,
        consumer: u32,
        now_ms: u64,
    ) -> bool {
        let idle_ms = old.map(|old| now_ms as i64 - old.delivered_ms as i64);
        if self.idle_ms_min > 0 && idle_ms.is_some_and(|idle_ms| idle_ms < self.idle_ms_min) {
            return false;
        }
        // One that nobody had counts as delivered once.
        let before = old.map_or(1, |old| old.deliveries);
        let raised = before.wrapping_add(u64::from(!self.only_ids));
        group.assign(
            id,
            consumer,
            self.delivered_ms,
            self.deliveries.unwrap_or(raised),
        );
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.active_ms = Some(now_ms);
        }
        true
    }

    /// Writes an entry that was claimed.
    fn reply(&self, reply: &mut Reply<'_>, entries: &Entries, id: StreamId) {
        match entries.get(id) {
            Some(entry) if !self.only_ids => reply_entry(reply, &entry),
            _ => reply_id(reply, id),
        }
    }
}

/// The number of a consumer that asks for entries; it is created if need be.
fn claimant(group: &mut Group, name: &[u8], now_ms: u64) -> (u32, bool) {
    let (number, is_new) = group.consumer_or_new(name, now_ms);
    if let Some(consumer) = group.consumer_mut(number) {
        consumer.seen_ms = now_ms;
    }
    (number, is_new)
}

/// Tells of a consumer that was made by claiming.
fn note_consumer(cx: &mut Cx<'_>, key: &[u8], is_new: bool) {
    if is_new {
        cx.shard.note(cx.db, key, event::XGROUP_CREATECONSUMER);
    }
}

fn op_xclaim(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, group, now_ms) = (args[1], args[2], cx.shard.wall_ms());
    match cx.shard.read_object::<Stream>(cx.db, key) {
        Ok(Some(stream)) if stream.groups.get(group).is_some() => {}
        Ok(_) => return no_group(cx, key, group),
        Err(WrongType) => return cx.wrong_type(),
    }
    let error = "ERR Invalid min-idle-time argument for XCLAIM";
    let Some(idle_ms_min) = number(cx, args[4], error) else {
        return;
    };
    // The first argument that is no id begins the options.
    let parsed = args[5..].iter().map_while(|arg| StreamId::parse(arg, 0));
    let ids: Vec<StreamId> = parsed.collect();
    let Some(claim) = Claim::parse(cx, &args[5 + ids.len()..], idle_ms_min) else {
        return;
    };
    let mut bulks = Vec::new();
    let mut reply = Reply::new(&mut bulks, cx.reply.proto());
    let mut is_new = false;
    let found = change_group(cx, key, group, |Stream { entries, groups }| {
        groups.change(group, |group| {
            group.last_id = group.last_id.max(claim.last_id);
            let consumer;
            (consumer, is_new) = claimant(group, args[3], now_ms);
            let mut found = 0;
            for &id in &ids {
                let old = group.pending().get(&id).copied();
                if entries.get(id).is_none() {
                    group.acknowledge(id);
                } else if (old.is_some() || claim.is_forced)
                    && claim.take(group, id, old, consumer, now_ms)
                {
                    claim.reply(&mut reply, entries, id);
                    found += 1;
                }
            }
            found
        })
    });
    if let Some(found) = found {
        note_consumer(cx, key, is_new);
        cx.shard.changed(cx.db, key);
        cx.reply.array(found);
        cx.reply.raw(&bulks);
    }
}

pub(super) const XAUTOCLAIM: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "xautoclaim",
        arity: -6,
        flags: flag::WRITE | flag::FAST,
        keys: DELETES,
        tips: &["nondeterministic_output"],
        since: "6.2.0",
        summary: "Gives entries that have been pending for long to another consumer, and a cursor to go on with.",
        complexity: "O(N) with a COUNT of N; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_xautoclaim,
    spread: Spread::One,
};

/// Entries that are claimed unless told otherwise.
const USUAL_COUNT: i64 = 100;
/// Entries looked at per entry that is wanted.
const LOOKS_PER_ENTRY: u64 = 10;

/// COUNT and JUSTID.
fn options(cx: &mut Cx<'_>, mut rest: &[&[u8]]) -> Option<(i64, bool)> {
    const COUNT_MAX: i64 = i64::MAX / 16;
    let (mut count, mut only_ids) = (USUAL_COUNT, false);
    while let [word, more @ ..] = rest {
        rest = match more {
            [arg, more @ ..] if is(word, "COUNT") => {
                let error = "ERR COUNT must be > 0";
                count = number(cx, arg, error)?;
                if !(1..=COUNT_MAX).contains(&count) {
                    cx.error(error);
                    return None;
                }
                more
            }
            _ if is(word, "JUSTID") => {
                only_ids = true;
                more
            }
            _ => {
                cx.error(SYNTAX);
                return None;
            }
        };
    }
    Some((count, only_ids))
}

fn op_xautoclaim(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, group, now_ms) = (args[1], args[2], cx.shard.wall_ms());
    let error = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    let Some(idle_ms_min) = number(cx, args[4], error) else {
        return;
    };
    let Some(start) = ids::start(cx, args[5]) else {
        return;
    };
    let Some((count, only_ids)) = options(cx, &args[6..]) else {
        return;
    };
    let mut claim = Claim::new(idle_ms_min, now_ms);
    claim.only_ids = only_ids;
    let found = change_group(cx, key, group, |Stream { groups, .. }| {
        groups.change(group, |group| {
            let (consumer, is_new) = claimant(group, args[3], now_ms);
            (consumer, is_new, group.pending().len())
        })
    });
    let Some((consumer, is_new, pending)) = found else {
        return;
    };
    note_consumer(cx, key, is_new);
    let mut sweep = Sweep {
        db: cx.db,
        key: key.into(),
        group: group.into(),
        claim,
        consumer,
        from: Bound::Included(start),
        left: count as u64,
        looks: count as u64 * LOOKS_PER_ENTRY,
        cursor: StreamId::MIN,
        claimed: 0,
        gone: Vec::new(),
        gathered: Gathered::expecting_head(cx.reply.proto(), |head| {
            sweep_head(head, StreamId::MIN, pending.min(count as usize));
        }),
    };
    if sweep.go_on(cx.shard) {
        sweep.end(cx.shard);
        sweep_head(&mut cx.reply, sweep.cursor, sweep.claimed);
        sweep.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(sweep));
    }
}

/// What XAUTOCLAIM replies with before the entries.
fn sweep_head(reply: &mut Reply<'_>, cursor: StreamId, claimed: usize) {
    reply.array(3);
    reply_id(reply, cursor);
    reply.array(claimed);
}

/// An XAUTOCLAIM that goes over the pending entries of a locked key.
struct Sweep {
    db: usize,
    key: Box<[u8]>,
    group: Box<[u8]>,
    claim: Claim,
    consumer: u32,
    from: Bound<StreamId>,
    /// Entries still wanted, and how many are still looked at.
    left: u64,
    looks: u64,
    /// Where the next call goes on.
    cursor: StreamId,
    claimed: usize,
    /// Pending entries that were gone.
    gone: Vec<StreamId>,
    gathered: Gathered,
}

impl Sweep {
    /// Looks at some more and says whether that was all.
    fn go_on(&mut self, shard: &mut Shard) -> bool {
        let (db, key, name) = (self.db, self.key.clone(), self.group.clone());
        let is_done = shard.change_object(db, &key, |Stream { entries, groups }: &mut Stream| {
            groups.change(&name, |group| {
                (0..ENTRIES_AT_ONCE).any(|_| !self.look(group, entries))
            })
        });
        is_done.ok().flatten().flatten().unwrap_or(true)
    }

    /// Looks at the next pending entry. Says false if there is none, or enough were looked at.
    fn look(&mut self, group: &mut Group, entries: &Entries) -> bool {
        let next = group.pending().range((self.from, Bound::Unbounded)).next();
        let Some((&id, &old)) = next else {
            return false;
        };
        if self.looks == 0 || self.left == 0 {
            self.cursor = id;
            return false;
        }
        self.looks -= 1;
        self.from = Bound::Excluded(id);
        let claim = &self.claim;
        if entries.get(id).is_none() {
            group.acknowledge(id);
            self.gone.push(id);
            self.left -= 1;
        } else if claim.take(group, id, Some(old), self.consumer, claim.delivered_ms) {
            self.gathered.write(|reply| claim.reply(reply, entries, id));
            self.claimed += 1;
            self.left -= 1;
        }
        true
    }

    /// Tells of the changes, and writes what stands behind the entries.
    fn end(&mut self, shard: &mut Shard) {
        let gone = &self.gone;
        if !gone.is_empty() {
            let shown: Vec<Vec<u8>> = gone.iter().map(|id| id.to_string().into_bytes()).collect();
            let mut record: Vec<&[u8]> = vec![b"XACK", &self.key, &self.group];
            record.extend(shown.iter().map(|id| &**id));
            shard.tell_besides(self.db, &record);
        }
        shard.changed(self.db, &self.key);
        self.gathered.write(|reply| {
            reply.array(gone.len());
            for id in gone {
                reply_id(reply, *id);
            }
        });
    }
}

impl Task for Sweep {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.go_on(shard);
        if is_done {
            self.end(shard);
            let (cursor, claimed) = (self.cursor, self.claimed);
            self.gathered
                .finish(reply, |reply| sweep_head(reply, cursor, claimed));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}
