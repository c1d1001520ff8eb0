//! Where a script's commands run: on a shard that holds its keys. (The other place, all tables of the node, is the coordinator's.)

use smallvec::SmallVec;
use tessera_core::resp::{Chain, Proto, Reply};

use super::commands::Known;
use super::journal::Journal;
use super::question::Question;
use crate::command::spec::flag;
use crate::command::{Cx, Further, Merge, Spread};
use crate::coordinator::only_value;
use crate::shard::Shard;

/// Why a command did not run; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallFailed {
    /// Keys are missing that the host knows of.
    Missing,
    /// It needs all keys there are.
    NeedsAll,
    /// The front end has been asked, and has not answered yet.
    Asked,
}

/// A command of a script.
pub(crate) struct Wanted<'a> {
    pub(crate) known: &'a Known,
    pub(crate) db: usize,
    pub(crate) proto: Proto,
    pub(crate) args: &'a [&'a [u8]],
}

/// Runs the commands of a script.
pub(crate) trait Host {
    /// Runs a command and returns its reply.
    fn call(&mut self, wanted: &Wanted<'_>) -> Result<Vec<u8>, CallFailed>;

    /// Asks the front end.
    fn ask(&mut self, question: Question);

    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Why commands that write are refused, if they are.
    fn refusal(&self) -> Option<Vec<u8>>;

    /// Whether the script's client wants to have noted what it reads.
    fn notes_reads(&self) -> bool;
}

/// A shard that holds the declared keys.
pub(super) struct ShardHost<'a> {
    pub(super) shard: &'a mut Shard,
    /// The keys that are certainly here, in order.
    pub(super) held: &'a [Box<[u8]>],
    /// Which others are.
    pub(super) reach: &'a dyn Fn(&[u8]) -> bool,
    /// Whether every key there is is here and nobody else uses it.
    pub(super) has_all: bool,
    /// Whether that stays so between two slices.
    pub(super) keeps_all: bool,
    /// Whether a command has looked at all keys.
    pub(super) used_all: bool,
    /// Whether keys of other shards are among those that are here.
    pub(super) is_borrower: bool,
    /// The database of the connection: the only one of which keys were borrowed.
    pub(super) db: usize,
    /// Keys beyond the held ones that the script has used or wants.
    pub(super) asked: &'a mut Vec<Box<[u8]>>,
    /// What can be taken back.
    pub(super) journal: Option<&'a mut Journal>,
}

impl ShardHost<'_> {
    fn is_held(&self, key: &[u8]) -> bool {
        self.held.binary_search_by(|held| (**held).cmp(key)).is_ok()
    }

    /// Notes the use of a key. Says whether it is here.
    fn use_key(&mut self, key: &[u8]) -> bool {
        if self.is_held(key) {
            return true;
        }
        if !self.keeps_all && !self.asked.iter().any(|asked| **asked == *key) {
            self.asked.push(key.into());
        }
        self.has_all || (self.reach)(key)
    }

    /// Notes what the command is going to change.
    fn journal(&mut self, wanted: &Wanted<'_>, keys: &[usize]) -> Result<(), CallFailed> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        if !wanted.known.spec.has(flag::WRITE) {
            return Ok(());
        }
        if names_databases(wanted) {
            return Err(CallFailed::NeedsAll);
        }
        for at in keys {
            if !journal.note(self.shard, wanted.db, wanted.args[*at]) {
                return Err(CallFailed::NeedsAll);
            }
        }
        Ok(())
    }
}

/// Whether a command reaches into other databases.
fn names_databases(wanted: &Wanted<'_>) -> bool {
    match wanted.known.spec.name {
        "move" => true,
        "copy" => wanted.args.len() > 3,
        _ => false,
    }
}

impl Host for ShardHost<'_> {
    fn call(&mut self, wanted: &Wanted<'_>) -> Result<Vec<u8>, CallFailed> {
        let Some((op, spread)) = wanted.known.run else {
            return Err(CallFailed::NeedsAll);
        };
        let is_whole = matches!(spread, Spread::Everywhere { .. } | Spread::Cursor);
        if is_whole && !self.has_all {
            return Err(CallFailed::NeedsAll);
        }
        self.used_all |= is_whole;
        if self.is_borrower && (wanted.db != self.db || names_databases(wanted)) {
            return Err(CallFailed::NeedsAll);
        }
        let places = wanted.known.spec.keys_of(wanted.args);
        let keys: SmallVec<[usize; 8]> = places.iter().map(|(at, _)| *at).collect();
        let mut are_here = true;
        for at in &keys {
            are_here &= self.use_key(wanted.args[*at]);
        }
        if !are_here {
            return Err(CallFailed::Missing);
        }
        self.journal(wanted, &keys)?;
        let (has_all, held, reach) = (self.has_all, self.held, self.reach);
        let is_here = |key: &[u8]| {
            has_all || held.binary_search_by(|it| (**it).cmp(key)).is_ok() || reach(key)
        };
        let mut reply = Vec::new();
        if self.shard.records() {
            let spec = &wanted.known.spec;
            self.shard.prepare_record(spec, wanted.db, wanted.args);
        }
        let mark = self.shard.begin_command();
        let mut cx = Cx {
            shard: self.shard,
            db: wanted.db,
            reply: Reply::new(&mut reply, wanted.proto),
            reach: &is_here,
            held: &[],
            is_alone: false,
            further: Further::default(),
            task: None,
            may_block: false,
            waits_for: None,
            waits_as: None,
        };
        op(&mut cx, wanted.args);
        cx.reply.finish();
        let Cx { task, further, .. } = cx;
        let is_missing = further.is_missing();
        for key in further.asked() {
            self.use_key(&key);
        }
        if is_missing {
            return Err(CallFailed::Missing);
        }
        if let Some(mut task) = task {
            let mut chain = Chain::default();
            while !task.step(self.shard, &mut chain) {}
            chain.mend();
            reply = chain.into_bytes();
        }
        let spec = &wanted.known.spec;
        self.shard.end_command(mark, spec, wanted.db, wanted.args);
        if spread
            == (Spread::Everywhere {
                merge: Merge::Weighted,
            })
        {
            reply = only_value(reply, wanted.proto, &mut self.shard.rng);
        }
        Ok(reply)
    }

    fn ask(&mut self, question: Question) {
        self.shard.scripts.questions.push(question);
    }

    fn now_ms(&self) -> u64 {
        self.shard.now_ms
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        let refusal = self.shard.scripts.refusal.as_ref();
        refusal.map(|refusal| refusal.command.clone())
    }

    fn notes_reads(&self) -> bool {
        self.shard.notes_reads()
    }
}
