//! Places on earth as the scores of sorted sets: geohashes of 52 bits, distances, and the areas that a search has to look at.
//!
//! A place is the pair longitude, latitude in degrees. All formulas and constants are those of Redis, operation by operation, as clients see the results
//! digit by digit.

mod cell;
mod distance;
mod search;

pub use cell::{Cell, geohash_text, place_of_score, score_of_place};
pub use distance::distance_m;
pub use search::{Search, Shape};

/// Longitude and latitude, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
}

/// Most degrees east or west of a place.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Most degrees north or south: where the square of the Mercator projection ends.
pub const LATITUDE_MAX: f64 = 85.051_128_78;

impl Place {
    /// Whether there is a geohash for it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }
}
