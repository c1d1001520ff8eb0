//! GEOADD.

use smallvec::SmallVec;
use tessera_core::geo::score_of_place;

use super::{ROW, place};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is};
use crate::commands::zsets::{Options, put};

pub(super) const GEOADD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geoadd",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        summary: "Adds members with their places to a sorted set, which is created if need be, or moves them.",
        complexity: "O(log N) per member, with N members",
        ..ROW
    },
    op: op_geoadd,
    spread: Spread::One,
};

fn op_geoadd(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (mut options, mut rest) = (Options::default(), &args[2..]);
    while let [word, more @ ..] = rest {
        match word {
            _ if is(word, "NX") => options.nx = true,
            _ if is(word, "XX") => options.xx = true,
            _ if is(word, "CH") => options.ch = true,
            _ => break,
        }
        rest = more;
    }
    if rest.is_empty() || !rest.len().is_multiple_of(3) || options.nx && options.xx {
        return cx.error(SYNTAX);
    }
    let mut elements = SmallVec::<[(f64, &[u8]); 4]>::new();
    for element in rest.chunks_exact(3) {
        let Some(place) = place(cx, element[0], element[1]) else {
            return;
        };
        elements.push((score_of_place(place), element[2]));
    }
    put(cx, args[1], &elements, options);
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn places() {
        let mut rig = Rig::new();
        rig.check(&[
            (
                "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
                "2",
            ),
            ("ZSCORE g Palermo", "\"3479099956230698\""),
            ("GEOADD g nx 1 1 Palermo 2 2 x", "1"),
            ("GEOADD g CH xx 1 1 Palermo 2 2 y", "1"),
            (
                "GEOADD g 1 2",
                "ERR wrong number of arguments for 'geoadd' command",
            ),
            ("GEOADD g 1 2 a 3", "ERR syntax error"),
            ("GEOADD g nx xx 1 2 a", "ERR syntax error"),
            ("GEOADD g nx ch nx", "ERR syntax error"),
            ("GEOADD g x 2 a", "ERR value is not a valid float"),
            (
                "GEOADD g 1 2 a 200 100 b",
                "ERR invalid longitude,latitude pair 200.000000,100.000000",
            ),
            (
                "GEOADD g inf 1 a",
                "ERR invalid longitude,latitude pair inf,1.000000",
            ),
            ("ZCARD g", "3"),
            ("SET s v", "OK"),
            (
                "GEOADD s 1 2 a",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
    }
}
