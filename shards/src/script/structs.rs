//! The `struct` library: values packed into bytes by a format and back.

use mlua::{Lua, MultiValue, Table, Value, Variadic};

use super::api::{kind, raise};

/// Largest size of an integer and largest alignment.
const INTEGER_BYTES_MAX: usize = 32;
/// Bytes that one pack may make.
const PACKED_BYTES_MAX: usize = 512 << 20;

/// One element of a format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Integer {
        size: usize,
        is_signed: bool,
    },
    Float,
    Double,
    /// A string of so many bytes; 0: of a length that is known otherwise.
    Chars(usize),
    /// Up to a zero byte.
    Zeroed,
    Padding,
    /// Changes how the following are laid out.
    Setting,
}

/// A format being read.
struct Format<'f> {
    rest: &'f [u8],
    is_little: bool,
    align: usize,
    /// Of the function, for errors.
    name: &'static str,
}

impl<'f> Format<'f> {
    fn new(text: &'f [u8], name: &'static str) -> Self {
        Format {
            rest: text,
            is_little: cfg!(target_endian = "little"),
            align: 1,
            name,
        }
    }

    /// A number, if digits follow.
    fn number(&mut self, otherwise: usize) -> Result<usize, String> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if digits == 0 {
            return Ok(otherwise);
        }
        let number = std::str::from_utf8(number).unwrap_or_default();
        match number.parse::<usize>() {
            Ok(number) if number <= i32::MAX as usize => Ok(number),
            _ => Err("integral size overflow".into()),
        }
    }

    /// The next element and its size.
    fn next(&mut self) -> Result<Option<(Item, usize)>, String> {
        let Some((&letter, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        let integer = |size: usize, is_signed: bool| (Item::Integer { size, is_signed }, size);
        Ok(Some(match letter {
            b'b' => integer(1, true),
            b'B' => integer(1, false),
            b'h' => integer(2, true),
            b'H' => integer(2, false),
            b'l' => integer(8, true),
            b'L' | b'T' => integer(8, false),
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_BYTES_MAX {
                    let text =
                        format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                    return Err(text);
                }
                integer(size, letter == b'i')
            }
            b'f' => (Item::Float, 4),
            b'd' => (Item::Double, 8),
            b'x' => (Item::Padding, 1),
            b'c' => {
                let size = self.number(1)?;
                (Item::Chars(size), size)
            }
            b's' => (Item::Zeroed, 0),
            b'<' => {
                self.is_little = true;
                (Item::Setting, 0)
            }
            b'>' => {
                self.is_little = false;
                (Item::Setting, 0)
            }
            b'!' => {
                let align = self.number(8)?;
                if align == 0 || !align.is_power_of_two() {
                    return Err(format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
                (Item::Setting, 0)
            }
            b' ' => (Item::Setting, 0),
            letter => {
                let letter = char::from(letter);
                return Err(format!(
                    "bad argument #1 to '{}' (invalid format option '{letter}')",
                    self.name
                ));
            }
        }))
    }

    /// Bytes to skip before an element of this size at this place.
    fn gap(&self, item: Item, size: usize, at: usize) -> usize {
        let is_free = matches!(
            item,
            Item::Chars(_) | Item::Zeroed | Item::Padding | Item::Setting
        );
        if size == 0 || is_free {
            return 0;
        }
        let align = size.min(self.align);
        if align <= 1 {
            0
        } else {
            (align - (at & (align - 1))) & (align - 1)
        }
    }
}

/// The bytes of an integer of any size, extended by its sign.
fn integer_bytes(number: f64, size: usize, is_little: bool) -> Vec<u8> {
    let value = if number < 0.0 {
        number as i64
    } else {
        number as u64 as i64
    };
    let fill = if value < 0 && number < 0.0 { 0xFF } else { 0 };
    let mut bytes: Vec<u8> = value.to_le_bytes().into_iter().take(size).collect();
    bytes.resize(size, fill);
    if !is_little {
        bytes.reverse();
    }
    bytes
}

fn integer_of(bytes: &[u8], is_signed: bool, is_little: bool) -> f64 {
    let mut value: u64 = 0;
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    value = if is_little {
        bytes.iter().rev().fold(value, add)
    } else {
        bytes.iter().fold(value, add)
    };
    if !is_signed {
        return value as f64;
    }
    if bytes.is_empty() {
        return 0.0;
    }
    let unused = 64 - 8 * bytes.len().min(8) as u32;
    ((value << unused) as i64 >> unused) as f64
}

fn text_arg(lua: &Lua, args: &[Value], at: usize, name: &str) -> mlua::Result<Vec<u8>> {
    let value = args.get(at).unwrap_or(&Value::Nil);
    match lua.coerce_string(value.clone())? {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(bad(lua, at, name, "string", args)),
    }
}

fn number_arg(lua: &Lua, args: &[Value], at: usize, name: &str) -> mlua::Result<f64> {
    let value = args.get(at).unwrap_or(&Value::Nil);
    lua.coerce_number(value.clone())?
        .ok_or_else(|| bad(lua, at, name, "number", args))
}

fn bad(lua: &Lua, at: usize, name: &str, wanted: &str, args: &[Value]) -> mlua::Error {
    // Its `pack` puts a mark behind its arguments, which it then finds.
    let none = if name == "pack" && at > 0 {
        "nil"
    } else {
        "no value"
    };
    let found = args.get(at).map_or(none, kind);
    let text = format!(
        "bad argument #{} to '{name}' ({wanted} expected, got {found})",
        at + 1
    );
    raise(lua, text)
}

fn pack(lua: &Lua, args: &[Value]) -> mlua::Result<mlua::String> {
    let text = text_arg(lua, args, 0, "pack")?;
    let mut format = Format::new(&text, "pack");
    let (mut out, mut at) = (Vec::new(), 1);
    while let Some((item, size)) = format.next().map_err(|text| raise(lua, text))? {
        out.resize(out.len() + format.gap(item, size, out.len()), 0);
        if out.len() + size > PACKED_BYTES_MAX {
            return Err(raise(lua, "format result too large"));
        }
        match item {
            Item::Integer { size, .. } => {
                let number = number_arg(lua, args, at, "pack")?;
                out.extend_from_slice(&integer_bytes(number, size, format.is_little));
            }
            Item::Float => {
                let number = number_arg(lua, args, at, "pack")? as f32;
                let bytes = if format.is_little {
                    number.to_le_bytes()
                } else {
                    number.to_be_bytes()
                };
                out.extend_from_slice(&bytes);
            }
            Item::Double => {
                let number = number_arg(lua, args, at, "pack")?;
                let bytes = if format.is_little {
                    number.to_le_bytes()
                } else {
                    number.to_be_bytes()
                };
                out.extend_from_slice(&bytes);
            }
            Item::Chars(size) => {
                let bytes = text_arg(lua, args, at, "pack")?;
                let size = if size == 0 { bytes.len() } else { size };
                if bytes.len() < size {
                    let text = format!("bad argument #{} to 'pack' (string too short)", at + 2);
                    return Err(raise(lua, text));
                }
                out.extend_from_slice(&bytes[..size]);
            }
            Item::Zeroed => {
                out.extend_from_slice(&text_arg(lua, args, at, "pack")?);
                out.push(0);
            }
            Item::Padding => out.push(0),
            Item::Setting => {}
        }
        at += usize::from(!matches!(item, Item::Padding | Item::Setting));
    }
    lua.create_string(out)
}

fn unpack(lua: &Lua, args: &[Value]) -> mlua::Result<MultiValue> {
    let text = text_arg(lua, args, 0, "unpack")?;
    let data = text_arg(lua, args, 1, "unpack")?;
    let start = if args.get(2).is_none_or(Value::is_nil) {
        1.0
    } else {
        number_arg(lua, args, 2, "unpack")?
    };
    if start < 1.0 {
        return Err(raise(
            lua,
            "bad argument #3 to 'unpack' (offset must be 1 or greater)",
        ));
    }
    let mut at = start as usize - 1;
    let mut format = Format::new(&text, "unpack");
    let mut values: Vec<Value> = Vec::new();
    let short = || raise(lua, "bad argument #2 to 'unpack' (data string too short)");
    while let Some((item, size)) = format.next().map_err(|text| raise(lua, text))? {
        at += format.gap(item, size, at);
        let rest = data.get(at..).ok_or_else(short)?;
        let bytes = rest.get(..size).ok_or_else(short)?;
        let mut used = size;
        match item {
            Item::Integer { is_signed, .. } => {
                values.push(Value::Number(integer_of(
                    bytes,
                    is_signed,
                    format.is_little,
                )));
            }
            Item::Float => {
                let mut four: [u8; 4] = bytes.try_into().map_err(|_| short())?;
                if !format.is_little {
                    four.reverse();
                }
                values.push(Value::Number(f32::from_le_bytes(four).into()));
            }
            Item::Double => {
                let mut eight: [u8; 8] = bytes.try_into().map_err(|_| short())?;
                if !format.is_little {
                    eight.reverse();
                }
                values.push(Value::Number(f64::from_le_bytes(eight)));
            }
            Item::Chars(0) => {
                let before = values.pop();
                let Some(size) = before
                    .as_ref()
                    .and_then(|it| it.as_f64().or(it.as_i64().map(|it| it as f64)))
                else {
                    return Err(raise(lua, "format 'c0' needs a previous size"));
                };
                used = size as usize;
                values.push(Value::String(
                    lua.create_string(rest.get(..used).ok_or_else(short)?)?,
                ));
            }
            Item::Chars(_) => values.push(Value::String(lua.create_string(bytes)?)),
            Item::Zeroed => {
                let Some(end) = rest.iter().position(|byte| *byte == 0) else {
                    return Err(raise(lua, "unfinished string in data"));
                };
                values.push(Value::String(lua.create_string(&rest[..end])?));
                used = end + 1;
            }
            Item::Padding | Item::Setting => {}
        }
        at += used;
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values.into())
}

fn size(lua: &Lua, args: &[Value]) -> mlua::Result<f64> {
    let text = text_arg(lua, args, 0, "size")?;
    let mut format = Format::new(&text, "size");
    let mut total = 0;
    while let Some((item, size)) = format.next().map_err(|text| raise(lua, text))? {
        match item {
            Item::Zeroed => {
                return Err(raise(
                    lua,
                    "bad argument #1 to 'size' (option 's' has no fixed size)",
                ));
            }
            Item::Chars(0) => {
                return Err(raise(
                    lua,
                    "bad argument #1 to 'size' (option 'c0' has no fixed size)",
                ));
            }
            _ => total += format.gap(item, size, total) + size,
        }
        if total > i32::MAX as usize {
            return Err(raise(lua, "format result too large"));
        }
    }
    Ok(total as f64)
}

/// The library.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "pack",
        lua.create_function(|lua, args: Variadic<Value>| pack(lua, &args))?,
    )?;
    table.raw_set(
        "unpack",
        lua.create_function(|lua, args: Variadic<Value>| unpack(lua, &args))?,
    )?;
    table.raw_set(
        "size",
        lua.create_function(|lua, args: Variadic<Value>| size(lua, &args))?,
    )?;
    Ok(table)
}
