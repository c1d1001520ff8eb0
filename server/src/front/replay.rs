//! The log is read: its commands take the way of a client's, on the first shard, and nobody gets their replies.
//!
//! Meanwhile time stands still on all shards, so that nothing ends that had not ended when the record was made. When all commands have been answered, the
//! shards begin to record, and then the node serves clients.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;

use tessera_core::number::parse_u64;
use tessera_core::resp::{Proto, Reply};
use tessera_io::ConnId;
use tessera_persist::log::Command;
use tessera_shards::command::{Run, Words};
use tessera_shards::coordinator::{Asker, Program, Step, Submitted};

use crate::front::Front;
use crate::log::{Records, folder_of};
use crate::session::{Session, Then};

/// The connection that the log's commands seem to come on.
pub(super) const REPLAY: ConnId = ConnId {
    index: u32::MAX,
    generation: u32::MAX - 1,
};

/// Commands per turn, and those that may be unanswered.
const COMMANDS_PER_TURN: usize = 512;
const UNANSWERED_MAX: usize = 4096;
/// Errors that are worth a line.
const TOLD_MAX: u64 = 10;

/// How far the log has been read.
pub(crate) struct Replay {
    from: Records,
    waiting: VecDeque<Command>,
    has_ended: bool,
    db: usize,
    /// The commands between MULTI and EXEC.
    queue: Option<Vec<Step>>,
    unanswered: usize,
    /// The next command waits until all are answered.
    holds: bool,
    /// In this turn, the target of the last one that went into a batch.
    batched: Option<usize>,
    commands: u64,
    errors: u64,
}

impl Replay {
    pub(crate) fn new(from: Records) -> Self {
        Self {
            from,
            waiting: VecDeque::new(),
            has_ended: false,
            db: 0,
            queue: None,
            unanswered: 0,
            holds: false,
            batched: None,
            commands: 0,
            errors: 0,
        }
    }

    fn next(&mut self) -> Option<Command> {
        if self.waiting.is_empty() && !self.has_ended {
            match self.from.try_recv() {
                Ok(batch) => self.waiting.extend(batch),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.has_ended = true,
            }
        }
        self.waiting.pop_front()
    }

    /// Whether it can go on without anything else happening.
    pub(crate) fn goes_on(&self) -> bool {
        let may_run = !self.holds && self.unanswered < UNANSWERED_MAX;
        may_run && !self.waiting.is_empty()
    }

    fn hear(&mut self, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            self.errors += 1;
            if self.errors <= TOLD_MAX {
                let text = String::from_utf8_lossy(&reply[1..]);
                tracing::warn!("A command of the log was refused: {}", text.trim_end());
            }
        }
    }
}

impl Front {
    /// Runs some commands of the log.
    pub(super) fn step_replay(&mut self) {
        let Some(mut replay) = self.replay.take() else {
            return;
        };
        replay.batched = None;
        replay.holds &= replay.unanswered > 0;
        for _ in 0..COMMANDS_PER_TURN {
            if replay.holds || replay.unanswered >= UNANSWERED_MAX {
                break;
            }
            let Some(command) = replay.next() else { break };
            replay.commands += 1;
            if let Err(why) = self.replay_one(&mut replay, command) {
                self.shared.loading.find_fault(why);
                return;
            }
        }
        if replay.has_ended && replay.waiting.is_empty() && replay.unanswered == 0 {
            tracing::info!("{} commands of the log have been run", replay.commands);
            self.shared.loading.replayed.store(true, Ordering::Release);
            return;
        }
        self.replay = Some(replay);
    }

    fn replay_one(&mut self, replay: &mut Replay, command: Command) -> Result<(), String> {
        let args: Vec<&[u8]> = command.iter().map(|arg| &**arg).collect();
        // What was recorded in place of what a client said has the names of the rows, whatever commands are called by now.
        let registry = &self.shared.registry;
        let found = registry
            .find(args[0])
            .or_else(|| registry.find_row(args[0]));
        let Some(known) = found.copied() else {
            let name = String::from_utf8_lossy(args[0]);
            return Err(format!(
                "the log has a command that is not known: '{name}'; it was written by a newer server, or commands were renamed since"
            ));
        };
        match (known.spec.name, args.as_slice()) {
            ("select", [_, number]) => {
                let databases = self.engine.shard.databases();
                let db = parse_u64(number).and_then(|db| usize::try_from(db).ok());
                replay.db = db.filter(|db| *db < databases).ok_or_else(|| {
                    let folder = folder_of(&self.shared.latest_config());
                    format!(
                        "the log {} has keys in database {}, and there are {databases}; set databases {} or more",
                        folder.path.display(),
                        number.escape_ascii(),
                        db.unwrap_or_default().saturating_add(1)
                    )
                })?;
            }
            ("multi", _) => replay.queue = Some(Vec::new()),
            ("exec", _) => {
                let steps = replay.queue.take().unwrap_or_default();
                self.replay_program(replay, steps);
            }
            _ if matches!(known.run, Run::Keyspace { .. }) => {
                if !known.spec.accepts(args.len()) {
                    replay.hear(b"-ERR wrong number of arguments");
                    return Ok(());
                }
                if let Some(queue) = &mut replay.queue {
                    let words = Words::of(&args);
                    queue.push(Step {
                        command: known.number,
                        db: replay.db,
                        args: words.ok_or_else(|| "there is no memory for the log".to_owned())?,
                    });
                    return Ok(());
                }
                let is_open = known.spec.open_keys.is_some_and(|open| open(&args));
                let asker = self.replay_asker(replay);
                let mut out = Vec::new();
                let submitted = self.engine.submit(known.number, &asker, &args, &mut out);
                replay.holds = is_open;
                Self::submitted(replay, submitted, &out);
            }
            _ => self.replay_session(replay, known.run, &args),
        }
        Ok(())
    }

    fn replay_asker(&self, replay: &Replay) -> Asker {
        Asker {
            conn: REPLAY,
            seq: 0,
            db: replay.db,
            proto: Proto::Resp2,
            no_touch: false,
            tracker: None,
            batched: replay.batched,
        }
    }

    fn submitted(replay: &mut Replay, submitted: Submitted, out: &[u8]) {
        match submitted {
            Submitted::Done => replay.hear(out),
            Submitted::Batched(target) => {
                replay.batched = Some(target);
                replay.unanswered += 1;
            }
            Submitted::Waiting => replay.unanswered += 1,
        }
    }

    fn replay_program(&mut self, replay: &mut Replay, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let asker = self.replay_asker(replay);
        let program = Program {
            steps: steps.into_iter().collect(),
            proto: asker.proto,
            no_touch: false,
            is_bare: false,
            tracker: None,
            watcher: None,
            watched: Vec::new(),
            plan: None,
            share: None,
        };
        let mut payload = Vec::new();
        let submitted = self.engine.submit_program(&asker, program, &mut payload);
        Self::submitted(replay, submitted, &payload);
    }

    /// A command about the node: FUNCTION.
    fn replay_session(
        &mut self,
        replay: &mut Replay,
        run: Run<crate::session::SessionFn>,
        args: &[&[u8]],
    ) {
        let Run::Session(run) = run else { return };
        let mut bytes = Vec::new();
        let mut session = Session {
            front: self,
            conn: REPLAY,
            reply: Reply::new(&mut bytes, Proto::Resp2),
            then: Then::Reply,
        };
        run(&mut session, args);
        session.reply.finish();
        replay.hear(&bytes);
    }

    /// A command of the log has been answered.
    #[cold]
    pub(super) fn replay_answered(&mut self, reply: &[u8]) {
        if let Some(replay) = &mut self.replay {
            replay.unanswered = replay.unanswered.saturating_sub(1);
            replay.hear(reply);
        }
    }
}
