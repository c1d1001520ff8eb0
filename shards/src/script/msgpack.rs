//! The `cmsgpack` library: MessagePack, with the choices of Redis's own.

use mlua::{Lua, MultiValue, Table, Value, Variadic};

use super::api::{kind, raise};
use super::machine::MEMORY_BYTES_MAX;
use super::pace::Pace;

/// Tables inside each other; what is deeper becomes nil.
const NESTING_MAX: usize = 16;
/// The same when reading, where Redis has no limit but its stack.
const READ_DEPTH_MAX: usize = 1000;

/// Puts a length or number with its kind.
fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    match number {
        0..=127 => out.push(number as u8),
        128..=0xFF => put(out, 0xCC, &[number as u8]),
        0x100..=0xFFFF => put(out, 0xCD, &(number as u16).to_be_bytes()),
        0x1_0000..=0xFFFF_FFFF => put(out, 0xCE, &(number as u32).to_be_bytes()),
        0x1_0000_0000.. => put(out, 0xCF, &(number as u64).to_be_bytes()),
        -32..=-1 => out.push(number as i8 as u8),
        -128..=-33 => put(out, 0xD0, &[number as i8 as u8]),
        -0x8000..=-129 => put(out, 0xD1, &(number as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => put(out, 0xD2, &(number as i32).to_be_bytes()),
        _ => put(out, 0xD3, &number.to_be_bytes()),
    }
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    if f64::from(number as f32) == number {
        put(out, 0xCA, &(number as f32).to_be_bytes());
    } else {
        put(out, 0xCB, &number.to_be_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=31 => out.push(0xA0 | len as u8),
        len @ 32..=0xFF => put(out, 0xD9, &[len as u8]),
        len @ 0x100..=0xFFFF => put(out, 0xDA, &(len as u16).to_be_bytes()),
        len => put(out, 0xDB, &(len as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

fn put_length(out: &mut Vec<u8>, len: usize, small: u8, kinds: [u8; 2]) {
    match len {
        0..=15 => out.push(small | len as u8),
        16..=0xFFFF => put(out, kinds[0], &(len as u16).to_be_bytes()),
        _ => put(out, kinds[1], &(len as u32).to_be_bytes()),
    }
}

/// What is written, and how much has been.
struct Packer<'l> {
    out: Vec<u8>,
    pace: Pace<'l>,
}

impl Packer<'_> {
    fn value(&mut self, value: &Value, level: usize) -> mlua::Result<()> {
        // One value many times over takes no memory of the machine until it is written.
        let more = match value {
            Value::String(text) => text.as_bytes().len(),
            _ => 0,
        };
        self.pace.step(more)?;
        let out = &mut self.out;
        if out.len() + more > MEMORY_BYTES_MAX {
            return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
        }
        match value {
            Value::String(text) => put_bytes(out, &text.as_bytes()),
            Value::Boolean(truth) => out.push(if *truth { 0xC3 } else { 0xC2 }),
            Value::Integer(number) => put_integer(out, *number),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9.2e18 => {
                put_integer(out, *number as i64);
            }
            Value::Number(number) => put_number(out, *number),
            Value::Table(table) if level < NESTING_MAX => return self.table(table, level),
            _ => out.push(0xC0),
        }
        Ok(())
    }

    /// Two walks: the keys and values of a large table are more than the machine can hold for us at once.
    fn table(&mut self, table: &Table, level: usize) -> mlua::Result<()> {
        let (mut len, mut max, mut is_array) = (0, 0, true);
        for pair in table.pairs::<Value, Value>() {
            self.pace.step(0)?;
            len += 1;
            match pair?.0.as_i64().filter(|at| *at > 0) {
                Some(at) => max = max.max(at),
                None => is_array = false,
            }
        }
        if is_array && max == len as i64 {
            put_length(&mut self.out, len, 0x90, [0xDC, 0xDD]);
            for at in 1..=len {
                self.value(&table.raw_get(at)?, level + 1)?;
            }
        } else {
            put_length(&mut self.out, len, 0x80, [0xDE, 0xDF]);
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair?;
                self.value(&key, level + 1)?;
                self.value(&value, level + 1)?;
            }
        }
        Ok(())
    }
}

/// Bytes being read.
struct Input<'b> {
    rest: &'b [u8],
    pace: Pace<'b>,
}

const MISSING: &str = "Missing bytes in input.";
const BAD: &str = "Bad data format in input.";

impl<'b> Input<'b> {
    fn take(&mut self, lua: &Lua, len: usize) -> mlua::Result<&'b [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| raise(lua, MISSING))?;
        self.rest = tail;
        Ok(head)
    }

    fn unsigned(&mut self, lua: &Lua, len: usize) -> mlua::Result<u64> {
        let bytes = self.take(lua, len)?;
        Ok(bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, lua: &Lua, len: usize) -> mlua::Result<Value> {
        let unused = 64 - 8 * len as u32;
        let number = (self.unsigned(lua, len)? << unused) as i64 >> unused;
        Ok(Value::Number(number as f64))
    }

    fn text(&mut self, lua: &Lua, len: usize) -> mlua::Result<Value> {
        self.pace.step(len)?;
        Ok(Value::String(lua.create_string(self.take(lua, len)?)?))
    }

    fn array(&mut self, lua: &Lua, len: usize, depth: usize) -> mlua::Result<Value> {
        let table = lua.create_table()?;
        for at in 1..=len {
            table.raw_set(at, self.value(lua, depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, lua: &Lua, len: usize, depth: usize) -> mlua::Result<Value> {
        let table = lua.create_table()?;
        for _ in 0..len {
            let key = self.value(lua, depth + 1)?;
            let value = self.value(lua, depth + 1)?;
            if key.is_nil() || key.as_f64().is_some_and(f64::is_nan) {
                return Err(raise(lua, BAD));
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }

    fn value(&mut self, lua: &Lua, depth: usize) -> mlua::Result<Value> {
        if depth > READ_DEPTH_MAX {
            return Err(raise(lua, BAD));
        }
        self.pace.step(0)?;
        let kind = self.take(lua, 1)?[0];
        match kind {
            0..=0x7F => Ok(Value::Number(f64::from(kind))),
            0xE0..=0xFF => Ok(Value::Number(f64::from(kind as i8))),
            0x80..=0x8F => self.map(lua, usize::from(kind & 15), depth),
            0x90..=0x9F => self.array(lua, usize::from(kind & 15), depth),
            0xA0..=0xBF => self.text(lua, usize::from(kind & 31)),
            0xC0 => Ok(Value::Nil),
            0xC2 => Ok(Value::Boolean(false)),
            0xC3 => Ok(Value::Boolean(true)),
            0xCA => {
                let bits = self.unsigned(lua, 4)? as u32;
                Ok(Value::Number(f32::from_bits(bits).into()))
            }
            0xCB => Ok(Value::Number(f64::from_bits(self.unsigned(lua, 8)?))),
            0xCC..=0xCF => {
                let number = self.unsigned(lua, 1 << (kind - 0xCC))?;
                // As Redis does: the largest ones become negative.
                Ok(Value::Number(number as i64 as f64))
            }
            0xD0..=0xD3 => self.signed(lua, 1 << (kind - 0xD0)),
            // str and bin of one, two and four bytes of length.
            0xD9..=0xDB => {
                let len = self.unsigned(lua, 1 << (kind - 0xD9))? as usize;
                self.text(lua, len)
            }
            0xC4..=0xC6 => {
                let len = self.unsigned(lua, 1 << (kind - 0xC4))? as usize;
                self.text(lua, len)
            }
            0xDC | 0xDD => {
                let len = self.unsigned(lua, 2 << (kind - 0xDC))? as usize;
                self.array(lua, len, depth)
            }
            0xDE | 0xDF => {
                let len = self.unsigned(lua, 2 << (kind - 0xDE))? as usize;
                self.map(lua, len, depth)
            }
            _ => Err(raise(lua, BAD)),
        }
    }
}

fn pack(lua: &Lua, args: &[Value]) -> mlua::Result<mlua::String> {
    if args.is_empty() {
        let text = "bad argument #0 to 'pack' (MessagePack pack needs input.)";
        return Err(raise(lua, text));
    }
    let mut packer = Packer {
        out: Vec::new(),
        pace: Pace::new(lua),
    };
    for value in args {
        packer.value(value, 0)?;
    }
    lua.create_string(packer.out)
}

/// `limit` values from `offset` on, and at which offset to go on, -1 at the end; with 0 for both all there are, and no offset.
fn unpack(
    lua: &Lua,
    args: &[Value],
    limit: i64,
    offset: i64,
    tells: bool,
) -> mlua::Result<MultiValue> {
    let Some(Value::String(text)) = args.first() else {
        let found = args.first().map_or("no value", kind);
        let text = format!("bad argument #1 to 'unpack' (string expected, got {found})");
        return Err(raise(lua, text));
    };
    let bytes = text.as_bytes();
    if offset < 0 || limit < 0 {
        let text = format!(
            "Invalid request to unpack with offset of {offset} and limit of {}.",
            bytes.len()
        );
        return Err(raise(lua, text));
    }
    if offset as usize > bytes.len() {
        let text = format!(
            "Start offset {offset} greater than input length {}.",
            bytes.len()
        );
        return Err(raise(lua, text));
    }
    let mut input = Input {
        rest: &bytes[offset as usize..],
        pace: Pace::new(lua),
    };
    let mut values = Vec::new();
    let is_all = limit == 0 && offset == 0;
    while !input.rest.is_empty() && (is_all || values.len() < limit as usize) {
        values.push(input.value(lua, 0)?);
    }
    if tells && !is_all {
        let at = bytes.len() - input.rest.len();
        let at = if input.rest.is_empty() {
            -1.0
        } else {
            at as f64
        };
        values.insert(0, Value::Number(at));
    }
    Ok(values.into())
}

/// The library.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let integer = |lua: &Lua, args: &[Value], at: usize| -> mlua::Result<i64> {
        let value = args.get(at).cloned().unwrap_or(Value::Nil);
        Ok(lua.coerce_number(value)?.unwrap_or(0.0) as i64)
    };
    table.raw_set(
        "pack",
        lua.create_function(|lua, args: Variadic<Value>| pack(lua, &args))?,
    )?;
    let all = lua.create_function(|lua, args: Variadic<Value>| unpack(lua, &args, 0, 0, false))?;
    table.raw_set("unpack", all)?;
    let one = lua.create_function(move |lua, args: Variadic<Value>| {
        unpack(lua, &args, 1, integer(lua, &args, 1)?, true)
    })?;
    table.raw_set("unpack_one", one)?;
    let limited = lua.create_function(move |lua, args: Variadic<Value>| {
        let limit = integer(lua, &args, 1)?;
        unpack(lua, &args, limit, integer(lua, &args, 2)?, true)
    })?;
    table.raw_set("unpack_limit", limited)?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Redis Ltd.")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}
