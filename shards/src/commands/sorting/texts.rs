//! The elements of what is sorted, as texts. They lie in pieces, so that no slice of a long SORT has to move them all.

/// Bytes of a piece; a longer text is a piece of its own.
const PIECE_BYTES: usize = 1 << 16;

/// See the head of this file.
#[derive(Default)]
pub(super) struct Texts {
    pieces: Vec<Vec<u8>>,
}

/// Where a text lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    piece: u32,
    start: u32,
    len: u32,
}

impl Texts {
    /// Keeps a text. None is longer than 4 GiB - 1.
    pub(super) fn push(&mut self, text: &[u8]) -> Place {
        let has_room = |piece: &Vec<u8>| piece.len() + text.len() <= PIECE_BYTES;
        if !self.pieces.last().is_some_and(has_room) {
            let capacity = if self.pieces.is_empty() {
                text.len()
            } else {
                PIECE_BYTES
            };
            self.pieces
                .push(Vec::with_capacity(capacity.max(text.len())));
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let start = piece.len();
        piece.extend_from_slice(text);
        Place {
            piece: number as u32,
            start: start as u32,
            len: text.len() as u32,
        }
    }

    /// A text.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let start = place.start as usize;
        &self.pieces[place.piece as usize][start..start + place.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_found_again() {
        let mut texts = Texts::default();
        let lengths = [
            0,
            1,
            300,
            PIECE_BYTES,
            0,
            PIECE_BYTES + 1,
            70,
            PIECE_BYTES - 70,
            5,
        ];
        let text = |at: usize| vec![at as u8; lengths[at]];
        let places: Vec<Place> = (0..lengths.len()).map(|at| texts.push(&text(at))).collect();
        for (at, place) in places.into_iter().enumerate() {
            assert_eq!(texts.get(place), text(at));
        }
        assert_eq!(texts.pieces.len(), 5);
    }
}
