//! Messages between shards: requests, replies, and parcels.
//!
//! Requests and replies are bytes, one after the other in a batch's buffer, little endian:
//!
//! ```text
//! request  u8 1, u8 proto (more bits: see TRACKS and NO_TOUCH), u16 db, u16 command, u16 sender, origin, u32 argc, the tracker's u64 id if
//!          there is one, then per argument u32 length and its bytes
//! reply    u8 2, origin, u32 length, RESP bytes
//! parcel   u8 3; the parcel itself is the next of the batch's list
//! whole    u8 4, origin; the reply itself is the next of the batch's list of large replies
//! origin   u8 0 client or 1 gather, then u32 index, u32 generation or part, u32 sequence number
//! ```
//!
//! Whatever is no bytes (entries that change hands, calls) is a parcel.

use std::sync::Arc;

use crate::coordinator::{Job, Parked, WholeParcel};
use crate::shard::event::Happened;
use crate::shard::tracking::{Track, Tracker};

use smallvec::SmallVec;
use tessera_core::entry::Entry;
use tessera_core::resp::Proto;
use tessera_io::ConnId;

/// Who waits for a reply, on the shard that sent the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// A client: the connection and the sequence number of its slot.
    Client(ConnId, u32),
    /// A gather of the coordinator: its number there and which part this is.
    Gather(u32, u32),
}

/// Who waits for a reply, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The shard that asked.
    pub shard: usize,
    /// Who on that shard.
    pub route: Route,
}

/// Everything of a request but its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestHead {
    /// Who waits for the reply.
    pub origin: Origin,
    /// Number of the command among the keyspace commands.
    pub command: u16,
    /// Database of the connection.
    pub db: usize,
    /// Protocol of the connection.
    pub proto: Proto,
    /// Whether reads leave the access bits alone (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// The client, if it tracks keys.
    pub tracker: Option<Tracker>,
}

/// A key under lock and what was under it, if anything.
#[derive(Debug)]
pub struct TakenKey {
    /// Database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Its entry.
    pub entry: Option<Entry>,
}

/// A key in a database.
pub type KeyPlace = (usize, Box<[u8]>);

/// A client, and keys that it watches.
pub type Watch = (u64, Vec<KeyPlace>);

/// A command, and the keys that it waits for.
pub type Wait = (Parked, Vec<Box<[u8]>>);

/// Runs on the front end (of type `X`) of a shard and writes what it has to say.
pub type CallFn<X> = Arc<dyn Fn(&mut X, &mut Vec<u8>) + Send + Sync>;

/// A message that is more than bytes.
pub enum Parcel<X> {
    /// Lock these keys and send their entries.
    Take {
        /// The coordinator.
        sender: usize,
        /// Number of the borrow there.
        borrow: u32,
        /// In which databases.
        dbs: SmallVec<[usize; 2]>,
        /// The keys, each once.
        keys: Vec<Box<[u8]>>,
        /// The client whose watched keys have to be untouched, and these.
        watch: Option<Box<Watch>>,
        /// Whether the command may wait for the keys afterwards.
        may_wait: bool,
    },
    /// The keys of a borrow that this owner has, locked.
    Taken {
        /// Number of the borrow at the coordinator.
        borrow: u32,
        /// The owner.
        owner: usize,
        /// Number of the lock there.
        lock: u32,
        /// What was asked for.
        keys: Vec<TakenKey>,
        /// Whether a watched key had been touched.
        touched: bool,
    },
    /// Put these back and release the lock.
    Return {
        /// Number of the lock at the owner.
        lock: u32,
        /// What is under the keys now.
        keys: Vec<TakenKey>,
        /// Which of them changed meanwhile, and in which database.
        changed: Vec<(usize, Box<[u8]>)>,
        /// What has happened to them.
        happened: Vec<Happened>,
        /// Who runs the command, if it tracks keys, and which of these it has read.
        track: Option<Box<Track>>,
        /// A command that waits for some of them from now on.
        wait: Option<Box<Wait>>,
        /// Whether those who wait for these keys are to be looked at, changed or not.
        ready: bool,
    },
    /// Run this: all keys are the receiver's.
    Job(Job),
    /// Run this, which waited, over all its keys, wherever they are.
    Again(Job),
    /// About a program that looks at whole shards.
    Whole(WholeParcel),
    /// Run this on the front end, without an answer.
    Tell {
        /// What to run.
        call: CallFn<X>,
    },
    /// Run this on the front end.
    Call {
        /// Who gathers the answers.
        origin: Origin,
        /// What to run.
        call: CallFn<X>,
    },
}

/// One message of a batch, as read.
pub enum Item<'a, X> {
    /// Carry out a command.
    Request(RequestHead, &'a [&'a [u8]]),
    /// Hand over a reply.
    Reply(Route, &'a [u8]),
    /// See the parcel.
    Parcel(Parcel<X>),
}

pub(super) const REQUEST: u8 = 1;
pub(super) const REPLY: u8 = 2;
pub(super) const PARCEL: u8 = 3;
pub(super) const WHOLE: u8 = 4;

const ROUTE_BYTES: usize = 13;
/// A request up to its arguments, without the mark.
const HEAD_BYTES: usize = 7 + ROUTE_BYTES + 4;

/// Bits of the protocol byte.
const NO_TOUCH: u8 = 0x80;
/// There is a tracker.
const TRACKS: u8 = 0x40;
/// Its reads are noted.
const READS: u8 = 0x20;
/// It does not hear of its own changes.
const SKIPS_OWN: u8 = 0x10;
/// The version of the protocol.
const PROTO: u8 = 0x0F;

#[inline]
fn route_bytes(route: Route) -> [u8; ROUTE_BYTES] {
    let (tag, a, b, c) = match route {
        Route::Client(conn, seq) => (0, conn.index, conn.generation, seq),
        Route::Gather(gather, part) => (1, gather, part, 0),
    };
    let mut bytes = [0u8; ROUTE_BYTES];
    bytes[0] = tag;
    bytes[1..5].copy_from_slice(&a.to_le_bytes());
    bytes[5..9].copy_from_slice(&b.to_le_bytes());
    bytes[9..13].copy_from_slice(&c.to_le_bytes());
    bytes
}

#[inline]
fn route_of(bytes: &[u8; ROUTE_BYTES]) -> Route {
    let (a, b, c) = (u32_at(bytes, 1), u32_at(bytes, 5), u32_at(bytes, 9));
    if bytes[0] == 0 {
        Route::Client(
            ConnId {
                index: a,
                generation: b,
            },
            c,
        )
    } else {
        Route::Gather(a, b)
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

/// Reads back what this file wrote, in this process: malformed bytes cannot occur, so running short is a bug.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.bytes.split_at(len);
        self.bytes = tail;
        head
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> &'a [u8; N] {
        let (head, tail) = self
            .bytes
            .split_first_chunk()
            .expect("what was written is whole");
        self.bytes = tail;
        head
    }

    #[inline]
    pub(super) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    #[inline]
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(*self.array())
    }

    /// A request; its arguments replace what is in `args`.
    #[inline]
    pub(super) fn request(&mut self, args: &mut SmallVec<[&'a [u8]; 8]>) -> RequestHead {
        let bytes = self.array::<HEAD_BYTES>();
        let flags = bytes[0];
        let proto = if flags & PROTO == 3 {
            Proto::Resp3
        } else {
            Proto::Resp2
        };
        let route: &[u8; ROUTE_BYTES] = bytes[7..7 + ROUTE_BYTES].try_into().expect("so long");
        let shard = usize::from(u16_at(bytes, 5));
        let tracker = (flags & TRACKS != 0).then(|| Tracker {
            id: u64::from_le_bytes(*self.array()),
            shard,
            reads: flags & READS != 0,
            skips_own: flags & SKIPS_OWN != 0,
        });
        args.clear();
        for _ in 0..u32_at(bytes, HEAD_BYTES - 4) {
            let len = self.u32() as usize;
            args.push(self.take(len));
        }
        RequestHead {
            origin: Origin {
                shard,
                route: route_of(route),
            },
            command: u16_at(bytes, 3),
            db: usize::from(u16_at(bytes, 1)),
            proto,
            no_touch: flags & NO_TOUCH != 0,
            tracker,
        }
    }

    /// The database and the first argument after the name of a request that is only looked at.
    #[inline]
    pub(super) fn skip_request(&mut self) -> (usize, Option<&'a [u8]>) {
        let bytes = self.array::<HEAD_BYTES>();
        if bytes[0] & TRACKS != 0 {
            self.array::<8>();
        }
        let mut key = None;
        for index in 0..u32_at(bytes, HEAD_BYTES - 4) {
            let len = self.u32() as usize;
            let arg = self.take(len);
            if index == 1 {
                key = Some(arg);
            }
        }
        (usize::from(u16_at(bytes, 1)), key)
    }

    /// Who waits for a large reply.
    pub(super) fn whole(&mut self) -> Route {
        route_of(self.array())
    }

    #[inline]
    pub(super) fn reply(&mut self) -> (Route, &'a [u8]) {
        let route = route_of(self.array());
        let len = self.u32() as usize;
        (route, self.take(len))
    }
}

/// Starts a request of `argc` arguments; they follow by `put_arg`.
#[inline]
pub(super) fn put_request(out: &mut Vec<u8>, head: &RequestHead, argc: usize) {
    let mut bytes = [0u8; 1 + HEAD_BYTES];
    bytes[0] = REQUEST;
    bytes[1] = if head.proto == Proto::Resp3 { 3 } else { 2 };
    if head.no_touch {
        bytes[1] |= NO_TOUCH;
    }
    if let Some(tracker) = head.tracker {
        bytes[1] |= TRACKS;
        bytes[1] |= if tracker.reads { READS } else { 0 };
        bytes[1] |= if tracker.skips_own { SKIPS_OWN } else { 0 };
    }
    bytes[2..4].copy_from_slice(&(head.db as u16).to_le_bytes());
    bytes[4..6].copy_from_slice(&head.command.to_le_bytes());
    bytes[6..8].copy_from_slice(&(head.origin.shard as u16).to_le_bytes());
    bytes[8..8 + ROUTE_BYTES].copy_from_slice(&route_bytes(head.origin.route));
    bytes[8 + ROUTE_BYTES..].copy_from_slice(&(argc as u32).to_le_bytes());
    out.extend_from_slice(&bytes);
    if let Some(tracker) = head.tracker {
        out.extend_from_slice(&tracker.id.to_le_bytes());
    }
}

#[inline]
pub(super) fn put_arg(out: &mut Vec<u8>, arg: &[u8]) {
    out.extend_from_slice(&(arg.len() as u32).to_le_bytes());
    out.extend_from_slice(arg);
}

/// Starts a reply whose bytes follow; returns the place for `end_reply`.
#[inline]
pub(super) fn begin_reply(out: &mut Vec<u8>, route: Route) -> usize {
    let mut bytes = [0u8; 1 + ROUTE_BYTES + 4];
    bytes[0] = REPLY;
    bytes[1..=ROUTE_BYTES].copy_from_slice(&route_bytes(route));
    out.extend_from_slice(&bytes);
    out.len()
}

/// The mark of a large reply.
pub(super) fn put_whole(out: &mut Vec<u8>, route: Route) {
    out.push(WHOLE);
    out.extend_from_slice(&route_bytes(route));
}

/// Ends the reply that began at `start`.
pub(super) fn end_reply(out: &mut [u8], start: usize) {
    let len = (out.len() - start) as u32;
    out[start - 4..start].copy_from_slice(&len.to_le_bytes());
}

/// Takes back a reply that began at `start` and got no bytes: it will come later.
pub(super) fn drop_reply(out: &mut Vec<u8>, start: usize) {
    out.truncate(start - 4 - ROUTE_BYTES - 1);
}
