//! Doubles as text: scores, `,` replies, everything Redis 7.0 reads with `strtod` and prints with `%.17g`.
//!
//! 17 significant digits name every double, so reading back what was printed is exact; trailing zeros go, and exponents
//! below -4 or above 16 are written as such. Called by the reply writer, the sorted-set, hash and geo commands.

use std::io::Write;

use super::integer::parse_i64;
use super::text::{FloatText, Format, Magnitude, scan};

/// Significant digits printed.
const DIGITS: usize = 17;

const FORMAT: Format = Format {
    bits: 53,
    exponent_min: -1074,
    exponent_max: 971,
};

/// The double a client wrote, as Redis reads scores and other floats: decimal or hexadecimal, `inf` and `infinity`
/// in any case, correctly rounded. Refused: NaN, white space, anything trailing, a magnitude too large, and one
/// so small that it would become zero.
pub fn parse_double(text: &[u8]) -> Option<f64> {
    if let Some(integer) = parse_i64(text) {
        return Some(integer as f64);
    }
    let FloatText {
        negative,
        magnitude,
    } = scan(text)?;
    let value = match magnitude {
        Magnitude::Infinity => f64::INFINITY,
        Magnitude::Decimal(digits) => {
            let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            let out_of_range = value.is_infinite() || (value == 0.0 && !digits.is_zero());
            return (!out_of_range).then_some(value);
        }
        Magnitude::Hex(digits) => {
            let (mantissa, exponent) = digits.hex_value().round(FORMAT)?;
            if mantissa == 0 && !digits.is_zero() {
                return None;
            }
            from_parts(mantissa, exponent)
        }
    };
    Some(if negative { -value } else { value })
}

/// The double as Redis reads the bounds of score ranges, with a bare `strtod`: what [`parse_double`] takes, but also nothing at all (0),
/// leading white space, magnitudes beyond the range (infinity, or zero), and whatever comes after a NUL.
pub fn parse_double_loose(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let text = &text[..end];
    if text.is_empty() {
        return Some(0.0);
    }
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t'..=b'\r'))?;
    let text = &text[start..];
    if let Some(value) = parse_double(text) {
        return Some(value);
    }
    let FloatText {
        negative,
        magnitude,
    } = scan(text)?;
    let value = match magnitude {
        Magnitude::Infinity => f64::INFINITY,
        Magnitude::Decimal(_) => return std::str::from_utf8(text).ok()?.parse().ok(),
        Magnitude::Hex(digits) => {
            let rounded = digits.hex_value().round(FORMAT);
            rounded.map_or(f64::INFINITY, |(mantissa, exponent)| {
                from_parts(mantissa, exponent)
            })
        }
    };
    Some(if negative { -value } else { value })
}

/// `mantissa` × 2^`exponent`, already rounded to the format.
fn from_parts(mantissa: u64, exponent: i64) -> f64 {
    let hidden = 1u64 << 52;
    if mantissa < hidden {
        return f64::from_bits(mantissa);
    }
    let biased = (exponent - FORMAT.exponent_min + 1) as u64;
    f64::from_bits(biased << 52 | (mantissa & (hidden - 1)))
}

/// Appends `value` as C's `%.17g`: `3`, `0.10000000000000001`, `1e+20`, `inf`, `-nan`. No allocation but the buffer's.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        if value.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(if value.is_nan() { b"nan" } else { b"inf" });
        return;
    }
    // Whole numbers of up to 17 digits print as integers, except for -0.
    let whole = value as i64;
    if whole as f64 == value
        && whole.unsigned_abs() < 10u64.pow(DIGITS as u32 - 1)
        && (whole != 0 || value.is_sign_positive())
    {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    // "-d.dddddddddddddddde-ddd" is 24 bytes.
    let mut buffer = [0u8; 32];
    let mut rest = &mut buffer[..];
    let fits = write!(rest, "{:.*e}", DIGITS - 1, value.abs()).is_ok();
    debug_assert!(fits);
    let length = 32 - rest.len();
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let (mantissa, exponent) = split_scientific(&buffer[..length]);
    write_general(out, &mantissa, exponent);
}

/// `d.dddde-d` as its digits and the exponent.
fn split_scientific(text: &[u8]) -> ([u8; DIGITS], i32) {
    let mut digits = [b'0'; DIGITS];
    let (mantissa, exponent) = match text.iter().position(|&b| b == b'e') {
        Some(at) => (&text[..at], parse_i64(&text[at + 1..]).unwrap_or(0)),
        None => (text, 0),
    };
    for (to, &from) in digits
        .iter_mut()
        .zip(mantissa.iter().filter(|&&b| b != b'.'))
    {
        *to = from;
    }
    (digits, exponent as i32)
}

/// C's `%g`: fixed notation for exponents from -4 to 16, no trailing zeros.
fn write_general(out: &mut Vec<u8>, digits: &[u8; DIGITS], exponent: i32) {
    let significant = digits
        .iter()
        .rposition(|&b| b != b'0')
        .map_or(1, |last| last + 1);
    let shown = &digits[..significant];
    match exponent {
        -4..0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-1 - exponent) as usize, b'0');
            out.extend_from_slice(shown);
        }
        0..17 => {
            let point = exponent as usize + 1;
            if significant <= point {
                out.extend_from_slice(&digits[..point]);
            } else {
                out.extend_from_slice(&shown[..point]);
                out.push(b'.');
                out.extend_from_slice(&shown[point..]);
            }
        }
        _ => {
            out.push(shown[0]);
            if significant > 1 {
                out.push(b'.');
                out.extend_from_slice(&shown[1..]);
            }
            out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
            if exponent.abs() < 10 {
                out.push(b'0');
            }
            out.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
