//! Keys: which key a request names (pattern and range) and how its bytes look (prefix, digits, padding).
//!
//! A `KeySpace` is shared by all threads and never changes; a `KeySource` is the cursor of one command on
//! one connection. Each draw is constant time.

use std::str::FromStr;

use crate::random::{Random, Zipf};

/// The order in which keys of the range are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// R: uniformly random.
    Uniform,
    /// S: every connection walks the whole range, over and over.
    Sequential,
    /// P: the connections share the range out among themselves, and each walks its part.
    Parallel,
    /// G: normal around the median.
    Gaussian,
    /// Z: Zipf, the lowest key the most frequent.
    Zipf,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "R" | "r" => Ok(Self::Uniform),
            "S" | "s" => Ok(Self::Sequential),
            "P" | "p" => Ok(Self::Parallel),
            "G" | "g" => Ok(Self::Gaussian),
            "Z" | "z" => Ok(Self::Zipf),
            _ => Err(format!("'{text}' is not a key pattern: R, S, P, G or Z")),
        }
    }
}

/// The shape of the distributions that have one; `None` picks memtier's defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Exponent of Z, 1 by default.
    pub zipf_exponent: Option<f64>,
    /// Deviation of G, a sixth of the range by default.
    pub stddev: Option<f64>,
    /// Middle of G, the middle of the range by default.
    pub median: Option<u64>,
}

/// The range of keys, their names and their distributions.
#[derive(Clone, Debug)]
pub struct KeySpace {
    prefix: Vec<u8>,
    minimum: u64,
    maximum: u64,
    /// Digits are padded with zeros to this many.
    width: usize,
    zipf: Zipf,
    stddev: f64,
    median: f64,
}

impl KeySpace {
    /// Keys `minimum..=maximum`. With `length`, every key is padded to exactly that many bytes.
    ///
    /// # Errors
    /// A text for the user when the range is empty or a key does not fit `length`.
    pub fn new(
        prefix: &[u8],
        minimum: u64,
        maximum: u64,
        length: Option<usize>,
        shape: Shape,
    ) -> Result<Self, String> {
        if minimum > maximum || maximum == u64::MAX {
            return Err(format!("no keys between {minimum} and {maximum}"));
        }
        let digits = decimal_length(maximum);
        let width = match length {
            None => 0,
            Some(length) if length >= prefix.len() + digits => length - prefix.len(),
            Some(length) => {
                return Err(format!(
                    "--key-length {length} has no room for a prefix of {} bytes and {digits} digits",
                    prefix.len()
                ));
            }
        };
        let exponent = shape.zipf_exponent.unwrap_or(1.0);
        if !(exponent > 0.0 && exponent < 5.0) {
            return Err(format!("--key-zipf-exp {exponent} is not between 0 and 5"));
        }
        let count = maximum - minimum + 1;
        let stddev = shape.stddev.unwrap_or(count as f64 / 6.0);
        if !(stddev > 0.0 && stddev.is_finite()) {
            return Err(format!("--key-stddev {stddev} is not positive"));
        }
        let median = shape
            .median
            .map_or((minimum as f64 + maximum as f64) / 2.0, |m| m as f64);
        Ok(Self {
            prefix: prefix.to_vec(),
            minimum,
            maximum,
            width,
            zipf: Zipf::new(count, exponent),
            stddev,
            median,
        })
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.maximum - self.minimum + 1
    }

    /// The bytes of the name of key `index`.
    #[inline]
    #[must_use]
    pub fn name_length(&self, index: u64) -> usize {
        self.prefix.len() + decimal_length(index).max(self.width)
    }

    /// Appends the name of key `index`.
    #[inline]
    pub fn append_name(&self, index: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        append_decimal(index, self.width, out);
    }

    /// The bytes of all names together, so that memory per key can be told from payload.
    #[must_use]
    pub fn names_length(&self) -> u64 {
        let mut total = 0u64;
        let mut first = self.minimum;
        while first <= self.maximum {
            let digits = decimal_length(first);
            let last = 10u64
                .checked_pow(digits as u32)
                .map_or(self.maximum, |p| (p - 1).min(self.maximum));
            total += (last - first + 1) * self.name_length(first) as u64;
            first = last + 1;
        }
        total
    }

    /// The part of the range that connection `index` of `connections` walks under pattern P, as first key and
    /// number of keys. The parts cover the range and do not overlap.
    #[must_use]
    pub fn part(&self, index: u64, connections: u64) -> (u64, u64) {
        let bound =
            |i: u64| (u128::from(self.count()) * u128::from(i) / u128::from(connections)) as u64;
        let first = bound(index);
        (self.minimum + first, bound(index + 1) - first)
    }
}

/// The cursor of one command on one connection.
#[derive(Clone, Debug)]
pub struct KeySource {
    pattern: Pattern,
    first: u64,
    count: u64,
    walked: u64,
    last: u64,
}

impl KeySource {
    /// The source of connection `index` of `connections`.
    #[must_use]
    pub fn new(pattern: Pattern, space: &KeySpace, index: u64, connections: u64) -> Self {
        let (first, count) = match pattern {
            Pattern::Parallel => space.part(index, connections),
            _ => (space.minimum, space.count()),
        };
        Self {
            pattern,
            first,
            count,
            walked: 0,
            last: first,
        }
    }

    /// A source of one key.
    #[must_use]
    pub fn fixed(key: u64) -> Self {
        Self {
            pattern: Pattern::Sequential,
            first: key,
            count: 1,
            walked: 0,
            last: key,
        }
    }

    /// The key that was drawn last.
    #[inline]
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number of the next key.
    #[inline]
    pub fn next(&mut self, space: &KeySpace, random: &mut Random) -> u64 {
        self.last = self.draw(space, random);
        self.last
    }

    #[inline]
    fn draw(&mut self, space: &KeySpace, random: &mut Random) -> u64 {
        match self.pattern {
            Pattern::Uniform => self.first + random.below(self.count),
            Pattern::Sequential | Pattern::Parallel => {
                let key = self.first + self.walked;
                self.walked += 1;
                if self.walked >= self.count {
                    self.walked = 0;
                }
                key
            }
            Pattern::Gaussian => {
                // Draws outside the range are thrown away, but never for long: a range much narrower than the
                // deviation is as good as uniform.
                for _ in 0..64 {
                    let key = random.normal().mul_add(space.stddev, space.median).round();
                    if key >= space.minimum as f64 && key <= space.maximum as f64 {
                        return key as u64;
                    }
                }
                self.first + random.below(self.count)
            }
            Pattern::Zipf => space.minimum + space.zipf.draw(random) - 1,
        }
    }
}

/// The number of digits of `number`.
#[inline]
#[must_use]
pub fn decimal_length(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends `number` in decimal, with zeros in front up to `width` digits.
#[inline]
pub fn append_decimal(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let missing = width.saturating_sub(digits.len() - at);
    if missing <= at {
        at -= missing;
    } else {
        out.resize(out.len() + missing - at, b'0');
        at = 0;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(minimum: u64, maximum: u64) -> KeySpace {
        KeySpace::new(b"k:", minimum, maximum, None, Shape::default()).unwrap()
    }

    #[test]
    fn parallel_parts_cover_each_key_once() {
        for (count, connections) in [(1000u64, 7u64), (5, 8), (64, 64), (1, 1)] {
            let space = space(10, 9 + count);
            let mut random = Random::new(1);
            let mut seen = vec![0; count as usize];
            for index in 0..connections {
                let (_, keys) = space.part(index, connections);
                let mut source = KeySource::new(Pattern::Parallel, &space, index, connections);
                for _ in 0..keys {
                    seen[source.next(&space, &mut random) as usize - 10] += 1;
                }
            }
            assert!(
                seen.iter().all(|n| *n == 1),
                "{count} keys over {connections}: {seen:?}"
            );
        }
    }

    #[test]
    fn sequential_walks_the_range_and_starts_again() {
        let space = space(3, 6);
        let mut random = Random::new(1);
        let mut source = KeySource::new(Pattern::Sequential, &space, 5, 9);
        let walked: Vec<u64> = (0..9).map(|_| source.next(&space, &mut random)).collect();
        assert_eq!(walked, [3, 4, 5, 6, 3, 4, 5, 6, 3]);
    }

    #[test]
    fn every_pattern_stays_in_range_and_reaches_both_halves() {
        let space = space(100, 199);
        for pattern in [Pattern::Uniform, Pattern::Gaussian, Pattern::Zipf] {
            let mut random = Random::new(7);
            let mut source = KeySource::new(pattern, &space, 0, 1);
            let mut low = 0;
            for _ in 0..10_000 {
                let key = source.next(&space, &mut random);
                assert!((100..=199).contains(&key));
                low += u32::from(key < 150);
            }
            assert!(low > 3000 && low < 10_000, "{pattern:?}: {low}");
        }
    }

    #[test]
    fn gaussian_piles_up_at_the_median() {
        let shape = Shape {
            stddev: Some(10.0),
            median: Some(30),
            ..Shape::default()
        };
        let space = KeySpace::new(b"", 0, 100, None, shape).unwrap();
        let mut random = Random::new(7);
        let mut source = KeySource::new(Pattern::Gaussian, &space, 0, 1);
        let within = (0..10_000)
            .filter(|_| (20..=40).contains(&source.next(&space, &mut random)))
            .count();
        // One deviation either side holds 68 %, plus half a key at each end.
        assert!((6600..7400).contains(&within), "{within}");
    }

    #[test]
    fn names_are_padded_to_the_length_asked_for() {
        let space = KeySpace::new(b"key:", 0, 9_999_999, Some(16), Shape::default()).unwrap();
        let mut name = Vec::new();
        space.append_name(1234, &mut name);
        assert_eq!(name, b"key:000000001234");
        assert_eq!(space.name_length(1234), 16);
        assert_eq!(space.names_length(), 160_000_000);
        assert!(KeySpace::new(b"key:", 0, 9_999_999, Some(10), Shape::default()).is_err());
        assert!(KeySpace::new(b"key:", 2, 1, None, Shape::default()).is_err());
    }

    #[test]
    fn the_length_of_all_names_is_their_sum() {
        let space = space(8, 1203);
        let sum: u64 = (8..=1203).map(|i| space.name_length(i) as u64).sum();
        assert_eq!(space.names_length(), sum);
    }

    #[test]
    fn decimals_of_every_size() {
        for (number, width, text) in [
            (0, 0, "0"),
            (7, 3, "007"),
            (1_000_000, 2, "1000000"),
            (u64::MAX, 0, "18446744073709551615"),
            (5, 25, "0000000000000000000000005"),
        ] {
            let mut out = Vec::new();
            append_decimal(number, width, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
