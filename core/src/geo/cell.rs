//! Cells of the geohash grid: a square of the map, cut into quarters so many times.
//!
//! Owns [`Cell`], scores as places and the text form of geohashes. A cell's bits interleave those of latitude (even places) and longitude (odd places).
//! Called by the search and by the GEO commands.

use std::ops::Range;

use super::{LATITUDE_MAX, LONGITUDE_MAX, Place};

/// Cuts per axis of the cells that are scores: 52 bits, which a double holds.
pub(super) const STEPS_MAX: u32 = 26;

const EVEN_BITS: u64 = 0x5555_5555_5555_5555;
const ODD_BITS: u64 = !EVEN_BITS;

/// A cell. Its bits may have a place more than two per step, where the place lies on the upper edge of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    steps: u32,
}

/// The edges of a cell, degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    pub(super) longitude: (f64, f64),
    pub(super) latitude: (f64, f64),
}

/// The bits moved to the even places.
fn spread(bits: u32) -> u64 {
    let mut x = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, EVEN_BITS),
    ] {
        x = (x | x << shift) & mask;
    }
    x
}

/// The even places' bits, side by side.
fn gather(bits: u64) -> u32 {
    let mut x = bits & EVEN_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0F0F_0F0F_0F0F_0F0F),
        (4, 0x00FF_00FF_00FF_00FF),
        (8, 0x0000_FFFF_0000_FFFF),
        (16, 0x0000_0000_FFFF_FFFF),
    ] {
        x = (x | x >> shift) & mask;
    }
    x as u32
}

/// The cell of a place on a map that ends at these latitudes.
fn encode(place: Place, latitude_max: f64, steps: u32) -> Cell {
    let cells = (1u64 << steps) as f64;
    let offset = |value: f64, max: f64| ((value + max) / (max + max) * cells) as u32;
    let latitude = offset(place.latitude, latitude_max);
    let longitude = offset(place.longitude, LONGITUDE_MAX);
    Cell {
        bits: spread(latitude) | spread(longitude) << 1,
        steps,
    }
}

impl Cell {
    /// The cell of a valid place.
    pub(super) fn of(place: Place, steps: u32) -> Self {
        encode(place, LATITUDE_MAX, steps)
    }

    pub(super) fn edges(self) -> Edges {
        let cells = (1u64 << self.steps) as f64;
        let edge = |number: u32, max: f64| -max + (f64::from(number) / cells) * (max + max);
        let both = |number: u32, max: f64| (edge(number, max), edge(number.wrapping_add(1), max));
        Edges {
            longitude: both(gather(self.bits >> 1), LONGITUDE_MAX),
            latitude: both(gather(self.bits), LATITUDE_MAX),
        }
    }

    fn centre(self) -> Place {
        let edges = self.edges();
        let middle = |(low, high): (f64, f64), max: f64| ((low + high) / 2.0).clamp(-max, max);
        Place {
            longitude: middle(edges.longitude, LONGITUDE_MAX),
            latitude: middle(edges.latitude, LATITUDE_MAX),
        }
    }

    /// The neighbour so many cells (-1, 0 or 1) to the east and to the north; round the edges of the map.
    pub(super) fn neighbour(self, east: i8, north: i8) -> Self {
        let shift = 64 - 2 * self.steps;
        let moved = |axis: u64, by: i8| {
            // The other axis' bits are filled with ones, so that a carry passes through them.
            let (own, other) = (self.bits & axis, (!axis) >> shift);
            let own = match by {
                0 => return own,
                1 => own.wrapping_add(other + 1),
                _ => (own | other).wrapping_sub(other + 1),
            };
            own & (axis >> shift)
        };
        Self {
            bits: moved(ODD_BITS, east) | moved(EVEN_BITS, north),
            steps: self.steps,
        }
    }

    /// The scores of the places in this cell.
    #[must_use]
    pub fn scores(self) -> Range<f64> {
        let score = |bits: u64| (bits << (2 * (STEPS_MAX - self.steps))) as f64;
        score(self.bits)..score(self.bits + 1)
    }
}

/// The score under which a valid place is kept.
#[must_use]
pub fn score_of_place(place: Place) -> f64 {
    Cell::of(place, STEPS_MAX).bits as f64
}

/// The place that a score stands for: the middle of its cell, or the edge of the map if that lies beyond.
#[must_use]
pub fn place_of_score(score: f64) -> Place {
    let cell = Cell {
        bits: whole_number(score),
        steps: STEPS_MAX,
    };
    cell.centre()
}

/// A double as an unsigned integer in the manner of C on x86-64, where numbers out of range wrap or become a fixed value: scores
/// that are no geohash show it.
fn whole_number(value: f64) -> u64 {
    const TOP: f64 = (1u64 << 63) as f64;
    let signed = |value: f64| {
        if (-TOP..TOP).contains(&value) {
            value as i64 as u64
        } else {
            1 << 63
        }
    };
    if value < TOP {
        signed(value)
    } else {
        signed(value - TOP) ^ 1 << 63
    }
}

/// The standard geohash of a place, as other services know it: base 32, on a map that ends at the poles. 11 letters, of which the last is
/// always `0`, as 52 bits make 10.
#[must_use]
pub fn geohash_text(place: Place) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let mut text = [b'0'; 11];
    if place.is_valid() {
        let bits = encode(place, 90.0, STEPS_MAX).bits;
        for (i, letter) in text[..10].iter_mut().enumerate() {
            *letter = ALPHABET[(bits >> (47 - 5 * i)) as usize & 31];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Place = Place {
        longitude: 13.361389,
        latitude: 38.115556,
    };

    #[test]
    fn scores_and_texts_are_those_of_redis() {
        assert_eq!(score_of_place(PALERMO), 3479099956230698.0);
        let back = place_of_score(3479099956230698.0);
        assert_eq!(
            (back.longitude, back.latitude),
            (13.361_389_338_970_184, 38.115_556_395_496_3)
        );
        assert_eq!(&geohash_text(back), b"sqc8b49rny0");
    }

    #[test]
    fn bits_spread_and_gather() {
        for bits in [0, 1, 2, 0xFFFF_FFFF, 0x8000_0001, 0x1234_5678] {
            assert_eq!(gather(spread(bits)), bits);
            assert_eq!(spread(bits) & ODD_BITS, 0);
        }
    }

    #[test]
    fn neighbours_share_edges_and_wrap() {
        let cell = Cell::of(PALERMO, 10);
        let (here, east, north) = (
            cell.edges(),
            cell.neighbour(1, 0).edges(),
            cell.neighbour(0, 1).edges(),
        );
        assert_eq!(here.longitude.1, east.longitude.0);
        assert_eq!(here.latitude, east.latitude);
        assert_eq!(here.latitude.1, north.latitude.0);
        for (east, north) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, -1)] {
            assert_eq!(cell.neighbour(east, north).neighbour(-east, -north), cell);
        }
        let edge = Cell::of(
            Place {
                longitude: 179.9,
                latitude: 0.1,
            },
            4,
        );
        assert_eq!(edge.neighbour(1, 0).edges().longitude.0, -180.0);
    }

    #[test]
    fn a_cell_holds_the_scores_of_its_places() {
        for steps in [1, 5, 13, 26] {
            let scores = Cell::of(PALERMO, steps).scores();
            assert!(scores.contains(&score_of_place(PALERMO)), "{steps}");
        }
    }

    #[test]
    fn no_place_lies_off_the_map() {
        let place = |score: f64| {
            let place = place_of_score(score);
            (place.longitude, place.latitude)
        };
        assert_eq!(
            place(1e300),
            (-179.999_997_317_790_98, -85.051_127_512_639_43)
        );
        assert_eq!(place(-5.0), (LONGITUDE_MAX, LATITUDE_MAX));
        assert_eq!(
            place(9_007_199_254_740_992.0),
            (180.0, -85.051_127_512_639_43)
        );
    }

    #[test]
    fn scores_that_are_no_geohash() {
        assert_eq!(whole_number(-1.0), u64::MAX);
        assert_eq!(whole_number(-0.5), 0);
        assert_eq!(whole_number(2.5), 2);
        assert_eq!(whole_number(1e19), 10_000_000_000_000_000_000);
        assert_eq!(whole_number(1e30), 0);
        assert_eq!(whole_number(f64::INFINITY), 0);
        assert_eq!(whole_number(-1e30), 1 << 63);
    }
}
