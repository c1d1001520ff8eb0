//! MEMORY KEYS on one shard: a walk over all databases, in slices, for the largest keys as they were at one moment. The server asks all shards.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tessera_core::entry::Entry;
use tessera_core::glob::glob_match;
use tessera_core::resp::Chain;
use tessera_core::table::WalkSink;

use super::type_name;
use crate::command::Task;
use crate::shard::largest::{BigKey, Largest};
use crate::shard::{Shard, Walk};

/// Buckets per slice: some 1,200 keys, of each the head of its value.
const BUCKETS_PER_SLICE: usize = 256;

/// Which keys are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// At most so many.
    pub count: usize,
    /// Of this type only.
    pub kind: Option<&'static str>,
    /// With names that match this only.
    pub pattern: Option<Vec<u8>>,
}

impl Wanted {
    /// The types that keys have.
    pub const KINDS: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

    fn fits(&self, entry: &Entry) -> bool {
        self.kind.is_none_or(|kind| kind == type_name(entry))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| glob_match(pattern, entry.key()))
    }
}

/// What a walk gives its entries to. Stops collecting when its task is gone.
struct Sifting {
    db: usize,
    wanted: Wanted,
    now_ms: u64,
    found: Weak<RefCell<Largest>>,
}

impl WalkSink for Sifting {
    fn entry(&mut self, entry: &Entry) {
        let expired = entry.expire_at().is_some_and(|at_ms| at_ms < self.now_ms);
        if !expired
            && self.wanted.fits(entry)
            && let Some(found) = self.found.upgrade()
        {
            found.borrow_mut().offer(self.db, entry);
        }
    }
}

struct LargestTask {
    /// Of the databases that are still to be walked.
    walks: Vec<Walk>,
    found: Rc<RefCell<Largest>>,
    tell: Option<Box<dyn FnOnce(Vec<BigKey>)>>,
}

/// Begins to look for the largest keys of a shard as it is now. `tell` hears of them before the task ends; its reply is empty.
pub fn find_largest(
    shard: &mut Shard,
    wanted: &Wanted,
    tell: Box<dyn FnOnce(Vec<BigKey>)>,
) -> Box<dyn Task> {
    let found = Rc::new(RefCell::new(Largest::new(wanted.count)));
    let now_ms = shard.now_ms;
    let filled: Vec<usize> = (0..shard.databases())
        .filter(|db| !shard.table(*db).is_empty())
        .collect();
    let walks = filled.into_iter().map(|db| {
        let sink = Sifting {
            db,
            wanted: wanted.clone(),
            now_ms,
            found: Rc::downgrade(&found),
        };
        shard.begin_walk(db, Box::new(sink))
    });
    Box::new(LargestTask {
        walks: walks.collect(),
        found,
        tell: Some(tell),
    })
}

impl Task for LargestTask {
    fn step(&mut self, shard: &mut Shard, _reply: &mut Chain) -> bool {
        if let Some(walk) = self.walks.last() {
            if shard.step_walk(walk, BUCKETS_PER_SLICE) {
                self.walks.pop();
            }
            return false;
        }
        if let Some(tell) = self.tell.take() {
            tell(self.found.take().into_sorted());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rig::Rig;

    /// The largest keys, with something that happens before each slice.
    fn largest(
        rig: &mut Rig,
        wanted: &Wanted,
        mut meanwhile: impl FnMut(&mut Shard),
    ) -> (Vec<BigKey>, usize) {
        let found = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&found);
        let tell = Box::new(move |keys| *told.borrow_mut() = keys);
        let mut task = find_largest(&mut rig.shard, wanted, tell);
        let mut slices = 1;
        while !task.step(&mut rig.shard, &mut Chain::default()) {
            meanwhile(&mut rig.shard);
            slices += 1;
        }
        (found.take(), slices)
    }

    #[test]
    fn the_largest_of_one_moment() {
        let mut rig = Rig::new();
        for number in 0..10_000 {
            rig.bytes(&[b"SET", format!("small:{number}").as_bytes(), b"v"]);
        }
        for number in 1..=5 {
            let value = vec![b'v'; number * 100_000];
            rig.bytes(&[b"SET", format!("big:{number}").as_bytes(), &value]);
        }
        let wanted = Wanted {
            count: 3,
            ..Wanted::default()
        };
        let mut removed = 0;
        let (keys, slices) = largest(&mut rig, &wanted, |shard| {
            removed += usize::from(shard.remove(0, b"big:5"));
            removed += usize::from(shard.remove(0, b"big:4"));
        });
        assert!(slices > 5, "{slices}");
        assert_eq!(removed, 2);
        let found: Vec<_> = keys
            .iter()
            .map(|key| (String::from_utf8_lossy(&key.key).into_owned(), key.elements))
            .collect();
        let expected = [5, 4, 3].map(|number| (format!("big:{number}"), number * 100_000));
        assert_eq!(found, expected);
    }

    #[test]
    fn of_a_type_or_a_pattern_in_all_databases() {
        let mut rig = Rig::new();
        rig.check(&[
            ("RPUSH list a b c", "3"),
            ("SET number 17", "OK"),
            ("SET gone 1 PX 1", "OK"),
        ]);
        rig.db = 2;
        rig.check(&[("HSET hash f v", "1"), ("SET other text", "OK")]);
        rig.wait(2);
        let mut wanted = Wanted {
            count: 10,
            ..Wanted::default()
        };
        let names = |rig: &mut Rig, wanted: &Wanted| {
            let (keys, _) = largest(rig, wanted, |_| {});
            let mut names: Vec<_> = keys
                .into_iter()
                .map(|key| {
                    let name = String::from_utf8_lossy(&key.key).into_owned();
                    (key.db, name, key.kind, key.elements)
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&mut rig, &wanted).len(), 4);
        wanted.kind = Some("string");
        assert_eq!(
            names(&mut rig, &wanted),
            [
                (0, "number".to_owned(), "string", 2),
                (2, "other".to_owned(), "string", 4)
            ]
        );
        wanted.pattern = Some(b"n*".to_vec());
        assert_eq!(names(&mut rig, &wanted).len(), 1);
        wanted.kind = Some("list");
        assert!(names(&mut rig, &wanted).is_empty());
    }
}
