//! The 26 access bits of an entry: when it was last used under LRU policies, a place in a queue under S3-FIFO, or minutes and a logarithmic counter under LFU policies.
//!
//! ```text
//!  LRU, fine      bit 25 clear, bits 0..25 time in units of 4 ms, wraps after 37 hours
//!  LRU, coarse    bit 25 set,   bits 0..24 time in seconds, wraps after 194 days as Redis's clock does
//!  S3-FIFO        see `fifo`
//!  LFU            bits 8..24 minutes of the last decay, bits 0..8 counter
//! ```
//! An access writes a fine time, so that eviction tells keys apart that were used within one second; `Shard::age_slice` makes fine times coarse
//! before they wrap. The LFU half is as Redis has it (`evict.c` tells the story): a Morris counter that is raised with probability
//! 1 / ((counter - 5) * factor + 1). Called on every lookup that counts as an access.

use tessera_core::entry::Entry;

use crate::shard::{Rng, Settings, Tracks, fifo};

/// Counter of a new entry under LFU, so that it is not the first to go.
const LFU_START: u32 = 5;

const COARSE: u32 = 1 << 25;
const FINE_MASK: u32 = COARSE - 1;
const SECONDS_MASK: u32 = (1 << 24) - 1;
/// A fine unit is 1 << 2 milliseconds.
const FINE_SHIFT: u32 = 2;
/// From this age on a fine time is made coarse.
const FINE_MS_MAX: u64 = 9 * 3_600_000;
/// All entries are looked at within this time: the oldest fine time is 9 + 12 hours old, of 37.
pub(crate) const AGING_MS: u64 = 12 * 3_600_000;

fn fine(at_ms: u64) -> u32 {
    (at_ms >> FINE_SHIFT) as u32 & FINE_MASK
}

fn coarse(at_ms: u64) -> u32 {
    COARSE | (at_ms / 1000) as u32 & SECONDS_MASK
}

fn minutes(now_ms: u64) -> u32 {
    (now_ms / 60_000) as u32 & 0xFFFF
}

/// Access bits of a new entry.
pub(crate) fn fresh(settings: &Settings, now_ms: u64) -> u32 {
    match settings.tracks {
        Tracks::Times => fine(now_ms),
        Tracks::Counts => minutes(now_ms) << 8 | LFU_START,
        Tracks::Queues => fifo::FRESH,
    }
}

/// Access bits of an entry that comes from elsewhere with its history, as far as the policy has a use for it.
pub(crate) fn restored(
    settings: &Settings,
    now_ms: u64,
    idle_s: Option<u64>,
    frequency: Option<u8>,
) -> u32 {
    match (settings.tracks, frequency, idle_s) {
        (Tracks::Counts, Some(frequency), _) => minutes(now_ms) << 8 | u32::from(frequency),
        (Tracks::Times, _, Some(idle_s)) => {
            coarse(now_ms.saturating_sub(idle_s.saturating_mul(1000)))
        }
        _ => fresh(settings, now_ms),
    }
}

/// Notes one more access. Writes only what differs, so that reading a hot key leaves its line clean.
#[inline]
pub(crate) fn touch(entry: &Entry, settings: &Settings, now_ms: u64, rng: &mut Rng) {
    let old = entry.access();
    let new = touched(old, settings, now_ms, rng);
    if new != old {
        entry.set_access(new);
    }
}

/// Access bits after one more access.
#[inline]
fn touched(old: u32, settings: &Settings, now_ms: u64, rng: &mut Rng) -> u32 {
    match settings.tracks {
        Tracks::Times => return fine(now_ms),
        Tracks::Queues => return fifo::used(old),
        Tracks::Counts => {}
    }
    let counter = frequency(old, settings, now_ms);
    let raised = if counter >= 255 {
        counter
    } else {
        let base = u64::from(counter.saturating_sub(LFU_START));
        let chance = base * u64::from(settings.lfu_log_factor) + 1;
        counter + u32::from(rng.below(chance) == 0)
    };
    minutes(now_ms) << 8 | raised
}

/// The LFU counter as it stands after decay: OBJECT FREQ.
pub(crate) fn frequency(access: u32, settings: &Settings, now_ms: u64) -> u32 {
    let counter = access & 0xFF;
    if settings.lfu_decay_minutes == 0 {
        return counter;
    }
    let elapsed = minutes(now_ms).wrapping_sub(access >> 8) & 0xFFFF;
    counter.saturating_sub(elapsed / settings.lfu_decay_minutes)
}

/// Milliseconds since the last access under LRU.
pub(crate) fn idle_ms(access: u32, now_ms: u64) -> u64 {
    if access & COARSE == 0 {
        u64::from(fine(now_ms).wrapping_sub(access) & FINE_MASK) << FINE_SHIFT
    } else {
        u64::from(coarse(now_ms).wrapping_sub(access) & SECONDS_MASK) * 1000
    }
}

/// The bits under LRU as they have to be written to outlast the fine clock, if they have to be.
pub(crate) fn aged(access: u32, now_ms: u64) -> Option<u32> {
    let idle_ms = idle_ms(access, now_ms);
    (access & COARSE == 0 && idle_ms >= FINE_MS_MAX).then(|| coarse(now_ms.saturating_sub(idle_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_wraps_with_the_clock() {
        assert_eq!(idle_ms(fine(5_000), 9_000), 4_000);
        assert_eq!(
            idle_ms(fine(4 * u64::from(FINE_MASK)), 4 * (1 << 25) + 8),
            12
        );
        let last_ms = 1_000 * u64::from(SECONDS_MASK);
        assert_eq!(idle_ms(coarse(last_ms), last_ms + 4_000), 4_000);
    }

    #[test]
    fn old_times_are_made_coarse_before_they_wrap() {
        let settings = Settings::default();
        let (start_ms, hour_ms) = (1_700_000_000_000, 3_600_000);
        let mut bits = fresh(&settings, start_ms);
        assert_eq!(aged(bits, start_ms + 8 * hour_ms), None);
        for passed in (0..4_000).step_by(12) {
            let now_ms = start_ms + passed * hour_ms;
            let idle_ms = idle_ms(bits, now_ms);
            assert!(idle_ms.abs_diff(passed * hour_ms) < 1_000, "{passed} hours");
            bits = aged(bits, now_ms).unwrap_or(bits);
        }
        let restored = restored(&settings, start_ms, Some(86_400), None);
        assert_eq!(idle_ms(restored, start_ms), 86_400_000);
    }

    #[test]
    fn lfu_counts_and_decays() {
        let settings = Settings {
            tracks: Tracks::Counts,
            ..Settings::default()
        };
        let mut rng = Rng::new(1);
        let mut bits = fresh(&settings, 0);
        for _ in 0..10_000 {
            bits = touched(bits, &settings, 0, &mut rng);
        }
        let hot = frequency(bits, &settings, 0);
        assert!((20..255).contains(&hot), "{hot}");
        assert_eq!(frequency(bits, &settings, 3 * 60_000), hot - 3);
    }
}
