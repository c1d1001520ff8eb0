//! `Faults`: what may go wrong in a simulated world, and how often.
//!
//! Probabilities are in parts per million of the occasion named. Invariant: whatever the values, the
//! contract of `Env` and `Disk` holds; faults only choose among the behaviours it allows, and no
//! fault but a cut, a stall or a full disk lasts for ever, so that a correct server always goes on.
//! Made by tests, read by everything in `sim`.

use super::prng::Prng;

/// An inclusive range to draw from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The smallest value.
    pub min: u64,
    /// The largest value.
    pub max: u64,
}

impl Bounds {
    /// From `min` to `max`, both included.
    #[must_use]
    pub const fn new(min: u64, max: u64) -> Self {
        assert!(min <= max);
        Self { min, max }
    }
}

/// What may go wrong, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// How long bytes, connects and closes are on their way.
    pub delay_ns: Bounds,
    /// That a fragment takes `slow_ns` longer. What follows on its connection waits behind it.
    pub slow_ppm: u32,
    /// The additional delay of a slow fragment.
    pub slow_ns: Bounds,
    /// How long a wake-up is on its way.
    pub wake_delay_ns: Bounds,
    /// How far the clock moves with every step of a shard, and with every `poll`.
    pub step_ns: Bounds,
    /// Bytes which one direction of a connection holds before its sender must wait.
    pub socket_bytes: Bounds,
    /// That a write is cut into fragments which arrive one by one.
    pub fragment_ppm: u32,
    /// Size of such a fragment.
    pub fragment_bytes: Bounds,
    /// That a read gets less than what has arrived.
    pub short_read_ppm: u32,
    /// That a send is taken in part, or not yet, though there is room.
    pub short_send_ppm: u32,
    /// Before each event of a `poll`: that the rest comes with a later one.
    pub partial_poll_ppm: u32,
    /// Events of different connections come in any order. (Within one, order is always kept.)
    pub shuffle: bool,
    /// When a shard goes to sleep: that `poll` returns without an event after `spurious_ns`.
    pub spurious_ppm: u32,
    /// How long such a sleep lasts.
    pub spurious_ns: Bounds,
    /// When a connection is made: that the network will cut it.
    pub cut_ppm: u32,
    /// When a connection is cut by the time passed.
    pub cut_ns: Bounds,
    /// When a connection is cut by the bytes sent in one direction.
    pub cut_bytes: Bounds,
    /// When a shard is about to run: that its thread is held up.
    pub stall_ppm: u32,
    /// How long a stall lasts.
    pub stall_ns: Bounds,
    /// Receive buffers per shard: while so many chunks are held, nothing more is received.
    pub chunks_max: u32,
    /// How long `CloseMode::Flush` waits for a peer that does not read; `u64::MAX`: for ever.
    pub linger_ns: Bounds,
    /// Faults of the disk.
    pub disk: DiskFaults,
}

/// What may go wrong on a disk. What a crash keeps is always random.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskFaults {
    /// That an append fails with a part of it written.
    pub write_error_ppm: u32,
    /// That a sync fails; what it was to make durable may then be lost, later syncs or not.
    pub sync_error_ppm: u32,
    /// That a read of a file or a directory fails.
    pub read_error_ppm: u32,
    /// That an open, a rename, a remove or a sync of a directory fails.
    pub directory_error_ppm: u32,
    /// How many bytes fit; beyond it appends fail with ENOSPC, in part written.
    pub capacity_bytes: u64,
}

impl DiskFaults {
    /// A disk that fails only by crashing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            write_error_ppm: 0,
            sync_error_ppm: 0,
            read_error_ppm: 0,
            directory_error_ppm: 0,
            capacity_bytes: u64::MAX,
        }
    }

    /// Each kind of fault at a random rate, or not at all.
    #[must_use]
    pub fn from_seed(prng: &mut Prng) -> Self {
        Self {
            write_error_ppm: sometimes(prng, 20_000),
            sync_error_ppm: sometimes(prng, 20_000),
            read_error_ppm: 0, // a start that cannot read its files ends a run and shows nothing
            directory_error_ppm: sometimes(prng, 20_000),
            capacity_bytes: u64::MAX,
        }
    }
}

impl Faults {
    /// A calm world: fixed small delays, whole chunks, nothing lost.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            delay_ns: Bounds::new(20_000, 20_000),
            slow_ppm: 0,
            slow_ns: Bounds::new(0, 0),
            wake_delay_ns: Bounds::new(2_000, 2_000),
            step_ns: Bounds::new(1_000, 1_000),
            socket_bytes: Bounds::new(256 * 1024, 256 * 1024),
            fragment_ppm: 0,
            fragment_bytes: Bounds::new(1, 16 * 1024),
            short_read_ppm: 0,
            short_send_ppm: 0,
            partial_poll_ppm: 0,
            shuffle: false,
            spurious_ppm: 0,
            spurious_ns: Bounds::new(0, 0),
            cut_ppm: 0,
            cut_ns: Bounds::new(0, 0),
            cut_bytes: Bounds::new(0, 0),
            stall_ppm: 0,
            stall_ns: Bounds::new(0, 0),
            chunks_max: 1_024,
            linger_ns: Bounds::new(5_000_000_000, 5_000_000_000),
            disk: DiskFaults::none(),
        }
    }

    /// A world with its own mixture of faults.
    ///
    /// Each kind is switched off in half of the worlds: a fault that is always on hides the bugs
    /// which need its absence (swarm testing, Groce et al., ISSTA 2012).
    #[must_use]
    pub fn from_seed(prng: &mut Prng) -> Self {
        // The widths differ by powers of ten, so that wake-ups, the network and stalls overtake each
        // other in some worlds and hardly ever in others.
        let delay_max = 10_u64.pow(3 + prng.below(4) as u32);
        let wake_max = 10_u64.pow(2 + prng.below(4) as u32);
        let socket_max = 1_u64 << (6 + prng.below(12));
        let fragment_max = 1_u64 << prng.below(15);
        Self {
            delay_ns: Bounds::new(delay_max / 20, delay_max),
            slow_ppm: sometimes(prng, 50_000),
            slow_ns: Bounds::new(delay_max, delay_max * 50),
            wake_delay_ns: Bounds::new(0, wake_max),
            step_ns: Bounds::new(0, 10_u64.pow(2 + prng.below(3) as u32)),
            socket_bytes: Bounds::new(1 + socket_max / 8, socket_max),
            fragment_ppm: sometimes(prng, 500_000),
            fragment_bytes: Bounds::new(1, fragment_max),
            short_read_ppm: sometimes(prng, 300_000),
            short_send_ppm: sometimes(prng, 300_000),
            partial_poll_ppm: sometimes(prng, 300_000),
            shuffle: prng.chance(750_000),
            spurious_ppm: sometimes(prng, 200_000),
            spurious_ns: Bounds::new(0, 1_000_000),
            cut_ppm: sometimes(prng, 300_000),
            cut_ns: Bounds::new(0, 20_000_000),
            cut_bytes: Bounds::new(0, 4_096),
            stall_ppm: sometimes(prng, 20_000),
            stall_ns: Bounds::new(1_000, 10_000_000),
            chunks_max: 16 << prng.below(7),
            linger_ns: Bounds::new(2_000_000_000, 5_000_000_000),
            disk: DiskFaults::from_seed(prng),
        }
    }
}

/// 0 in half of the cases, else a rate up to `ppm_max`.
fn sometimes(prng: &mut Prng, ppm_max: u32) -> u32 {
    let rate = 1 + prng.below(u64::from(ppm_max)) as u32;
    if prng.chance(500_000) { rate } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_one_mixture() {
        let mixture = |seed| Faults::from_seed(&mut Prng::new(seed));
        assert_eq!(mixture(3), mixture(3));
        assert_ne!(mixture(3), mixture(4));
    }

    #[test]
    fn every_fault_is_on_in_some_worlds_and_off_in_others() {
        let worlds: Vec<Faults> = (0..100)
            .map(|seed| Faults::from_seed(&mut Prng::new(seed)))
            .collect();
        let rates: [fn(&Faults) -> u32; 9] = [
            |f| f.slow_ppm,
            |f| f.fragment_ppm,
            |f| f.short_read_ppm,
            |f| f.short_send_ppm,
            |f| f.partial_poll_ppm,
            |f| f.spurious_ppm,
            |f| f.cut_ppm,
            |f| f.stall_ppm,
            |f| f.disk.sync_error_ppm,
        ];
        for (kind, rate) in rates.iter().enumerate() {
            let on = worlds.iter().filter(|faults| rate(faults) > 0).count();
            assert!((25..75).contains(&on), "fault {kind} is on in {on} of 100");
        }
        assert!(worlds.iter().all(|faults| faults.socket_bytes.min > 0));
    }
}
