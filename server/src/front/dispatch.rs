//! From a parsed command to its function: look-up, arity, authentication, and where the reply goes.

use std::iter;

use tessera_core::resp::{Proto, Reply};
use tessera_io::ConnId;
use tessera_shards::command::spec::flag;
use tessera_shards::command::{Command, Run, Spec, find_subcommand};
use tessera_shards::coordinator::{Asker, Submitted};

use crate::front::blocked::may_wait;
use crate::front::client::Slot;
use crate::front::exec::Exec;
use crate::front::ledger::Admission;
use crate::front::save::restriction;
use crate::front::{Client, Front, ReplyMode};
use crate::session::{self, Session, SessionFn, Then};

/// Commands of a listener that speaks RESP2, whose other replies it could not tell from messages.
const WHILE_LISTENING: &[&str] = &[
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "ping",
    "quit",
    "reset",
];
impl Front {
    /// Carries out one command of a client, or sends it where it is carried out. It may have to wait (for memory, for the end of a pause, for its
    /// client's earlier replies): then nothing has been done, and it is to be tried again in a later turn.
    #[inline]
    pub(super) fn dispatch(&mut self, conn: ConnId, args: &[&[u8]]) -> Taken {
        if self.ledger.is_limited {
            match self.check_memory(conn, args) {
                Admission::Granted => {}
                Admission::Waits => {
                    self.held.push(conn);
                    return Taken::Not;
                }
                Admission::Refused => return Taken::Yes,
            }
        }
        if self.is_behind && self.must_lag(conn, args) {
            self.gate.behind.push(conn);
            return Taken::Not;
        }
        let look = self.attention.is_paid();
        if look && self.look_closer(conn, args) == Taken::Not {
            return Taken::Not;
        }
        self.dispatch_now(conn, args)
    }

    /// Whether a command has to wait until the disk has caught up: one that may write.
    #[cold]
    fn must_lag(&self, conn: ConnId, args: &[&[u8]]) -> bool {
        let Some(command) = self.shared.registry.find(args[0]) else {
            return false;
        };
        let (spec, client) = (&command.spec, self.clients.get(conn));
        let transaction = client.and_then(|client| client.transaction.as_ref());
        match transaction {
            Some(_) if spec.name != "exec" => false,
            Some(transaction) => transaction.may_write,
            None => may_write(spec, args),
        }
    }

    /// What is to be done about a command while somebody monitors or clients are paused.
    #[cold]
    fn look_closer(&mut self, conn: ConnId, args: &[&[u8]]) -> Taken {
        let Some(command) = self.shared.registry.find(args[0]).copied() else {
            return Taken::Yes;
        };
        let Some(client) = self.clients.get(conn) else {
            return Taken::Yes;
        };
        let (db, is_queued) = (client.db, client.transaction.is_some());
        let is_monitor = client.is_monitor;
        if !command.spec.accepts(args.len())
            || !client.authenticated && !command.spec.has(flag::NO_AUTH)
        {
            return Taken::Yes;
        }
        if self.is_postponed(conn, &command.spec, args) {
            return Taken::Not;
        }
        if !is_queued && !is_monitor && matches!(command.run, Run::Keyspace { .. }) {
            self.show(conn, &command.spec, db, args);
        }
        Taken::Yes
    }

    /// Carries out one command of a client, or sends it where it is carried out, whatever else there is.
    #[inline]
    fn dispatch_now(&mut self, conn: ConnId, args: &[&[u8]]) -> Taken {
        let Some(client) = self.clients.get_mut(conn) else {
            return Taken::Yes;
        };
        let Some(command) = self.shared.registry.find(args[0]) else {
            self.refuse_unknown(conn, args);
            return Taken::Yes;
        };
        // Whoever carries it out may look at its name.
        let own_words: Vec<&[u8]>;
        let args = match self.shared.registry.name_behind(command) {
            None => args,
            Some(name) => {
                own_words = iter::once(name.as_bytes())
                    .chain(args[1..].iter().copied())
                    .collect();
                &own_words
            }
        };
        if !command.spec.accepts(args.len()) {
            let text = format!(
                "ERR wrong number of arguments for '{}' command",
                command.spec.name
            );
            let number = command.number;
            self.refuse(conn, Some(number), text.as_bytes());
            return Taken::Yes;
        }
        let command = self.shared.registry.part(command, args);
        if !client.authenticated && !command.spec.has(flag::NO_AUTH) {
            let (number, spec) = (command.number, command.spec);
            self.refuse_stranger(conn, number, &spec, args);
            return Taken::Yes;
        }
        if client.listens.is_some()
            && client.proto == Proto::Resp2
            && !WHILE_LISTENING.contains(&command.spec.name)
        {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                full_name(&command.spec, args)
            );
            let number = command.number;
            self.refuse(conn, Some(number), text.as_bytes());
            return Taken::Yes;
        }
        if self.is_restricted {
            let writes = command.spec.name == "exec"
                && client.transaction.as_ref().is_some_and(|it| it.writes);
            if let Some(text) = restriction(&self.shared, &command.spec, args, writes) {
                let number = command.number;
                self.refuse(conn, Some(number), &text);
                return Taken::Yes;
            }
        }
        if client.is_monitor && command.spec.flags & (flag::READONLY | flag::WRITE) != 0 {
            let number = command.number;
            self.refuse_monitor(conn, number);
            return Taken::Yes;
        }
        let db = client.db;
        if let Some(transaction) = &mut client.transaction
            && !command.spec.has(flag::AT_ONCE)
        {
            let (number, bytes_max) = (command.number, self.config.query_buffer_bytes_max);
            let outcome = transaction.queue(command, db, args, bytes_max);
            transaction.plan_ahead(&self.engine, self.long_programs);
            self.has_queued(conn, number, outcome);
            return Taken::Yes;
        }
        if !client.slots.is_empty()
            && matches!(command.run, Run::Session(_))
            && command.spec.resolve(args).has(flag::AFTER_REPLIES)
        {
            // The last of the replies that are owed brings it back.
            return Taken::Not;
        }
        self.counters.commands += 1;
        self.tally.call(command.number);
        client.last_command = Some((command.number, command.part));
        match command.run {
            Run::Keyspace { .. } => {
                let batched = (client.batched_turn == self.turn).then_some(client.batched_target);
                let asker = asker(client, self.id, batched);
                if command.spec.has(flag::OF_NODE)
                    && let Some(run) = session::of_node(args)
                {
                    let command = *command;
                    self.dispatch_session(conn, &command, run, args);
                    return Taken::Yes;
                }
                if command.spec.has(flag::BLOCKING) && may_wait(command.spec.name, args) {
                    let number = command.number;
                    self.dispatch_blocking(conn, number, &asker, args);
                    return Taken::Yes;
                }
                let is_open = command.spec.open_keys.is_some_and(|open| open(args));
                if !client.slots.is_empty() || client.reply_mode != ReplyMode::On {
                    let number = command.number;
                    self.dispatch_aside(number, &asker, args, is_open);
                    return Taken::Yes;
                }
                if client.out.capacity() == 0 {
                    client.out = self.buffers.pop().unwrap_or_default();
                }
                let start = client.out.len();
                match self
                    .engine
                    .submit(command.number, &asker, args, &mut client.out)
                {
                    Submitted::Done => {
                        if client.out.get(start) == Some(&b'-') {
                            self.counters.errors += 1;
                            self.tally.fail(command.number, &client.out[start + 1..]);
                        }
                        if !client.dirty {
                            client.dirty = true;
                            self.dirty.push(conn);
                        }
                    }
                    submitted => {
                        await_reply(client, command.number, submitted, self.turn, false);
                        client.is_open |= is_open;
                    }
                }
            }
            Run::Session(run) => {
                let command = *command;
                self.dispatch_session(conn, &command, run, args);
            }
        }
        Taken::Yes
    }

    /// A keyspace command whose reply has to wait for earlier ones, or is not wanted.
    fn dispatch_aside(&mut self, number: u16, asker: &Asker, args: &[&[u8]], is_open: bool) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let submitted = self.engine.submit(number, asker, args, &mut bytes);
        if let Some(client) = self.clients.get_mut(asker.conn) {
            let is_muted = mute(client);
            if submitted != Submitted::Done {
                await_reply(client, number, submitted, self.turn, is_muted);
                client.is_open |= is_open;
            } else {
                if bytes.first() == Some(&b'-') {
                    self.counters.errors += 1;
                    self.tally.fail(number, &bytes[1..]);
                }
                if !is_muted {
                    client.reply_now(&bytes);
                }
                self.mark_dirty(asker.conn);
            }
        }
        self.keep_scratch(bytes);
    }

    fn dispatch_session(
        &mut self,
        conn: ConnId,
        command: &Command<SessionFn>,
        run: SessionFn,
        args: &[&[u8]],
    ) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if let Some(mode) = &mut client.tracking
            && command.spec.name != "client"
            && client.transaction.is_none()
            && command.spec.name != "exec"
        {
            // CLIENT CACHING was about this command.
            mode.is_exception = false;
        }
        let was_skipping = client.reply_mode == ReplyMode::SkipNext;
        if was_skipping {
            client.reply_mode = ReplyMode::On;
        }
        let proto = client.proto;
        let wants_all = self.engine.shard.slow.wants_all();
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let mut session = Session {
            front: self,
            conn,
            reply: Reply::new(&mut bytes, proto),
            then: Then::Reply,
        };
        let begun = session
            .front
            .engine
            .meter
            .begin(!command.spec.has(flag::FAST) || wants_all);
        run(&mut session, args);
        session.reply.finish();
        let then = session.then;
        let ns = self.engine.meter.end(command.number, begun);
        self.note_slow(conn, command.number, args, ns);
        if self.attention.is_paid() && !matches!(then, Then::Exec(_)) {
            let db = self.clients.get(conn).map_or(0, |client| client.db);
            self.show(conn, &command.spec, db, args);
        }
        self.conclude(conn, command.number, then, &bytes, was_skipping);
        self.keep_scratch(bytes);
    }

    /// Replies to a session command as it wishes, now or when all shards have been asked.
    fn conclude(&mut self, conn: ConnId, number: u16, then: Then, bytes: &[u8], is_skipped: bool) {
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        let is_muted = !matches!(then, Then::ReplyAnyway)
            && (is_skipped || client.reply_mode != ReplyMode::On);
        match then {
            Then::Exec(transaction) => self.exec(conn, number, *transaction),
            Then::Wait(ms, nobody) => self.wait_in_vain(conn, number, ms, nobody, is_muted),
            Then::WaitForDisk(ms, nobody) => {
                let seq = client.next_seq();
                self.wait_in_vain(conn, number, ms, nobody, is_muted);
                self.wait_for_disk(conn, seq);
            }
            Then::AskAll(call, merge) => {
                let asker = asker(client, self.id, None);
                let submitted = Submitted::Batched(self.id);
                await_reply(client, number, submitted, self.turn, is_muted);
                self.engine.ask_all(&asker, &call, merge);
            }
            Then::AskAllFirst(call, merge) => {
                let asker = asker(client, self.id, None);
                let submitted = Submitted::Batched(self.id);
                await_reply(client, number, submitted, self.turn, is_muted);
                client.is_waiting = true;
                client.execs.push_back(Exec::of_answer(asker.seq));
                self.engine.ask_all(&asker, &call, merge);
            }
            then => {
                if bytes.first() == Some(&b'-') {
                    self.counters.errors += 1;
                    self.tally.fail(number, &bytes[1..]);
                }
                if !is_muted {
                    client.reply_now(bytes);
                }
                match then {
                    Then::Close => client.closing = true,
                    Then::Shutdown => {
                        self.shared.begin_shutdown();
                        self.wake_others();
                    }
                    Then::Reply
                    | Then::ReplyAnyway
                    | Then::AskAll(..)
                    | Then::AskAllFirst(..)
                    | Then::Exec(_)
                    | Then::Wait(..)
                    | Then::WaitForDisk(..) => {}
                }
                self.mark_dirty(conn);
            }
        }
    }

    /// The client has something to send, or to be looked at, at the end of the turn.
    pub(super) fn mark_dirty(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(conn)
            && !client.dirty
        {
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    pub(super) fn keep_scratch(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() <= 1 << 16 {
            self.scratch = bytes;
        }
    }
}

/// Whether a command has been taken up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It has.
    Yes,
    /// It waits.
    Not,
}

/// Whether a command may change keys: one that writes, or a script.
pub(super) fn may_write(spec: &Spec, args: &[&[u8]]) -> bool {
    let is_script = spec.open_keys.is_some() && spec.group == "scripting";
    spec.resolve(args).has(flag::WRITE) || is_script && !spec.has(flag::READONLY)
}

/// The name of a command with its subcommand.
fn full_name(spec: &Spec, args: &[&[u8]]) -> String {
    let sub = args.get(1).and_then(|name| {
        let is_named = |sub: &&Spec| sub.name.as_bytes().eq_ignore_ascii_case(name);
        spec.subcommands.iter().find(is_named)
    });
    sub.map_or_else(
        || spec.name.to_owned(),
        |sub| format!("{}|{}", spec.name, sub.name),
    )
}

/// Whether this command's reply is to be dropped, by CLIENT REPLY.
pub(super) fn mute(client: &mut Client) -> bool {
    let mode = client.reply_mode;
    if mode == ReplyMode::SkipNext {
        client.reply_mode = ReplyMode::On;
    }
    mode != ReplyMode::On
}

/// What is wrong with the subcommand that a request names, if it is one of a container.
pub(super) fn subcommand_error(spec: &Spec, args: &[&[u8]]) -> Option<Vec<u8>> {
    if spec.subcommands.is_empty() || args.len() < 2 {
        return None;
    }
    find_subcommand(spec.name, spec.subcommands, args).err()
}

/// The client, as the engine knows it.
#[inline]
pub(super) fn asker(client: &mut Client, shard: usize, batched: Option<usize>) -> Asker {
    Asker {
        tracker: client.tracker(shard),
        conn: client.conn,
        seq: client.next_seq(),
        db: client.db,
        proto: client.proto,
        no_touch: client.no_touch,
        batched,
    }
}

fn await_reply(client: &mut Client, command: u16, submitted: Submitted, turn: u64, is_muted: bool) {
    client.slots.push_back(if is_muted {
        Slot::Muted
    } else {
        Slot::Waiting(command)
    });
    if let Submitted::Batched(target) = submitted {
        client.batched_turn = turn;
        client.batched_target = target;
    }
}
