//! A search round a place: which cells to look at, and which places are inside.
//!
//! Owns [`Search`]. The cells are the one of the centre and its neighbours, at a size such that they cover the shape; their order is Redis's, as
//! unsorted replies show it. Called by GEOSEARCH and its kin.

use super::cell::{Cell, STEPS_MAX};
use super::distance::{EARTH_RADIUS_M, degrees, distance_m, radians};
use super::{Place, place_of_score};

/// What lies inside, in some unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// At most this far from the centre.
    Circle {
        /// The distance.
        radius: f64,
    },
    /// At most half of this far to either side.
    Box {
        /// West to east.
        width: f64,
        /// South to north.
        height: f64,
    },
}

/// A shape round a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The middle of the shape.
    pub centre: Place,
    /// The shape.
    pub shape: Shape,
    /// Metres of the shape's unit.
    pub unit_m: f64,
}

/// Half of the earth's circumference on the map.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// The other cells as steps to the east and to the north, in the order in which they are searched.
const NEIGHBOURS: [(i8, i8); 8] = [
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

/// The edges of the shape, degrees.
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Search {
    /// The place that a score stands for and its distance in metres, if it is inside.
    #[must_use]
    pub fn find(&self, score: f64) -> Option<(Place, f64)> {
        let place = place_of_score(score);
        let distance = match self.shape {
            Shape::Circle { radius } => {
                let distance = distance_m(self.centre, place);
                if distance > radius * self.unit_m {
                    return None;
                }
                distance
            }
            Shape::Box { width, height } => {
                let (width_m, height_m) = (width * self.unit_m, height * self.unit_m);
                let at = |longitude, latitude| Place {
                    longitude,
                    latitude,
                };
                let aside = distance_m(place, at(self.centre.longitude, place.latitude));
                let along = distance_m(place, at(place.longitude, self.centre.latitude));
                if aside > width_m / 2.0 || along > height_m / 2.0 {
                    return None;
                }
                distance_m(self.centre, place)
            }
        };
        Some((place, distance))
    }

    /// The cells that hold all places inside, in order.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        if steps > 1 && is_too_small(Cell::of(self.centre, steps), &bounds) {
            steps -= 1;
        }
        let centre = Cell::of(self.centre, steps);
        let edges = centre.edges();
        // A side on which the shape ends inside the centre's cell needs no neighbours.
        let is_needed = |&(east, north): &(i8, i8)| {
            let is_done = (north < 0 && edges.latitude.0 < bounds.south)
                || (north > 0 && edges.latitude.1 > bounds.north)
                || (east < 0 && edges.longitude.0 < bounds.west)
                || (east > 0 && edges.longitude.1 > bounds.east);
            steps < 2 || !is_done
        };
        let neighbours = NEIGHBOURS
            .iter()
            .filter(|side| is_needed(side))
            .map(|&(east, north)| centre.neighbour(east, north));
        // On a coarse grid neighbours coincide: one after the other is looked at once.
        let mut cells: Vec<Cell> = neighbours.collect();
        cells.dedup();
        cells.insert(0, centre);
        cells
    }

    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Place {
            longitude,
            latitude,
        } = self.centre;
        let up = degrees(self.unit_m * half_height / EARTH_RADIUS_M);
        // The shape is widest at the latitude that is farther from the equator, says Redis, by one of the two hemispheres.
        let widest = if latitude < 0.0 {
            latitude - up
        } else {
            latitude + up
        };
        let aside = degrees(self.unit_m * half_width / EARTH_RADIUS_M / radians(widest).cos());
        Bounds {
            west: longitude - aside,
            south: latitude - up,
            east: longitude + aside,
            north: latitude + up,
        }
    }

    /// How often to cut the map so that nine cells are about as large as the shape.
    fn steps(&self) -> u32 {
        let reach = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width * width + height * height).sqrt()
            }
        };
        let mut reach_m = reach * self.unit_m;
        if reach_m == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while reach_m < MERCATOR_MAX_M {
            reach_m *= 2.0;
            steps += 1;
        }
        steps -= 2;
        // Towards the poles a cell is narrower than it looks.
        let latitude = self.centre.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }
}

/// Whether the shape reaches beyond the neighbours.
fn is_too_small(centre: Cell, bounds: &Bounds) -> bool {
    let side = |east, north| centre.neighbour(east, north).edges();
    side(0, 1).latitude.1 < bounds.north
        || side(0, -1).latitude.0 > bounds.south
        || side(1, 0).longitude.1 < bounds.east
        || side(-1, 0).longitude.0 > bounds.west
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::score_of_place;

    fn search(longitude: f64, latitude: f64, shape: Shape) -> Search {
        Search {
            centre: Place {
                longitude,
                latitude,
            },
            shape,
            unit_m: 1000.0,
        }
    }

    /// Whatever is inside lies in one of the cells, and no cell is there twice.
    #[test]
    fn cells_cover_the_shape() {
        let mut checked = 0;
        for (longitude, latitude) in [(15.0, 37.0), (-120.0, -45.0), (0.0, 0.0), (100.0, 60.0)] {
            for shape in [
                Shape::Circle { radius: 1.0 },
                Shape::Circle { radius: 300.0 },
                Shape::Box {
                    width: 700.0,
                    height: 50.0,
                },
            ] {
                let search = search(longitude, latitude, shape);
                let cells = search.cells();
                for (i, cell) in cells.iter().enumerate() {
                    assert!(!cells[..i].contains(cell), "{search:?}");
                }
                for dx in -20..=20 {
                    for dy in -20..=20 {
                        let place = Place {
                            longitude: longitude + f64::from(dx) * 0.2,
                            latitude: latitude + f64::from(dy) * 0.2,
                        };
                        let score = score_of_place(place);
                        if search.find(score).is_some() {
                            checked += 1;
                            let is_covered =
                                cells.iter().any(|cell| cell.scores().contains(&score));
                            assert!(is_covered, "{search:?} {place:?}");
                        }
                    }
                }
            }
        }
        assert!(checked > 300, "{checked}");
    }

    #[test]
    fn shapes() {
        let palermo = 3479099956230698.0;
        let inside = |shape| search(15.0, 37.0, shape).find(palermo).is_some();
        assert!(inside(Shape::Circle { radius: 191.0 }));
        assert!(!inside(Shape::Circle { radius: 190.0 }));
        assert!(inside(Shape::Box {
            width: 300.0,
            height: 300.0
        }));
        assert!(!inside(Shape::Box {
            width: 300.0,
            height: 200.0
        }));
        assert!(!inside(Shape::Box {
            width: 200.0,
            height: 300.0
        }));
    }

    #[test]
    fn the_whole_earth_is_four_cells() {
        let whole = search(1.0, 1.0, Shape::Circle { radius: 1e9 });
        assert_eq!(whole.cells().len(), 4);
    }
}
