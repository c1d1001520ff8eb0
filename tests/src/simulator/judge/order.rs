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
//! A command that waits takes its place when it begins to, and is over when another one serves it, or when it gives up: until then its connection
//! stands still. What a listener received was published by then, answered or not.
//!
//! A command that can have changed nothing wherever it stood (it reads, or its reply says so) is done as soon as its reply fits,
//! and never undone: whatever order exists with it later exists with it here.

use std::collections::HashSet;

use crate::simulator::history::{History, Operation};
use crate::simulator::model::Model;
use crate::simulator::reply::{Answer, Reply};
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
    /// What has not been tried.
    untried: Vec<Turn>,
}

/// What may come next.
#[derive(Clone, Copy)]
enum Turn {
    /// The next operation of this connection runs.
    Runs(usize),
    /// It is an EXEC that is refused for a watched key, although none may have changed, which is safe (`effect`). Nobody knows if it was, as its connection was cut.
    IsRefused(usize),
}

/// Where an operation leads.
struct Step {
    done: Vec<u16>,
    model: Model,
    /// What is done now: the operation, and those whom it served.
    order: Vec<usize>,
}

struct Search<'a> {
    history: &'a History,
    end: &'a Model,
    /// Operations of each connection.
    lists: Vec<Vec<usize>>,
    /// By when each operation was over, and by when it had its place.
    bounds: Vec<(u64, u64)>,
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

    /// By when an operation was over.
    fn answered_at(&self, operation: usize) -> u64 {
        self.bounds[operation].0
    }

    /// The connections whose next operation may come now, the one answered first in front.
    fn eligible(&self, done: &[u16], model: &Model) -> Vec<usize> {
        let connections = 0..self.lists.len();
        let mut nexts: Vec<(u64, usize, usize)> = connections
            .filter_map(|connection| {
                let operation = self.next(done, connection)?;
                let by = if model.is_blocked(connection) {
                    self.answered_at(operation)
                } else {
                    self.bounds[operation].1
                };
                Some((by, connection, operation))
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

    /// Carries out the next operation of a connection, or lets it stop waiting. `None` when a reply does not fit.
    fn carried_out(&self, place: (&[u16], &Model), connection: usize) -> Option<Step> {
        let (done, model) = place;
        let number = self.next(done, connection)?;
        let operation = &self.history.operations[number];
        let mut step = Step {
            done: done.to_vec(),
            model: model.clone(),
            order: vec![number],
        };
        if model.is_blocked(connection) {
            // Its time is over, or it has gone.
            if !matches!(operation.reply(), None | Some(Reply::Null)) {
                return None;
            }
            step.model.unblock(connection);
            step.done[connection] += 1;
            return Some(step);
        }
        let got = |connection: usize| {
            let number = self.next(done, connection)?;
            self.history.operations[number].reply().cloned()
        };
        let effect = step
            .model
            .carry_out(operation, self.history.is_strict, &got);
        let fits = |answer: &Answer, operation: &Operation| {
            let reply = operation.reply();
            reply.is_none_or(|reply| answer.allows(reply))
        };
        if !effect.waits {
            if !fits(&effect.answer, operation) {
                return None;
            }
            step.done[connection] += 1;
        }
        for (served, reply) in effect.served {
            let number = self.next(&step.done, served)?;
            if !fits(&Answer::Only(reply), &self.history.operations[number]) {
                return None;
            }
            step.done[served] += 1;
            step.order.push(number);
        }
        Some(step)
    }

    /// The next operation of a connection is a transaction that is refused.
    fn refused(&self, place: (&[u16], &Model), connection: usize) -> Option<Step> {
        let (done, model) = place;
        let number = self.next(done, connection)?;
        let mut step = Step {
            done: done.to_vec(),
            model: model.clone(),
            order: vec![number],
        };
        step.model.unwatch(connection);
        step.done[connection] += 1;
        Some(step)
    }

    /// Does everything that fits and changes nothing. Returns the connections whose next operation is eligible then.
    fn settle(&mut self, done: &mut Vec<u16>, model: &mut Model) -> Vec<usize> {
        loop {
            let eligible = self.eligible(done, model);
            let before = self.order.len();
            for connection in &eligible {
                let Some(operation) = self.next(done, *connection) else {
                    continue;
                };
                let changes = !self.history.operations[operation].changed_nothing();
                if !changes && let Some(step) = self.carried_out((done, model), *connection) {
                    *done = step.done;
                    // It may be that the connection watches no more.
                    *model = step.model;
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
        all_done && model.has_keys_of(self.end)
    }

    /// Comes to a place. Returns true when the order is complete.
    fn enter(&mut self, mut done: Vec<u16>, mut model: Model) -> bool {
        let untried = self.settle(&mut done, &mut model);
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
        let refusable = untried.iter().filter(|connection| {
            let next = self.next(&done, **connection);
            next.is_some_and(|next| self.history.operations[next].may_be_refused())
        });
        let refused: Vec<Turn> = refusable.copied().map(Turn::IsRefused).collect();
        let runs = untried.into_iter().map(Turn::Runs);
        self.frames.push(Frame {
            length: self.order.len(),
            untried: runs.chain(refused).collect(),
            done,
            model,
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
        let turn = frame.untried.remove(0);
        let length = frame.length;
        let (done, model) = (frame.done.clone(), frame.model.clone());
        self.order.truncate(length);
        let step = match turn {
            Turn::Runs(connection) => self.carried_out((&done, &model), connection),
            Turn::IsRefused(connection) => self.refused((&done, &model), connection),
        };
        let Some(step) = step else {
            return false;
        };
        self.order.extend(step.order);
        self.enter(step.done, step.model)
    }

    fn impasse(mut self) -> Impasse {
        let (_, order, done, model) = self.farthest.take().unwrap_or_default();
        let eligible = self.eligible(&done, &model);
        let next = (0..self.lists.len()).filter_map(|connection| {
            let number = self.next(&done, connection)?;
            let operation = &self.history.operations[number];
            let may_come = eligible.contains(&connection);
            let answer = || {
                let mut model = model.clone();
                let effect = model.carry_out(operation, self.history.is_strict, &|_| None);
                effect.answer
            };
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

/// By when each operation was over, and by when it had its place: when it was answered, or seen, or when that is known of a later one of its connection.
fn bounds(history: &History, lists: &[Vec<usize>]) -> Vec<(u64, u64)> {
    let mut bounds = vec![(u64::MAX, u64::MAX); history.operations.len()];
    for list in lists {
        let mut next = u64::MAX;
        for number in list.iter().rev() {
            let operation = &history.operations[*number];
            let finished = operation.finished().min(next);
            next = finished.min(operation.placed());
            bounds[*number] = (finished, next);
        }
    }
    bounds
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
        bounds: bounds(history, &lists),
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
    use crate::simulator::transaction::Transaction;
    use crate::simulator::word::Word;

    /// Lines `connection > command` send, `connection < reply` receive; replies are `+x :1 "x" null`.
    fn history(lines: &str) -> History {
        let mut history = History::new(true);
        let mut transactions = vec![Transaction::default(); 4];
        for client in 0..4 {
            history.connect(client, 0);
        }
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); 4];
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let connection: usize = line[..1].parse().expect("a connection");
            let rest = &line[4..];
            if line[2..].starts_with('>') {
                let command = Command::parse(rest);
                let role = transactions[connection].note(&command);
                let number = history.invoke(connection, 0, command, role);
                waiting[connection].push(number);
            } else {
                let reply = match rest.as_bytes() {
                    [b'+', ..] => Reply::Simple(Word::from(&rest[1..])),
                    [b':', ..] => Reply::Integer(rest[1..].parse().expect("a number")),
                    b"null" => Reply::Null,
                    [b'[', ..] => {
                        let words = rest[1..rest.len() - 1].split(' ').map(Word::from);
                        Reply::Array(words.map(Reply::Bulk).collect())
                    }
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

    const EXEC: &str = "0 > MULTI\n0 < +OK\n0 > MGET a b\n0 < +QUEUED\n0 > SET a 5\n0 < +QUEUED\n";

    #[test]
    fn a_transaction_is_one_command() {
        let torn = "0 > MULTI\n0 > SET a 1\n0 > SET b 1\n0 > EXEC\n1 > MGET a b\n0 < +OK\n0 < +QUEUED\n0 < +QUEUED\n1 < [1 1]";
        assert_eq!(ruling(torn, "MSET a 1 b 1"), Some(true));
        assert_eq!(ruling(torn, "SET a 1"), Some(false));
        let half = torn
            .replace("MGET a b", "GET a")
            .replace("[1 1]", "1\n1 > GET b\n1 < null");
        assert_eq!(ruling(&half, "MSET a 1 b 1"), Some(false));
    }

    #[test]
    fn a_watched_key_must_not_have_changed() {
        let lines = |between: &str, reply: &str| {
            format!("0 > WATCH a\n0 < +OK\n{between}{EXEC}0 > EXEC\n0 < {reply}")
        };
        let change = "1 > SET a 2\n1 < +OK\n";
        assert_eq!(ruling(&lines(change, "null"), "SET a 2"), Some(true));
        let ran = |between| match judge(
            &Model::default(),
            &{
                let mut history = history(&lines(between, "null"));
                let last = history.operations.last_mut().expect("EXEC");
                let values = Reply::Array(vec![Reply::Bulk(Word::from("2")), Reply::Null]);
                let replies = Reply::Array(vec![values, Reply::ok()]);
                last.answered.as_mut().expect("answered").reply = replies;
                history
            },
            &end("SET a 5"),
        ) {
            Ruling::Ordered(_) => true,
            Ruling::Impossible(_) | Ruling::GaveUp => false,
        };
        assert!(!ran(change));
        // Refused for no reason is safe, and so it is when the answer is not known.
        let cut = "0 > WATCH a\n0 > MULTI\n0 > SET a 5\n0 > EXEC\n0 > SET b 1";
        assert_eq!(ruling(cut, "MSET a 5 b 1"), Some(true));
        assert_eq!(ruling(cut, "SET b 1"), Some(true));
        let unwatched = cut.replace("0 > WATCH a\n", "");
        assert_eq!(ruling(&unwatched, "SET b 1"), Some(false));
        assert!(ran("1 > SET a 2\n1 < +OK\n0 > UNWATCH\n0 < +OK\n"));
    }

    #[test]
    fn who_waits_first_is_served_first() {
        let lines = |first: &str, second: &str, settle: bool| {
            let mut history = history(&format!(
                "0 > BLPOP k 0\n1 > BLPOP k 0\n2 > RPUSH k x y\n2 < :2\n0 < [k {first}]\n1 < [k {second}]"
            ));
            if settle {
                history.operations[0].settled = Some(2);
            }
            matches!(
                judge(&Model::default(), &history, &end("")),
                Ruling::Ordered(_)
            )
        };
        assert!(lines("x", "y", true) && lines("x", "y", false));
        assert!(lines("y", "x", false), "nobody knows who came first");
        assert!(!lines("y", "x", true));
        assert!(!lines("x", "x", false), "delivered twice");
        let overtaken = "0 > BLPOP k 0\n2 > RPUSH k x\n2 < :1\n1 > LLEN k\n1 < :1\n0 < [k x]";
        assert_eq!(ruling(overtaken, ""), Some(true), "it may have come late");
        let lost = "0 > BLPOP k 5\n2 > RPUSH k x\n2 < :1\n0 < null";
        assert_eq!(
            ruling(lost, "RPUSH k x"),
            Some(true),
            "its time was over before"
        );
        assert_eq!(ruling(lost, ""), Some(false));
    }

    #[test]
    fn what_was_received_was_published() {
        let lines = "0 > SET a 1\n0 > PUBLISH ch m\n1 > GET x\n1 < null\n1 > GET a\n1 < null";
        let mut history = history(lines);
        assert!(matches!(
            judge(&Model::default(), &history, &end("SET a 1")),
            Ruling::Ordered(_)
        ));
        // Somebody receives the message before the last command is sent.
        history.operations[1].seen = Some(4);
        assert!(matches!(
            judge(&Model::default(), &history, &end("SET a 1")),
            Ruling::Impossible(_)
        ));
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
