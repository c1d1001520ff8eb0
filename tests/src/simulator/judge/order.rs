//! The judge of order: is there one order of all commands that explains every reply?
//!
//! Strict serializability of the whole keyspace as one object is linearizability, so this is the search of Wing and
//! Gong (1993) with the memory of Lowe (2017): take any command that may come next, carry it out
//! on the model, go on if its reply fits, go back if it does not, and never look twice at the same keyspace with
//! the same commands done. A command may come next when its connection has nothing earlier left and no
//! command left was answered before it was sent. What the commands of one connection did is always a prefix of what it
//! sent, so that "commands done" is one number per connection.
//!
//! Commands of a cut connection need not have run, but may have, at any time after they were sent. The keyspace at the end of
//! the epoch is known, and an order counts only if it ends there.
//!
//! A command that can have changed nothing wherever it stood (it reads, or its reply says so) is done as soon as its reply fits,
//! and never undone: whatever order exists with it later exists with it here.

use std::collections::HashSet;

use crate::simulator::history::History;
use crate::simulator::model::Model;
use crate::simulator::reply::Answer;
use crate::simulator::word::mix;

/// States looked at before the search gives up.
const STATES_MAX: usize = 400_000;

/// What the judge says.
#[derive(Debug)]
pub enum Ruling {
    /// This order explains everything.
    Ordered(Vec<usize>),
    /// There is no order; the farthest that the search came.
    Impossible(Impasse),
    /// Too many possibilities.
    GaveUp,
}

/// The longest beginning of an order, and why it cannot go on.
#[derive(Debug)]
pub struct Impasse {
    /// The operations done, in order.
    pub order: Vec<usize>,
    /// The keyspace then.
    pub model: Model,
    /// The next operation of each connection, and what it would have to answer. `None`: one
    /// that was answered earlier must come first.
    pub next: Vec<(usize, Option<Answer>)>,
    /// How the keyspace differs from the one at the end, when no answered operation is left.
    pub differences: Vec<String>,
}

/// A place to which the search may come back.
struct Frame {
    done: Vec<u16>,
    model: Model,
    /// Length of the order here.
    length: usize,
    /// Connections whose next operation has not been tried.
    untried: Vec<usize>,
}

struct Search<'a> {
    history: &'a History,
    end: &'a Model,
    /// Operations of each connection.
    lists: Vec<Vec<usize>>,
    seen: HashSet<(u64, u64)>,
    order: Vec<usize>,
    frames: Vec<Frame>,
    farthest: Option<(usize, Vec<usize>, Vec<u16>, Model)>,
    answered: usize,
}

impl Search<'_> {
    /// The next operation of a connection.
    fn next(&self, done: &[u16], connection: usize) -> Option<usize> {
        self.lists[connection]
            .get(usize::from(done[connection]))
            .copied()
    }

    fn answered_at(&self, operation: usize) -> u64 {
        let answered = self.history.operations[operation].answered.as_ref();
        answered.map_or(u64::MAX, |answered| answered.at)
    }

    /// The connections whose next operation may come now, the one answered first in front.
    fn eligible(&self, done: &[u16]) -> Vec<usize> {
        let connections = 0..self.lists.len();
        let mut nexts: Vec<(u64, usize, usize)> = connections
            .filter_map(|connection| {
                let operation = self.next(done, connection)?;
                Some((self.answered_at(operation), connection, operation))
            })
            .collect();
        nexts.sort_unstable();
        let first_answered = nexts.first().map_or(u64::MAX, |next| next.0);
        let in_time =
            |operation: usize| self.history.operations[operation].invoked < first_answered;
        nexts.retain(|(_, _, operation)| in_time(*operation));
        nexts
            .into_iter()
            .map(|(_, connection, _)| connection)
            .collect()
    }

    /// Carries an operation out. `None` when its reply does not fit.
    fn carried_out(&self, model: &Model, operation: usize) -> Option<Model> {
        let operation = &self.history.operations[operation];
        let mut model = model.clone();
        let answer = model.apply(operation.db, &operation.command);
        match &operation.answered {
            Some(answered) if !answer.allows(&answered.reply) => None,
            _ => Some(model),
        }
    }

    /// Does everything that fits and changes nothing. Returns the connections whose next operation is eligible then.
    fn settle(&mut self, done: &mut [u16], model: &Model) -> Vec<usize> {
        loop {
            let eligible = self.eligible(done);
            let before = self.order.len();
            for connection in &eligible {
                let Some(operation) = self.next(done, *connection) else {
                    continue;
                };
                let changes = !self.history.operations[operation].changed_nothing();
                if !changes && self.carried_out(model, operation).is_some() {
                    done[*connection] += 1;
                    self.order.push(operation);
                }
            }
            if self.order.len() == before {
                return eligible;
            }
        }
    }

    /// Whether an order is complete: all that was answered is done and the keyspace is that of the end.
    fn is_complete(&self, done: &[u16], model: &Model) -> bool {
        let all_done = (0..self.lists.len())
            .filter_map(|connection| self.next(done, connection))
            .all(|operation| self.answered_at(operation) == u64::MAX);
        all_done && model == self.end
    }

    /// Comes to a place. Returns true when the order is complete.
    fn enter(&mut self, mut done: Vec<u16>, model: Model) -> bool {
        let untried = self.settle(&mut done, &model);
        if self.is_complete(&done, &model) {
            return true;
        }
        let key = done
            .iter()
            .fold(0, |key, count| mix(key, u64::from(*count)));
        if !self.seen.insert((key, model.digest())) {
            return false;
        }
        let answered = |operation: &&usize| self.answered_at(**operation) < u64::MAX;
        let count = self.order.iter().filter(answered).count();
        if self
            .farthest
            .as_ref()
            .is_none_or(|best| best.0 < count || count == self.answered)
        {
            let order = self.order.clone();
            self.farthest = Some((count, order, done.clone(), model.clone()));
        }
        self.frames.push(Frame {
            done,
            model,
            length: self.order.len(),
            untried,
        });
        false
    }

    /// Tries the next possibility of the last place. Returns true when the order is complete.
    fn advance(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return false;
        };
        if frame.untried.is_empty() {
            self.frames.pop();
            return false;
        }
        let connection = frame.untried.remove(0);
        let length = frame.length;
        let (mut done, model) = (frame.done.clone(), frame.model.clone());
        self.order.truncate(length);
        let Some(operation) = self.next(&done, connection) else {
            return false;
        };
        let Some(model) = self.carried_out(&model, operation) else {
            return false;
        };
        done[connection] += 1;
        self.order.push(operation);
        self.enter(done, model)
    }

    fn impasse(mut self) -> Impasse {
        let (_, order, done, model) = self.farthest.take().unwrap_or_default();
        let eligible = self.eligible(&done);
        let next = (0..self.lists.len()).filter_map(|connection| {
            let number = self.next(&done, connection)?;
            let operation = &self.history.operations[number];
            let may_come = eligible.contains(&connection);
            let answer = || model.clone().apply(operation.db, &operation.command);
            Some((number, may_come.then(answer)))
        });
        let next: Vec<_> = next.collect();
        let is_over = next
            .iter()
            .all(|(number, _)| self.answered_at(*number) == u64::MAX);
        let differences = if is_over {
            model.differences(self.end)
        } else {
            Vec::new()
        };
        Impasse {
            order,
            model,
            next,
            differences,
        }
    }
}

/// Looks for an order of the history that begins and ends with these keyspaces.
#[must_use]
pub fn judge(start: &Model, history: &History, end: &Model) -> Ruling {
    let lists = history.by_connection();
    let done = vec![0; lists.len()];
    let answered = history
        .operations
        .iter()
        .filter(|operation| operation.answered.is_some());
    let mut search = Search {
        history,
        end,
        answered: answered.count(),
        lists,
        seen: HashSet::new(),
        order: Vec::new(),
        frames: Vec::new(),
        farthest: None,
    };
    let mut complete = search.enter(done, start.clone());
    while !complete && !search.frames.is_empty() && search.seen.len() < STATES_MAX {
        complete = search.advance();
    }
    if complete {
        Ruling::Ordered(search.order)
    } else if search.frames.is_empty() {
        Ruling::Impossible(search.impasse())
    } else {
        Ruling::GaveUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::command::Command;
    use crate::simulator::reply::Reply;
    use crate::simulator::word::Word;

    /// Lines `connection > command` send, `connection < reply` receive; replies are `+x :1 "x" null`.
    fn history(lines: &str) -> History {
        let mut history = History::default();
        for client in 0..4 {
            history.connect(client, 0);
        }
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); 4];
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let connection: usize = line[..1].parse().expect("a connection");
            let rest = &line[4..];
            if line[2..].starts_with('>') {
                let number = history.invoke(connection, 0, Command::parse(rest));
                waiting[connection].push(number);
            } else {
                let reply = match rest.as_bytes() {
                    [b'+', ..] => Reply::Simple(Word::from(&rest[1..])),
                    [b':', ..] => Reply::Integer(rest[1..].parse().expect("a number")),
                    b"null" => Reply::Null,
                    _ => Reply::Bulk(Word::from(rest)),
                };
                let number = waiting[connection].remove(0);
                history.answer(number, reply);
            }
        }
        history
    }

    fn end(lines: &str) -> Model {
        let mut model = Model::default();
        for line in lines.split(';').filter(|line| !line.is_empty()) {
            model.apply(0, &Command::parse(line));
        }
        model
    }

    fn ruling(lines: &str, at_end: &str) -> Option<bool> {
        match judge(&Model::default(), &history(lines), &end(at_end)) {
            Ruling::Ordered(_) => Some(true),
            Ruling::Impossible(_) => Some(false),
            Ruling::GaveUp => None,
        }
    }

    #[test]
    fn real_time_counts() {
        let stale = "0 > SET a 1\n0 < +OK\n1 > GET a\n1 < null";
        assert_eq!(ruling(stale, "SET a 1"), Some(false));
        let concurrent = "0 > SET a 1\n1 > GET a\n1 < null\n0 < +OK";
        assert_eq!(ruling(concurrent, "SET a 1"), Some(true));
    }

    #[test]
    fn a_pipeline_keeps_its_order_for_everyone() {
        let lines = |a: &str| {
            format!(
                "0 > SET a 1\n0 > SET b 1\n1 > GET b\n1 > GET a\n1 < 1\n1 < {a}\n0 < +OK\n0 < +OK"
            )
        };
        assert_eq!(ruling(&lines("null"), "MSET a 1 b 1"), Some(false));
        assert_eq!(ruling(&lines("1"), "MSET a 1 b 1"), Some(true));
    }

    #[test]
    fn two_reads_must_agree_on_the_order_of_two_writes() {
        let lines = "0 > SET a 1\n1 > SET b 1\n2 > MGET a b\n3 > GET b\n3 < 1\n3 > GET a\n3 < null\n\
                     0 < +OK\n1 < +OK";
        assert_eq!(ruling(lines, "MSET a 1 b 1"), Some(true));
        let disagree = "0 > SET a 1\n1 > SET b 1\n2 > GET a\n2 > GET b\n3 > GET b\n3 > GET a\n\
                        2 < 1\n2 < null\n3 < 1\n3 < null\n0 < +OK\n1 < +OK";
        assert_eq!(ruling(disagree, "MSET a 1 b 1"), Some(false));
    }

    #[test]
    fn the_end_decides_between_blind_writes() {
        let lines = "0 > SET a 1\n1 > SET a 2\n0 < +OK\n1 < +OK";
        assert_eq!(ruling(lines, "SET a 1"), Some(true));
        assert_eq!(ruling(lines, "SET a 2"), Some(true));
        assert_eq!(ruling(lines, ""), Some(false));
    }

    #[test]
    fn a_cut_connection_may_have_run_a_beginning() {
        let lines = "0 > SET a 1\n0 > SET b 1\n0 > SET c 1\n1 > GET x\n1 < null";
        assert_eq!(ruling(lines, ""), Some(true));
        assert_eq!(ruling(lines, "MSET a 1 b 1"), Some(true));
        assert_eq!(ruling(lines, "MSET a 1 b 1 c 1"), Some(true));
        assert_eq!(ruling(lines, "SET b 1"), Some(false));
        let seen = "0 > INCR a\n0 > INCR a\n1 > GET a\n1 < 1\n1 > GET a\n1 < 2";
        assert_eq!(ruling(seen, "SET a 2"), Some(true));
        assert_eq!(ruling(seen, "SET a 1"), Some(false));
    }

    #[test]
    fn a_change_that_changes_nothing_here_may_change_something_later() {
        let lines = "0 > FLUSHALL\n1 > SET a 1\n1 < +OK\n0 < +OK";
        assert_eq!(ruling(lines, ""), Some(true));
        assert_eq!(ruling(lines, "SET a 1"), Some(true));
    }

    #[test]
    fn an_impasse_says_how_far_it_came() {
        let history = history("0 > SET a 1\n0 < +OK\n1 > GET a\n1 < 2");
        let Ruling::Impossible(impasse) = judge(&Model::default(), &history, &end("SET a 1"))
        else {
            panic!("nobody wrote 2");
        };
        assert_eq!(impasse.order, [0]);
        let (number, answer) = &impasse.next[0];
        assert_eq!(
            (*number, answer.as_ref().map(Answer::to_string)),
            (1, Some("\"1\"".to_owned()))
        );
    }
}
