//! Where a command goes: its keys, their owners.

use smallvec::SmallVec;
use tessera_core::slot::{SLOTS, key_slot};

use crate::command::spec::{Begin, Find, Spec};

/// How the keys of a command are found, decided once per row so that the common case costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyPlan {
    /// It has none.
    None,
    /// Exactly one, the first argument.
    First,
    /// Look at the rules.
    Rules,
}

impl KeyPlan {
    pub(super) fn of(spec: &Spec) -> Self {
        match spec.keys {
            [] if spec.subcommands.is_empty() => KeyPlan::None,
            [rule]
                if rule.begin == Begin::Index(1)
                    && matches!(rule.find, Find::Range { last: 0, .. }) =>
            {
                KeyPlan::First
            }
            _ => KeyPlan::Rules,
        }
    }
}

/// The shard that owns a key: slots in ranges of equal length.
#[inline]
#[must_use]
pub fn owner(key: &[u8], shards: usize) -> usize {
    if shards == 1 {
        0
    } else {
        usize::from(key_slot(key)) * shards / usize::from(SLOTS)
    }
}

/// The keys of a request and their owners.
pub(super) struct Places {
    /// Argument index and owner of each key, in order.
    pub(super) keys: SmallVec<[(usize, usize); 8]>,
}

impl Places {
    pub(super) fn of(spec: &Spec, args: &[&[u8]], shards: usize) -> Self {
        let keys = spec
            .keys_of(args)
            .iter()
            .map(|(at, _)| (*at, owner(args[*at], shards)))
            .collect();
        Places { keys }
    }

    /// The owner of all keys, if it is one.
    pub(super) fn single_owner(&self) -> Option<usize> {
        let (_, first) = *self.keys.first()?;
        self.keys
            .iter()
            .all(|(_, owner)| *owner == first)
            .then_some(first)
    }
}
