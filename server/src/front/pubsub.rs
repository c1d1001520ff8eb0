//! Publish and subscribe: who listens on this shard, and delivery.
//!
//! Each shard knows the subscriptions of its own clients. A message goes to all shards in one position, like a write to all of them, so the order of one
//! publisher's messages is the same for everybody, and who receives one sees what its publisher did before. An idle pattern costs one match per message and pattern.

use std::collections::{BTreeMap, HashMap};
#[cfg(feature = "sabotage")]
use std::sync::Arc;

use tessera_core::glob::glob_match;
use tessera_core::resp::{Proto, Reply};
use tessera_io::ConnId;
#[cfg(feature = "sabotage")]
use tessera_shards::coordinator::Sabotage;
#[cfg(feature = "sabotage")]
use tessera_shards::mesh::{Batch, CallFn, Parcel};
use tessera_shards::script::Listening;

use crate::front::{Client, Front};

/// A subscription beside two copies of its name, about.
const SUBSCRIPTION_BYTES: usize = 160;

/// The kinds of subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Sharded,
}

impl From<Kind> for Listening {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Channel => Listening::Channel,
            Kind::Pattern => Listening::Pattern,
            Kind::Sharded => Listening::Sharded,
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Sharded];

    /// The first word of the replies to subscribing and unsubscribing.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::Channel => ("subscribe", "unsubscribe"),
            Kind::Pattern => ("psubscribe", "punsubscribe"),
            Kind::Sharded => ("ssubscribe", "sunsubscribe"),
        }
    }
}

/// What one client listens to.
#[derive(Debug, Default)]
pub struct Listens {
    /// The names of each kind, with the number of the subscription.
    names: [BTreeMap<Box<[u8]>, u64>; 3],
    /// Bytes of these, about.
    bytes: usize,
}

impl Listens {
    /// Its names of one kind.
    pub fn of(&self, kind: Kind) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names[kind as usize].keys().map(|name| &**name)
    }

    /// Bytes that its subscriptions take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The count in replies: sharded channels count apart from the others.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Sharded => self.of(Kind::Sharded).len(),
            _ => self.of(Kind::Channel).len() + self.of(Kind::Pattern).len(),
        }
    }

    /// Whether it listens to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.iter().all(BTreeMap::is_empty)
    }
}

/// Listeners by name.
type Listeners = HashMap<Box<[u8]>, BTreeMap<u64, ConnId>>;

/// The subscriptions of a shard's clients.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// By the names of each kind; of one name's listeners, those who came first are told first.
    listeners: [Listeners; 3],
}

impl Subscriptions {
    /// The names of one kind that somebody listens to, and how many do.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = (&[u8], usize)> {
        self.listeners[kind as usize]
            .iter()
            .map(|(name, listeners)| (&**name, listeners.len()))
    }

    /// How many listen to a name.
    #[must_use]
    pub fn count(&self, kind: Kind, name: &[u8]) -> usize {
        self.listeners[kind as usize]
            .get(name)
            .map_or(0, BTreeMap::len)
    }

    /// Whether nobody listens to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listeners.iter().all(HashMap::is_empty)
    }
}

/// A message in both protocols, made when first needed.
struct Envelope<'a> {
    words: &'a [&'a [u8]],
    bytes: [Option<Vec<u8>>; 2],
}

impl<'a> Envelope<'a> {
    fn new(words: &'a [&'a [u8]]) -> Self {
        Self {
            words,
            bytes: [None, None],
        }
    }

    fn bytes(&mut self, proto: Proto) -> &[u8] {
        let words = self.words;
        self.bytes[usize::from(proto == Proto::Resp3)].get_or_insert_with(|| {
            let mut bytes = Vec::new();
            let mut reply = Reply::new(&mut bytes, proto);
            reply.push(words.len());
            words.iter().for_each(|word| reply.bulk(word));
            bytes
        })
    }
}

impl Front {
    /// Adds a subscription and returns the client's count.
    pub(crate) fn subscribe(&mut self, conn: ConnId, kind: Kind, name: &[u8]) -> usize {
        let Some(client) = self.clients.get_mut(conn) else {
            return 0;
        };
        let listens = client.listens.get_or_insert_default();
        if !listens.names[kind as usize].contains_key(name) {
            // The time of coming; a client's id would tell the age of its connection.
            self.subscriptions_made += 1;
            listens.names[kind as usize].insert(name.into(), self.subscriptions_made);
            listens.bytes += 2 * name.len() + SUBSCRIPTION_BYTES;
            self.subscriptions.listeners[kind as usize]
                .entry(name.into())
                .or_default()
                .insert(self.subscriptions_made, conn);
            self.shared.set_listening(self.id, true);
            self.shared.scripts.audience.comes(kind.into(), name);
        }
        listens.count(kind)
    }

    /// Ends a subscription and returns the client's count.
    pub(crate) fn unsubscribe(&mut self, conn: ConnId, kind: Kind, name: &[u8]) -> usize {
        let Some(client) = self.clients.get_mut(conn) else {
            return 0;
        };
        let Some(listens) = &mut client.listens else {
            return 0;
        };
        if let Some(number) = listens.names[kind as usize].remove(name) {
            listens.bytes -= 2 * name.len() + SUBSCRIPTION_BYTES;
            self.shared.scripts.audience.goes(kind.into(), name);
            let all = &mut self.subscriptions.listeners[kind as usize];
            if let Some(listeners) = all.get_mut(name) {
                listeners.remove(&number);
                if listeners.is_empty() {
                    all.remove(name);
                }
            }
        }
        let count = listens.count(kind);
        if listens.is_empty() {
            client.listens = None;
        }
        if self.subscriptions.is_empty() {
            self.shared.set_listening(self.id, false);
        }
        count
    }

    /// Ends all subscriptions of a client.
    pub(crate) fn unsubscribe_all(&mut self, conn: ConnId) {
        for kind in Kind::ALL {
            for name in self.names_of(conn, kind) {
                self.unsubscribe(conn, kind, &name);
            }
        }
    }

    /// What a client listens to, of one kind.
    pub(crate) fn names_of(&self, conn: ConnId, kind: Kind) -> Vec<Box<[u8]>> {
        let listens = self
            .clients
            .get(conn)
            .and_then(|client| client.listens.as_ref());
        listens.map_or_else(Vec::new, |listens| {
            listens.of(kind).map(Box::from).collect()
        })
    }

    /// Whether a message of this client, which takes its place in the order now, reaches nobody on other shards.
    ///
    /// Who subscribed elsewhere before a message is seen there: this shard has carried out what that one sent after it, and what is heard of a subscription that
    /// is not seen came later.
    pub(crate) fn is_heard_here_alone(&self, conn: ConnId) -> bool {
        #[cfg(feature = "sabotage")]
        if self.engine.sabotage == Some(Sabotage::PublishEarly) {
            return false;
        }
        let has_position = |client: &Client| client.batched_turn != self.turn;
        let mut others = (0..self.shared.mesh.shards()).filter(|shard| *shard != self.id);
        self.clients.get(conn).is_some_and(has_position)
            && others.all(|shard| !self.shared.is_listening(shard))
    }

    /// Hands a message to this shard's listeners at once, behind what commands before it have left to tell.
    pub(crate) fn publish_here(&mut self, kind: Kind, channel: &[u8], payload: &[u8]) -> usize {
        self.hear_scripts();
        self.tell_events();
        self.deliver_message(kind, channel, payload)
    }

    /// Hands a message to this shard's listeners and returns how many got it. `kind`: `Channel` (patterns too) or `Sharded`.
    pub(crate) fn deliver_message(&mut self, kind: Kind, channel: &[u8], payload: &[u8]) -> usize {
        if self.subscriptions.is_empty() {
            return 0;
        }
        let word: &[u8] = if kind == Kind::Sharded {
            b"smessage"
        } else {
            b"message"
        };
        let subscriptions = std::mem::take(&mut self.subscriptions);
        let mut count = 0;
        if let Some(listeners) = subscriptions.listeners[kind as usize].get(channel) {
            let words = [word, channel, payload];
            count += self.deliver_to(listeners, &mut Envelope::new(&words));
        }
        if kind == Kind::Channel {
            for (pattern, listeners) in &subscriptions.listeners[Kind::Pattern as usize] {
                if glob_match(pattern, channel) {
                    let words = [&b"pmessage"[..], pattern, channel, payload];
                    count += self.deliver_to(listeners, &mut Envelope::new(&words));
                }
            }
        }
        self.subscriptions = subscriptions;
        count
    }

    /// If this is broken on purpose: tells other shards at once, and leaves what is to be told to this one.
    #[cfg(feature = "sabotage")]
    pub(crate) fn hurry(&mut self, deliver: CallFn<Front>) -> CallFn<Front> {
        if self.engine.sabotage != Some(Sabotage::PublishEarly) {
            return deliver;
        }
        let here = self.id;
        for target in (0..self.shared.mesh.shards()).filter(|target| *target != here) {
            let mut batch = Batch::default();
            let call = deliver.clone();
            batch.parcel(Parcel::Tell { call });
            self.shared.mesh.append(target, batch);
            if self.shared.mesh.must_wake(target) {
                self.wakes.push(target);
            }
        }
        Arc::new(move |front: &mut Front, said: &mut Vec<u8>| {
            if front.id == here {
                deliver(front, said);
            } else {
                said.push(b'9');
            }
        })
    }

    fn deliver_to(
        &mut self,
        listeners: &BTreeMap<u64, ConnId>,
        message: &mut Envelope<'_>,
    ) -> usize {
        for &conn in listeners.values() {
            let Some(client) = self.clients.get_mut(conn) else {
                continue;
            };
            if client.out.capacity() == 0 {
                client.out = self.buffers.pop().unwrap_or_default();
            }
            client.push(message.bytes(client.proto));
            if !client.dirty {
                client.dirty = true;
                self.dirty.push(conn);
            }
        }
        listeners.len()
    }
}
