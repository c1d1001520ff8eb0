//! `History`: what the clients sent and received, in the order in which they did.
//!
//! Time is a counter of events: each sending of a command and each arrival of a reply has a number of
//! its own, so that "answered before the other was sent" is a comparison of numbers. One history
//! is one epoch: it begins and ends with the node at rest.

use std::collections::BTreeMap;
use std::fmt;

use super::command::{Command, Verb};
use super::reply::Reply;
use super::transaction::Role;
use super::word::Word;

/// A reply and the number of the event of its arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// When.
    pub at: u64,
    /// What.
    pub reply: Reply,
}

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// The connection, numbered through the epoch.
    pub connection: usize,
    /// The database that the connection had selected.
    pub db: usize,
    /// What was sent.
    pub command: Command,
    /// What that is in its connection.
    pub role: Role,
    /// The connection that it names (CLIENT UNBLOCK).
    pub target: Option<usize>,
    /// When it was sent.
    pub invoked: u64,
    /// The reply; never, if the connection was cut first.
    pub answered: Option<Answered>,
    /// When it must have begun to wait, if it did: the node was at rest.
    pub settled: Option<u64>,
    /// When somebody first received what it published.
    pub seen: Option<u64>,
}

impl Operation {
    /// Its reply.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        self.answered.as_ref().map(|answered| &answered.reply)
    }

    /// The event by which all that it does had been done.
    #[must_use]
    pub fn finished(&self) -> u64 {
        let answered = self
            .answered
            .as_ref()
            .map_or(u64::MAX, |answered| answered.at);
        answered.min(self.seen.unwrap_or(u64::MAX))
    }

    /// The event by which it had taken its place in the order, at the latest.
    #[must_use]
    pub fn placed(&self) -> u64 {
        self.finished().min(self.settled.unwrap_or(u64::MAX))
    }

    /// The commands that it carries out.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        match &self.role {
            Role::Plain => std::slice::from_ref(&self.command),
            Role::Exec(exec) => &exec.body,
            Role::Queued | Role::Refused(_) => &[],
        }
    }

    /// Whether it is a transaction that a watched key may have refused, for all that is known.
    #[must_use]
    pub fn may_be_refused(&self) -> bool {
        matches!(&self.role, Role::Exec(exec) if exec.watches) && self.reply().is_none()
    }

    /// Whether its reply, or its verb, says that it changed nothing, whatever the keyspace was.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        match &self.role {
            Role::Queued | Role::Refused(_) => return true,
            Role::Exec(exec) => {
                let only_reads = exec.body.iter().all(|command| command.verb.only_reads());
                return only_reads || matches!(self.reply(), Some(Reply::Null | Reply::Error(_)));
            }
            Role::Plain => {}
        }
        if self.command.verb.blocks() || matches!(self.command.verb, Verb::Watch | Verb::Unblock) {
            return false;
        }
        if self.command.verb.only_reads() {
            return true;
        }
        let Some(answered) = &self.answered else {
            return false;
        };
        match (self.command.verb, &answered.reply) {
            (_, Reply::Error(_)) | (Verb::GetDel, Reply::Null) => true,
            (Verb::Set, Reply::Null) => !self.command.has(2, "GET"),
            (verb, Reply::Integer(0)) => !matches!(
                verb,
                Verb::Incr
                    | Verb::IncrBy
                    | Verb::HIncrBy
                    | Verb::HSet
                    | Verb::ZAdd
                    | Verb::SInterStore
                    | Verb::SUnionStore
                    | Verb::ZUnionStore
                    | Verb::Sort
                    | Verb::BitOp
            ),
            (Verb::LPop | Verb::RPop | Verb::LMove, Reply::Null) => true,
            _ => false,
        }
    }
}

/// Who a connection of a history belonged to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The client.
    pub client: usize,
    /// The shard that accepted it.
    pub shard: usize,
    /// What the server calls it, if the client knows that.
    pub id: Option<i64>,
}

/// The calls of one client that make up a whole SCAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// The connection.
    pub connection: usize,
    /// The database scanned.
    pub db: usize,
    /// The operation that was the first call.
    pub first: usize,
    /// The arrival of the last reply, with cursor 0.
    pub ended: u64,
    /// All keys returned, as often as they were.
    pub seen: Vec<Word>,
}

/// What a listener's connection received, and asked for.
#[derive(Clone, Default, Debug)]
pub struct Tape {
    /// The shard that accepted it.
    pub shard: usize,
    /// What it listened to when the epoch began.
    pub first: Vec<Word>,
    /// In order.
    pub sounds: Vec<Sound>,
    /// What it asked for: when, and whether to listen or not to.
    pub asked: Vec<(u64, bool, Word)>,
    /// It was cut, by whomever, at this event.
    pub cut: Option<u64>,
}

/// One thing that a listener receives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sound {
    /// When.
    pub at: u64,
    /// The first word: what it is.
    pub kind: Word,
    /// The channel or pattern listened to.
    pub name: Word,
    /// The message, if it is one.
    pub message: Option<Word>,
}

/// One epoch.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// All commands in the order of their sending.
    pub operations: Vec<Operation>,
    /// All connections.
    pub connections: Vec<Connection>,
    /// All SCANs that came to their end.
    pub cycles: Vec<Cycle>,
    /// Who waits keeps its place for certain.
    pub is_strict: bool,
    /// What listeners heard.
    pub tapes: Vec<Tape>,
    /// Which operation published a message.
    published: BTreeMap<Word, usize>,
    events: u64,
    /// The time of some events, ns, in order.
    times: Vec<(u64, u64)>,
}

impl History {
    /// A history in which nothing has happened.
    #[must_use]
    pub fn new(is_strict: bool) -> Self {
        Self {
            is_strict,
            ..Self::default()
        }
    }

    /// Number of a new event.
    pub fn event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Number of events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// A client's connection takes part from now on. Returns its number.
    pub fn connect(&mut self, client: usize, shard: usize) -> usize {
        let id = None;
        self.connections.push(Connection { client, shard, id });
        self.connections.len() - 1
    }

    /// A command is sent. Returns its number.
    pub fn invoke(&mut self, connection: usize, db: usize, command: Command, role: Role) -> usize {
        let invoked = self.event();
        let number = self.operations.len();
        let named = |id: i64| {
            let mut connections = self.connections.iter();
            connections.rposition(|connection| connection.id == Some(id))
        };
        let target = match command.verb {
            Verb::Unblock => command.integer(1).and_then(named),
            _ => None,
        };
        self.operations.push(Operation {
            connection,
            db,
            command,
            role,
            target,
            invoked,
            answered: None,
            settled: None,
            seen: None,
        });
        for command in self.operations[number].commands() {
            if command.verb == Verb::Publish {
                self.published.insert(command.args[1].clone(), number);
            }
        }
        number
    }

    /// Which operation published a message.
    #[must_use]
    pub fn publisher(&self, message: &Word) -> Option<usize> {
        self.published.get(message).copied()
    }

    /// Somebody has received a message. Returns the number of the event.
    pub fn heard(&mut self, message: &Word) -> u64 {
        let at = self.event();
        if let Some(number) = self.publisher(message) {
            self.operations[number].seen.get_or_insert(at);
        }
        at
    }

    /// The node is at rest: whoever waits does so by now.
    pub fn rest(&mut self, waiting: impl Iterator<Item = usize>) {
        let at = self.event();
        for operation in waiting {
            self.operations[operation].settled.get_or_insert(at);
        }
    }

    /// Notes the time of what has happened since the last call.
    pub fn note_time(&mut self, now_ns: u64) {
        if self.times.last().is_none_or(|last| last.0 < self.events) {
            self.times.push((self.events, now_ns));
        }
    }

    /// The last event that happened before a time, 0 if there is none.
    #[must_use]
    pub fn last_before(&self, at_ns: u64) -> u64 {
        let place = self.times.partition_point(|(_, ns)| *ns < at_ns);
        place.checked_sub(1).map_or(0, |place| self.times[place].0)
    }

    /// A reply has come.
    pub fn answer(&mut self, operation: usize, reply: Reply) -> u64 {
        let at = self.event();
        self.operations[operation].answered = Some(Answered { at, reply });
        at
    }

    /// The first event that happened after a time.
    #[must_use]
    pub fn first_after(&self, at_ns: u64) -> Option<u64> {
        let place = self.times.partition_point(|(_, ns)| *ns <= at_ns);
        let before = place.checked_sub(1).map_or(0, |place| self.times[place].0);
        (place < self.times.len()).then_some(before + 1)
    }

    /// The operations of each connection, in the order of their sending.
    #[must_use]
    pub fn by_connection(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.connections.len()];
        for (number, operation) in self.operations.iter().enumerate() {
            lists[operation.connection].push(number);
        }
        lists
    }

    /// One operation on a line.
    #[must_use]
    pub fn line(&self, number: usize) -> String {
        let operation = &self.operations[number];
        let connection = &self.connections[operation.connection];
        let (answered, reply) = match &operation.answered {
            Some(answered) => (answered.at.to_string(), answered.reply.to_string()),
            None => ("-".to_owned(), "(connection cut)".to_owned()),
        };
        let runs = match &operation.role {
            Role::Exec(exec) => {
                let body: Vec<String> = exec.body.iter().map(Command::to_string).collect();
                format!(" ({})", body.join("; "))
            }
            _ => String::new(),
        };
        let seen = operation
            .seen
            .map_or(String::new(), |at| format!(" (seen {at})"));
        let settled = operation
            .settled
            .map_or(String::new(), |at| format!(" (waits {at})"));
        format!(
            "{:>4}..{answered:<4} conn{} client{} shard{} db{}  {}{runs}  ->  {reply}{seen}{settled}",
            operation.invoked,
            operation.connection,
            connection.client,
            connection.shard,
            operation.db,
            operation.command,
        )
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for number in 0..self.operations.len() {
            writeln!(f, "  {}", self.line(number))?;
        }
        for (number, tape) in self.tapes.iter().enumerate() {
            let Tape {
                shard, first, cut, ..
            } = tape;
            writeln!(
                f,
                "  tape {number}, shard{shard}, from {first:?}, cut {cut:?}"
            )?;
            for (at, listens, name) in &tape.asked {
                writeln!(
                    f,
                    "    {at} asks {} {name}",
                    if *listens { "for" } else { "no more for" }
                )?;
            }
            for Sound {
                at,
                kind,
                name,
                message,
            } in &tape.sounds
            {
                let message = message.as_ref().map_or(String::new(), Word::to_string);
                writeln!(f, "    {at} {kind} {name} {message}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_tell_that_nothing_was_done() {
        let is_idle = |line: &str, reply: Reply| {
            let mut history = History::default();
            let connection = history.connect(0, 0);
            let number = history.invoke(connection, 0, Command::parse(line), Role::Plain);
            history.answer(number, reply);
            history.operations[number].changed_nothing()
        };
        assert!(is_idle("DEL a", Reply::Integer(0)));
        assert!(!is_idle("DEL a", Reply::Integer(1)));
        assert!(!is_idle("INCR a", Reply::Integer(0)));
        assert!(is_idle("SET a 1 NX", Reply::Null));
        assert!(!is_idle("SET a 1 GET", Reply::Null));
        assert!(!is_idle("GETSET a 1", Reply::Null));
        assert!(is_idle("RENAME a b", Reply::error("ERR no such key")));
        assert!(!is_idle("FLUSHALL", Reply::ok()));
        assert!(is_idle("MGET a", Reply::Array(vec![Reply::Null])));
    }

    #[test]
    fn events_are_numbered_through() {
        let mut history = History::default();
        let (a, b) = (history.connect(0, 2), history.connect(1, 0));
        let first = history.invoke(a, 0, Command::parse("SET k v"), Role::Plain);
        let second = history.invoke(b, 3, Command::parse("GET k"), Role::Plain);
        history.answer(first, Reply::ok());
        assert_eq!(history.by_connection(), [vec![first], vec![second]]);
        assert_eq!(
            history.to_string(),
            "     1..3    conn0 client0 shard2 db0  SET k v  ->  +OK\n     \
             2..-    conn1 client1 shard0 db3  GET k  ->  (connection cut)\n"
        );
        assert_eq!(history.events(), 3);
    }
}
