//! One run of a script on a shard: it answers what the machine asks, keeps the database that the script has selected, and pauses between slices.

use std::collections::HashMap;
use std::sync::Arc;

use tessera_core::number::parse_i64;
use tessera_core::resp::{OUT_OF_MEMORY, Proto, Reply};

use super::by_text::ByText;
use super::commands::{Commands, Known};
use super::counts::Counts;
use super::host::{CallFailed, Host, Wanted};
use super::library::Library;
use super::machine::{Call, Input, Invocation, Machine, Output, Stop, What};
use super::node::{Busy, Node, Script};
use super::question::{Answer, Question};
use super::request::{Kind, Request};
use super::shebang::flags;
use crate::command::spec::flag;
use crate::command::{Spec, Words};
use crate::shard::Shard;
use crate::shard::event::Happened;

/// Commands per slice.
const CALLS_PER_SLICE: usize = 256;
/// Machines that wait for work.
const IDLE_MACHINES_MAX: usize = 4;
/// Scripts of one shard that may run at the same time.
const RUNNING_MAX: usize = 256;
/// Scripts that are found by their text.
const BY_TEXT_MAX: usize = 1024;
/// Slices that a library's code may take.
const LOAD_SLICES_MAX: usize = 2000;

pub(super) const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";

/// A message that a script has published.
pub struct Published {
    /// By SPUBLISH.
    pub is_sharded: bool,
    /// The channel.
    pub channel: Box<[u8]>,
    /// The message.
    pub payload: Box<[u8]>,
}

/// A command that a script has called, for those who monitor.
pub struct Called {
    /// The database it was called in.
    pub db: usize,
    /// Its name and arguments.
    pub args: Vec<Box<[u8]>>,
}

/// Why nothing may be written: the disk has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Said of a command.
    pub command: Vec<u8>,
    /// Said of a whole script that does not say that it never writes.
    pub script: Vec<u8>,
}

/// What a shard has for scripts.
#[derive(Default)]
pub struct Scripts {
    /// Shared with the other shards.
    pub node: Arc<Node>,
    /// The commands that scripts can call.
    pub commands: Arc<Commands>,
    /// What scripts have published and the front end has not yet sent.
    pub published: Vec<Published>,
    /// Lines for the log, with their levels.
    pub lines: Vec<(i64, Vec<u8>)>,
    /// Whether somebody monitors: set by the front end.
    pub is_monitored: bool,
    /// What scripts have called and the front end has not yet counted.
    pub counts: Counts,
    /// What scripts have called and the front end has not yet shown to those who monitor.
    pub calls: Vec<Called>,
    /// What scripts have asked and the front end has not yet looked at.
    pub questions: Vec<Question>,
    /// Whether memory in use is beyond the limit and nothing can be evicted: set by the front end.
    pub memory_is_out: bool,
    /// What scripts are told that write while what they write could not be kept: set by the front end.
    pub refusal: Option<Box<Refusal>>,
    machines: Vec<Machine>,
    running: usize,
    by_text: HashMap<Box<[u8]>, Arc<Script>, ByText>,
    /// The state of the node's scripts to which `by_text` belongs.
    flushes: u64,
}

impl Scripts {
    /// Whether there is something for the front end.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.published.is_empty()
            || !self.lines.is_empty()
            || !self.calls.is_empty()
            || !self.questions.is_empty()
    }

    /// Whether a script with these flags (none: it has no `#!` line) may need memory although there is none.
    ///
    /// # Errors
    /// There is none, and it says neither that it never writes nor that it may; or it may write and nothing may be written.
    fn admits(&self, flags: Option<u32>) -> Result<bool, Vec<u8>> {
        let Some(said) = flags else {
            return Ok(false);
        };
        if let Some(refusal) = &self.refusal
            && said & flags::NO_WRITES == 0
        {
            return Err(refusal.script.clone());
        }
        let allows = said & flags::ALLOW_OOM != 0;
        if self.memory_is_out && !allows && said & flags::NO_WRITES == 0 {
            let text = "OOM allow-oom flag is not set on the script, \
                can not run it when used memory > 'maxmemory'";
            return Err(text.into());
        }
        Ok(allows)
    }

    /// A machine that knows all libraries.
    fn machine(&mut self) -> Option<Machine> {
        let mut machine = match self.machines.pop() {
            Some(machine) => machine,
            None if self.running >= RUNNING_MAX => return None,
            None => Machine::new()?,
        };
        let (flushes, changes) = (self.node.flushes(), self.node.library_changes());
        if machine.flushes != flushes {
            machine.resume(Input::Forget)?;
            machine.flushes = flushes;
        }
        if machine.libraries != changes {
            machine.libraries = changes;
            let mut next = Input::Libraries(self.node.libraries());
            while !matches!(machine.resume(next)?, Output::Ready) {
                next = Input::Go;
            }
        }
        Some(machine)
    }

    fn put_back(&mut self, machine: Machine) {
        if self.machines.len() < IDLE_MACHINES_MAX {
            self.machines.push(machine);
        }
    }

    /// The script of a text, compiled, from now on known to the node.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&mut self, text: &[u8]) -> Result<Arc<Script>, Vec<u8>> {
        let flushes = self.node.flushes();
        if self.flushes != flushes {
            self.by_text.clear();
            self.flushes = flushes;
        }
        if let Some(script) = self.by_text.get(text) {
            return Ok(script.clone());
        }
        let script = Arc::new(Script::parse(text)?);
        let Some(mut machine) = self.machine() else {
            return Err(b"ERR too many scripts are running".to_vec());
        };
        match machine.resume(Input::Compile(script.clone())) {
            Some(Output::Compiled(outcome)) => {
                self.put_back(machine);
                outcome?;
            }
            _ => return Err(b"ERR not enough memory".to_vec()),
        }
        self.node.keep(script.clone());
        if self.by_text.len() >= BY_TEXT_MAX {
            self.by_text.clear();
        }
        self.by_text.insert(text.into(), script.clone());
        Ok(script)
    }

    /// Runs the code of a library, so that it tells its functions.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load_library(&mut self, source: &[u8]) -> Result<Library, Vec<u8>> {
        let mut library = Library::parse(source)?;
        let mut machine = Machine::new().ok_or_else(|| b"ERR not enough memory".to_vec())?;
        let mut next = Input::Load(library.code.clone());
        for slice in 0.. {
            next = match machine.resume(next) {
                Some(Output::Loaded(outcome)) => {
                    library.functions = outcome?;
                    break;
                }
                Some(Output::Log(level, line)) => {
                    self.lines.push((level, line));
                    Input::Go
                }
                Some(_) if slice >= LOAD_SLICES_MAX => Input::Stop(Stop::LoadTimeout),
                Some(_) => Input::Go,
                None => return Err(b"ERR not enough memory".to_vec()),
            };
        }
        if library.functions.is_empty() {
            return Err(b"ERR No functions registered".to_vec());
        }
        Ok(library)
    }
}

/// How far a run has come.
pub(crate) enum Progress {
    /// This is the reply.
    Done(Vec<u8>),
    /// It goes on with another slice.
    Paused,
    /// It needs further keys; it can be taken back and begun anew.
    Missing,
    /// It needs all keys there are.
    NeedsAll,
}

/// See the head of this file.
pub(crate) struct Run {
    /// Taken out when the run is over.
    machine: Option<Machine>,
    /// What the machine gets when it is resumed.
    next: Option<Input>,
    /// A command that waits for the next slice.
    waiting: Option<Call>,
    /// Where its reply comes, if the front end was asked for it.
    answer: Option<Answer>,
    commands: Arc<Commands>,
    node: Arc<Node>,
    db: usize,
    databases: usize,
    is_read_only: bool,
    /// Whether commands that may need memory are refused, as memory was out when it began.
    is_out_of_memory: bool,
    /// Whether it has called a command that writes.
    pub(super) has_written: bool,
    /// The keys that it declares, each once, in order.
    pub(super) keys: Vec<Box<[u8]>>,
    published: Vec<Published>,
    lines: Vec<(i64, Vec<u8>)>,
    /// What it has called, for the statistics.
    counts: Counts,
    /// What it has called, if somebody monitors.
    calls: Option<Vec<Called>>,
    /// Keys that it has read, if its client wants to have that noted.
    reads: Vec<Box<[u8]>>,
    /// What has happened to keys, told when the script has ended.
    pub(super) happened: Vec<Happened>,
    /// When it began, on the clock of the node.
    started_ms: u64,
    busy: Option<Arc<Busy>>,
    function: Option<Box<[u8]>>,
}

impl Run {
    /// Prepares a run. The machine is taken from the shard's.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn new(
        scripts: &mut Scripts,
        request: &Request<'_>,
        now_ms: u64,
        databases: usize,
        seed: u64,
    ) -> Result<Self, Vec<u8>> {
        let refuses =
            || b"ERR Can not execute a script with write flag using *_ro command.".to_vec();
        let mut is_read_only = request.is_read_only;
        let allows_oom;
        let mut function = None;
        let what = if request.kind == Kind::Function {
            let found = scripts.node.function(request.what);
            let found = found.ok_or_else(|| b"ERR Function not found".to_vec())?;
            if is_read_only && !found.is_read_only() {
                return Err(refuses());
            }
            is_read_only |= found.is_read_only();
            allows_oom = scripts.admits(Some(found.what.flags))?;
            function = Some(found.what.name.clone());
            What::Function(found.what.name.clone())
        } else {
            let script = if request.kind == Kind::Text {
                scripts.load(request.what)?
            } else {
                let found = scripts.node.script(request.what);
                found.ok_or_else(|| NO_SCRIPT.as_bytes().to_vec())?
            };
            if is_read_only && script.flags.is_some() && !script.is_read_only() {
                return Err(refuses());
            }
            is_read_only |= script.is_read_only();
            allows_oom = scripts.admits(script.flags)?;
            What::Script(script)
        };
        let copies = (Words::of(request.keys), Words::of(request.args));
        let (Some(keys), Some(args)) = copies else {
            return Err(b"ERR not enough memory".to_vec());
        };
        let machine = scripts
            .machine()
            .ok_or_else(|| b"ERR too many scripts are running".to_vec())?;
        scripts.running += 1;
        let invocation = Invocation {
            what,
            keys,
            args,
            proto: request.proto,
            seed,
        };
        let mut keys: Vec<Box<[u8]>> = request.keys.iter().map(|key| Box::from(*key)).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(Run {
            machine: Some(machine),
            next: Some(Input::Run(Box::new(invocation))),
            waiting: None,
            answer: None,
            commands: scripts.commands.clone(),
            node: scripts.node.clone(),
            db: request.db,
            databases,
            is_read_only,
            is_out_of_memory: scripts.memory_is_out && !allows_oom,
            has_written: false,
            keys,
            published: Vec::new(),
            lines: Vec::new(),
            counts: Counts::default(),
            calls: scripts.is_monitored.then(Vec::new),
            reads: Vec::new(),
            happened: Vec::new(),
            started_ms: now_ms,
            busy: None,
            function,
        })
    }

    /// When it began.
    pub(crate) fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Goes on until the end of the slice or of the script.
    pub(crate) fn advance(&mut self, host: &mut dyn Host) -> Progress {
        if let Some(stop) = self.busy.as_ref().and_then(|busy| busy.stop()) {
            self.waiting = None;
            self.answer = None;
            self.next = Some(Input::Stop(stop));
        }
        let commands = Arc::clone(&self.commands);
        let mut calls = 0;
        loop {
            if let Some(call) = self.waiting.take() {
                if calls >= CALLS_PER_SLICE {
                    self.waiting = Some(call);
                    return Progress::Paused;
                }
                calls += 1;
                match self.call(host, &commands, &call) {
                    Ok(reply) => self.next = Some(Input::Reply(reply)),
                    Err(failed) => {
                        self.waiting = Some(call);
                        return match failed {
                            CallFailed::Missing => Progress::Missing,
                            CallFailed::NeedsAll => Progress::NeedsAll,
                            CallFailed::Asked => Progress::Paused,
                        };
                    }
                }
            }
            let (Some(machine), Some(next)) = (&mut self.machine, self.next.take()) else {
                return Progress::Done(b"-ERR the script has ended\r\n".to_vec());
            };
            match machine.resume(next) {
                Some(Output::Call(call)) => self.waiting = Some(call),
                Some(Output::Slice) => {
                    self.next = Some(Input::Go);
                    return Progress::Paused;
                }
                Some(Output::Done(reply, is_handed_on)) => {
                    if is_handed_on && let Some(error) = reply.strip_prefix(b"-") {
                        self.counts.hand_on(error);
                    }
                    return Progress::Done(reply);
                }
                Some(Output::Log(level, line)) => {
                    self.lines.push((level, line));
                    self.next = Some(Input::Go);
                }
                Some(Output::MayRun(args)) => {
                    let reply = match self.commands.lookup(&args[0]) {
                        Some(_) => Ok(b":1\r\n".to_vec()),
                        None => {
                            Err(b"ERR Invalid command passed to redis.acl_check_cmd()".to_vec())
                        }
                    };
                    self.next = Some(Input::Reply(reply));
                }
                Some(Output::Ready | Output::Compiled(_) | Output::Loaded(_)) => {
                    self.next = Some(Input::Go);
                }
                None => {
                    self.machine = None;
                    return Progress::Done(b"-ERR not enough memory\r\n".to_vec());
                }
            }
        }
    }

    /// Runs a command of the script. The inner `Err`: the text of an error that the command did not write itself.
    fn call(
        &mut self,
        host: &mut dyn Host,
        commands: &Commands,
        call: &Call,
    ) -> Result<Result<Vec<u8>, Vec<u8>>, CallFailed> {
        let args = call.args.args();
        let (known, number) = match commands.find(&args) {
            Ok(found) => found,
            Err(refused) => {
                self.counts
                    .rejected(refused.number, refused.text.as_bytes());
                return Ok(Err(refused.text.into()));
            }
        };
        if let Some(text) = self.refusal_of(host, known) {
            self.counts.rejected(Some(number), &text);
            return Ok(Err(text));
        }
        let reply = self.call_known(host, (known, number), &args, call.proto)?;
        self.counts.called(number, &reply);
        Ok(reply)
    }

    /// Why a command is refused now, if it is.
    fn refusal_of(&self, host: &dyn Host, known: &Known) -> Option<Vec<u8>> {
        let writes = known.spec.has(flag::WRITE);
        let spreads = known.spec.has(flag::MAY_REPLICATE);
        if self.is_read_only && (writes || spreads) {
            let text = b"ERR Write commands are not allowed from read-only scripts.";
            return Some(text.to_vec());
        }
        if writes
            && !self.has_written
            && let Some(text) = host.refusal()
        {
            return Some(text);
        }
        if self.is_out_of_memory && !self.has_written && known.spec.has(flag::DENYOOM) {
            let text = b"OOM command not allowed when used memory > 'maxmemory'.";
            return Some(text.to_vec());
        }
        None
    }

    /// Runs a command that is not refused.
    fn call_known(
        &mut self,
        host: &mut dyn Host,
        (known, number): (&Known, u16),
        args: &[&[u8]],
        proto: Proto,
    ) -> Result<Result<Vec<u8>, Vec<u8>>, CallFailed> {
        if let Some(text) = blocking_option(known.spec.name, args) {
            return Ok(Err(text));
        }
        if known.run.is_none() && is_answered_here(known.spec.name) {
            let reply = self.call_session(known.spec.name, args, proto, host.now_ms());
            self.note_call(args);
            return Ok(reply);
        }
        if known.run.is_none() || is_of_node(known, number) {
            let reply = self.ask(host, known, args, proto)?;
            self.note_call(args);
            return Ok(Ok(reply));
        }
        let wanted = Wanted {
            known,
            db: self.db,
            proto,
            args,
        };
        let reply = host.call(&wanted)?;
        self.note_call(args);
        if known.spec.has(flag::READONLY) && host.notes_reads() {
            let places = known.spec.keys_of(args);
            self.reads
                .extend(places.iter().map(|(at, _)| Box::from(args[*at])));
        }
        if known.spec.has(flag::WRITE) && !self.has_written {
            self.has_written = true;
            if let Some(busy) = &self.busy {
                busy.wrote();
            }
        }
        Ok(Ok(reply))
    }

    /// A command has been called.
    fn note_call(&mut self, args: &[&[u8]]) {
        if let Some(calls) = &mut self.calls {
            let args = args.iter().map(|arg| Box::from(*arg)).collect();
            calls.push(Called { db: self.db, args });
        }
    }

    /// Has the front end run a command that concerns the node.
    fn ask(
        &mut self,
        host: &mut dyn Host,
        known: &Known,
        args: &[&[u8]],
        proto: Proto,
    ) -> Result<Vec<u8>, CallFailed> {
        if let Some(answer) = &self.answer {
            let reply = answer.get().ok_or(CallFailed::Asked)?.to_vec();
            self.answer = None;
            return Ok(reply);
        }
        let Some(args) = Words::of(args) else {
            return Ok(OUT_OF_MEMORY.to_vec());
        };
        let answer = Answer::default();
        host.ask(Question {
            command: known.number,
            args,
            proto,
            answer: answer.clone(),
        });
        self.answer = Some(answer);
        Err(CallFailed::Asked)
    }

    /// Runs one of the commands without keys that need nothing of the node.
    fn call_session(
        &mut self,
        name: &str,
        args: &[&[u8]],
        proto: Proto,
        now_ms: u64,
    ) -> Result<Vec<u8>, Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, proto);
        match (name, args) {
            ("ping", [_]) => reply.simple("PONG"),
            ("ping", [_, text]) | ("echo", [_, text]) => reply.bulk(text),
            ("ping", _) => return Err(b"ERR wrong number of arguments for 'ping' command".to_vec()),
            ("time", _) => {
                reply.array(2);
                reply.bulk((now_ms / 1000).to_string().as_bytes());
                reply.bulk((now_ms % 1000 * 1000).to_string().as_bytes());
            }
            ("select", [_, number]) => {
                let Some(number) = parse_i64(number) else {
                    return Err(b"ERR value is not an integer or out of range".to_vec());
                };
                match usize::try_from(number) {
                    Ok(db) if db < self.databases => self.db = db,
                    _ => return Err(b"ERR DB index is out of range".to_vec()),
                }
                reply.ok();
            }
            ("publish" | "spublish", [_, channel, payload]) => {
                self.published.push(Published {
                    is_sharded: name == "spublish",
                    channel: (*channel).into(),
                    payload: (*payload).into(),
                });
                let audience = &self.node.audience;
                let receivers = audience.receivers(name == "spublish", channel);
                reply.integer(receivers as i64);
            }
            _ => return Err(b"ERR This Redis command is not allowed from script".to_vec()),
        }
        reply.finish();
        Ok(bytes)
    }

    /// Notes that it goes on after its first slice. `keys`: those that it holds, `None` for all there are.
    pub(crate) fn linger(&mut self, command: Vec<Box<[u8]>>, keys: Option<Vec<Box<[u8]>>>) {
        let function = self.function.clone();
        let busy = self.node.enter(function, command, self.started_ms, keys);
        if self.has_written {
            busy.wrote();
        }
        self.busy = Some(busy);
    }

    /// Tells others that it takes long, if it does.
    pub(crate) fn look_at_clock(&self, now_ms: u64, limit_ms: u64) {
        if let Some(busy) = &self.busy
            && now_ms.saturating_sub(self.started_ms) >= limit_ms
        {
            self.node.is_late(busy);
        }
    }

    /// Ends the run: what it said and published goes out.
    pub(crate) fn finish(mut self, shard: &mut Shard) {
        shard.happened_elsewhere(std::mem::take(&mut self.happened));
        shard.script_has_read(std::mem::take(&mut self.reads));
        let scripts = &mut shard.scripts;
        scripts.counts.add(std::mem::take(&mut self.counts));
        scripts.published.append(&mut self.published);
        scripts.lines.append(&mut self.lines);
        scripts
            .calls
            .extend(self.calls.take().into_iter().flatten());
        self.leave(scripts);
    }

    /// Ends the run as if it had not been, for it is going to be run again.
    pub(crate) fn abandon(mut self, scripts: &mut Scripts) {
        const STEPS_MAX: usize = 10_000;
        let is_over = |output: &Option<Output>| matches!(output, Some(Output::Done(..)) | None);
        let ended = self.machine.as_mut().is_some_and(|machine| {
            (0..STEPS_MAX).any(|_| is_over(&machine.resume(Input::Stop(Stop::Restart))))
        });
        if !ended {
            self.machine = None;
        }
        self.leave(scripts);
    }

    fn leave(&mut self, scripts: &mut Scripts) {
        scripts.running -= 1;
        if let Some(busy) = self.busy.take() {
            self.node.leave(&busy);
        }
        if let Some(machine) = self.machine.take() {
            scripts.put_back(machine);
        }
    }
}

/// Whether a command without keys needs nothing of the node.
fn is_answered_here(name: &str) -> bool {
    matches!(
        name,
        "ping" | "echo" | "time" | "select" | "publish" | "spublish"
    )
}

/// Whether a command over keys was called by a subcommand that concerns the node (MEMORY STATS).
fn is_of_node(known: &Known, number: u16) -> bool {
    let parts = known.spec.subcommands;
    let part = usize::from(number).checked_sub(usize::from(known.first_part));
    let part = part.and_then(|part| parts.get(part));
    let is_its = |part: &Spec| part.keys.is_empty() && part.name != "help";
    known.spec.has(flag::OF_NODE) && part.is_some_and(is_its)
}

/// The error of a command that waits only if it is told to.
fn blocking_option(name: &str, args: &[&[u8]]) -> Option<Vec<u8>> {
    if !matches!(name, "xread" | "xreadgroup") {
        return None;
    }
    let options = args
        .iter()
        .take_while(|word| !word.eq_ignore_ascii_case(b"streams"));
    let blocks = options
        .skip(1)
        .any(|word| word.eq_ignore_ascii_case(b"block"));
    let text = format!("ERR {name} command is not allowed with BLOCK option from scripts");
    blocks.then(|| text.into_bytes())
}
