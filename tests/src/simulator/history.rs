//! `History`: what the clients sent and received, in the order in which they did.
//!
//! Time is a counter of events: each sending of a command and each arrival of a reply has a number of
//! its own, so that "answered before the other was sent" is a comparison of numbers. One history
//! is one epoch: it begins and ends with the node at rest.

use std::fmt;

use super::command::{Command, Verb};
use super::reply::Reply;
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
    /// When it was sent.
    pub invoked: u64,
    /// The reply; never, if the connection was cut first.
    pub answered: Option<Answered>,
}

impl Operation {
    /// Whether its reply, or its verb, says that it changed nothing, whatever the keyspace was.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        if self.command.verb.only_reads() {
            return true;
        }
        let Some(answered) = &self.answered else {
            return false;
        };
        match (self.command.verb, &answered.reply) {
            (_, Reply::Error(_)) | (Verb::GetDel, Reply::Null) => true,
            (Verb::Set, Reply::Null) => !self.command.has(2, "GET"),
            (verb, Reply::Integer(0)) => !matches!(verb, Verb::Incr | Verb::IncrBy),
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

/// One epoch.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// All commands in the order of their sending.
    pub operations: Vec<Operation>,
    /// All connections.
    pub connections: Vec<Connection>,
    /// All SCANs that came to their end.
    pub cycles: Vec<Cycle>,
    events: u64,
}

impl History {
    fn event(&mut self) -> u64 {
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
        self.connections.push(Connection { client, shard });
        self.connections.len() - 1
    }

    /// A command is sent. Returns its number.
    pub fn invoke(&mut self, connection: usize, db: usize, command: Command) -> usize {
        let invoked = self.event();
        self.operations.push(Operation {
            connection,
            db,
            command,
            invoked,
            answered: None,
        });
        self.operations.len() - 1
    }

    /// A reply has come.
    pub fn answer(&mut self, operation: usize, reply: Reply) -> u64 {
        let at = self.event();
        self.operations[operation].answered = Some(Answered { at, reply });
        at
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
        format!(
            "{:>4}..{answered:<4} conn{} client{} shard{} db{}  {}  ->  {reply}",
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
        (0..self.operations.len()).try_for_each(|number| writeln!(f, "  {}", self.line(number)))
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
            let number = history.invoke(connection, 0, Command::parse(line));
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
        let first = history.invoke(a, 0, Command::parse("SET k v"));
        let second = history.invoke(b, 3, Command::parse("GET k"));
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
