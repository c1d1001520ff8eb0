//! Lua's patterns for searches that may take long: the matcher of Lua cannot be interrupted, this one ends its slice like any other code of a script.
//!
//! The prelude calls it where length and pattern allow more than some millions of steps; what is found, and the errors, are those of Lua 5.1.

use mlua::{Lua, MultiValue, Result, String as Text, Value};

use super::api::raise;
use super::machine::State;

const CAPTURES_MAX: usize = 32;
/// Steps after which it is looked whether the slice is over: some 100 µs.
const STEPS_PER_TICK: u32 = 20_000;

/// What is known of a capture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Its end has not been met.
    Open,
    /// It stands for a position.
    Position,
    /// So many bytes.
    Bytes(usize),
}

struct Matcher<'a, 'y> {
    lua: &'a Lua,
    state: &'a State<'y>,
    text: &'a [u8],
    pattern: &'a [u8],
    /// Start and length of each.
    captures: Vec<(usize, Length)>,
    steps: u32,
}

/// `search(text, pattern, start, is_once)`: the first match at or after `start` (from 0), only there if `is_once`: first and last place (from 1), then the
/// captures; nothing if there is none.
pub(super) fn search(
    lua: &Lua,
    state: &State<'_>,
    (text, pattern, start, is_once): (Text, Text, usize, bool),
) -> Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let mut matcher = Matcher {
        lua,
        state,
        text: &text,
        pattern: &pattern,
        captures: Vec::new(),
        steps: 0,
    };
    for from in start..=text.len() {
        matcher.captures.clear();
        if let Some(end) = matcher.at(from, 0)? {
            return matcher.found(from, end);
        }
        if is_once {
            break;
        }
    }
    Ok(MultiValue::new())
}

impl Matcher<'_, '_> {
    fn found(&self, from: usize, end: usize) -> Result<MultiValue> {
        let mut values = MultiValue::new();
        values.push_back(Value::Number(from as f64 + 1.0));
        values.push_back(Value::Number(end as f64));
        for (start, length) in &self.captures {
            values.push_back(match length {
                Length::Open => return Err(raise(self.lua, "unfinished capture")),
                Length::Position => Value::Number(*start as f64 + 1.0),
                Length::Bytes(bytes) => {
                    let bytes = &self.text[*start..start + bytes];
                    Value::String(self.lua.create_string(bytes)?)
                }
            });
        }
        Ok(values)
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_TICK) {
            self.state.tick(self.lua)?;
        }
        Ok(())
    }

    fn fail<T>(&self, text: &str) -> Result<T> {
        Err(raise(self.lua, text))
    }

    /// Whether the pattern from `p` on matches at `s`, and where the match ends.
    fn at(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>> {
        loop {
            self.step()?;
            let Some(&first) = self.pattern.get(p) else {
                return Ok(Some(s));
            };
            let second = self.pattern.get(p + 1).copied();
            match (first, second) {
                (b'(', Some(b')')) => return self.begin_capture(s, p + 2, Length::Position),
                (b'(', _) => return self.begin_capture(s, p + 1, Length::Open),
                (b')', _) => return self.end_capture(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    p += 2;
                    if self.pattern.get(p) != Some(&b'[') {
                        return self.fail("missing '[' after '%f' in pattern");
                    }
                    let end = self.item_end(p)?;
                    let before = s.checked_sub(1).map_or(0, |at| self.text[at]);
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.is_in_set(before, p, end - 1) || !self.is_in_set(here, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => {
                    match self.captured_again(s, digit)? {
                        Some(end) => (s, p) = (end, p + 2),
                        None => return Ok(None),
                    }
                }
                _ => {
                    let end = self.item_end(p)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.is_one(s, p, end)
                                && let Some(found) = self.at(s + 1, end + 1)?
                            {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.most(s, p, end),
                        Some(b'+') if self.is_one(s, p, end) => return self.most(s + 1, p, end),
                        Some(b'+') => return Ok(None),
                        Some(b'-') => return self.fewest(s, p, end),
                        _ if self.is_one(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// As many as there are, then fewer.
    fn most(&mut self, s: usize, p: usize, end: usize) -> Result<Option<usize>> {
        let mut count = 0;
        while self.is_one(s + count, p, end) {
            count += 1;
            self.step()?;
        }
        loop {
            if let Some(found) = self.at(s + count, end + 1)? {
                return Ok(Some(found));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
    }

    fn fewest(&mut self, mut s: usize, p: usize, end: usize) -> Result<Option<usize>> {
        loop {
            if let Some(found) = self.at(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.is_one(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn begin_capture(&mut self, s: usize, p: usize, length: Length) -> Result<Option<usize>> {
        if self.captures.len() >= CAPTURES_MAX {
            return self.fail("too many captures");
        }
        let level = self.captures.len();
        self.captures.push((s, length));
        let found = self.at(s, p)?;
        if found.is_none() {
            self.captures.truncate(level);
        }
        Ok(found)
    }

    fn end_capture(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let is_open = |capture: &(usize, Length)| capture.1 == Length::Open;
        let Some(open) = self.captures.iter().rposition(is_open) else {
            return self.fail("invalid pattern capture");
        };
        self.captures[open].1 = Length::Bytes(s - self.captures[open].0);
        let found = self.at(s, p)?;
        if found.is_none() {
            self.captures[open].1 = Length::Open;
        }
        Ok(found)
    }

    /// `%1`: what that capture has matched, again.
    fn captured_again(&mut self, s: usize, digit: u8) -> Result<Option<usize>> {
        let capture = usize::from(digit).checked_sub(usize::from(b'1'));
        let Some((start, Length::Bytes(bytes))) =
            capture.and_then(|at| self.captures.get(at)).copied()
        else {
            return self.fail("invalid capture index");
        };
        let again = self.text[s..].starts_with(&self.text[start..start + bytes]);
        Ok(again.then_some(s + bytes))
    }

    /// `%bxy`.
    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let (Some(&opens), Some(&closes)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return self.fail("unbalanced pattern");
        };
        if self.text.get(s) != Some(&opens) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.text.len() {
            self.step()?;
            let byte = self.text[at];
            if byte == closes {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == opens {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the item at `p` ends, without what says how often it comes.
    fn item_end(&self, p: usize) -> Result<usize> {
        let at = |p: usize| self.pattern.get(p).copied();
        match self.pattern[p] {
            b'%' if at(p + 1).is_none() => self.fail("malformed pattern (ends with '%')"),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut p = p + 1 + usize::from(at(p + 1) == Some(b'^'));
                loop {
                    // A bracket that comes first is one of the set.
                    match at(p) {
                        None => return self.fail("malformed pattern (missing ']')"),
                        Some(b'%') if at(p + 1).is_none() => {
                            return self.fail("malformed pattern (missing ']')");
                        }
                        Some(b'%') => p += 2,
                        Some(_) => p += 1,
                    }
                    if at(p) == Some(b']') {
                        return Ok(p + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the byte at `s` is one that the item from `p` to `end` means.
    fn is_one(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else {
            return false;
        };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_of_class(byte, self.pattern[p + 1]),
            b'[' => self.is_in_set(byte, p, end - 1),
            exact => exact == byte,
        }
    }

    /// Whether a byte is in the set whose brackets are at `p` and `end`.
    fn is_in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let is_negated = self.pattern[p + 1] == b'^';
        let mut at = p + 1 + usize::from(is_negated);
        while at < end {
            let (first, rest) = (self.pattern[at], &self.pattern[at + 1..]);
            let (is_in, bytes) = match (first, rest) {
                (b'%', [class, ..]) => (is_of_class(byte, *class), 2),
                (low, [b'-', high, ..]) if at + 2 < end => ((low..=*high).contains(&byte), 3),
                (exact, _) => (exact == byte, 1),
            };
            if is_in {
                return !is_negated;
            }
            at += bytes;
        }
        is_negated
    }
}

/// `%a` and its kin.
fn is_of_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0B,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is != class.is_ascii_uppercase()
}
