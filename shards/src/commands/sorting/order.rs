//! The elements to be sorted, and their order.

use std::cmp::Ordering;

use tessera_core::number::parse_double;

use super::options::Options;
use super::pattern::up_to_nul;
use crate::command::Cx;

/// The elements' texts, one after the other in one buffer.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    /// Where each text lies.
    places: Vec<(usize, usize)>,
}

impl Rows {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.places.push((self.bytes.len(), text.len()));
        self.bytes.extend_from_slice(text);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn text(&self, row: usize) -> &[u8] {
        let (start, len) = self.places[row];
        &self.bytes[start..start + len]
    }

    pub(super) fn reverse(&mut self) {
        self.places.reverse();
    }

    /// Sorts by a value per row, equal ones staying in their order.
    fn sort_by<K>(
        &mut self,
        keys: Vec<K>,
        is_descending: bool,
        compare: impl Fn((&K, &[u8]), (&K, &[u8])) -> Ordering,
    ) {
        let mut sorted: Vec<(K, (usize, usize))> = keys
            .into_iter()
            .zip(std::mem::take(&mut self.places))
            .collect();
        let text = |(start, len): (usize, usize)| &self.bytes[start..start + len];
        sorted.sort_by(|(a, a_place), (b, b_place)| {
            let order = compare((a, text(*a_place)), (b, text(*b_place)));
            if is_descending {
                order.reverse()
            } else {
                order
            }
        });
        self.places = sorted.into_iter().map(|(_, place)| place).collect();
    }
}

/// Sorts the rows; the keys of BY are at hand. Says false if a score is no number.
pub(super) fn order(cx: &mut Cx<'_>, rows: &mut Rows, options: &Options<'_>) -> bool {
    let is_descending = options.is_descending;
    if !options.is_text {
        let Some(scores) = scores(cx, rows, options) else {
            return false;
        };
        // No score is NaN; equal ones are told apart by their elements.
        rows.sort_by(scores, is_descending, |(a, a_text), (b, b_text)| {
            a.partial_cmp(b)
                .unwrap_or(Ordering::Equal)
                .then_with(|| a_text.cmp(b_text))
        });
        return true;
    }
    // What is returned is compared as C strings are, so that nobody can tell it from Redis's; what is stored, to the last byte.
    let is_stored = options.store.is_some();
    let seen = |text: &'_ [u8]| -> usize {
        if is_stored {
            text.len()
        } else {
            up_to_nul(text).len()
        }
    };
    match &options.by {
        None => {
            let nothing = vec![(); rows.len()];
            rows.sort_by(nothing, is_descending, |(_, a), (_, b)| {
                a[..seen(a)].cmp(&b[..seen(b)])
            });
        }
        Some(by) => {
            let weight = |row: usize| {
                let mut weight = by.value(cx, rows.text(row))?;
                weight.truncate(seen(&weight));
                Some(weight)
            };
            let weights: Vec<Option<Vec<u8>>> = (0..rows.len()).map(weight).collect();
            // An element without a weight comes first.
            rows.sort_by(weights, is_descending, |(a, _), (b, _)| a.cmp(b));
        }
    }
    true
}

/// A number per row; 0 where BY has none. `None` if one is no number.
fn scores(cx: &mut Cx<'_>, rows: &Rows, options: &Options<'_>) -> Option<Vec<f64>> {
    let score = |row: usize| match &options.by {
        None => number(rows.text(row)),
        Some(by) => by
            .value(cx, rows.text(row))
            .map_or(Some(0.0), |text| number(&text)),
    };
    (0..rows.len()).map(score).collect()
}

/// A number as `strtod` reads it: up to a NUL, white space before it, nothing being 0.
fn number(text: &[u8]) -> Option<f64> {
    let text = up_to_nul(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    parse_double(&text[start..])
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_as_strtod_reads_them() {
        for (text, expected) in [
            (&b"12"[..], Some(12.0)),
            (b"-1.5", Some(-1.5)),
            (b"", Some(0.0)),
            (b" \t7", Some(7.0)),
            (b"7 ", None),
            (b" ", None),
            (b"7\0x", Some(7.0)),
            (b"x", None),
            (b"nan", None),
            (b"inf", Some(f64::INFINITY)),
            (b"0x10", Some(16.0)),
        ] {
            assert_eq!(number(text), expected, "{}", text.escape_ascii());
        }
    }
}
