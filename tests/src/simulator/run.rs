//! `Run`: one seed from beginning to end: worlds, epochs, judges.
//!
//! An epoch is a bounded number of commands between two moments of rest. Each is judged by itself, from the keyspace at its
//! beginning to the one at its end, both of which are read from the tables.

use std::fmt;

use tessera_io::sim::{Prng, Step, World};

use super::author::Author;
use super::cacher::{Cacher, Ears};
use super::client::{Client, Stage};
use super::command::Verb;
use super::expiry::{come_due, wall_ms};
use super::history::History;
use super::judge::order::{self, Impasse, Ruling};
use super::judge::{copies, delivery, messages, place, reading, rest, scans};
use super::listener::Listener;
use super::model::Model;
use super::node::{Node, Tampering, owner};
use super::plan::{Kind, Plan};
use super::reply::Reply;
use super::transaction::Role;
use super::waiting::awaited;
use super::word::{Word, digest, mix};

/// Steps after which an epoch counts as endless.
const STEPS_MAX: u64 = 2_000_000;
/// Time without any reply after which an epoch counts as endless: more than any delay, and more than a tick of the server.
const SILENCE_NS: u64 = 20_000_000_000;
/// In a world with keys that expire, which never stands still: time without any reply after which everybody may be at rest.
const CALM_NS: u64 = 1_000_000_000;
/// Commands in a flood: more than a connection may have in flight.
const FLOOD_COMMANDS: usize = 1_300;
/// Commands in a flood with big replies: more than the server lets pile up.
const BIG_FLOOD_COMMANDS: usize = 60;
/// How often those who wait for keys when all else is done are helped, before their connections are cut.
const HELP_MAX: usize = 3;
/// Whoever waits at rest is joined by another one.
const JOIN_PPM: u32 = 600_000;
/// How often everybody may come to rest in an epoch: whoever is cut off comes back with what it has left to say.
const ROUNDS_MAX: usize = 100;
/// How late a shard may know that a time has come, if nothing stalls it.
const LATE_NS: u64 = 5_000_000;

/// What a run did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Account {
    /// Stands for all that happened.
    pub hash: u64,
    /// Commands sent.
    pub commands: u64,
    /// Commands without a reply because their connection was cut.
    pub cut: u64,
    /// Whole SCANs judged.
    pub scans: u64,
    /// Commands that waited when all else was done.
    pub waited: u64,
    /// Transactions that ran.
    pub transactions: u64,
    /// Transactions that did not because of a watched key.
    pub refused: u64,
    /// Messages received.
    pub messages: u64,
    /// Reads for a consumer of a group that got entries.
    pub reads: u64,
    /// Epochs judged.
    pub epochs: u64,
    /// Epochs in which the search for an order gave up.
    pub undecided: u64,
    /// Steps of the scheduler.
    pub steps: u64,
}

/// Why a run failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: usize,
    /// The judge who says so.
    pub judge: &'static str,
    /// What it says.
    pub complaint: String,
    /// Operations in the epoch.
    pub operations: usize,
    /// Plan, owners, keyspace at the beginning, history.
    pub picture: String,
}

/// One seed.
pub struct Run {
    plan: Plan,
    world: World,
    node: Node,
    clients: Vec<Client>,
    listeners: Vec<Listener>,
    cachers: Vec<Cacher>,
    author: Author,
    prng: Prng,
    history: History,
    start: Model,
    epoch: usize,
    account: Account,
}

impl Run {
    /// A run that is about to begin.
    #[must_use]
    pub fn new(plan: Plan, tampering: Tampering) -> Self {
        let world = World::new(plan.seed, plan.faults.clone());
        let mut prng = Prng::new(!plan.seed);
        let tells = plan.subject.ears.contains(&Ears::Events);
        let node = Node::new(
            &world,
            plan.shards,
            plan.phase_ns,
            prng.fork(),
            (tampering, tells),
        );
        let listener = |_| {
            let channels = plan.subject.channels.clone();
            Listener::new(prng.fork(), plan.habits.clone(), channels, plan.shards)
        };
        let listeners = (0..plan.listeners).map(listener).collect();
        let mut cacher = |ears: &Ears| {
            let databases = &plan.subject.databases;
            let db = databases[prng.index(databases.len())];
            let what = (plan.subject.keys.clone(), db);
            Cacher::new(prng.fork(), plan.habits.clone(), *ears, what, plan.shards)
        };
        let cachers = plan.subject.ears.iter().map(&mut cacher).collect();
        let client = |number| {
            let roams = number >= plan.clients - plan.roamers;
            Client::new(number, prng.fork(), plan.habits.clone(), roams)
        };
        Self {
            listeners,
            cachers,
            clients: (0..plan.clients).map(client).collect(),
            author: Author::new(prng.fork(), plan.subject.clone()),
            prng,
            node,
            world,
            plan,
            history: History::default(),
            start: Model::default(),
            epoch: 0,
            account: Account::default(),
        }
    }

    /// Runs all epochs.
    ///
    /// # Errors
    /// What the first judge to complain says.
    pub fn run(&mut self) -> Result<Account, Failure> {
        let epochs = self.plan.epochs + usize::from(self.plan.prefills);
        for epoch in 0..epochs {
            self.epoch = epoch;
            self.history = History::new(self.plan.subject.is_strict);
            self.begin_epoch();
            self.play().map_err(|text| self.failure("clients", text))?;
            self.judge()?;
        }
        Ok(self.account)
    }

    /// Keeps what happens in the world for `trace`.
    pub fn keep_trace(&self) {
        self.world.keep_trace();
    }

    /// What happened in the world, one line each.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        let entries = self.world.take_trace();
        entries.iter().map(ToString::to_string).collect()
    }

    fn begin_epoch(&mut self) {
        let Self {
            plan,
            world,
            clients,
            listeners,
            cachers,
            author,
            history,
            prng,
            ..
        } = self;
        for listener in listeners {
            listener.begin(world, history);
        }
        for cacher in cachers {
            cacher.begin(world);
        }
        let mut stage = Stage {
            world,
            shards: plan.shards,
            author,
            history,
        };
        if plan.prefills && self.epoch == 0 {
            clients[0].prefill(&mut stage);
            return;
        }
        let staying = plan.clients - plan.roamers;
        let has_flood = matches!(plan.kind, Kind::Flood | Kind::Big);
        let flooding = has_flood.then(|| prng.index(staying));
        let share = plan.commands.div_ceil(clients.len());
        for (number, client) in clients.iter_mut().enumerate() {
            let is_flood = flooding == Some(number);
            let commands = match (is_flood, plan.subject.big_keys.is_empty()) {
                (true, true) => FLOOD_COMMANDS,
                (true, false) => BIG_FLOOD_COMMANDS,
                (false, _) => 1 + prng.index(share * 2 - 1),
            };
            client.begin(commands, is_flood, &mut stage);
        }
    }

    /// Runs until everybody is at rest. Those who still wait for keys then are helped, and in the end cut off.
    fn play(&mut self) -> Result<(), String> {
        for round in 0..ROUNDS_MAX {
            self.play_until_rest()?;
            let stuck: Vec<usize> = self
                .clients
                .iter()
                .flat_map(|client| client.stuck(&self.history))
                .collect();
            if stuck.is_empty() {
                return Ok(());
            }
            self.account.waited += stuck.len() as u64;
            self.look_for_lost_wakes(&stuck)?;
            if self.history.is_strict {
                self.history.rest(stuck.iter().copied());
            }
            let joins = round == 0 && self.history.is_strict && self.prng.chance(JOIN_PPM);
            if joins && self.join(&stuck) {
                continue;
            }
            if round < HELP_MAX {
                self.help(&stuck);
            } else {
                self.cut_stuck();
            }
        }
        Err("there is always somebody who waits".to_owned())
    }

    /// Nobody who waits at rest waits for what is there.
    fn look_for_lost_wakes(&self, stuck: &[usize]) -> Result<(), String> {
        let model = place::judge(&self.node, wall_ms(self.world.now()))?;
        for number in stuck {
            let operation = &self.history.operations[*number];
            let mut model = model.clone();
            if let Some(answer) = model.try_blocking(operation.db, &operation.command)
                && !answer.is_error()
            {
                let line = self.history.line(*number);
                return Err(format!(
                    "it waits for what is there ({answer}):\n  {line}\n{model}"
                ));
            }
        }
        Ok(())
    }

    /// Somebody who is free gives something to those who wait.
    fn help(&mut self, stuck: &[usize]) {
        let mut keys: Vec<(Verb, Word)> = Vec::new();
        for number in stuck {
            let operation = &self.history.operations[*number];
            let awaited = awaited(&operation.command);
            if operation.db == 0 {
                // Several keys that it waits for are several owners that may want to serve it.
                let chosen = match self.prng.index(2) {
                    0 => awaited,
                    _ => std::slice::from_ref(&awaited[self.prng.index(awaited.len())]),
                };
                let verb = operation.command.verb;
                keys.extend(chosen.iter().map(|key| (verb, key.clone())));
            }
        }
        let first = self.prng.index(self.clients.len());
        let mut stage = Stage {
            world: &self.world,
            shards: self.plan.shards,
            author: &mut self.author,
            history: &mut self.history,
        };
        let count = self.clients.len();
        for number in (0..count).map(|number| (first + number) % count) {
            let help = keys
                .iter()
                .flat_map(|(verb, key)| stage.author.help(*verb, key, number));
            let help = help.collect();
            if self.clients[number].help(help, &mut stage) {
                return;
            }
        }
    }

    /// Somebody who is free waits for the same as one who waits, and for certain behind it. Says whether there was one.
    fn join(&mut self, stuck: &[usize]) -> bool {
        let operation = &self.history.operations[stuck[self.prng.index(stuck.len())]];
        if operation.db != 0 {
            return false;
        }
        let command = operation.command.clone();
        let first = self.prng.index(self.clients.len());
        let mut stage = Stage {
            world: &self.world,
            shards: self.plan.shards,
            author: &mut self.author,
            history: &mut self.history,
        };
        let count = self.clients.len();
        let mut others = (0..count).map(|number| (first + number) % count);
        others.any(|number| self.clients[number].help(vec![command.clone()], &mut stage))
    }

    fn cut_stuck(&mut self) {
        let mut stage = Stage {
            world: &self.world,
            shards: self.plan.shards,
            author: &mut self.author,
            history: &mut self.history,
        };
        for client in &mut self.clients {
            client.give_up(&mut stage);
        }
    }

    /// Runs until nobody does anything any more.
    fn play_until_rest(&mut self) -> Result<(), String> {
        let Self {
            plan,
            world,
            node,
            clients,
            listeners,
            cachers,
            author,
            history,
            account,
            ..
        } = self;
        let (mut steps, mut heard, mut heard_at) = (0, 0, world.now());
        loop {
            author.now_ms = wall_ms(world.now());
            let mut stage = Stage {
                world,
                shards: plan.shards,
                author,
                history,
            };
            for client in clients.iter_mut() {
                client.look(&mut stage)?;
            }
            for listener in listeners.iter_mut() {
                listener.look(world, history)?;
            }
            for cacher in cachers.iter_mut() {
                cacher.look(world, history)?;
            }
            history.note_time(world.now());
            if history.events() != heard {
                (heard, heard_at) = (history.events(), world.now());
            }
            // Keys make the node tick for ever: those that expire, and old access times.
            if world.now() > heard_at + CALM_NS
                && clients.iter().all(Client::is_done)
                && listeners.iter().all(Listener::is_done)
                && cachers.iter().all(Cacher::is_done)
                && node.is_at_rest(world)
            {
                break;
            }
            match world.step() {
                Step::Shard(shard) => {
                    let done = node.step(shard, world);
                    done.map_err(|error| error.to_string())?;
                }
                Step::Time if world.now() > heard_at + SILENCE_NS => break,
                Step::Time => {}
                Step::Idle => break,
            }
            steps += 1;
            if steps > STEPS_MAX {
                return Err(format!("no end in sight:\n{}", node.situation(world)));
            }
        }
        account.steps += steps;
        Ok(())
    }

    fn judge(&mut self) -> Result<(), Failure> {
        let caching = self.cachers.iter().filter_map(Cacher::shard);
        let listening = self.listeners.iter().filter_map(Listener::shard);
        let listening = listening.chain(caching);
        let listening: Vec<usize> = listening.collect();
        let complaint = rest::judge(
            &self.world,
            &self.node,
            &self.clients,
            &listening,
            &self.history,
        );
        if let Some(complaint) = complaint {
            return Err(self.failure("rest", complaint));
        }
        let now_ns = self.world.now();
        let end = place::judge(&self.node, wall_ms(now_ns));
        let end = end.map_err(|text| self.failure("place", text))?;
        if self.plan.subject.is_careful
            && let Some(text) = delivery::judge(&self.start, &self.history, &end)
        {
            return Err(self.failure("delivery", text));
        }
        if self.plan.subject.is_careful
            && let Some(text) = reading::judge(&self.start, &self.history, &end)
        {
            return Err(self.failure("reading", text));
        }
        if let Some(text) = copies::judge(&self.cachers, &end) {
            return Err(self.failure("copies", text));
        }
        if let Some(text) = messages::judge(&self.history) {
            return Err(self.failure("messages", text));
        }
        if self.plan.subject.near_ms > 0 {
            let late_ns = self.plan.faults.stall_ns.max * 5 + LATE_NS;
            come_due(&mut self.history, &self.start, now_ns, late_ns);
        }
        match order::judge(&self.start, &self.history, &end) {
            Ruling::Ordered(_) => {}
            Ruling::GaveUp => self.account.undecided += 1,
            Ruling::Impossible(impasse) => {
                let text = self.impasse(&impasse);
                return Err(self.failure("order", text));
            }
        }
        for cycle in &self.history.cycles {
            if let Some(text) = scans::judge(&self.start, &self.history, cycle) {
                let line = self.history.line(cycle.first);
                return Err(self.failure("scans", format!("{text}, in the SCAN from\n  {line}")));
            }
        }
        self.close_accounts();
        self.start = end;
        Ok(())
    }

    fn close_accounts(&mut self) {
        let operations = &self.history.operations;
        let account = &mut self.account;
        account.epochs += 1;
        account.commands += operations.len() as u64;
        account.scans += self.history.cycles.len() as u64;
        for operation in operations {
            let is_read = operation.command.verb == Verb::XReadGroup;
            account.reads +=
                u64::from(is_read && matches!(operation.reply(), Some(Reply::Array(_))));
            let Role::Exec(exec) = &operation.role else {
                continue;
            };
            match operation.reply() {
                Some(Reply::Array(_)) => account.transactions += 1,
                Some(Reply::Null) if exec.watches => account.refused += 1,
                _ => {}
            }
        }
        let sounds = self.history.tapes.iter().flat_map(|tape| &tape.sounds);
        account.messages += sounds.filter(|sound| sound.message.is_some()).count() as u64;
        let cut = operations
            .iter()
            .filter(|operation| operation.answered.is_none());
        account.cut += cut.count() as u64;
        let history = digest(self.history.to_string().as_bytes());
        account.hash = mix(account.hash, mix(history, self.world.trace_hash()));
    }

    // ---- reporting -------------------------------------------------------------------------

    fn impasse(&self, impasse: &Impasse) -> String {
        let mut text =
            String::from("no order explains the replies. The farthest beginning of one:\n");
        for operation in &impasse.order {
            text.push_str(&format!("  {}\n", self.history.line(*operation)));
        }
        text.push_str(&format!("with this keyspace then:\n{}", impasse.model));
        text.push_str("What is next on each connection, and what it would have to answer there:\n");
        for (operation, answer) in &impasse.next {
            let line = self.history.line(*operation);
            match answer {
                Some(answer) => text.push_str(&format!("  {line}\n      here: {answer}\n")),
                None => text.push_str(&format!("  {line}\n      here: not before the others\n")),
            }
        }
        if !impasse.differences.is_empty() {
            text.push_str("The keyspace of the model against that of the node at the end:\n");
            for line in &impasse.differences {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }

    /// A failure of this run.
    #[must_use]
    pub fn failure(&self, judge: &'static str, complaint: String) -> Failure {
        let subject = &self.plan.subject;
        let keys = subject.keys.iter().chain(&subject.big_keys);
        let owners: Vec<String> = keys
            .map(|key| format!("{key}@{}", owner(key, self.plan.shards)))
            .collect();
        let picture = format!(
            "plan: {}\nowners: {}\nkeyspace at the beginning of epoch {}:\n{}history (sent..answered):\n{}",
            self.plan.summary(),
            owners.join(" "),
            self.epoch,
            self.start,
            self.history,
        );
        Failure {
            seed: self.plan.seed,
            epoch: self.epoch,
            judge,
            complaint,
            operations: self.history.operations.len(),
            picture,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            epoch,
            judge,
            complaint,
            picture,
            ..
        } = self;
        writeln!(
            f,
            "seed {seed} failed in epoch {epoch}, says the judge of {judge}:"
        )?;
        writeln!(f, "{complaint}\n{picture}")
    }
}
