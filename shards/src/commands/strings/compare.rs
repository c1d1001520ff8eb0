//! Values compared before something happens: the conditions of SET (Valkey 8.1, Redis 8.4), DELIFEQ (Valkey 9.0), DELEX and DIGEST (Redis 8.4).
//!
//! A digest is XXH3 with 64 bits, as sixteen hexadecimal digits.

use tessera_core::entry::ValueRef;
use tessera_core::table::hash_key;

use super::{READS, ROW, text};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{is, wrong_arity};
use crate::shard::WrongType;

/// What a value is held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Comparison<'a> {
    /// A value, or the text of a digest.
    wanted: &'a [u8],
    is_digest: bool,
    /// Whether the condition is that they differ.
    is_not: bool,
}

/// What a comparison found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    Fails,
    /// The error is written: another type, or no digest.
    Refused,
}

const BAD_DIGEST: &str = "ERR must be exactly 16 hexadecimal characters";

fn digest(bytes: &[u8]) -> u64 {
    hash_key(0, bytes)
}

fn parse_digest(text: &[u8]) -> Option<u64> {
    let is_hex = text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_hex)?;
    u64::from_str_radix(text, 16).ok()
}

impl<'a> Comparison<'a> {
    /// The comparison that a word and its value ask for.
    pub(super) fn of(word: &[u8], wanted: &'a [u8]) -> Option<Self> {
        let words = [
            ("IFEQ", false, false),
            ("IFNE", false, true),
            ("IFDEQ", true, false),
            ("IFDNE", true, true),
        ];
        let (_, is_digest, is_not) = words.into_iter().find(|(name, _, _)| is(word, name))?;
        Some(Self {
            wanted,
            is_digest,
            is_not,
        })
    }

    /// Whether it holds for what is under the key. Where nothing is, nothing is equal.
    pub(super) fn judge(self, cx: &mut Cx<'_>, key: &[u8]) -> Verdict {
        let is_equal = match cx.shard.read_string(cx.db, key) {
            Ok(None) => Some(false),
            Ok(Some(value)) => self.matches(value),
            Err(WrongType) => {
                cx.wrong_type();
                return Verdict::Refused;
            }
        };
        match is_equal {
            None => {
                cx.error(BAD_DIGEST);
                Verdict::Refused
            }
            Some(is_equal) if is_equal != self.is_not => Verdict::Holds,
            Some(_) => Verdict::Fails,
        }
    }

    /// Whether the value is the wanted one; `None` if that should be a digest and is none.
    fn matches(self, value: ValueRef<'_>) -> Option<bool> {
        let mut digits = itoa::Buffer::new();
        let bytes = text(value, &mut digits);
        if self.is_digest {
            return Some(digest(bytes) == parse_digest(self.wanted)?);
        }
        Some(bytes == self.wanted)
    }
}

const REMOVES: &[KeySpec] = &[KeySpec::range(access::RW | access::DELETE, 1, 0, 1)];

pub(super) const DELIFEQ: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "delifeq",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        keys: REMOVES,
        since: "9.0.0",
        summary: "Removes a key, only if its string value is the one given.",
        ..ROW
    },
    op: op_delifeq,
    spread: Spread::One,
};

fn op_delifeq(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let comparison = Comparison {
        wanted: args[2],
        is_digest: false,
        is_not: false,
    };
    remove_if(cx, args[1], comparison);
}

fn remove_if(cx: &mut Cx<'_>, key: &[u8], comparison: Comparison<'_>) {
    match comparison.judge(cx, key) {
        Verdict::Holds => {
            let removed = cx.shard.remove(cx.db, key);
            cx.reply.integer(removed.into());
        }
        Verdict::Fails => cx.reply.integer(0),
        Verdict::Refused => {}
    }
}

pub(super) const DELEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "delex",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::DELETE | access::VARIABLE,
            1,
            0,
            1,
        )],
        since: "8.4.0",
        summary: "Removes a key, if need be only if its string value or the digest of it is, or is not, the one given.",
        complexity: "O(1), with a digest O(N) with N bytes of the value",
        ..ROW
    },
    op: op_delex,
    spread: Spread::One,
};

/// Redis looks at the key before it looks at the condition.
fn op_delex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, condition) = match args {
        [_, key] => {
            let removed = cx.shard.remove(cx.db, key);
            return cx.reply.integer(removed.into());
        }
        [_, key, word, wanted] => (*key, Comparison::of(word, wanted)),
        _ => return wrong_arity(cx, "delex"),
    };
    match cx.shard.read_string(cx.db, key) {
        Ok(Some(_)) => {}
        Ok(None) => return cx.reply.integer(0),
        Err(WrongType) => {
            return cx.error("ERR Key should be of string type if conditions are specified");
        }
    }
    match condition {
        Some(comparison) => remove_if(cx, key, comparison),
        None => cx.error("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
    }
}

pub(super) const DIGEST: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "digest",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "8.4.0",
        summary: "Returns the XXH3 digest of a string value in hexadecimal.",
        complexity: "O(N) with N bytes of the value",
        ..ROW
    },
    op: op_digest,
    spread: Spread::One,
};

fn op_digest(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let found = match cx.shard.read_string(cx.db, args[1]) {
        Ok(Some(value)) => {
            let mut digits = itoa::Buffer::new();
            format!("{:016x}", digest(text(value, &mut digits)))
        }
        Ok(None) => return cx.reply.null(),
        Err(WrongType) => return cx.wrong_type(),
    };
    cx.reply.bulk(found.as_bytes());
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn digests() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k \"Hello world\"", "OK"),
            ("DIGEST k", "\"b6acb9d84a38ff74\""),
            ("DIGEST none", "(nil)"),
            (
                "SET k v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
                "OK",
            ),
            ("DIGEST k", "\"00006c38adf31777\""),
            ("LPUSH l x", "1"),
            ("DIGEST l", WRONG),
        ]);
    }

    #[test]
    fn set_on_condition() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET k v IFEQ v", "(nil)"),
            ("SET k v IFDEQ 12", "(nil)"),
            ("EXISTS k", "0"),
            ("SET k 12 IFNE v", "OK"),
            ("SET k v IFEQ 13", "(nil)"),
            ("SET k \"Hello world\" ifeq 12", "OK"),
            ("SET k w IFDNE B6ACB9D84A38FF74", "(nil)"),
            ("SET k w IFDEQ B6ACB9D84A38FF74 EX 10", "OK"),
            ("TTL k", "10"),
            ("SET k x IFEQ w GET KEEPTTL", "\"w\""),
            ("SET k y GET IFEQ w", "\"x\""),
            ("GET k", "\"x\""),
            ("TTL k", "10"),
            (
                "SET k v IFDEQ 6acb9d84a38ff74",
                "ERR must be exactly 16 hexadecimal characters",
            ),
            ("SET k v NX IFEQ x", "ERR syntax error"),
            ("SET k v IFEQ x XX", "ERR syntax error"),
            ("SET k v IFEQ x IFNE y", "ERR syntax error"),
            ("SET k v IFEQ", "ERR syntax error"),
            ("LPUSH l x", "1"),
            ("SET l v IFEQ x", WRONG),
            ("SET l v IFDNE 1", WRONG),
        ]);
    }

    #[test]
    fn removal_on_condition() {
        let mut rig = Rig::new();
        rig.check(&[
            ("DELIFEQ k v", "0"),
            ("SET k 5", "OK"),
            ("DELIFEQ k 05", "0"),
            ("DELIFEQ k 5", "1"),
            ("DELEX k", "0"),
            ("DELEX k FOO x", "0"),
            ("SET k \"Hello world\"", "OK"),
            (
                "DELEX k FOO x",
                "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE",
            ),
            ("DELEX k IFEQ x", "0"),
            ("DELEX k IFDNE b6acb9d84a38ff74", "0"),
            ("DELEX k IFNE x", "1"),
            ("SET k \"Hello world\"", "OK"),
            ("DELEX k IFDEQ b6acb9d84a38ff74", "1"),
            (
                "DELEX k IFEQ",
                "ERR wrong number of arguments for 'delex' command",
            ),
            ("LPUSH l x", "1"),
            ("DELIFEQ l x", WRONG),
            (
                "DELEX l FOO x",
                "ERR Key should be of string type if conditions are specified",
            ),
            ("DELEX l", "1"),
        ]);
    }
}
