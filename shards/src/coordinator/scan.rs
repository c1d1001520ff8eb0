//! SCAN over all shards: one after the other, in as few calls as COUNT allows.
//!
//! The client's cursor is `inner * shards + shard`; 0 is the start of shard 0 and, in a reply, the end of the last. The inner cursor is the table's, below
//! 2^48, so the whole fits in 64 bits for up to 65,536 shards. A call that reaches the end of a shard before it has met COUNT
//! keys goes on with the next shard.

use tessera_core::number::parse_u64;
use tessera_core::resp::{Chain, OUT_OF_MEMORY, Proto, Reply, try_copy};

use crate::coordinator::engine::{Asker, Engine, Submitted, refused};
use crate::coordinator::gather::{Merging, split_number};
use crate::coordinator::payload::Said;
use crate::mesh::{Origin, Route};

/// A SCAN in progress.
pub(super) struct ScanState {
    command: u16,
    args: Vec<Box<[u8]>>,
    wanted: usize,
    found: usize,
    elements: Chain,
}

/// COUNT of the request, or Redis's default; the command itself checks it.
pub(super) fn count_of(args: &[&[u8]]) -> usize {
    let given = args
        .windows(2)
        .skip(2)
        .filter(|pair| pair[0].eq_ignore_ascii_case(b"count"));
    given
        .filter_map(|pair| parse_u64(pair[1]))
        .next_back()
        .map_or(10, |count| count as usize)
}

impl<X> Engine<X> {
    /// Starts where the client's cursor points. A cursor that is no number gets its error from the command itself.
    pub(super) fn submit_scan(
        &mut self,
        command: u16,
        asker: &Asker,
        args: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Submitted {
        let Some(cursor) = args.get(1).and_then(|text| parse_u64(text)) else {
            return self.run_here(command, asker, args, out);
        };
        let shards = self.shards as u64;
        let target = (cursor % shards) as usize;
        let Some(copies) = args.iter().map(|arg| try_copy(arg)).collect() else {
            return refused(out);
        };
        let state = ScanState {
            command,
            args: copies,
            wanted: count_of(args),
            found: 0,
            elements: Chain::default(),
        };
        if !self.out[target].make_room(args) {
            return refused(out);
        }
        self.spans |= asker.batched.is_some_and(|before| before != target);
        let gather = self.open_scan(asker, state);
        let inner = (cursor / shards).to_string();
        let mut inner_args = args.to_vec();
        inner_args[1] = inner.as_bytes();
        self.send_part(command, asker, gather, target, &inner_args);
        Submitted::Batched(target)
    }

    /// One shard has answered: `*2`, its next cursor, its keys; or an error.
    pub(super) fn scan_part(&mut self, gather: u32, shard: usize, reply: Said<'_>) {
        let open = &mut self.gathers[gather as usize];
        let Merging::Scan(state) = &mut open.merging else {
            return;
        };
        let asker = open.asker;
        let origin = Origin {
            shard: self.id,
            route: Route::Client(asker.conn, asker.seq),
        };
        if reply.head().first() == Some(&b'-') {
            self.gathers.remove(gather as usize);
            self.answer(origin, reply.head());
            return;
        }
        let found = Scanned::of(reply.head());
        let inner = found.cursor;
        state.found += found.count;
        reply.put_behind(found.header, &mut state.elements);
        if state.elements.is_broken() {
            self.gathers.remove(gather as usize);
            return self.answer(origin, OUT_OF_MEMORY);
        }
        let is_last = shard + 1 == self.shards;
        if inner == 0 && !is_last && state.found < state.wanted {
            let (command, args) = (state.command, std::mem::take(&mut state.args));
            let mut inner_args: Vec<&[u8]> = args.iter().map(|arg| &**arg).collect();
            inner_args[1] = b"0";
            if !self.out[shard + 1].make_room(&inner_args) {
                self.gathers.remove(gather as usize);
                return self.answer(origin, OUT_OF_MEMORY);
            }
            self.send_part(command, &asker, gather, shard + 1, &inner_args);
            if let Merging::Scan(state) = &mut self.gathers[gather as usize].merging {
                state.args = args;
            }
            return;
        }
        let next = match inner {
            0 if is_last => 0,
            0 => shard as u64 + 1,
            inner => inner * self.shards as u64 + shard as u64,
        };
        let done = self.gathers.remove(gather as usize);
        let Merging::Scan(state) = done.merging else {
            return;
        };
        let whole = scanned(next, state.found, state.elements, asker.proto);
        self.answer_whole(origin, whole);
    }
}

/// What stands before the keys of a reply to SCAN.
pub(super) struct Scanned {
    pub(super) cursor: u64,
    pub(super) count: usize,
    /// Its length.
    pub(super) header: usize,
}

impl Scanned {
    pub(super) fn of(reply: &[u8]) -> Self {
        let (_, rest) = split_number(reply);
        let (cursor_len, rest) = split_number(rest);
        let (cursor, rest) = rest.split_at(cursor_len as usize);
        let (count, elements) = split_number(&rest[2..]);
        Scanned {
            cursor: parse_u64(cursor).unwrap_or(0),
            count: count as usize,
            header: reply.len() - elements.len(),
        }
    }
}

/// A reply to SCAN.
pub(super) fn scanned(cursor: u64, found: usize, elements: Chain, proto: Proto) -> Chain {
    let mut whole = Chain::default();
    let mut head = Reply::new(whole.tail(), proto);
    head.array(2);
    head.bulk(cursor.to_string().as_bytes());
    head.array(found);
    whole.splice(elements);
    whole.mend();
    whole
}

#[cfg(test)]
mod tests {
    use super::count_of;

    #[test]
    fn the_last_count_wins_as_in_the_command() {
        let count = |line: &str| count_of(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        assert_eq!(count("SCAN 0"), 10);
        assert_eq!(count("SCAN 0 MATCH count COUNT 50"), 50);
        assert_eq!(count("SCAN 0 count 5 Count 7"), 7);
    }
}
