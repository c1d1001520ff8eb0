//! The arguments of a command as one line of text, and as a tree.
//!
//! ```text
//! set key#0 value [condition(NX|XX)@2.6.12] [expiration(<EX>seconds:integer@2.6.12|KEEPTTL@6.0.0)]
//! ```
//!
//! | text | meaning |
//! |---|---|
//! | `member` | an argument of this name, a string |
//! | `count:integer` | of another type |
//! | `key#0` | a key, that of the first key specification (with a type: `pattern:pattern#1`) |
//! | `<MATCH>pattern:pattern` | preceded by a word; without a type the word alone |
//! | `NX` | a word alone whose name is the word in lower case |
//! | `name(a\|b)` | one of several |
//! | `name{a b}` | several that belong together |
//! | `a@6.2.0`, `a@-6.2.0` | there since, out of use since |
//! | `a...`, `a...+` | once or more; the word is repeated each time |
//! | `[a]` | may be missing |

/// The type of an argument, as COMMAND DOCS calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A floating point number.
    Double,
    /// The name of a key.
    Key,
    /// A glob or another pattern.
    Pattern,
    /// A point in time.
    UnixTime,
    /// A word of the language.
    PureToken,
    /// One of several.
    OneOf,
    /// Several that belong together.
    Block,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::String,
        Kind::Integer,
        Kind::Double,
        Kind::Key,
        Kind::Pattern,
        Kind::UnixTime,
        Kind::PureToken,
        Kind::OneOf,
        Kind::Block,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Key => "key",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument {
    /// What the documentation calls it.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Which key specification finds it.
    pub key_spec: Option<i64>,
    /// The word before it, or that it is.
    pub token: Option<String>,
    /// The version that brought it, if the command was there before.
    pub since: Option<String>,
    /// Since when it should not be used.
    pub deprecated_since: Option<String>,
    /// Whether it may be missing.
    pub is_optional: bool,
    /// Whether it may be repeated.
    pub is_multiple: bool,
    /// Whether the word is repeated with it.
    pub repeats_token: bool,
    /// What it consists of.
    pub parts: Vec<Argument>,
}

/// Reads a line. An error is the rest that makes no sense.
///
/// # Errors
/// See the table above for what is understood.
pub fn arguments(text: &str) -> Result<Vec<Argument>, &str> {
    let mut rest = text;
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let list = list(&mut rest, ' ').ok_or(rest)?;
    if rest.is_empty() { Ok(list) } else { Err(rest) }
}

fn take(rest: &mut &str, prefix: &str) -> bool {
    let found = rest.strip_prefix(prefix);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

/// What comes before one of these characters, or the end.
fn until<'a>(rest: &mut &'a str, ends: &[char]) -> &'a str {
    let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    *rest = after;
    word
}

fn list(rest: &mut &str, separator: char) -> Option<Vec<Argument>> {
    let mut all = vec![argument(rest)?];
    while let Some(after) = rest.strip_prefix(separator) {
        *rest = after;
        all.push(argument(rest)?);
    }
    Some(all)
}

fn argument(rest: &mut &str) -> Option<Argument> {
    if !take(rest, "[") {
        return required(rest);
    }
    let inner = required(rest)?;
    take(rest, "]").then_some(Argument {
        is_optional: true,
        ..inner
    })
}

fn required(rest: &mut &str) -> Option<Argument> {
    let token = if take(rest, "<") {
        // A word may be any text; its end is the last sign before the name.
        let word = until(rest, &['>']).to_owned();
        take(rest, ">").then_some(())?;
        Some(word)
    } else {
        None
    };
    let word = until(
        rest,
        &['#', '@', '(', '{', ')', '}', ']', '[', '|', ' ', '.'],
    );
    let mut argument = plain(word, token)?;
    if take(rest, "(") {
        argument.kind = Kind::OneOf;
        argument.parts = list(rest, '|')?;
        take(rest, ")").then_some(())?;
    } else if take(rest, "{") {
        argument.kind = Kind::Block;
        argument.parts = list(rest, ' ')?;
        take(rest, "}").then_some(())?;
    }
    if take(rest, "#") {
        let ends = ['@', '.', ' ', ']', '}', ')', '|'];
        argument.key_spec = Some(until(rest, &ends).parse().ok()?);
        if !word.contains(':') {
            argument.kind = Kind::Key;
        }
    }
    while take(rest, "@") {
        let is_end = take(rest, "-");
        let version = version(rest);
        if is_end {
            argument.deprecated_since = Some(version);
        } else {
            argument.since = Some(version);
        }
    }
    argument.is_multiple = take(rest, "...");
    argument.repeats_token = argument.is_multiple && take(rest, "+");
    Some(argument)
}

/// A name with its type, before what follows it is known.
fn plain(word: &str, token: Option<String>) -> Option<Argument> {
    if word.is_empty() {
        return None;
    }
    let typed = word
        .rsplit_once(':')
        .and_then(|(name, kind)| Some((name, Kind::of(kind)?)));
    let is_word = !word.contains(|byte: char| byte.is_ascii_lowercase());
    let (name, kind, token) = match (typed, token) {
        (Some((name, kind)), token) => (name.to_owned(), kind, token),
        (None, Some(token)) => (word.to_owned(), Kind::PureToken, Some(token)),
        (None, None) if is_word => (
            word.to_ascii_lowercase(),
            Kind::PureToken,
            Some(word.to_owned()),
        ),
        (None, None) => (word.to_owned(), Kind::String, None),
    };
    Some(Argument {
        name,
        kind,
        key_spec: None,
        token,
        since: None,
        deprecated_since: None,
        is_optional: false,
        is_multiple: false,
        repeats_token: false,
        parts: Vec::new(),
    })
}

/// Three numbers with points between: the points of a repetition may follow.
fn version(rest: &mut &str) -> String {
    let mut points = 0;
    let end = rest.find(|char: char| {
        points += usize::from(char == '.');
        !(char.is_ascii_digit() || char == '.') || points > 2
    });
    let (version, after) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = after;
    version.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(argument: &Argument) -> String {
        let parts: Vec<String> = argument.parts.iter().map(shown).collect();
        let or = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "{} {} {:?} '{}' {} {} {}{}{} ({})",
            argument.name,
            argument.kind.name(),
            argument.key_spec,
            or(&argument.token),
            or(&argument.since),
            or(&argument.deprecated_since),
            if argument.is_optional { "o" } else { "" },
            if argument.is_multiple { "m" } else { "" },
            if argument.repeats_token { "t" } else { "" },
            parts.join(", ")
        )
    }

    #[test]
    fn every_form() {
        for (text, expected) in [
            ("member", "member string None ''    ()"),
            ("ip:port@-2.8.12", "ip:port string None ''  2.8.12  ()"),
            ("key#0...", "key key Some(0) ''   m ()"),
            (
                "[<GET>pattern:pattern#1...+]",
                "pattern pattern Some(1) 'GET'   omt ()",
            ),
            ("<*>auto_id", "auto_id pure-token None '*'    ()"),
            ("[NX@3.0.2]", "nx pure-token None 'NX' 3.0.2  o ()"),
            ("part@7.0.0...", "part string None '' 7.0.0  m ()"),
            (
                "[<LIMIT>both{offset:integer count:integer}]",
                "both block None 'LIMIT'   o (offset integer None ''    (), count integer None ''    ())",
            ),
            (
                "unit(M|other{x [y]})",
                "unit oneof None ''    (m pure-token None 'M'    (), other block None ''    (x string None ''    (), y string None ''   o ()))",
            ),
        ] {
            let read = arguments(text).expect(text);
            assert_eq!(shown(&read[0]), expected, "{text}");
        }
        assert_eq!(arguments("a b c").map(|list| list.len()), Ok(3));
        assert_eq!(arguments(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_not_read() {
        for text in ["a]", "[a", "a(b", "a{b c", "(", "<A", "a  b", "a#x", "a b "] {
            assert!(arguments(text).is_err(), "{text}");
        }
    }
}
