//! One directive: its row, its value, and how text becomes a value and back.
//!
//! A row says everything that is known of a directive. Error texts are those of redis-server 7.0, which clients of
//! CONFIG SET see.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use tessera_core::number::{parse_bytes, parse_i64};

use crate::config::{CLIENT_CLASSES, Config, Events, OutputLimit, words};

/// The value of a directive, whatever its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `yes` or `no`.
    Bool(bool),
    /// A number; an amount of bytes; a percentage as a negative number.
    Int(i64),
    /// Place of the word in the kind's list.
    Choice(usize),
    /// One bit per word of the kind's list.
    Flags(u32),
    /// One word, or none.
    Text(Vec<u8>),
    /// Several words.
    Words(Vec<Vec<u8>>),
    /// `client-output-buffer-limit`, one per class.
    Limits([OutputLimit; CLIENT_CLASSES.len()]),
    /// `notify-keyspace-events`, a bit per class.
    Events(Events),
}

/// Reads several words, given the value so far.
pub type ParseWords = fn(&Value, &[&[u8]]) -> Result<Value, String>;

/// What a directive takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words.
    Flags(&'static [&'static str]),
    /// An integer from .. to.
    Int(i64, i64),
    /// An integer from 0 on, of which the nearest one from .. to counts.
    Near(i64, i64),
    /// An amount with an optional unit, from .. to.
    Bytes(i64, i64),
    /// An amount, or a percentage.
    BytesOrPercent,
    /// An octal number up to this.
    Octal(i64),
    /// One word.
    Text,
    /// What a process is called, with names in braces for what the server knows.
    Title,
    /// Several words.
    Words(ParseWords),
}

/// When a directive may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// At any time.
    Runtime,
    /// Not after the start.
    AtStart,
    /// At any time if `enable-protected-configs` lets the client.
    Protected,
}

/// Where the value lives.
#[derive(Clone, Copy, Debug)]
pub enum Home {
    /// Accepted and remembered; nothing reads it.
    Kept,
    /// A field of `Config`.
    Field {
        /// Reads it.
        get: fn(&Config) -> Value,
        /// Writes it.
        put: fn(&mut Config, &Value),
    },
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name, lower case.
    pub name: &'static str,
    /// A second, older name, or empty.
    pub alias: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default as one would write it.
    pub default: &'static str,
    /// When it may change.
    pub change: Change,
    /// Where its value lives.
    pub home: Home,
    /// The only value that is supported so far, as CONFIG GET shows it, and what to say of others.
    pub only: Option<(&'static str, &'static str)>,
    /// Whether CONFIG GET shows it only to those who spell its name.
    pub is_hidden: bool,
}

/// A type of a field that a directive sets.
pub trait Setting: Sized {
    /// As a value of the table.
    fn to_value(&self) -> Value;
    /// From a value of the directive's kind; `None` if the row has a kind that does not fit the field.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Directive {
    /// A row with the usual facts: kept, changed at any time.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Directive {
            name,
            alias: "",
            kind,
            default,
            change: Change::Runtime,
            home: Home::Kept,
            only: None,
            is_hidden: false,
        }
    }

    /// The row of a directive for tests of the server itself.
    #[must_use]
    pub const fn hidden(self) -> Self {
        Directive {
            is_hidden: true,
            ..self
        }
    }

    /// The row with an older name.
    #[must_use]
    pub const fn alias(self, alias: &'static str) -> Self {
        Directive { alias, ..self }
    }

    /// The row with a field.
    #[must_use]
    pub const fn to(self, home: Home) -> Self {
        Directive { home, ..self }
    }

    /// The row of a directive that is fixed at start.
    #[must_use]
    pub const fn at_start(self) -> Self {
        Directive {
            change: Change::AtStart,
            ..self
        }
    }

    /// The row of a directive that a stranger must not change.
    #[must_use]
    pub const fn protected(self) -> Self {
        Directive {
            change: Change::Protected,
            ..self
        }
    }

    /// The row of a directive with one supported value so far.
    #[must_use]
    pub const fn only(self, value: &'static str, reason: &'static str) -> Self {
        Directive {
            only: Some((value, reason)),
            ..self
        }
    }

    /// Whether its value may be several words.
    #[must_use]
    pub const fn takes_words(&self) -> bool {
        matches!(self.kind, Kind::Flags(_) | Kind::Words(_))
    }

    /// Its value.
    #[must_use]
    pub fn get(&self, config: &Config) -> Value {
        match self.home {
            Home::Kept => config
                .kept
                .get(self.name)
                .cloned()
                .unwrap_or_else(|| self.empty()),
            Home::Field { get, .. } => get(config),
        }
    }

    /// Stores a value that `parse` has made.
    pub fn put(&self, config: &mut Config, value: Value) {
        match self.home {
            Home::Kept => {
                config.kept.insert(self.name, value);
            }
            Home::Field { put, .. } => put(config, &value),
        }
    }

    /// Makes a value of the words that stand after the name, and refuses what is not supported.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(&self, words: &[&[u8]], config: &Config) -> Result<Value, String> {
        let value = self.read(words, config)?;
        match self.only {
            Some((only, reason)) if self.show(&value) != only.as_bytes() => Err(reason.to_owned()),
            _ => Ok(value),
        }
    }

    /// As `parse`, for a value in one piece: CONFIG SET and defaults.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_one(&self, text: &[u8], config: &Config) -> Result<Value, String> {
        if self.takes_words() {
            let words: Vec<&[u8]> = text
                .split(|&byte| byte == b' ')
                .filter(|word| !word.is_empty())
                .collect();
            self.parse(&words, config)
        } else {
            self.parse(&[text], config)
        }
    }

    fn read(&self, words: &[&[u8]], config: &Config) -> Result<Value, String> {
        if let Kind::Words(parse) = self.kind {
            return parse(&self.get(config), words);
        }
        if let Kind::Flags(names) = self.kind {
            let mut bits = 0;
            for word in words {
                bits |= 1 << place_of(names, word)?;
            }
            return Ok(Value::Flags(bits));
        }
        let &[word] = words else {
            return Err("wrong number of arguments".to_owned());
        };
        match self.kind {
            Kind::Bool => match word {
                _ if word.eq_ignore_ascii_case(b"yes") => Ok(Value::Bool(true)),
                _ if word.eq_ignore_ascii_case(b"no") => Ok(Value::Bool(false)),
                _ => Err("argument must be 'yes' or 'no'".to_owned()),
            },
            Kind::Choice(names) => place_of(names, word).map(Value::Choice),
            Kind::Int(min, max) => within(
                parse_i64(word).ok_or("argument couldn't be parsed into an integer")?,
                min,
                max,
            ),
            Kind::Near(min, max) => {
                let number =
                    parse_i64(word).ok_or("argument couldn't be parsed into an integer")?;
                within(number, 0, i32::MAX.into())?;
                Ok(Value::Int(number.clamp(min, max)))
            }
            Kind::Bytes(min, max) => within(
                bytes(word).ok_or("argument must be a memory value")?,
                min,
                max,
            ),
            Kind::BytesOrPercent => bytes_or_percent(word),
            Kind::Octal(max) => octal(word, max),
            Kind::Title if !words::is_title(word) => {
                Err("template format is invalid or contains unknown variables".to_owned())
            }
            Kind::Text | Kind::Title | Kind::Flags(_) | Kind::Words(_) => {
                Ok(Value::Text(word.to_vec()))
            }
        }
    }

    /// The value as CONFIG GET shows it.
    #[must_use]
    pub fn show(&self, value: &Value) -> Vec<u8> {
        match (self.kind, value) {
            (_, Value::Bool(value)) => if *value { "yes" } else { "no" }.into(),
            (Kind::Octal(_), Value::Int(number)) => format!("{number:o}").into_bytes(),
            (Kind::BytesOrPercent, Value::Int(number)) if *number < 0 => {
                format!("{}%", -number).into_bytes()
            }
            (_, Value::Int(number)) => number.to_string().into_bytes(),
            (Kind::Choice(names), Value::Choice(place)) => names[*place].into(),
            (_, Value::Choice(place)) => place.to_string().into_bytes(),
            (Kind::Flags(names), Value::Flags(bits)) => {
                let set: Vec<&str> = names
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| bits >> bit & 1 != 0)
                    .map(|(_, name)| *name)
                    .collect();
                set.join(" ").into_bytes()
            }
            (_, Value::Flags(bits)) => bits.to_string().into_bytes(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::Words(words)) => words.join(&b' '),
            (_, Value::Events(events)) => events.letters(),
            (_, Value::Limits(limits)) => {
                let classes = CLIENT_CLASSES.iter().zip(limits);
                let shown: Vec<String> = classes
                    .map(|(class, limit)| format!("{class} {limit}"))
                    .collect();
                shown.join(" ").into_bytes()
            }
        }
    }

    /// A value of this kind before the default has been stored.
    fn empty(&self) -> Value {
        match self.kind {
            Kind::Bool => Value::Bool(false),
            Kind::Choice(_) => Value::Choice(0),
            Kind::Flags(_) => Value::Flags(0),
            Kind::Int(..)
            | Kind::Near(..)
            | Kind::Bytes(..)
            | Kind::BytesOrPercent
            | Kind::Octal(_) => Value::Int(0),
            Kind::Text | Kind::Title => Value::Text(Vec::new()),
            Kind::Words(_) => Value::Words(Vec::new()),
        }
    }
}

fn place_of(names: &[&str], word: &[u8]) -> Result<usize, String> {
    let place = names
        .iter()
        .position(|name| name.as_bytes().eq_ignore_ascii_case(word));
    place.ok_or_else(|| {
        format!(
            "argument(s) must be one of the following: {}",
            names.join(", ")
        )
    })
}

/// Amounts of 2^63 and more count as the largest number.
fn bytes(word: &[u8]) -> Option<i64> {
    parse_bytes(word).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// A percentage is kept as a negative number.
fn bytes_or_percent(word: &[u8]) -> Result<Value, String> {
    const NEITHER: &str = "argument must be a memory or percent value";
    let Some((b'%', digits)) = word.split_last() else {
        return Ok(Value::Int(bytes(word).ok_or(NEITHER)?));
    };
    match parse_i64(digits)
        .filter(|percent| *percent >= 0)
        .ok_or(NEITHER)?
    {
        percent @ 0..=100 => Ok(Value::Int(-percent)),
        _ => Err("percentage argument must be less or equal to 100".to_owned()),
    }
}

fn octal(word: &[u8], max: i64) -> Result<Value, String> {
    let digits = std::str::from_utf8(word)
        .ok()
        .filter(|text| !text.starts_with(['+', '-']));
    let number = digits.and_then(|text| i64::from_str_radix(text, 8).ok());
    within(
        number.ok_or("argument couldn't be parsed as an octal number")?,
        0,
        max,
    )
}

fn within(number: i64, min: i64, max: i64) -> Result<Value, String> {
    if (min..=max).contains(&number) {
        Ok(Value::Int(number))
    } else {
        Err(format!(
            "argument must be between {min} and {max} inclusive"
        ))
    }
}

impl Setting for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(value) = value {
            Some(*value)
        } else {
            None
        }
    }
}

/// Integers; what does not fit the field is cut off at its end, which the bounds of the rows keep from happening.
macro_rules! integers {
    ($($type:ty),+) => { $(impl Setting for $type {
        fn to_value(&self) -> Value {
            Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
        }

        fn from_value(value: &Value) -> Option<Self> {
            if let Value::Int(number) = value { <$type>::try_from(*number).ok() } else { None }
        }
    })+ };
}
integers!(i64, u64, i32, u32, u16, usize);

/// A number, or -1 for none.
impl Setting for Option<u64> {
    fn to_value(&self) -> Value {
        Value::Int(self.map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Int(number) = value {
            Some(u64::try_from(*number).ok())
        } else {
            None
        }
    }
}

impl Setting for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value {
            Some(text.clone())
        } else {
            None
        }
    }
}

impl Setting for Option<Vec<u8>> {
    fn to_value(&self) -> Value {
        Value::Text(self.clone().unwrap_or_default())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value {
            Some((!text.is_empty()).then(|| text.clone()))
        } else {
            None
        }
    }
}

impl Setting for PathBuf {
    fn to_value(&self) -> Value {
        Value::Text(self.as_os_str().as_bytes().to_vec())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value {
            Some(OsString::from_vec(text.clone()).into())
        } else {
            None
        }
    }
}

impl Setting for Vec<Vec<u8>> {
    fn to_value(&self) -> Value {
        Value::Words(self.clone())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Words(words) = value {
            Some(words.clone())
        } else {
            None
        }
    }
}

impl Setting for [OutputLimit; CLIENT_CLASSES.len()] {
    fn to_value(&self) -> Value {
        Value::Limits(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Limits(limits) = value {
            Some(*limits)
        } else {
            None
        }
    }
}

impl Setting for Events {
    fn to_value(&self) -> Value {
        Value::Events(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Events(events) = value {
            Some(*events)
        } else {
            None
        }
    }
}
