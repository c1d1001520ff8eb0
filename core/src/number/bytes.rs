//! Amounts of memory as text: `1gb` in the configuration, `1.23M` in INFO. Called by the configuration table and INFO.

/// Bytes from a decimal number and an optional unit, in any case: `b`, `k` and `kb`, `m` and `mb`, `g` and `gb`; `k` is
/// 1,000 and `kb` is 1,024, and so on. No digits at all mean zero, as in Redis (`memtoull`).
///
/// `None` for anything else, and for amounts of 2^64 and more. (Redis takes those, and means 2^64 - 1 or the amount
/// modulo 2^64: `maxmemory 17179869184gb` switches the limit off there.)
pub fn parse_bytes(text: &[u8]) -> Option<u64> {
    let digits_end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let scale: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = digits.iter().try_fold(0u64, |n, digit| {
        n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    number.checked_mul(scale)
}

/// The amount for human eyes: `512B`, `1.23M`, with powers of 1,024 up to P (Redis: `bytesToHuman`).
pub fn human_bytes(bytes: u64) -> String {
    let unit = match bytes.checked_ilog2() {
        Some(bits @ 10..60) => bits / 10,
        _ => return format!("{bytes}B"),
    };
    // Redis divides doubles and prints %.2f: exact but for the conversion to double, ties to even.
    let exact = u128::from(bytes as f64 as u64) * 100;
    let shift = unit * 10;
    let (mut hundredths, rest, half) = (
        exact >> shift,
        exact & ((1 << shift) - 1),
        1u128 << (shift - 1),
    );
    if rest > half || (rest == half && hundredths & 1 == 1) {
        hundredths += 1;
    }
    format!(
        "{}.{:02}{}",
        hundredths / 100,
        hundredths % 100,
        ["B", "K", "M", "G", "T", "P"][unit as usize]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 7.0 takes them for `maxmemory`.
    #[test]
    fn amounts() {
        for (text, expected) in [
            ("mb", Some(0)),
            ("", Some(0)),
            ("b", Some(0)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1kb", Some(1024)),
            ("3M", Some(3_000_000)),
            ("3mB", Some(3 << 20)),
            ("2g", Some(2_000_000_000)),
            ("1GB", Some(1 << 30)),
            ("01k", Some(1000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("1 mb", None),
            ("-1", None),
            ("+1", None),
            ("1.5gb", None),
            ("1tb", None),
            ("99999999999999999999", None),
            ("17179869184gb", None),
        ] {
            assert_eq!(parse_bytes(text.as_bytes()), expected, "{text}");
        }
    }

    /// Computed with C's printf.
    #[test]
    fn for_human_eyes() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1152, "1.12K"),
            (1157, "1.13K"),
            (1048575, "1024.00K"),
            (1048576, "1.00M"),
            (1289748, "1.23M"),
            (1 << 30, "1.00G"),
            ((1 << 40) + (1 << 37), "1.12T"),
            (1 << 50, "1.00P"),
            ((1 << 60) - 1, "1024.00P"),
            (1 << 60, "1152921504606846976B"),
        ] {
            assert_eq!(human_bytes(bytes), expected);
        }
    }
}
