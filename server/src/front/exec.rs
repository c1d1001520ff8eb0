//! EXEC: the queued commands run as one.
//!
//! Those for keys become a program of the engine. What concerns the connection or the node (PING, SELECT, CONFIG, ...) touches no key; it runs here
//! afterwards, in order, and its replies are put between the others. Meanwhile the client's next commands wait if any of this could matter to them.

use std::collections::VecDeque;
use std::sync::Arc;

use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Proto, Reply};
use tessera_io::ConnId;
use tessera_shards::command::spec::flag;
use tessera_shards::command::{Command, Run};
use tessera_shards::coordinator::{
    Asker, Plan, Program, READY, Said, Step, Steps, Submitted, TOUCHED, ready_replies, replies,
};

use crate::front::Front;
use crate::front::client::Slot;
use crate::front::transaction::Transaction;
use crate::session::{self, Session, SessionFn, Then};

/// One command of a transaction that runs.
enum Part {
    /// The next reply of the program, to a command with this number.
    Keyspace(u16),
    /// A command that runs here.
    Session(Step),
}

/// A transaction that runs.
pub(crate) struct Exec {
    /// The slot of the reply.
    seq: u32,
    /// Its commands in order, unless all of them are the program's.
    parts: VecDeque<Part>,
    count: usize,
    /// The program, unless it is a long one, whose replies come as they are sent; and of that what is known of it.
    steps: Steps,
    plan: Option<Arc<Plan>>,
    /// Replies of the program that are not placed yet.
    replies: VecDeque<Chain>,
    /// Replies in order, so far.
    out: Chain,
    /// Whether the program has answered.
    has_run: bool,
    /// Whether it asked for watched keys, which are forgotten with it.
    watches: bool,
    /// Whether the client's next commands wait until it is over.
    holds: bool,
}

impl Exec {
    /// No transaction: a reply that comes later, for which the client's next commands wait.
    pub(super) fn of_answer(seq: u32) -> Self {
        Exec {
            seq,
            parts: VecDeque::new(),
            count: 0,
            steps: Steps::default(),
            plan: None,
            replies: VecDeque::new(),
            out: Chain::default(),
            has_run: true,
            watches: false,
            holds: true,
        }
    }

    /// Whether the program has not come to the owners of watched keys yet, for all that is known.
    pub(super) fn asks_for_watched(&self) -> bool {
        self.watches && !self.has_run
    }
}

impl Front {
    /// Runs a client's transaction. Its reply goes to a slot of its own.
    pub(super) fn exec(&mut self, conn: ConnId, number: u16, mut transaction: Transaction) {
        let (count, has_parts_here) = (transaction.queued.len(), transaction.has_parts_here);
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let watched: Vec<_> = client.forget_watched().into_iter().collect();
        let can_follow = |plan: &mut Box<Plan>| self.engine.can_follow(plan, &watched);
        let plan = transaction.plan.take();
        let plan = plan.filter(|_| !has_parts_here && !self.attention.is_paid());
        let plan = plan.and_then(|mut plan| can_follow(&mut plan).then(|| Arc::new(*plan)));
        transaction.plan = None;
        let (steps, parts) = self.divide(conn, transaction);
        if self.attention.is_paid()
            && let Some(exec) = self.shared.registry.get(number).map(|exec| exec.spec)
        {
            let db = self.clients.get(conn).map_or(0, |client| client.db);
            self.show(conn, &exec, db, &[b"EXEC"]);
        }
        let (turn, home) = (self.turn, self.id);
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let seq = client.next_seq();
        let is_muted = super::dispatch::mute(client);
        let asker = Asker {
            conn,
            seq,
            db: client.db,
            proto: client.proto,
            no_touch: client.no_touch,
            tracker: client.tracker(home),
            batched: (client.batched_turn == turn).then_some(client.batched_target),
        };
        let watcher = (!watched.is_empty()).then_some(client.id);
        client.slots.push_back(if is_muted {
            Slot::Muted
        } else {
            Slot::Waiting(number)
        });
        let holds = has_parts_here || watcher.is_some();
        client.is_waiting |= holds;
        client.execs.push_back(Exec {
            seq,
            count,
            parts,
            steps: match &plan {
                Some(_) => Steps::default(),
                None => steps.clone(),
            },
            plan: plan.clone(),
            replies: VecDeque::new(),
            out: Chain::default(),
            has_run: false,
            watches: watcher.is_some(),
            holds,
        });
        let program = Program {
            steps,
            proto: asker.proto,
            no_touch: asker.no_touch,
            is_bare: false,
            tracker: asker.tracker,
            watcher,
            watched,
            plan,
            share: None,
        };
        let mut payload = Vec::new();
        match self.engine.submit_program(&asker, program, &mut payload) {
            Submitted::Done => _ = self.exec_answered(conn, seq, Said::Short(&payload)),
            Submitted::Batched(target) => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.batched_turn = turn;
                    client.batched_target = target;
                }
            }
            Submitted::Waiting => {}
        }
        self.mark_dirty(conn);
    }

    /// Divides the commands into those for keys and the others. SELECT is both: it says where the following ones run.
    fn divide(&mut self, conn: ConnId, transaction: Transaction) -> (Steps, VecDeque<Part>) {
        if !transaction.has_parts_here && !self.attention.is_paid() {
            return (transaction.queued, VecDeque::new());
        }
        let mut db = self.clients.get(conn).map_or(0, |client| client.db);
        let databases = self.engine.shard.databases();
        let (mut steps, mut parts) = (Steps::default(), VecDeque::new());
        for mut step in transaction.queued.into_steps() {
            let Some(command) = self.shared.registry.get(step.command).copied() else {
                continue;
            };
            let spec = command.spec;
            let args = step.args.args();
            if self.attention.is_paid() {
                self.show(conn, &spec, db, &args);
            }
            let is_of_keys = runs_here(&command, &args).is_none();
            drop(args);
            if is_of_keys {
                parts.push_back(Part::Keyspace(step.command));
                step.db = db;
                steps.push(step);
                continue;
            }
            if command.spec.name == "select" {
                let wanted = step.args.get(1).and_then(parse_i64);
                let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
                db = wanted.filter(|wanted| *wanted < databases).unwrap_or(db);
            }
            parts.push_back(Part::Session(step));
        }
        (steps, parts)
    }

    /// What came to a slot that belongs to a transaction: the program's payload, or the reply to one of the commands that run here. Gives it back if the
    /// slot is another one.
    #[cold]
    pub(super) fn exec_answered<'a>(
        &mut self,
        conn: ConnId,
        seq: u32,
        said: Said<'a>,
    ) -> Option<Said<'a>> {
        let Some(client) = self.clients.get_mut(conn) else {
            return Some(said);
        };
        let Some(place) = client.execs.iter().position(|exec| exec.seq == seq) else {
            return Some(said);
        };
        let Some(mut exec) = client.execs.remove(place) else {
            return Some(said);
        };
        let proto = client.proto;
        let first = said.head().first().copied();
        if exec.has_run {
            said.put(&mut exec.out);
        } else if first == Some(b'-') {
            // There was no memory for the answer.
            self.end_exec(conn, &exec, said);
            return None;
        } else if first == Some(TOUCHED) {
            let mut nothing = Vec::new();
            Reply::new(&mut nothing, proto).null_array();
            self.end_exec(conn, &exec, Said::Short(&nothing));
            return None;
        } else if first == Some(READY) {
            self.pass_all(conn, proto, &exec, said);
            return None;
        } else if exec.parts.is_empty() {
            self.place_all(conn, proto, &exec, said);
            return None;
        } else {
            exec.has_run = true;
            let mut replies = replies(said);
            while let Some(reply) = replies.next() {
                exec.replies.push_back(reply.into_chain());
            }
            Reply::new(exec.out.tail(), proto).array(exec.count);
        }
        self.go_on(conn, exec);
        None
    }

    /// The whole transaction was a long program.
    fn pass_all(&mut self, conn: ConnId, proto: Proto, exec: &Exec, payload: Said<'_>) {
        for (command, count) in exec.plan.iter().flat_map(|plan| plan.counts()) {
            self.counters.commands += u64::from(count);
            self.tally.call_times(command, count);
        }
        let said = ready_replies(payload, |command, code| {
            self.counters.errors += 1;
            self.tally.fail(command, code);
        });
        let mut out = Chain::default();
        Reply::new(out.tail(), proto).array(exec.count);
        said.put(&mut out);
        out.mend();
        self.end_exec(conn, exec, Said::Long(out));
    }

    /// The whole transaction was the program.
    fn place_all(&mut self, conn: ConnId, proto: Proto, exec: &Exec, payload: Said<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut out = Chain::from(scratch);
        Reply::new(out.tail(), proto).array(exec.count);
        let mut replies = replies(payload);
        for step in exec.steps.iter() {
            let Some(reply) = replies.next() else { break };
            self.place(step.command, reply, &mut out);
        }
        out.mend();
        if let Some(bytes) = out.as_one() {
            self.end_exec(conn, exec, Said::Short(bytes));
            self.keep_scratch(out.into_bytes());
        } else {
            self.end_exec(conn, exec, Said::Long(out));
        }
    }

    /// Places replies and runs commands until one has to wait for other shards.
    fn go_on(&mut self, conn: ConnId, mut exec: Exec) {
        while let Some(part) = exec.parts.pop_front() {
            match part {
                Part::Keyspace(number) => {
                    let reply = exec.replies.pop_front().unwrap_or_default();
                    self.place(number, Said::Long(reply), &mut exec.out);
                }
                Part::Session(step) => {
                    match self.run_part(conn, exec.seq, &step, exec.out.tail()) {
                        PartRun::Done => {}
                        PartRun::Asked => {
                            if let Some(client) = self.clients.get_mut(conn) {
                                client.execs.push_front(exec);
                            }
                            return;
                        }
                    }
                }
            }
        }
        let mut out = std::mem::take(&mut exec.out);
        out.mend();
        self.end_exec(conn, &exec, Said::Long(out));
    }

    /// Puts a reply of the program into its place.
    fn place(&mut self, command: u16, reply: Said<'_>, out: &mut Chain) {
        self.counters.commands += 1;
        self.tally.call(command);
        if let [b'-', text @ ..] = reply.head() {
            self.counters.errors += 1;
            self.tally.fail(command, text);
        }
        reply.put(out);
    }

    fn run_part(&mut self, conn: ConnId, seq: u32, step: &Step, out: &mut Vec<u8>) -> PartRun {
        let Some(command) = self.shared.registry.get(step.command).copied() else {
            return PartRun::Done;
        };
        let args = step.args.args();
        let (Some(run), Some(client)) = (runs_here(&command, &args), self.clients.get_mut(conn))
        else {
            return PartRun::Done;
        };
        self.counters.commands += 1;
        self.tally.call(step.command);
        let proto = client.proto;
        let start = out.len();
        if command.spec.name == "ssubscribe" {
            // Unlike its kin, as Redis has it.
            let text = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client";
            Reply::new(out, proto).error(text);
            self.counters.errors += 1;
            self.tally.fail(step.command, &out[start + 1..]);
            return PartRun::Done;
        }
        let mut session = Session {
            front: self,
            conn,
            reply: Reply::new(out, proto),
            then: Then::Reply,
        };
        let is_measured =
            !command.spec.has(flag::FAST) || session.front.engine.shard.slow.wants_all();
        let begun = session.front.engine.meter.begin(is_measured);
        run(&mut session, &args);
        session.reply.finish();
        let then = session.then;
        let ns = self.engine.meter.end(step.command, begun);
        self.note_slow(conn, step.command, &args, ns);
        if out.get(start) == Some(&b'-') {
            self.counters.errors += 1;
            self.tally.fail(step.command, &out[start + 1..]);
        }
        let Some(client) = self.clients.get_mut(conn) else {
            return PartRun::Done;
        };
        match then {
            Then::AskAll(call, merge) | Then::AskAllFirst(call, merge) => {
                let asker = Asker {
                    conn,
                    seq,
                    db: client.db,
                    proto: client.proto,
                    no_touch: client.no_touch,
                    tracker: None,
                    batched: None,
                };
                self.engine.ask_all(&asker, &call, merge);
                PartRun::Asked
            }
            Then::Close => {
                client.closing = true;
                PartRun::Done
            }
            // Neither can be queued.
            Then::Wait(_, nobody) | Then::WaitForDisk(_, nobody) => {
                out.extend_from_slice(nobody);
                PartRun::Done
            }
            Then::Reply | Then::ReplyAnyway | Then::Shutdown | Then::Exec(_) => PartRun::Done,
        }
    }

    /// The transaction is over: its reply, and whoever waited for it. If it watched nothing, its client went on meanwhile, and may watch or wait by now.
    fn end_exec(&mut self, conn: ConnId, exec: &Exec, reply: Said<'_>) {
        if exec.watches {
            self.unwatch(conn);
        }
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        client.fill_said(exec.seq, reply);
        client.is_waiting =
            client.blocked.is_some() || client.execs.iter().any(|other| other.holds);
        if client.stalled && !client.is_waiting {
            self.held.push(conn);
        }
        self.mark_dirty(conn);
    }
}

/// The function of a command that runs here; `None`: one for keys.
pub(super) fn runs_here(command: &Command<SessionFn>, args: &[&[u8]]) -> Option<SessionFn> {
    match command.run {
        Run::Session(run) => Some(run),
        Run::Keyspace { .. } if command.spec.has(flag::OF_NODE) => session::of_node(args),
        Run::Keyspace { .. } => None,
    }
}

/// What became of a command that runs here.
enum PartRun {
    /// Its reply is there.
    Done,
    /// The other shards were asked; the reply comes to the slot.
    Asked,
}
