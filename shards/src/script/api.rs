//! `redis.*`, and what else the prelude cannot do in Lua.
//!
//! A function of this file that fails throws a value of its own kind ([`Thrown`]), since only C could throw a Lua table from here; the prelude's `pcall` and the
//! handler of errors turn it into what Redis's functions throw.

use std::fmt;

use mlua::{Error, Function, Lua, MultiValue, Scope, Table, Value, Variadic};
use tessera_core::resp::Proto;

use super::library::Registered;
use super::machine::{Call, Input, Lifted, Output, State, sha1_hex};
use super::shebang;
use super::{convert, decimal, pattern};
use crate::command::Words;

/// Which functions of `redis` there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// For scripts, and functions of libraries.
    Script,
    /// For libraries that are being loaded.
    Loading,
}

/// What Redis calls the field of errors that were counted when a command replied with them.
pub(super) const OF_COMMAND: &str = "ignore_error_stats_update";

/// Room for the words of a command, to begin with.
const WORDS_BYTES: usize = 256;
/// Words that are not worth counting their bytes.
const WORDS_FEW: usize = 4;
/// The longest command of a script.
const WORDS_BYTES_MAX: usize = 1 << 30;

/// The version of Redis that scripts see.
const VERSION: &str = "7.2.4";
const VERSION_NUM: i64 = 0x0007_0204;

/// An error of this server's functions: the text, without a place.
#[derive(Debug)]
pub(super) struct Thrown(pub(super) Vec<u8>);

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Thrown {}

/// Throws the text of an error of the server, its code included.
pub(super) fn thrown(text: impl AsRef<[u8]>) -> Error {
    Error::external(Thrown(text.as_ref().to_vec()))
}

/// Throws what `error(text)` would: the place of the caller before the text.
pub(super) fn raise(lua: &Lua, text: impl AsRef<[u8]>) -> Error {
    let mut whole = place(lua, 1);
    whole.extend_from_slice(text.as_ref());
    Error::external(Raised(whole))
}

/// An error with a text that becomes a Lua string when it is caught.
#[derive(Debug)]
struct Raised(Vec<u8>);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Raised {}

/// `user_script:1: `, or nothing if that level is no Lua function.
fn place(lua: &Lua, level: usize) -> Vec<u8> {
    let found = lua.inspect_stack(level, |frame| {
        let source = frame.source();
        let name = source.short_src.map(|name| name.into_owned());
        (name, frame.current_line())
    });
    match found {
        Some((Some(name), Some(line))) => format!("{name}:{line}: ").into_bytes(),
        _ => Vec::new(),
    }
}

/// What was thrown, as far as it came from here.
fn own(error: &Error) -> Option<(Vec<u8>, bool)> {
    match error {
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => own(cause),
        Error::ExternalError(cause) => {
            if let Some(Thrown(text)) = cause.downcast_ref() {
                Some((text.clone(), true))
            } else {
                cause
                    .downcast_ref()
                    .map(|Raised(text)| (text.clone(), false))
            }
        }
        _ => None,
    }
}

/// The text of an error for a reply.
pub(super) fn text_of(error: &Error) -> Vec<u8> {
    if let Some((text, _)) = own(error) {
        return text;
    }
    match error {
        Error::MemoryError(_) => b"ERR not enough memory".to_vec(),
        Error::CallbackError { cause, .. } => text_of(cause),
        error => format!("ERR {error}")
            .replace(['\r', '\n'], " ")
            .into_bytes(),
    }
}

/// The bytes of a string or number, or what `tostring` says.
pub(super) fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Error(error) => text_of(error),
        value => value.to_string().unwrap_or_default().into_bytes(),
    }
}

/// The type of a value, as Lua calls it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        value => value.type_name(),
    }
}

/// All that the prelude needs.
pub(super) fn table<'s, 'e>(
    lua: &Lua,
    scope: &'s Scope<'s, 'e>,
    state: &'s State<'e>,
) -> mlua::Result<Table>
where
    'e: 's,
{
    let raw = lua.create_table()?;
    raw.raw_set("redis", redis(lua, scope, state, Kind::Script)?)?;
    raw.raw_set("library_redis", redis(lua, scope, state, Kind::Script)?)?;
    raw.raw_set("loading_redis", redis(lua, scope, state, Kind::Loading)?)?;
    raw.raw_set("handler", lua.create_function(handle)?)?;
    raw.raw_set("thrown", lua.create_function(what_was_thrown)?)?;
    raw.raw_set("pairs", lua.create_function(make_pairs)?)?;
    raw.raw_set("setmetatable", lua.create_function(make_setmetatable)?)?;
    let random = scope.create_function(|lua, args: Variadic<Value>| random(lua, state, &args))?;
    raw.raw_set("random", random)?;
    let search = scope.create_function(|lua, what| pattern::search(lua, state, what))?;
    raw.raw_set("search", search)?;
    let seed = scope.create_function(|lua, seed: Value| {
        let seed = lua
            .coerce_number(seed)?
            .ok_or_else(|| raise(lua, "bad argument #1 to 'randomseed' (number expected)"))?;
        state.random.set(seed as i64 as u64);
        Ok(())
    })?;
    raw.raw_set("randomseed", seed)?;
    Ok(raw)
}

fn redis<'s, 'e>(
    lua: &Lua,
    scope: &'s Scope<'s, 'e>,
    state: &'s State<'e>,
    kind: Kind,
) -> mlua::Result<Table>
where
    'e: 's,
{
    let redis = lua.create_table()?;
    for (name, value) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REDIS_VERSION_NUM", VERSION_NUM),
    ] {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("REDIS_VERSION", VERSION)?;
    let log = scope.create_function(move |lua, args: Variadic<Value>| log(lua, state, &args))?;
    redis.raw_set("log", log)?;
    if kind == Kind::Loading {
        let register =
            scope.create_function(move |lua, args: Variadic<Value>| register(lua, state, &args))?;
        redis.raw_set("register_function", register)?;
        return Ok(redis);
    }
    let function = scope.create_function(move |lua, args: MultiValue| {
        let reply = call(lua, state, args)?;
        match reply {
            Ok(value) => Ok(value),
            Err(text) => Err(thrown(text)),
        }
    })?;
    redis.raw_set("call", function)?;
    let function =
        scope.create_function(move |lua, args: MultiValue| match call(lua, state, args)? {
            Ok(value) => Ok(value),
            Err(text) => error_table(lua, &text, true),
        })?;
    redis.raw_set("pcall", function)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    let set = scope.create_function(move |_, args: Variadic<Value>| set_resp(state, &args))?;
    redis.raw_set("setresp", set)?;
    let may = scope.create_function(move |lua, args: MultiValue| may_run(lua, state, args))?;
    redis.raw_set("acl_check_cmd", may)?;
    redis.raw_set(
        "replicate_commands",
        lua.create_function(|_, _: MultiValue| Ok(true))?,
    )?;
    for (name, value) in [
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", 3),
    ] {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    // There is no debugger.
    redis.raw_set(
        "breakpoint",
        lua.create_function(|_, _: MultiValue| Ok(false))?,
    )?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    Ok(redis)
}

/// The words of a command.
fn words(args: MultiValue) -> mlua::Result<Result<Words, &'static str>> {
    if args.is_empty() {
        return Ok(Err(
            "ERR Please specify at least one argument for this redis lib call",
        ));
    }
    // One text many times over takes no memory of the machine; a few words are no longer than that.
    if args.len() > WORDS_FEW && args.iter().map(text_bytes).sum::<usize>() > WORDS_BYTES_MAX {
        return Ok(Err("ERR Lua redis lib command arguments are too long"));
    }
    let mut words = Words::with_room(WORDS_BYTES);
    for value in args {
        match value {
            Value::String(text) => words.push(&text.as_bytes()),
            Value::Integer(number) => words.push(itoa::Buffer::new().format(number).as_bytes()),
            Value::Number(number) => push_number(&mut words, number),
            _ => {
                return Ok(Err(
                    "ERR Lua redis lib command arguments must be strings or integers",
                ));
            }
        }
    }
    Ok(Ok(words))
}

fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_bytes().len(),
        _ => 0,
    }
}

/// Adds a number as Redis sends it: all digits of an integer, otherwise 17 digits.
fn push_number(words: &mut Words, number: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        words.push(itoa::Buffer::new().format(number as i64).as_bytes());
    } else {
        words.push(decimal::general(number, 17).as_bytes());
    }
}

/// Runs a command. `Err`: the text of its error.
fn call(lua: &Lua, state: &State<'_>, args: MultiValue) -> mlua::Result<Result<Value, Vec<u8>>> {
    if let Some(stop) = state.stopping.get() {
        return Err(state.stop(lua, stop));
    }
    let args = match words(args)? {
        Ok(args) => args,
        Err(text) => return Ok(Err(text.as_bytes().to_vec())),
    };
    let proto = state.proto.get();
    match state.ask(Output::Call(Call { args, proto })) {
        Input::Reply(Ok(reply)) => {
            let _lifted = Lifted::of(lua, reply.len());
            convert::read(lua, &reply, proto)
        }
        Input::Reply(Err(text)) => Ok(Err(text)),
        Input::Stop(stop) => Err(state.stop(lua, stop)),
        _ => Err(thrown("ERR the command was not run")),
    }
}

/// `{err = text}`.
fn error_table(lua: &Lua, text: &[u8], is_of_command: bool) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(text)?)?;
    if is_of_command {
        table.raw_set(OF_COMMAND, true)?;
    }
    Ok(Value::Table(table))
}

fn error_reply(lua: &Lua, args: Variadic<Value>) -> mlua::Result<Value> {
    let [Value::String(text)] = &args[..] else {
        return error_table(lua, b"ERR wrong number or type of arguments", false);
    };
    let text = text.as_bytes();
    let text = convert::up_to_nul(&text);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    // What stands before the first space is the code, whatever it is.
    let code = text.iter().position(|byte| *byte == b' ');
    let (code, said) = code.map_or((&b"ERR"[..], text), |at| (&text[..at], &text[at + 1..]));
    error_table(lua, &[code, b" ", without_line_ends(said)].concat(), false)
}

/// A text without line ends at its start and end.
fn without_line_ends(text: &[u8]) -> &[u8] {
    let is_inner = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    match (
        text.iter().position(is_inner),
        text.iter().rposition(is_inner),
    ) {
        (Some(from), Some(to)) => &text[from..=to],
        _ => &[],
    }
}

fn status_reply(lua: &Lua, args: Variadic<Value>) -> mlua::Result<Value> {
    let [Value::String(text)] = &args[..] else {
        return error_table(lua, b"ERR wrong number or type of arguments", false);
    };
    let table = lua.create_table()?;
    table.raw_set("ok", text)?;
    Ok(Value::Table(table))
}

fn sha1hex(lua: &Lua, args: Variadic<Value>) -> mlua::Result<String> {
    let [value] = &args[..] else {
        return Err(thrown("ERR wrong number of arguments"));
    };
    let text = lua.coerce_string(value.clone())?;
    let bytes = text.as_ref().map(|text| text.as_bytes().to_vec());
    Ok(sha1_hex(&bytes.unwrap_or_default()).into())
}

fn set_resp(state: &State<'_>, args: &[Value]) -> mlua::Result<()> {
    let [version] = args else {
        return Err(thrown("ERR redis.setresp() requires one argument."));
    };
    let proto = match number(version) {
        Some(2.0) => Proto::Resp2,
        Some(3.0) => Proto::Resp3,
        _ => return Err(thrown("ERR RESP version must be 2 or 3.")),
    };
    state.proto.set(proto);
    Ok(())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => text.to_str().ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn set_repl(_: &Lua, args: Variadic<Value>) -> mlua::Result<()> {
    let [flags] = &args[..] else {
        return Err(thrown("ERR redis.set_repl() requires two arguments."));
    };
    let flags = number(flags).unwrap_or_default() as i64;
    if flags & !3 != 0 {
        let text =
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(thrown(text));
    }
    Ok(())
}

fn log(lua: &Lua, state: &State<'_>, args: &[Value]) -> mlua::Result<()> {
    let [level, words @ ..] = args else {
        return Err(thrown("ERR redis.log() requires two arguments or more."));
    };
    if words.is_empty() {
        return Err(thrown("ERR redis.log() requires two arguments or more."));
    }
    let Some(level) = number(level) else {
        return Err(thrown("ERR First argument must be a number (log level)."));
    };
    if !(0.0..=3.0).contains(&level) {
        return Err(thrown("ERR Invalid debug level."));
    }
    let mut line = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if let Some(word) = lua.coerce_string(word.clone())? {
            if at > 0 {
                line.push(b' ');
            }
            line.extend_from_slice(&word.as_bytes());
        }
    }
    state.ask(Output::Log(level as i64, line));
    Ok(())
}

fn may_run(lua: &Lua, state: &State<'_>, args: MultiValue) -> mlua::Result<bool> {
    let args = match words(args)? {
        Ok(args) => args,
        Err(text) => return Err(thrown(text)),
    };
    match state.ask(Output::MayRun(args)) {
        Input::Reply(Ok(reply)) => Ok(reply.starts_with(b":1")),
        Input::Reply(Err(text)) => Err(thrown(text)),
        Input::Stop(stop) => Err(state.stop(lua, stop)),
        _ => Ok(true),
    }
}

/// `math.random` by drand48, which Redis uses so that every script sees the same numbers on every machine.
fn random(lua: &Lua, state: &State<'_>, args: &[Value]) -> mlua::Result<Value> {
    let draw = draw(state);
    let bound = |at: usize| -> mlua::Result<f64> {
        lua.coerce_number(args[at].clone())?.ok_or_else(|| {
            let text = format!(
                "bad argument #{} to 'random' (number expected, got {})",
                at + 1,
                kind(&args[at])
            );
            raise(lua, text)
        })
    };
    let within = |low: f64, high: f64, at: usize| {
        if low > high {
            let text = format!("bad argument #{at} to 'random' (interval is empty)");
            return Err(raise(lua, text));
        }
        Ok(Value::Number((draw * (high - low + 1.0)).floor() + low))
    };
    match args.len() {
        0 => Ok(Value::Number(draw)),
        1 => within(1.0, bound(0)?.trunc(), 1),
        2 => within(bound(0)?.trunc(), bound(1)?.trunc(), 2),
        _ => Err(raise(lua, "wrong number of arguments")),
    }
}

/// The next number of the sequence, from 0 to less than 1.
fn draw(state: &State<'_>) -> f64 {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    // The seed is kept with a bit that tells that it is the sequence's own state.
    const RUNNING: u64 = 1 << 63;
    let kept = state.random.get();
    let from = if kept & RUNNING != 0 {
        kept & MASK
    } else {
        (kept << 16 | 0x330E) & MASK
    };
    let next = from.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
    state.random.set(next | RUNNING);
    const MAX: u64 = 2_147_483_647;
    ((next >> 17) % MAX) as f64 / MAX as f64
}

/// What a caught value of ours is to a script: its text; of a server's error, the table.
fn what_was_thrown(lua: &Lua, value: Value) -> mlua::Result<Value> {
    let Value::Error(error) = &value else {
        return Ok(value);
    };
    match own(error) {
        Some((text, true)) => error_table(lua, &text, true),
        Some((text, false)) => Ok(Value::String(lua.create_string(text)?)),
        None => Ok(Value::String(lua.create_string(text_of(error))?)),
    }
}

/// Source and line.
pub(super) type Frame = (String, i64);

/// The innermost function of the script itself, from this level of the stack on.
pub(super) fn user_frame(lua: &Lua, from: usize) -> Option<Frame> {
    const LEVELS_MAX: usize = 64;
    let found = (from..from + LEVELS_MAX)
        .map_while(|level| {
            lua.inspect_stack(level, |frame| {
                let source = frame.source();
                let name = source.source.map(|name| name.into_owned());
                (source.what, name.unwrap_or_default(), frame.current_line())
            })
        })
        .find(|(what, source, _)| *what != "C" && source != "=prelude" && *what != "tail");
    found.map(|(_, source, line)| (source, line.map_or(-1, |line| line as i64)))
}

/// The handler of errors that nobody catches: `{err, source, line}`, as Redis's own.
fn handle(lua: &Lua, value: Value) -> mlua::Result<Value> {
    let value = what_was_thrown(lua, value)?;
    let found = user_frame(lua, 1);
    let table = match value {
        Value::Table(table) => table,
        value => {
            let mut text = bytes_of(&value);
            if let Some(rest) = strip_prelude(&text) {
                let at = found.as_ref().and_then(|(source, line)| {
                    let name = source.strip_prefix('@')?;
                    Some(format!("{name}:{line}: "))
                });
                text = [at.unwrap_or_default().as_bytes(), rest].concat();
            }
            if !text.starts_with(b"ERR ") || !is_ours(&text) {
                text = [b"ERR ", &text[..]].concat();
            }
            let table = lua.create_table()?;
            table.raw_set("err", lua.create_string(text)?)?;
            table
        }
    };
    if let Some((source, line)) = found {
        table.raw_set("source", source)?;
        table.raw_set("line", line)?;
    }
    Ok(Value::Table(table))
}

/// Whether a text has its code already: that of lack of memory.
fn is_ours(text: &[u8]) -> bool {
    text == b"ERR not enough memory"
}

/// The text of an error that was thrown in the prelude, without that place.
fn strip_prelude(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"prelude:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest[digits..].strip_prefix(b": ")
}

/// The text of an error about an argument.
fn bad_argument(lua: &Lua, at: usize, name: &str, wanted: &str, found: &str) -> Error {
    let text = format!("bad argument #{at} to '{name}' ({wanted} expected, got {found})");
    raise(lua, text)
}

/// Lua's `pairs`, which looks behind protected tables.
fn make_pairs(lua: &Lua, (next, real): (Function, Table)) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: Variadic<Value>| match args.first() {
        Some(Value::Table(table)) => {
            let inner: Option<Table> = real.raw_get(table)?;
            Ok((
                next.clone(),
                inner.unwrap_or_else(|| table.clone()),
                Value::Nil,
            ))
        }
        other => {
            let found = other.map_or("no value", kind);
            Err(bad_argument(lua, 1, "pairs", "table", found))
        }
    })
}

/// Lua's `setmetatable`, which refuses protected tables.
fn make_setmetatable(lua: &Lua, real: Table) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: Variadic<Value>| {
        let Some(Value::Table(table)) = args.first() else {
            let found = args.first().map_or("no value", kind);
            return Err(bad_argument(lua, 1, "setmetatable", "table", found));
        };
        let meta = match args.get(1) {
            Some(Value::Table(meta)) => Some(meta.clone()),
            Some(Value::Nil) => None,
            _ => {
                let text = "bad argument #2 to 'setmetatable' (nil or table expected)";
                return Err(raise(lua, text));
            }
        };
        if real.raw_get::<Option<Table>>(table)?.is_some() {
            return Err(Error::external(Raised(
                b"Attempt to modify a readonly table".to_vec(),
            )));
        }
        let old = table.metatable();
        if old.is_some_and(|old| old.contains_key("__metatable").unwrap_or(false)) {
            return Err(raise(lua, "cannot change a protected metatable"));
        }
        table.set_metatable(meta)?;
        Ok(table.clone())
    })
}

/// `redis.register_function`.
fn register(lua: &Lua, state: &State<'_>, args: &[Value]) -> mlua::Result<()> {
    if state.loading.borrow().is_none() {
        let text = "ERR redis.register_function can only be called on FUNCTION LOAD command";
        return Err(thrown(text));
    }
    let (what, callback) = match args {
        [Value::Table(named)] => named_arguments(lua, named)?,
        [_] => {
            let text = "ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).";
            return Err(thrown(text));
        }
        [name, callback] => {
            let Some(name) = lua.coerce_string(name.clone())? else {
                let text = "ERR first argument to redis.register_function must be a string";
                return Err(thrown(text));
            };
            let Value::Function(callback) = callback else {
                let text = "ERR second argument to redis.register_function must be a function";
                return Err(thrown(text));
            };
            let what = Registered {
                name: name.as_bytes().as_ref().into(),
                description: None,
                flags: 0,
            };
            (what, callback.clone())
        }
        _ => {
            let text = "ERR wrong number of arguments to redis.register_function";
            return Err(thrown(text));
        }
    };
    if !shebang::is_name(&what.name) {
        return Err(thrown(shebang::BAD_NAME));
    }
    let mut loading = state.loading.borrow_mut();
    let Some(loading) = loading.as_mut() else {
        return Ok(());
    };
    if loading
        .registered
        .iter()
        .any(|(other, _)| other.name.eq_ignore_ascii_case(&what.name))
    {
        return Err(thrown("ERR Function already exists in the library"));
    }
    loading.registered.push((what, callback));
    Ok(())
}

fn named_arguments(lua: &Lua, named: &Table) -> mlua::Result<(Registered, Function)> {
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, 0);
    for pair in named.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Value::String(key) = key else {
            let text = "ERR named argument key given to redis.register_function is not a string";
            return Err(thrown(text));
        };
        let text = |what: &str| -> mlua::Result<Box<[u8]>> {
            let Some(text) = lua.coerce_string(value.clone())? else {
                let text = format!(
                    "ERR {what} argument given to redis.register_function must be a string"
                );
                return Err(thrown(text));
            };
            Ok(text.as_bytes().as_ref().into())
        };
        match key.as_bytes().to_ascii_lowercase().as_slice() {
            b"function_name" => name = Some(text("function_name")?),
            b"description" => description = Some(text("description")?),
            b"callback" => match &value {
                Value::Function(function) => callback = Some(function.clone()),
                _ => {
                    let text =
                        "ERR callback argument given to redis.register_function must be a function";
                    return Err(thrown(text));
                }
            },
            b"flags" => {
                let Value::Table(table) = &value else {
                    let text = "ERR flags argument to redis.register_function must be a table representing function flags";
                    return Err(thrown(text));
                };
                for flag in table.sequence_values::<Value>() {
                    let bit = match flag? {
                        Value::String(flag) => shebang::flag(&flag.as_bytes()),
                        _ => None,
                    };
                    flags |= bit.ok_or_else(|| thrown("ERR unknown flag given"))?;
                }
            }
            _ => {
                return Err(thrown(
                    "ERR unknown argument given to redis.register_function",
                ));
            }
        }
    }
    let name = name
        .ok_or_else(|| thrown("ERR redis.register_function must get a function name argument"))?;
    let callback = callback
        .ok_or_else(|| thrown("ERR redis.register_function must get a callback argument"))?;
    let what = Registered {
        name,
        description,
        flags,
    };
    Ok((what, callback))
}
