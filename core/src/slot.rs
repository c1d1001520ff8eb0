//! Redis Cluster's key slots: which of the 16,384 slots a key belongs to.
//!
//! The slot is CRC-16/XMODEM (polynomial 0x1021, no reflection, start 0) of the key's hash tag, modulo 16,384. The tag
//! is what stands between the first `{` and the first `}` after it, if that is not empty; else the tag is the key. Called by
//! the router for every key of every command when there is more than one shard, and by the CLUSTER commands.
//!
//! The CRC goes through eight bytes at a time ("slicing by 8", Kounavis and Berry 2005): eight independent look-ups
//! instead of eight dependent ones. The tables are 4 KiB, built at compile time.

/// Number of slots.
pub const SLOTS: u16 = 16_384;

/// The slot of `key`: 0 to 16,383. O(key).
#[inline]
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// The part of `key` that decides its slot.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let inside = &key[open + 1..];
    match memchr::memchr(b'}', inside) {
        None | Some(0) => key,
        Some(close) => &inside[..close],
    }
}

/// `TABLES[k][b]`: the CRC of byte `b` followed by `k` zero bytes.
static TABLES: [[u16; 256]; 8] = tables();

const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                (crc << 1) ^ 0x1021
            } else {
                crc << 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before << 8) ^ tables[0][(before >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

/// CRC-16/XMODEM of `bytes`. O(bytes), about 8 ns for 16 bytes.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    // The odd bytes come first: with a start of 0 they need no CRC of what stands before, so they do not wait for
    // each other either.
    let (odd, eights) = bytes.split_at(bytes.len() % 8);
    let mut crc = 0u16;
    for (&byte, table) in odd.iter().rev().zip(&TABLES) {
        crc ^= table[usize::from(byte)];
    }
    for eight in eights.chunks_exact(8) {
        let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| usize::from(eight[i]));
        crc = TABLES[7][a ^ usize::from(crc >> 8)]
            ^ TABLES[6][b ^ usize::from(crc & 0xff)]
            ^ TABLES[5][c]
            ^ TABLES[4][d]
            ^ TABLES[3][e]
            ^ TABLES[2][f]
            ^ TABLES[1][g]
            ^ TABLES[0][h];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CLUSTER KEYSLOT of redis-server 7.0.
    const ORACLE: &[(&[u8], u16)] = &[
        (b"", 0),
        (b"a", 15495),
        (b"foo", 12182),
        (b"key:000000000001", 8924),
        (b"123456789", 12739),
        (b"{user1000}.following", 3443),
        (b"{user1000}.followers", 3443),
        (b"foo{}{bar}", 8363),
        (b"foo{{bar}}zap", 4015),
        (b"foo{bar}{zap}", 5061),
        (b"{}", 15257),
        (b"{", 4092),
        (b"}", 12090),
        (b"a{", 14311),
        (b"a}b{c", 13587),
        (b"{a", 10276),
        (b"}{a}", 15495),
        (b"{}{a}", 13650),
        (b"\xff\x00\x80{\x00}", 0),
        (b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{tag}", 8338),
        (b"{{}", 4092),
    ];

    #[test]
    fn as_the_oracle_answers() {
        for &(key, slot) in ORACLE {
            assert_eq!(key_slot(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn sliced_like_bytewise_for_every_length() {
        let check = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
        let bytes: Vec<u8> = (0..200u32).map(|n| (n * 167 + 13) as u8).collect();
        for start in 0..9 {
            for end in start..bytes.len() {
                assert_eq!(
                    crc16(&bytes[start..end]),
                    check.checksum(&bytes[start..end])
                );
            }
        }
    }
}
