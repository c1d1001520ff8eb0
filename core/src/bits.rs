//! Bits of byte strings, numbered as Redis numbers them: bit 0 is the highest of the first byte.
//!
//! Plain functions over bytes: counting, searching, integers of any width at any bit, and the operations of BITOP. Whole words where it goes, so
//! that they run at the speed of memory. Called by the bitmap commands.

/// Number of bits set.
#[must_use]
pub fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let whole: u64 = words
        .iter()
        .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()))
        .sum();
    whole
        + rest
            .iter()
            .map(|byte| u64::from(byte.count_ones()))
            .sum::<u64>()
}

/// The first byte with what lies before bit `first` cleared, the bytes between, the last byte with what lies behind bit `last` cleared.
struct Cut<'a> {
    head: u8,
    head_mask: u8,
    middle: &'a [u8],
    /// Without it all lies in one byte.
    tail: Option<(u8, u8)>,
}

fn cut(bytes: &[u8], first: u64, last: u64) -> Cut<'_> {
    let (start, end) = ((first / 8) as usize, (last / 8) as usize);
    let (head_mask, tail_mask) = (0xFF >> (first % 8), 0xFFu8 << (7 - last % 8));
    if start == end {
        return Cut {
            head: bytes[start],
            head_mask: head_mask & tail_mask,
            middle: &[],
            tail: None,
        };
    }
    Cut {
        head: bytes[start],
        head_mask,
        middle: &bytes[start + 1..end],
        tail: Some((bytes[end], tail_mask)),
    }
}

/// Number of bits set from bit `first` to bit `last`, both included.
///
/// # Panics
/// If `last` is not in the bytes or below `first`.
#[must_use]
pub fn count_between(bytes: &[u8], first: u64, last: u64) -> u64 {
    let cut = cut(bytes, first, last);
    let ends = (cut.head & cut.head_mask).count_ones()
        + cut
            .tail
            .map_or(0, |(byte, mask)| (byte & mask).count_ones());
    u64::from(ends) + count(cut.middle)
}

/// Where the first bit of this value lies from bit `first` to bit `last`, both included.
///
/// # Panics
/// If `last` is not in the bytes or below `first`.
#[must_use]
pub fn find_between(bytes: &[u8], first: u64, last: u64, is_set: bool) -> Option<u64> {
    let flip = if is_set { 0 } else { 0xFF };
    let cut = cut(bytes, first, last);
    let start = first & !7;
    let head = (cut.head ^ flip) & cut.head_mask;
    if head != 0 {
        return Some(start + u64::from(head.leading_zeros()));
    }
    let (words, rest) = cut.middle.as_chunks::<8>();
    let dull = if is_set { 0 } else { u64::MAX };
    let skipped = words
        .iter()
        .take_while(|word| u64::from_ne_bytes(**word) == dull)
        .count();
    let rest = words.get(skipped).map_or(rest, |word| &word[..]);
    let tail = cut.tail.map(|(byte, mask)| (byte ^ flip) & mask);
    let bytes = rest.iter().map(|byte| byte ^ flip);
    let tail_at = start + 8 + 8 * cut.middle.len() as u64;
    let found = bytes.enumerate().find(|(_, byte)| *byte != 0);
    if let Some((index, byte)) = found {
        let at = start + 8 + 64 * skipped as u64 + 8 * index as u64;
        return Some(at + u64::from(byte.leading_zeros()));
    }
    tail.filter(|byte| *byte != 0)
        .map(|byte| tail_at + u64::from(byte.leading_zeros()))
}

/// The bit, clear beyond the end.
#[must_use]
pub fn bit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8)
        .ok()
        .and_then(|at| bytes.get(at));
    byte.is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

/// The unsigned integer of `width` bits (1 to 64) at a bit, zeros beyond the end.
#[must_use]
pub fn field(bytes: &[u8], offset: u64, width: u32) -> u64 {
    let start = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let mut window = [0; 16];
    if let Some(from) = bytes.get(start..) {
        let taken = from.len().min(9);
        window[..taken].copy_from_slice(&from[..taken]);
    }
    let bits = u128::from_be_bytes(window) << (offset % 8);
    (bits >> (128 - width)) as u64
}

/// Writes the low `width` bits (1 to 64) of a number at a bit.
///
/// # Panics
/// If the field ends beyond the bytes.
pub fn set_field(bytes: &mut [u8], offset: u64, width: u32, value: u64) {
    let start = (offset / 8) as usize;
    let shift = 128 - width - (offset % 8) as u32;
    let mask = (u128::from(u64::MAX >> (64 - width))) << shift;
    let span = ((offset % 8) as usize + width as usize).div_ceil(8);
    let bytes = &mut bytes[start..start + span];
    let mut window = [0; 16];
    window[..span].copy_from_slice(bytes);
    let bits = u128::from_be_bytes(window) & !mask | u128::from(value) << shift & mask;
    bytes.copy_from_slice(&bits.to_be_bytes()[..span]);
}

/// What BITOP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOperation {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number.
    Xor,
    /// Not set in the only one.
    Not,
}

impl BitOperation {
    /// The result for the bytes from `start` on, as many as `out` holds; strings that end earlier go on with zeros.
    pub fn apply(self, sources: &[&[u8]], start: usize, out: &mut [u8]) {
        let part = |source: &&[u8]| -> usize { source.len().saturating_sub(start).min(out.len()) };
        let lengths: Vec<usize> = sources.iter().map(part).collect();
        let parts = sources.iter().zip(&lengths);
        let mut parts = parts.map(|(source, length)| &source[start.min(source.len())..][..*length]);
        out.fill(0);
        if let Some(first) = parts.next() {
            out[..first.len()].copy_from_slice(first);
        }
        for part in parts {
            match self {
                Self::And => {
                    combine(out, part, |a, b| a & b);
                    out[part.len()..].fill(0);
                }
                Self::Or => combine(out, part, |a, b| a | b),
                Self::Xor => combine(out, part, |a, b| a ^ b),
                Self::Not => {}
            }
        }
        if self == Self::Not {
            out.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

#[inline]
fn combine(out: &mut [u8], part: &[u8], with: impl Fn(u8, u8) -> u8) {
    for (out, part) in out.iter_mut().zip(part) {
        *out = with(*out, *part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_bit_by_bit(bytes in prop::collection::vec(prop_oneof![3 => Just(0u8), 3 => Just(255u8), 2 => any::<u8>()], 1..60), a in any::<u64>(), b in any::<u64>()) {
            let bits = bytes.len() as u64 * 8;
            let (first, last) = ((a % bits).min(b % bits), (a % bits).max(b % bits));
            let set = (first..=last).filter(|at| bit(&bytes, *at)).count() as u64;
            prop_assert_eq!(count_between(&bytes, first, last), set);
            prop_assert_eq!(count(&bytes), (0..bits).filter(|at| bit(&bytes, *at)).count() as u64);
            for wanted in [true, false] {
                let found = (first..=last).find(|at| bit(&bytes, *at) == wanted);
                prop_assert_eq!(find_between(&bytes, first, last, wanted), found);
            }
        }

        #[test]
        fn fields(bytes in prop::collection::vec(any::<u8>(), 1..20), offset in 0u64..100, width in 1u32..65, value in any::<u64>()) {
            let expected = (offset..offset + u64::from(width)).fold(0u64, |sum, at| sum << 1 | u64::from(bit(&bytes, at)));
            prop_assert_eq!(field(&bytes, offset, width), expected);
            let mut changed = bytes;
            changed.resize(25, 0x5A);
            let before = changed.clone();
            set_field(&mut changed, offset, width, value);
            prop_assert_eq!(field(&changed, offset, width), value & (u64::MAX >> (64 - width)));
            set_field(&mut changed, offset, width, field(&before, offset, width));
            prop_assert_eq!(changed, before, "nothing else was touched");
        }

        #[test]
        fn operations(a in prop::collection::vec(any::<u8>(), 0..30), b in prop::collection::vec(any::<u8>(), 0..30), start in 0usize..40) {
            let at = |bytes: &[u8], index: usize| bytes.get(index).copied().unwrap_or(0);
            let mut out = vec![7; 12];
            for (operation, with) in [
                (BitOperation::And, (|a, b| a & b) as fn(u8, u8) -> u8),
                (BitOperation::Or, |a, b| a | b),
                (BitOperation::Xor, |a, b| a ^ b),
            ] {
                operation.apply(&[&a, &b], start, &mut out);
                let expected: Vec<u8> = (start..start + 12).map(|index| with(at(&a, index), at(&b, index))).collect();
                prop_assert_eq!(&out, &expected);
            }
            BitOperation::Not.apply(&[&a], start, &mut out);
            prop_assert_eq!(out, (start..start + 12).map(|index| !at(&a, index)).collect::<Vec<_>>());
        }
    }
}
