//! `Slab`: the connections of one reactor, by index, with a generation per place.
//!
//! Invariants: an index is below 2^24, so that a completion's token can carry it; the generation of
//! a place changes when its connection leaves, so that whatever still names the old one (a late
//! completion, a caller) finds nothing. Called by both backends; knows nothing of sockets.

use crate::env::ConnId;

/// Most connections one reactor can hold, by the bits of an index in a completion token.
pub(crate) const INDEX_BITS: u32 = 24;

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// Values in numbered places; the place freed last is used first, as it is the one in the cache.
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Stores a value, or gives it back when every index is in use.
    pub(crate) fn insert(&mut self, value: T) -> Result<ConnId, T> {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return Ok(ConnId {
                index,
                generation: place.generation,
            });
        }
        let Some(index) = u32::try_from(self.places.len())
            .ok()
            .filter(|&i| i < 1 << INDEX_BITS)
        else {
            return Err(value);
        };
        self.places.push(Place {
            generation: 0,
            value: Some(value),
        });
        Ok(ConnId {
            index,
            generation: 0,
        })
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&T> {
        let place = self.places.get(id.index as usize)?;
        if place.generation == id.generation {
            place.value.as_ref()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation == id.generation {
            place.value.as_mut()
        } else {
            None
        }
    }

    /// Takes a value out and ends its name.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_name_dies_with_its_value() {
        let mut slab = Slab::new();
        let first = slab.insert('a').unwrap();
        assert_eq!(slab.get(first), Some(&'a'));
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b').unwrap();
        assert_eq!(second.index, first.index, "places are reused");
        assert_eq!(slab.get(first), None, "the old name finds nothing");
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
    }
}
