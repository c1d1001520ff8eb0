//! A batch: what one shard has for one other shard in one turn.

use std::collections::VecDeque;

use smallvec::SmallVec;
use tessera_core::resp::{Chain, make_room, try_append_chain};

use crate::mesh::message::{
    self, Item, PARCEL, Parcel, REPLY, REQUEST, Reader, RequestHead, Route, WHOLE,
};

/// Bytes of messages above which the next message begins a new buffer: so small messages never make a large buffer grow.
const BUFFER_BYTES: usize = 1 << 18;
/// Replies from this length on are not copied.
const WHOLE_BYTES: usize = 1 << 16;
/// What a request takes besides its arguments, and each argument besides its bytes, rounded up.
const REQUEST_BYTES: usize = 32;
const ARG_BYTES: usize = 4;

/// Messages in the order in which they were put in. Large ones may find no memory; the small allocations that all others share
/// may not fail.
pub struct Batch<X> {
    /// Full buffers, in order.
    full: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    parcels: VecDeque<Parcel<X>>,
    /// Large replies, which change hands without being copied.
    wholes: VecDeque<Chain>,
}

impl<X> Default for Batch<X> {
    fn default() -> Self {
        Batch {
            full: Vec::new(),
            bytes: Vec::new(),
            parcels: VecDeque::new(),
            wholes: VecDeque::new(),
        }
    }
}

impl<X> Batch<X> {
    /// An empty batch that reuses a buffer.
    #[must_use]
    pub fn with_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Batch {
            bytes,
            ..Self::default()
        }
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.full.is_empty()
    }

    /// The buffer in which the next message begins.
    #[inline]
    fn current(&mut self) -> &mut Vec<u8> {
        if self.bytes.len() > BUFFER_BYTES {
            self.full.push(std::mem::take(&mut self.bytes));
        }
        &mut self.bytes
    }

    /// Makes room for a request with these arguments, or all of several requests that share them. Says false when there is no
    /// memory for it.
    #[must_use]
    pub fn make_room(&mut self, args: &[&[u8]]) -> bool {
        self.make_room_for(args.len(), args.iter().map(|arg| arg.len()).sum())
    }

    /// The same, for so many arguments of so many bytes together.
    #[must_use]
    pub fn make_room_for(&mut self, argc: usize, bytes: usize) -> bool {
        make_room(self.current(), REQUEST_BYTES + argc * ARG_BYTES + bytes)
    }

    /// Puts a request in. Whoever does not know that it is small has made room for it.
    pub fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        message::put_request(&mut self.bytes, head, args.len());
        for arg in args {
            message::put_arg(&mut self.bytes, arg);
        }
    }

    /// Starts a request whose `argc` arguments are put in one by one.
    pub fn begin_request(&mut self, head: &RequestHead, argc: usize) {
        message::put_request(&mut self.bytes, head, argc);
    }

    /// Puts the next argument of a begun request in.
    pub fn arg(&mut self, arg: &[u8]) {
        message::put_arg(&mut self.bytes, arg);
    }

    /// Puts a reply in, which `write` writes. If `write` returns false there is none yet, and it must have written nothing.
    #[inline]
    pub fn reply(&mut self, route: Route, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = message::begin_reply(self.current(), route);
        if write(&mut self.bytes) {
            message::end_reply(&mut self.bytes, start);
        } else {
            message::drop_reply(&mut self.bytes, start);
        }
    }

    /// Puts a reply in that exists already. A large one is not copied. Says false when there is no memory for it.
    #[must_use]
    pub fn reply_whole(&mut self, route: Route, reply: Chain) -> bool {
        if reply.len() < WHOLE_BYTES {
            let mut is_copied = true;
            self.reply(route, |bytes| {
                is_copied = try_append_chain(bytes, &reply);
                is_copied
            });
            return is_copied;
        }
        message::put_whole(self.current(), route);
        self.wholes.push_back(reply);
        true
    }

    /// Puts a parcel in.
    pub fn parcel(&mut self, parcel: Parcel<X>) {
        self.current().push(PARCEL);
        self.parcels.push_back(parcel);
    }

    /// Hands each message to `recipient`, in order, and gives the buffer back. The keys of some requests ahead are announced first, so that
    /// what they will touch is on its way from memory when their turn comes.
    pub fn open(mut self, recipient: &mut impl Recipient<X>) -> Vec<u8> {
        for bytes in std::mem::take(&mut self.full) {
            self.open_buffer(&bytes, recipient);
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.open_buffer(&bytes, recipient);
        bytes
    }

    fn open_buffer(&mut self, bytes: &[u8], recipient: &mut impl Recipient<X>) {
        let mut reader = Reader { bytes };
        let mut args = SmallVec::<[&[u8]; 8]>::new();
        let mut announced = 0usize;
        while !reader.bytes.is_empty() {
            if announced == 0 {
                announced = announce(reader.bytes, recipient);
            }
            announced -= 1;
            match reader.u8() {
                REQUEST => {
                    let head = reader.request(&mut args);
                    recipient.request(&head, &args);
                }
                REPLY => {
                    let (route, bytes) = reader.reply();
                    recipient.reply(route, bytes);
                }
                WHOLE => {
                    let reply = self.wholes.pop_front().expect("one reply per mark");
                    recipient.reply_whole(reader.whole(), reply);
                }
                _ => {
                    let parcel = self.parcels.pop_front().expect("one parcel per mark");
                    recipient.parcel(parcel);
                }
            }
        }
    }
}

/// Messages that are looked at ahead of their turn. Three cache lines each: they stay in the first-level cache.
const AHEAD: usize = 32;

/// Announces the keys of the next messages. Returns how many messages that were, at least one.
fn announce<X>(bytes: &[u8], recipient: &mut impl Recipient<X>) -> usize {
    let mut reader = Reader { bytes };
    let mut messages = 0;
    while messages < AHEAD && !reader.bytes.is_empty() {
        messages += 1;
        match reader.u8() {
            REQUEST => {
                let (db, key) = reader.skip_request();
                if let Some(key) = key {
                    recipient.announce(db, key);
                }
            }
            REPLY => {
                reader.reply();
            }
            WHOLE => {
                reader.whole();
            }
            _ => {}
        }
    }
    recipient.announced();
    messages
}

/// Who carries the messages of a batch out.
pub trait Recipient<X> {
    /// A request with this first argument, most likely a key, comes soon.
    fn announce(&mut self, db: usize, key: &[u8]);
    /// Those announced come now.
    fn announced(&mut self);
    /// Carry out a command.
    fn request(&mut self, head: &RequestHead, args: &[&[u8]]);
    /// Hand over a reply.
    fn reply(&mut self, route: Route, bytes: &[u8]);
    /// Hand over a large reply.
    fn reply_whole(&mut self, route: Route, reply: Chain) {
        self.reply(route, &reply.into_bytes());
    }
    /// See the parcel.
    fn parcel(&mut self, parcel: Parcel<X>);
}

impl<X, F: FnMut(Item<'_, X>)> Recipient<X> for F {
    fn announce(&mut self, _db: usize, _key: &[u8]) {}
    fn announced(&mut self) {}
    fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        self(Item::Request(*head, args));
    }
    fn reply(&mut self, route: Route, bytes: &[u8]) {
        self(Item::Reply(route, bytes));
    }
    fn parcel(&mut self, parcel: Parcel<X>) {
        self(Item::Parcel(parcel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Origin;
    use tessera_core::resp::Proto;
    use tessera_io::ConnId;

    #[test]
    fn large_messages_keep_the_order_and_what_is_refused_leaves_nothing() {
        let mut batch: Batch<()> = Batch::default();
        let large = vec![b'x'; BUFFER_BYTES];
        for n in 0..5u32 {
            batch.reply(Route::Gather(n, 0), |out| {
                out.extend_from_slice(&large[..BUFFER_BYTES * (n as usize % 2)]);
                true
            });
            batch.parcel(Parcel::Return {
                lock: n,
                keys: Vec::new(),
                changed: Vec::new(),
                happened: Vec::new(),
                track: None,
                wait: None,
                ready: false,
            });
            assert!(!batch.make_room_for(3, isize::MAX as usize));
        }
        assert_eq!(batch.full.len(), 2, "a large message ends its buffer");
        let mut seen = Vec::new();
        batch.open(&mut |item: Item<'_, ()>| match item {
            Item::Reply(Route::Gather(n, _), bytes) => seen.push((n, bytes.len())),
            Item::Parcel(Parcel::Return { lock, .. }) => seen.push((lock, 1)),
            _ => unreachable!("only replies and returns were put in"),
        });
        let sent = (0..5).flat_map(|n| [(n, BUFFER_BYTES * (n as usize % 2)), (n, 1)]);
        assert_eq!(seen, sent.collect::<Vec<_>>());
    }

    #[test]
    fn large_replies_change_hands_in_their_order() {
        let mut batch: Batch<()> = Batch::default();
        for n in 0..6u32 {
            let reply = vec![n as u8; WHOLE_BYTES - 1 + n as usize % 2];
            assert!(batch.reply_whole(Route::Gather(n, 0), reply.into()));
            batch.reply(Route::Gather(n, 1), |out| {
                out.push(n as u8);
                true
            });
        }
        assert_eq!(batch.wholes.len(), 3);
        let mut seen = Vec::new();
        batch.open(&mut |item: Item<'_, ()>| match item {
            Item::Reply(Route::Gather(n, part), bytes) => {
                assert!(bytes.iter().all(|byte| u32::from(*byte) == n));
                seen.push((n, part, bytes.len()));
            }
            _ => unreachable!("only replies were put in"),
        });
        let sent = (0..6).flat_map(|n| [(n, 0, WHOLE_BYTES - 1 + n as usize % 2), (n, 1, 1)]);
        assert_eq!(seen, sent.collect::<Vec<_>>());
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let route = Route::Client(
            ConnId {
                index: 7,
                generation: 9,
            },
            11,
        );
        let head = RequestHead {
            origin: Origin { shard: 3, route },
            command: 5,
            db: 15,
            proto: Proto::Resp3,
            no_touch: true,
            tracker: Some(crate::shard::tracking::Tracker {
                id: u64::MAX - 1,
                shard: 3,
                reads: true,
                skips_own: false,
            }),
        };
        let mut batch: Batch<()> = Batch::default();
        batch.request(&head, &[b"SET", b"k", b""]);
        batch.reply(Route::Gather(1, 2), |out| {
            out.extend_from_slice(b"+OK\r\n");
            true
        });
        batch.reply(Route::Gather(8, 8), |_| false);
        batch.parcel(Parcel::Return {
            lock: 4,
            keys: Vec::new(),
            changed: Vec::new(),
            happened: Vec::new(),
            track: None,
            wait: None,
            ready: false,
        });
        batch.begin_request(&head, 1);
        batch.arg(b"PING");
        let mut seen = Vec::new();
        batch.open(&mut |item: Item<'_, ()>| {
            seen.push(match item {
                Item::Request(got, args) => {
                    assert_eq!(got, head);
                    format!("{args:?}")
                }
                Item::Reply(route, bytes) => format!("{route:?} {bytes:?}"),
                Item::Parcel(Parcel::Return { lock, .. }) => format!("return {lock}"),
                Item::Parcel(_) => unreachable!("only a return was put in"),
            });
        });
        let set: [&[u8]; 3] = [b"SET", b"k", b""];
        assert_eq!(
            seen,
            [
                format!("{set:?}"),
                format!("{:?} {:?}", Route::Gather(1, 2), b"+OK\r\n"),
                "return 4".to_owned(),
                format!("{:?}", [b"PING"]),
            ]
        );
    }
}
