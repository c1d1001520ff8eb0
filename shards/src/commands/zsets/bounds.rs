//! The bounds of ranges as clients write them: ranks, scores (`(1.5`, `-inf`) and members (`[a`, `(b`, `-`, `+`).
//!
//! Owns nothing. A reader that fails has written the error already.

use std::ops::Range;

use tessera_core::number::parse_double_loose;
use tessera_core::zset::Cut;

use crate::command::Cx;
use crate::commands::args::integer;

/// Both ends of a range of scores.
pub(super) fn score_cuts(
    cx: &mut Cx<'_>,
    min: &[u8],
    max: &[u8],
) -> Option<(Cut<'static>, Cut<'static>)> {
    let (Some((min, after_min)), Some((max, before_max))) = (score(min), score(max)) else {
        cx.error("ERR min or max is not a float");
        return None;
    };
    let from = if after_min {
        Cut::After(min)
    } else {
        Cut::Before(min)
    };
    let to = if before_max {
        Cut::Before(max)
    } else {
        Cut::After(max)
    };
    Some((from, to))
}

/// A score and whether it is excluded.
fn score(text: &[u8]) -> Option<(f64, bool)> {
    match text {
        [b'(', rest @ ..] => Some((parse_double_loose(rest)?, true)),
        _ => Some((parse_double_loose(text)?, false)),
    }
}

/// Both ends of a range of members.
pub(super) fn lex_cuts<'a>(
    cx: &mut Cx<'_>,
    min: &'a [u8],
    max: &'a [u8],
) -> Option<(Cut<'a>, Cut<'a>)> {
    let from = match min {
        [b'(', member @ ..] => Some(Cut::AfterMember(member)),
        [b'[', member @ ..] => Some(Cut::BeforeMember(member)),
        _ => end(min),
    };
    let to = match max {
        [b'(', member @ ..] => Some(Cut::BeforeMember(member)),
        [b'[', member @ ..] => Some(Cut::AfterMember(member)),
        _ => end(max),
    };
    let (Some(from), Some(to)) = (from, to) else {
        cx.error("ERR min or max not valid string range item");
        return None;
    };
    Some((from, to))
}

/// `-` or `+`; a NUL ends the text, as in Redis.
fn end(text: &[u8]) -> Option<Cut<'static>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Some(Cut::Start),
        [b'+'] | [b'+', 0, ..] => Some(Cut::End),
        _ => None,
    }
}

/// First and last rank, negative ones from the end.
pub(super) fn rank_bounds(cx: &mut Cx<'_>, start: &[u8], end: &[u8]) -> Option<(i64, i64)> {
    Some((integer(cx, start)?, integer(cx, end)?))
}

/// The ranks from the first to the last among `len`.
pub(super) fn ranks((start, end): (i64, i64), len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |rank: i64| if rank < 0 { len + rank } else { rank };
    let (start, end) = (from_end(start).max(0), from_end(end).min(len - 1));
    if start > end {
        return 0..0;
    }
    start as usize..end as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_from_either_end() {
        assert_eq!(ranks((0, -1), 5), 0..5);
        assert_eq!(ranks((-2, -1), 5), 3..5);
        assert_eq!(ranks((-9, 1), 5), 0..2);
        assert_eq!(ranks((3, 99), 5), 3..5);
        assert_eq!(ranks((5, 9), 5), 0..0);
        assert_eq!(ranks((2, 1), 5), 0..0);
        assert_eq!(ranks((0, -6), 5), 0..0);
        assert_eq!(ranks((i64::MIN, i64::MAX), 5), 0..5);
        assert_eq!(ranks((0, i64::MIN), 5), 0..0);
    }

    #[test]
    fn scores() {
        assert_eq!(score(b"(1.5"), Some((1.5, true)));
        assert_eq!(score(b"-inf"), Some((f64::NEG_INFINITY, false)));
        assert_eq!(score(b""), Some((0.0, false)));
        assert_eq!(score(b"("), Some((0.0, true)));
        assert_eq!(score(b"((1"), None);
        assert_eq!(score(b"nan"), None);
    }
}
