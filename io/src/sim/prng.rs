//! `Prng`: the one source of randomness of a simulation.
//!
//! xoshiro256++ seeded by splitmix64, both by David Blackman and Sebastiano Vigna, public domain:
//! <https://prng.di.unimi.it/xoshiro256plusplus.c> and <https://prng.di.unimi.it/splitmix64.c>.
//! Invariant: the numbers depend on the seed and on the order of the calls, and on nothing else; the
//! test vectors below keep a recorded seed meaning the same run on every machine.
//! Called by everything in `sim`, and by tests for decisions of their own.

use super::faults::Bounds;

/// What a probability in parts per million is measured against.
const MILLION: u64 = 1_000_000;

/// A seeded stream of random numbers.
#[derive(Clone, Debug)]
pub struct Prng {
    state: [u64; 4],
}

/// One step of splitmix64: also a good mixer of a single word.
pub(super) fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Prng {
    /// The stream that belongs to this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut seeder = seed;
        Self {
            state: std::array::from_fn(|_| splitmix64(&mut seeder)),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `n`, or 0 when `n` is 0. The bias of the multiplication (below n / 2^64) does
    /// not matter here, and a rejection loop would make the count of draws depend on their values.
    pub fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(n);
        (wide >> 64) as u64
    }

    /// An index below `n`, or 0 when `n` is 0.
    pub fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// A number between the bounds, both included.
    pub fn within(&mut self, bounds: Bounds) -> u64 {
        // A fixed value costs no draw, so that `Faults::none` runs fast.
        match bounds.max.saturating_sub(bounds.min) {
            0 => bounds.min,
            u64::MAX => self.bits(),
            width => bounds.min + self.below(width + 1),
        }
    }

    /// True with this probability, in parts per million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        match u64::from(ppm) {
            0 => false,
            MILLION.. => true,
            ppm => self.below(MILLION) < ppm,
        }
    }

    /// A stream of its own, so that one part's draws do not shift those of another.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_vectors() {
        let mut seeder = 1_477_776_061_723_855_037;
        let expected = [1_985_237_415_132_408_290, 2_979_275_885_539_914_483];
        assert_eq!(expected, [splitmix64(&mut seeder), splitmix64(&mut seeder)]);
        let mut prng = Prng {
            state: [1, 2, 3, 4],
        };
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
        ];
        assert_eq!(expected, std::array::from_fn(|_| prng.bits()));
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut prng = Prng::new(7);
        let bounds = Bounds::new(10, 13);
        let mut seen = [0; 4];
        for _ in 0..1_000 {
            seen[(prng.within(bounds) - 10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 150), "{seen:?}");
        assert_eq!(5, prng.within(Bounds::new(5, 5)));
        assert_eq!(0, prng.below(0));
        assert_eq!(0, prng.below(1));
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut prng = Prng::new(8);
        let hits = (0..10_000).filter(|_| prng.chance(250_000)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..100).all(|_| prng.chance(1_000_000)));
        assert!((0..100).all(|_| !prng.chance(0)));
    }

    #[test]
    fn seeds_and_forks_differ() {
        let (mut a, mut b) = (Prng::new(1), Prng::new(2));
        assert_ne!(a.bits(), b.bits());
        let mut fork = a.fork();
        assert_ne!(a.bits(), fork.bits());
        assert_eq!(Prng::new(1).bits(), Prng::new(1).bits());
    }
}
