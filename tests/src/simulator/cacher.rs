//! `Cacher`: a simulated client that keeps copies of the values that it reads, and drops each when it hears that the key has changed.
//!
//! It hears by client-side caching (CLIENT TRACKING, in its ways) or by keyspace notifications; what it does with what it hears is the same. Whoever does so
//! never keeps an old value, say docs/design/tracking.md and Redis: that is what the judge of copies looks at. Its reads stand in no history: they change nothing.
//! Like other clients it sets an alarm only for something that it will then do, and does only so much in an epoch.

use std::collections::{BTreeMap, VecDeque};

use tessera_core::resp::{Skipper, Value, parse_reply};
use tessera_io::sim::{Prng, SimClient, World};

use super::history::History;
use super::plan::Habits;
use super::word::Word;

const ACTIONS_MAX: usize = 20;

/// How a client hears of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ears {
    /// Of what it has read.
    Tracking,
    /// Of what it has read after CLIENT CACHING YES.
    OptIn,
    /// Of all keys.
    Broadcast,
    /// By the events of the keyspace.
    Events,
}

/// A reply that is owed.
enum Owed {
    /// To a command that prepares others.
    Setup,
    /// The values of these keys, one by one or as an array.
    Values { keys: Vec<Word>, is_kept: bool },
}

/// See the head of this file.
pub struct Cacher {
    prng: Prng,
    habits: Habits,
    ears: Ears,
    keys: Vec<Word>,
    shards: usize,
    /// Its database.
    pub db: usize,
    /// What it believes: the strings of keys, or that there are none.
    pub copies: BTreeMap<Word, Option<Word>>,
    end: Option<SimClient>,
    bytes: Vec<u8>,
    skipper: Skipper,
    reads: bool,
    owed: VecDeque<Owed>,
    left: usize,
    acts_at: Option<u64>,
}

impl Cacher {
    /// One without a connection.
    #[must_use]
    pub fn new(
        prng: Prng,
        habits: Habits,
        ears: Ears,
        (keys, db): (Vec<Word>, usize),
        shards: usize,
    ) -> Self {
        Self {
            prng,
            habits,
            ears,
            keys,
            shards,
            db,
            copies: BTreeMap::new(),
            end: None,
            bytes: Vec::new(),
            skipper: Skipper::new(),
            reads: true,
            owed: VecDeque::new(),
            left: 0,
            acts_at: None,
        }
    }

    /// Begins an epoch.
    pub fn begin(&mut self, world: &World) {
        self.left = 1 + self.prng.index(ACTIONS_MAX);
        self.act_later(world, self.habits.think_ns.max);
    }

    fn act_later(&mut self, world: &World, most_ns: u64) {
        let at = world.now() + self.prng.below(most_ns.max(1) * 2);
        self.acts_at = Some(at);
        world.alarm(at);
    }

    /// The shard that it is connected to.
    #[must_use]
    pub fn shard(&self) -> Option<usize> {
        self.end.as_ref().map(SimClient::shard)
    }

    /// How it hears of changes.
    #[must_use]
    pub fn ears(&self) -> Ears {
        self.ears
    }

    /// Whether it does no more in this epoch and has all replies.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.acts_at.is_none() && self.owed.is_empty() && self.reads
    }

    /// Reads what has come and does what it is time for.
    ///
    /// # Errors
    /// What is wrong with what has come.
    pub fn look(&mut self, world: &World, history: &mut History) -> Result<(), String> {
        self.read(history)?;
        if self.acts_at.is_some_and(|at| at <= world.now()) {
            self.acts_at = None;
            self.act(world);
            self.read(history)?;
        }
        Ok(())
    }

    fn read(&mut self, history: &mut History) -> Result<(), String> {
        let Some(end) = &mut self.end else {
            return Ok(());
        };
        end.receive_into(&mut self.bytes);
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut from = 0;
        while let Some(length) = self
            .skipper
            .end(&bytes[from..])
            .map_err(|error| error.to_string())?
        {
            let frame = &bytes[from..from + length];
            from += length;
            history.event();
            match parse_reply(frame) {
                Ok(Some((Value::Push(parts), used))) if used == length => self.hear(&parts)?,
                Ok(Some((value, used))) if used == length => self.receive(&value)?,
                other => return Err(format!("a cacher received no reply: {other:?}")),
            }
        }
        bytes.drain(..from);
        self.bytes = bytes;
        if self.end.as_ref().is_some_and(|end| end.hangup().is_some()) {
            self.part();
        }
        Ok(())
    }

    /// News.
    fn hear(&mut self, parts: &[Value<'_>]) -> Result<(), String> {
        let strange = || format!("a cacher was told {parts:?}");
        match parts {
            [Value::Bulk(kind), Value::Null] if **kind == *b"invalidate" => self.copies.clear(),
            [Value::Bulk(kind), Value::Array(keys)] if **kind == *b"invalidate" => {
                for key in keys {
                    let Value::Bulk(key) = key else {
                        return Err(strange());
                    };
                    self.copies.remove(&**key);
                }
            }
            [Value::Bulk(kind), _, Value::Bulk(channel), _] if **kind == *b"pmessage" => {
                let start = format!("__keyspace@{}__:", self.db);
                let key = channel.strip_prefix(start.as_bytes());
                self.copies.remove(key.ok_or_else(strange)?);
            }
            [Value::Bulk(kind), ..] if **kind == *b"psubscribe" => {
                self.owed.pop_front();
            }
            _ => return Err(strange()),
        }
        Ok(())
    }

    fn receive(&mut self, value: &Value<'_>) -> Result<(), String> {
        let strange = || format!("a cacher received {value:?}");
        let Owed::Values { keys, is_kept } = self.owed.pop_front().ok_or_else(strange)? else {
            let is_refused = matches!(value, Value::Error(_));
            return if is_refused { Err(strange()) } else { Ok(()) };
        };
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if values.len() != keys.len() {
            return Err(strange());
        }
        for (key, value) in keys.into_iter().zip(values) {
            let copy = match value {
                Value::Bulk(text) => Some(Some(Word::new(text))),
                Value::Null => Some(None),
                // Of another type.
                Value::Error(_) => None,
                _ => return Err(strange()),
            };
            // What it does not keep it had before, and still believes unless it is told.
            if let Some(copy) = copy.filter(|_| is_kept) {
                self.copies.insert(key, copy);
            }
        }
        Ok(())
    }

    /// Its connection is over.
    fn part(&mut self) {
        self.end = None;
        self.copies.clear();
        self.bytes.clear();
        self.skipper = Skipper::new();
        self.owed.clear();
        self.reads = true;
    }

    fn act(&mut self, world: &World) {
        if !self.reads {
            self.reads = true;
            if let Some(end) = &mut self.end {
                end.start_reading();
            }
        }
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        match (&mut self.end, self.prng.index(20)) {
            (Some(end), 0) if self.habits.leave_ppm > 0 => {
                end.reset();
                self.part();
            }
            (Some(end), 1) if self.habits.slow_ppm > 0 => {
                end.stop_reading();
                self.reads = false;
                // To read again is no action.
                self.act_later(world, self.habits.pause_ns.max);
                return;
            }
            // A notification may overtake a reply that waits for another.
            _ if self.ears == Ears::Events && !self.owed.is_empty() => {}
            _ => self.ask(world),
        }
        if self.left > 0 {
            self.act_later(world, self.habits.think_ns.max);
        }
    }

    /// Reads a few keys, on a new connection if there is none.
    fn ask(&mut self, world: &World) {
        let mut bytes = Vec::new();
        if self.end.is_none() {
            self.end = Some(world.connect(self.prng.index(self.shards)));
            self.prepare(&mut bytes);
        }
        let pipelined = match self.ears {
            Ears::Events => 1,
            _ => 1 + self.prng.index(3),
        };
        for _ in 0..pipelined {
            let is_wanted = self.ears != Ears::OptIn || self.prng.chance(700_000);
            if self.ears == Ears::OptIn && is_wanted {
                self.command(&mut bytes, &["CLIENT", "CACHING", "YES"]);
                self.owed.push_back(Owed::Setup);
            }
            let many = self.ears != Ears::Events && self.prng.chance(400_000);
            let count = if many { 1 + self.prng.index(3) } else { 1 };
            let keys: Vec<Word> = (0..count)
                .map(|_| self.keys[self.prng.index(self.keys.len())].clone())
                .collect();
            let verb = Word::from(if many { "MGET" } else { "GET" });
            let words: Vec<&[u8]> = std::iter::once(&verb)
                .chain(&keys)
                .map(|word| &**word)
                .collect();
            tessera_core::resp::write_command(&mut bytes, &words);
            self.owed.push_back(Owed::Values {
                keys,
                is_kept: is_wanted,
            });
        }
        if let Some(end) = &mut self.end {
            end.send(&bytes);
        }
    }

    fn command(&self, bytes: &mut Vec<u8>, words: &[&str]) {
        tessera_core::resp::write_command(bytes, words);
    }

    /// What a new connection says first.
    fn prepare(&mut self, bytes: &mut Vec<u8>) {
        let (db, pattern) = (self.db.to_string(), format!("__keyspace@{}__:*", self.db));
        self.command(bytes, &["HELLO", "3"]);
        self.command(bytes, &["SELECT", &db]);
        match self.ears {
            Ears::Tracking => self.command(bytes, &["CLIENT", "TRACKING", "ON"]),
            Ears::OptIn => self.command(bytes, &["CLIENT", "TRACKING", "ON", "OPTIN"]),
            Ears::Broadcast => self.command(bytes, &["CLIENT", "TRACKING", "ON", "BCAST"]),
            Ears::Events => self.command(bytes, &["PSUBSCRIBE", &pattern]),
        }
        self.owed.extend((0..3).map(|_| Owed::Setup));
    }
}
