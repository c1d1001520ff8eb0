//! Places on earth: the rows of the GEO family and what its files share. A place is a score of a sorted set; the rules are in `tessera_core::geo`.

mod add;
mod distance;
mod hits;
mod positions;
mod request;
mod search;

use tessera_core::geo::Place;
use tessera_core::number::{LongDouble, parse_double};
use tessera_core::resp::{Proto, Reply};

use crate::command::spec::{KeySpec, access, category};
use crate::command::{Cx, KeyspaceRow, Spec};
use crate::commands::args::is;

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    add::GEOADD,
    distance::GEODIST,
    positions::GEOHASH,
    positions::GEOPOS,
    search::GEOSEARCH,
    search::GEOSEARCHSTORE,
    search::GEORADIUS,
    search::GEORADIUSBYMEMBER,
    search::GEORADIUS_RO,
    search::GEORADIUSBYMEMBER_RO,
];

/// A row to fill: one key, the category and group of places.
const ROW: Spec = Spec {
    categories: category::GEO,
    group: "geo",
    since: "3.2.0",
    complexity: "O(log N) with N members",
    ..Spec::NONE
};

const READS: &[KeySpec] = &[KeySpec::range(access::RO | access::ACCESS, 1, 0, 1)];

/// A longitude and a latitude on the map; writes the error for anything else.
fn place(cx: &mut Cx<'_>, longitude: &[u8], latitude: &[u8]) -> Option<Place> {
    let (Some(longitude), Some(latitude)) = (parse_double(longitude), parse_double(latitude))
    else {
        cx.error("ERR value is not a valid float");
        return None;
    };
    let place = Place {
        longitude,
        latitude,
    };
    if !place.is_valid() {
        cx.error(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ));
        return None;
    }
    Some(place)
}

/// The metres of a unit; writes the error for a word that is none.
fn unit_m(cx: &mut Cx<'_>, word: &[u8]) -> Option<f64> {
    match word {
        _ if is(word, "M") => Some(1.0),
        _ if is(word, "KM") => Some(1000.0),
        _ if is(word, "FT") => Some(0.3048),
        _ if is(word, "MI") => Some(1609.34),
        _ => {
            cx.error("ERR unsupported unit provided. please use M, KM, FT, MI");
            None
        }
    }
}

/// A distance has four decimals in either protocol.
fn reply_distance(reply: &mut Reply<'_>, distance: f64) {
    if distance.is_nan() {
        // Between places off the map, as C prints it.
        return reply.bulk(b"-nan");
    }
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// Longitude and latitude, with up to 17 decimals.
fn reply_place(reply: &mut Reply<'_>, place: Place) {
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        let mut text = Vec::with_capacity(24);
        LongDouble::from_f64(degrees).write_human(&mut text);
        match reply.proto() {
            Proto::Resp2 => reply.bulk(&text),
            Proto::Resp3 => {
                reply.raw(b",");
                reply.raw(&text);
                reply.raw(b"\r\n");
            }
        }
    }
}
