//! Reading or writing fields together with their lifetimes, as Redis 8.0 has it: HGETDEL, HGETEX, HSETEX.

use tessera_core::hash::Hash;
use tessera_core::number::parse_i64;

use super::lifetime::{NOT_POSITIVE, fields, may_hold_hash, moment, set_end};
use super::{ROW, WRITES, changed_times, reply_item};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{is, wrong_arity};
use crate::commands::lifetime::Lifetime;
use crate::shard::WrongType;
use crate::shard::event::{self, Event};

pub(super) const HGETDEL: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hgetdel",
        arity: -5,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::DELETE,
            1,
            0,
            1,
        )],
        since: "8.0.0",
        summary: "Returns the values of fields of a hash and removes the fields.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hgetdel,
    spread: Spread::One,
};

fn op_hgetdel(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !may_hold_hash(cx, args[1]) {
        return;
    }
    if let Some(fields) = fields(cx, &args[2..], NOT_POSITIVE) {
        take_each(cx, args[1], fields, event::HDEL, |hash, field| {
            hash.remove(field)
        });
    }
}

/// Replies with the values of the fields. `change` is asked for each live one and says whether it changed something.
fn take_each(
    cx: &mut Cx<'_>,
    key: &[u8],
    fields: &[&[u8]],
    event: Event,
    mut change: impl FnMut(&mut Hash, &[u8]) -> bool,
) {
    let now_ms = cx.shard.now_ms;
    cx.reply.array(fields.len());
    let reply = &mut cx.reply;
    let changed = cx.shard.change_object(cx.db, key, |hash: &mut Hash| {
        let mut changes = 0;
        for field in fields {
            match hash.get(field, now_ms) {
                Some(value) => reply_item(reply, value),
                None => {
                    reply.null();
                    continue;
                }
            }
            changes += usize::from(change(hash, field));
        }
        changes
    });
    match changed {
        Ok(Some(changes)) => changed_times(cx.shard, cx.db, key, changes, event),
        // There is no such key: `may_hold_hash` has seen that it is of no other type.
        Ok(None) | Err(WrongType) => fields.iter().for_each(|_| cx.reply.null()),
    }
}

pub(super) const HGETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hgetex",
        arity: -5,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::UPDATE,
            1,
            0,
            1,
        )],
        since: "8.0.0",
        summary: "Returns the values of fields of a hash and sets or clears their lifetimes.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hgetex,
    spread: Spread::One,
};

fn op_hgetex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    if !may_hold_hash(cx, key) {
        return;
    }
    // What becomes of the lifetimes: nothing, they end, or a moment.
    let (end, rest) = if let Some(lifetime) = lifetime_of(args[2]) {
        let Some(at_ms) = moment(cx, args[3], lifetime, "hgetex") else {
            return;
        };
        (Some(Some(at_ms)), &args[4..])
    } else if is(args[2], "PERSIST") {
        (Some(None), &args[3..])
    } else {
        (None, &args[2..])
    };
    let Some(fields) = fields(cx, rest, NOT_POSITIVE) else {
        return;
    };
    let (now_ms, seed) = (cx.shard.now_ms, cx.shard.collection_seed());
    let event = if end == Some(None) {
        event::HPERSIST
    } else {
        event::HEXPIRE
    };
    take_each(cx, key, fields, event, |hash, field| match end {
        None => false,
        Some(Some(at_ms)) => {
            set_end(hash, field, at_ms, now_ms, seed);
            true
        }
        Some(None) => {
            let had_end = hash.expire_at(field).flatten().is_some();
            hash.set_expire(field, None, seed);
            had_end
        }
    });
}

/// The lifetime that an option's word announces.
fn lifetime_of(word: &[u8]) -> Option<Lifetime> {
    let words = [
        ("EX", Lifetime::EX),
        ("PX", Lifetime::PX),
        ("EXAT", Lifetime::EXAT),
        ("PXAT", Lifetime::PXAT),
    ];
    let found = words.iter().find(|(name, _)| is(word, name));
    found.map(|(_, lifetime)| *lifetime)
}

pub(super) const HSETEX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hsetex",
        arity: -6,
        flags: WRITES,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        since: "8.0.0",
        summary: "Sets the values of fields of a hash and their lifetimes.",
        complexity: "O(N) with N fields",
        ..ROW
    },
    op: op_hsetex,
    spread: Spread::One,
};

/// Which fields must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Any,
    /// FNX.
    None,
    /// FXX.
    All,
}

/// What becomes of the lifetimes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    Kept,
    At(u64),
}

/// The arguments of HSETEX after the key.
struct SetEx<'a> {
    wanted: Wanted,
    end: End,
    pairs: &'a [&'a [u8]],
}

impl<'a> SetEx<'a> {
    /// Writes the error if they are not in order.
    fn parse(cx: &mut Cx<'_>, mut args: &'a [&'a [u8]]) -> Option<Self> {
        let (mut wanted, mut end) = (Wanted::Any, None);
        while let [word, rest @ ..] = args {
            args = rest;
            let lifetime = lifetime_of(word);
            if is(word, "FIELDS") {
                let end = end.unwrap_or(End::Never);
                let pairs = pairs(cx, rest)?;
                return Some(Self { wanted, end, pairs });
            } else if lifetime.is_some() || is(word, "KEEPTTL") {
                if end.is_some() {
                    cx.error(
                        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    );
                    return None;
                }
                end = Some(End::Kept);
                if let Some(lifetime) = lifetime {
                    let [amount, more @ ..] = rest else {
                        cx.error("ERR missing expire time");
                        return None;
                    };
                    end = Some(End::At(moment(cx, amount, lifetime, "hsetex")?));
                    args = more;
                }
            } else if is(word, "FNX") || is(word, "FXX") {
                if wanted != Wanted::Any {
                    cx.error("ERR Only one of FXX or FNX arguments can be specified");
                    return None;
                }
                let is_all = is(word, "FXX");
                wanted = if is_all { Wanted::All } else { Wanted::None };
            } else {
                let word = word.escape_ascii();
                cx.error(format!("ERR unknown argument: {word}"));
                return None;
            }
        }
        wrong_arity(cx, "hsetex");
        None
    }
}

/// The fields and values after `FIELDS`.
fn pairs<'a>(cx: &mut Cx<'_>, args: &'a [&'a [u8]]) -> Option<&'a [&'a [u8]]> {
    let [count, pairs @ ..] = args else {
        wrong_arity(cx, "hsetex");
        return None;
    };
    if pairs.len() < 2 {
        wrong_arity(cx, "hsetex");
        return None;
    }
    let count = parse_i64(count).and_then(|count| i32::try_from(count).ok());
    let Some(count) = count.filter(|count| *count > 0) else {
        cx.error("ERR invalid number of fields");
        return None;
    };
    if pairs.len() != 2 * count as usize {
        wrong_arity(cx, "hsetex");
        return None;
    }
    Some(pairs)
}

fn op_hsetex(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let Some(options) = SetEx::parse(cx, &args[2..]) else {
        return;
    };
    let (limits, now_ms) = (cx.shard.hash_limits(), cx.shard.now_ms);
    let changes = cx.shard.change_or_create(cx.db, key, |hash: &mut Hash| {
        let is_met = options.pairs.chunks_exact(2).all(|pair| {
            let is_there = hash.contains(pair[0], now_ms);
            options.wanted == Wanted::Any || is_there == (options.wanted == Wanted::All)
        });
        if !is_met {
            return 0;
        }
        for pair in options.pairs.chunks_exact(2) {
            hash.drop_due(pair[0], now_ms);
            match options.end {
                End::Never => hash.set(pair[0], pair[1], &limits),
                End::Kept | End::At(_) => hash.set_keeping(pair[0], pair[1], &limits),
            };
            if let End::At(at_ms) = options.end {
                set_end(hash, pair[0], at_ms, now_ms, limits.seed);
            }
        }
        options.pairs.len() / 2
    });
    match changes {
        Ok(changes) => {
            changed_times(cx.shard, cx.db, key, changes, event::HSET);
            if changes > 0 && matches!(options.end, End::At(_)) {
                cx.shard.note(cx.db, key, event::HEXPIRE);
            }
            cx.reply.integer((changes > 0).into());
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn read_and_remove() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HGETDEL none FIELDS 2 a b", "[(nil) (nil)]"),
            ("HSET h a 1 b 2 c 3", "3"),
            ("HGETDEL h FIELDS 3 a none b", "[\"1\" (nil) \"2\"]"),
            ("HGETDEL h FIELDS 2 c c", "[\"3\" (nil)]"),
            ("EXISTS h", "0"),
            ("SET s v", "OK"),
            (
                "HGETDEL s FOO 1 a",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "HGETDEL h FIELDS 0 a",
                "ERR Number of fields must be a positive integer",
            ),
        ]);
    }

    #[test]
    fn read_and_set_lifetimes() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HGETEX none EX 10 FIELDS 1 a", "[(nil)]"),
            ("EXISTS none", "0"),
            ("HSET h a 1 b 2", "2"),
            ("HGETEX h FIELDS 1 a", "[\"1\"]"),
            ("HTTL h FIELDS 1 a", "[-1]"),
            ("HGETEX h EX 10 FIELDS 2 a none", "[\"1\" (nil)]"),
            ("HTTL h FIELDS 1 a", "[10]"),
            ("HGETEX h PERSIST FIELDS 1 a", "[\"1\"]"),
            ("HTTL h FIELDS 1 a", "[-1]"),
            ("HGETEX h PXAT 1 FIELDS 2 a b", "[\"1\" \"2\"]"),
            ("EXISTS h", "0"),
            (
                "HGETEX h EX 10 PX 10 FIELDS 1 a",
                "ERR Mandatory argument FIELDS is missing or not at the right position",
            ),
            (
                "HGETEX h EX -1 FIELDS 1 a",
                "ERR invalid expire time, must be >= 0",
            ),
        ]);
    }

    #[test]
    fn set_with_lifetimes() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HSETEX h FXX FIELDS 1 a 1", "0"),
            ("EXISTS h", "0"),
            ("HSETEX h EX 10 FIELDS 2 a 1 b 2", "1"),
            ("HSETEX h FNX FIELDS 2 z 1 b 3", "0"),
            ("HSETEX h KEEPTTL FXX FIELDS 1 a 5", "1"),
            ("HTTL h FIELDS 2 a b", "[10 10]"),
            ("HSETEX h FIELDS 1 a 6", "1"),
            ("HTTL h FIELDS 2 a b", "[-1 10]"),
            ("HSETEX h PX 0 FIELDS 2 a 7 b 8", "1"),
            ("EXISTS h", "0"),
            (
                "HSETEX h FNX FXX FIELDS 1 a 1",
                "ERR Only one of FXX or FNX arguments can be specified",
            ),
            (
                "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1",
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ),
            ("HSETEX h FOO FIELDS 1 a 1", "ERR unknown argument: FOO"),
            ("HSETEX h FIELDS 0 a 1", "ERR invalid number of fields"),
            (
                "HSETEX h FIELDS 2 a 1",
                "ERR wrong number of arguments for 'hsetex' command",
            ),
            (
                "HSETEX h FNX KEEPTTL FNX EX",
                "ERR Only one of FXX or FNX arguments can be specified",
            ),
        ]);
    }
}
