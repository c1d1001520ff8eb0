//! Numbers as text: what is accepted must print back as itself or read back as the same.

use tessera_core::number::{
    LongDouble, parse_bytes, parse_double, parse_i64, parse_u64, parse_u64_loose, write_double,
};

/// Two numbers, split by the first byte.
pub(crate) fn number(data: &[u8]) {
    let (a, b) = super::split::split(data);
    for text in [a, b] {
        integer(text);
        double(text);
    }
    let (Some(first), Some(second)) = (LongDouble::parse(a), LongDouble::parse(b)) else {
        return;
    };
    let sum = first + second;
    assert_eq!(sum, second + first);
    for value in [first, second, sum]
        .into_iter()
        .filter(|value| value.is_finite())
    {
        let text = human(value);
        let back = LongDouble::parse(&text).map(human);
        assert_eq!(back.as_deref(), Some(&text[..]));
    }
}

fn human(value: LongDouble) -> Vec<u8> {
    let mut out = Vec::new();
    value.write_human(&mut out);
    out
}

fn integer(text: &[u8]) {
    let strict = parse_i64(text);
    if let Some(number) = strict {
        assert_eq!(number.to_string().as_bytes(), text);
    }
    // Whatever Rust reads and prints back unchanged is strict.
    let read = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    assert_eq!(
        strict,
        read.filter(|number| number.to_string().as_bytes() == text)
    );
    let read = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let unsigned = parse_u64(text);
    assert_eq!(
        unsigned,
        read.filter(|number| number.to_string().as_bytes() == text)
    );
    if unsigned.is_some() {
        assert_eq!(parse_u64_loose(text), unsigned);
        assert_eq!(parse_bytes(text), unsigned);
    }
}

fn double(text: &[u8]) {
    let Some(value) = parse_double(text) else {
        return;
    };
    assert!(!value.is_nan());
    let mut printed = Vec::new();
    write_double(&mut printed, value);
    assert_eq!(
        parse_double(&printed).map(f64::to_bits),
        Some(value.to_bits())
    );
}
