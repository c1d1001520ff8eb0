//! `Effect`: what an operation of a history does to the model: the command itself, its transaction, and whoever waited for it.
//!
//! The oracle knows commands; here they have a connection. After every operation those who wait are served, as one thread does it.

use super::command::Verb;
use super::history::Operation;
use super::model::Model;
use super::reply::{Answer, Reply};
use super::transaction::{Exec, Role};
use super::waiting::Blocked;

/// What becomes of an operation.
pub struct Effect {
    /// What may be replied; what one that waits gets is told later.
    pub answer: Answer,
    /// It waits from now on.
    pub waits: bool,
    /// Connections that wait no more, and what they get.
    pub served: Vec<(usize, Reply)>,
}

impl Model {
    /// Carries an operation out. `got` tells what the command with which a connection waits was really answered. `is_strict`: who waits keeps its place; if
    /// not, it only gets something at some time.
    pub fn carry_out(
        &mut self,
        operation: &Operation,
        is_strict: bool,
        got: &dyn Fn(usize) -> Option<Reply>,
    ) -> Effect {
        let mut effect = Effect {
            answer: Answer::Anything,
            waits: false,
            served: Vec::new(),
        };
        effect.answer = match &operation.role {
            Role::Queued => Answer::Only(Reply::Simple("QUEUED".into())),
            Role::Refused(text) => Answer::Only(Reply::error(text)),
            Role::Exec(exec) => self.execute(operation, exec),
            Role::Plain => match operation.command.verb {
                Verb::Watch => {
                    self.watch(operation.connection, operation.db, &operation.command.args);
                    Answer::Only(Reply::ok())
                }
                Verb::Unwatch | Verb::Discard => {
                    self.unwatch(operation.connection);
                    Answer::Only(Reply::ok())
                }
                Verb::Identity => Answer::SomeNumber,
                Verb::Unblock => self.end_waiting(operation, is_strict, &mut effect),
                verb if verb.blocks() => self.wait_or_take(operation, is_strict, &mut effect),
                _ => self.apply(operation.db, &operation.command),
            },
        };
        while let Some(served) = self.serve_next(got) {
            effect.served.push(served);
        }
        effect
    }

    fn execute(&mut self, operation: &Operation, exec: &Exec) -> Answer {
        let is_touched = self.is_touched(operation.connection);
        self.unwatch(operation.connection);
        if exec.is_broken {
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return Answer::Only(Reply::error(text));
        }
        // A change from before the WATCH may be heard of after it: then EXEC refuses for no reason, which is safe. The other way round is not.
        if is_touched || exec.watches && operation.reply() == Some(&Reply::Null) {
            return Answer::Only(Reply::Null);
        }
        let answers = exec
            .body
            .iter()
            .map(|command| self.apply(operation.db, command));
        Answer::Each(answers.collect())
    }

    fn wait_or_take(
        &mut self,
        operation: &Operation,
        is_strict: bool,
        effect: &mut Effect,
    ) -> Answer {
        let ends_empty = match operation.reply() {
            None => false,
            Some(Reply::Null) => true,
            Some(Reply::Error(text)) => text.starts_with(b"UNBLOCKED"),
            Some(_) => false,
        };
        if !is_strict && ends_empty {
            return Answer::Anything;
        }
        // Two shards may notice two changes in either order.
        if !is_strict
            && let Some(answer) =
                self.try_named(operation.db, &operation.command, operation.reply())
        {
            return answer;
        }
        if self.has_other_type(operation.db, &operation.command) {
            return Answer::Only(Reply::wrong_type());
        }
        if let Some(answer) = self.try_blocking(operation.db, &operation.command) {
            return answer;
        }
        if !is_strict {
            // Not yet: it finds its place behind whoever gives it something.
            return Answer::OneOf(Vec::new());
        }
        effect.waits = true;
        self.block(Blocked {
            connection: operation.connection,
            db: operation.db,
            command: self.as_it_waits(operation.db, &operation.command),
        });
        Answer::Anything
    }

    /// CLIENT UNBLOCK.
    fn end_waiting(
        &mut self,
        operation: &Operation,
        is_strict: bool,
        effect: &mut Effect,
    ) -> Answer {
        if !is_strict {
            return Answer::SomeNumber;
        }
        let target = operation.target.filter(|target| self.is_blocked(*target));
        let Some(target) = target else {
            return Answer::Only(Reply::Integer(0));
        };
        self.unblock(target);
        let gets = if operation.command.has(2, "ERROR") {
            Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        } else {
            Reply::Null
        };
        effect.served.push((target, gets));
        Answer::Only(Reply::Integer(1))
    }
}
