//! `Transaction`: what a connection has said since MULTI, as its client knows it, and `Role`: what a command is in there.
//!
//! The client knows from what it sent alone how each command has to be answered: whether it is queued, refused, or runs the others.

use std::rc::Rc;

use super::command::{Command, Verb};

const UNKNOWN: &str = "ERR unknown command 'NONSENSE', with args beginning with: ";

/// What EXEC runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exec {
    /// The commands, in order.
    pub body: Vec<Command>,
    /// One was refused: nothing runs.
    pub is_broken: bool,
    /// The connection watches keys.
    pub watches: bool,
}

/// What a command is in its connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// It runs by itself.
    Plain,
    /// It waits for EXEC.
    Queued,
    /// It is refused with this error.
    Refused(&'static str),
    /// It runs these.
    Exec(Rc<Exec>),
}

/// A connection's commands since MULTI, if it has said that, and whether it watches keys.
#[derive(Clone, Default, Debug)]
pub struct Transaction {
    open: Option<Vec<Command>>,
    is_broken: bool,
    watches: bool,
}

impl Transaction {
    /// Whether commands are queued.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether keys are watched.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.watches
    }

    /// Notes the next command and says what it is.
    pub fn note(&mut self, command: &Command) -> Role {
        match (command.verb, &mut self.open) {
            (Verb::Multi, Some(_)) => Role::Refused("ERR MULTI calls can not be nested"),
            (Verb::Watch, Some(_)) => Role::Refused("ERR WATCH inside MULTI is not allowed"),
            (Verb::Exec, None) => Role::Refused("ERR EXEC without MULTI"),
            (Verb::Discard, None) => Role::Refused("ERR DISCARD without MULTI"),
            (Verb::Multi, None) => {
                self.open = Some(Vec::new());
                Role::Plain
            }
            (Verb::Exec, Some(body)) => {
                let exec = Exec {
                    body: std::mem::take(body),
                    is_broken: self.is_broken,
                    watches: self.watches,
                };
                *self = Self::default();
                Role::Exec(Rc::new(exec))
            }
            (Verb::Discard, Some(_)) => {
                *self = Self::default();
                Role::Plain
            }
            (Verb::Nonsense, open) => {
                self.is_broken |= open.is_some();
                Role::Refused(UNKNOWN)
            }
            (_, Some(body)) => {
                body.push(command.clone());
                Role::Queued
            }
            (Verb::Watch, None) => {
                self.watches = true;
                Role::Plain
            }
            (Verb::Unwatch, None) => {
                self.watches = false;
                Role::Plain
            }
            (_, None) => Role::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_command_is() {
        let mut transaction = Transaction::default();
        let mut note = |line: &str| match transaction.note(&Command::parse(line)) {
            Role::Plain => "plain".to_owned(),
            Role::Queued => "queued".to_owned(),
            Role::Refused(text) => text[..12].to_owned(),
            Role::Exec(exec) => format!("{} {} {}", exec.body.len(), exec.is_broken, exec.watches),
        };
        for (line, expected) in [
            ("EXEC", "ERR EXEC wit"),
            ("WATCH a", "plain"),
            ("MULTI", "plain"),
            ("MULTI", "ERR MULTI ca"),
            ("WATCH b", "ERR WATCH in"),
            ("SET a 1", "queued"),
            ("EXEC", "1 false true"),
            ("GET a", "plain"),
            ("MULTI", "plain"),
            ("NONSENSE", "ERR unknown "),
            ("GET a", "queued"),
            ("EXEC", "1 true false"),
            ("MULTI", "plain"),
            ("DISCARD", "plain"),
            ("DISCARD", "ERR DISCARD "),
        ] {
            assert_eq!(note(line), expected, "{line}");
        }
    }
}
