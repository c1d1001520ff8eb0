//! BY and GET patterns: `weight_*`, `object_*->name`, `#`.
//!
//! Redis looks at a pattern as at a C string, so what stands behind a NUL holds no star and no arrow; the key that is made of it is complete.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::hash::Hash;
use tessera_core::object::Collection;

use crate::command::Cx;

/// A pattern, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No star: it names no key, and has no value.
    Fixed,
    /// The star stands between two parts of a key; a field of it, if it is a hash.
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

/// What of a text C sees.
pub(super) fn up_to_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let visible = up_to_nul(text);
        if visible == b"#" {
            return Self::Element;
        }
        let Some(star) = visible.iter().position(|byte| *byte == b'*') else {
            return Self::Fixed;
        };
        let rest = &text[star + 1..];
        let arrow = visible[star + 1..]
            .windows(2)
            .position(|pair| pair == b"->")
            .filter(|at| star + 1 + at + 2 < visible.len());
        Self::Key {
            before: &text[..star],
            after: arrow.map_or(rest, |at| &rest[..at]),
            field: arrow.map(|at| &rest[at + 2..]),
        }
    }

    /// Whether its keys depend on the element.
    pub(super) fn names_keys(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Whether it stands for the element itself.
    pub(super) fn is_element(&self) -> bool {
        *self == Self::Element
    }

    /// Makes the key for an element, if there is one.
    pub(super) fn key(&self, element: &[u8], key: &mut Vec<u8>) -> bool {
        let Self::Key { before, after, .. } = self else {
            return false;
        };
        key.clear();
        for part in [before, element, after] {
            key.extend_from_slice(part);
        }
        true
    }

    /// The value for an element. The key is at hand.
    pub(super) fn value(&self, cx: &mut Cx<'_>, element: &[u8]) -> Option<Vec<u8>> {
        if *self == Self::Element {
            return Some(element.to_vec());
        }
        let mut key = Vec::new();
        if !self.key(element, &mut key) {
            return None;
        }
        let now_ms = cx.shard.now_ms;
        let entry = cx.shard.read(cx.db, &key)?;
        match self {
            Self::Key {
                field: Some(field), ..
            } => {
                let hash = entry.object().and_then(Hash::of)?;
                hash.get(field, now_ms).map(|item| item.to_vec())
            }
            _ => text(entry),
        }
    }
}

fn text(entry: &Entry) -> Option<Vec<u8>> {
    Some(match entry.string()? {
        ValueRef::Int(number) => itoa::Buffer::new().format(number).as_bytes().to_vec(),
        ValueRef::Bytes(bytes) => bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let pattern = Pattern::new(text.as_bytes());
        let mut key = Vec::new();
        if !pattern.key(b"X", &mut key) {
            return format!("{pattern:?}");
        }
        let Pattern::Key { field, .. } = pattern else {
            unreachable!("it has a key")
        };
        let field = field.map(|field| format!(" / {}", field.escape_ascii()));
        format!("{}{}", key.escape_ascii(), field.unwrap_or_default())
    }

    #[test]
    fn parts() {
        for (pattern, expected) in [
            ("#", "Element"),
            ("w", "Fixed"),
            ("", "Fixed"),
            ("w_*", "w_X"),
            ("*", "X"),
            ("a*b*c", "aXb*c"),
            ("h_*->f", "h_X / f"),
            ("h_*x->f->g", "h_Xx / f->g"),
            ("h_*->", "h_X->"),
            ("a->b*", "a->bX"),
            ("w\0*", "Fixed"),
            ("w*\0->f", "wX\\x00->f"),
            ("##", "Fixed"),
        ] {
            assert_eq!(shown(pattern), expected, "{pattern}");
        }
    }
}
