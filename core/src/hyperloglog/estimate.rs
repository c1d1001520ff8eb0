//! The estimate from the number of registers with each value: Ertl's improved estimator, with the arithmetic in the same order as
//! Redis's, so that the counts are equal to the last digit.

use super::dense::REGISTERS;

/// Bits of a hash that a register's value comes from; the greatest value is one more.
pub(super) const VALUE_BITS: usize = 50;
/// 0.5 / ln 2.
const ALPHA_INFINITE: f64 = 0.721_347_520_444_481_7;

/// Number of registers with each value.
pub(super) type Histogram = [u32; 64];

/// The estimated number of distinct elements.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    let registers = REGISTERS as f64;
    let full = f64::from(histogram[VALUE_BITS + 1]);
    let mut z = registers * tau((registers - full) / registers);
    for &count in histogram[1..=VALUE_BITS].iter().rev() {
        z += f64::from(count);
        z *= 0.5;
    }
    z += registers * sigma(f64::from(histogram[0]) / registers);
    (ALPHA_INFINITE * registers * registers / z).round() as u64
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}
