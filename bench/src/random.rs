//! Random numbers of the load: a fast generator with uniform, normal and Zipf draws, each in constant
//! time. Seeds are constants, so two runs with the same flags send the same requests.

/// xoshiro256++, seeded through splitmix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
    spare_normal: Option<f64>,
}

impl Random {
    /// A generator whose sequence depends on `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        let state = std::array::from_fn(|_| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self {
            state,
            spare_normal: None,
        }
    }

    /// A generator that nobody can repeat.
    #[must_use]
    pub fn from_time() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::new(now.map_or(0, |now| now.as_nanos() as u64))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The bias of the multiplication is below
    /// `bound / 2^64`, far under what a latency table can show.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `[0, 1)`.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Normal with mean 0 and deviation 1, by Marsaglia's polar method, which makes two at a time.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let x = self.unit().mul_add(2.0, -1.0);
            let y = self.unit().mul_add(2.0, -1.0);
            let square = x.mul_add(x, y * y);
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare_normal = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            let length = chunk.len();
            chunk.copy_from_slice(&word[..length]);
        }
    }
}

/// Zipf over the ranks `1..=ranks`: rank k is drawn in proportion to `k^-exponent`.
///
/// Rejection-inversion after Hörmann and Derflinger (1996): no table, so ten million keys cost
/// nothing to set up, and fewer than 1.2 rounds per draw for any exponent.
#[derive(Clone, Debug)]
pub struct Zipf {
    ranks: f64,
    exponent: f64,
    area_first: f64,
    area_all: f64,
    shortcut: f64,
}

impl Zipf {
    /// A distribution over `ranks` ranks (at least one) with a positive `exponent`.
    #[must_use]
    pub fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks.max(1) as f64;
        Self {
            ranks,
            exponent,
            area_first: area(1.5, exponent) - 1.0,
            area_all: area(ranks + 0.5, exponent),
            shortcut: 2.0 - area_inverse(area(2.5, exponent) - height(2.0, exponent), exponent),
        }
    }

    /// One rank, from 1 (the most frequent) on.
    pub fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let u = random
                .unit()
                .mul_add(self.area_first - self.area_all, self.area_all);
            let x = area_inverse(u, self.exponent);
            let rank = (x + 0.5).floor().clamp(1.0, self.ranks);
            if rank - x <= self.shortcut
                || u >= area(rank + 0.5, self.exponent) - height(rank, self.exponent)
            {
                return rank as u64;
            }
        }
    }
}

/// `x^-e`.
fn height(x: f64, e: f64) -> f64 {
    (-e * x.ln()).exp()
}

/// The integral of `height`, in a form that stays exact when `e` is close to 1.
fn area(x: f64, e: f64) -> f64 {
    let log = x.ln();
    let y = (1.0 - e) * log;
    let ratio = if y.abs() > 1e-8 {
        y.exp_m1() / y
    } else {
        1.0 + y / 2.0
    };
    ratio * log
}

/// The inverse of `area`.
fn area_inverse(u: f64, e: f64) -> f64 {
    let y = (u * (1.0 - e)).max(-1.0);
    let ratio = if y.abs() > 1e-8 {
        y.ln_1p() / y
    } else {
        1.0 - y / 2.0
    };
    (ratio * u).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut random = Random::new(1);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn normal_has_the_mean_and_deviation_it_promises() {
        let mut random = Random::new(2);
        let draws: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
    }

    #[test]
    fn zipf_follows_its_law() {
        for exponent in [0.5, 0.99, 1.0, 1.5] {
            let ranks = 1000;
            let zipf = Zipf::new(ranks, exponent);
            let mut random = Random::new(3);
            let mut seen = vec![0u32; ranks as usize + 1];
            let draws = 400_000;
            for _ in 0..draws {
                seen[zipf.draw(&mut random) as usize] += 1;
            }
            assert_eq!(seen[0], 0);
            let norm: f64 = (1..=ranks).map(|k| (k as f64).powf(-exponent)).sum();
            for rank in [1u64, 2, 5, 10, 100] {
                let expected = draws as f64 * (rank as f64).powf(-exponent) / norm;
                let got = f64::from(seen[rank as usize]);
                // Five standard deviations of a binomial count.
                assert!(
                    (got - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                    "exponent {exponent} rank {rank}: {got} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn zipf_of_one_rank_is_that_rank() {
        let zipf = Zipf::new(1, 1.0);
        let mut random = Random::new(4);
        assert!((0..100).all(|_| zipf.draw(&mut random) == 1));
    }

    #[test]
    fn fill_covers_odd_lengths() {
        let mut random = Random::new(5);
        let mut bytes = [0u8; 37];
        random.fill(&mut bytes);
        assert!(bytes[32..].iter().any(|b| *b != 0));
    }
}
