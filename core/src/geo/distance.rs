//! Distances on a sphere, by the haversine formula, as Redis computes them.
//!
//! No state. Called by the search and by GEODIST.

use super::Place;

/// Radius of the sphere.
pub(super) const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

pub(super) fn degrees(radians: f64) -> f64 {
    radians / RADIANS_PER_DEGREE
}

/// Metres between two places.
#[must_use]
pub fn distance_m(from: Place, to: Place) -> f64 {
    let (from_latitude, to_latitude) = (radians(from.latitude), radians(to.latitude));
    let u = ((to_latitude - from_latitude) / 2.0).sin();
    let v = ((radians(to.longitude) - radians(from.longitude)) / 2.0).sin();
    let a = u * u + from_latitude.cos() * to_latitude.cos() * v * v;
    2.0 * EARTH_RADIUS_M * a.sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_redis_has_it() {
        let palermo = Place {
            longitude: 13.361_389_338_970_184,
            latitude: 38.115_556_395_496_3,
        };
        let centre = Place {
            longitude: 15.0,
            latitude: 37.0,
        };
        assert_eq!(distance_m(centre, palermo), 190_442.429_847_757_84);
        assert_eq!(distance_m(palermo, palermo), 0.0);
    }
}
