//! SRANDMEMBER.
//!
//! With repetitions: one random member after the other. Without: while few of a large set are wanted, random members until enough
//! different ones are found; otherwise one pass over the set in which each member is taken with probability wanted / left, which gives every
//! selection the same chance and needs no memory.

use tessera_core::resp::{Chain, Gathered};
use tessera_core::set::{Set, SetEncoding, SetLimits};

use super::operation::set_of;
use super::{MEMBERS_PER_SLICE, READS, ROW, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer};
use crate::shard::{Rng, Shard, WrongType};

pub(super) const SRANDMEMBER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "srandmember",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        summary: "Returns members of a set chosen at random.",
        complexity: "O(N) with N members returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_srandmember,
    spread: Spread::One,
};

/// Members are drawn while fewer than one in this many are wanted.
const DRAWN_ONE_IN: usize = 3;
/// Most repetitions: a longer reply would need more memory than there is.
const REPEATED_MAX: u64 = i32::MAX as u64;

fn op_srandmember(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match args {
        [_, key] => one(cx, key),
        [_, key, count] => {
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
            many(cx, key, count);
        }
        _ => cx.error(SYNTAX),
    }
}

fn one(cx: &mut Cx<'_>, key: &[u8]) {
    let random = cx.shard.rng.next_u64();
    match cx.shard.read_object::<Set>(cx.db, key) {
        Ok(set) => match set.and_then(|set| set.random(random)) {
            Some(member) => reply_item(&mut cx.reply, member),
            None => cx.reply.null(),
        },
        Err(WrongType) => cx.wrong_type(),
    }
}

fn many(cx: &mut Cx<'_>, key: &[u8], count: i64) {
    let rng = Rng::new(cx.shard.rng.next_u64());
    let seed = cx.shard.collection_seed();
    let set = match cx.shard.read_object::<Set>(cx.db, key) {
        Ok(Some(set)) if count != 0 => set,
        Ok(_) => return cx.reply.array(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let way = if count < 0 {
        Way::Repeated
    } else if wanted < set.len() / DRAWN_ONE_IN && matches!(set.repr(), SetEncoding::Table(_)) {
        Way::Drawn(Set::new())
    } else {
        Way::Passed {
            left: set.len(),
            cursor: 0,
        }
    };
    let wanted = if count < 0 {
        wanted
    } else {
        wanted.min(set.len())
    };
    if count < 0 && wanted as u64 > REPEATED_MAX {
        return cx.error("ERR value is out of range");
    }
    if !cx.reply.has_room_for(wanted) {
        return;
    }
    let mut task = SampleTask {
        db: cx.db,
        key: key.into(),
        rng,
        seed,
        wanted,
        way,
        found: 0,
        gathered: Gathered::expecting(wanted, cx.reply.proto()),
    };
    if task.take_some(cx.shard) {
        cx.reply.array(task.found);
        task.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(task));
    }
}

enum Way {
    Repeated,
    Drawn(Set),
    Passed { left: usize, cursor: u64 },
}

/// Members that are being chosen.
struct SampleTask {
    db: usize,
    key: Box<[u8]>,
    rng: Rng,
    seed: u64,
    wanted: usize,
    way: Way,
    found: usize,
    /// What has been chosen, as replies.
    gathered: Gathered,
}

impl SampleTask {
    /// Chooses some more and says whether that was all.
    fn take_some(&mut self, shard: &Shard) -> bool {
        let key = &self.key;
        let Some(set) = set_of(shard.table(self.db).get(shard.hash(key), key)) else {
            return true;
        };
        let (rng, way, found) = (&mut self.rng, &mut self.way, &mut self.found);
        let wanted = self.wanted;
        // All on the table: what is drawn is looked up more often than it is kept.
        let limits = SetLimits {
            integers_max: 0,
            entries_max: 0,
            value_bytes_max: 0,
            seed: self.seed,
        };
        let has_ended = self.gathered.write(|reply| {
            let mut looked_at = 0;
            while looked_at < MEMBERS_PER_SLICE && *found < wanted {
                looked_at += 1;
                if let Way::Passed { left, cursor } = way {
                    *cursor = set.walk(*cursor, &mut |member| {
                        if rng.below(*left as u64) < (wanted - *found) as u64 {
                            reply_item(reply, member);
                            *found += 1;
                        }
                        *left -= 1;
                        looked_at += 1;
                    });
                    if *cursor == 0 {
                        return true;
                    }
                    continue;
                }
                let Some(member) = set.random(rng.next_u64()) else {
                    return true;
                };
                let is_new = match way {
                    Way::Drawn(drawn) => drawn.add_item(member, &limits),
                    _ => true,
                };
                if is_new {
                    reply_item(reply, member);
                    *found += 1;
                }
            }
            false
        });
        has_ended || self.found == self.wanted || self.gathered.is_refused()
    }
}

impl Task for SampleTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.take_some(shard);
        if is_done {
            let found = self.found;
            self.gathered.finish(reply, |reply| reply.array(found));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn random_members() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SRANDMEMBER none", "(nil)"),
            ("SRANDMEMBER none 3", "[]"),
            ("SADD s a", "1"),
            ("SRANDMEMBER s", "\"a\""),
            ("SRANDMEMBER s 5", "[\"a\"]"),
            ("SRANDMEMBER s -3", "[\"a\" \"a\" \"a\"]"),
            ("SRANDMEMBER s 0", "[]"),
            (
                "SRANDMEMBER s x",
                "ERR value is not an integer or out of range",
            ),
            (
                "SRANDMEMBER s -9223372036854775808",
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
            ("SRANDMEMBER s -9223372036854775807", "ERR value is out of range"),
            ("SRANDMEMBER s 1 2", "ERR syntax error"),
        ]);
        let shown = rig.run("SRANDMEMBER s -5000");
        assert_eq!(shown.split(' ').count(), 5_000);
        assert!(rig.slices >= 4);
    }

    #[test]
    fn distinct_members() {
        for (total, prefix) in [(9, ""), (90, "m"), (9_000, "m")] {
            let mut rig = Rig::new();
            for member in 0..total {
                rig.run(&format!("SADD s {prefix}{member}"));
            }
            for wanted in [1, 2, total / 4, total / 2, total - 1, total, total + 5] {
                let shown = rig.run(&format!("SRANDMEMBER s {wanted}"));
                let mut members: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
                members.sort_unstable();
                members.dedup();
                assert_eq!(members.len(), wanted.min(total), "{wanted} of {total}");
            }
        }
    }

    #[test]
    fn every_member_has_its_chance() {
        let mut rig = Rig::new();
        rig.run("SADD s 0 1 2 3 4 5 6 7 8 9");
        let mut counts = [0; 10];
        for _ in 0..3_000 {
            let shown = rig.run("SRANDMEMBER s 4");
            for member in shown.trim_matches(['[', ']']).split(' ') {
                counts[member.trim_matches('"').parse::<usize>().unwrap()] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (1_000..1_400).contains(count)),
            "{counts:?}"
        );
    }
}
