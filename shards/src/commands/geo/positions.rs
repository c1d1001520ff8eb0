//! Where members are: GEOPOS, GEOHASH.

use tessera_core::geo::{geohash_text, place_of_score};
use tessera_core::zset::Zset;

use super::{READS, ROW, reply_place};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};

pub(super) const GEOPOS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geopos",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns longitude and latitude of members.",
        complexity: "O(N) with N members asked for",
        ..ROW
    },
    op: op_geopos,
    spread: Spread::One,
};

fn op_geopos(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Ok(zset) = cx.shard.read_object::<Zset>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(args.len() - 2);
    for member in &args[2..] {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_place(&mut cx.reply, place_of_score(score)),
            None => cx.reply.null_array(),
        }
    }
}

pub(super) const GEOHASH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geohash",
        summary: "Returns the places of members as standard geohashes.",
        ..GEOPOS.spec
    },
    op: op_geohash,
    spread: Spread::One,
};

fn op_geohash(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Ok(zset) = cx.shard.read_object::<Zset>(cx.db, args[1]) else {
        return cx.wrong_type();
    };
    cx.reply.array(args.len() - 2);
    for member in &args[2..] {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => cx.reply.bulk(&geohash_text(place_of_score(score))),
            None => cx.reply.null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn positions() {
        let mut rig = Rig::new();
        rig.check(&[
            (
                "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
                "2",
            ),
            (
                "GEOPOS g Palermo none",
                "[[\"13.36138933897018433\" \"38.11555639549629859\"] (nil)]",
            ),
            ("GEOPOS none a", "[(nil)]"),
            ("GEOPOS g", "[]"),
            (
                "GEOHASH g Palermo Catania none",
                "[\"sqc8b49rny0\" \"sqdtr74hyu0\" (nil)]",
            ),
            ("GEOHASH none a", "[(nil)]"),
        ]);
        assert_eq!(rig.bytes(&[b"GEOPOS", b"none", b"a"]), b"*1\r\n*-1\r\n");
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[(
            "GEOPOS g Palermo",
            "[[13.36138933897018433 38.11555639549629859]]",
        )]);
    }
}
