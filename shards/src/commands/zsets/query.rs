//! What a range command asks for.
//!
//! Owns [`Query`]: bounds and options of ZRANGE and its kin, from which the ranks of the elements follow. Called by `range.rs` and `store.rs`.

use std::ops::Range;

use tessera_core::zset::{Cut, Zset};

use super::bounds::{lex_cuts, rank_bounds, ranks, score_cuts};
use crate::command::Cx;
use crate::commands::args::{SYNTAX, integer, is};

/// What the bounds are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Member,
}

/// What the name of a command has settled already.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// `None`: BYSCORE and BYLEX are options.
    pub(super) by: Option<By>,
    /// `None`: REV is an option.
    pub(super) reverse: Option<bool>,
    /// WITHSCORES is no option.
    pub(super) stores: bool,
}

enum Span<'a> {
    Ranks(i64, i64),
    Cuts(Cut<'a>, Cut<'a>),
}

/// Bounds and options.
pub(super) struct Query<'a> {
    span: Span<'a>,
    /// From the highest to the lowest.
    pub(super) reverse: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
    pub(super) with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads `min max [option ...]`; writes the error for what is none.
    pub(super) fn parse(cx: &mut Cx<'_>, args: &[&'a [u8]], form: Form) -> Option<Self> {
        let (mut by, mut reverse, mut with_scores) = (form.by, form.reverse, false);
        let (mut offset, mut limit) = (0, -1);
        let mut rest = &args[2..];
        while let [word, more @ ..] = rest {
            rest = more;
            if !form.stores && is(word, "WITHSCORES") {
                with_scores = true;
            } else if is(word, "LIMIT")
                && let [first, count, more @ ..] = more
            {
                offset = integer(cx, first)?;
                limit = integer(cx, count)?;
                rest = more;
            } else if form.reverse.is_none() && reverse.is_none() && is(word, "REV") {
                reverse = Some(true);
            } else if by.is_none() && is(word, "BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && is(word, "BYSCORE") {
                by = Some(By::Score);
            } else {
                cx.error(SYNTAX);
                return None;
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            cx.error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
            return None;
        }
        if with_scores && by == By::Member {
            cx.error("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
            return None;
        }
        let (min, max) = if reverse && by != By::Rank {
            (args[1], args[0])
        } else {
            (args[0], args[1])
        };
        let cuts = |(from, to)| Span::Cuts(from, to);
        let span = match by {
            By::Rank => rank_bounds(cx, min, max).map(|(start, end)| Span::Ranks(start, end)),
            By::Score => score_cuts(cx, min, max).map(cuts),
            By::Member => lex_cuts(cx, min, max).map(cuts),
        };
        Some(Self {
            span: span?,
            reverse,
            offset,
            limit,
            with_scores,
        })
    }

    /// The ranks of what is asked for; with `reverse` they are read backwards.
    pub(super) fn ranks(&self, zset: &Zset) -> Range<usize> {
        match self.span {
            Span::Ranks(start, end) => {
                let (ranks, len) = (ranks((start, end), zset.len()), zset.len());
                if self.reverse && !ranks.is_empty() {
                    len - ranks.end..len - ranks.start
                } else {
                    ranks
                }
            }
            Span::Cuts(from, to) => self.limited(zset.between(from, to)),
        }
    }

    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let Ok(offset) = usize::try_from(self.offset) else {
            return 0..0;
        };
        let skipped = offset.min(ranks.len());
        let left = ranks.len() - skipped;
        let taken = usize::try_from(self.limit).map_or(left, |limit| limit.min(left));
        if self.reverse {
            let end = ranks.end - skipped;
            end - taken..end
        } else {
            let start = ranks.start + skipped;
            start..start + taken
        }
    }
}
