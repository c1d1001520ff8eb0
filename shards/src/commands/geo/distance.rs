//! GEODIST.

use tessera_core::geo::{distance_m, place_of_score};
use tessera_core::zset::Zset;

use super::{READS, ROW, reply_distance, unit_m};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::SYNTAX;
use crate::shard::WrongType;

pub(super) const GEODIST: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geodist",
        arity: -4,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns the distance between two members.",
        ..ROW
    },
    op: op_geodist,
    spread: Spread::One,
};

fn op_geodist(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let unit_m = match &args[4..] {
        [] => Some(1.0),
        [word] => unit_m(cx, word),
        _ => return cx.error(SYNTAX),
    };
    let Some(unit_m) = unit_m else { return };
    match cx.shard.read_object::<Zset>(cx.db, args[1]) {
        Ok(zset) => {
            let place = |member| zset?.score(member).map(place_of_score);
            match (place(args[2]), place(args[3])) {
                (Some(from), Some(to)) => {
                    reply_distance(&mut cx.reply, distance_m(from, to) / unit_m);
                }
                _ => cx.reply.null(),
            }
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn distances() {
        let mut rig = Rig::new();
        let unit = "ERR unsupported unit provided. please use M, KM, FT, MI";
        rig.check(&[
            (
                "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
                "2",
            ),
            ("GEODIST g Palermo Catania", "\"166274.1516\""),
            ("GEODIST g Palermo Catania km", "\"166.2742\""),
            ("GEODIST g Palermo Catania MI", "\"103.3182\""),
            ("GEODIST g Palermo Catania ft", "\"545518.8700\""),
            ("GEODIST g Palermo Palermo", "\"0.0000\""),
            ("GEODIST g Palermo none", "(nil)"),
            ("GEODIST none a b", "(nil)"),
            ("GEODIST none a b inch", unit),
            ("GEODIST g a b m x", "ERR syntax error"),
        ]);
    }
}
