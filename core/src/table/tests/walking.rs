//! Walks see one moment, whatever happens meanwhile.

use std::cell::RefCell;
use std::rc::Rc;

use super::model::{Model, Rng, change, check, seen};
use crate::entry::{Entry, StrValue};
use crate::table::{DropSlices, ExpireChange, Gone, Table, WalkId, WalkSink};

#[derive(Default)]
struct Seen {
    entries: Model,
    finished: bool,
}

struct Collect(Rc<RefCell<Seen>>);

impl WalkSink for Collect {
    fn entry(&mut self, entry: &Entry) {
        let mut seen_so_far = self.0.borrow_mut();
        assert!(!seen_so_far.finished);
        let twice = seen_so_far
            .entries
            .insert(entry.key().to_vec(), seen(entry));
        assert!(twice.is_none(), "an entry twice");
    }

    fn finish(&mut self) {
        self.0.borrow_mut().finished = true;
    }
}

struct Running {
    id: WalkId,
    seen: Rc<RefCell<Seen>>,
    moment: Model,
}

impl Running {
    fn begin(table: &mut Table, model: &Model) -> Self {
        let seen = Rc::default();
        let id = table.begin_walk(Box::new(Collect(Rc::clone(&seen))));
        Self {
            id,
            seen,
            moment: model.clone(),
        }
    }

    fn check(&self) {
        let seen = self.seen.borrow();
        assert!(seen.finished);
        assert_eq!(seen.entries.len(), self.moment.len());
        assert!(seen.entries == self.moment, "a walk saw another moment");
    }
}

/// Random changes, with walks that begin, go on and end at random; up to `overlap` at a time.
fn run(seed: u64, hash_mask: u64, keys: u64, fill: usize, steps: usize, overlap: usize) {
    let mut rng = Rng(seed);
    let mut table = Table::new(seed);
    table.hash_mask = hash_mask;
    let mut model = Model::new();
    for _ in 0..fill {
        change(&mut table, &mut model, &mut rng, keys);
    }
    let mut walks: Vec<Running> = Vec::new();
    let (mut done, mut now_ms, mut cursor) = (0, 0, 0);
    for step in 0..steps {
        if walks.len() < overlap && rng.below(40) == 0 {
            walks.push(Running::begin(&mut table, &model));
        }
        change(&mut table, &mut model, &mut rng, keys);
        if rng.below(20) == 0 {
            now_ms = rng.below(2000);
            table.expire_step(&mut cursor, now_ms, 3, &mut |what| {
                let Gone::Key(entry) = what else {
                    panic!("only keys expire here: {what:?}")
                };
                assert_eq!(model.remove(entry.key()), Some(seen(&entry)));
            });
        }
        if !walks.is_empty() && rng.below(4) == 0 {
            let at = rng.below(walks.len() as u64) as usize;
            if rng.below(200) == 0 {
                table.end_walk(walks.swap_remove(at).id);
            } else if table.step_walk(walks[at].id, rng.below(30) as usize) {
                walks.swap_remove(at).check();
                done += 1;
            }
        }
        assert_eq!(table.walks(), walks.len());
        if step % (steps / 4) == 0 {
            check(&table, &model);
        }
    }
    assert!(now_ms > 0);
    for walk in walks {
        while !table.step_walk(walk.id, 7) {}
        walk.check();
        done += 1;
    }
    assert!(done > 3);
    assert_eq!(table.walks(), 0);
    check(&table, &model);
}

#[test]
fn one_walk_sees_its_moment() {
    for seed in 0..8 {
        run(seed, u64::MAX, 100, 0, 3000, 1);
        run(seed, u64::MAX, 3000, 3000, 10_000, 1);
    }
}

#[test]
fn overlapping_walks_see_their_own_moments() {
    for seed in 0..8 {
        run(seed, u64::MAX, 400, 300, 6000, 2);
        run(seed, u64::MAX, 8000, 500, 15_000, 4); // with splits
    }
}

#[test]
fn walks_see_the_overflow() {
    for seed in 0..6 {
        run(seed, 0, 1200, 2000, 6000, 2);
        run(seed, 0x8000_0000_0000_ffff, 3000, 3000, 8000, 3);
    }
}

#[test]
fn a_walk_of_an_empty_table_sees_nothing() {
    let (mut table, mut model) = (Table::new(1), Model::new());
    let walk = Running::begin(&mut table, &model);
    for n in 0..2000 {
        change(&mut table, &mut model, &mut Rng(n), 10_000);
    }
    while !table.step_walk(walk.id, 1) {}
    walk.check();
    let walk = Running::begin(&mut Table::new(1), &Model::new());
    assert!(!walk.seen.borrow().finished);
}

#[test]
fn versions_start_again_after_the_last() {
    let (mut table, mut model, mut rng) = (Table::new(1), Model::new(), Rng(1));
    for _ in 0..3000 {
        change(&mut table, &mut model, &mut rng, 2000);
    }
    table.walks.skip_versions(u32::MAX - 2);
    let mut walks: Vec<Running> = Vec::new();
    for _ in 0..5 {
        walks.push(Running::begin(&mut table, &model));
        for _ in 0..500 {
            change(&mut table, &mut model, &mut rng, 2000);
        }
    }
    for walk in walks {
        while !table.step_walk(walk.id, 10) {}
        walk.check();
    }
    check(&table, &model);
}

#[test]
fn a_taken_table_finishes_its_walks_while_it_is_freed() {
    for hash_mask in [u64::MAX, 0x8000_0000_0000_ffff] {
        let (mut table, mut model, mut rng) = (Table::new(1), Model::new(), Rng(1));
        table.hash_mask = hash_mask;
        for _ in 0..9000 {
            change(&mut table, &mut model, &mut rng, 5000);
        }
        let walk = Running::begin(&mut table, &model);
        for _ in 0..100 {
            change(&mut table, &mut model, &mut rng, 5000);
        }
        table.step_walk(walk.id, 100);
        let mem_bytes = table.mem_bytes();
        let mut slices = DropSlices::new(table.take());
        assert!(slices.is_walked() && slices.mem_bytes() <= mem_bytes);
        // The new table knows nothing of the old walk, nor do their ids collide.
        let other = Running::begin(&mut table, &Model::new());
        assert!(other.id != walk.id && table.step_walk(walk.id, 1));
        table
            .set(
                table.hash(b"new"),
                b"new",
                crate::entry::StrValue::Int(1),
                ExpireChange::Clear,
            )
            .unwrap();
        while !slices.free_some(1) {}
        assert_eq!((slices.is_walked(), slices.mem_bytes()), (false, 0));
        walk.check();
        while !table.step_walk(other.id, 1) {}
        other.check();
    }
}

#[test]
fn nothing_is_merged_under_a_walk() {
    let (mut table, mut model) = (Table::new(1), Model::new());
    for n in 0..20_000u32 {
        let key = n.to_string().into_bytes();
        let value = crate::entry::StrValue::Bytes(&key);
        table
            .set(table.hash(&key), &key, value, ExpireChange::Clear)
            .unwrap();
        model.insert(key.clone(), (key, None));
    }
    let segments = table.directory.segments();
    let walk = Running::begin(&mut table, &model);
    for (n, key) in walk.moment.keys().enumerate() {
        table.remove(table.hash(key), key);
        if n.is_multiple_of(10) {
            table.step_walk(walk.id, 1);
        }
    }
    assert_eq!((table.len(), table.directory.segments()), (0, segments));
    while !table.step_walk(walk.id, 100) {}
    walk.check();
    // Afterwards, removals go on where they had to stop.
    for n in 0..20_000u32 {
        let key = n.to_le_bytes();
        table
            .set(
                table.hash(&key),
                &key,
                crate::entry::StrValue::Int(1),
                ExpireChange::Clear,
            )
            .unwrap();
        table.remove(table.hash(&key), &key);
    }
    assert!(table.directory.segments() < segments / 8);
}

/// Gives entries of more than ten bytes in pieces of ten, and notes how.
#[derive(Default)]
struct Pieces {
    seen: Rc<RefCell<Vec<(String, usize)>>>,
    in_hand: Vec<u8>,
    at: usize,
}

impl WalkSink for Pieces {
    fn entry(&mut self, entry: &Entry) {
        assert!(
            self.at == 0 || self.in_hand != entry.key(),
            "one that has begun goes on"
        );
        let bytes = entry.string().map_or(0, |value| value.len());
        self.note(entry, bytes);
    }

    fn is_large(&self, entry: &Entry) -> bool {
        entry.string().is_some_and(|value| value.len() > 10)
    }

    fn large(&mut self, entry: &Entry) -> bool {
        let bytes = entry.string().map_or(0, |value| value.len());
        assert!(self.at == 0 || self.in_hand == entry.key());
        self.in_hand = entry.key().to_vec();
        self.at = bytes.min(self.at + 10);
        let is_done = self.at == bytes;
        if is_done {
            self.at = 0;
            self.note(entry, bytes);
        }
        is_done
    }
}

impl Pieces {
    fn note(&self, entry: &Entry, bytes: usize) {
        let key = String::from_utf8(entry.key().to_vec()).unwrap();
        self.seen.borrow_mut().push((key, bytes));
    }
}

fn put_long(table: &mut Table, key: &str, bytes: usize) {
    let hash = table.hash(key.as_bytes());
    let value = vec![b'x'; bytes];
    let set = table.set(
        hash,
        key.as_bytes(),
        StrValue::Bytes(&value),
        ExpireChange::Clear,
    );
    set.unwrap();
}

#[test]
fn large_entries_come_in_pieces_and_as_they_were() {
    for masked in [u64::MAX, 0xffff_0000_0000_0000] {
        let mut table = Table::new(3);
        table.hash_mask = masked;
        for number in 0..100 {
            put_long(&mut table, &format!("small:{number}"), 5);
            put_long(&mut table, &format!("large:{number}"), 95);
        }
        let sink = Pieces::default();
        let seen = sink.seen.clone();
        let walk = table.begin_walk(Box::new(sink));
        let mut step = 0;
        while !table.step_walk(walk, 1) {
            step += 1;
            // Neighbours of what is in hand change, and now and then what is owed itself.
            put_long(&mut table, &format!("small:{}", step % 100), 6);
            if step % 7 == 0 {
                let key = format!("large:{}", step / 7 % 100);
                let hash = table.hash(key.as_bytes());
                if step % 2 == 0 {
                    put_long(&mut table, &key, 33);
                } else {
                    table.remove(hash, key.as_bytes());
                }
                assert!(!table.is_owed(walk, hash, key.as_bytes()));
            }
            if step == 30 {
                let hash = table.hash(b"large:99");
                if table.is_owed(walk, hash, b"large:99") {
                    table.hasten(walk, hash, b"large:99");
                }
            }
        }
        let mut seen = seen.borrow().clone();
        seen.sort();
        let mut wanted: Vec<(String, usize)> = (0..100)
            .flat_map(|number| {
                [
                    (format!("small:{number}"), 5),
                    (format!("large:{number}"), 95),
                ]
            })
            .collect();
        wanted.sort();
        assert_eq!(seen, wanted);
    }
}

#[test]
fn what_is_owed_of_a_dropped_table_is_given() {
    let mut table = Table::new(3);
    for number in 0..50 {
        put_long(&mut table, &format!("large:{number}"), 95);
    }
    let sink = Pieces::default();
    let seen = sink.seen.clone();
    let walk = table.begin_walk(Box::new(sink));
    for _ in 0..20 {
        assert!(!table.step_walk(walk, 1));
    }
    let mut rest = table.take();
    while !rest.free_some(1) {}
    assert_eq!(seen.borrow().len(), 50);
    assert!(seen.borrow().iter().all(|(_, bytes)| *bytes == 95));
}
