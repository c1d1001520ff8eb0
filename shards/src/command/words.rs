//! `Words`: the words of a request that outlive its bytes, the command's name included, in one piece of memory.

use std::ops::Index;

use smallvec::SmallVec;

/// Words whose ends are kept without a piece of memory of their own.
const INLINE: usize = 4;

/// See the head of this file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    bytes: Vec<u8>,
    /// Where each word ends.
    ends: SmallVec<[usize; INLINE]>,
}

impl Words {
    /// Copies of words. `None` if there is no memory for them.
    #[must_use]
    pub fn of<W: AsRef<[u8]>>(words: &[W]) -> Option<Self> {
        let length = words.iter().map(|word| word.as_ref().len()).sum();
        let mut copies = Words::default();
        copies.bytes.try_reserve_exact(length).ok()?;
        copies.ends.try_reserve_exact(words.len()).ok()?;
        words.iter().for_each(|word| copies.push(word.as_ref()));
        Some(copies)
    }

    /// None yet, with room for so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Words {
            bytes: Vec::with_capacity(bytes),
            ends: SmallVec::new(),
        }
    }

    /// Adds a word behind the others.
    pub fn push(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word at this place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let word = &self.bytes[start..*end];
            start = *end;
            word
        })
    }

    /// All of them, as commands take them.
    #[must_use]
    pub fn args(&self) -> SmallVec<[&[u8]; 8]> {
        self.iter().collect()
    }
}

impl Index<usize> for Words {
    type Output = [u8];

    fn index(&self, at: usize) -> &[u8] {
        self.get(at).expect("the caller knows how many there are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for count in 0..9_usize {
            let before: Vec<Vec<u8>> = (0..count).map(|at| vec![b'a' + at as u8; at % 4]).collect();
            let words = Words::of(&before).expect("there is memory");
            assert_eq!(words.len(), count);
            assert_eq!(words.is_empty(), count == 0);
            let after: Vec<Vec<u8>> = words.iter().map(<[u8]>::to_vec).collect();
            assert_eq!(after, before);
            assert_eq!(words.args().len(), count);
            for (at, word) in before.iter().enumerate() {
                assert_eq!(&words[at], &word[..]);
            }
            assert_eq!(words.get(count), None);
        }
    }
}
