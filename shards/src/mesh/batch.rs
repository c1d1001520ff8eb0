//! A batch: what one shard has for one other shard in one turn.

use std::collections::VecDeque;

use crate::mesh::message::{
    self, Item, PARCEL, Parcel, REPLY, REQUEST, Reader, RequestHead, Route,
};

/// Messages in the order in which they were put in.
pub struct Batch<X> {
    bytes: Vec<u8>,
    parcels: VecDeque<Parcel<X>>,
}

impl<X> Default for Batch<X> {
    fn default() -> Self {
        Batch {
            bytes: Vec::new(),
            parcels: VecDeque::new(),
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
            parcels: VecDeque::new(),
        }
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Puts a request in.
    pub fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        self.bytes
            .reserve(32 + args.iter().map(|arg| arg.len() + 4).sum::<usize>());
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
    pub fn reply(&mut self, route: Route, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = message::begin_reply(&mut self.bytes, route);
        if write(&mut self.bytes) {
            message::end_reply(&mut self.bytes, start);
        } else {
            message::drop_reply(&mut self.bytes, start);
        }
    }

    /// Puts a parcel in.
    pub fn parcel(&mut self, parcel: Parcel<X>) {
        self.bytes.push(PARCEL);
        self.parcels.push_back(parcel);
    }

    /// Hands each message to `recipient`, in order, and gives the buffer back. The keys of some requests ahead are announced first, so that
    /// what they will touch is on its way from memory when their turn comes.
    pub fn open(mut self, recipient: &mut impl Recipient<X>) -> Vec<u8> {
        let mut reader = Reader { bytes: &self.bytes };
        let mut announced = 0usize;
        while !reader.bytes.is_empty() {
            if announced == 0 {
                announced = announce(
                    &self.bytes[self.bytes.len() - reader.bytes.len()..],
                    recipient,
                );
            }
            announced -= 1;
            match reader.u8() {
                REQUEST => {
                    let (head, args) = reader.request();
                    recipient.accept(Item::Request(head, args));
                }
                REPLY => {
                    let (route, bytes) = reader.reply();
                    recipient.accept(Item::Reply(route, bytes));
                }
                _ => {
                    let parcel = self.parcels.pop_front().expect("one parcel per mark");
                    recipient.accept(Item::Parcel(parcel));
                }
            }
        }
        self.bytes
    }
}

/// Messages that are looked at ahead of their turn. Two cache lines each: they stay in the first-level cache.
const AHEAD: usize = 16;

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
    /// The next message.
    fn accept(&mut self, item: Item<'_, X>);
}

impl<X, F: FnMut(Item<'_, X>)> Recipient<X> for F {
    fn announce(&mut self, _db: usize, _key: &[u8]) {}
    fn announced(&mut self) {}
    fn accept(&mut self, item: Item<'_, X>) {
        self(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Origin;
    use tessera_core::resp::Proto;
    use tessera_io::ConnId;

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
