//! A block: some records that were appended at once, behind a line with their length and checksum.
//!
//! ```text
//! #tessera-block 1 <length> <number> <synced> <checksum>\r\n    four times 16 hexadecimal digits
//! <length bytes: whole commands in RESP>
//! ```
//! `number` counts the blocks of a file. `synced` says how many of them were known to be on the disk when this one was written: a block that is damaged although a later
//! one says that it was on the disk has been damaged afterwards; without such a witness it is the end of what a crash left. The checksum is XXH3 of the
//! bytes, seeded with that of the line before it, so that it covers the line, too.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How the line of a block begins.
pub(super) const MARK: &[u8] = b"#tessera-block 1 ";
/// The same without the version.
const NAME: &[u8] = b"#tessera-block ";
const DIGITS: usize = 16;
/// Up to the checksum.
const SUMMED_BYTES: usize = MARK.len() + 3 * (DIGITS + 1);
/// The line of a block, its end included.
pub(super) const LINE_BYTES: usize = SUMMED_BYTES + DIGITS + 2;

/// What the line of a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockLine {
    /// Bytes behind the line.
    pub(super) length: u64,
    /// Blocks before it in the file.
    pub(super) number: u64,
    /// Blocks known to be on the disk.
    pub(super) synced: u64,
    sum: u64,
}

fn put_digits(line: &mut [u8; LINE_BYTES], at: usize, mut number: u64) {
    for place in (at..at + DIGITS).rev() {
        line[place] = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

fn digits(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// The line of a block with these bytes.
pub(super) fn line_of(payload: &[u8], number: u64, synced: u64) -> [u8; LINE_BYTES] {
    let mut line = [b' '; LINE_BYTES];
    line[..MARK.len()].copy_from_slice(MARK);
    for (index, value) in [payload.len() as u64, number, synced]
        .into_iter()
        .enumerate()
    {
        put_digits(&mut line, MARK.len() + index * (DIGITS + 1), value);
    }
    let sum = xxh3_64_with_seed(payload, xxh3_64(&line[..SUMMED_BYTES]));
    put_digits(&mut line, SUMMED_BYTES, sum);
    line[LINE_BYTES - 2..].copy_from_slice(b"\r\n");
    line
}

/// The version of a block, if that is all that is known of it: whatever a later one looks like, it begins in this way.
pub(super) fn other_version(begin: &[u8]) -> Option<u64> {
    let rest = begin.strip_prefix(NAME)?;
    let digits = rest.split(|byte| *byte == b' ').next()?;
    let version = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (!begin.starts_with(MARK) && digits.len() < rest.len())
        .then_some(version)
        .filter(|version| *version > 0)
}

impl BlockLine {
    /// Reads a line. `None` if it is not one.
    pub(super) fn parse(line: &[u8; LINE_BYTES]) -> Option<Self> {
        let number = |index: usize| {
            let at = MARK.len() + index * (DIGITS + 1);
            (line[at + DIGITS] == b' ').then(|| digits(&line[at..at + DIGITS]))?
        };
        if !line.starts_with(MARK) || !line.ends_with(b"\r\n") {
            return None;
        }
        Some(Self {
            length: number(0)?,
            number: number(1)?,
            synced: number(2)?,
            sum: digits(&line[SUMMED_BYTES..SUMMED_BYTES + DIGITS])?,
        })
    }

    /// Whether these are the block's bytes.
    pub(super) fn fits(&self, line: &[u8; LINE_BYTES], payload: &[u8]) -> bool {
        self.sum == xxh3_64_with_seed(payload, xxh3_64(&line[..SUMMED_BYTES]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let line = line_of(b"", 0, 0);
        assert_eq!(other_version(&line), None);
        assert_eq!(other_version(b"#tessera-block 12 anything"), Some(12));
        for other in ["#tessera-block 2", "#tessera-block x y", "#TS:12 ", ""] {
            assert_eq!(other_version(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let payload = b"*1\r\n$4\r\nPING\r\n";
        let line = line_of(payload, 7, 5);
        let read = BlockLine::parse(&line).unwrap();
        assert_eq!((read.length, read.number, read.synced), (14, 7, 5));
        assert!(read.fits(&line, payload));
        const { assert!(LINE_BYTES < 1024, "the longest annotation that Redis skips") };
        for bit in 0..LINE_BYTES * 8 {
            let mut other = line;
            other[bit / 8] ^= 1 << (bit % 8);
            let is_same = BlockLine::parse(&other).is_some_and(|it| it.fits(&other, payload));
            assert!(!is_same, "bit {bit}");
        }
        for bit in 0..payload.len() * 8 {
            let mut other = *payload;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!read.fits(&line, &other), "bit {bit}");
        }
    }
}
