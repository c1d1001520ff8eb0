//! The `cjson` library: JSON as lua-cjson reads and writes it, with Redis's settings.

use mlua::{Lua, MultiValue, Table, Value, Variadic};

use super::api::{kind, raise};
use super::decimal::general;
use super::machine::MEMORY_BYTES_MAX;
use super::pace::Pace;

/// What scripts may set; each run begins with these.
#[derive(Clone, Copy, PartialEq)]
struct Settings {
    encode_depth_max: usize,
    decode_depth_max: usize,
    precision: usize,
    /// Sparse arrays become objects instead of errors.
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_invalid: bool,
    /// Numbers that are not valid are written as null.
    encode_invalid_null: bool,
    decode_invalid: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_invalid: false,
            encode_invalid_null: false,
            decode_invalid: true,
        }
    }
}

/// Depth that no setting may exceed: the writer recurses.
const DEPTH_LIMIT: usize = 2000;

/// Forgets what a script has set.
pub(super) fn reset(lua: &Lua) {
    let usual = Settings::default();
    if settings(lua) != usual {
        lua.set_app_data(usual);
    }
}

fn settings(lua: &Lua) -> Settings {
    lua.app_data_ref::<Settings>()
        .map_or_else(Settings::default, |it| *it)
}

/// JSON being written. Every value is a step of the walk, so that one table many times inside others does not hold the shard.
struct Writer<'l> {
    lua: &'l Lua,
    out: Vec<u8>,
    set: Settings,
    pace: Pace<'l>,
}

/// Bytes of a text between two looks at the clock of the script.
const PIECE_BYTES: usize = 32 << 10;

impl Writer<'_> {
    fn fail<T>(&self, text: impl Into<String>) -> mlua::Result<T> {
        Err(raise(self.lua, text.into()))
    }

    fn write(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        self.pace.step(0)?;
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => {
                self.out.extend_from_slice(b"null");
            }
            Value::Boolean(truth) => self.out.extend_from_slice(truth.to_string().as_bytes()),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::String(text) => self.text(&text.as_bytes())?,
            // One table many times over takes no memory of the machine until it is written.
            Value::Table(_) if self.out.len() > MEMORY_BYTES_MAX => {
                return self.fail("not enough memory");
            }
            Value::Table(table) => return self.table(table, depth + 1),
            other => {
                let kind = kind(other);
                return self.fail(format!("Cannot serialise {kind}: type not supported"));
            }
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> mlua::Result<()> {
        if !number.is_finite() && !self.set.encode_invalid {
            if !self.set.encode_invalid_null {
                return self.fail("Cannot serialise number: must not be NaN or Inf");
            }
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if number.is_nan() {
            self.out.extend_from_slice(b"nan");
            return Ok(());
        }
        let text = general(number, self.set.precision);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> mlua::Result<()> {
        // One text many times over, as with tables.
        if self.out.len() + text.len() > MEMORY_BYTES_MAX {
            return self.fail("not enough memory");
        }
        self.out.push(b'"');
        for piece in text.chunks(PIECE_BYTES) {
            self.pace.step(piece.len())?;
            put_text(&mut self.out, piece);
        }
        self.out.push(b'"');
        Ok(())
    }

    /// The length of a table that is an array. Keys and values are looked at one by one: those of a large table are more than the machine can
    /// hold for us at once.
    fn array_len(&self, table: &Table) -> mlua::Result<Option<i64>> {
        let set = &self.set;
        let (mut max, mut pairs) = (0, 0);
        for (key, _) in table.pairs::<Value, Value>().filter_map(Result::ok) {
            self.pace.step(0)?;
            pairs += 1;
            match key.as_i64().filter(|at| *at > 0) {
                Some(at) => max = max.max(at),
                None => return Ok(None),
            }
        }
        let is_sparse =
            set.sparse_ratio > 0 && max > pairs * set.sparse_ratio && max > set.sparse_safe;
        match (is_sparse, set.sparse_convert) {
            (true, true) => Ok(None),
            (true, false) => self.fail("Cannot serialise table: excessively sparse array"),
            _ => Ok((max > 0).then_some(max)),
        }
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        if depth > self.set.encode_depth_max {
            return self.fail(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        if let Some(len) = self.array_len(table)? {
            self.out.push(b'[');
            for at in 1..=len {
                if at > 1 {
                    self.out.push(b',');
                }
                self.write(&table.raw_get(at).unwrap_or(Value::Nil), depth)?;
            }
            self.out.push(b']');
            return Ok(());
        }
        self.out.push(b'{');
        let pairs = table.pairs::<Value, Value>().filter_map(Result::ok);
        for (at, (key, value)) in pairs.enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.text(&text.as_bytes())?,
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.write(&key, depth)?;
                    self.out.push(b'"');
                }
                other => {
                    let kind = kind(other);
                    return self.fail(format!(
                        "Cannot serialise {kind}: table key must be a number or string"
                    ));
                }
            }
            self.out.push(b':');
            self.write(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// The inside of a text.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            8 => b'b',
            9 => b't',
            10 => b'n',
            12 => b'f',
            13 => b'r',
            0..32 | 127 => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}

/// A piece of JSON.
#[derive(Clone, PartialEq, Debug)]
enum Token {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    Text(Vec<u8>),
    Number(f64),
    Word(Option<bool>),
    End,
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::Open(b'{') => "T_OBJ_BEGIN",
            Token::Close(b'}') => "T_OBJ_END",
            Token::Open(_) => "T_ARR_BEGIN",
            Token::Close(_) => "T_ARR_END",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::Text(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Word(Some(_)) => "T_BOOLEAN",
            Token::Word(None) => "T_NULL",
            Token::End => "T_END",
        }
    }
}

/// JSON being read.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Where the current token begins.
    token_at: usize,
    set: Settings,
    pace: Pace<'b>,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Token, String> {
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| b" \t\r\n".contains(byte))
        {
            self.at += 1;
        }
        self.token_at = self.at;
        // As strings of C end.
        let Some(&byte) = self.bytes.get(self.at).filter(|byte| **byte != 0) else {
            return Ok(Token::End);
        };
        let single = match byte {
            b'{' | b'[' => Some(Token::Open(byte)),
            b'}' | b']' => Some(Token::Close(byte)),
            b':' => Some(Token::Colon),
            b',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return Ok(token);
        }
        if byte == b'"' {
            return self.text();
        }
        for (word, token) in [
            (&b"true"[..], Token::Word(Some(true))),
            (b"false", Token::Word(Some(false))),
            (b"null", Token::Word(None)),
        ] {
            if self.bytes[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(token);
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<Token, String> {
        let rest = &self.bytes[self.at..];
        let first = rest.first().copied().unwrap_or(0);
        let is_number = first == b'-' || first.is_ascii_digit();
        let may_be = self.set.decode_invalid && b"+iInN".contains(&first);
        if !is_number && !may_be {
            return Err(String::from("invalid token"));
        }
        if !self.set.decode_invalid && !is_plain(rest) {
            return Err(String::from("invalid number"));
        }
        let Some((number, len)) = strtod(rest) else {
            let word = if is_number || first == b'+' {
                "invalid number"
            } else {
                "invalid token"
            };
            return Err(String::from(word));
        };
        self.at += len;
        Ok(Token::Number(number))
    }

    fn text(&mut self) -> Result<Token, String> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let Some(&byte) = self.bytes.get(self.at) else {
                self.token_at = self.at;
                return Err(String::from("unexpected end of string"));
            };
            self.at += 1;
            match byte {
                b'"' => return Ok(Token::Text(text)),
                b'\\' => self.escape(&mut text)?,
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), String> {
        let kind = self.bytes.get(self.at).copied();
        let plain = match kind {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b't') => 9,
            Some(b'n') => 10,
            Some(b'f') => 12,
            Some(b'r') => 13,
            Some(b'u') => return self.unicode(text),
            _ => {
                self.token_at = self.at - 1;
                return Err(String::from("invalid escape code"));
            }
        };
        self.at += 1;
        text.push(plain);
        Ok(())
    }

    /// Four hex digits behind `\u`.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        let text = std::str::from_utf8(digits).ok()?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), String> {
        self.token_at = self.at - 1;
        let bad = || Err("invalid unicode escape code".to_owned());
        let Some(mut code) = self.unit(self.at + 1) else {
            return bad();
        };
        self.at += 5;
        if code & 0xF800 == 0xD800 {
            let low = (code & 0x400 == 0
                && self.bytes.get(self.at..self.at + 2) == Some(&b"\\u"[..]))
            .then(|| self.unit(self.at + 2))
            .flatten();
            let Some(low) = low.filter(|low| low & 0xFC00 == 0xDC00) else {
                return bad();
            };
            code = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x1_0000;
            self.at += 6;
        }
        let Some(letter) = char::from_u32(code) else {
            return bad();
        };
        let mut buffer = [0; 4];
        text.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
        Ok(())
    }

    fn token(&mut self, wanted: &str) -> Result<Token, String> {
        self.next().map_err(|what| self.unexpected(wanted, &what))
    }

    fn unexpected(&self, wanted: &str, found: &str) -> String {
        let at = self.token_at + 1;
        format!("Expected {wanted} but found {found} at character {at}")
    }

    fn value(&mut self, lua: &Lua, token: Token, depth: usize) -> mlua::Result<Value> {
        self.pace.step(self.at - self.token_at)?;
        Ok(match token {
            Token::Text(text) => Value::String(lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Word(Some(truth)) => Value::Boolean(truth),
            Token::Word(None) => Value::NULL,
            Token::Open(kind) => {
                if depth + 1 > self.set.decode_depth_max {
                    let at = self.at;
                    let text = format!(
                        "Found too many nested data structures ({}) at character {at}",
                        depth + 1
                    );
                    return Err(raise(lua, text));
                }
                let table = lua.create_table()?;
                if kind == b'{' {
                    self.object(lua, &table, depth + 1)?;
                } else {
                    self.array(lua, &table, depth + 1)?;
                }
                Value::Table(table)
            }
            other => return Err(raise(lua, self.unexpected("value", other.name()))),
        })
    }

    fn object(&mut self, lua: &Lua, table: &Table, depth: usize) -> mlua::Result<()> {
        let fail = |text: String| raise(lua, text);
        let mut token = self.token("object key string").map_err(fail)?;
        if token == Token::Close(b'}') {
            return Ok(());
        }
        loop {
            let Token::Text(key) = token else {
                return Err(fail(self.unexpected("object key string", token.name())));
            };
            let colon = self.token("colon").map_err(fail)?;
            if colon != Token::Colon {
                return Err(fail(self.unexpected("colon", colon.name())));
            }
            let first = self.token("value").map_err(fail)?;
            let value = self.value(lua, first, depth)?;
            table.raw_set(lua.create_string(key)?, value)?;
            match self.token("comma or object end").map_err(fail)? {
                Token::Close(b'}') => return Ok(()),
                Token::Comma => token = self.token("object key string").map_err(fail)?,
                other => return Err(fail(self.unexpected("comma or object end", other.name()))),
            }
        }
    }

    fn array(&mut self, lua: &Lua, table: &Table, depth: usize) -> mlua::Result<()> {
        let fail = |text: String| raise(lua, text);
        let mut token = self.token("value").map_err(fail)?;
        if token == Token::Close(b']') {
            return Ok(());
        }
        for at in 1.. {
            let value = self.value(lua, token, depth)?;
            table.raw_set(at, value)?;
            match self.token("comma or array end").map_err(fail)? {
                Token::Close(b']') => break,
                Token::Comma => {}
                other => return Err(fail(self.unexpected("comma or array end", other.name()))),
            }
            token = self.token("value").map_err(fail)?;
        }
        Ok(())
    }
}

/// Whether a number is one of JSON's own.
fn is_plain(rest: &[u8]) -> bool {
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    match digits {
        [b'0', next, ..] => !next.is_ascii_digit() && !next.eq_ignore_ascii_case(&b'x'),
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    }
}

/// The number at the start of the bytes, as C reads it, and its length.
fn strtod(bytes: &[u8]) -> Option<(f64, usize)> {
    let first = bytes.first();
    let sign = usize::from(matches!(first, Some(b'-' | b'+')));
    let rest = &bytes[sign..];
    let is_negative = first == Some(&b'-');
    let negate = |number: f64| if is_negative { -number } else { number };
    for (word, number) in [
        (&b"infinity"[..], f64::INFINITY),
        (b"inf", f64::INFINITY),
        (b"nan", f64::NAN),
    ] {
        if rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
        {
            return Some((negate(number), sign + word.len()));
        }
    }
    if rest.len() > 2 && rest[0] == b'0' && rest[1].eq_ignore_ascii_case(&b'x') {
        let digits = rest[2..]
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        if digits > 0 {
            let value = rest[2..2 + digits].iter().fold(0.0, |all, byte| {
                all * 16.0 + f64::from(char::from(*byte).to_digit(16).unwrap_or(0))
            });
            return Some((negate(value), sign + 2 + digits));
        }
    }
    let count = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = count(rest);
    if rest.get(end) == Some(&b'.') {
        let fraction = count(&rest[end + 1..]);
        if end + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if end == 0 {
        return None;
    }
    if rest
        .get(end)
        .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'))
    {
        let signed = usize::from(rest.get(end + 1).is_some_and(|byte| b"+-".contains(byte)));
        let digits = count(&rest[(end + 1 + signed).min(rest.len())..]);
        if digits > 0 {
            end += 1 + signed + digits;
        }
    }
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    Some((negate(text.parse().ok()?), sign + end))
}

fn encode(lua: &Lua, args: &[Value]) -> mlua::Result<mlua::String> {
    let [value] = args else {
        return Err(raise(
            lua,
            "bad argument #1 to 'encode' (expected 1 argument)",
        ));
    };
    let mut writer = Writer {
        lua,
        out: Vec::new(),
        set: settings(lua),
        pace: Pace::new(lua),
    };
    writer.write(value, 0)?;
    lua.create_string(writer.out)
}

fn decode(lua: &Lua, args: &[Value]) -> mlua::Result<Value> {
    let [value] = args else {
        return Err(raise(
            lua,
            "bad argument #1 to 'decode' (expected 1 argument)",
        ));
    };
    let Some(text) = lua.coerce_string(value.clone())? else {
        let found = kind(value);
        let text = format!("bad argument #1 to 'decode' (string expected, got {found})");
        return Err(raise(lua, text));
    };
    let bytes = text.as_bytes();
    if bytes.len() >= 2 && (bytes[0] == 0 || bytes[1] == 0) {
        return Err(raise(lua, "JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader {
        bytes: &bytes,
        at: 0,
        token_at: 0,
        set: settings(lua),
        pace: Pace::new(lua),
    };
    let fail = |text: String| raise(lua, text);
    let first = reader.token("value").map_err(fail)?;
    let value = reader.value(lua, first, 0)?;
    match reader.token("the end").map_err(fail)? {
        Token::End => Ok(value),
        other => Err(fail(reader.unexpected("the end", other.name()))),
    }
}

/// Reads or changes one setting and returns it.
fn set<R>(lua: &Lua, change: impl FnOnce(&mut Settings) -> R) -> R {
    let mut settings = settings(lua);
    let result = change(&mut settings);
    lua.set_app_data(settings);
    result
}

fn depth(lua: &Lua, args: &[Value], place: fn(&mut Settings) -> &mut usize) -> mlua::Result<i64> {
    let wanted = match args.first() {
        None | Some(Value::Nil) => None,
        Some(value) => Some(lua.coerce_number(value.clone())?.unwrap_or(0.0) as i64),
    };
    if wanted.is_some_and(|wanted| !(1..=i64::from(i32::MAX)).contains(&wanted)) {
        let text =
            "bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)";
        return Err(raise(lua, text));
    }
    Ok(set(lua, |settings| {
        let place = place(settings);
        if let Some(wanted) = wanted {
            *place = (wanted as usize).min(DEPTH_LIMIT);
        }
        *place as i64
    }))
}

/// The library.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    reset(lua);
    table_of(lua)
}

fn table_of(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("new", lua.create_function(|lua, ()| table_of(lua))?)?;
    table.raw_set(
        "encode",
        lua.create_function(|lua, args: Variadic<Value>| encode(lua, &args))?,
    )?;
    table.raw_set(
        "decode",
        lua.create_function(|lua, args: Variadic<Value>| decode(lua, &args))?,
    )?;
    let encode_depth = lua.create_function(|lua, args: Variadic<Value>| {
        depth(lua, &args, |settings| &mut settings.encode_depth_max)
    })?;
    table.raw_set("encode_max_depth", encode_depth)?;
    let decode_depth = lua.create_function(|lua, args: Variadic<Value>| {
        depth(lua, &args, |settings| &mut settings.decode_depth_max)
    })?;
    table.raw_set("decode_max_depth", decode_depth)?;
    let precision = lua.create_function(|lua, wanted: Option<i64>| {
        if wanted.is_some_and(|wanted| !(1..=14).contains(&wanted)) {
            let text =
                "bad argument #1 to 'encode_number_precision' (expected integer between 1 and 14)";
            return Err(raise(lua, text));
        }
        Ok(set(lua, |settings| {
            settings.precision = wanted.map_or(settings.precision, |wanted| wanted as usize);
            settings.precision as i64
        }))
    })?;
    table.raw_set("encode_number_precision", precision)?;
    let sparse = lua.create_function(
        |lua, (convert, ratio, safe): (Value, Option<i64>, Option<i64>)| {
            Ok(set(lua, |settings| {
                if let Value::Boolean(convert) = convert {
                    settings.sparse_convert = convert;
                }
                settings.sparse_ratio = ratio.unwrap_or(settings.sparse_ratio);
                settings.sparse_safe = safe.unwrap_or(settings.sparse_safe);
                (
                    settings.sparse_convert,
                    settings.sparse_ratio,
                    settings.sparse_safe,
                )
            }))
        },
    )?;
    table.raw_set("encode_sparse_array", sparse)?;
    let invalid = lua.create_function(|lua, wanted: Value| {
        Ok(set(lua, |settings| {
            match &wanted {
                Value::Boolean(allowed) => {
                    (settings.encode_invalid, settings.encode_invalid_null) = (*allowed, false);
                }
                Value::String(text) => {
                    let is_null = &*text.as_bytes() == b"null";
                    settings.encode_invalid_null = is_null;
                    settings.encode_invalid = !is_null && &*text.as_bytes() == b"on";
                }
                _ => {}
            }
            settings.encode_invalid
        }))
    })?;
    table.raw_set("encode_invalid_numbers", invalid)?;
    let invalid = lua.create_function(|lua, wanted: Option<bool>| {
        Ok(set(lua, |settings| {
            settings.decode_invalid = wanted.unwrap_or(settings.decode_invalid);
            settings.decode_invalid
        }))
    })?;
    table.raw_set("decode_invalid_numbers", invalid)?;
    table.raw_set(
        "encode_keep_buffer",
        lua.create_function(|_, _: MultiValue| Ok(true))?,
    )?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}
