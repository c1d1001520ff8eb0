//! Values: how long the data of a request is and what it is made of.

use crate::random::Random;

/// Random data starts anywhere in a pool this much longer than the longest value, so that a value costs
/// one copy and two values are seldom equal.
const POOL_SLACK_BYTES: usize = 1 << 20;

/// No value is longer: Redis's own limit of a string.
const VALUE_BYTES_MAX: usize = 512 << 20;

/// The source of values, shared by all threads.
#[derive(Clone, Debug)]
pub struct Values {
    pool: Vec<u8>,
    length_min: usize,
    length_max: usize,
    random: bool,
}

impl Values {
    /// Values of `length_min..=length_max` bytes, either all `x` or `random`.
    ///
    /// # Errors
    /// A text for the user when the lengths are not a range, or beyond what a server stores.
    pub fn new(length_min: usize, length_max: usize, random: bool) -> Result<Self, String> {
        if length_min > length_max || length_max > VALUE_BYTES_MAX {
            return Err(format!(
                "no values between {length_min} and {length_max} bytes"
            ));
        }
        let mut pool = vec![b'x'; length_max];
        if random {
            pool.resize(length_max + POOL_SLACK_BYTES, 0);
            Random::new(0x7e55_e7a0).fill(&mut pool);
        }
        Ok(Self {
            pool,
            length_min,
            length_max,
            random,
        })
    }

    /// The value of every request, when it is always the same.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        let same = !self.random && self.length_min == self.length_max;
        same.then_some(&self.pool[..self.length_max])
    }

    /// The mean length of a value.
    #[must_use]
    pub fn length_mean(&self) -> f64 {
        (self.length_min + self.length_max) as f64 / 2.0
    }

    /// The value of the next request.
    #[inline]
    pub fn next(&self, random: &mut Random) -> &[u8] {
        let span = self.length_max - self.length_min;
        let length = self.length_min + random.below(span as u64 + 1) as usize;
        let start = if self.random {
            random.below((self.pool.len() - length) as u64) as usize
        } else {
            0
        };
        &self.pool[start..start + length]
    }
}

/// Reads `LOW-HIGH`, as memtier writes its ranges.
///
/// # Errors
/// A text for the user when it is no such range.
pub fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let (low, high) = text
        .split_once('-')
        .ok_or_else(|| format!("'{text}' is not LOW-HIGH"))?;
    let number = |part: &str| {
        part.parse::<u64>()
            .map_err(|e| format!("'{part}' in '{text}': {e}"))
    };
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err(format!("'{text}' is the wrong way round"));
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_value_is_constant_and_others_are_not() {
        assert_eq!(
            Values::new(3, 3, false).unwrap().constant(),
            Some(&b"xxx"[..])
        );
        assert!(Values::new(3, 4, false).unwrap().constant().is_none());
        assert!(Values::new(3, 3, true).unwrap().constant().is_none());
        assert_eq!(Values::new(0, 0, false).unwrap().constant(), Some(&b""[..]));
    }

    #[test]
    fn lengths_cover_the_range_and_nothing_else() {
        let values = Values::new(10, 13, true).unwrap();
        let mut random = Random::new(1);
        let mut seen = [0; 4];
        for _ in 0..1000 {
            seen[values.next(&mut random).len() - 10] += 1;
        }
        assert!(seen.iter().all(|n| *n > 150), "{seen:?}");
        assert!((values.length_mean() - 11.5).abs() < f64::EPSILON);
    }

    #[test]
    fn random_values_differ() {
        let values = Values::new(32, 32, true).unwrap();
        let mut random = Random::new(1);
        let first = values.next(&mut random).to_vec();
        assert_ne!(first, values.next(&mut random));
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(parse_range("16-512"), Ok((16, 512)));
        assert!(parse_range("512-16").is_err());
        assert!(parse_range("12").is_err());
        assert!(parse_range("a-b").is_err());
        assert!(Values::new(2, 1, false).is_err());
    }
}
