//! KEYS and RANDOMKEY.
//!
//! KEYS does not hold its shard: it fixes its moment by a walk of the table and goes on in slices, while writers show the walk what
//! they are about to change. So the answer is the exact set of keys of that moment.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tessera_core::entry::Entry;
use tessera_core::glob::{glob_match, literal_prefix};
use tessera_core::resp::{Chain, Gathered, try_copy};
use tessera_core::table::WalkSink;

use super::ROW;
use crate::command::spec::{category, flag};
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread, Task};
use crate::shard::{Shard, Walk};

pub(super) const KEYS: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "keys",
        arity: 2,
        flags: flag::READONLY,
        categories: category::KEYSPACE | category::DANGEROUS,
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        summary: "Returns all keys whose names match a pattern.",
        complexity: "O(N) with N keys in the database; other commands go on meanwhile",
        ..ROW
    },
    op: op_keys,
    spread: Spread::Everywhere {
        merge: Merge::Concat,
    },
};

/// Buckets per slice: some 2,500 keys.
const BUCKETS_PER_SLICE: usize = 512;

fn op_keys(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let pattern = args[1];
    if literal_prefix(pattern).len() == pattern.len() {
        let entry = cx.shard.table(cx.db).get(cx.shard.hash(pattern), pattern);
        let found = entry.is_some_and(|entry| !cx.shard.is_due(entry));
        cx.reply.array(found.into());
        if found {
            cx.reply.bulk(pattern);
        }
        return;
    }
    let expected = if pattern == b"*" {
        cx.shard.table(cx.db).len()
    } else {
        0
    };
    let found = Rc::new(RefCell::new(Found {
        count: 0,
        gathered: Gathered::expecting(expected, cx.reply.proto()),
    }));
    // An empty key matches `*` here, although it does not match in general.
    let pattern = if pattern == b"*" {
        None
    } else if let Some(copy) = try_copy(pattern) {
        Some(copy)
    } else {
        return cx.reply.refuse();
    };
    let sink = Matching {
        pattern,
        now_ms: cx.shard.now_ms,
        found: Rc::downgrade(&found),
    };
    let walk = cx.shard.begin_walk(cx.db, Box::new(sink));
    cx.task = Some(Box::new(KeysTask { walk, found }));
}

/// The matching keys so far.
struct Found {
    count: usize,
    gathered: Gathered,
}

/// What the walk gives its entries to. Stops collecting when its task is gone.
struct Matching {
    /// `None` matches all.
    pattern: Option<Box<[u8]>>,
    now_ms: u64,
    found: Weak<RefCell<Found>>,
}

impl WalkSink for Matching {
    fn entry(&mut self, entry: &Entry) {
        let key = entry.key();
        let expired = entry.expire_at().is_some_and(|at_ms| at_ms < self.now_ms);
        if expired
            || !self
                .pattern
                .as_ref()
                .is_none_or(|pattern| glob_match(pattern, key))
        {
            return;
        }
        if let Some(found) = self.found.upgrade()
            && let mut found = found.borrow_mut()
            && !found.gathered.is_refused()
        {
            found.count += 1;
            found.gathered.write(|reply| reply.bulk(key));
        }
    }
}

struct KeysTask {
    walk: Walk,
    found: Rc<RefCell<Found>>,
}

impl Task for KeysTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        if !shard.step_walk(&self.walk, BUCKETS_PER_SLICE) {
            return false;
        }
        let mut found = self.found.borrow_mut();
        let count = found.count;
        found.gathered.finish(reply, |reply| reply.array(count));
        true
    }
}

pub(super) const RANDOMKEY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "randomkey",
        arity: 1,
        flags: flag::READONLY,
        tips: &["request_policy:all_shards", "nondeterministic_output"],
        summary: "Returns a key of the database, chosen at random.",
        ..ROW
    },
    op: op_randomkey,
    spread: Spread::Everywhere {
        merge: Merge::Weighted,
    },
};

/// The number of keys, by which the router weighs this shard, and one of them. Keys whose time has come make room for the next try.
fn op_randomkey(cx: &mut Cx<'_>, _args: &[&[u8]]) {
    cx.reply.array(2);
    loop {
        let random = cx.shard.rng.next_u64();
        let table = cx.shard.table(cx.db);
        let Some(entry) = table.random(random) else {
            cx.reply.integer(0);
            return cx.reply.null();
        };
        if !cx.shard.is_due(entry) {
            cx.reply.integer(table.len() as i64);
            return cx.reply.bulk(entry.key());
        }
        let key = entry.key().to_vec();
        cx.shard.exists(cx.db, &key);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    /// The elements of a shown array in order.
    fn sorted(shown: &str) -> Vec<String> {
        let inner = shown.trim_matches(['[', ']']);
        let mut keys: Vec<String> = inner
            .split(' ')
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect();
        keys.sort();
        keys
    }

    #[test]
    fn patterns() {
        let mut rig = Rig::new();
        rig.check(&[
            ("MSET one 1 two 2 three 3 \"\" empty", "OK"),
            ("SET gone 1 PX 1", "OK"),
            ("KEYS one", "[\"one\"]"),
            ("KEYS none", "[]"),
            ("KEYS \"\"", "[\"\"]"),
            ("KEYS o\\ne", "[\"one\"]"),
            ("KEYS z*", "[]"),
        ]);
        rig.wait(2);
        assert_eq!(sorted(&rig.run("KEYS t*")), ["\"three\"", "\"two\""]);
        assert_eq!(
            sorted(&rig.run("KEYS *")),
            ["\"\"", "\"one\"", "\"three\"", "\"two\""]
        );
        assert_eq!(
            sorted(&rig.run("KEYS **")),
            ["\"one\"", "\"three\"", "\"two\""]
        );
        rig.check(&[("KEYS gone", "[]"), ("DBSIZE", "5")]);
    }

    /// A shard with keys `k:0`, `k:1`, ...
    fn filled(count: usize) -> Rig {
        let mut rig = Rig::new();
        for i in 0..count {
            rig.bytes(&[b"SET", format!("k:{i}").as_bytes(), b"v"]);
        }
        rig
    }

    fn keys_during(rig: &mut Rig, meanwhile: impl FnMut(&mut crate::shard::Shard)) -> Vec<String> {
        let reply = rig.bytes_during(&[b"KEYS", b"k:*"], meanwhile);
        sorted(&crate::commands::rig::show(&reply))
    }

    #[test]
    fn the_answer_is_of_one_moment_whatever_happens_meanwhile() {
        const COUNT: usize = 20_000;
        let mut expected: Vec<String> = (0..COUNT).map(|i| format!("\"k:{i}\"")).collect();
        expected.sort();

        let mut next = 0;
        let mut rig = filled(COUNT);
        let found = keys_during(&mut rig, |shard| {
            for i in next..next + 1_000 {
                shard.remove(0, format!("k:{}", i * 7 % COUNT).as_bytes());
                shard.add(
                    0,
                    tessera_core::entry::Entry::new(
                        format!("k:new:{i}").as_bytes(),
                        tessera_core::entry::StrValue::Int(1),
                        None,
                    ),
                    crate::shard::event::SET,
                );
            }
            next += 1_000;
        });
        assert!(rig.slices > 3, "{}", rig.slices);
        assert_eq!(found, expected);

        let mut rig = filled(COUNT);
        let found = keys_during(&mut rig, |shard| {
            shard.flush(0);
        });
        assert_eq!(found, expected);
        rig.check(&[("DBSIZE", "0")]);

        let mut rig = filled(COUNT);
        let mut turns = 0;
        let found = keys_during(&mut rig, |shard| {
            turns += 1;
            match turns {
                2 => shard.swap(0, 3),
                3 => _ = shard.flush(3),
                _ => _ = shard.collect_garbage(),
            }
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn randomkey_weighs_and_skips_the_expired() {
        let mut rig = Rig::new();
        rig.check(&[
            ("RANDOMKEY", "[0 (nil)]"),
            ("SET a 1 PX 1", "OK"),
            ("SET b 1", "OK"),
        ]);
        rig.wait(2);
        while rig.run("DBSIZE") == "2" {
            assert!(rig.run("RANDOMKEY").ends_with("\"b\"]"));
        }
        rig.check(&[("RANDOMKEY", "[1 \"b\"]"), ("PEXPIRE b 1", "1")]);
        rig.wait(2);
        rig.check(&[("RANDOMKEY", "[0 (nil)]"), ("DBSIZE", "0")]);
    }
}
