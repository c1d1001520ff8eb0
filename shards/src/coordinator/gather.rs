//! Gathers: commands whose reply is made of several shards' replies.
//!
//! A gather waits on the coordinator until each part has come, then merges them and answers the client. Parts are numbered by shard.

use std::sync::Arc;

use tessera_core::resp::{Chain, OK, Proto, Reply, skip_reply};
use tessera_io::ConnId;

use crate::command::Merge;
use crate::coordinator::deal::merge_program;
use crate::coordinator::engine::{Asker, Engine, Submitted, refused};
use crate::coordinator::payload::Said;
use crate::coordinator::plan::Plan;
use crate::coordinator::route::{Places, owner};
use crate::coordinator::scan::ScanState;
use crate::mesh::{CallFn, Origin, Parcel, RequestHead, Route};
use crate::shard::Rng;

/// Makes one reply of what the shards said.
pub type MergeFn = Box<dyn FnOnce(Vec<Vec<u8>>, &mut Reply<'_>)>;

/// How the parts become a reply.
pub(super) enum Merging {
    /// As the command's row says; for `Interleave` with the shard of each key.
    Rows(Merge, Vec<u16>),
    /// As one program; with the shard of each command.
    Program(Vec<u16>),
    /// As one long program, in slices.
    Long(Arc<Plan>),
    /// By a function.
    Calls(MergeFn),
    /// Not at all: SCAN goes from part to part.
    Scan(ScanState),
}

/// A command in progress on several shards.
pub(super) struct Gather {
    pub(super) asker: Asker,
    pub(super) waiting: usize,
    pub(super) parts: Vec<Chain>,
    pub(super) merging: Merging,
}

impl<X> Engine<X> {
    pub(super) fn open_gather(&mut self, asker: &Asker, waiting: usize, merging: Merging) -> u32 {
        let parts = vec![Chain::default(); self.shards];
        let gather = self.gathers.insert(Gather {
            asker: *asker,
            waiting,
            parts,
            merging,
        });
        if gather >= self.gatherers.len() {
            self.gatherers.resize(gather + 1, asker.conn);
        }
        self.gatherers[gather] = asker.conn;
        gather as u32
    }

    /// The client of this shard that a reply is, or just was, for.
    #[must_use]
    pub fn client_of(&self, route: Route) -> Option<ConnId> {
        match route {
            Route::Client(conn, _) => Some(conn),
            Route::Gather(gather, _) => self.gatherers.get(gather as usize).copied(),
        }
    }

    fn part_head(&self, command: u16, asker: &Asker, gather: u32, part: usize) -> RequestHead {
        let origin = Origin {
            shard: self.id,
            route: Route::Gather(gather, part as u32),
        };
        RequestHead {
            origin,
            command,
            db: asker.db,
            proto: asker.proto,
            no_touch: asker.no_touch,
            tracker: asker.tracker,
        }
    }

    /// Each owner gets its share of the keys. `None` if there is no memory for the requests.
    pub(super) fn submit_split(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        places: &Places,
        stride: usize,
        merge: Merge,
    ) -> Option<Submitted> {
        let mut counts = vec![0usize; self.shards];
        let mut bytes = vec![args[0].len(); self.shards];
        for (at, owner) in &places.keys {
            counts[*owner] += 1;
            bytes[*owner] += args[*at..*at + stride]
                .iter()
                .map(|arg| arg.len())
                .sum::<usize>();
        }
        let has_room = |target: usize| {
            counts[target] == 0
                || self.out[target].make_room_for(1 + counts[target] * stride, bytes[target])
        };
        if !(0..self.shards).all(has_room) {
            return None;
        }
        let order = match merge {
            Merge::Interleave => places.keys.iter().map(|(_, owner)| *owner as u16).collect(),
            _ => Vec::new(),
        };
        let waiting = counts.iter().filter(|count| **count > 0).count();
        let gather = self.open_gather(asker, waiting, Merging::Rows(merge, order));
        for (target, count) in counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            let head = self.part_head(command, asker, gather, target);
            self.hops += u64::from(target != self.id);
            self.out[target].begin_request(&head, 1 + count * stride);
            self.out[target].arg(args[0]);
        }
        for (at, owner) in &places.keys {
            for arg in &args[*at..*at + stride] {
                self.out[*owner].arg(arg);
            }
        }
        Some(Submitted::Batched(self.id))
    }

    /// Every shard gets the whole command.
    pub(super) fn submit_everywhere(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        merge: Merge,
        out: &mut Vec<u8>,
    ) -> Submitted {
        if !self.out.iter_mut().all(|batch| batch.make_room(args)) {
            return refused(out);
        }
        let gather = self.open_gather(asker, self.shards, Merging::Rows(merge, Vec::new()));
        self.spans = true;
        for target in 0..self.shards {
            let head = self.part_head(command, asker, gather, target);
            self.out[target].request(&head, args);
        }
        Submitted::Batched(self.id)
    }

    /// Opens the gather of a SCAN, whose parts are sent one by one.
    pub(super) fn open_scan(&mut self, asker: &Asker, state: ScanState) -> u32 {
        self.open_gather(asker, 1, Merging::Scan(state))
    }

    /// Sends one part of a SCAN.
    pub(super) fn send_part(
        &mut self,
        command: u16,
        asker: &Asker,
        gather: u32,
        target: usize,
        args: &[&[u8]],
    ) {
        let head = self.part_head(command, asker, gather, target);
        self.hops += u64::from(target != self.id);
        self.out[target].request(&head, args);
    }

    /// Runs `call` on the front end of every shard, in one position, and answers the client with what `merge` makes of it.
    pub fn ask_all(&mut self, asker: &Asker, call: &CallFn<X>, merge: MergeFn) {
        let gather = self.open_gather(asker, self.shards, Merging::Calls(merge));
        self.spans = true;
        for target in 0..self.shards {
            let origin = Origin {
                shard: self.id,
                route: Route::Gather(gather, target as u32),
            };
            self.out[target].parcel(Parcel::Call {
                origin,
                call: call.clone(),
            });
        }
    }

    /// Runs `call` on the front end of a shard, without an answer, for a client whose last command of this turn went to `batched`.
    pub fn tell(&mut self, target: usize, batched: Option<usize>, call: CallFn<X>) {
        self.spans |= batched.is_some_and(|before| before != target);
        self.out[target].parcel(Parcel::Tell { call });
    }

    /// The shard that owns a key.
    #[must_use]
    pub fn owner_of(&self, key: &[u8]) -> usize {
        owner(key, self.shards)
    }

    /// Sends what a call said to the shard that asked.
    pub fn answer_call(&mut self, origin: Origin, said: &[u8]) {
        self.answer(origin, said);
    }

    /// A part has come. Answers the client if it was the last.
    pub fn part(&mut self, gather: u32, part: u32, reply: Said<'_>) {
        let Some(open) = self.gathers.get_mut(gather as usize) else {
            return;
        };
        if matches!(open.merging, Merging::Scan(_)) {
            self.scan_part(gather, part as usize, reply);
            return;
        }
        let kept = &mut open.parts[part as usize];
        reply.put(kept);
        kept.mend();
        open.waiting -= 1;
        if open.waiting > 0 {
            return;
        }
        let done = self.gathers.remove(gather as usize);
        let proto = done.asker.proto;
        let merged = match done.merging {
            Merging::Rows(merge, order) => {
                merge_parts(merge, &order, done.parts, proto, &mut self.shard.rng)
            }
            Merging::Program(owners) => merge_program(&owners, done.parts),
            Merging::Long(plan) => {
                let origin = Origin {
                    shard: self.id,
                    route: Route::Client(done.asker.conn, done.asker.seq),
                };
                return self.merge_long(origin, plan, done.parts);
            }
            Merging::Calls(merge) => {
                let mut bytes = Vec::new();
                let mut reply = Reply::new(&mut bytes, proto);
                let parts = done.parts.into_iter().map(Chain::into_bytes);
                merge(parts.collect(), &mut reply);
                reply.finish();
                bytes.into()
            }
            Merging::Scan(_) => return,
        };
        self.answer_whole(
            Origin {
                shard: self.id,
                route: Route::Client(done.asker.conn, done.asker.seq),
            },
            merged,
        );
    }
}

/// Reads `:123\r\n` or `*123\r\n` or `~123\r\n`: the number and the rest.
pub(super) fn split_number(reply: &[u8]) -> (i64, &[u8]) {
    let end = memchr_cr(reply);
    let number = tessera_core::number::parse_i64(&reply[1..end]).unwrap_or(0);
    (number, &reply[(end + 2).min(reply.len())..])
}

fn memchr_cr(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\r')
        .unwrap_or(bytes.len())
}

/// The first reply in `bytes`, and what follows it.
fn split_reply(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = skip_reply(bytes).ok().flatten().unwrap_or(bytes.len());
    bytes.split_at(len)
}

/// Writes one reply of the parts.
pub(crate) fn merge_parts(
    merge: Merge,
    order: &[u16],
    parts: Vec<Chain>,
    proto: Proto,
    rng: &mut Rng,
) -> Chain {
    let is_error = |part: &&Chain| part.first() == Some(b'-');
    if let Some(error) = parts.iter().find(is_error) {
        return error.clone();
    }
    let mut merged = Chain::default();
    let mut reply = Reply::new(merged.tail(), proto);
    if merge == Merge::Interleave {
        interleave(order, parts, &mut reply);
        merged.mend();
        return merged;
    }
    let mut present = parts.into_iter().filter(|part| !part.is_empty());
    match merge {
        Merge::Sum => reply.integer(present.map(|part| split_number(part.head()).0).sum()),
        Merge::Same => merged = present.next().unwrap_or_else(|| OK.to_vec().into()),
        Merge::Concat => {
            let pieces: Vec<(usize, Chain)> = present.map(split_header).collect();
            reply.array(pieces.iter().map(|(count, _)| count).sum());
            for (_, elements) in pieces {
                merged.splice(elements);
            }
        }
        Merge::Interleave => {}
        Merge::Weighted => weigh(present.map(Chain::into_bytes).collect(), rng, &mut reply),
    }
    merged.mend();
    merged
}

/// The number in the header of an array, and its elements.
fn split_header(mut part: Chain) -> (usize, Chain) {
    let (count, rest) = split_number(part.head());
    let header = part.head().len() - rest.len();
    let _ = part.take_front(header);
    (count as usize, part)
}

/// Writes the elements of the parts in the order of their owners.
fn interleave(order: &[u16], parts: Vec<Chain>, reply: &mut Reply<'_>) {
    let parts: Vec<Vec<u8>> = parts.into_iter().map(Chain::into_bytes).collect();
    let mut rests: Vec<&[u8]> = parts.iter().map(|part| elements_of(part)).collect();
    reply.array(order.len());
    for owner in order {
        let (element, rest) = split_reply(rests[usize::from(*owner)]);
        reply.raw(element);
        rests[usize::from(*owner)] = rest;
    }
}

/// The elements of an array; nothing of nothing.
fn elements_of(part: &[u8]) -> &[u8] {
    if part.is_empty() {
        part
    } else {
        split_number(part).1
    }
}

/// Writes one of the values, each of which has its weight before it.
fn weigh(parts: Vec<Vec<u8>>, rng: &mut Rng, reply: &mut Reply<'_>) {
    let values = parts.iter().map(|part| {
        let (weight, value) = split_number(split_number(part).1);
        (weight.max(0) as u64, value)
    });
    let values: Vec<(u64, &[u8])> = values.collect();
    let mut at = rng.below(values.iter().map(|(weight, _)| weight).sum());
    for (weight, value) in values {
        if at < weight {
            return reply.raw(value);
        }
        at -= weight;
    }
    reply.null();
}

/// The value of a reply that has its weight before it: with one shard nobody merges.
pub(crate) fn only_value(reply: Vec<u8>, proto: Proto, rng: &mut Rng) -> Vec<u8> {
    merge_parts(Merge::Weighted, &[], vec![reply.into()], proto, rng).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(merge: Merge, order: &[u16], parts: &[&str]) -> String {
        let parts = parts.iter().map(|part| part.as_bytes().to_vec().into());
        let merged = merge_parts(
            merge,
            order,
            parts.collect(),
            Proto::Resp2,
            &mut Rng::new(1),
        );
        String::from_utf8(merged.into_bytes()).unwrap()
    }

    #[test]
    fn each_merge() {
        assert_eq!(
            merged(Merge::Sum, &[], &[":2\r\n", "", ":40\r\n"]),
            ":42\r\n"
        );
        assert_eq!(
            merged(Merge::Same, &[], &["", "+OK\r\n", "+OK\r\n"]),
            "+OK\r\n"
        );
        assert_eq!(
            merged(Merge::Sum, &[], &[":2\r\n", "-ERR x\r\n"]),
            "-ERR x\r\n"
        );
        assert_eq!(
            merged(
                Merge::Interleave,
                &[1, 0, 1],
                &["*1\r\n$-1\r\n", "*2\r\n$1\r\na\r\n$0\r\n\r\n"]
            ),
            "*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n"
        );
        assert_eq!(
            merged(Merge::Concat, &[], &["*0\r\n", "*1\r\n$1\r\na\r\n"]),
            "*1\r\n$1\r\na\r\n"
        );
        assert_eq!(
            merged(
                Merge::Weighted,
                &[],
                &["*2\r\n:0\r\n$-1\r\n", "*2\r\n:5\r\n$1\r\nk\r\n"]
            ),
            "$1\r\nk\r\n"
        );
        assert_eq!(
            merged(Merge::Weighted, &[], &["*2\r\n:0\r\n$-1\r\n"]),
            "$-1\r\n"
        );
    }
}
