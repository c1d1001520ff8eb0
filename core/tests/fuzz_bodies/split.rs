//! How an input is cut in two. A target of libFuzzer has it beside its one body.

/// Splits the input at its first byte's word: so a fuzzer can move the border.
pub(crate) fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.split_first() {
        Some((&at, rest)) => rest.split_at(usize::from(at).min(rest.len())),
        None => (data, data),
    }
}
