//! `Client`: one simulated client: sends what the author writes, is slow, leaves, comes back, roams.
//!
//! Invariant: it sets an alarm only for something that it will then do, and does only so much, so that a world in which a reply
//! never comes stands still instead of ticking on. A client that stays has one line and pipelines; one that roams has a
//! line to every shard and goes to another with every answer: what it saw here must have happened there.

use tessera_io::sim::{Prng, World};

use super::author::Author;
use super::command::{Command, Verb};
use super::history::{Cycle, History};
use super::line::{Farewell, Line};
use super::node::owner;
use super::plan::Habits;
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
    roams: bool,
    lines: Vec<Line>,
    /// Commands still to send in this epoch.
    left: usize,
    is_flood: bool,
    acts_at: Option<u64>,
    scan: Option<Scan>,
    heard: Vec<(usize, u64)>,
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
    pub fn new(number: usize, prng: Prng, habits: Habits, roams: bool) -> Self {
        Self {
            number,
            prng,
            habits,
            roams,
            lines: Vec::new(),
            left: 0,
            is_flood: false,
            acts_at: None,
            scan: None,
            heard: Vec::new(),
        }
    }

    /// Begins an epoch in which it sends so many commands; all at once, if `is_flood`.
    pub fn begin(&mut self, commands: usize, is_flood: bool, stage: &mut Stage<'_>) {
        self.left = commands;
        self.is_flood = is_flood;
        for line in &mut self.lines {
            line.enlist(stage.history);
        }
        if commands > 0 {
            self.act_later(stage.world);
        }
    }

    /// Whether it has sent everything and received everything that it will.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let is_idle = !self.has_more() && self.acts_at.is_none() && !self.is_waiting();
        is_idle
            && self
                .lines
                .iter()
                .all(|line| line.is_reading() && !line.is_leaving())
    }

    /// Whether it has nothing to do but to wait for a key, or nothing at all.
    #[must_use]
    pub fn is_stuck(&self, history: &History) -> bool {
        self.is_done() || self.stuck(history).next().is_some() && self.acts_at.is_none()
    }

    /// The commands with which its connections wait for keys.
    pub fn stuck<'a>(&'a self, history: &'a History) -> impl Iterator<Item = usize> + 'a {
        self.lines
            .iter()
            .filter_map(|line| line.stuck_with(history))
    }

    /// Gives up: cuts the connections that wait for keys.
    pub fn give_up(&mut self, stage: &mut Stage<'_>) {
        while let Some(place) = self
            .lines
            .iter()
            .position(|line| line.stuck_with(stage.history).is_some())
        {
            self.lines[place].leave(Farewell::Reset, stage.history);
            self.drop_line(place, stage.world);
        }
    }

    /// Sends what helps those who wait for keys. Says whether it could.
    pub fn help(&mut self, commands: Vec<Command>, stage: &mut Stage<'_>) -> bool {
        let is_busy = self.is_waiting() || self.lines.iter().any(Line::is_leaving);
        if is_busy || self.lines.iter().any(|line| line.transaction().is_open()) {
            return false;
        }
        let place = if self.lines.is_empty() {
            let shard = self.prng.index(stage.shards);
            self.line_to(shard, stage)
        } else {
            0
        };
        let mut bytes = Vec::new();
        for command in commands {
            self.lines[place].invoke(command, &mut bytes, stage.history);
        }
        self.lines[place].send(&bytes);
        true
    }

    /// Its connections.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    fn is_waiting(&self) -> bool {
        self.lines.iter().any(|line| !line.waiting().is_empty())
    }

    fn has_more(&self) -> bool {
        self.left > 0 || self.scan.is_some()
    }

    fn act_later(&mut self, world: &World) {
        let think_ns = if self.roams && self.prng.chance(800_000) {
            0
        } else {
            self.prng.within(self.habits.think_ns)
        };
        let at = world.now() + think_ns;
        self.acts_at = Some(at);
        world.alarm(at);
    }

    // ---- receiving -------------------------------------------------------------------------

    /// Reads what has come and does what it is time for.
    ///
    /// # Errors
    /// What is wrong with what has come.
    pub fn look(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        loop {
            self.read(stage)?;
            if self.acts_at.is_none_or(|at| at > stage.world.now()) {
                return Ok(());
            }
            // Whoever begins to read again finds what has come at once: nothing else will happen.
            self.acts_at = None;
            self.act(stage);
        }
    }

    fn read(&mut self, stage: &mut Stage<'_>) -> Result<(), String> {
        let mut place = 0;
        while place < self.lines.len() {
            let line = &mut self.lines[place];
            line.receive(stage.history, &mut self.heard)?;
            if line.has_ended()? {
                self.drop_line(place, stage.world);
            } else {
                place += 1;
            }
        }
        if self.heard.is_empty() {
            return Ok(());
        }
        for (operation, at) in std::mem::take(&mut self.heard) {
            self.continue_scan(operation, at, stage.history);
        }
        let is_leaving = self.lines.iter().any(Line::is_leaving);
        let is_free = !self.is_waiting() && self.acts_at.is_none() && !is_leaving;
        if is_free && self.has_more() {
            self.act_later(stage.world);
        }
        Ok(())
    }

    fn continue_scan(&mut self, operation: usize, at: u64, history: &mut History) {
        let Some(scan) = self
            .scan
            .as_mut()
            .filter(|scan| scan.waits_for == Some(operation))
        else {
            return;
        };
        scan.waits_for = None;
        let answered = &history.operations[operation];
        let scanned = answered
            .answered
            .as_ref()
            .and_then(|answered| answered.reply.scanned());
        // A reply of another shape is for the judge of order.
        let Some((cursor, keys)) = scanned else {
            self.scan = None;
            return;
        };
        scan.seen.extend(keys);
        let is_over = *cursor == *b"0";
        scan.cursor = cursor;
        if is_over {
            history.cycles.push(Cycle {
                connection: history.operations[operation].connection,
                db: scan.db,
                first: scan.first,
                ended: at,
                seen: std::mem::take(&mut scan.seen),
            });
        }
        if is_over || scan.calls == CALLS_MAX {
            self.scan = None;
        }
    }

    /// Forgets a connection and goes on with another, if there is anything to go on with.
    fn drop_line(&mut self, place: usize, world: &World) {
        self.lines.swap_remove(place);
        self.scan = None;
        // Another line may still wait for the moment to read again.
        let is_slow = self.lines.iter().any(|line| !line.is_reading());
        if self.left == 0 && !is_slow {
            self.acts_at = None;
        } else if self.left > 0 && !self.is_waiting() {
            self.act_later(world);
        }
    }

    // ---- acting ----------------------------------------------------------------------------

    fn act(&mut self, stage: &mut Stage<'_>) {
        for line in self.lines.iter_mut().filter(|line| !line.is_reading()) {
            line.set_reading(true);
        }
        if self.lines.iter().any(Line::is_leaving) || !self.has_more() {
            return;
        }
        let place = if self.roams {
            if self.is_waiting() {
                return;
            }
            self.send_elsewhere(stage)
        } else {
            self.send_pipeline(stage)
        };
        // Whoever asks for much is more likely to be slow, to leave, or both.
        let (slow_ppm, leave_ppm) = if self.is_flood {
            (500_000, 300_000)
        } else {
            (self.habits.slow_ppm, self.habits.leave_ppm)
        };
        let is_slow = self.prng.chance(slow_ppm);
        if is_slow {
            self.lines[place].set_reading(false);
            let at = stage.world.now() + self.prng.within(self.habits.pause_ns);
            self.acts_at = Some(at);
            stage.world.alarm(at);
        }
        if self.prng.chance(leave_ppm) {
            self.leave(place, stage);
        } else if !is_slow
            && (!self.is_waiting() && self.has_more()
                || self.left > 0 && !self.roams && self.prng.chance(self.habits.impatient_ppm))
        {
            self.act_later(stage.world);
        }
    }

    fn leave(&mut self, place: usize, stage: &mut Stage<'_>) {
        let ways = [Farewell::Shutdown, Farewell::Close, Farewell::Reset];
        let how = ways[self.prng.index(ways.len())];
        self.lines[place].leave(how, stage.history);
        if how != Farewell::Shutdown {
            self.drop_line(place, stage.world);
        }
    }

    /// The line to a shard, new if need be.
    fn line_to(&mut self, shard: usize, stage: &mut Stage<'_>) -> usize {
        let known = self.lines.iter().position(|line| line.shard() == shard);
        known.unwrap_or_else(|| {
            let mut line = Line::connect(self.number, shard, stage.world, stage.history);
            if stage.author.is_curious() {
                let mut bytes = Vec::new();
                let command = Command::new(Verb::Identity, vec![Word::from("ID")]);
                line.invoke(command, &mut bytes, stage.history);
                line.send(&bytes);
            }
            self.lines.push(line);
            self.lines.len() - 1
        })
    }

    /// Sends one command, most often to the shard that owns its first key.
    fn send_elsewhere(&mut self, stage: &mut Stage<'_>) -> usize {
        self.left -= 1;
        let command = if self.prng.chance(600_000) {
            stage.author.read(self.number)
        } else {
            stage.author.command(self.number, stage.history)
        };
        // A transaction needs a line that it stays on.
        let is_about_state = matches!(
            command.verb,
            Verb::Multi | Verb::Watch | Verb::Exec | Verb::Discard | Verb::Unwatch
        );
        let command = if is_about_state {
            stage.author.read(self.number)
        } else {
            command
        };
        let shard = match command.args.first() {
            Some(key) if self.prng.chance(700_000) => owner(key, stage.shards),
            _ => self.prng.index(stage.shards),
        };
        let place = self.line_to(shard, stage);
        let mut bytes = Vec::new();
        self.lines[place].invoke(command, &mut bytes, stage.history);
        self.lines[place].send(&bytes);
        place
    }

    fn send_pipeline(&mut self, stage: &mut Stage<'_>) -> usize {
        let place = if self.lines.is_empty() {
            let shard = self.prng.index(stage.shards);
            self.line_to(shard, stage)
        } else {
            0
        };
        let depth = if self.is_flood {
            self.left
        } else {
            (1 + self.prng.index(self.habits.depth_max)).min(self.left.max(1))
        };
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let Some(command) = self.next_command(place, stage) else {
                continue;
            };
            let is_scan = command.verb == Verb::Scan;
            let operation = self.lines[place].invoke(command, &mut bytes, stage.history);
            if let Some(scan) = self.scan.as_mut().filter(|_| is_scan) {
                if scan.calls == 0 {
                    scan.first = operation;
                }
                scan.calls += 1;
                scan.waits_for = Some(operation);
            }
        }
        self.lines[place].send(&bytes);
        place
    }

    /// The next command: of the SCAN in progress, of a new one, or what the author writes.
    fn next_command(&mut self, place: usize, stage: &mut Stage<'_>) -> Option<Command> {
        let line = &self.lines[place];
        let db = line.db();
        if line.transaction().is_open() {
            // A SCAN cannot go on in there.
            self.scan = None;
            self.left = self.left.checked_sub(1)?;
            return Some(stage.author.queued(self.number, stage.history));
        }
        if line.transaction().watches() && self.left > 0 && self.prng.chance(300_000) {
            self.left -= 1;
            return Some(Command::new(Verb::Multi, Vec::new()));
        }
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
                db,
                first: 0,
                calls: 0,
                count: [1, 2, 5, 10, 100][self.prng.index(5)],
                waits_for: None,
                cursor: Word::from("0"),
                seen: Vec::new(),
            });
            return Some(self.scan_call());
        }
        let command = stage.author.command(self.number, stage.history);
        // A SCAN stays in its database.
        let is_fine = command.verb != Verb::Select || self.scan.is_none();
        is_fine.then_some(command)
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
        let place = self.line_to(shard, stage);
        let mut bytes = Vec::new();
        let command = stage.author.prefill(self.number);
        let groups = stage.author.groups();
        for command in std::iter::once(command).chain(groups) {
            self.lines[place].invoke(command, &mut bytes, stage.history);
        }
        self.lines[place].send(&bytes);
    }
}
