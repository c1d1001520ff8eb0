//! A machine: one Lua state that runs scripts on a stack of its own, so that it can stop anywhere and go on later, in the middle of a `pcall` or of a sort.
//!
//! Whoever owns it resumes it with an [`Input`] and gets an [`Output`]: it wants a command to be run, its slice is over, or it is done. It never touches
//! keys itself. A machine runs one script at a time; another that comes meanwhile takes another machine.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};
use sha1::{Digest, Sha1};
use tessera_core::resp::{Proto, Reply};

use super::by_text::ByText;
use super::library::{Library, Registered};
use super::node::Script;
use super::{api, bits, convert, json, msgpack, structs};
use crate::command::Words;

/// How the panic begins with which mlua refuses to hold more values than Lua's stack has places for. It is an error of the script, which the
/// machine survives: no reason for the server to end.
pub const REFUSAL: &str = "cannot create a Lua reference";

/// Address space of a machine's stack; pages are taken when they are used. Lua nests at most 200 C calls, the largest of them some 9 KiB.
const STACK_BYTES: usize = 8 << 20;
/// Bytes that the state of a machine may take.
pub(super) const MEMORY_BYTES_MAX: usize = 256 << 20;
/// Bytes above which what a run has left is collected at once, lest the next one finds no memory.
const MEMORY_BYTES_LEFT_MAX: usize = 16 << 20;
/// Work after which a script is interrupted, from its second such interruption on: as much as so many instructions of the simple sort.
const SLICE_INSTRUCTIONS: usize = 25_000;
/// Instructions after which it is looked how much work they were; the same where the state holds so much that each may be long.
const LOOK_INSTRUCTIONS: u32 = 100;
const LOOK_INSTRUCTIONS_HEAVY: u32 = 10;
const HEAVY_LOOK_BYTES: usize = 4 << 20;
/// Bytes that the state grew or shrank by which took as long as an instruction: one that joins two texts may take or leave a hundred million.
const BYTES_PER_INSTRUCTION: usize = 32;
/// Bytes in the state that make its instructions count double: one that moves the places of a large table takes as long as the table is large.
const HEAVY_BYTES: usize = 512 << 10;
/// What an instruction counts at most for that.
const WEIGHT_MAX: usize = 25;
/// Bytes of keys, arguments or a reply that may be made beyond the limit.
const LIFTED_BYTES_MAX: usize = 64 << 10;
/// Compiled scripts that a machine keeps.
const COMPILED_MAX: usize = 4096;

/// What is to be run.
pub(super) enum What {
    /// A script.
    Script(Arc<Script>),
    /// A function of a library, by its name.
    Function(Box<[u8]>),
}

/// A run, from the machine's point of view.
pub(super) struct Invocation {
    pub(super) what: What,
    pub(super) keys: Words,
    pub(super) args: Words,
    /// Of the reply.
    pub(super) proto: Proto,
    /// Of `math.random`.
    pub(super) seed: u64,
}

/// Why a script is to end at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// It will run again from its start; nobody sees what it says.
    Restart,
    /// By SCRIPT KILL or FUNCTION KILL.
    Kill,
    /// It took too long to load.
    LoadTimeout,
}

/// What a machine is resumed with.
pub(super) enum Input {
    /// A new run.
    Run(Box<Invocation>),
    /// Compile this, as SCRIPT LOAD does.
    Compile(Arc<Script>),
    /// Run the code of a library and tell what it registers.
    Load(Arc<[u8]>),
    /// Put these libraries in place of those that are there.
    Libraries(Vec<Arc<Library>>),
    /// Forget all compiled scripts.
    Forget,
    /// The reply to the command, in the protocol of the script; or `Err`: it was not run, for this reason.
    Reply(Result<Vec<u8>, Vec<u8>>),
    /// Go on with the next slice.
    Go,
    /// End as soon as possible.
    Stop(Stop),
    /// Never come back.
    Quit,
}

/// A command that a script wants to be run.
pub(crate) struct Call {
    pub(crate) args: Words,
    /// Protocol in which the script wants to see the reply.
    pub(crate) proto: Proto,
}

/// What a machine gives back when it stops.
pub(super) enum Output {
    /// It waits for its first or next run.
    Ready,
    /// Run this command, or tell what is the matter with it.
    Call(Call),
    /// A slice is over.
    Slice,
    /// The run is over: the reply as RESP, and whether it is the error of a command.
    Done(Vec<u8>, bool),
    /// A script has been compiled, or not.
    Compiled(Result<(), Vec<u8>>),
    /// A library has been loaded, or not.
    Loaded(Result<Vec<Registered>, Vec<u8>>),
    /// A line for the log, with its level.
    Log(i64, Vec<u8>),
    /// Whether the user may run this command: the reply says an integer.
    MayRun(Words),
}

/// See the head of this file.
pub(super) struct Machine {
    coroutine: Option<Coroutine<Input, Output, (), DefaultStack>>,
    /// Whether it waits for a new run.
    is_idle: bool,
    /// Of which state of the node's scripts and libraries it has taken notice.
    pub(super) flushes: u64,
    pub(super) libraries: u64,
}

impl Machine {
    /// A new machine. `None`: there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let stack = DefaultStack::new(STACK_BYTES).ok()?;
        let coroutine = Coroutine::with_stack(stack, |yielder, _: Input| live(yielder));
        let mut machine = Machine {
            coroutine: Some(coroutine),
            is_idle: true,
            flushes: 0,
            libraries: 0,
        };
        matches!(machine.resume(Input::Go), Some(Output::Ready)).then_some(machine)
    }

    /// Lets it go on until it next stops. `None`: it is broken.
    pub(super) fn resume(&mut self, input: Input) -> Option<Output> {
        let coroutine = self.coroutine.as_mut()?;
        match coroutine.resume(input) {
            CoroutineResult::Yield(output) => {
                self.is_idle = matches!(
                    output,
                    Output::Ready | Output::Done(..) | Output::Compiled(_) | Output::Loaded(_)
                );
                Some(output)
            }
            CoroutineResult::Return(()) => {
                self.coroutine = None;
                None
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.is_idle {
            self.resume(Input::Quit);
        }
        // In the middle of a script the stack holds frames of C, through which nothing may unwind. That is so at most once, when the node ends.
        if let Some(coroutine) = self.coroutine.take() {
            std::mem::forget(coroutine);
        }
    }
}

/// What the functions of one machine share.
pub(super) struct State<'y> {
    yielder: &'y Yielder<Input, Output>,
    /// The protocol that the script has asked for.
    pub(super) proto: Cell<Proto>,
    /// Why the script has to end.
    pub(super) stopping: Cell<Option<Stop>>,
    /// Interruptions of this run.
    ticks: Cell<u32>,
    /// The seed of `math.random`.
    pub(super) random: Cell<u64>,
    /// The library that is being loaded, with what it has registered.
    pub(super) loading: RefCell<Option<Loading>>,
    /// Where the script was when it was told to end.
    pub(super) stopped_at: RefCell<Option<api::Frame>>,
    /// Machines whose script has to end interrupt it at every instruction.
    pub(super) is_hurried: Cell<bool>,
    effort: Rc<Effort>,
}

/// What the script has done in its slice.
#[derive(Default)]
struct Effort {
    /// In instructions.
    done: Cell<usize>,
    /// Bytes of the state when it was last looked.
    bytes: Cell<usize>,
    /// The script has to end.
    is_stopping: Cell<bool>,
    /// The state held much when it was last looked.
    is_heavy: Cell<bool>,
}

impl Effort {
    /// Notes so many instructions more, after which the state has so many bytes. Says whether the slice is over.
    fn add(&self, instructions: u32, bytes: usize) -> bool {
        let moved = bytes.abs_diff(self.bytes.replace(bytes)) / BYTES_PER_INSTRUCTION;
        let weight = (1 + bytes / HEAVY_BYTES).min(WEIGHT_MAX);
        let done = self.done.get() + instructions as usize * weight + moved;
        let is_over = done >= SLICE_INSTRUCTIONS;
        self.done.set(if is_over { 0 } else { done });
        is_over
    }
}

/// A library that is being loaded.
#[derive(Default)]
pub(super) struct Loading {
    pub(super) registered: Vec<(Registered, Function)>,
}

impl State<'_> {
    /// Stops and asks.
    pub(super) fn ask(&self, output: Output) -> Input {
        self.yielder.suspend(output)
    }

    /// Notes that the script has to end.
    pub(super) fn stop(&self, lua: &Lua, stop: Stop) -> mlua::Error {
        self.stopping.set(Some(stop));
        self.effort.is_stopping.set(true);
        if !self.is_hurried.replace(true) {
            *self.stopped_at.borrow_mut() = api::user_frame(lua, 0);
            hook(lua, 1, None);
        }
        api::thrown(stop_text(stop))
    }

    /// An interruption: the end of a slice, perhaps that of the script.
    pub(super) fn tick(&self, lua: &Lua) -> mlua::Result<()> {
        if let Some(stop) = self.stopping.get() {
            return Err(self.stop(lua, stop));
        }
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get() > 1
            && let Input::Stop(stop) = self.ask(Output::Slice)
        {
            return Err(self.stop(lua, stop));
        }
        Ok(())
    }

    fn begin(&self, lua: &Lua) {
        self.proto.set(Proto::Resp2);
        self.stopping.set(None);
        self.ticks.set(0);
        *self.stopped_at.borrow_mut() = None;
        json::reset(lua);
        self.random.set(0);
        self.effort.done.set(0);
        self.effort.is_stopping.set(false);
        if self.is_hurried.replace(false) {
            self.effort.is_heavy.set(false);
            hook(lua, LOOK_INSTRUCTIONS, Some(self.effort.clone()));
        }
    }
}

/// What a script is told that has to end.
fn stop_text(stop: Stop) -> &'static str {
    match stop {
        Stop::Restart => "ERR script is run again",
        Stop::Kill => "ERR Script killed by user with SCRIPT KILL...",
        Stop::LoadTimeout => "ERR FUNCTION LOAD timeout",
    }
}

/// The function that the hook calls.
const TICK: &str = "tick";

/// Looks at the script every so many instructions, and interrupts it when its effort is enough for a slice; without `effort` each time.
fn hook(lua: &Lua, instructions: u32, effort: Option<Rc<Effort>>) {
    let triggers = HookTriggers::new().every_nth_instruction(instructions);
    // It fails only for want of memory, and then the script runs on without a pause.
    _ = lua.set_global_hook(triggers, move |lua, _| {
        let Some(effort) = &effort else {
            give_way(lua)?;
            return Ok(VmState::Continue);
        };
        let bytes = lua.used_memory();
        let is_heavy = bytes > HEAVY_LOOK_BYTES;
        if effort.is_heavy.replace(is_heavy) != is_heavy {
            let next = match is_heavy {
                true => LOOK_INSTRUCTIONS_HEAVY,
                false => LOOK_INSTRUCTIONS,
            };
            hook(lua, next, Some(effort.clone()));
        }
        if effort.add(instructions, bytes)
            && let Err(error) = give_way(lua)
        {
            if effort.is_stopping.get() {
                return Err(error);
            }
            // So deep in nested calls that Lua has no room for this one: soon again.
            effort.done.set(SLICE_INSTRUCTIONS);
        }
        Ok(VmState::Continue)
    });
}

/// Lifts the limit of a machine's memory while a few values of bounded size are made from outside: below a limit each of them costs a protected call,
/// and two closures for the collector. Nothing of the script runs meanwhile.
pub(super) struct Lifted<'l>(&'l Lua);

impl<'l> Lifted<'l> {
    /// Until it is dropped, if so many bytes are few.
    pub(super) fn of(lua: &'l Lua, bytes: usize) -> Option<Self> {
        let is_small = bytes <= LIFTED_BYTES_MAX;
        (is_small && lua.set_memory_limit(0).is_ok()).then_some(Lifted(lua))
    }
}

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        // It can fail only for an allocator that is not mlua's, which `of` would have said.
        _ = self.0.set_memory_limit(MEMORY_BYTES_MAX);
    }
}

/// A slice is over.
///
/// # Errors
/// The script has to end.
pub(super) fn give_way(lua: &Lua) -> mlua::Result<()> {
    lua.named_registry_value::<Function>(TICK)?.call(())
}

/// The life of a machine.
fn live(yielder: &Yielder<Input, Output>) {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let Ok(lua) = Lua::new_with(libraries, LuaOptions::new()) else {
        return;
    };
    let state = State {
        yielder,
        proto: Cell::new(Proto::Resp2),
        stopping: Cell::new(None),
        ticks: Cell::new(0),
        random: Cell::new(0),
        loading: RefCell::new(None),
        stopped_at: RefCell::new(None),
        is_hurried: Cell::new(false),
        effort: Rc::default(),
    };
    let outcome = lua.scope(|scope| {
        let raw = api::table(&lua, scope, &state)?;
        let libraries = lua.create_table()?;
        libraries.raw_set("bit", bits::table(&lua)?)?;
        libraries.raw_set("struct", structs::table(&lua)?)?;
        libraries.raw_set("cjson", json::table(&lua)?)?;
        libraries.raw_set("cmsgpack", msgpack::table(&lua)?)?;
        raw.raw_set("libraries", libraries)?;
        let tick = scope.create_function(|lua, ()| state.tick(lua))?;
        lua.set_named_registry_value(TICK, tick)?;
        let prelude = lua
            .load(include_str!("prelude.lua"))
            .set_name("=prelude")
            .call::<Table>(raw)?;
        lua.set_memory_limit(MEMORY_BYTES_MAX)?;
        hook(&lua, LOOK_INSTRUCTIONS, Some(state.effort.clone()));
        Vm::new(&lua, &state, &prelude)?.serve();
        Ok(())
    });
    if let Err(error) = outcome {
        debug_assert!(false, "the prelude runs: {error}");
    }
}

/// A machine from inside.
struct Vm<'v, 'y> {
    lua: &'v Lua,
    state: &'v State<'y>,
    run: Function,
    apply: Function,
    compile: Function,
    compile_library: Function,
    load_library: Function,
    compiled: HashMap<Box<str>, Function, ByText>,
    /// By their names in small letters.
    functions: HashMap<Vec<u8>, Function>,
}

impl<'v, 'y> Vm<'v, 'y> {
    fn new(lua: &'v Lua, state: &'v State<'y>, prelude: &Table) -> mlua::Result<Self> {
        Ok(Vm {
            lua,
            state,
            run: prelude.raw_get("run")?,
            apply: prelude.raw_get("apply")?,
            compile: prelude.raw_get("compile")?,
            compile_library: prelude.raw_get("compile_library")?,
            load_library: prelude.raw_get("load_library")?,
            compiled: HashMap::default(),
            functions: HashMap::new(),
        })
    }

    /// Carries out, even if the script hands over more values than mlua can hold at once, about 7,990: that is a panic of mlua's, which has put its
    /// own things in order when it arrives here.
    fn carry_out_or_fail(&mut self, run: &Invocation) -> (Vec<u8>, bool) {
        let reply = catch_unwind(AssertUnwindSafe(|| self.carry_out(run)));
        reply.unwrap_or_else(|_| {
            let text = b"-ERR the script hands over too many values at once\r\n";
            (text.to_vec(), false)
        })
    }

    fn serve(&mut self) {
        let mut output = Output::Ready;
        loop {
            self.state.begin(self.lua);
            output = match self.state.ask(output) {
                Input::Run(run) => {
                    let (reply, is_handed_on) = self.carry_out_or_fail(&run);
                    self.collect();
                    Output::Done(reply, is_handed_on)
                }
                Input::Compile(script) => Output::Compiled(self.chunk(&script).map(|_| ())),
                Input::Load(code) => Output::Loaded(self.load(&code)),
                Input::Libraries(libraries) => {
                    self.functions.clear();
                    for library in libraries {
                        // It could be loaded before, on another machine.
                        _ = self.load(&library.code);
                    }
                    Output::Ready
                }
                Input::Forget => {
                    self.compiled.clear();
                    Output::Ready
                }
                Input::Quit => return,
                Input::Reply(_) | Input::Go | Input::Stop(_) => Output::Ready,
            };
        }
    }

    /// Lua 5.1 does not collect when an allocation fails.
    fn collect(&self) {
        if self.lua.used_memory() > MEMORY_BYTES_LEFT_MAX {
            // The second round frees what finalizers held. It fails only where one throws; then the next run collects.
            _ = self.lua.gc_collect().and_then(|()| self.lua.gc_collect());
        }
    }

    fn carry_out(&mut self, run: &Invocation) -> (Vec<u8>, bool) {
        let mut reply = Vec::new();
        self.state.random.set(run.seed >> 32);
        let ended = self.call(run);
        let mut writer = Reply::new(&mut reply, run.proto);
        let converted = match &ended {
            _ if self.state.stopping.get().is_some() => Ok(()),
            Ok((true, value)) => {
                let conversion = convert::Conversion::new(self.lua, self.state.proto.get());
                conversion.write(&mut writer, value, 0)
            }
            Ok((false, value)) => {
                writer.error(self.failure(run, value));
                Ok(())
            }
            Err(text) => {
                writer.error(text);
                Ok(())
            }
        };
        writer.finish();
        let complaint = match converted {
            _ if self.state.stopping.get().is_some() => self.stopped(run),
            Err(error) => api::text_of(&error),
            Ok(()) => {
                let is_error = reply.first() == Some(&b'-');
                return (reply, is_error && is_of_command(&ended));
            }
        };
        reply.clear();
        let mut writer = Reply::new(&mut reply, run.proto);
        writer.error(complaint);
        writer.finish();
        (reply, false)
    }

    /// Runs a script or a function, and says whether it ended well and what it returned or threw.
    fn call(&mut self, run: &Invocation) -> Result<(bool, Value), Vec<u8>> {
        let lua = self.lua;
        let words = |words: &Words| {
            lua.create_sequence_from(words.iter().map(|word| convert::Text(word).either()))
        };
        let broken = |error: mlua::Error| api::text_of(&error);
        let lifted = Lifted::of(lua, run.keys.bytes_len() + run.args.bytes_len());
        let keys = words(&run.keys).map_err(broken)?;
        let args = words(&run.args).map_err(broken)?;
        drop(lifted);
        let called = match &run.what {
            What::Script(script) => {
                let chunk = self.chunk(script)?;
                self.run.call::<(bool, Value)>((chunk, keys, args))
            }
            What::Function(name) => {
                let function = self
                    .functions
                    .get(&name.to_ascii_lowercase())
                    .ok_or_else(|| b"ERR Function not found".to_vec())?;
                self.apply.call::<(bool, Value)>((function, keys, args))
            }
        };
        called.map_err(broken)
    }

    /// The text of the error of a script that was ended.
    fn stopped(&self, run: &Invocation) -> Vec<u8> {
        let stop = self.state.stopping.get().unwrap_or(Stop::Restart);
        let mut text = stop_text(stop).as_bytes().to_vec();
        if let Some((source, line)) = &*self.state.stopped_at.borrow() {
            put_place(&mut text, run, source.as_bytes(), *line);
        }
        text
    }

    /// The text of the error with which a script ended.
    fn failure(&self, run: &Invocation, value: &Value) -> Vec<u8> {
        let mut text = Vec::new();
        let Value::Table(table) = value else {
            // Lack of memory, for which no handler is called.
            return [b"ERR ", &api::bytes_of(value)[..]].concat();
        };
        let get = |name: &str| table.raw_get::<Value>(name).ok();
        match get("err") {
            Some(Value::String(what)) => text.extend_from_slice(&what.as_bytes()),
            _ => text.extend_from_slice(b"ERR unknown error"),
        }
        let (Some(Value::String(source)), Some(line)) = (get("source"), get("line")) else {
            return text;
        };
        put_place(
            &mut text,
            run,
            &source.as_bytes(),
            line.as_i64().unwrap_or_default(),
        );
        text
    }

    /// A script, compiled.
    fn chunk(&mut self, script: &Script) -> Result<Function, Vec<u8>> {
        if let Some(chunk) = self.compiled.get(&*script.sha) {
            return Ok(chunk.clone());
        }
        let compiled = self.lua.create_string(&script.code).and_then(|code| {
            self.compile
                .call::<(Option<Function>, Value)>((code, "@user_script"))
        });
        let (chunk, cause) = compiled.map_err(|error| api::text_of(&error))?;
        let Some(chunk) = chunk else {
            let mut text = b"ERR Error compiling script (new function): ".to_vec();
            text.extend_from_slice(&api::bytes_of(&cause));
            return Err(text);
        };
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.clear();
        }
        self.compiled.insert(script.sha.clone(), chunk.clone());
        Ok(chunk)
    }

    /// Runs the code of a library, and keeps the functions that it registers.
    fn load(&mut self, code: &[u8]) -> Result<Vec<Registered>, Vec<u8>> {
        let compiled = self
            .lua
            .create_string(code)
            .and_then(|code| self.compile_library.call::<(Option<Function>, Value)>(code))
            .map_err(|error| api::text_of(&error))?;
        let (Some(chunk), _) = compiled else {
            let mut text = b"ERR Error compiling function: ".to_vec();
            text.extend_from_slice(&api::bytes_of(&compiled.1));
            return Err(text);
        };
        *self.state.loading.borrow_mut() = Some(Loading::default());
        let called = self.load_library.call::<(bool, Value)>(chunk);
        let loaded = self.state.loading.borrow_mut().take().unwrap_or_default();
        match called {
            Ok((true, _)) => {}
            Ok((false, value)) => {
                let mut text = b"ERR Error registering functions: ".to_vec();
                text.extend_from_slice(&load_failure(&value));
                return Err(text);
            }
            Err(error) => return Err(api::text_of(&error)),
        }
        let mut registered = Vec::new();
        for (what, function) in loaded.registered {
            self.functions
                .insert(what.name.to_ascii_lowercase(), function);
            registered.push(what);
        }
        Ok(registered)
    }
}

/// Adds which script and which line of it.
fn put_place(text: &mut Vec<u8>, run: &Invocation, source: &[u8], line: i64) {
    text.extend_from_slice(b" script: ");
    match &run.what {
        What::Script(script) => text.extend_from_slice(script.sha.as_bytes()),
        What::Function(name) => text.extend_from_slice(name),
    }
    text.extend_from_slice(b", on ");
    text.extend_from_slice(source);
    text.extend_from_slice(format!(":{line}.").as_bytes());
}

/// Whether a script ended with the error that a command had replied with.
fn is_of_command(ended: &Result<(bool, Value), Vec<u8>>) -> bool {
    let Ok((_, Value::Table(table))) = ended else {
        return false;
    };
    let mark = table.raw_get::<Value>(api::OF_COMMAND);
    mark.is_ok_and(|mark| mark.as_boolean() == Some(true))
}

/// What a library's code threw.
fn load_failure(value: &Value) -> Vec<u8> {
    let Value::Table(table) = value else {
        return b"ERR unknown error".to_vec();
    };
    api::bytes_of(&table.raw_get("err").unwrap_or(Value::Nil))
}

/// The name of a script: SHA-1 of its text, 40 hex digits.
#[must_use]
pub fn sha1_hex(code: &[u8]) -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(code) {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex.into()
}
