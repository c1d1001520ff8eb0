//! How many of the node's clients listen to what: what PUBLISH replies inside a script, whose message goes out when the script has ended.
//!
//! Told by the front ends whenever somebody subscribes or unsubscribes; asked by scripts alone, so nobody else waits for its lock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tessera_core::glob::glob_match;

/// The kinds of subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listening {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Sharded,
}

type Counts = HashMap<Box<[u8]>, u64>;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Audience(Mutex<[Counts; 3]>);

impl Audience {
    /// Somebody listens to this from now on.
    pub fn comes(&self, kind: Listening, name: &[u8]) {
        *self.counts()[kind as usize].entry(name.into()).or_default() += 1;
    }

    /// Somebody has stopped to listen to this.
    pub fn goes(&self, kind: Listening, name: &[u8]) {
        let mut counts = self.counts();
        let of_kind = &mut counts[kind as usize];
        if let Some(count) = of_kind.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                of_kind.remove(name);
            }
        }
    }

    /// How many a message of this channel reaches, by PUBLISH or by SPUBLISH.
    #[must_use]
    pub fn receivers(&self, is_sharded: bool, channel: &[u8]) -> u64 {
        let [channels, patterns, sharded] = &*self.counts();
        let of = |counts: &Counts| counts.get(channel).copied().unwrap_or(0);
        if is_sharded {
            return of(sharded);
        }
        let matching = patterns
            .iter()
            .filter(|(pattern, _)| glob_match(pattern, channel));
        of(channels) + matching.map(|(_, count)| count).sum::<u64>()
    }

    fn counts(&self) -> MutexGuard<'_, [Counts; 3]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_patterns_count() {
        let audience = Audience::default();
        for (kind, name) in [
            (Listening::Channel, "news"),
            (Listening::Channel, "news"),
            (Listening::Pattern, "n*"),
            (Listening::Pattern, "x*"),
            (Listening::Sharded, "news"),
        ] {
            audience.comes(kind, name.as_bytes());
        }
        assert_eq!(audience.receivers(false, b"news"), 3);
        assert_eq!(audience.receivers(true, b"news"), 1);
        assert_eq!(audience.receivers(false, b"noise"), 1);
        audience.goes(Listening::Channel, b"news");
        audience.goes(Listening::Pattern, b"n*");
        audience.goes(Listening::Pattern, b"never");
        assert_eq!(audience.receivers(false, b"news"), 1);
        audience.goes(Listening::Channel, b"news");
        assert_eq!(audience.receivers(false, b"news"), 0);
    }
}
