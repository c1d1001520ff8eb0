//! Changes of keys and who must hear of them: watchers, those who wait, owners of borrowed keys, keyspace notifications.
//!
//! Every change passes `changed` or `changed_by`, and events that are no change pass `note`. With nobody to hear, that is one branch. What has happened is
//! gathered here in order; the front end fetches it before any reply of the same commands leaves the shard.

use super::Shard;

/// The classes of `notify-keyspace-events`, in the order in which Redis prints their letters.
pub mod class {
    /// `g`: commands for all types.
    pub const GENERIC: u32 = 1 << 0;
    /// `$`
    pub const STRING: u32 = 1 << 1;
    /// `l`
    pub const LIST: u32 = 1 << 2;
    /// `s`
    pub const SET: u32 = 1 << 3;
    /// `h`
    pub const HASH: u32 = 1 << 4;
    /// `z`
    pub const ZSET: u32 = 1 << 5;
    /// `x`
    pub const EXPIRED: u32 = 1 << 6;
    /// `e`
    pub const EVICTED: u32 = 1 << 7;
    /// `t`
    pub const STREAM: u32 = 1 << 8;
    /// `d`: of modules, of which there are none.
    pub const MODULE: u32 = 1 << 9;
    /// `n`
    pub const NEW: u32 = 1 << 10;
    /// `K`: told on `__keyspace@<db>__` channels.
    pub const KEYSPACE: u32 = 1 << 11;
    /// `E`: told on `__keyevent@<db>__` channels.
    pub const KEYEVENT: u32 = 1 << 12;
    /// `m`
    pub const KEY_MISS: u32 = 1 << 13;
    /// All for which `A` stands.
    pub const ALL: u32 = (1 << 10) - 1;
    /// The letters of the bits.
    pub const LETTERS: &[u8] = b"g$lshzxetdnKEm";
}

/// What can happen to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// A bit of `class`.
    pub class: u32,
    /// Redis's name for it.
    pub name: &'static str,
}

/// An event that has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happened {
    /// In which database.
    pub db: usize,
    /// To which key.
    pub key: Box<[u8]>,
    /// What.
    pub event: Event,
}

macro_rules! events {
    ($($class:ident: $($name:ident = $text:literal),+;)+) => {
        $($(
            #[doc = concat!("`", $text, "`")]
            pub const $name: Event = Event { class: class::$class, name: $text };
        )+)+
    };
}

events! {
    GENERIC: DEL = "del", EXPIRE = "expire", PERSIST = "persist", RENAME_FROM = "rename_from", RENAME_TO = "rename_to",
        MOVE_FROM = "move_from", MOVE_TO = "move_to", COPY_TO = "copy_to", RESTORE = "restore";
    STRING: SET = "set", APPEND = "append", SETRANGE = "setrange", INCRBY = "incrby", INCRBYFLOAT = "incrbyfloat",
        SETBIT = "setbit", PFADD = "pfadd";
    LIST: LPUSH = "lpush", RPUSH = "rpush", LPOP = "lpop", RPOP = "rpop", LINSERT = "linsert", LSET = "lset",
        LREM = "lrem", LTRIM = "ltrim", SORTSTORE = "sortstore";
    SET: SADD = "sadd", SREM = "srem", SPOP = "spop", SINTERSTORE = "sinterstore", SUNIONSTORE = "sunionstore",
        SDIFFSTORE = "sdiffstore";
    HASH: HSET = "hset", HDEL = "hdel", HINCRBY = "hincrby", HINCRBYFLOAT = "hincrbyfloat",
        HEXPIRE = "hexpire", HPERSIST = "hpersist", HEXPIRED = "hexpired";
    ZSET: ZADD = "zadd", ZINCR = "zincr", ZREM = "zrem", ZREMRANGEBYRANK = "zremrangebyrank",
        ZREMRANGEBYSCORE = "zremrangebyscore", ZREMRANGEBYLEX = "zremrangebylex", ZPOPMIN = "zpopmin",
        ZPOPMAX = "zpopmax", ZUNIONSTORE = "zunionstore", ZINTERSTORE = "zinterstore", ZDIFFSTORE = "zdiffstore",
        ZRANGESTORE = "zrangestore", GEOSEARCHSTORE = "geosearchstore", GEORADIUSSTORE = "georadiusstore";
    STREAM: XADD = "xadd", XTRIM = "xtrim", XDEL = "xdel", XSETID = "xsetid", XGROUP_CREATE = "xgroup-create",
        XGROUP_SETID = "xgroup-setid", XGROUP_DESTROY = "xgroup-destroy",
        XGROUP_CREATECONSUMER = "xgroup-createconsumer", XGROUP_DELCONSUMER = "xgroup-delconsumer";
    EXPIRED: EXPIRED = "expired";
    EVICTED: EVICTED = "evicted";
    NEW: NEW = "new";
    KEY_MISS: KEYMISS = "keymiss";
}

impl Event {
    /// Whether it leaves a key that is gone although the event does not say that it was deleted: then that is an event of its own.
    fn may_empty(self) -> bool {
        const SAY_SO: [Event; 5] = [DEL, RENAME_FROM, MOVE_FROM, EXPIRED, EVICTED];
        !SAY_SO.contains(&self)
    }
}

impl Shard {
    /// Whether anybody must hear of changes.
    #[inline]
    pub(super) fn is_alert(&self) -> bool {
        !self.watches.is_empty()
            | !self.waiting.is_empty()
            | self.borrowed_changes.is_some()
            | self.tracking.is_on()
            | (self.settings.notify != 0)
    }

    /// Reports a change of a key that is no event.
    #[inline]
    pub fn changed(&mut self, db: usize, key: &[u8]) {
        self.stats.changes += 1;
        if self.is_alert() {
            self.tell_change(db, key);
        }
    }

    /// Reports that an event has changed a key, when it has: if the key is gone by it, that is told too.
    #[inline]
    pub fn changed_by(&mut self, db: usize, key: &[u8], event: Event) {
        self.stats.changes += 1;
        if self.is_alert() {
            self.tell_event(db, key, event);
        }
    }

    /// Reports that a key has been given a value, in place of another one or as a new key.
    #[inline]
    pub(super) fn set_by(&mut self, db: usize, key: &[u8], existed: bool, event: Event) {
        self.stats.changes += 1;
        if self.is_alert() {
            if !existed {
                self.note(db, key, NEW);
            }
            self.tell_event(db, key, event);
        }
    }

    /// Reports an event that is no change, or is one that is reported besides.
    #[inline]
    pub fn note(&mut self, db: usize, key: &[u8], event: Event) {
        if self.settings.notify & event.class != 0 {
            self.happen(db, key, event);
        }
    }

    #[cold]
    fn happen(&mut self, db: usize, key: &[u8], event: Event) {
        self.happened.push(Happened {
            db,
            key: key.into(),
            event,
        });
    }

    #[cold]
    fn tell_change(&mut self, db: usize, key: &[u8]) {
        self.tell_waiting(db, key);
        match &mut self.borrowed_changes {
            // Who tracks them is known to their owners.
            Some(changes) => changes.push((db, key.into())),
            None if self.tracking.is_on() => self.make_stale(key),
            None => {}
        }
    }

    #[cold]
    fn tell_event(&mut self, db: usize, key: &[u8], event: Event) {
        self.tell_change(db, key);
        self.note(db, key, event);
        if self.settings.notify & class::GENERIC != 0 && event.may_empty() {
            let table = self.table(db);
            if !table.contains(table.hash(key), key) {
                self.happen(db, key, DEL);
            }
        }
    }

    /// Reports that a key of this shard was changed while it was borrowed: counted where it happened.
    pub(crate) fn changed_elsewhere(&mut self, db: usize, key: &[u8]) {
        self.tell_waiting(db, key);
        self.changed_here(key);
    }

    /// Reports that a key of this shard was changed while others were borrowed.
    pub(crate) fn changed_here(&mut self, key: &[u8]) {
        if self.tracking.is_on() {
            self.make_stale(key);
        }
    }

    fn tell_waiting(&mut self, db: usize, key: &[u8]) {
        if !self.watches.is_empty() {
            self.touch(db, key);
        }
        if !self.waiting.is_empty() {
            self.note_ready(db, key);
        }
    }

    /// Events of this shard's keys that happened while they were borrowed.
    pub(crate) fn happened_elsewhere(&mut self, happened: Vec<Happened>) {
        self.happened.extend(happened);
    }

    /// Takes the events of some keys out, in order.
    pub(crate) fn happened_to(&mut self, is_meant: impl Fn(&[u8]) -> bool) -> Vec<Happened> {
        if self.happened.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.happened);
        let (meant, others) = all.into_iter().partition(|it| is_meant(&it.key));
        self.happened = others;
        meant
    }

    /// Whether events wait to be told.
    #[inline]
    #[must_use]
    pub fn has_happened(&self) -> bool {
        !self.happened.is_empty()
    }

    /// Takes all events since the last call, in order.
    #[must_use]
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::entry::StrValue;
    use tessera_core::table::ExpireChange;

    use super::*;

    fn heard(shard: &mut Shard) -> String {
        let all = shard.take_happened();
        let names = all.iter().map(|it| it.event.name);
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn events_of_one_key_in_order() {
        let mut shard = Shard::new(0, 2, 1, 1);
        shard.now_ms = 1_000;
        let set = |shard: &mut Shard, expire| {
            shard.set(0, b"k", StrValue::Int(1), expire).unwrap();
        };
        set(&mut shard, ExpireChange::Clear);
        assert_eq!(heard(&mut shard), "", "nobody asked");
        shard.settings.notify = class::ALL | class::NEW | class::KEY_MISS;
        set(&mut shard, ExpireChange::At(1_001));
        assert_eq!(heard(&mut shard), "set");
        shard.now_ms = 1_002;
        set(&mut shard, ExpireChange::Clear);
        assert_eq!(heard(&mut shard), "expired new set");
        shard.changed_by(0, b"k", LPOP);
        shard.changed_by(0, b"gone", LPOP);
        assert_eq!(heard(&mut shard), "lpop lpop del");
        assert!(shard.read(0, b"gone").is_none() && shard.glance(0, b"gone").is_none());
        assert!(shard.remove(0, b"k") && !shard.remove(0, b"k"));
        assert_eq!(heard(&mut shard), "keymiss del");
        shard.settings.notify = class::GENERIC;
        set(&mut shard, ExpireChange::Clear);
        shard.changed_by(0, b"gone", LPOP);
        assert_eq!(heard(&mut shard), "del");
    }

    #[test]
    fn events_of_borrowed_keys_go_home() {
        let mut shard = Shard::new(0, 1, 1, 1);
        shard.settings.notify = class::ALL;
        for key in [&b"a"[..], b"b", b"a"] {
            shard.note(0, key, APPEND);
        }
        let away = shard.happened_to(|key| key == b"a");
        assert_eq!((away.len(), shard.take_happened().len()), (2, 1));
        shard.happened_elsewhere(away);
        assert!(shard.has_happened());
    }
}
