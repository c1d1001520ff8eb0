//! A batch: what one shard has for one other shard in one turn.

use std::collections::VecDeque;

use crate::mesh::message::{self, Item, PARCEL, Parcel, REPLY, REQUEST, Reader, RequestHead, Route};

/// Messages in the order in which they were put in.
pub struct Batch<X> {
    bytes: Vec<u8>,
    parcels: VecDeque<Parcel<X>>,
}

impl<X> Default for Batch<X> {
    fn default() -> Self {
        Batch { bytes: Vec::new(), parcels: VecDeque::new() }
    }
}

impl<X> Batch<X> {
    /// An empty batch that reuses a buffer.
    #[must_use]
    pub fn with_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Batch { bytes, parcels: VecDeque::new() }
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Puts a request in.
    pub fn request(&mut self, head: &RequestHead, args: &[&[u8]]) {
        self.bytes.reserve(32 + args.iter().map(|arg| arg.len() + 4).sum::<usize>());
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

    /// Hands each message to `handle`, in order, and gives the buffer back.
    pub fn open(mut self, mut handle: impl FnMut(Item<'_, X>)) -> Vec<u8> {
        let mut reader = Reader { bytes: &self.bytes };
        while !reader.bytes.is_empty() {
            match reader.u8() {
                REQUEST => {
                    let (head, args) = reader.request();
                    handle(Item::Request(head, args));
                }
                REPLY => {
                    let (route, bytes) = reader.reply();
                    handle(Item::Reply(route, bytes));
                }
                _ => {
                    let parcel = self.parcels.pop_front().expect("one parcel per mark");
                    handle(Item::Parcel(parcel));
                }
            }
        }
        self.bytes
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
        let route = Route::Client(ConnId { index: 7, generation: 9 }, 11);
        let head = RequestHead { origin: Origin { shard: 3, route }, command: 5, db: 15, proto: Proto::Resp3 };
        let mut batch: Batch<()> = Batch::default();
        batch.request(&head, &[b"SET", b"k", b""]);
        batch.reply(Route::Gather(1, 2), |out| {
            out.extend_from_slice(b"+OK\r\n");
            true
        });
        batch.reply(Route::Gather(8, 8), |_| false);
        batch.parcel(Parcel::Return { lock: 4, keys: Vec::new() });
        batch.begin_request(&head, 1);
        batch.arg(b"PING");
        let mut seen = Vec::new();
        batch.open(|item| {
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
