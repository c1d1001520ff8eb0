//! LZF, the compression of strings in RDB files.
//!
//! ```text
//! 000lllll bytes              l + 1 bytes as they are
//! lllooooo oooooooo           l + 2 bytes (l from 1 to 6) from o + 1 bytes back
//! 111ooooo llllllll oooooooo  l + 9 bytes from o + 1 bytes back
//! ```
//! Written here and not taken from the `lzf` crate: that one allocates a table of half a mebibyte for every string that it compresses. Invariant: reading
//! never goes beyond what was announced, whatever the bytes are.

/// Bits of a hash.
const HASH_BITS: u32 = 14;
/// Farthest that a match may lie back.
const DISTANCE_MAX: usize = 1 << 13;
/// Longest match.
const MATCH_MAX: usize = 264;
/// Longest run of bytes as they are.
const RUN_MAX: usize = 32;
/// What one byte of input can become at most.
const EXPANSION_MAX: usize = MATCH_MAX / 3 + 1;

/// Compresses strings, one after the other.
pub(crate) struct Compressor {
    /// Where each hash was seen last, counted over all strings so far; what lies before the current one is not there.
    seen: Box<[u32]>,
    /// The number of the current string's first byte.
    base: u32,
}

impl Default for Compressor {
    fn default() -> Self {
        Self {
            seen: vec![0; 1 << HASH_BITS].into(),
            base: 1,
        }
    }
}

fn hash(three: &[u8]) -> usize {
    let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
    (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

impl Compressor {
    /// Appends the compressed form if it takes at most `most` bytes, and says whether it did. O(bytes).
    pub(crate) fn compress(&mut self, data: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
        let Ok(length) = u32::try_from(data.len()) else {
            return false;
        };
        if self.base.checked_add(length).is_none() {
            self.seen.fill(0);
            self.base = 1;
            if self.base.checked_add(length).is_none() {
                return false;
            }
        }
        let start = out.len();
        let fits = self.write(data, start + most, out);
        self.base += length;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    fn write(&mut self, data: &[u8], end: usize, out: &mut Vec<u8>) -> bool {
        let (mut at, mut run) = (0, 0);
        while at < data.len() {
            let (length, distance) = self.find(data, at);
            if length < 3 {
                at += 1;
                continue;
            }
            put_runs(&data[run..at], out);
            put_match(length - 2, distance - 1, out);
            if out.len() > end {
                return false;
            }
            for passed in at + 1..(at + length).min(data.len().saturating_sub(2)) {
                self.seen[hash(&data[passed..])] = self.base + passed as u32;
            }
            at += length;
            run = at;
        }
        put_runs(&data[run..], out);
        out.len() <= end
    }

    /// The length and distance of a match for the bytes at `at`; a length of 0 is none.
    fn find(&mut self, data: &[u8], at: usize) -> (usize, usize) {
        if at + 3 > data.len() {
            return (0, 0);
        }
        let place = &mut self.seen[hash(&data[at..])];
        let before = std::mem::replace(place, self.base + at as u32);
        let Some(before) = before.checked_sub(self.base).map(|before| before as usize) else {
            return (0, 0);
        };
        let distance = at - before;
        if distance == 0 || distance > DISTANCE_MAX {
            return (0, 0);
        }
        let most = (data.len() - at).min(MATCH_MAX);
        let (old, new) = (&data[before..], &data[at..at + most]);
        let length = new.iter().zip(old).take_while(|(a, b)| a == b).count();
        (length, distance)
    }
}

fn put_runs(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(RUN_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn put_match(length: usize, distance: usize, out: &mut Vec<u8>) {
    let high = (distance >> 8) as u8;
    if length < 7 {
        out.push((length as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (length - 7) as u8]);
    }
    out.push(distance as u8);
}

/// The bytes that were compressed, which are `length`. `None` if they are not, or cannot be.
pub(crate) fn decompress(data: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > data.len().checked_mul(EXPANSION_MAX)? {
        return None;
    }
    let mut out = Vec::new();
    out.try_reserve_exact(length).ok()?;
    let mut rest = data;
    while let [control, tail @ ..] = rest {
        let control = usize::from(*control);
        if control < RUN_MAX {
            let (run, tail) = tail.split_at_checked(control + 1)?;
            if out.len() + run.len() > length {
                return None;
            }
            out.extend_from_slice(run);
            rest = tail;
            continue;
        }
        let (extra, tail) = match control >> 5 {
            7 => tail
                .split_first()
                .map(|(more, tail)| (7 + usize::from(*more), tail))?,
            short => (short, tail),
        };
        let (low, tail) = tail.split_first()?;
        let distance = ((control & 0x1F) << 8 | usize::from(*low)) + 1;
        let from = out.len().checked_sub(distance)?;
        if out.len() + extra + 2 > length {
            return None;
        }
        for place in from..from + extra + 2 {
            out.push(out[place]);
        }
        rest = tail;
    }
    (out.len() == length).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(compressor: &mut Compressor, data: &[u8]) -> usize {
        let mut packed = b"before".to_vec();
        assert!(compressor.compress(data, 2 * data.len() + 9, &mut packed));
        assert_eq!(decompress(&packed[6..], data.len()).as_deref(), Some(data));
        packed.len() - 6
    }

    proptest! {
        #[test]
        fn round_trip(parts in prop::collection::vec(prop::collection::vec(0..3u8, 0..700), 1..5)) {
            let mut compressor = Compressor::default();
            for part in parts {
                there_and_back(&mut compressor, &part);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read(data in prop::collection::vec(any::<u8>(), 0..60), length in 0..900usize) {
            prop_assert!(decompress(&data, length).is_none_or(|read| read.len() == length));
        }
    }

    #[test]
    fn repetitions_shrink_and_the_rest_is_refused() {
        let mut compressor = Compressor::default();
        assert!(there_and_back(&mut compressor, &[b'a'; 10_000]) < 150);
        let counting: Vec<u8> = (0..200).collect();
        let mut out = vec![1];
        assert!(!compressor.compress(&counting, 196, &mut out));
        assert_eq!(out, [1], "nothing is left of it");
        there_and_back(&mut compressor, b"");
        assert!(decompress(&[7], usize::MAX).is_none());
    }
}
