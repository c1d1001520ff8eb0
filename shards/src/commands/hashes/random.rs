//! HRANDFIELD.

use tessera_core::hash::{Hash, HashEncoding};
use tessera_core::listpack::Item;
use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Gathered, Proto, Reply};
use tessera_core::set::{Set, SetLimits};

use super::{READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::scan_options::held;
use crate::shard::{Rng, Shard, WrongType, event};

pub(super) const HRANDFIELD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hrandfield",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "6.2.0",
        summary: "Returns fields of a hash chosen at random.",
        complexity: "O(N) with N fields returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_hrandfield,
    spread: Spread::One,
};

/// Distinct fields are drawn one by one while fewer than one in this many are wanted; otherwise all are passed, and some taken.
const DRAWN_ONE_IN: usize = 3;
/// Fields that are drawn or passed at once.
const FIELDS_AT_ONCE: usize = 1024;

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
    let rng = Rng::new(cx.shard.rng.next_u64());
    let seed = cx.shard.collection_seed();
    let hash = match cx.shard.read_object::<Hash>(cx.db, key) {
        Ok(Some(hash)) if count != 0 => hash,
        Ok(_) => return cx.reply.array(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let is_large = matches!(hash.repr(), HashEncoding::Table(_));
    let (way, wanted) = if count < 0 {
        (Way::Repeated, wanted)
    } else if is_large && wanted < hash.len() / DRAWN_ONE_IN {
        (Way::Drawn(Set::new()), wanted)
    } else {
        let (left, cursor) = (hash.len(), 0);
        (Way::Passed { left, cursor }, wanted.min(left))
    };
    if !cx.reply.has_room_for(wanted) {
        return;
    }
    let mut sampling = Sampling {
        db: cx.db,
        key: key.into(),
        with_values,
        rng,
        seed,
        wanted,
        way,
        found: 0,
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    if wanted > FIELDS_AT_ONCE {
        let expected = elements_len(wanted, with_values, cx.reply.proto());
        sampling.gathered = Gathered::expecting(expected, cx.reply.proto());
    }
    if sampling.take_some(cx.shard) {
        let len = elements_len(sampling.found, with_values, cx.reply.proto());
        cx.reply.array(len);
        sampling.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(sampling));
    }
}

/// How fields are chosen.
enum Way {
    /// One random field after the other, some perhaps twice.
    Repeated,
    /// The same, without those that were drawn before.
    Drawn(Set),
    /// One pass over all fields, in which each is taken with probability wanted / left.
    Passed { left: usize, cursor: u64 },
}

/// Fields of a locked key that are being chosen.
struct Sampling {
    db: usize,
    key: Box<[u8]>,
    with_values: bool,
    rng: Rng,
    seed: u64,
    wanted: usize,
    way: Way,
    found: usize,
    /// What has been chosen, as replies.
    gathered: Gathered,
}

impl Sampling {
    /// Chooses some more and says whether that was all.
    fn take_some(&mut self, shard: &Shard) -> bool {
        let entry = shard.table(self.db).get(shard.hash(&self.key), &self.key);
        let Some(hash) = entry.and_then(|entry| entry.object()).and_then(Hash::of) else {
            return true;
        };
        let (rng, way, found) = (&mut self.rng, &mut self.way, &mut self.found);
        let (wanted, with_values) = (self.wanted, self.with_values);
        let limits = drawn_limits(self.seed);
        let has_ended = self.gathered.write(|reply| {
            let mut looked_at = 0;
            while looked_at < FIELDS_AT_ONCE && *found < wanted {
                looked_at += 1;
                if let Way::Passed { left, cursor } = way {
                    *cursor = hash.scan(*cursor, 0, &mut |field, value| {
                        if rng.below(*left as u64) < (wanted - *found) as u64 {
                            pair(reply, field, value, with_values);
                            *found += 1;
                        }
                        *left = left.saturating_sub(1);
                        looked_at += 1;
                    });
                    if *cursor == 0 {
                        return true;
                    }
                    continue;
                }
                let Some((field, value)) = hash.random(rng.next_u64()) else {
                    return true;
                };
                let is_new = match way {
                    Way::Drawn(drawn) => drawn.add_item(field, &limits),
                    _ => true,
                };
                if is_new {
                    pair(reply, field, value, with_values);
                    *found += 1;
                }
            }
            false
        });
        has_ended || self.found >= self.wanted || self.gathered.is_refused()
    }
}

impl Task for Sampling {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.take_some(shard);
        if is_done {
            let (found, with_values) = (self.found, self.with_values);
            self.gathered.finish(reply, |reply| {
                reply.array(elements_len(found, with_values, reply.proto()));
            });
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

/// The number in the header of so many fields: RESP3 nests the pairs.
fn elements_len(fields: usize, with_values: bool, proto: Proto) -> usize {
    let is_flat = with_values && proto == Proto::Resp2;
    if is_flat { 2 * fields } else { fields }
}

/// All on a table: what was drawn is looked up more often than it is kept.
fn drawn_limits(seed: u64) -> SetLimits {
    SetLimits {
        integers_max: 0,
        entries_max: 0,
        value_bytes_max: 0,
        seed,
    }
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
        for total in [9, 900, 9_000] {
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

    #[test]
    fn many_in_slices() {
        let mut rig = Rig::new();
        for field in 0..9_000 {
            rig.run(&format!("HSET h f{field} v{field}"));
        }
        for (wanted, found, slices) in [(-5_000, 5_000, 4), (2_500, 2_500, 2), (8_000, 8_000, 0)] {
            let shown = rig.run(&format!("HRANDFIELD h {wanted} WITHVALUES"));
            assert!(rig.slices >= slices, "{wanted}: {}", rig.slices);
            let items: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
            assert_eq!(items.len(), 2 * found, "{wanted}");
            for pair in items.chunks(2) {
                assert_eq!(pair[0].replace('f', "v"), pair[1]);
            }
        }
    }

    #[test]
    fn every_field_has_its_chance() {
        let mut rig = Rig::new();
        rig.run("HSET h 0 a 1 a 2 a 3 a 4 a 5 a 6 a 7 a 8 a 9 a");
        let mut counts = [0; 10];
        for _ in 0..3_000 {
            let shown = rig.run("HRANDFIELD h 4");
            for field in shown.trim_matches(['[', ']']).split(' ') {
                counts[field.trim_matches('"').parse::<usize>().unwrap()] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (1_000..1_400).contains(count)),
            "{counts:?}"
        );
    }
}
