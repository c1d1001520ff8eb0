//! The elements to be sorted, and their order.

use std::cmp::Ordering;

use tessera_core::number::parse_double;

use super::options::Options;
use super::pattern::up_to_nul;
use super::texts::{Place, Texts};
use crate::command::Cx;

/// An element with the number that it is sorted by.
#[derive(Clone, Copy)]
pub(super) struct Weighed {
    pub(super) score: f64,
    pub(super) place: Place,
}

/// How elements are put in order that are their own weight.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) is_descending: bool,
    pub(super) is_text: bool,
    /// What is returned is compared as C strings are, so that nobody can tell it from Redis's; what is stored, to the last byte.
    pub(super) is_stored: bool,
}

impl Order {
    fn of(options: &Options<'_>) -> Self {
        Self {
            is_descending: options.is_descending,
            is_text: options.is_text,
            is_stored: options.store.is_some(),
        }
    }

    /// What is compared of a text.
    fn seen(self, text: &[u8]) -> &[u8] {
        if self.is_stored {
            text
        } else {
            up_to_nul(text)
        }
    }

    /// Equal elements stay in their order.
    pub(super) fn compare(self, texts: &Texts, a: &Weighed, b: &Weighed) -> Ordering {
        let text = |row: &Weighed| texts.get(row.place);
        let order = if self.is_text {
            self.seen(text(a)).cmp(self.seen(text(b)))
        } else {
            // No score is NaN; equal ones are told apart by their elements.
            let order = a.score.partial_cmp(&b.score).unwrap_or(Ordering::Equal);
            order.then_with(|| text(a).cmp(text(b)))
        };
        if self.is_descending {
            order.reverse()
        } else {
            order
        }
    }
}

/// The elements.
#[derive(Default)]
pub(super) struct Rows {
    texts: Texts,
    places: Vec<Place>,
}

impl Rows {
    pub(super) fn push(&mut self, text: &[u8]) {
        let place = self.texts.push(text);
        self.places.push(place);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn text(&self, row: usize) -> &[u8] {
        self.texts.get(self.places[row])
    }

    pub(super) fn reverse(&mut self) {
        self.places.reverse();
    }

    /// Sorts by the elements' own numbers, or by those of BY.
    fn sort_weighed(&mut self, scores: Vec<f64>, order: Order) {
        let places = std::mem::take(&mut self.places);
        let weigh = |(score, place)| Weighed { score, place };
        let mut sorted: Vec<Weighed> = scores.into_iter().zip(places).map(weigh).collect();
        sorted.sort_by(|a, b| order.compare(&self.texts, a, b));
        self.places = sorted.into_iter().map(|row| row.place).collect();
    }

    /// Sorts by a text per row, equal ones staying in their order. An element without one comes first.
    fn sort_by_texts(&mut self, weights: Vec<Option<Vec<u8>>>, is_descending: bool) {
        let places = std::mem::take(&mut self.places);
        let mut sorted: Vec<(Option<Vec<u8>>, Place)> = weights.into_iter().zip(places).collect();
        sorted.sort_by(|(a, _), (b, _)| if is_descending { b.cmp(a) } else { a.cmp(b) });
        self.places = sorted.into_iter().map(|(_, place)| place).collect();
    }
}

/// Sorts the rows; the keys of BY are at hand. Says false if a score is no number.
pub(super) fn order(cx: &mut Cx<'_>, rows: &mut Rows, options: &Options<'_>) -> bool {
    let order = Order::of(options);
    match &options.by {
        Some(by) if options.is_text => {
            let weight = |row: usize| {
                let mut weight = by.value(cx, rows.text(row))?;
                weight.truncate(order.seen(&weight).len());
                Some(weight)
            };
            let weights = (0..rows.len()).map(weight).collect();
            rows.sort_by_texts(weights, options.is_descending);
        }
        None if options.is_text => rows.sort_weighed(vec![0.0; rows.len()], order),
        _ => {
            let Some(scores) = scores(cx, rows, options) else {
                return false;
            };
            rows.sort_weighed(scores, order);
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
pub(super) fn number(text: &[u8]) -> Option<f64> {
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
