//! The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: x87 extended precision ("long double" on x86-64), in software.
//!
//! Redis reads both numbers with `strtold`, adds them in the processor's 80-bit format and prints the sum with
//! `%.17Lf` without its trailing zeros. The stored text is the value from then on, so a store that rounds otherwise
//! drifts away from Redis with every increment. Rust has no such type; here it is:
//!
//! - A finite value is ± m × 2^e, m of 64 bits with its top bit set unless e is the smallest exponent.
//! - Reading, adding and printing are each exact and then rounded once, to nearest, ties to even, which is what
//!   glibc and the x87 do: so the results are not close to Redis's but the same.
//! - Nearly all numbers take the path through 128-bit integers (up to 19 digits, exponents within ±27); the rest takes
//!   [`Big`].
//!
//! Called by the string and hash commands, and by the geo commands for coordinates
//! ([`LongDouble::write_human`] of a double).

use super::big::Big;
use super::integer::parse_i64;
use super::text::{Digits, FloatText, Format, Magnitude, Unrounded, scan};

const FORMAT: Format = Format {
    bits: 64,
    exponent_min: -16_445,
    exponent_max: 16_320,
};

/// Redis copies the text into a buffer of this size with its NUL: longer texts are not numbers.
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// Decimal digits behind the point, and ten to that power.
const PLACES: usize = 17;
const PLACES_SCALE: u64 = 10u64.pow(PLACES as u32);

/// The power of ten up to which 5^n fits 63 bits, and the digits that fit a `u64`.
const FAST_POWER_MAX: i64 = 27;
const FAST_DIGITS_MAX: usize = 19;

/// Values from 10^this on overflow, values below 10^-this round to zero.
const DECIMAL_POINT_MAX: i64 = 4_934;
const DECIMAL_POINT_MIN: i64 = -4_952;

/// An 80-bit extended-precision number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Size,
}

/// A magnitude. (`Finite(0, exponent_min)` is zero.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Finite(u64, i64),
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// The number a client wrote, as Redis's `string2ld` reads it: decimal or hexadecimal, `inf` and `infinity` in
    /// any case. Refused: NaN, white space, anything trailing, texts of 5 KiB, a magnitude too large, and one so
    /// small that it would become zero. O(text) for usual numbers, O(digits²) for long ones.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if let Some(integer) = parse_i64(text) {
            return Some(Self::from_i64(integer));
        }
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let FloatText {
            negative,
            magnitude,
        } = scan(text)?;
        let (value, digits) = match magnitude {
            Magnitude::Infinity => {
                let magnitude = Size::Infinite;
                return Some(Self {
                    negative,
                    magnitude,
                });
            }
            Magnitude::Hex(digits) => (digits.hex_value(), digits),
            Magnitude::Decimal(digits) => (decimal(&digits)?, digits),
        };
        let (mantissa, exponent) = value.round(FORMAT)?;
        if mantissa == 0 && !digits.is_zero() {
            return None;
        }
        let magnitude = Size::Finite(mantissa, exponent);
        Some(Self {
            negative,
            magnitude,
        })
    }

    /// Exact.
    pub fn from_i64(number: i64) -> Self {
        Self::rounded(number < 0, u128::from(number.unsigned_abs()), 0, false)
    }

    /// Exact.
    pub fn from_f64(number: f64) -> Self {
        let negative = number.is_sign_negative();
        if !number.is_finite() {
            let magnitude = if number.is_nan() {
                Size::NotANumber
            } else {
                Size::Infinite
            };
            return Self {
                negative,
                magnitude,
            };
        }
        let bits = number.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let biased = (bits >> 52 & 0x7ff) as i64;
        let hidden = u64::from(biased > 0) << 52;
        Self::rounded(
            negative,
            u128::from(hidden | fraction),
            biased.max(1) - 1075,
            false,
        )
    }

    /// True for neither infinity nor NaN. A sum that is not finite is an error for Redis.
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Size::Finite(..))
    }

    /// Whether this is NaN: the sum of two opposite infinities.
    pub fn is_nan(self) -> bool {
        self.magnitude == Size::NotANumber
    }

    fn rounded(negative: bool, mantissa: u128, exponent: i64, sticky: bool) -> Self {
        let value = Unrounded {
            mantissa,
            exponent,
            sticky,
        };
        let magnitude = match value.round(FORMAT) {
            Some((mantissa, exponent)) => Size::Finite(mantissa, exponent),
            None => Size::Infinite,
        };
        Self {
            negative,
            magnitude,
        }
    }

    /// Appends the number for human eyes, as Redis does (`LD_STR_HUMAN`): 17 places, no trailing zeros, never an
    /// exponent, no minus before zero. Up to 4,933 digits; half a millisecond for the largest, some 50 ns usually.
    pub fn write_human(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        match self.magnitude {
            Size::Infinite => out.extend_from_slice(b"inf"),
            Size::NotANumber => out.extend_from_slice(b"nan"),
            Size::Finite(mantissa, exponent) if exponent >= 0 => {
                write_whole(out, mantissa, exponent)
            }
            Size::Finite(mantissa, exponent) => {
                write_fraction(out, mantissa, exponent.unsigned_abs())
            }
        }
        if out[start..] == *b"-0" {
            out.truncate(start);
            out.push(b'0');
        }
    }
}

impl std::ops::Add for LongDouble {
    type Output = Self;

    /// The sum, rounded to nearest, ties to even; infinite if too large.
    fn add(self, other: Self) -> Self {
        let (a, b) = match (self.magnitude, other.magnitude) {
            (Size::Finite(a, a_exponent), Size::Finite(b, b_exponent)) => {
                ((a, a_exponent), (b, b_exponent))
            }
            (Size::NotANumber, _) => return self,
            (_, Size::NotANumber) => return other,
            (Size::Infinite, Size::Infinite) if self.negative != other.negative => {
                let magnitude = Size::NotANumber;
                return Self {
                    negative: true,
                    magnitude,
                };
            }
            (Size::Infinite, _) => return self,
            (_, Size::Infinite) => return other,
        };
        // Mantissas are normalized, so the pair with the exponent first orders magnitudes.
        let self_is_larger = (a.1, a.0) >= (b.1, b.0);
        let ((large, exponent), (small, small_exponent)) =
            if self_is_larger { (a, b) } else { (b, a) };
        let negative = if self_is_larger {
            self.negative
        } else {
            other.negative
        };
        // One bit of room above for the carry, 63 below for what the smaller number brings.
        let large = u128::from(large) << 63;
        let distance = u32::try_from(exponent - small_exponent).unwrap_or(u32::MAX);
        let wide = u128::from(small) << 63;
        let small = wide.checked_shr(distance).unwrap_or(0);
        let sticky = small.checked_shl(distance).unwrap_or(0) != wide;
        if self.negative == other.negative {
            return Self::rounded(negative, large + small, exponent - 63, sticky);
        }
        // With bits cut off the true difference lies just below: between this and one less.
        let difference = large - small - u128::from(sticky);
        let negative = negative && difference != 0;
        Self::rounded(negative, difference, exponent - 63, sticky)
    }
}

/// The value of decimal digits, exact but for `sticky`; `None` when it is out of all range.
fn decimal(digits: &Digits<'_>) -> Option<Unrounded> {
    let total = digits.whole.len() + digits.fraction.len();
    let leading = digits.iter().take_while(|&digit| digit == b'0').count();
    if leading == total {
        return Some(Unrounded {
            mantissa: 0,
            exponent: 0,
            sticky: false,
        });
    }
    let trailing = digits
        .iter()
        .rev()
        .take_while(|&digit| digit == b'0')
        .count();
    let significant = total - leading - trailing;
    let power = digits.exponent - digits.fraction.len() as i64 + trailing as i64;
    let point = power + significant as i64;
    if !(DECIMAL_POINT_MIN..=DECIMAL_POINT_MAX).contains(&point) {
        return None;
    }
    let figures = digits.iter().skip(leading).take(significant);
    if significant <= FAST_DIGITS_MAX && power.abs() <= FAST_POWER_MAX {
        let number = figures.fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
        return Some(scaled(number, power));
    }
    let number = Big::from_decimal(figures);
    let fives = Big::power_of_five(power.unsigned_abs() as u32);
    let mut value = if power >= 0 {
        number.multiply(&fives).unrounded()
    } else {
        number.divide(fives)
    };
    value.exponent += power;
    Some(value)
}

/// `number` × 10^`power`, for a number that is not zero and a power within [`FAST_POWER_MAX`].
fn scaled(number: u64, power: i64) -> Unrounded {
    let fives = u128::from(5u64.pow(power.unsigned_abs() as u32));
    if power >= 0 {
        let mantissa = u128::from(number) * fives;
        return Unrounded {
            mantissa,
            exponent: power,
            sticky: false,
        };
    }
    // The quotient has at least 65 bits: one more than the format keeps.
    let shift = u128::from(number).leading_zeros();
    let dividend = u128::from(number) << shift;
    Unrounded {
        mantissa: dividend / fives,
        exponent: power - i64::from(shift),
        sticky: dividend % fives != 0,
    }
}

/// `mantissa` × 2^`exponent`, no places.
fn write_whole(out: &mut Vec<u8>, mantissa: u64, exponent: i64) {
    if exponent <= 64 {
        let number = u128::from(mantissa) << exponent;
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        return;
    }
    let mut number = Big::from_u64(mantissa);
    number.shift_left(exponent.unsigned_abs());
    number.write_decimal(out);
}

/// `mantissa` ÷ 2^`shift` with 17 places, rounded half to even, without trailing zeros.
fn write_fraction(out: &mut Vec<u8>, mantissa: u64, shift: u64) {
    let (mut whole, fraction) = if shift < 64 {
        (mantissa >> shift, mantissa & ((1 << shift) - 1))
    } else {
        (0, mantissa)
    };
    // 64 bits times 57: shifted by more than 121 it is less than half.
    let scaled = u128::from(fraction) * u128::from(PLACES_SCALE);
    let mut places = 0;
    if shift < 128 {
        places = (scaled >> shift) as u64;
        let rest = scaled & ((1 << shift) - 1);
        let half = 1u128 << (shift - 1);
        if rest > half || (rest == half && places & 1 == 1) {
            places += 1;
        }
    }
    if places == PLACES_SCALE {
        places = 0;
        whole += 1;
    }
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(whole).as_bytes());
    if places == 0 {
        return;
    }
    out.push(b'.');
    let text = digits.format(places).as_bytes();
    out.resize(out.len() + PLACES - text.len(), b'0');
    let significant = text
        .iter()
        .rposition(|&digit| digit != b'0')
        .map_or(0, |last| last + 1);
    out.extend_from_slice(&text[..significant]);
}

#[cfg(test)]
mod tests;
