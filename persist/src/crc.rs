//! The checksum of RDB files and payloads: CRC-64/Redis (polynomial of David T. Jones, reflected, zero at the start and at the end).

use crc::{CRC_64_REDIS, Crc, Digest, Table};

/// Sixteen bytes per step: a file is read as fast as it is parsed.
static JONES: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// A checksum under way.
pub(crate) type Checksum = Digest<'static, u64, Table<16>>;

/// A checksum of nothing yet.
pub(crate) fn checksum() -> Checksum {
    JONES.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_value() {
        for pieces in [&[&b"123456789"[..]][..], &[b"1234", b"", b"56789"]] {
            let mut digest = checksum();
            pieces.iter().for_each(|piece| digest.update(piece));
            assert_eq!(digest.finalize(), 0xe9c6_d914_c4b8_d9ca);
        }
    }
}
