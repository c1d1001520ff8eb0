//! Random operations on a sorted set and on a sorted vector, which must agree after each.

use proptest::prelude::*;

use super::{
    Cut, Model, NEVER_PACKED, Rng, USUAL, Zset, all, count_before, insert, limits as limits_of,
};
use crate::object::PackLimits;

#[derive(Clone, Debug)]
enum Op {
    Insert(usize, f64),
    Remove(usize),
    RemoveRanks(usize, usize),
    PopMin,
    PopMax,
    Clone,
    Ask(usize, f64, usize, usize),
}

/// Members of many shapes: integers, other texts, empty, beyond the limits.
fn member_of(number: usize) -> Vec<u8> {
    match number % 7 {
        0 => number.to_string().into_bytes(),
        1 => format!("-{number}").into_bytes(),
        2 => format!("0{number}").into_bytes(),
        3 => vec![b'a'; number % 40],
        4 => vec![b'z'; 60 + number % 10],
        _ => format!("member:{number}").into_bytes(),
    }
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-5i32..5).prop_map(f64::from),
        (-8i32..8).prop_map(|tenths| f64::from(tenths) / 10.0),
        prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(1e300),
            Just(5e-324),
        ],
        any::<f64>().prop_filter("no NaN", |score| !score.is_nan()),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let (member, rank) = (0..400usize, 0..300usize);
    prop_oneof![
        8 => (member.clone(), score()).prop_map(|(m, s)| Op::Insert(m, s)),
        3 => member.clone().prop_map(Op::Remove),
        1 => (rank.clone(), 0..80usize).prop_map(|(r, n)| Op::RemoveRanks(r, n)),
        1 => Just(Op::PopMin),
        1 => Just(Op::PopMax),
        1 => Just(Op::Clone),
        4 => (member, score(), rank.clone(), rank).prop_map(|(m, s, a, b)| Op::Ask(m, s, a, b)),
    ]
}

fn popped(popped: Option<(Vec<u8>, f64)>) -> Option<(f64, Vec<u8>)> {
    popped.map(|(member, score)| (score, member))
}

fn run(zset: &mut Zset, model: &mut Model, op: &Op, limits: PackLimits) {
    match *op {
        Op::Insert(number, score) => insert(zset, model, &member_of(number), score, limits),
        Op::Remove(number) => {
            let member = member_of(number);
            let at = model.iter().position(|(_, m)| *m == member);
            assert_eq!(zset.remove(&member), at.map(|at| model.remove(at).0));
        }
        Op::RemoveRanks(rank, count) => {
            let end = (rank + count).min(model.len());
            let gone: Model = model.drain(rank.min(end)..end).collect();
            let mut shown = Model::new();
            let removed = zset.remove_ranks(rank..rank + count, &mut |member, score| {
                shown.push((score, member.to_vec()));
            });
            assert_eq!((shown, removed), (gone.clone(), gone.len()));
        }
        Op::PopMin => {
            let first = (!model.is_empty()).then(|| model.remove(0));
            assert_eq!(popped(zset.pop_min()), first);
        }
        Op::PopMax => assert_eq!(popped(zset.pop_max()), model.pop()),
        Op::Clone => {
            let copy = zset.clone();
            assert_eq!(copy.encoding(), zset.encoding());
            let mut old = std::mem::replace(zset, copy);
            while !old.free_some(70) {}
            assert!(old.is_empty());
        }
        Op::Ask(number, score, a, b) => ask(zset, model, &member_of(number), score, a, b),
    }
    assert_eq!(zset.len(), model.len());
}

fn ask(zset: &Zset, model: &Model, member: &[u8], score: f64, a: usize, b: usize) {
    let rank = model.iter().position(|(_, m)| m == member);
    assert_eq!(zset.rank(member), rank);
    assert_eq!(zset.score(member), rank.map(|rank| model[rank].0));
    for cut in [
        Cut::Start,
        Cut::End,
        Cut::Before(score),
        Cut::After(score),
        Cut::At(score, member),
    ] {
        assert_eq!(zset.rank_at(cut), count_before(model, cut), "{cut:?}");
    }
    let one_score = |(score, _): &(f64, Vec<u8>)| *score == model[0].0;
    for cut in [Cut::BeforeMember(member), Cut::AfterMember(member)] {
        let rank = zset.rank_at(cut);
        if model.iter().all(one_score) {
            assert_eq!(rank, count_before(model, cut));
        }
        assert!(rank <= model.len());
    }
    let end = b.min(model.len());
    let wanted = &model[a.min(end)..end];
    let element = |(member, score): (crate::listpack::Item<'_>, f64)| (score, member.to_vec());
    assert_eq!(zset.range(a..b).len(), wanted.len());
    assert!(zset.range(a..b).map(element).eq(wanted.iter().cloned()));
    assert!(
        zset.range(a..b)
            .rev()
            .map(element)
            .eq(wanted.iter().rev().cloned())
    );
    let mut both = zset.range(a..b);
    let (mut front, mut back) = (Vec::new(), Vec::new());
    while let Some(first) = both.next() {
        front.push(element(first));
        back.extend(both.next_back().map(element));
    }
    front.extend(back.into_iter().rev());
    assert_eq!(front, wanted);
}

/// SCAN to the end shows every member once, as nothing changes meanwhile.
fn scanned(zset: &Zset) -> Model {
    let (mut found, mut cursor) = (Model::new(), 0);
    loop {
        cursor = zset.scan(cursor, &mut |member, score| {
            found.push((score, member.to_vec()));
        });
        if cursor == 0 {
            break;
        }
    }
    found.sort_by(|a, b| super::order(a.0, &a.1, b.0, &b.1));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn agrees_with_a_sorted_vector(
        ops in prop::collection::vec(op(), 1..400),
        entries_max in prop_oneof![Just(0), Just(20), Just(128), Just(100_000)],
        value_bytes_max in prop_oneof![Just(64), Just(100)],
    ) {
        let limits = limits_of(entries_max, value_bytes_max);
        let (mut zset, mut model) = (Zset::new(), Model::new());
        for op in &ops {
            run(&mut zset, &mut model, op, limits);
        }
        zset.check();
        prop_assert_eq!(all(&zset), model.clone());
        prop_assert_eq!(scanned(&zset), model);
    }

    #[test]
    fn members_of_one_score_are_ordered_by_their_bytes(
        members in prop::collection::btree_set(0..2000usize, 1..300),
        bound in 0..2000usize,
        packed: bool,
    ) {
        let limits = if packed {
            limits_of(1000, 1000)
        } else {
            NEVER_PACKED
        };
        let (mut zset, mut model) = (Zset::new(), Model::new());
        for number in members {
            insert(&mut zset, &mut model, &member_of(number), 1.5, limits);
        }
        ask(&zset, &model, &member_of(bound), 1.5, bound % 100, bound % 300);
        let bound = member_of(bound);
        let ranks = zset.between(Cut::BeforeMember(&bound), Cut::AfterMember(&bound));
        prop_assert_eq!(ranks.len(), usize::from(zset.score(&bound).is_some()));
        prop_assert_eq!(all(&zset), model);
    }
}

#[test]
fn random_elements_are_elements_and_each_can_come() {
    for limits in [USUAL, NEVER_PACKED] {
        let mut zset = Zset::new();
        let mut rng = Rng(3);
        assert_eq!(zset.random(&mut || rng.next()), None);
        for number in 0..100usize {
            zset.insert(&member_of(7 * number), number as f64, &limits);
        }
        let mut drawn = std::collections::HashSet::new();
        for _ in 0..3000 {
            let (member, score) = zset.random(&mut || rng.next()).unwrap();
            assert_eq!(zset.score(&member.to_vec()), Some(score));
            drawn.insert(member.to_vec());
        }
        assert_eq!(drawn.len(), 100);
        assert_eq!(zset.random(&mut || u64::MAX).unwrap().1, 99.0);
        assert_eq!(zset.random(&mut || 0).unwrap().1, 0.0);
    }
}
