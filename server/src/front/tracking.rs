//! CLIENT TRACKING on the side of the connections: who tracks on this shard, and messages about what has become stale.
//!
//! The owners of the keys know who has read them and which prefixes are followed (`shard::tracking`). What they find stale travels to the shards of the
//! connections in the batches in which the replies travel, behind the replies that it concerns; a message is written behind all replies that were owed when it
//! came, so that no client hears of a change before it has the old value. docs/design/tracking.md tells the whole of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tessera_core::resp::{Proto, Reply};
use tessera_io::ConnId;
use tessera_shards::mesh::CallFn;
use tessera_shards::shard::tracking::{Stale, Tracker};

use crate::front::{Client, Front};

/// The channel for clients that speak RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// How a client tracks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mode {
    /// BCAST.
    pub(crate) broadcasts: bool,
    /// OPTIN.
    pub(crate) opt_in: bool,
    /// OPTOUT.
    pub(crate) opt_out: bool,
    /// NOLOOP.
    pub(crate) skips_own: bool,
    /// REDIRECT: the client that gets the messages, and its shard.
    pub(crate) redirect: Option<(u64, usize)>,
    /// The client that got the messages is gone.
    pub(crate) is_broken: bool,
    /// PREFIX.
    pub(crate) prefixes: BTreeSet<Box<[u8]>>,
    /// CLIENT CACHING: the next command is the exception.
    pub(crate) is_exception: bool,
}

impl Mode {
    fn tracker(&mut self, id: u64, shard: usize) -> Tracker {
        let is_exception = std::mem::take(&mut self.is_exception);
        Tracker {
            id,
            shard,
            reads: !self.broadcasts
                && (self.opt_in == is_exception || self.opt_out)
                && !(self.opt_out && is_exception),
            skips_own: self.skips_own,
        }
    }
}

impl Client {
    /// What its next command has to say about tracking.
    #[inline]
    pub(super) fn tracker(&mut self, shard: usize) -> Option<Tracker> {
        let id = self.id;
        self.tracking.as_mut().map(|mode| mode.tracker(id, shard))
    }
}

/// The clients of a shard that track.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    by_id: HashMap<u64, ConnId>,
    /// Who follows a prefix.
    followers: BTreeMap<Box<[u8]>, BTreeMap<u64, ConnId>>,
    /// Clients that get messages of others.
    targets: HashMap<u64, ConnId>,
    /// How often each shard has lost all its keys.
    flushes: Vec<u64>,
    /// How often all shards have.
    flushed: u64,
}

impl Trackers {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// What an owner has found stale, for the clients of one shard.
#[derive(Clone, Debug)]
enum News {
    Read(u64, Box<[u8]>),
    Prefix(Box<[u8]>, Box<[u8]>, Option<u64>),
    All,
}

/// Keys as they stand in a message; `None`: all keys.
type Keys = Option<Vec<Box<[u8]>>>;

impl Front {
    /// A client tracks from now on, or in another way.
    pub(crate) fn track(&mut self, conn: ConnId, mut mode: Mode) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let id = client.id;
        let before = client.tracking.take();
        let is_new = before.is_none();
        let old = before.map(|mode| mode.prefixes).unwrap_or_default();
        let new: Arc<[Box<[u8]>]> = mode.prefixes.difference(&old).cloned().collect();
        mode.prefixes.extend(old);
        client.tracking = Some(Box::new(mode));
        self.trackers.by_id.insert(id, conn);
        for prefix in new.iter() {
            let followers = self.trackers.followers.entry(prefix.clone()).or_default();
            followers.insert(id, conn);
        }
        let (home, shards) = (self.id, self.shared.mesh.shards());
        let call: CallFn<Front> = Arc::new(move |front: &mut Front, _| {
            let shard = &mut front.engine.shard;
            if is_new {
                shard.count_tracker(1);
            }
            new.iter()
                .for_each(|prefix| shard.follow(prefix, home, shards));
        });
        (0..shards).for_each(|target| self.tell(conn, target, call.clone()));
    }

    /// A client does not track any more.
    pub(crate) fn end_tracking(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let id = client.id;
        let Some(mode) = client.tracking.take() else {
            return;
        };
        self.trackers.by_id.remove(&id);
        for prefix in &mode.prefixes {
            if let Some(followers) = self.trackers.followers.get_mut(prefix) {
                followers.remove(&id);
                if followers.is_empty() {
                    self.trackers.followers.remove(prefix);
                }
            }
        }
        let home = self.id;
        let call: CallFn<Front> = Arc::new(move |front: &mut Front, _| {
            let shard = &mut front.engine.shard;
            let prefixes = mode.prefixes.iter();
            prefixes.for_each(|prefix| shard.unfollow(prefix, home));
            shard.count_tracker(-1);
        });
        for target in 0..self.shared.mesh.shards() {
            self.tell(conn, target, call.clone());
        }
    }

    /// A client has gone, to which others may send their messages.
    pub(super) fn forget_target(&mut self, id: u64) {
        if !self.trackers.targets.is_empty() {
            self.trackers.targets.remove(&id);
        }
    }

    /// Whether a client with this id is here, to get messages of others.
    pub(crate) fn is_target(&mut self, id: u64) -> bool {
        let mut clients = self.clients.iter();
        let found = clients.find(|client| client.id == id);
        let Some(conn) = found.map(|client| client.conn) else {
            return false;
        };
        self.trackers.targets.insert(id, conn);
        true
    }

    /// Tells the clients of all shards what has become stale since the last call.
    #[inline]
    pub(super) fn tell_stale(&mut self) {
        if self.engine.shard.has_stale() {
            self.tell_all_stale();
        }
    }

    #[cold]
    fn tell_all_stale(&mut self) {
        let mut shares: Vec<Vec<News>> = vec![Vec::new(); self.shared.mesh.shards()];
        for stale in self.engine.shard.take_stale() {
            match stale {
                Stale::Read { shard, client, key } => shares[shard].push(News::Read(client, key)),
                Stale::Prefix { key, skips } => {
                    for (prefix, followers) in self.engine.shard.prefixes_of(&key) {
                        let followed = followers.iter().zip(&mut shares);
                        for (_, share) in followed.filter(|(count, _)| **count > 0) {
                            share.push(News::Prefix(prefix.into(), key.clone(), skips));
                        }
                    }
                }
                Stale::All => shares.iter_mut().for_each(|share| share.push(News::All)),
            }
        }
        let from = self.id;
        for (target, news) in shares.into_iter().enumerate() {
            if news.is_empty() {
                continue;
            }
            if target == self.id {
                self.hear_news(from, &news);
            } else {
                let call = move |front: &mut Front, _: &mut Vec<u8>| front.hear_news(from, &news);
                self.engine.tell(target, None, Arc::new(call));
            }
        }
    }

    /// What a shard has found stale reaches the clients of this one.
    fn hear_news(&mut self, from: usize, news: &[News]) {
        // Keys by prefix, with the last who has changed them.
        let mut changed: BTreeMap<&[u8], BTreeMap<&[u8], Option<u64>>> = BTreeMap::new();
        for it in news {
            match it {
                News::Read(client, key) => {
                    if let Some(&conn) = self.trackers.by_id.get(client) {
                        self.send_stale(conn, Some(vec![key.clone()]));
                    }
                }
                News::Prefix(prefix, key, skips) => {
                    let keys = changed.entry(prefix).or_default();
                    keys.insert(key, *skips);
                }
                News::All => {
                    self.send_changed(std::mem::take(&mut changed));
                    self.hear_flush(from);
                }
            }
        }
        self.send_changed(changed);
    }

    fn send_changed(&mut self, changed: BTreeMap<&[u8], BTreeMap<&[u8], Option<u64>>>) {
        for (prefix, keys) in changed {
            let followers = self.trackers.followers.get(prefix).cloned();
            for (id, conn) in followers.unwrap_or_default() {
                let meant = keys.iter().filter(|(_, skips)| **skips != Some(id));
                let meant: Vec<Box<[u8]>> = meant.map(|(key, _)| Box::from(*key)).collect();
                if !meant.is_empty() {
                    self.send_stale(conn, Some(meant));
                }
            }
        }
    }

    /// A shard has lost all its keys. When all have, everybody who tracks is told, once: before that, old values may still be on their way.
    fn hear_flush(&mut self, from: usize) {
        let shards = self.shared.mesh.shards();
        self.trackers.flushes.resize(shards, 0);
        self.trackers.flushes[from] += 1;
        let complete = self.trackers.flushes.iter().min().copied().unwrap_or(0);
        while self.trackers.flushed < complete {
            self.trackers.flushed += 1;
            let all: Vec<ConnId> = self.trackers.by_id.values().copied().collect();
            all.into_iter().for_each(|conn| self.send_stale(conn, None));
        }
    }

    /// Sends a message to a client that tracks, or to the one that gets its messages.
    fn send_stale(&mut self, conn: ConnId, keys: Keys) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let redirect = client.tracking.as_ref().and_then(|mode| mode.redirect);
        let Some((id, shard)) = redirect else {
            if client.proto == Proto::Resp3 {
                let bytes = message(Proto::Resp3, keys.as_deref());
                #[cfg(feature = "sabotage")]
                if self.engine.sabotage == Some(tessera_shards::coordinator::Sabotage::TellAhead) {
                    client.push(&bytes);
                    return self.mark_dirty(conn);
                }
                client.push_behind(bytes);
                self.mark_dirty(conn);
            }
            return;
        };
        let home = self.id;
        if shard == home {
            if !self.hear_for_other(id, keys.as_deref()) {
                self.break_redirect(conn);
            }
            return;
        }
        let call = move |front: &mut Front, _: &mut Vec<u8>| {
            if !front.hear_for_other(id, keys.as_deref()) {
                let call = move |front: &mut Front, _: &mut Vec<u8>| front.break_redirect(conn);
                front.engine.tell(home, None, Arc::new(call));
            }
        };
        self.engine.tell(shard, None, Arc::new(call));
    }

    /// A message for another client arrives at the one that gets it. Says no if that is gone.
    fn hear_for_other(&mut self, id: u64, keys: Option<&[Box<[u8]>]>) -> bool {
        let conn = self.trackers.targets.get(&id).copied();
        let Some(client) = conn.and_then(|conn| self.clients.get_mut(conn)) else {
            return false;
        };
        let conn = client.conn;
        if client.proto == Proto::Resp3 {
            client.push_behind(message(Proto::Resp3, keys));
        } else if client.listens.is_some() {
            client.push(&message(Proto::Resp2, keys));
        }
        self.mark_dirty(conn);
        true
    }

    /// The client that got the messages is gone.
    fn break_redirect(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let Some(mode) = &mut client.tracking else {
            return;
        };
        mode.is_broken = true;
        if let (Some((id, _)), Proto::Resp3) = (mode.redirect, client.proto) {
            let mut bytes = Vec::new();
            let mut reply = Reply::new(&mut bytes, Proto::Resp3);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.integer(id as i64);
            client.push_behind(bytes);
            self.mark_dirty(conn);
        }
    }
}

/// The message that these keys are stale.
fn message(proto: Proto, keys: Option<&[Box<[u8]>]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reply = Reply::new(&mut bytes, proto);
    if proto == Proto::Resp3 {
        reply.push(2);
        reply.bulk(b"invalidate");
    } else {
        reply.array(3);
        reply.bulk(b"message");
        reply.bulk(CHANNEL);
    }
    match keys {
        Some(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
        None => reply.null(),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_as_read() {
        let reads = |mode: &Mode, is_exception| {
            let mut mode = Mode {
                is_exception,
                ..mode.clone()
            };
            let noted = mode.tracker(1, 0).reads;
            assert!(!mode.is_exception, "for one command");
            noted
        };
        let plain = Mode::default();
        let opt_in = Mode {
            opt_in: true,
            ..Mode::default()
        };
        let opt_out = Mode {
            opt_out: true,
            ..Mode::default()
        };
        let broadcasts = Mode {
            broadcasts: true,
            ..Mode::default()
        };
        assert!(reads(&plain, false));
        assert_eq!((reads(&opt_in, false), reads(&opt_in, true)), (false, true));
        assert_eq!(
            (reads(&opt_out, false), reads(&opt_out, true)),
            (true, false)
        );
        assert!(!reads(&broadcasts, false));
    }

    #[test]
    fn messages() {
        let keys = [Box::from(&b"k"[..])];
        assert_eq!(
            message(Proto::Resp3, Some(&keys)),
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
        );
        assert_eq!(
            message(Proto::Resp2, None),
            b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"
        );
    }
}
