//! EVAL, EVALSHA and FCALL, and their forms that only read. The work is done in `script`.

use crate::command::spec::{Begin, Find, KeySpec, access, category, flag};
use crate::command::{KeyspaceRow, Spec, Spread};
use crate::script::eval;

const NOTES_RW: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const NOTES_RO: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

const fn keys(access: u32, notes: &'static str) -> KeySpec {
    KeySpec {
        access,
        notes,
        begin: Begin::Index(2),
        find: Find::KeyNum {
            index: 0,
            first: 1,
            step: 1,
        },
    }
}

const RW: u32 = access::RW | access::ACCESS | access::UPDATE;
const RO: u32 = access::RO | access::ACCESS;

const WRITES: Spec = Spec {
    arity: -3,
    flags: flag::MAY_REPLICATE
        | flag::NOSCRIPT
        | flag::STALE
        | flag::SKIP_MONITOR
        | flag::NO_MANDATORY_KEYS
        | flag::MOVABLEKEYS,
    categories: category::SCRIPTING,
    group: "scripting",
    complexity: "Depends on the script that is executed.",
    keys: &[keys(RW, NOTES_RW)],
    // A script may use keys that it did not declare.
    open_keys: Some(|_| true),
    ..Spec::NONE
};

const READS: Spec = Spec {
    flags: flag::READONLY | WRITES.flags & !flag::MAY_REPLICATE,
    keys: &[keys(RO, NOTES_RO)],
    since: "7.0.0",
    ..WRITES
};

const fn row(spec: Spec) -> KeyspaceRow {
    KeyspaceRow {
        spec,
        op: eval,
        spread: Spread::Script,
    }
}

/// The rows of the family.
pub const ROWS: &[KeyspaceRow] = &[
    row(Spec {
        name: "eval",
        since: "2.6.0",
        summary: "Runs a Lua script on the server.",
        ..WRITES
    }),
    row(Spec {
        name: "evalsha",
        since: "2.6.0",
        keys: &[keys(RW, "")],
        summary: "Runs a Lua script by its SHA-1 digest.",
        ..WRITES
    }),
    row(Spec {
        name: "eval_ro",
        summary: "Runs a Lua script that only reads.",
        ..READS
    }),
    row(Spec {
        name: "evalsha_ro",
        keys: &[keys(RO, "")],
        summary: "Runs a Lua script that only reads, by its SHA-1 digest.",
        ..READS
    }),
    row(Spec {
        name: "fcall",
        since: "7.0.0",
        summary: "Runs a function of a library.",
        complexity: "Depends on the function that is executed.",
        ..WRITES
    }),
    row(Spec {
        name: "fcall_ro",
        summary: "Runs a function of a library that only reads.",
        complexity: "Depends on the function that is executed.",
        ..READS
    }),
];

#[cfg(test)]
mod tests;
