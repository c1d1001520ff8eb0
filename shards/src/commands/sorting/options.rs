//! The options of SORT.

use std::ops::Range;

use super::pattern::Pattern;
use crate::command::Cx;
use crate::commands::args::{SYNTAX, integer, is};

/// See the head of this file.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) is_descending: bool,
    pub(super) is_text: bool,
    /// BY a pattern that names no key: the order stays.
    pub(super) is_unsorted: bool,
    /// BY a pattern that names keys.
    pub(super) by: Option<Pattern<'a>>,
    pub(super) get: Vec<Pattern<'a>>,
    pub(super) store: Option<&'a [u8]>,
    /// What is stored, or what a script sees, must not depend on how a set is kept.
    pub(super) sorts_sets: bool,
    /// LIMIT: the first one and how many, negative for all.
    limit: Option<(i64, i64)>,
}

impl<'a> Options<'a> {
    /// Writes the error for options that are none.
    pub(super) fn parse(cx: &mut Cx<'_>, mut args: &[&'a [u8]], may_store: bool) -> Option<Self> {
        let mut options = Self::default();
        while let [word, rest @ ..] = args {
            args = rest;
            match (*word, rest) {
                (word, _) if is(word, "ASC") => options.is_descending = false,
                (word, _) if is(word, "DESC") => options.is_descending = true,
                (word, _) if is(word, "ALPHA") => options.is_text = true,
                (word, [start, count, rest @ ..]) if is(word, "LIMIT") => {
                    options.limit = Some((integer(cx, start)?, integer(cx, count)?));
                    args = rest;
                }
                (word, [target, rest @ ..]) if may_store && is(word, "STORE") => {
                    options.store = Some(target);
                    args = rest;
                }
                (word, [pattern, rest @ ..]) if is(word, "BY") => {
                    let pattern = Pattern::new(pattern);
                    options.is_unsorted |= !pattern.names_keys();
                    options.by = Some(pattern);
                    args = rest;
                }
                (word, [pattern, rest @ ..]) if is(word, "GET") => {
                    options.get.push(Pattern::new(pattern));
                    args = rest;
                }
                _ => {
                    cx.error(SYNTAX);
                    return None;
                }
            }
        }
        options.sorts_sets = options.is_unsorted && (options.store.is_some() || !cx.may_block);
        Some(options)
    }

    /// Forgets BY: the elements are compared as text.
    pub(super) fn sort_as_text(&mut self) {
        (self.is_unsorted, self.is_text, self.by) = (false, true, None);
    }

    /// Whether keys are needed that patterns name.
    pub(super) fn names_keys(&self) -> bool {
        let is_sorted_by = !self.is_unsorted && self.by.is_some();
        is_sorted_by || self.get.iter().any(Pattern::names_keys)
    }

    pub(super) fn has_no_limit(&self) -> bool {
        self.limit.is_none()
    }

    /// Which of `len` sorted elements are wanted.
    pub(super) fn range(&self, len: usize) -> Range<usize> {
        let (start, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(start).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (limit, expected) in [
            (None, 0..5),
            (Some((1, 2)), 1..3),
            (Some((-3, 2)), 0..2),
            (Some((2, -1)), 2..5),
            (Some((2, 0)), 2..2),
            (Some((5, 1)), 5..5),
            (Some((i64::MAX, i64::MAX)), 5..5),
            (Some((1, i64::MAX)), 1..5),
            (Some((i64::MIN, i64::MIN)), 0..5),
        ] {
            let options = Options {
                limit,
                ..Options::default()
            };
            assert_eq!(options.range(5), expected, "{limit:?}");
        }
    }
}
