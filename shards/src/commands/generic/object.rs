//! OBJECT: how a value is kept and when it was used last.

use tessera_core::entry::{Entry, ValueRef};
use tessera_core::object::Object;

use super::ROW;
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::container::{help, subcommand};
use crate::shard::Tracks;

/// A subcommand about one key.
const OF_KEY: Spec = Spec {
    arity: 3,
    flags: flag::READONLY,
    keys: &[KeySpec::range(access::RO, 2, 0, 1)],
    tips: &["nondeterministic_output"],
    since: "2.2.3",
    ..ROW
};

pub(super) const OBJECT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "object",
        arity: -2,
        categories: 0,
        since: "2.2.3",
        summary: "A container for commands that look at how values are kept.",
        complexity: "That of the subcommand",
        subcommands: &[
            Spec {
                name: "encoding",
                summary: "Returns how the value of a key is kept.",
                ..OF_KEY
            },
            Spec {
                name: "freq",
                since: "4.0.0",
                summary: "Returns the logarithmic count of accesses to a key.",
                ..OF_KEY
            },
            Spec {
                name: "help",
                arity: 2,
                flags: flag::LOADING | flag::STALE,
                since: "6.2.0",
                summary: "Describes the subcommands.",
                ..ROW
            },
            Spec {
                name: "idletime",
                summary: "Returns the seconds since a key was used last.",
                ..OF_KEY
            },
            Spec {
                name: "refcount",
                summary: "Returns how many references the value of a key has.",
                ..OF_KEY
            },
        ],
        ..ROW
    },
    op: op_object,
    spread: Spread::One,
};

const HELP: &[&str] = &[
    "ENCODING <key>",
    "    How the value is kept in memory.",
    "FREQ <key>",
    "    How often the key is used, on a logarithmic scale. Needs an LFU policy.",
    "IDLETIME <key>",
    "    Seconds since the key was last used. Needs a policy that is not LFU.",
    "REFCOUNT <key>",
    "    How many share the value.",
];

const NOT_LFU: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
    switching between policies at runtime LRU and LFU data will take some time to adjust.";
const NOT_LRU: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
    between policies at runtime LRU and LFU data will take some time to adjust.";

const NOT_TIMED: &str =
    "ERR The maxmemory policy allkeys-s3fifo is selected, idle time not tracked.";

/// The longest string that Redis keeps in one piece with its header.
const EMBEDDED_BYTES_MAX: usize = 44;
/// Redis shares the integers from 0 up to this one and says so in REFCOUNT.
const SHARED_INTEGERS: i64 = 10_000;

fn op_object(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(name) = subcommand(cx, &OBJECT.spec, args) else {
        return;
    };
    if name == "help" {
        return help(cx, &OBJECT.spec, HELP);
    }
    let (key, tracks) = (args[2], cx.shard.settings.tracks);
    if cx.shard.glance(cx.db, key).is_none() {
        return cx.reply.null();
    }
    let shard = &*cx.shard;
    let Some(entry) = shard.table(cx.db).get(shard.hash(key), key) else {
        return;
    };
    match name {
        "encoding" => cx.reply.bulk(encoding(entry).as_bytes()),
        "refcount" => cx.reply.integer(references(entry)),
        "freq" if tracks == Tracks::Counts => cx.reply.integer(shard.frequency(entry).into()),
        "freq" => cx.error(NOT_LFU),
        _ if tracks == Tracks::Counts => cx.error(NOT_LRU),
        _ if tracks == Tracks::Queues => cx.error(NOT_TIMED),
        _ => cx.reply.integer(shard.idle_s(entry) as i64),
    }
}

/// How a value is kept, as OBJECT ENCODING tells it.
#[must_use]
pub fn encoding(entry: &Entry) -> &'static str {
    match entry.string() {
        Some(ValueRef::Int(_)) => "int",
        Some(ValueRef::Bytes(bytes)) if bytes.len() <= EMBEDDED_BYTES_MAX && !entry.is_raw() => {
            "embstr"
        }
        Some(ValueRef::Bytes(_)) => "raw",
        None => entry.object().map_or("unknown", Object::encoding),
    }
}

/// OBJECT REFCOUNT of a value.
#[must_use]
pub fn references(entry: &Entry) -> i64 {
    match entry.string() {
        Some(ValueRef::Int(0..SHARED_INTEGERS)) => i32::MAX.into(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn encodings() {
        let mut rig = Rig::new();
        let (embedded, raw) = ("x".repeat(44), "x".repeat(45));
        assert_eq!(
            rig.run(&format!(
                "MSET i 12 e {embedded} r {raw} z 012 f 1.5 \"\" \"\""
            )),
            "OK"
        );
        rig.check(&[
            ("OBJECT encoding i", "\"int\""),
            ("OBJECT ENCODING e", "\"embstr\""),
            ("OBJECT ENCODING r", "\"raw\""),
            ("OBJECT ENCODING z", "\"embstr\""),
            ("OBJECT ENCODING f", "\"embstr\""),
            ("OBJECT ENCODING \"\"", "\"embstr\""),
            ("SETRANGE f 0 2", "3"),
            ("OBJECT ENCODING f", "\"raw\""),
            ("OBJECT ENCODING none", "(nil)"),
            ("OBJECT REFCOUNT none", "(nil)"),
            ("OBJECT REFCOUNT i", "2147483647"),
            ("OBJECT REFCOUNT e", "1"),
            ("SET i 10000", "OK"),
            ("OBJECT REFCOUNT i", "1"),
        ]);
    }

    #[test]
    fn idle_time_counts_accesses_only() {
        let mut rig = Rig::new();
        rig.check(&[("SET k v", "OK")]);
        rig.wait(5_000);
        rig.check(&[
            ("TTL k", "-1"),
            ("TYPE k", "string"),
            ("EXISTS k", "1"),
            ("OBJECT IDLETIME k", "5"),
        ]);
        rig.check(&[("TOUCH k", "1"), ("OBJECT IDLETIME k", "0")]);
        rig.wait(3_000);
        rig.check(&[
            ("RENAME k j", "OK"),
            ("OBJECT IDLETIME j", "3"),
            ("SET j w", "OK"),
            ("OBJECT IDLETIME j", "0"),
        ]);
        assert!(
            rig.run("OBJECT FREQ j")
                .starts_with("ERR An LFU maxmemory policy is not selected, access frequency")
        );
    }

    #[test]
    fn no_touch_leaves_the_idle_time_alone() {
        let mut rig = Rig::new();
        rig.check(&[("SET k 1", "OK")]);
        rig.wait(5_000);
        rig.shard.no_touch = true;
        rig.check(&[
            ("GET k", "\"1\""),
            ("INCR k", "2"),
            ("OBJECT IDLETIME k", "5"),
            ("TOUCH k", "1"),
            ("OBJECT IDLETIME k", "0"),
        ]);
    }

    #[test]
    fn frequency_under_lfu() {
        let mut rig = Rig::new();
        rig.shard.settings.tracks = crate::shard::Tracks::Counts;
        rig.check(&[
            ("SET k v", "OK"),
            ("OBJECT FREQ k", "5"),
            ("GET k", "\"v\""),
            ("OBJECT FREQ k", "6"),
        ]);
        rig.check(&[("SET k w", "OK")]);
        assert!(
            rig.run("OBJECT FREQ k").parse::<i64>().unwrap() >= 6,
            "SET keeps the count"
        );
        assert!(
            rig.run("OBJECT IDLETIME k")
                .starts_with("ERR An LFU maxmemory policy is selected, idle time not")
        );
        rig.wait(60_000 * 300);
        rig.check(&[("OBJECT FREQ k", "0")]);
    }

    #[test]
    fn subcommands() {
        let mut rig = Rig::new();
        rig.check(&[
            (
                "OBJECT",
                "ERR wrong number of arguments for 'object' command",
            ),
            (
                "OBJECT fOO",
                "ERR unknown subcommand 'fOO'. Try OBJECT HELP.",
            ),
            (
                "OBJECT ENCODING",
                "ERR wrong number of arguments for 'object|encoding' command",
            ),
            (
                "OBJECT help me",
                "ERR wrong number of arguments for 'object|help' command",
            ),
        ]);
        let help = rig.run("OBJECT HELP");
        assert!(help.starts_with("[OBJECT <subcommand> and its arguments, one of: ENCODING <key>"));
        assert!(help.ends_with("HELP     What you are reading.]"));
    }
}
