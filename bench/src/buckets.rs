//! Coarse latency buckets, for what is shown while a run goes on or over its time: sixteen per power of two, so a
//! value is at most 6 % below its bucket's bound. The tables have exact histograms of their own.

const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 4;

/// How many buckets there are.
pub const BUCKETS: usize = 64 * STEPS;

/// The bucket of a latency: its power of two, then the bits below the leading one.
#[inline]
#[must_use]
pub fn bucket(latency_ns: u64) -> usize {
    let value = latency_ns.max(STEPS as u64);
    let power = value.ilog2();
    let step = (value >> (power - STEP_BITS)) as usize & (STEPS - 1);
    power as usize * STEPS + step
}

/// The largest latency of a bucket.
#[must_use]
pub fn upper_bound(bucket: usize) -> u64 {
    let power = (bucket / STEPS) as u32;
    let step = (bucket % STEPS) as u64;
    let width = 1u64 << power.saturating_sub(STEP_BITS);
    (1u64 << power)
        .saturating_add((step + 1).saturating_mul(width))
        .saturating_sub(1)
}

/// The latency that `quantile` of the counts do not exceed; `None` without counts.
pub fn quantile(counts: impl Iterator<Item = u64> + Clone, quantile: f64) -> Option<u64> {
    let total: u64 = counts.clone().sum();
    let wanted = ((total as f64 * quantile).ceil() as u64).max(1);
    let mut seen = 0;
    for (index, count) in counts.enumerate() {
        seen += count;
        if seen >= wanted {
            return Some(upper_bound(index));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_its_bound_says() {
        for value in [16u64, 19, 100, 1023, 1024, 123_456_789, u64::MAX / 2] {
            let bound = upper_bound(bucket(value));
            assert!(
                bound >= value && bound as f64 <= value as f64 * 1.07,
                "{value}: {bound}"
            );
        }
        assert_eq!(bucket(0), bucket(16));
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_counts() {
        let mut counts = vec![0; BUCKETS];
        assert_eq!(quantile(counts.iter().copied(), 0.5), None);
        counts[bucket(10_000)] = 98;
        counts[bucket(50_000)] = 2;
        let at = |q| quantile(counts.iter().copied(), q).unwrap();
        assert!((10_000..10_700).contains(&at(0.5)) && (50_000..53_500).contains(&at(0.99)));
        assert_eq!(at(0.0), at(0.5));
    }
}
