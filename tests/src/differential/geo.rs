//! Draws of the GEO commands.

use super::draw::Draw;
use super::step::{Command, Step};

/// The commands of this family.
pub const COMMANDS: &[&str] = &[
    "GEOADD",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUS",
    "GEORADIUSBYMEMBER",
    "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO",
    "GEOSEARCH",
    "GEOSEARCHSTORE",
];

/// A key that holds places.
fn place_key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(3) {
        0 => format!("{{t}}geo{}", draw.rng.below(2)).into_bytes(),
        _ => format!("geo{}", draw.rng.below(3)).into_bytes(),
    }
}

/// A key that mostly holds places; at times scores that are none.
fn key(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(16) {
        0 => draw.key(),
        1 => format!("zset{}", draw.rng.below(6)).into_bytes(),
        _ => place_key(draw),
    }
}

fn member(draw: &mut Draw) -> Vec<u8> {
    format!("p{}", draw.rng.below(60)).into_bytes()
}

/// A longitude and a latitude: mostly in one region, so that searches find something; fine enough that no two distances are equal.
fn place(draw: &mut Draw) -> [Vec<u8>; 2] {
    let fraction = |draw: &mut Draw| draw.rng.below(100_000_000) as f64 / 1e8;
    let (x, y) = match draw.rng.below(12) {
        0 => (draw.rng.pick(&[180.0, -180.0, 181.0, 0.0]), 85.05112878),
        1..=3 => (
            fraction(draw) * 360.0 - 180.0,
            fraction(draw) * 170.0 - 85.0,
        ),
        4 => (fraction(draw) * 4.0 - 180.0, fraction(draw) - 80.0),
        _ => (13.0 + fraction(draw) * 3.0, 37.0 + fraction(draw) * 2.0),
    };
    if draw.rng.one_in(40) {
        return [draw.float(), draw.float()];
    }
    [x.to_string().into_bytes(), y.to_string().into_bytes()]
}

fn unit(draw: &mut Draw) -> Vec<u8> {
    let units = ["m", "km", "km", "km", "KM", "mi", "ft", "inch"];
    let unit = draw.rng.pick(&units);
    unit.as_bytes().to_vec()
}

fn length(draw: &mut Draw) -> Vec<u8> {
    match draw.rng.below(12) {
        0 => draw.float(),
        1 => b"0".to_vec(),
        2 => (draw.rng.below(30_000) as f64 * 1.5)
            .to_string()
            .into_bytes(),
        _ => draw.rng.between(1, 400).to_string().into_bytes(),
    }
}

/// One command of this family, at times two that belong together.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    let name = if draw.rng.one_in(4) {
        "GEOADD"
    } else {
        draw.rng.pick(COMMANDS)
    };
    let mut command = vec![draw.cased(name)];
    match name {
        "GEOADD" => add(draw, &mut command),
        "GEODIST" => {
            command.extend([key(draw), member(draw), member(draw)]);
            if draw.rng.one_in(2) {
                command.push(unit(draw));
            }
        }
        "GEOHASH" => {
            command.push(place_key(draw));
            command.extend((0..draw.rng.below(4)).map(|_| member(draw)));
        }
        "GEOPOS" => {
            command.push(key(draw));
            command.extend((0..draw.rng.below(4)).map(|_| member(draw)));
        }
        "GEOSEARCH" => {
            command.push(key(draw));
            search(draw, &mut command);
            options(draw, &mut command);
        }
        "GEOSEARCHSTORE" => {
            let target = place_key(draw);
            command.extend([target.clone(), key(draw)]);
            search(draw, &mut command);
            store_options(draw, &mut command);
            if draw.rng.one_in(4) {
                command.push(draw.cased("STOREDIST"));
                command[1] = b"distances".to_vec();
            }
            let target = command[1].clone();
            return vec![Step::exact(command), whole(target)];
        }
        _ => return radius(draw, name, command),
    }
    vec![Step::exact(command)]
}

/// All elements of a key.
fn whole(key: Vec<u8>) -> Step {
    let words = [&b"ZRANGE"[..], &key, b"0", b"-1", b"WITHSCORES"];
    Step::exact(words.map(<[u8]>::to_vec).to_vec())
}

fn add(draw: &mut Draw, command: &mut Command) {
    command.push(place_key(draw));
    if draw.rng.one_in(4) {
        let word = draw.rng.pick(&["NX", "XX", "CH"]);
        command.push(draw.cased(word));
    }
    for _ in 0..draw.rng.between(1, 6) {
        command.extend(place(draw));
        command.push(member(draw));
    }
}

/// GEORADIUS and its kin.
fn radius(draw: &mut Draw, name: &str, mut command: Command) -> Vec<Step> {
    command.push(key(draw));
    if name.starts_with("GEORADIUSBYMEMBER") {
        command.push(member(draw));
    } else {
        command.extend(place(draw));
    }
    command.extend([length(draw), unit(draw)]);
    if name.ends_with("_RO") || draw.rng.one_in(2) {
        options(draw, &mut command);
        return vec![Step::exact(command)];
    }
    store_options(draw, &mut command);
    let (word, target) = if draw.rng.one_in(3) {
        ("STOREDIST", b"distances".to_vec())
    } else {
        ("STORE", place_key(draw))
    };
    command.extend([draw.cased(word), target.clone()]);
    vec![Step::exact(command), whole(target)]
}

/// Where from and how far.
fn search(draw: &mut Draw, command: &mut Command) {
    if draw.rng.one_in(2) {
        command.push(draw.cased("FROMLONLAT"));
        command.extend(place(draw));
    } else {
        command.extend([draw.cased("FROMMEMBER"), member(draw)]);
    }
    if draw.rng.one_in(2) {
        command.extend([draw.cased("BYRADIUS"), length(draw), unit(draw)]);
    } else {
        command.extend([draw.cased("BYBOX"), length(draw), length(draw), unit(draw)]);
    }
}

/// Options that go with storing.
fn store_options(draw: &mut Draw, command: &mut Command) {
    if draw.rng.one_in(2) {
        let word = draw.rng.pick(&["ASC", "DESC"]);
        command.push(draw.cased(word));
    }
    if draw.rng.one_in(3) {
        command.extend([draw.cased("COUNT"), draw.position()]);
        if draw.rng.one_in(3) {
            command.push(draw.cased("ANY"));
        }
    }
}

fn options(draw: &mut Draw, command: &mut Command) {
    store_options(draw, command);
    for _ in 0..draw.rng.below(3) {
        let word = draw.rng.pick(&["WITHDIST", "WITHCOORD", "WITHHASH"]);
        command.push(draw.cased(word));
    }
    if draw.rng.one_in(30) {
        command.push(draw.odd_word());
    }
}
