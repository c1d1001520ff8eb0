//! Mutated samples for fuzz bodies, the same ones in every run. Included by the smoke tests of `core` and `persist`.

const ROUNDS: usize = 100_000;

/// xorshift64*: enough to choose mutations.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

/// Joins some samples and disturbs the result in up to five places.
fn mutate(random: &mut Random, samples: &[&[u8]], tokens: &[&[u8]]) -> Vec<u8> {
    let mut data = vec![random.below(256) as u8];
    for _ in 0..=random.below(3) {
        data.extend_from_slice(samples[random.below(samples.len())]);
    }
    for _ in 0..random.below(6) {
        let at = random.below(data.len());
        let end = (at + random.below(6)).min(data.len());
        match random.below(4) {
            0 => drop(data.drain(at..end)),
            1 => drop(data.splice(at..at, tokens[random.below(tokens.len())].iter().copied())),
            2 => drop(data.splice(at..end, tokens[random.below(tokens.len())].iter().copied())),
            _ => data
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte = random.below(256) as u8),
        }
    }
    data
}

/// Runs the body over them; says which one it did not bear.
pub(crate) fn smoke(body: fn(&[u8]), samples: &[&[u8]], tokens: &[&[u8]]) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let data = mutate(&mut random, samples, tokens);
        let outcome = std::panic::catch_unwind(|| body(&data));
        assert!(outcome.is_ok(), "round {round}: {}", data.escape_ascii());
    }
}
