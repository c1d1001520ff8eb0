//! Between RESP and Lua values, as Redis converts them.

use mlua::{Either, IntoLua, Lua, Table, Value};
use tessera_core::resp::{self, Reply, parse_reply};

use super::pace::Pace;

/// Tables inside each other that a script may return.
const DEPTH_MAX: usize = 1000;
/// Bytes of a script's reply, to within its longest text.
const REPLY_BYTES_MAX: usize = 512 << 20;

/// A reply as a Lua value. `Err`: the text of the error that it is.
pub(super) fn read(
    lua: &Lua,
    reply: &[u8],
    proto: resp::Proto,
) -> mlua::Result<Result<Value, Vec<u8>>> {
    if let Some(text) = reply.strip_prefix(b"-") {
        return Ok(Err(text.strip_suffix(b"\r\n").unwrap_or(text).to_vec()));
    }
    match parse_reply(reply) {
        Ok(Some((value, _))) => to_lua(lua, &value, proto).map(Ok),
        Ok(None) | Err(_) => Ok(Err(b"ERR the reply cannot be read".to_vec())),
    }
}

/// A text on its way into a table, without a reference of its own where it can be.
pub(super) struct Text<'t>(pub(super) &'t [u8]);

impl<'t> Text<'t> {
    /// For mlua, which takes texts without a detour only if they are UTF-8.
    pub(super) fn either(self) -> Either<&'t str, Self> {
        match std::str::from_utf8(self.0) {
            Ok(text) => Either::Left(text),
            Err(_) => Either::Right(self),
        }
    }
}

impl IntoLua for Text<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

/// An element of a reply on its way into a table.
struct Element<'v>(&'v resp::Value<'v>, resp::Proto);

impl<'v> Element<'v> {
    fn either(self) -> Either<&'v str, Self> {
        match self.0 {
            resp::Value::Bulk(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Either::Left(text),
                Err(_) => Either::Right(self),
            },
            _ => Either::Right(self),
        }
    }
}

impl IntoLua for Element<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        to_lua(lua, self.0, self.1)
    }
}

fn to_lua(lua: &Lua, value: &resp::Value<'_>, proto: resp::Proto) -> mlua::Result<Value> {
    use resp::Value as Resp;
    let string = |bytes: &[u8]| lua.create_string(bytes);
    let wrap = |name: &str, value: Value| {
        let table = lua.create_table()?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    };
    Ok(match value {
        Resp::Simple(text) => Value::Table(lua.create_table_from([("ok", Text(text).either())])?),
        Resp::Error(text) => {
            let table = lua.create_table()?;
            table.raw_set("err", string(text)?)?;
            table.raw_set("ignore_error_stats_update", true)?;
            Value::Table(table)
        }
        Resp::Integer(number) => Value::Number(*number as f64),
        Resp::Bulk(bytes) => Value::String(string(bytes)?),
        Resp::Null | Resp::NullArray if proto == resp::Proto::Resp3 => Value::Nil,
        Resp::Null | Resp::NullArray => Value::Boolean(false),
        Resp::Array(values) | Resp::Push(values) => {
            let elements = values.iter().map(|value| Element(value, proto).either());
            Value::Table(lua.create_sequence_from(elements)?)
        }
        Resp::Map(pairs) => {
            let map = lua.create_table()?;
            for (key, value) in pairs {
                map.raw_set(to_lua(lua, key, proto)?, to_lua(lua, value, proto)?)?;
            }
            return wrap("map", Value::Table(map));
        }
        Resp::Set(values) => {
            let set = lua.create_table()?;
            for value in values {
                set.raw_set(to_lua(lua, value, proto)?, true)?;
            }
            return wrap("set", Value::Table(set));
        }
        Resp::Double(number) => return wrap("double", Value::Number(*number)),
        Resp::Boolean(truth) => Value::Boolean(*truth),
        Resp::BigNumber(digits) => return wrap("big_number", Value::String(string(digits)?)),
        Resp::Verbatim { format, text } => {
            let verbatim = lua.create_table()?;
            verbatim.raw_set("format", string(format)?)?;
            verbatim.raw_set("string", string(text)?)?;
            return wrap("verbatim_string", Value::Table(verbatim));
        }
    })
}

/// A text up to its first NUL: Redis's own are C strings.
pub(super) fn up_to_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A text without what would end the line.
fn line_of(text: &[u8]) -> Vec<u8> {
    let clean = |byte: &u8| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            *byte
        }
    };
    up_to_nul(text).iter().map(clean).collect()
}

/// The same of an error, which does not end with line ends.
fn error_text(text: &[u8]) -> Vec<u8> {
    let text = up_to_nul(text);
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let length = text.iter().rposition(|byte| !is_end(byte));
    line_of(&text[..length.map_or(0, |at| at + 1)])
}

/// What a script returned becoming a reply. It gives way like the script: one table many times inside others has no end.
pub(super) struct Conversion<'l> {
    /// What the script has asked for, which decides how it sees truth.
    proto: resp::Proto,
    pace: Pace<'l>,
}

/// Keys and values, one by one: those of a large table are more than the machine can hold for us at once.
fn pairs(table: &Table) -> impl Iterator<Item = (Value, Value)> {
    table.pairs().filter_map(Result::ok)
}

impl<'l> Conversion<'l> {
    /// One that begins.
    pub(super) fn new(lua: &'l Lua, proto: resp::Proto) -> Self {
        Conversion {
            proto,
            pace: Pace::new(lua),
        }
    }

    /// Writes a value that lies in so many tables.
    ///
    /// # Errors
    /// The script has to end, or the reply grows too long.
    pub(super) fn write(
        &self,
        reply: &mut Reply<'_>,
        value: &Value,
        depth: usize,
    ) -> mlua::Result<()> {
        if reply.is_refused() || reply.position() > REPLY_BYTES_MAX {
            return Err(mlua::Error::MemoryError(String::new()));
        }
        self.pace.step(0)?;
        match value {
            Value::String(text) => reply.bulk(&text.as_bytes()),
            Value::Integer(number) => reply.integer(*number),
            Value::Number(number) => reply.integer(whole(*number)),
            Value::Boolean(truth) if self.proto == resp::Proto::Resp3 => reply.boolean(*truth),
            Value::Boolean(true) => reply.integer(1),
            Value::Table(table) if depth < DEPTH_MAX => return self.table(reply, table, depth),
            Value::Table(_) => reply.error("ERR reached lua stack limit"),
            _ => reply.null(),
        }
        Ok(())
    }

    fn table(&self, reply: &mut Reply<'_>, table: &Table, depth: usize) -> mlua::Result<()> {
        let get = |name: &str| table.raw_get::<Value>(name).unwrap_or(Value::Nil);
        if let Value::String(text) = get("err") {
            reply.error(error_text(&text.as_bytes()));
            return Ok(());
        }
        if let Value::String(text) = get("ok") {
            reply.simple(line_of(&text.as_bytes()));
            return Ok(());
        }
        let double = match get("double") {
            Value::Number(number) => Some(number),
            Value::Integer(number) => Some(number as f64),
            _ => None,
        };
        if let Some(number) = double {
            reply.double(number);
            return Ok(());
        }
        if let Value::Table(map) = get("map") {
            reply.map(pairs(&map).count());
            for (key, value) in pairs(&map) {
                self.write(reply, &key, depth + 1)?;
                self.write(reply, &value, depth + 1)?;
            }
            return Ok(());
        }
        if let Value::Table(set) = get("set") {
            reply.set(pairs(&set).count());
            return pairs(&set).try_for_each(|(key, _)| self.write(reply, &key, depth + 1));
        }
        if let Value::String(digits) = get("big_number") {
            reply.big_number(error_text(&digits.as_bytes()));
            return Ok(());
        }
        if let Value::Table(verbatim) = get("verbatim_string")
            && let (Ok(Value::String(format)), Ok(Value::String(text))) =
                (verbatim.raw_get("format"), verbatim.raw_get("string"))
        {
            let mut kind = [b' '; 3];
            for (place, byte) in kind.iter_mut().zip(format.as_bytes().iter()) {
                *place = *byte;
            }
            reply.verbatim(kind, &text.as_bytes());
            return Ok(());
        }
        let length = reply.deferred_array();
        let mut count = 0;
        while let Ok(value) = table.raw_get::<Value>(count + 1)
            && !value.is_nil()
        {
            self.write(reply, &value, depth + 1)?;
            count += 1;
        }
        reply.set_len(length, count);
        Ok(())
    }
}

/// The whole part of a number; the smallest integer for what is no number or does not fit, as processors of PCs convert it for Redis.
pub(super) fn whole(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}
