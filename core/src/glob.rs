//! Glob patterns as Redis matches them (`KEYS`, `SCAN MATCH`, `PSUBSCRIBE`, `CONFIG GET`, ACL key patterns).
//!
//! `*` any run of bytes, `?` any byte, `[a-z]`, `[^a-z]`, `\x` the byte x. The results are those of redis-server 7.0's
//! `stringmatchlen`, oddities included, because clients see them:
//! - An empty string is matched by the empty pattern only, not by `*`. (Redis's `KEYS` and `SCAN` treat the exact
//!   pattern `*` apart, before they come here.)
//! - A class without `]` ends with the pattern. `[a-]` is such a class: its range goes from `a` to `]`.
//! - Ranges compare bytes as *signed* chars, and reversed ends are swapped; without case they are swapped first,
//!   lowered after.
//! - An escape inside a class is always compared with case.
//!
//! The algorithm: a token other than `*` takes exactly one byte, so the last `*` seen may take its shortest run that
//! works, and on a mismatch only that one need grow: O(pattern × string) at worst, no recursion, no allocation.
//! (Redis recurses per star and cuts the search with `skipLongerMatches`: the same results.)

/// True when all of `string` matches `pattern`.
pub fn glob_match(pattern: &[u8], string: &[u8]) -> bool {
    matches::<false>(pattern, string)
}

/// [`glob_match`] with ASCII letters compared without case.
pub fn glob_match_nocase(pattern: &[u8], string: &[u8]) -> bool {
    matches::<true>(pattern, string)
}

/// The bytes every match starts with: what stands before the first special byte. A way to tell cheaply that nothing
/// can match, or that a pattern names a single string.
pub fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let end = pattern
        .iter()
        .position(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'));
    &pattern[..end.unwrap_or(pattern.len())]
}

fn matches<const NOCASE: bool>(pattern: &[u8], string: &[u8]) -> bool {
    if string.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut s) = (0, 0);
    // Where to go on after a mismatch: just behind the last star, one byte further in the string.
    let mut retry: Option<(usize, usize)> = None;
    while s < string.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                if p == pattern.len() {
                    return true;
                }
                retry = Some((p, s));
                continue;
            }
            Some(_) => token::<NOCASE>(&pattern[p..], string[s]),
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                s += 1;
            }
            (None, Some((after_star, start))) => {
                p = after_star;
                s = start + 1;
                retry = Some((after_star, s));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// The length of the token at the start of `pattern` (not empty, not a star) if it takes `byte`.
#[inline]
fn token<const NOCASE: bool>(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => class::<NOCASE>(pattern, byte),
        [b'\\', literal, ..] => same::<NOCASE>(*literal, byte).then_some(2),
        [literal, ..] => same::<NOCASE>(*literal, byte).then_some(1),
        [] => None,
    }
}

/// The length of the class at the start of `pattern` if it takes `byte`.
fn class<const NOCASE: bool>(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut found = false;
    loop {
        match &pattern[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                found |= in_range::<NOCASE>(*low, *high, byte);
                at += 3;
            }
            [literal, ..] => {
                found |= same::<NOCASE>(*literal, byte);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[inline]
fn same<const NOCASE: bool>(a: u8, b: u8) -> bool {
    if NOCASE {
        a.eq_ignore_ascii_case(&b)
    } else {
        a == b
    }
}

/// A range as C has it there: `char` is signed, and `tolower` makes bytes above 127 positive again.
fn in_range<const NOCASE: bool>(low: u8, high: u8, byte: u8) -> bool {
    let (low, high) = if (low as i8) > (high as i8) {
        (high, low)
    } else {
        (low, high)
    };
    if NOCASE {
        (lowered(low)..=lowered(high)).contains(&lowered(byte))
    } else {
        (low as i8..=high as i8).contains(&(byte as i8))
    }
}

/// C's `tolower` of a signed char: 255 looks like `EOF` and stays -1.
fn lowered(byte: u8) -> i16 {
    if byte == 0xff {
        -1
    } else {
        i16::from(byte.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(pattern, string, matches)`, each answered by redis-server 7.0 through PSUBSCRIBE and PUBLISH.
    const ORACLE: &[(&[u8], &[u8], bool)] = &[
        (b"*", b"", false),
        (b"**", b"", false),
        (b"*", b"a", true),
        (b"", b"", true),
        (b"[^", b"x", true),
        (b"[", b"x", false),
        (b"[a", b"a", true),
        (b"[a-]", b"b", false),
        (b"[a-]", b"_", true),
        (b"\\", b"\\", true),
        (b"a\\", b"a\\", true),
        (b"[z-a]", b"c", true),
        (b"[\x01-\xff]", b"a", false),
        (b"[a-\x80]", b"b", false),
        (b"[a-\x80]", b"\x01", true),
        (b"[\x80-\xff]", b"\x90", true),
        (b"[\x80-a]", b"\x00", true),
    ];

    /// The same through CONFIG GET, which matches without case.
    const ORACLE_NOCASE: &[(&[u8], &[u8], bool)] = &[
        (b"[a-\x80]ppendonly", b"appendonly", false),
        (b"[A-Z]PPENDONLY", b"appendonly", true),
        (b"[A-a]ppendonly", b"appendonly", true),
        (b"[Z-a]ppendonly", b"appendonly", false),
        (b"[\\A]ppendonly", b"appendonly", false),
        (b"[\x80-z]ppendonly", b"appendonly", false),
        (b"[\xff-z]ppendonly", b"appendonly", true),
        (b"[z-\xff]ppendonly", b"appendonly", true),
    ];

    #[test]
    fn as_the_oracle_answers() {
        for &(pattern, string, expected) in ORACLE {
            let shown = (
                pattern.escape_ascii().to_string(),
                string.escape_ascii().to_string(),
            );
            assert_eq!(glob_match(pattern, string), expected, "{shown:?}");
        }
        for &(pattern, string, expected) in ORACLE_NOCASE {
            assert_eq!(
                glob_match_nocase(pattern, string),
                expected,
                "{}",
                pattern.escape_ascii()
            );
        }
    }

    #[test]
    fn stars_do_not_blow_up() {
        let pattern = b"a*".repeat(10_000);
        let string = [&b"a".repeat(20_000)[..], b"b"].concat();
        assert!(glob_match(&pattern, &string));
        let never = [&pattern[..], b"c"].concat();
        assert!(!glob_match(&never, &string));
    }

    #[test]
    fn literal_prefixes() {
        assert_eq!(literal_prefix(b"user:*"), b"user:");
        assert_eq!(literal_prefix(b"plain"), b"plain");
        assert_eq!(literal_prefix(b"[a]"), b"");
        assert_eq!(literal_prefix(b"a\\*"), b"a");
    }
}
