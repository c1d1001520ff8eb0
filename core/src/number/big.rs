//! Natural numbers of any size, with the few operations that exact conversion between decimal and binary takes.
//!
//! Limbs of 64 bits, the least significant first, no zero limb at the top. Used by the long double reader and
//! writer for the numbers that do not fit 128 bits; nobody else should need it.

use std::cmp::Ordering;

use super::text::Unrounded;

/// 10^19, the largest power of ten in a limb, and its digits.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// 5^27, the largest power of five in a limb.
const FIVES: u64 = 7_450_580_596_923_828_125;
const FIVES_POWER: u32 = 27;

/// A natural number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Big {
    limbs: Vec<u64>,
}

impl Big {
    pub(super) fn from_u64(number: u64) -> Self {
        let mut big = Self::default();
        big.multiply_add(1, number);
        big
    }

    /// The number with these decimal digits (ASCII), the most significant first. O(digits²).
    pub(super) fn from_decimal(digits: impl Iterator<Item = u8>) -> Self {
        let mut big = Self::default();
        let (mut chunk, mut scale) = (0u64, 1u64);
        for digit in digits {
            chunk = chunk * 10 + u64::from(digit - b'0');
            scale *= 10;
            if scale == CHUNK {
                big.multiply_add(scale, chunk);
                (chunk, scale) = (0, 1);
            }
        }
        big.multiply_add(scale, chunk);
        big
    }

    /// 5^`power`. O(power²).
    pub(super) fn power_of_five(power: u32) -> Self {
        let mut big = Self::from_u64(5u64.pow(power % FIVES_POWER));
        for _ in 0..power / FIVES_POWER {
            big.multiply_add(FIVES, 0);
        }
        big
    }

    /// This × `factor` + `addend`.
    pub(super) fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for limb in &mut self.limbs {
            let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
            *limb = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry != 0 {
            self.limbs.push(carry);
        }
    }

    /// This × `other`. O(limbs × limbs).
    pub(super) fn multiply(&self, other: &Self) -> Self {
        let mut limbs = vec![0u64; self.limbs.len() + other.limbs.len()];
        for (at, &a) in self.limbs.iter().enumerate() {
            let mut carry = 0u64;
            for (sum, &b) in limbs[at..].iter_mut().zip(&other.limbs) {
                let product = u128::from(a) * u128::from(b) + u128::from(*sum) + u128::from(carry);
                *sum = product as u64;
                carry = (product >> 64) as u64;
            }
            limbs[at + other.limbs.len()] = carry;
        }
        let mut product = Self { limbs };
        product.trim();
        product
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    /// Number of significant bits.
    fn bits(&self) -> u64 {
        match self.limbs.last() {
            Some(top) => self.limbs.len() as u64 * 64 - u64::from(top.leading_zeros()),
            None => 0,
        }
    }

    /// This × 2^`bits`.
    pub(super) fn shift_left(&mut self, bits: u64) {
        let (whole, part) = ((bits / 64) as usize, bits % 64);
        if part != 0 {
            self.multiply_add(1 << part, 0);
        }
        self.limbs.splice(0..0, std::iter::repeat_n(0, whole));
        self.trim();
    }

    /// Takes away `other`, which must not be larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (at, limb) in self.limbs.iter_mut().enumerate() {
            let subtrahend = other.limbs.get(at).copied().unwrap_or(0);
            let (difference, under) = limb.overflowing_sub(subtrahend);
            let (difference, under_again) = difference.overflowing_sub(u64::from(borrow));
            *limb = difference;
            borrow = under || under_again;
        }
        self.trim();
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// The top 128 bits.
    pub(super) fn unrounded(&self) -> Unrounded {
        let dropped = self.bits().saturating_sub(128);
        let (whole, part) = ((dropped / 64) as usize, dropped % 64);
        let limb = |at: usize| u128::from(self.limbs.get(at).copied().unwrap_or(0));
        let low = (limb(whole) | limb(whole + 1) << 64) >> part;
        // The top limb reaches into the mantissa only when the cut is inside a limb.
        let high = if part == 0 {
            0
        } else {
            limb(whole + 2) << (128 - part)
        };
        let is_set = |limb: &u64| *limb != 0;
        Unrounded {
            mantissa: low | high,
            exponent: dropped as i64,
            sticky: self.limbs.iter().take(whole).any(is_set)
                || limb(whole) & ((1 << part) - 1) != 0,
        }
    }

    /// This ÷ `divisor` (neither zero) to at least 127 bits, by long division in base 2. O(128 × limbs).
    pub(super) fn divide(mut self, mut divisor: Self) -> Unrounded {
        let (own, other) = (self.bits(), divisor.bits());
        if own < other {
            self.shift_left(other - own);
        } else {
            divisor.shift_left(own - other);
        }
        let mut mantissa = 0u128;
        for _ in 0..128 {
            mantissa <<= 1;
            if self.compare(&divisor) != Ordering::Less {
                self.subtract(&divisor);
                mantissa |= 1;
            }
            self.multiply_add(2, 0);
        }
        Unrounded {
            mantissa,
            exponent: own as i64 - other as i64 - 127,
            sticky: !self.limbs.is_empty(),
        }
    }

    /// Appends the decimal digits; nothing for zero. O(limbs²): about half a millisecond for 16,384 bits.
    pub(super) fn write_decimal(mut self, out: &mut Vec<u8>) {
        let mut chunks = Vec::with_capacity(self.limbs.len() + 1);
        while !self.limbs.is_empty() {
            let mut rest = 0u64;
            for limb in self.limbs.iter_mut().rev() {
                let dividend = u128::from(rest) << 64 | u128::from(*limb);
                *limb = (dividend / u128::from(CHUNK)) as u64;
                rest = (dividend % u128::from(CHUNK)) as u64;
            }
            self.trim();
            chunks.push(rest);
        }
        let mut digits = itoa::Buffer::new();
        for (at, chunk) in chunks.into_iter().rev().enumerate() {
            let text = digits.format(chunk).as_bytes();
            if at > 0 {
                out.resize(out.len() + CHUNK_DIGITS - text.len(), b'0');
            }
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(digits: &str) -> Big {
        Big::from_decimal(digits.bytes())
    }

    fn decimal(number: Big) -> String {
        let mut out = Vec::new();
        number.write_decimal(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimal_round_trips() {
        for digits in [
            "1".to_owned(),
            "9999999999999999999".to_owned(),
            "10000000000000000000".to_owned(),
            "18446744073709551616".to_owned(),
            "1234567890".repeat(40),
            format!("1{}", "0".repeat(400)),
        ] {
            assert_eq!(decimal(big(&digits)), digits);
        }
        assert_eq!(big("0"), Big::default());
        assert_eq!(big("00012"), Big::from_u64(12));
    }

    #[test]
    fn powers_products_and_shifts() {
        let mut tens = Big::power_of_five(100);
        tens.shift_left(100);
        assert_eq!(decimal(tens.clone()), format!("1{}", "0".repeat(100)));
        assert_eq!(
            decimal(tens.multiply(&tens)),
            format!("1{}", "0".repeat(200))
        );
        assert_eq!(
            Big::power_of_five(60),
            Big::power_of_five(29).multiply(&Big::power_of_five(31))
        );
        assert_eq!(Big::default().multiply(&tens), Big::default());
    }

    #[test]
    fn top_bits() {
        for (shift, low) in [
            (0, 0),
            (0, 1),
            (3, 1),
            (63, 1),
            (64, 0),
            (64, 1),
            (127, 1),
            (128, 1),
            (1000, 1),
        ] {
            for high in [1u64, 3, 1 << 40, u64::MAX] {
                let mut number = Big::from_u64(high);
                number.shift_left(shift);
                number.multiply_add(1, low);
                let Unrounded {
                    mantissa,
                    exponent,
                    sticky,
                } = number.unrounded();
                // Every bit is either in the mantissa or told of by `sticky`.
                let mut back = Big::from_u64((mantissa >> 64) as u64);
                back.shift_left(64);
                back.multiply_add(1, mantissa as u64);
                back.shift_left(exponent as u64);
                assert_eq!(back == number, !sticky, "{high} << {shift} + {low}");
                assert!(exponent == 0 || mantissa >> 127 == 1);
            }
        }
    }

    #[test]
    fn quotients() {
        let third = Big::from_u64(1).divide(Big::from_u64(3));
        assert_eq!(
            (third.mantissa, third.exponent, third.sticky),
            (u128::MAX / 3, -128, true)
        );
        let exact = big("1000000000000000000000000").divide(big("1000000000000000000000"));
        assert_eq!(exact.mantissa >> 117, 1000);
        assert_eq!((exact.exponent, exact.sticky), (-117, false));
    }
}
