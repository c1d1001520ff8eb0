//! The payload of FUNCTION DUMP: an RDB fragment of function records, its version and a checksum, as Redis writes it.

use crc::{CRC_64_REDIS, Crc};

/// RDB's opcode for a library.
const FUNCTION: u8 = 245;
/// The RDB version that we write, and the last one that we read.
const VERSION: u16 = 10;
const VERSION_MAX: u16 = 11;
const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);
/// Version and checksum.
const FOOTER_BYTES: usize = 10;

/// All libraries as one payload.
pub fn dump<'a>(sources: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for source in sources {
        out.push(FUNCTION);
        match source.len() {
            len @ 0..0x40 => out.push(len as u8),
            len @ 0x40..0x4000 => out.extend_from_slice(&(0x4000 | len as u16).to_be_bytes()),
            len => {
                out.push(0x80);
                out.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
        out.extend_from_slice(source);
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = CRC.checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The sources in a payload. `None`: it is none, or broken.
#[must_use]
pub fn restore(payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let version = u16::from_le_bytes(footer[..2].try_into().ok()?);
    let sum = u64::from_le_bytes(footer[2..].try_into().ok()?);
    if version > VERSION_MAX || CRC.checksum(&payload[..payload.len() - 8]) != sum {
        return None;
    }
    let mut sources = Vec::new();
    let mut rest = body;
    while let Some((kind, tail)) = rest.split_first() {
        if *kind != FUNCTION {
            return None;
        }
        rest = tail;
        sources.push(string(&mut rest)?);
    }
    Some(sources)
}

/// A length, or the kind of an encoded string.
fn length(rest: &mut &[u8]) -> Option<Result<usize, u8>> {
    let (&first, tail) = rest.split_first()?;
    *rest = tail;
    Some(match first >> 6 {
        0 => Ok(usize::from(first)),
        1 => Ok(usize::from(first & 0x3F) << 8 | usize::from(take(rest, 1)?[0])),
        2 if first == 0x80 => Ok(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?) as usize),
        2 => Ok(u64::from_be_bytes(take(rest, 8)?.try_into().ok()?) as usize),
        _ => Err(first & 0x3F),
    })
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn string(rest: &mut &[u8]) -> Option<Vec<u8>> {
    const LZF: u8 = 3;
    match length(rest)? {
        Ok(len) => Some(take(rest, len)?.to_vec()),
        Err(LZF) => {
            let packed = length(rest)?.ok()?;
            let plain = length(rest)?.ok()?;
            unpack(take(rest, packed)?, plain)
        }
        Err(_) => None,
    }
}

/// LZF: literal runs and references back.
fn unpack(mut packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    while let Some((&control, tail)) = packed.split_first() {
        packed = tail;
        let control = usize::from(control);
        if control < 32 {
            out.extend_from_slice(take(&mut packed, control + 1)?);
        } else {
            let mut count = control >> 5;
            if count == 7 {
                count += usize::from(take(&mut packed, 1)?[0]);
            }
            let low = usize::from(take(&mut packed, 1)?[0]);
            let back = ((control & 31) << 8 | low) + 1;
            let from = out.len().checked_sub(back)?;
            for at in from..from + count + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dumped_is_restored() {
        let long = vec![b'x'; 70_000];
        let sources = [&b"#!lua name=a\n"[..], b"", &[b'y'; 300], &long];
        let payload = dump(sources.into_iter());
        assert_eq!(
            restore(&payload),
            Some(sources.map(<[u8]>::to_vec).to_vec())
        );
        let mut broken = payload.clone();
        broken[20] ^= 1;
        assert_eq!((restore(&broken), restore(b"short")), (None, None));
    }

    #[test]
    fn references_reach_into_what_they_write() {
        // A literal `a`, then nine bytes from one byte back.
        assert_eq!(unpack(&[0, b'a', 7 << 5, 0, 0], 10), Some(vec![b'a'; 10]));
        assert_eq!(unpack(&[1 << 5, 0], 3), None);
    }
}
