//! Integers as text. The strict form is the one and only text Redis would print for the number (`string2ll`): no plus
//! sign, no space, no leading zero, no `-0`. That makes text and number interchangeable, so a value may be stored as
//! the number. Called by the request parser, by every command with an integer argument and by the encodings.

/// Digits of `i64::MAX`; this many nines still fit a `u64`.
const I64_DIGITS_MAX: usize = 19;

/// The number that prints as `text` exactly. O(text), at most 20 bytes.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (&first, rest) = digits.split_first()?;
    if !first.is_ascii_digit() || digits.len() > I64_DIGITS_MAX {
        return None;
    }
    if first == b'0' {
        return (rest.is_empty() && !negative).then_some(0);
    }
    let mut magnitude = u64::from(first - b'0');
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// The number, 0 to `u64::MAX`, that prints as `text` exactly.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_i64(text) {
        return u64::try_from(number).ok();
    }
    // Only the upper half of the range is left: 19 or 20 digits.
    if !matches!(text.first(), Some(b'1'..=b'9')) {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            None
        } else {
            number.checked_mul(10)?.checked_add(u64::from(digit))
        }
    })
}

/// The number as Redis's `string2ull` reads it (stream IDs): what [`parse_u64`] takes, but also leading white space,
/// a sign and leading zeros. A strict negative number is refused, a loose one (`-01`) wraps around.
pub fn parse_u64_loose(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_i64(text) {
        return u64::try_from(number).ok();
    }
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t'..=b'\r'))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            None
        } else {
            number.checked_mul(10)?.checked_add(u64::from(digit))
        }
    })?;
    Some(if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_STRICT: [&[u8]; 18] = [
        b"",
        b"-",
        b"+1",
        b" 1",
        b"1 ",
        b"01",
        b"00",
        b"-0",
        b"-01",
        b"--1",
        b"1a",
        b"a",
        b"0x1",
        b"1.0",
        b"1e3",
        b"1\x00",
        b"-9223372036854775809",
        b"99999999999999999999",
    ];

    #[test]
    fn strict_texts_and_only_those() {
        for number in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            123_456_789,
            i64::MAX - 1,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ] {
            assert_eq!(parse_i64(number.to_string().as_bytes()), Some(number));
        }
        for text in NOT_STRICT {
            assert_eq!(parse_i64(text), None, "{}", text.escape_ascii());
            assert_eq!(parse_u64(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        assert_eq!(parse_i64(b"9999999999999999999"), None);
    }

    #[test]
    fn unsigned_to_the_end_of_the_range() {
        for number in [
            0,
            1,
            10,
            i64::MAX as u64,
            i64::MAX as u64 + 1,
            9_999_999_999_999_999_999,
            u64::MAX,
        ] {
            assert_eq!(parse_u64(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            &b"-1"[..],
            b"18446744073709551616",
            b"1844674407370955161a",
            b"184467440737095516150",
        ] {
            assert_eq!(parse_u64(text), None);
        }
    }

    /// As redis-server 7.0 took them in the second half of a stream ID (XADD).
    #[test]
    fn loose_unsigned() {
        assert_eq!(parse_u64_loose(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64_loose(b"007"), Some(7));
        assert_eq!(parse_u64_loose(b"+7"), Some(7));
        assert_eq!(parse_u64_loose(b" 7"), Some(7));
        assert_eq!(parse_u64_loose(b"\x0b7"), Some(7));
        assert_eq!(parse_u64_loose(b"-01"), Some(u64::MAX));
        for text in [
            &b"-1"[..],
            b"",
            b" ",
            b"+",
            b"7 ",
            b"18446744073709551616",
            b"a",
            b"+-1",
            b"7\x00",
        ] {
            assert_eq!(parse_u64_loose(text), None, "{}", text.escape_ascii());
        }
    }
}
