//! EVAL and its kin: the first slice of a script, and the task that goes on with it. Called by the rows of the scripts and by the coordinator.

use tessera_core::resp::Chain;

use super::host::ShardHost;
use super::journal::Journal;
use super::request::{Kind, Request};
use super::run::{NO_SCRIPT, Progress, Run, Scripts};
use crate::command::{Cx, Further, Task};
use crate::shard::Shard;

/// What is said of a request whose number of keys is wrong: that comes after what is wrong with its name.
pub(crate) fn first_mistake(scripts: &Scripts, args: &[&[u8]], text: &'static str) -> &'static str {
    const SHA_BYTES: usize = 40;
    match Kind::of(args[0]).0 {
        Kind::Function if scripts.node.function(args[1]).is_none() => "ERR Function not found",
        Kind::Sha if args[1].len() != SHA_BYTES => NO_SCRIPT,
        _ => text,
    }
}

/// EVAL and its kin on a shard that has the declared keys.
pub(crate) fn eval(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let request = match Request::parse(args, cx.db, cx.reply.proto()) {
        Ok(request) => request,
        Err(text) => return cx.error(first_mistake(&cx.shard.scripts, args, text)),
    };
    let now_ms = cx.shard.now_ms;
    let (databases, seed) = (cx.shard.databases(), cx.shard.rng.next_u64());
    let mut run = match Run::new(&mut cx.shard.scripts, &request, now_ms, databases, seed) {
        Ok(run) => run,
        Err(text) => return cx.error(text),
    };
    let is_borrower = !cx.held.is_empty();
    let mut asked = Vec::new();
    let mut journal = Journal::default();
    let held = if is_borrower {
        cx.held.to_vec()
    } else {
        std::mem::take(&mut run.keys)
    };
    let mut host = ShardHost {
        shard: cx.shard,
        held: &held,
        reach: cx.reach,
        has_all: cx.is_alone,
        keeps_all: false,
        used_all: false,
        is_borrower,
        db: cx.db,
        asked: &mut asked,
        journal: (!cx.is_alone).then_some(&mut journal),
    };
    let earlier = host.shard.take_happened();
    let progress = run.advance(&mut host);
    run.happened = host.shard.take_happened();
    host.shard.happened_elsewhere(earlier);
    // A script that goes on keeps its keys; others that it has used it must get first.
    let used_all = host.used_all;
    let holds_gate = cx.is_alone && (run.has_written || used_all);
    let is_short = !holds_gate && !asked.is_empty();
    match progress {
        Progress::Done(reply) => {
            run.finish(cx.shard);
            cx.reply.raw(&reply);
        }
        Progress::Paused if !is_short => {
            let command = args.iter().map(|arg| Box::from(*arg)).collect();
            run.linger(command, (!holds_gate).then(|| held.clone()));
            cx.task = Some(Box::new(Paused {
                run: Some(run),
                held,
                is_borrower,
                db: cx.db,
                holds_gate,
                journal,
                further: Further::default(),
            }));
        }
        Progress::Missing | Progress::Paused => {
            journal.undo(cx.shard);
            run.abandon(&mut cx.shard.scripts);
            cx.further = Further::missing(asked);
        }
        Progress::NeedsAll => {
            journal.undo(cx.shard);
            run.abandon(&mut cx.shard.scripts);
            cx.further = Further::all();
        }
    }
}

/// A script between two slices.
struct Paused {
    run: Option<Run>,
    held: Vec<Box<[u8]>>,
    is_borrower: bool,
    db: usize,
    /// Nothing else runs on this shard: what the script has written could not be taken back.
    holds_gate: bool,
    journal: Journal,
    /// What it needs before it can run again.
    further: Further,
}

impl Task for Paused {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let Some(mut run) = self.run.take() else {
            return true;
        };
        run.look_at_clock(shard.now_ms, shard.settings.busy_reply_ms);
        // For a script the time stands still.
        let now_ms = std::mem::replace(&mut shard.now_ms, run.started_ms());
        let mut asked = Vec::new();
        let mut host = ShardHost {
            shard,
            held: &self.held,
            reach: &|_| false,
            has_all: self.holds_gate,
            keeps_all: self.holds_gate,
            used_all: false,
            is_borrower: self.is_borrower,
            db: self.db,
            asked: &mut asked,
            journal: (!self.holds_gate).then_some(&mut self.journal),
        };
        let earlier = host.shard.take_happened();
        let progress = run.advance(&mut host);
        run.happened.extend(shard.take_happened());
        shard.happened_elsewhere(earlier);
        shard.now_ms = now_ms;
        match progress {
            Progress::Done(said) => {
                run.finish(shard);
                reply.push(said);
                return true;
            }
            Progress::Paused => {
                self.run = Some(run);
                return false;
            }
            Progress::Missing => {
                asked.extend(std::mem::take(&mut self.held));
                self.further = Further::missing(asked);
            }
            Progress::NeedsAll => self.further = Further::all(),
        }
        self.journal.undo(shard);
        run.abandon(&mut shard.scripts);
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }

    fn holds_gate(&self) -> bool {
        self.holds_gate
    }

    fn needs(&mut self) -> Further {
        std::mem::take(&mut self.further)
    }
}
