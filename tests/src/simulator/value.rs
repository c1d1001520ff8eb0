//! `Value`: what is under a key of the model: text or a collection, as plain as can be.
//!
//! Collections are shared until they are changed, like everything in the model. Scores are whole numbers; the clients use no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use super::stream::Stream;
use super::word::{Word, mix};

/// What is under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A string.
    Text(Word),
    /// Elements from left to right.
    List(Rc<Vec<Word>>),
    /// Members.
    Set(Rc<BTreeSet<Word>>),
    /// Members with their scores.
    Zset(Rc<BTreeMap<Word, i64>>),
    /// Fields with their values.
    Hash(Rc<BTreeMap<Word, Word>>),
    /// Entries and groups.
    Stream(Rc<Stream>),
    /// A type that the clients do not use.
    Foreign,
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// `Value::Text`.
    Text,
    /// `Value::List`.
    List,
    /// `Value::Set`.
    Set,
    /// `Value::Zset`.
    Zset,
    /// `Value::Hash`.
    Hash,
    /// `Value::Stream`.
    Stream,
    /// `Value::Foreign`.
    Foreign,
}

impl Value {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Self::Text(_) => Type::Text,
            Self::List(_) => Type::List,
            Self::Set(_) => Type::Set,
            Self::Zset(_) => Type::Zset,
            Self::Hash(_) => Type::Hash,
            Self::Stream(_) => Type::Stream,
            Self::Foreign => Type::Foreign,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&Word> {
        match self {
            Self::Text(word) => Some(word),
            _ => None,
        }
    }

    /// The members of a set, or of a sorted set with their scores; those of a set count as 1.
    #[must_use]
    pub fn scored(&self) -> Vec<(Word, i64)> {
        match self {
            Self::Set(members) => members.iter().map(|member| (member.clone(), 1)).collect(),
            Self::Zset(members) => members
                .iter()
                .map(|(member, score)| (member.clone(), *score))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What SORT sorts.
    #[must_use]
    pub fn elements(&self) -> Vec<Word> {
        match self {
            Self::List(elements) => elements.to_vec(),
            Self::Set(members) => members.iter().cloned().collect(),
            Self::Zset(members) => members.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a collection without elements: then there is no key. A stream stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(elements) => elements.is_empty(),
            Self::Set(members) => members.is_empty(),
            Self::Zset(members) => members.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::Text(_) | Self::Stream(_) | Self::Foreign => false,
        }
    }

    /// Stands for the content.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let fold = |seed: u64, digests: &mut dyn Iterator<Item = u64>| digests.fold(seed, mix);
        match self {
            Self::Text(word) => word.digest(),
            Self::List(elements) => fold(1, &mut elements.iter().map(Word::digest)),
            Self::Set(members) => fold(2, &mut members.iter().map(Word::digest)),
            Self::Zset(members) => fold(
                3,
                &mut members
                    .iter()
                    .map(|(member, score)| mix(member.digest(), *score as u64)),
            ),
            Self::Hash(fields) => fold(
                5,
                &mut fields
                    .iter()
                    .map(|(field, value)| mix(field.digest(), value.digest())),
            ),
            Self::Stream(stream) => stream.digest(),
            Self::Foreign => 4,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |words: &mut dyn Iterator<Item = String>| words.collect::<Vec<_>>().join(" ");
        match self {
            Self::Text(word) => write!(f, "{word}"),
            Self::List(elements) => {
                write!(f, "[{}]", list(&mut elements.iter().map(Word::to_string)))
            }
            Self::Set(members) => {
                write!(f, "{{{}}}", list(&mut members.iter().map(Word::to_string)))
            }
            Self::Zset(members) => {
                let shown = |(member, score): (&Word, &i64)| format!("{member}:{score}");
                write!(f, "<{}>", list(&mut members.iter().map(shown)))
            }
            Self::Hash(fields) => {
                let shown = |(field, value): (&Word, &Word)| format!("{field}={value}");
                write!(f, "({})", list(&mut fields.iter().map(shown)))
            }
            Self::Stream(stream) => write!(f, "{stream}"),
            Self::Foreign => f.write_str("(a type that no client uses)"),
        }
    }
}
