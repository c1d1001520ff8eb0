//! The grammar of floating-point text, C's `strtod` and `strtold` in the C locale, minus leading white space and
//! anything trailing, which Redis refuses: a sign, then decimal digits with point and exponent, hexadecimal ones, or
//! `inf`/`infinity` in any case. `nan` is refused here because every caller refuses it.
//!
//! Also owns the one rounding step all conversions end with. Used by the double and long double readers.

/// A sign and a magnitude.
#[derive(Debug)]
pub(super) struct FloatText<'a> {
    pub(super) negative: bool,
    pub(super) magnitude: Magnitude<'a>,
}

/// What stands after the sign.
#[derive(Debug)]
pub(super) enum Magnitude<'a> {
    Infinity,
    /// `whole.fraction` × 10^exponent.
    Decimal(Digits<'a>),
    /// `0x` `whole.fraction` × 2^exponent.
    Hex(Digits<'a>),
}

/// At least one digit in all; the exponent is cut off at ±10^9, far outside of any format.
#[derive(Debug)]
pub(super) struct Digits<'a> {
    pub(super) whole: &'a [u8],
    pub(super) fraction: &'a [u8],
    pub(super) exponent: i64,
}

impl Digits<'_> {
    /// Every digit from the most significant on.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).copied()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.iter().all(|digit| digit == b'0')
    }

    /// Hexadecimal digits as a mantissa with 128 bits at most, its exponent, and whether bits were lost.
    pub(super) fn hex_value(&self) -> Unrounded {
        let mut value = Unrounded {
            mantissa: 0,
            exponent: self.exponent - 4 * self.fraction.len() as i64,
            sticky: false,
        };
        for digit in self.iter() {
            let nibble = (digit as char).to_digit(16).unwrap_or(0);
            if value.mantissa >> 124 == 0 {
                value.mantissa = value.mantissa << 4 | u128::from(nibble);
            } else {
                value.sticky |= nibble != 0;
                value.exponent += 4;
            }
        }
        value
    }
}

/// Splits `text`; `None` if it does not match the grammar to its end.
pub(super) fn scan(text: &[u8]) -> Option<FloatText<'_>> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = match rest {
        [b'0', b'x' | b'X', rest @ ..] => {
            Magnitude::Hex(digits(rest, u8::is_ascii_hexdigit, b'p')?)
        }
        [b'i' | b'I', ..] => {
            let known = rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity");
            known.then_some(Magnitude::Infinity)?
        }
        _ => Magnitude::Decimal(digits(rest, u8::is_ascii_digit, b'e')?),
    };
    Some(FloatText {
        negative,
        magnitude,
    })
}

fn digits(text: &[u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<Digits<'_>> {
    let run = |text: &[u8]| text.iter().take_while(|&b| is_digit(b)).count();
    let (whole, mut rest) = text.split_at(run(text));
    let mut fraction = &rest[..0];
    if let [b'.', behind @ ..] = rest {
        (fraction, rest) = behind.split_at(run(behind));
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [letter, exponent @ ..] if letter.eq_ignore_ascii_case(&mark) => signed(exponent)?,
        _ => return None,
    };
    Some(Digits {
        whole,
        fraction,
        exponent,
    })
}

/// A decimal exponent, cut off at ±10^9.
fn signed(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |n, digit| {
        (n * 10 + i64::from(digit - b'0')).min(1_000_000_000)
    });
    Some(sign * magnitude)
}

/// `mantissa` × 2^`exponent`, and a little more if `sticky`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrounded {
    pub(super) mantissa: u128,
    pub(super) exponent: i64,
    pub(super) sticky: bool,
}

/// The limits of a binary format: values are m × 2^e with m < 2^`bits` and e between the two exponents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) bits: u32,
    pub(super) exponent_min: i64,
    pub(super) exponent_max: i64,
}

impl Unrounded {
    /// The nearest value of the format, ties to even, as `(m, e)`: normalized (`m`'s top bit set) unless `e` is the
    /// format's smallest; zero is `(0, exponent_min)`. `None`: beyond the largest.
    ///
    /// A `sticky` mantissa must have more than `bits` significant bits.
    pub(super) fn round(self, format: Format) -> Option<(u64, i64)> {
        if self.mantissa == 0 {
            return Some((0, format.exponent_min));
        }
        let shift = self.mantissa.leading_zeros();
        let mantissa = self.mantissa << shift;
        let bottom = self.exponent - i64::from(shift);
        let mut exponent = (bottom + i64::from(128 - format.bits)).max(format.exponent_min);
        let Ok(dropped @ 1..=128) = u32::try_from(exponent - bottom) else {
            return Some((0, format.exponent_min)); // less than half of the smallest value
        };
        let (mut kept, rest) = if dropped == 128 {
            (0, mantissa)
        } else {
            (mantissa >> dropped, mantissa << (128 - dropped))
        };
        let half = 1u128 << 127;
        if rest > half || (rest == half && (self.sticky || kept & 1 == 1)) {
            kept += 1;
        }
        if kept >> format.bits != 0 {
            kept >>= 1;
            exponent += 1;
        }
        (exponent <= format.exponent_max).then_some((kept as u64, exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLE: Format = Format {
        bits: 53,
        exponent_min: -1074,
        exponent_max: 971,
    };

    #[test]
    fn grammar() {
        for text in [
            "1",
            "1.",
            ".5",
            "+1",
            "-1e5",
            "1E+5",
            "0x1p3",
            "0X.8P-2",
            "0xaF",
            "inf",
            "-INFINITY",
            "1e99999999999999999999",
        ] {
            assert!(scan(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "", "+", ".", "e5", "1e", "1e+", "0x", "0x.", "0x1p", "0x1pf", "infinit", "nan", " 1",
            "1 ", "1,5", "--1", "1e5.0", "1_0",
        ] {
            assert!(scan(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn rounding_to_even_and_at_the_ends() {
        let round = |mantissa, exponent, sticky| {
            Unrounded {
                mantissa,
                exponent,
                sticky,
            }
            .round(DOUBLE)
        };
        assert_eq!(round(1, 0, false), Some((1 << 52, -52)));
        assert_eq!(round((1 << 53) + 1, 0, false), Some((1 << 52, 1)));
        assert_eq!(round((1 << 53) + 3, 0, false), Some(((1 << 52) + 2, 1)));
        assert_eq!(
            round(((1 << 53) + 1) << 4, -4, true),
            Some(((1 << 52) + 1, 1))
        );
        assert_eq!(round((1 << 54) - 1, 0, false), Some((1 << 52, 2)));
        assert_eq!(round(1, -1074, false), Some((1, -1074)));
        assert_eq!(round(1, -1075, false), Some((0, -1074)));
        assert_eq!(round(3, -1076, false), Some((1, -1074)));
        assert_eq!(round(1, -1_000_000_000, false), Some((0, -1074)));
        assert_eq!(round((1 << 54) - 1, 970, false), None);
        assert_eq!(round((1 << 53) - 1, 971, false), Some(((1 << 53) - 1, 971)));
    }
}
