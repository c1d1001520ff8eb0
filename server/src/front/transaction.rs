//! MULTI: commands that wait for EXEC.

use tessera_core::resp::OUT_OF_MEMORY;
use tessera_io::ConnId;
use tessera_shards::command::spec::flag;
use tessera_shards::command::{Command, Words};
use tessera_shards::coordinator::{Engine, LONG, Plan, STEPS_PER_SLICE, Step, Steps};

use crate::front::Front;
use crate::front::dispatch::{may_write, subcommand_error};
use crate::front::exec::runs_here;
use crate::session::SessionFn;

/// What a word that waits takes beside its bytes, as Redis counts.
const WORD_BYTES: usize = 8;

/// What a client in MULTI has said so far.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The commands.
    pub(crate) queued: Steps,
    /// What is known of them, once they are many and all for keys.
    pub(crate) plan: Option<Box<Plan>>,
    /// One was refused: EXEC will refuse the rest.
    pub(crate) is_broken: bool,
    /// One of the commands may need memory.
    pub(crate) may_need_memory: bool,
    /// Whether one of them writes.
    pub(crate) writes: bool,
    /// Whether one of them writes, or may.
    pub(crate) may_write: bool,
    /// Whether one of them runs at the connection.
    pub(crate) has_parts_here: bool,
    /// Bytes of the arguments.
    pub(crate) bytes: usize,
}

/// Why a command is not kept for EXEC.
pub(super) enum Unqueued {
    /// It is refused with these words.
    Refused(Vec<u8>),
    /// The client has said more than it may (`client-query-buffer-limit`).
    TooMuch,
}

impl Transaction {
    /// Keeps a command for EXEC.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(super) fn queue(
        &mut self,
        command: &Command<SessionFn>,
        db: usize,
        args: &[&[u8]],
        bytes_max: u64,
    ) -> Result<(), Unqueued> {
        let spec = &command.spec;
        if spec.has(flag::NO_MULTI) {
            let text = b"ERR Command not allowed inside a transaction";
            return Err(Unqueued::Refused(text.into()));
        }
        // As Redis does, a subcommand is checked when it is queued.
        if let Some(error) = subcommand_error(spec, args) {
            return Err(Unqueued::Refused(error));
        }
        let bytes: usize = args.iter().map(|arg| arg.len() + WORD_BYTES).sum();
        if (self.bytes + bytes) as u64 > bytes_max {
            return Err(Unqueued::TooMuch);
        }
        let Some(words) = Words::of(args) else {
            let text = OUT_OF_MEMORY.trim_ascii_end().strip_prefix(b"-");
            return Err(Unqueued::Refused(text.unwrap_or_default().into()));
        };
        self.may_need_memory |= spec.has(flag::DENYOOM);
        self.writes |= spec.resolve(args).has(flag::WRITE);
        self.may_write |= may_write(spec, args);
        self.has_parts_here |= runs_here(command, args).is_some();
        self.bytes += bytes;
        self.queued.push(Step {
            command: command.number,
            db,
            args: words,
        });
        Ok(())
    }
}

/// Which transactions are planned ahead, command by command.
#[derive(Clone, Copy, Debug)]
pub struct LongPrograms {
    /// From how many commands on.
    pub from: usize,
    /// How many of them run in a slice, at least 1.
    pub per_slice: usize,
}

impl Default for LongPrograms {
    fn default() -> Self {
        LongPrograms {
            from: LONG,
            per_slice: STEPS_PER_SLICE,
        }
    }
}

impl Transaction {
    /// Looks at what has been queued since the last time, if that is worth it.
    #[inline]
    pub(super) fn plan_ahead<X>(&mut self, engine: &Engine<X>, long: LongPrograms) {
        if self.queued.len() >= long.from {
            self.plan_more(engine, long.per_slice);
        }
    }

    fn plan_more<X>(&mut self, engine: &Engine<X>, per_slice: usize) {
        if self.has_parts_here {
            self.plan = None;
            return;
        }
        let plan = self
            .plan
            .get_or_insert_with(|| Box::new(Plan::new(per_slice)));
        while let Some(step) = self.queued.get(plan.len()) {
            engine.plan_step(plan, step);
        }
    }
}

impl Front {
    /// What a client in MULTI has said was kept, or not.
    pub(super) fn has_queued(&mut self, conn: ConnId, number: u16, outcome: Result<(), Unqueued>) {
        match outcome {
            Ok(()) => self.say(conn, b"+QUEUED\r\n"),
            Err(Unqueued::Refused(text)) => self.refuse(conn, Some(number), &text),
            Err(Unqueued::TooMuch) => self.end_talkative(conn),
        }
    }

    /// Ends a client whose transaction is longer than its requests may be.
    #[cold]
    fn end_talkative(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(conn) {
            tracing::warn!(
                "Closing client id={}: its transaction is longer than client-query-buffer-limit",
                client.id
            );
            client.transaction = None;
            client.closing = true;
            client.forget_replies();
            self.mark_dirty(conn);
        }
    }

    /// Sends a short reply, behind those that are owed.
    pub(super) fn say(&mut self, conn: ConnId, reply: &[u8]) {
        if let Some(client) = self.clients.get_mut(conn) {
            if !super::dispatch::mute(client) {
                client.reply_now(reply);
            }
            self.mark_dirty(conn);
        }
    }
}
