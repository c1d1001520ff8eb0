//! Members inside an area: GEOSEARCH, GEOSEARCHSTORE, GEORADIUS, GEORADIUSBYMEMBER and their read-only forms.

use tessera_core::zset::Zset;

use super::hits::Hunt;
use super::request::{Form, Request};
use super::{READS, ROW};
use crate::command::spec::{Begin, Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::SYNTAX;
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const GEOSEARCH: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geosearch",
        arity: -7,
        flags: flag::READONLY,
        keys: READS,
        since: "6.2.0",
        summary: "Returns the members inside a circle or a box.",
        complexity: "O(N log M) with N members in the cells round the area and M inside; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| search(cx, args, Form::Search),
    spread: Spread::One,
};

pub(super) const GEOSEARCHSTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "geosearchstore",
        arity: -8,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::OW | access::UPDATE, 1, 0, 1),
            KeySpec::range(access::RO | access::ACCESS, 2, 0, 1),
        ],
        summary: "Stores the members inside a circle or a box under another key.",
        ..GEOSEARCH.spec
    },
    op: |cx, args| search(cx, args, Form::SearchStore),
    spread: Spread::Borrow,
};

/// The key after a word.
const fn named(word: &'static str, from: i32) -> KeySpec {
    KeySpec {
        access: access::OW | access::UPDATE,
        notes: "",
        begin: Begin::Keyword(word, from),
        find: Find::Range {
            last: 0,
            step: 1,
            limit: 0,
        },
    }
}

const SOURCE: KeySpec = KeySpec::range(access::RO | access::ACCESS, 1, 0, 1);

pub(super) const GEORADIUS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "georadius",
        arity: -6,
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
        keys: &[SOURCE, named("STORE", 6), named("STOREDIST", 6)],
        since: "3.2.0",
        summary: "Returns or stores the members inside a circle round a place.",
        ..GEOSEARCH.spec
    },
    op: |cx, args| search_around(cx, args, &GEORADIUS.spec, Form::Around { stores: true }),
    spread: Spread::Borrow,
};

pub(super) const GEORADIUSBYMEMBER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "georadiusbymember",
        arity: -5,
        keys: &[SOURCE, named("STORE", 5), named("STOREDIST", 5)],
        summary: "Returns or stores the members inside a circle round a member.",
        ..GEORADIUS.spec
    },
    op: |cx, args| {
        let form = Form::AroundMember { stores: true };
        search_around(cx, args, &GEORADIUSBYMEMBER.spec, form);
    },
    spread: Spread::Borrow,
};

pub(super) const GEORADIUS_RO: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "georadius_ro",
        arity: -6,
        since: "3.2.10",
        summary: "Returns the members inside a circle round a place.",
        ..GEOSEARCH.spec
    },
    op: |cx, args| search(cx, args, Form::Around { stores: false }),
    spread: Spread::One,
};

pub(super) const GEORADIUSBYMEMBER_RO: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "georadiusbymember_ro",
        arity: -5,
        summary: "Returns the members inside a circle round a member.",
        ..GEORADIUS_RO.spec
    },
    op: |cx, args| search(cx, args, Form::AroundMember { stores: false }),
    spread: Spread::One,
};

/// A search that may name a key to store to. The last one named counts; the rules for keys must have found it, as no other is here.
fn search_around(cx: &mut Cx<'_>, args: &[&[u8]], spec: &Spec, form: Form) {
    let places = spec.keys_of(args);
    search_among(cx, args, form, |key| {
        places.iter().any(|(at, _)| args[*at] == key)
    });
}

fn search(cx: &mut Cx<'_>, args: &[&[u8]], form: Form) {
    search_among(cx, args, form, |_| true);
}

fn search_among(cx: &mut Cx<'_>, args: &[&[u8]], form: Form, is_here: impl FnOnce(&[u8]) -> bool) {
    let key = args[1 + usize::from(form == Form::SearchStore)];
    let exists = match cx.shard.read_object::<Zset>(cx.db, key) {
        Ok(zset) => zset.is_some(),
        Err(WrongType) => return cx.wrong_type(),
    };
    let Some(request) = Request::parse(cx, args, form, exists) else {
        return;
    };
    if !request.to.is_none_or(is_here) {
        return cx.error(SYNTAX);
    }
    match (request.search(), request.to) {
        (Some(search), _) => {
            let event = match form {
                Form::Search | Form::SearchStore => event::GEOSEARCHSTORE,
                Form::Around { .. } | Form::AroundMember { .. } => event::GEORADIUSSTORE,
            };
            Hunt::new(cx, key, &request, search, event).run(cx);
        }
        (None, Some(to)) => {
            cx.shard.remove(cx.db, to);
            cx.reply.integer(0);
        }
        (None, None) => cx.reply.array(0),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    fn sicily() -> Rig {
        let mut rig = Rig::new();
        rig.check(&[(
            "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
            "2",
        )]);
        rig
    }

    #[test]
    fn searches() {
        let mut rig = sicily();
        rig.check(&[
            (
                "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC",
                "[\"Catania\" \"Palermo\"]",
            ),
            (
                "GEOSEARCH g fromlonlat 15 37 bybox 400 400 km desc withdist withhash withcoord count 1",
                "[[\"Palermo\" \"190.4424\" 3479099956230698 [\"13.36138933897018433\" \"38.11555639549629859\"]]]",
            ),
            (
                "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 m WITHDIST",
                "[[\"Palermo\" \"0.0000\"]]",
            ),
            (
                "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY",
                "[\"Palermo\"]",
            ),
            ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1", "[\"Catania\"]"),
            ("GEOSEARCH none FROMMEMBER x BYRADIUS 1 m", "[]"),
            ("GEORADIUS g 15 37 100 km WITHDIST", "[[\"Catania\" \"56.4413\"]]"),
            ("GEORADIUS_RO g 15 37 100 km", "[\"Catania\"]"),
            (
                "GEORADIUSBYMEMBER g Catania 200 km DESC",
                "[\"Palermo\" \"Catania\"]",
            ),
            ("GEORADIUSBYMEMBER_RO g Catania 1 km", "[\"Catania\"]"),
            ("GEORADIUSBYMEMBER none x 1 furlong", "[]"),
        ]);
    }

    #[test]
    fn stores() {
        let mut rig = sicily();
        rig.check(&[
            ("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km", "2"),
            ("ZSCORE d Palermo", "\"3479099956230698\""),
            (
                "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST COUNT 1 DESC",
                "1",
            ),
            (
                "ZRANGE d 0 -1 WITHSCORES",
                "[\"Palermo\" \"190.44242984775784\"]",
            ),
            ("GEORADIUS g 15 37 200 km STORE a STOREDIST d", "2"),
            ("EXISTS a", "0"),
            (
                "ZRANGE d 0 -1 WITHSCORES",
                "[\"Catania\" \"56.441257870158204\" \"Palermo\" \"190.44242984775784\"]",
            ),
            ("GEORADIUS g 0 0 1 m STORE d", "0"),
            ("EXISTS d", "0"),
            ("GEOADD d 1 1 x", "1"),
            ("GEOSEARCHSTORE d none FROMLONLAT 1 1 BYRADIUS 1 m", "0"),
            ("EXISTS d", "0"),
        ]);
    }

    #[test]
    fn refused() {
        let mut rig = sicily();
        let one_of = "ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch";
        let no_member = "ERR could not decode requested zset member";
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        rig.check(&[
            ("SET s v", "OK"),
            ("GEOSEARCH s a b c d e", wrong),
            ("geosearch g fromlonlat 15 37 asc desc", one_of),
            (
                "GEOSEARCH g BYRADIUS 1 m ASC ASC",
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
            ),
            ("GEOSEARCH g FROMMEMBER no BYRADIUS 1 m", no_member),
            ("GEORADIUSBYMEMBER g no 1 m", no_member),
            (
                "GEOSEARCH g FROMLONLAT 1 2 FROMMEMBER Palermo BYRADIUS 1 m",
                "ERR syntax error",
            ),
            (
                "GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 m BYBOX 1 1 m",
                "ERR syntax error",
            ),
            ("GEOSEARCH g FROMLONLAT 1 2 BYRADIUS x m", "ERR need numeric radius"),
            ("GEOSEARCH g FROMLONLAT 1 2 BYRADIUS -1 m", "ERR radius cannot be negative"),
            ("GEOSEARCH g FROMLONLAT 1 2 BYBOX x 1 m", "ERR need numeric width"),
            ("GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 x m", "ERR need numeric height"),
            (
                "GEOSEARCH g FROMLONLAT 1 2 BYBOX 1 -1 m",
                "ERR height or width cannot be negative",
            ),
            (
                "GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 inch",
                "ERR unsupported unit provided. please use M, KM, FT, MI",
            ),
            (
                "GEOSEARCH g FROMLONLAT 1 2 BYRADIUS 1 m ANY",
                "ERR the ANY argument requires COUNT argument",
            ),
            ("GEORADIUS g 1 2 1 m COUNT 0", "ERR COUNT must be > 0"),
            ("GEORADIUS g 1 2 1 m COUNT", "ERR syntax error"),
            ("GEORADIUS g 1 2 1 m STORE", "ERR syntax error"),
            ("GEORADIUS_RO g 1 2 1 m STORE d", "ERR syntax error"),
            ("GEOSEARCHSTORE d g FROMLONLAT 1 2 BYRADIUS 1 m STORE x", "ERR syntax error"),
            (
                "GEORADIUS g 1 2 1 m WITHDIST STORE d",
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            ),
            (
                "GEOSEARCHSTORE d g FROMLONLAT 1 2 BYRADIUS 1 m WITHHASH",
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            ),
        ]);
    }

    #[test]
    fn large_ones_in_slices() {
        let mut rig = Rig::new();
        for i in 0..3_000 {
            let (x, y) = (f64::from(i % 60) / 100.0, f64::from(i / 60) / 100.0);
            rig.run(&format!("GEOADD g {x} {y} {i}"));
        }
        let all = rig.run("GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 200 km ASC");
        assert!(rig.slices > 3, "{}", rig.slices);
        assert_eq!(all.split(' ').count(), 3_000);
        assert!(all.starts_with("[\"0\" "));
        let last = rig.run("GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 200 km DESC COUNT 2");
        assert!(all.ends_with(&format!(
            " {}]",
            last.trim_matches('[').split(' ').next().unwrap()
        )));
        assert_eq!(
            rig.run("GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 200 km COUNT 1200 ANY")
                .split(' ')
                .count(),
            1_200
        );
        rig.check(&[
            ("GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 200 km", "3000"),
            ("ZCARD d", "3000"),
        ]);
    }
}
