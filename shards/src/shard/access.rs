//! The 24 access bits of an entry: a clock of seconds under LRU policies, or minutes and a logarithmic counter under LFU policies.
//!
//! Both as Redis has them (`evict.c` tells the story): the LFU half is 16 bits of minutes of the last decay and 8 bits of
//! a Morris counter that is raised with probability 1 / ((counter - 5) * factor + 1). Called on every lookup that counts as an access.

use tessera_core::entry::Entry;

use crate::shard::{Rng, Settings};

/// Counter of a new entry under LFU, so that it is not the first to go.
const LFU_START: u32 = 5;
const CLOCK_MASK: u32 = (1 << 24) - 1;

/// Seconds on the 24-bit LRU clock.
pub(crate) fn lru_clock(now_ms: u64) -> u32 {
    (now_ms / 1000) as u32 & CLOCK_MASK
}

fn minutes(now_ms: u64) -> u32 {
    (now_ms / 60_000) as u32 & 0xFFFF
}

/// Access bits of a new entry.
pub(crate) fn fresh(settings: &Settings, now_ms: u64) -> u32 {
    if settings.is_lfu {
        minutes(now_ms) << 8 | LFU_START
    } else {
        lru_clock(now_ms)
    }
}

/// Access bits of an entry that comes from elsewhere with its history, as far as the policy has a use for it.
pub(crate) fn restored(
    settings: &Settings,
    now_ms: u64,
    idle_s: Option<u64>,
    frequency: Option<u8>,
) -> u32 {
    match (settings.is_lfu, frequency, idle_s) {
        (true, Some(frequency), _) => minutes(now_ms) << 8 | u32::from(frequency),
        (false, _, Some(idle_s)) => lru_clock(now_ms.saturating_sub(idle_s.saturating_mul(1000))),
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
    if !settings.is_lfu {
        return lru_clock(now_ms);
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

/// Seconds since the last access under LRU: OBJECT IDLETIME.
pub(crate) fn idle_s(access: u32, now_ms: u64) -> u32 {
    lru_clock(now_ms).wrapping_sub(access) & CLOCK_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_wraps_with_the_clock() {
        assert_eq!(idle_s(lru_clock(5_000), 9_000), 4);
        assert_eq!(idle_s(CLOCK_MASK, 1_000 * (u64::from(CLOCK_MASK) + 3)), 3);
    }

    #[test]
    fn lfu_counts_and_decays() {
        let settings = Settings {
            is_lfu: true,
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
