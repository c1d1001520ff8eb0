//! HRANDFIELD.

use std::collections::BTreeSet;

use tessera_core::hash::Hash;
use tessera_core::listpack::Item;
use tessera_core::resp::{Proto, Reply};

use super::{READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::scan_options::held;
use crate::shard::{Rng, WrongType, event};

pub(super) const HRANDFIELD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hrandfield",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "6.2.0",
        summary: "Returns fields of a hash chosen at random.",
        complexity: "O(N) with N fields returned",
        ..ROW
    },
    op: op_hrandfield,
    spread: Spread::One,
};

/// Distinct fields are drawn one by one while fewer than one in this many are wanted; otherwise some are left out of all.
const DRAWN_ONE_IN: usize = 3;

fn op_hrandfield(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let key = args[1];
    let [_, _, count, options @ ..] = args else {
        if purge(cx, key) {
            one(cx, key);
        }
        return;
    };
    let Some(count) = integer(cx, count) else {
        return;
    };
    if count == i64::MIN {
        return cx.error(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        ));
    }
    let with_values = match options {
        [] => false,
        [word] if is(word, "WITHVALUES") => true,
        _ => return cx.error(SYNTAX),
    };
    let half = i64::MAX / 2;
    if with_values && !(-half..=half).contains(&count) {
        return cx.error("ERR value is out of range");
    }
    if purge(cx, key) {
        many(cx, key, count, with_values);
    }
}

/// Takes the fields away whose time has come. Says whether the key may hold a hash; writes the error otherwise.
fn purge(cx: &mut Cx<'_>, key: &[u8]) -> bool {
    if cx.shard.check_object::<Hash>(cx.db, key).is_err() {
        cx.wrong_type();
        return false;
    }
    let now_ms = cx.shard.now_ms;
    if cx.shard.records() {
        cx.shard.drop_due_fields(cx.db, key);
    } else if held::<Hash>(cx, key).is_some_and(|hash| hash.has_due(now_ms)) {
        let expired = cx
            .shard
            .change_object(cx.db, key, |hash: &mut Hash| hash.expire(now_ms));
        if let Ok(Some(fields @ 1..)) = expired {
            cx.shard.stats.expired_fields += fields as u64;
            cx.shard.changed_by(cx.db, key, event::HEXPIRED);
        }
    }
    true
}

fn one(cx: &mut Cx<'_>, key: &[u8]) {
    let random = cx.shard.rng.next_u64();
    match cx.shard.read_object::<Hash>(cx.db, key) {
        Ok(hash) => match hash.and_then(|hash| hash.random(random)) {
            Some((field, _)) => reply_item(&mut cx.reply, field),
            None => cx.reply.null(),
        },
        Err(WrongType) => cx.wrong_type(),
    }
}

fn many(cx: &mut Cx<'_>, key: &[u8], count: i64, with_values: bool) {
    let mut rng = Rng::new(cx.shard.rng.next_u64());
    let hash = match cx.shard.read_object::<Hash>(cx.db, key) {
        Ok(Some(hash)) if count != 0 => hash,
        Ok(_) => return cx.reply.array(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        if !cx.reply.has_room_for(wanted) {
            return;
        }
        header(cx.reply.proto(), &mut cx.reply, wanted, with_values);
        for _ in 0..wanted {
            if let Some((field, value)) = hash.random(rng.next_u64()) {
                pair(&mut cx.reply, field, value, with_values);
            }
        }
        return;
    }
    let wanted = wanted.min(hash.len());
    let chosen = distinct(hash, wanted, &mut rng);
    header(cx.reply.proto(), &mut cx.reply, wanted, with_values);
    hash_fields(hash, &chosen, &mut |field, value| {
        pair(&mut cx.reply, field, value, with_values);
    });
}

/// The fields to return, or all of them if `None`.
fn distinct(hash: &Hash, wanted: usize, rng: &mut Rng) -> Option<BTreeSet<Vec<u8>>> {
    if wanted == hash.len() {
        return None;
    }
    let is_few = wanted < hash.len() / DRAWN_ONE_IN;
    let target = if is_few { wanted } else { hash.len() - wanted };
    let mut drawn = BTreeSet::new();
    while drawn.len() < target {
        if let Some((field, _)) = hash.random(rng.next_u64()) {
            drawn.insert(field.to_vec());
        }
    }
    if is_few {
        return Some(drawn);
    }
    let mut rest = BTreeSet::new();
    hash.for_each(0, &mut |field, _| {
        let field = field.to_vec();
        if !drawn.contains(&field) {
            rest.insert(field);
        }
    });
    Some(rest)
}

fn hash_fields(
    hash: &Hash,
    chosen: &Option<BTreeSet<Vec<u8>>>,
    visit: &mut dyn FnMut(Item<'_>, Item<'_>),
) {
    match chosen {
        None => hash.for_each(0, visit),
        Some(fields) => {
            for field in fields {
                if let Some(value) = hash.get(field, 0) {
                    visit(Item::Bytes(field), value);
                }
            }
        }
    }
}

/// RESP3 nests the pairs.
fn header(proto: Proto, reply: &mut Reply<'_>, wanted: usize, with_values: bool) {
    let is_flat = with_values && proto == Proto::Resp2;
    reply.array(if is_flat { 2 * wanted } else { wanted });
}

fn pair(reply: &mut Reply<'_>, field: Item<'_>, value: Item<'_>, with_values: bool) {
    if with_values && reply.proto() == Proto::Resp3 {
        reply.array(2);
    }
    reply_item(reply, field);
    if with_values {
        reply_item(reply, value);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn random_fields() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HRANDFIELD none", "(nil)"),
            ("HRANDFIELD none 3", "[]"),
            ("HSET h a 1", "1"),
            ("HRANDFIELD h", "\"a\""),
            ("HRANDFIELD h 5", "[\"a\"]"),
            ("HRANDFIELD h 5 WITHVALUES", "[\"a\" \"1\"]"),
            ("HRANDFIELD h -3", "[\"a\" \"a\" \"a\"]"),
            ("HRANDFIELD h 0", "[]"),
            (
                "HRANDFIELD h x",
                "ERR value is not an integer or out of range",
            ),
            ("HRANDFIELD h 1 bogus", "ERR syntax error"),
            ("SET s v", "OK"),
            (
                "HRANDFIELD s x",
                "ERR value is not an integer or out of range",
            ),
            (
                "HRANDFIELD s 1",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "HRANDFIELD h -9223372036854775808 bogus",
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
            (
                "HRANDFIELD h 9223372036854775807 WITHVALUES",
                "ERR value is out of range",
            ),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[(
            "HRANDFIELD h -2 WITHVALUES",
            "[[\"a\" \"1\"] [\"a\" \"1\"]]",
        )]);
    }

    #[test]
    fn distinct_fields() {
        for total in [9, 900] {
            let mut rig = Rig::new();
            for field in 0..total {
                rig.run(&format!("HSET h f{field} v"));
            }
            for wanted in [1, 2, total / 2, total - 1, total, total + 5] {
                let shown = rig.run(&format!("HRANDFIELD h {wanted}"));
                let mut fields: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
                fields.sort_unstable();
                fields.dedup();
                assert_eq!(fields.len(), wanted.min(total), "{wanted} of {total}");
            }
        }
    }
}
