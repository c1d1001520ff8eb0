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

/// The checksum of these bytes.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    JONES.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_value() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut digest = checksum();
        digest.update(b"1234");
        digest.update(b"56789");
        assert_eq!(digest.finalize(), crc64(b"123456789"));
    }
}
