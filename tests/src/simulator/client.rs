//! `Client`: one simulated client: sends what the author writes, reads the replies, is slow, leaves, comes back.
//!
//! Invariant: it sets an alarm only for something that it will then do, and does only so much, so that a world in which a reply never
//! comes stands still instead of ticking on. It complains itself about replies that belong to no
//! command and about connections that the server closes; everything else is for the judges.

use std::collections::VecDeque;

use tessera_core::resp::{Skipper, parse_reply};
use tessera_io::Hangup;
use tessera_io::sim::{Prng, SimClient, World};

use super::author::Author;
use super::command::{Command, Verb};
use super::history::{Cycle, History};
use super::plan::Habits;
use super::reply::Reply;
use super::word::Word;

/// Calls after which a SCAN is given up.
const CALLS_MAX: usize = 60;

/// A SCAN in progress.
struct Scan {
    db: usize,
    first: usize,
    calls: usize,
    count: u64,
    /// The call without a reply.
    waits_for: Option<usize>,
    cursor: Word,
    seen: Vec<Word>,
}

/// One client.
pub struct Client {
    number: usize,
    prng: Prng,
    habits: Habits,
    end: Option<SimClient>,
    connection: usize,
    db: usize,
    /// Operations without a reply.
    waiting: VecDeque<usize>,
    /// Bytes received, and how many of them have been understood.
    bytes: Vec<u8>,
    understood: usize,
    skipper: Skipper,
    /// Commands still to send in this epoch.
    left: usize,
    is_flood: bool,
    acts_at: Option<u64>,
    is_reading: bool,
    /// It has sent its last byte on this connection and waits for its end.
    is_leaving: bool,
    scan: Option<Scan>,
}

/// What a client acts upon.
pub struct Stage<'a> {
    /// The world.
    pub world: &'a World,
    /// How many shards there are to connect to.
    pub shards: usize,
    /// Who writes the commands.
    pub author: &'a mut Author,
    /// Where everything is noted.
    pub history: &'a mut History,
}

impl Client {
    /// A client without a connection.
    #[must_use]
    pub fn new(number: usize, prng: Prng, habits: Habits) -> Self {
        Self {
            number,
            prng,
            habits,
            end: None,
            connection: 0,
            db: 0,
            waiting: VecDeque::new(),
            bytes: Vec::new(),
            understood: 0,
            skipper: Skipper::new(),
            left: 0,
            is_flood: false,
            acts_at: None,
            is_reading: true,
            is_leaving: false,
            scan: None,
        }
    }

    /// Begins an epoch in which it sends so many commands; all at once, if `is_flood`.
    pub fn begin(&mut self, commands: usize, is_flood: bool, stage: &mut Stage<'_>) {
        self.left = commands;
        self.is_flood = is_flood;
        if let Some(end) = &self.end {
            self.connection = stage.history.connect(self.number, end.shard());
        }
        if commands > 0 {
            self.act_later(stage.world);
        }
    }

    /// Whether it has sent everything and received everything that it will.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let is_idle = self.left == 0 && self.acts_at.is_none() && self.scan.is_none();
        is_idle && self.waiting.is_empty() && self.is_reading && !self.is_leaving
    }

    /// Operations that it waits for.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<usize> {
        &self.waiting
    }

    /// The shard it is connected to.
    #[must_use]
    pub fn shard(&self) -> Option<usize> {
        self.end.as_ref().map(SimClient::shard)
    }

    /// Bytes received beyond the last whole reply.
    #[must_use]
    pub fn torn_bytes(&self) -> usize {
        self.bytes.len() - self.understood
    }

    /// Reads what has come and does what it is time for.
    ///
    /// # Errors
    /// What is wrong with what has come.
    pub fn look(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        loop {
            if let Some(end) = &mut self.end {
                if end.receive_into(&mut self.bytes) > 0 {
                    self.understand(stage)?;
                }
                self.see_the_end(stage)?;
            }
            if self.acts_at.is_none_or(|at| at > stage.world.now()) {
                return Ok(());
            }
            // Whoever begins to read again finds what has come at once: nothing else will happen.
            self.acts_at = None;
            self.act(stage);
        }
    }

    // ---- receiving -------------------------------------------------------------------------

    fn understand(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        loop {
            let rest = &self.bytes[self.understood..];
            let whole = self.skipper.end(rest);
            let Some(length) = whole.map_err(|error| self.complain(&error.to_string()))? else {
                break;
            };
            let parsed = parse_reply(&rest[..length]);
            let reply = match parsed {
                Ok(Some((value, used))) if used == length => Reply::of(&value),
                other => return Err(self.complain(&format!("not a reply: {other:?}"))),
            };
            self.understood += length;
            let Some(operation) = self.waiting.pop_front() else {
                return Err(self.complain(&format!("a reply to no command: {reply}")));
            };
            let at = stage.history.answer(operation, reply.clone());
            self.continue_scan(operation, &reply, at, stage.history);
        }
        if self.understood == self.bytes.len() {
            self.bytes.clear();
            self.understood = 0;
        }
        let is_free = self.waiting.is_empty() && self.acts_at.is_none() && !self.is_leaving;
        if is_free && self.has_more() {
            self.act_later(stage.world);
        }
        Ok(())
    }

    fn continue_scan(&mut self, operation: usize, reply: &Reply, at: u64, history: &mut History) {
        let Some(scan) = self
            .scan
            .as_mut()
            .filter(|scan| scan.waits_for == Some(operation))
        else {
            return;
        };
        scan.waits_for = None;
        // A reply of another shape is for the judge of order.
        let Some((cursor, keys)) = reply.scanned() else {
            self.scan = None;
            return;
        };
        scan.seen.extend(keys);
        let is_over = *cursor == *b"0";
        scan.cursor = cursor;
        if is_over {
            let Scan {
                db, first, seen, ..
            } = self.scan.take().expect("it was looked at above");
            history.cycles.push(Cycle {
                connection: self.connection,
                db,
                first,
                ended: at,
                seen,
            });
        } else if scan.calls == CALLS_MAX {
            self.scan = None;
        }
    }

    fn see_the_end(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        let Some(hangup) = self.end.as_ref().and_then(SimClient::hangup) else {
            return Ok(());
        };
        // A network that cuts a connection is a reset at both ends.
        if hangup == Hangup::Eof {
            if !self.waiting.is_empty() || self.torn_bytes() > 0 {
                let count = self.waiting.len();
                let text = format!("the server closed with {count} commands unanswered");
                return Err(self.complain(&text));
            }
            if !self.is_leaving {
                return Err(self.complain("the server closed for no reason"));
            }
        }
        self.forget_connection(stage.world);
        Ok(())
    }

    fn complain(&self, text: &str) -> String {
        format!("client{} conn{}: {text}", self.number, self.connection)
    }

    fn forget_connection(&mut self, world: &World) {
        self.end = None;
        self.db = 0;
        self.waiting.clear();
        self.bytes.clear();
        self.understood = 0;
        self.skipper = Skipper::new();
        self.is_reading = true;
        self.is_leaving = false;
        self.scan = None;
        self.acts_at = None;
        if self.left > 0 {
            self.act_later(world);
        }
    }

    // ---- acting ----------------------------------------------------------------------------

    fn has_more(&self) -> bool {
        self.left > 0 || self.scan.is_some()
    }

    fn act_later(&mut self, world: &World) {
        let at = world.now() + self.prng.within(self.habits.think_ns);
        self.acts_at = Some(at);
        world.alarm(at);
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        if !self.is_reading {
            self.is_reading = true;
            if let Some(end) = &mut self.end {
                end.start_reading();
            }
        }
        if self.is_leaving || !self.has_more() {
            return;
        }
        if self.end.is_none() {
            let shard = self.prng.index(stage.shards);
            self.end = Some(stage.world.connect(shard));
            self.connection = stage.history.connect(self.number, shard);
        }
        self.send_pipeline(stage);
        if self.prng.chance(self.habits.leave_ppm) {
            self.leave(stage);
        } else if self.prng.chance(self.habits.slow_ppm) {
            if let Some(end) = &mut self.end {
                end.stop_reading();
            }
            self.is_reading = false;
            let at = stage.world.now() + self.prng.within(self.habits.pause_ns);
            self.acts_at = Some(at);
            stage.world.alarm(at);
        } else if self.waiting.is_empty() && self.has_more()
            || self.left > 0 && self.prng.chance(self.habits.impatient_ppm)
        {
            self.act_later(stage.world);
        }
    }

    fn leave(&mut self, stage: &mut Stage<'_>) {
        let Some(end) = &mut self.end else {
            return;
        };
        match self.prng.index(3) {
            0 => {
                end.shutdown();
                self.is_leaving = true;
            }
            1 => {
                end.close();
                self.forget_connection(stage.world);
            }
            _ => {
                end.reset();
                self.forget_connection(stage.world);
            }
        }
    }

    fn send_pipeline(&mut self, stage: &mut Stage<'_>) {
        let mut bytes = Vec::new();
        let depth = if self.is_flood {
            self.left
        } else {
            (1 + self.prng.index(self.habits.depth_max)).min(self.left.max(1))
        };
        for _ in 0..depth {
            let command = self.next_command(stage);
            if let Some(command) = command {
                self.invoke(command, &mut bytes, stage.history);
            }
        }
        if let Some(end) = &mut self.end {
            end.send(&bytes);
        }
    }

    fn invoke(&mut self, command: Command, bytes: &mut Vec<u8>, history: &mut History) {
        command.encode(bytes);
        let selected = (command.verb == Verb::Select).then(|| command.database(0));
        let is_scan = command.verb == Verb::Scan;
        let operation = history.invoke(self.connection, self.db, command);
        self.waiting.push_back(operation);
        if let Some(db) = selected.flatten() {
            self.db = db;
        }
        if let Some(scan) = self.scan.as_mut().filter(|_| is_scan) {
            if scan.calls == 0 {
                scan.first = operation;
            }
            scan.calls += 1;
            scan.waits_for = Some(operation);
        }
    }

    /// The next command: of the SCAN in progress, of a new one, or what the author writes.
    fn next_command(&mut self, stage: &mut Stage<'_>) -> Option<Command> {
        if let Some(scan) = &self.scan {
            let may_go_on = scan.waits_for.is_none();
            if may_go_on && (self.left == 0 || self.prng.chance(700_000)) {
                return Some(self.scan_call());
            }
        }
        self.left = self.left.checked_sub(1)?;
        if self.is_flood {
            return Some(stage.author.flood_command(self.number));
        }
        if self.scan.is_none() && self.prng.chance(self.habits.scan_ppm) {
            self.scan = Some(Scan {
                db: self.db,
                first: 0,
                calls: 0,
                count: [1, 2, 5, 10, 100][self.prng.index(5)],
                waits_for: None,
                cursor: Word::from("0"),
                seen: Vec::new(),
            });
            return Some(self.scan_call());
        }
        let command = stage.author.command(self.number);
        if command.verb == Verb::Select && self.scan.is_some() {
            return None;
        }
        Some(command)
    }

    fn scan_call(&self) -> Command {
        let mut args = Vec::new();
        if let Some(scan) = &self.scan {
            let count = Word::from(scan.count.to_string());
            args = vec![scan.cursor.clone(), Word::from("COUNT"), count];
        }
        Command::new(Verb::Scan, args)
    }

    /// Sends the command that sets all keys, and nothing else in this epoch.
    pub fn prefill(&mut self, stage: &mut Stage<'_>) {
        let shard = self.prng.index(stage.shards);
        self.end = Some(stage.world.connect(shard));
        self.connection = stage.history.connect(self.number, shard);
        let command = stage.author.prefill(self.number);
        let mut bytes = Vec::new();
        self.invoke(command, &mut bytes, stage.history);
        if let Some(end) = &mut self.end {
            end.send(&bytes);
        }
    }
}
