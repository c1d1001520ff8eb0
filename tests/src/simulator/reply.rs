//! `Reply`: what a simulated client received, and `Answer`: what the oracle allows.
//!
//! Most commands have one right answer in a given keyspace; KEYS may list in any order, RANDOMKEY may
//! name any key, and a call of SCAN is judged with its whole cycle elsewhere.

use std::fmt;

use tessera_core::resp::Value;

use super::word::Word;

/// A reply as a value. The protocol is RESP2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// `+`
    Simple(Word),
    /// `-`
    Error(Word),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Word),
    /// `$-1`
    Null,
    /// `*`
    Array(Vec<Reply>),
    /// A type that RESP2 does not have.
    Foreign(Word),
}

/// What may be replied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Exactly this.
    Only(Reply),
    /// An array of these words, in any order.
    AnyOrder(Vec<Word>),
    /// An array of these fields, each with its value behind it, in any order of the fields.
    Pairs(Vec<(Word, Word)>),
    /// One of these words; null if there is none.
    OneOf(Vec<Word>),
    /// A cursor and an array.
    SomeKeys,
    /// Some integer.
    SomeNumber,
    /// Anything: it was answered otherwise, or need not be.
    Anything,
    /// An array of these.
    Each(Vec<Answer>),
}

impl Reply {
    /// `+OK`.
    #[must_use]
    pub fn ok() -> Self {
        Self::Simple(Word::from("OK"))
    }

    /// An error of this text.
    #[must_use]
    pub fn error(text: &str) -> Self {
        Self::Error(Word::from(text))
    }

    /// The error for a key of another type.
    #[must_use]
    pub fn wrong_type() -> Self {
        Self::error("WRONGTYPE Operation against a key holding the wrong kind of value")
    }

    /// A bulk or null.
    #[must_use]
    pub fn value(value: Option<&Word>) -> Self {
        value.map_or(Self::Null, |word| Self::Bulk(word.clone()))
    }

    /// The reply that was read from the wire.
    #[must_use]
    pub fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Simple(text) => Self::Simple(Word::new(text)),
            Value::Error(text) => Self::Error(Word::new(text)),
            Value::Integer(number) => Self::Integer(*number),
            Value::Bulk(bytes) => Self::Bulk(Word::new(bytes)),
            Value::Null | Value::NullArray => Self::Null,
            Value::Array(values) => Self::Array(values.iter().map(Self::of).collect()),
            other => Self::Foreign(Word::from(format!("{other:?}"))),
        }
    }

    /// The words of an array of bulks.
    #[must_use]
    pub fn words(&self) -> Option<Vec<Word>> {
        let Self::Array(values) = self else {
            return None;
        };
        let word = |value: &Reply| match value {
            Self::Bulk(word) => Some(word.clone()),
            _ => None,
        };
        values.iter().map(word).collect()
    }

    /// The cursor and the keys of a reply to SCAN.
    #[must_use]
    pub fn scanned(&self) -> Option<(Word, Vec<Word>)> {
        match self {
            Self::Array(parts) => match parts.as_slice() {
                [Self::Bulk(cursor), keys] => Some((cursor.clone(), keys.words()?)),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Answer {
    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Only(Reply::Error(_)))
    }

    /// Whether this reply may be given.
    #[must_use]
    pub fn allows(&self, reply: &Reply) -> bool {
        match self {
            Self::Only(expected) => expected == reply,
            Self::AnyOrder(expected) => reply.words().is_some_and(|mut words| {
                words.sort_unstable();
                words == *expected
            }),
            Self::Pairs(expected) => reply.words().is_some_and(|words| {
                let mut pairs: Vec<(Word, Word)> = words
                    .chunks_exact(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect();
                pairs.sort_unstable();
                words.len().is_multiple_of(2) && pairs == *expected
            }),
            Self::OneOf(words) => match reply {
                Reply::Null => words.is_empty(),
                Reply::Bulk(word) => words.contains(word),
                _ => false,
            },
            Self::SomeKeys => reply.scanned().is_some(),
            Self::SomeNumber => matches!(reply, Reply::Integer(_)),
            Self::Anything => true,
            Self::Each(answers) => match reply {
                Reply::Array(replies) => {
                    let mut pairs = answers.iter().zip(replies);
                    answers.len() == replies.len()
                        && pairs.all(|(answer, reply)| answer.allows(reply))
                }
                _ => false,
            },
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(word) => write!(f, "\"{word}\""),
            Self::Null => f.write_str("null"),
            Self::Foreign(text) => write!(f, "no RESP2: {text}"),
            Self::Array(values) => {
                f.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |words: &[Word]| {
            let words: Vec<String> = words.iter().map(Word::to_string).collect();
            words.join(", ")
        };
        match self {
            Self::Only(reply) => write!(f, "{reply}"),
            Self::AnyOrder(words) => write!(f, "{{{}}}", list(words)),
            Self::Pairs(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}={b}")).collect();
                write!(f, "{{{}}}", pairs.join(", "))
            }
            Self::OneOf(words) => write!(f, "one of {{{}}}", list(words)),
            Self::SomeKeys => f.write_str("some keys"),
            Self::SomeNumber => f.write_str("some number"),
            Self::Anything => f.write_str("anything"),
            Self::Each(answers) => {
                let answers: Vec<String> = answers.iter().map(Answer::to_string).collect();
                write!(f, "[{}]", answers.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulks(words: &[&str]) -> Reply {
        let bulk = |word: &&str| Reply::Bulk(Word::from(*word));
        Reply::Array(words.iter().map(bulk).collect())
    }

    #[test]
    fn what_an_answer_allows() {
        let words = || vec![Word::from("a"), Word::from("b")];
        assert!(Answer::AnyOrder(words()).allows(&bulks(&["b", "a"])));
        assert!(!Answer::AnyOrder(words()).allows(&bulks(&["a", "b", "b"])));
        let pairs = || {
            let pair = |a, b| (Word::from(a), Word::from(b));
            Answer::Pairs(vec![pair("a", "1"), pair("b", "2")])
        };
        assert!(pairs().allows(&bulks(&["b", "2", "a", "1"])));
        assert!(!pairs().allows(&bulks(&["b", "1", "a", "2"])));
        assert!(!pairs().allows(&bulks(&["b", "2", "a", "1", "c"])));
        assert!(Answer::OneOf(words()).allows(&Reply::Bulk(Word::from("b"))));
        assert!(!Answer::OneOf(words()).allows(&Reply::Null));
        assert!(Answer::OneOf(Vec::new()).allows(&Reply::Null));
        let call = Reply::Array(vec![Reply::Bulk(Word::from("0")), bulks(&["a"])]);
        assert!(Answer::SomeKeys.allows(&call));
        assert!(!Answer::SomeKeys.allows(&bulks(&["a"])));
        assert!(!Answer::Only(Reply::ok()).allows(&Reply::Integer(1)));
    }

    #[test]
    fn replies_read_well() {
        assert_eq!(bulks(&["a", "b"]).to_string(), "[\"a\", \"b\"]");
        assert_eq!(
            Reply::error("ERR no such key").to_string(),
            "-ERR no such key"
        );
    }
}
