//! `Names`: numbers by names in any case, in O(1): how a command is found for a client and for a script.
//!
//! Short names are compared as one word; built once at start.

use std::collections::HashMap;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Names {
    /// Open addressing by `Short::hash`; beside the name the number + 1, 0 is empty. At most a quarter full; empty if there are no names.
    short: Box<[(Short, u16)]>,
    long: HashMap<Vec<u8>, u16>,
}

/// Names up to this length are found by their packed form.
const SHORT_MAX: usize = 8;

/// A short name as it is compared.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Short {
    /// Its bytes, A to Z folded onto a to z, little endian.
    word: u64,
    len: u8,
}

impl Short {
    /// Of a name of at most [`SHORT_MAX`] bytes.
    #[inline]
    fn of(name: &[u8]) -> Self {
        let byte = |at: usize| u64::from(name[at]) << (8 * at);
        let word = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            // Where the two overlap they agree.
            (Some(first), Some(last)) => {
                let last = u64::from(u32::from_le_bytes(*last)) << (8 * (name.len() - 4));
                u64::from(u32::from_le_bytes(*first)) | last
            }
            _ if name.is_empty() => 0,
            _ => byte(0) | byte(name.len() / 2) | byte(name.len() - 1),
        };
        Self {
            word: fold(word),
            len: name.len() as u8,
        }
    }

    #[inline]
    fn hash(self, mask: usize) -> usize {
        (self.word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & mask
    }
}

/// Folds the bytes A to Z of a word onto a to z, all at once: the usual arithmetic on seven bits per byte.
#[inline]
fn fold(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = word & !HIGH;
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let beyond_z = low + (0x80 - u64::from(b'Z') - 1) * ONES;
    let is_upper = !word & (from_a ^ beyond_z) & HIGH;
    word | is_upper >> 2
}

/// Names longer than this are nobody's.
const LONG_MAX: usize = 64;

impl Names {
    /// The names in the order of their numbers, in lower case. An empty one is none.
    ///
    /// # Panics
    /// When two are the same: a fault of the tables, found at start.
    pub(crate) fn of(names: &[&str]) -> Self {
        let slots = (names.len() * 4).next_power_of_two();
        let mut short = vec![(Short::default(), 0); slots].into_boxed_slice();
        let mut long = HashMap::new();
        let named = (0u16..).zip(names).filter(|(_, name)| !name.is_empty());
        for (number, name) in named {
            let known = long.insert(name.as_bytes().to_vec(), number);
            assert!(known.is_none(), "two commands named {name}");
            let name = name.as_bytes();
            if name.len() <= SHORT_MAX {
                let name = Short::of(name);
                let mut place = name.hash(slots - 1);
                while short[place].1 != 0 {
                    place = (place + 1) & (slots - 1);
                }
                short[place] = (name, number + 1);
            }
        }
        Names { short, long }
    }

    /// The number of this name, in any case.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<u16> {
        if name.len() > SHORT_MAX {
            return self.find_long(name);
        }
        let mask = self.short.len().checked_sub(1)?;
        let wanted = Short::of(name);
        let mut place = wanted.hash(mask);
        loop {
            let (short, number) = self.short[place];
            if number == 0 {
                return None;
            }
            if short == wanted {
                return Some(number - 1);
            }
            place = (place + 1) & mask;
        }
    }

    fn find_long(&self, name: &[u8]) -> Option<u16> {
        if name.len() > LONG_MAX {
            return None;
        }
        self.long.get(&name.to_ascii_lowercase()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let names = Names::of(&["get", "", "rather-long"]);
        assert_eq!(
            (names.find(b"GET"), names.find(b"Rather-Long")),
            (Some(0), Some(2))
        );
        assert_eq!((names.find(b""), names.find(b"ge")), (None, None));
        assert_eq!(
            (names.find(&[b'x'; 65]), Names::default().find(b"get")),
            (None, None)
        );
    }

    #[test]
    fn short_names_are_compared_as_ascii_without_case() {
        for length in 0..=SHORT_MAX {
            for byte in 0..=u8::MAX {
                for at in 0..length {
                    let mut name: Vec<u8> = (0..length as u8).map(|place| b'a' + place).collect();
                    name[at] = byte;
                    let mut padded = name.to_ascii_lowercase();
                    padded.resize(SHORT_MAX, 0);
                    let word = u64::from_le_bytes(padded.try_into().expect("eight bytes"));
                    let short = Short::of(&name);
                    assert_eq!((short.word, usize::from(short.len)), (word, length));
                }
            }
        }
    }
}
