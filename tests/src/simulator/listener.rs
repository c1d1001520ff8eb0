//! `Listener`: a simulated client that listens to channels and patterns, is slow, leaves and comes back.
//!
//! What it asks for and receives goes on a tape, in order, for the judge of messages. Like other clients it sets an alarm only for something that it
//! will then do, and does only so much in an epoch.

use tessera_core::resp::{Skipper, parse_reply};
use tessera_io::sim::{Prng, SimClient, World};

use super::history::{History, Sound, Tape};
use super::plan::Habits;
use super::reply::Reply;
use super::word::Word;

const ACTIONS_MAX: usize = 6;

/// See the head of this file.
pub struct Listener {
    prng: Prng,
    habits: Habits,
    channels: Vec<Word>,
    shards: usize,
    end: Option<SimClient>,
    tape: usize,
    /// What it listens to as far as it has heard.
    names: Vec<Word>,
    bytes: Vec<u8>,
    skipper: Skipper,
    reads: bool,
    /// Replies that it waits for.
    owed: usize,
    left: usize,
    acts_at: Option<u64>,
}

fn bulk(reply: &Reply) -> Option<Word> {
    match reply {
        Reply::Bulk(word) => Some(word.clone()),
        _ => None,
    }
}

impl Listener {
    /// One without a connection.
    #[must_use]
    pub fn new(prng: Prng, habits: Habits, channels: Vec<Word>, shards: usize) -> Self {
        Self {
            prng,
            habits,
            channels,
            shards,
            end: None,
            tape: 0,
            names: Vec::new(),
            bytes: Vec::new(),
            skipper: Skipper::new(),
            reads: true,
            owed: 0,
            left: 0,
            acts_at: None,
        }
    }

    /// Begins an epoch.
    pub fn begin(&mut self, world: &World, history: &mut History) {
        self.left = 1 + self.prng.index(ACTIONS_MAX);
        if let Some(end) = &self.end {
            self.tape = history.tapes.len();
            history.tapes.push(Tape {
                shard: end.shard(),
                first: self.names.clone(),
                ..Tape::default()
            });
        }
        self.act_later(world, self.habits.think_ns.max);
    }

    fn act_later(&mut self, world: &World, most_ns: u64) {
        let at = world.now() + self.prng.below(most_ns.max(1) * 4);
        self.acts_at = Some(at);
        world.alarm(at);
    }

    /// The shard that it is connected to.
    #[must_use]
    pub fn shard(&self) -> Option<usize> {
        self.end.as_ref().map(SimClient::shard)
    }

    /// Whether it does no more in this epoch and has heard what it asked for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.acts_at.is_none() && self.owed == 0 && self.reads
    }

    /// Reads what has come and does what it is time for.
    ///
    /// # Errors
    /// What is wrong with what has come.
    pub fn look(&mut self, world: &World, history: &mut History) -> Result<(), String> {
        self.read(history)?;
        if self.acts_at.is_some_and(|at| at <= world.now()) {
            self.acts_at = None;
            self.act(world, history);
            self.read(history)?;
        }
        Ok(())
    }

    fn read(&mut self, history: &mut History) -> Result<(), String> {
        let Some(end) = &mut self.end else {
            return Ok(());
        };
        end.receive_into(&mut self.bytes);
        while let Some(length) = self
            .skipper
            .end(&self.bytes)
            .map_err(|error| error.to_string())?
        {
            let reply = match parse_reply(&self.bytes[..length]) {
                Ok(Some((value, used))) if used == length => Reply::of(&value),
                other => return Err(format!("a listener received no reply: {other:?}")),
            };
            self.bytes.drain(..length);
            self.hear(&reply, history)?;
        }
        if self.end.as_ref().is_some_and(|end| end.hangup().is_some()) {
            self.part(history);
        }
        Ok(())
    }

    fn hear(&mut self, reply: &Reply, history: &mut History) -> Result<(), String> {
        let strange = || format!("a listener received {reply}");
        let Reply::Array(parts) = reply else {
            return Err(strange());
        };
        let [Some(kind), Some(name)] = [0, 1].map(|place| parts.get(place).and_then(bulk)) else {
            return Err(strange());
        };
        let mut message = None;
        let at = match &*kind {
            b"message" | b"pmessage" => {
                message = parts.last().and_then(bulk);
                history.heard(message.as_ref().ok_or_else(strange)?)
            }
            _ => {
                self.owed = self.owed.checked_sub(1).ok_or_else(strange)?;
                self.names.retain(|known| *known != name);
                if kind.ends_with(b"psubscribe") || *kind == *b"subscribe" {
                    self.names.push(name.clone());
                }
                history.event()
            }
        };
        let sound = Sound {
            at,
            kind,
            name,
            message,
        };
        history.tapes[self.tape].sounds.push(sound);
        Ok(())
    }

    /// Its connection is over.
    fn part(&mut self, history: &mut History) {
        self.end = None;
        self.names.clear();
        self.bytes.clear();
        self.skipper = Skipper::new();
        self.owed = 0;
        self.reads = true;
        let at = history.event();
        history.tapes[self.tape].cut = Some(at);
    }

    fn act(&mut self, world: &World, history: &mut History) {
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
        match (&mut self.end, self.prng.index(10)) {
            (Some(end), 0) if self.habits.leave_ppm > 0 => {
                end.reset();
                self.part(history);
            }
            (Some(end), 1 | 2) if self.habits.slow_ppm > 0 => {
                end.stop_reading();
                self.reads = false;
                // To read again is no action.
                self.act_later(world, self.habits.pause_ns.max);
                return;
            }
            _ => self.ask(world, history),
        }
        if self.left > 0 {
            self.act_later(world, self.habits.think_ns.max);
        }
    }

    fn ask(&mut self, world: &World, history: &mut History) {
        if self.end.is_none() {
            let shard = self.prng.index(self.shards);
            self.end = Some(world.connect(shard));
            self.tape = history.tapes.len();
            history.tapes.push(Tape {
                shard,
                ..Tape::default()
            });
        }
        let name = self.channels[self.prng.index(self.channels.len())].clone();
        let (verb, name, listens) = match self.prng.index(6) {
            0 => ("UNSUBSCRIBE", name, false),
            1 => ("PUNSUBSCRIBE", Word::from("n*"), false),
            2 => ("PSUBSCRIBE", Word::from("n*"), true),
            _ => ("SUBSCRIBE", name, true),
        };
        let at = history.event();
        history.tapes[self.tape]
            .asked
            .push((at, listens, name.clone()));
        let mut bytes =
            format!("*2\r\n${}\r\n{verb}\r\n${}\r\n", verb.len(), name.len()).into_bytes();
        bytes.extend_from_slice(&name);
        bytes.extend_from_slice(b"\r\n");
        self.owed += 1;
        if let Some(end) = &mut self.end {
            end.send(&bytes);
        }
    }
}
