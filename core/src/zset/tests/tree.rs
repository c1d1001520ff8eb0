//! The invariants of the tree, with several levels, in all orders of coming and going.

use super::{Cut, Encoding, Model, NEVER_PACKED, Rng, Zset, all, order};
use crate::zset::leaf::NODE_MAX;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Up,
    Down,
    Random,
    OneScore,
}

const ORDERS: [Order; 4] = [Order::Up, Order::Down, Order::Random, Order::OneScore];

fn element(order: Order, number: usize, rng: &mut Rng) -> (f64, Vec<u8>) {
    let member = format!("{:x}:{number}", number.wrapping_mul(0x9e37_79b9) % 65_536).into_bytes();
    let score = match order {
        Order::Up => number as f64,
        Order::Down => -(number as f64),
        Order::Random => rng.below(3000) as f64 / 8.0,
        Order::OneScore => 7.0,
    };
    (score, member)
}

/// A sorted set of three levels.
fn filled(order_of: Order, count: usize) -> (Zset, Model) {
    let (mut zset, mut rng) = (Zset::new(), Rng(1));
    let mut model: Model = (0..count).map(|i| element(order_of, i, &mut rng)).collect();
    for (i, (score, member)) in model.iter().enumerate() {
        zset.insert(member, *score, &NEVER_PACKED);
        if i % 997 == 0 {
            zset.check();
        }
    }
    model.sort_by(|a, b| order(a.0, &a.1, b.0, &b.1));
    zset.check();
    (zset, model)
}

fn tree_bytes_per_element(zset: &Zset) -> usize {
    let Encoding::Large(large) = &zset.encoding else {
        panic!("it is large");
    };
    large.tree.heap_bytes() / large.tree.len()
}

#[test]
fn nodes_are_well_filled() {
    for (order_of, bytes_max) in [
        (Order::Up, 17),
        (Order::Down, 19),
        (Order::Random, 22),
        (Order::OneScore, 22),
    ] {
        let (zset, model) = filled(order_of, 9000);
        assert_eq!(all(&zset), model);
        let bytes = tree_bytes_per_element(&zset);
        assert!(bytes <= bytes_max, "{order_of:?}: {bytes}");
    }
}

#[test]
fn removing_in_any_order_keeps_the_tree_in_order() {
    for order_of in ORDERS {
        for removing in 0..4 {
            let (mut zset, mut model) = filled(order_of, 5000);
            let mut rng = Rng(removing as u64);
            while !model.is_empty() {
                let rank = match removing {
                    0 => 0,
                    1 => model.len() - 1,
                    2 => model.len() / 2,
                    _ => rng.below(model.len()),
                };
                let (score, member) = model.remove(rank);
                assert_eq!(zset.rank(&member), Some(rank));
                assert_eq!(zset.remove(&member), Some(score));
                if model.len().is_multiple_of(491) {
                    zset.check();
                    assert_eq!(all(&zset), model);
                }
            }
            zset.check();
            assert_eq!(zset.remove(b"x"), None);
        }
    }
}

#[test]
fn ranges_are_removed_leaf_by_leaf() {
    for order_of in ORDERS {
        let (mut zset, mut model) = filled(order_of, 9000);
        let mut rng = Rng(5);
        while !model.is_empty() {
            let start = rng.below(model.len());
            let end = (start + rng.below(700)).min(model.len());
            let mut gone = Model::new();
            zset.remove_ranks(start..end, &mut |member, score| {
                gone.push((score, member.to_vec()));
            });
            assert_eq!(gone, model.drain(start..end).collect::<Model>());
            zset.check();
        }
        assert!(zset.is_empty());
    }
}

#[test]
fn scores_change_near_and_far() {
    for order_of in ORDERS {
        let (mut zset, mut model) = filled(order_of, 5000);
        let mut rng = Rng(9);
        for step in 0..4000 {
            let at = rng.below(model.len());
            let (score, member) = model.remove(at);
            let score = match step % 4 {
                0 => score + 0.5,
                1 => score - 1.5,
                2 => score + rng.below(40) as f64,
                _ => rng.below(6000) as f64 - 3000.0,
            };
            let to = super::place(&model, score, &member);
            zset.insert(&member, score, &NEVER_PACKED);
            assert_eq!(zset.rank(&member), Some(to));
            assert_eq!(zset.rank_at(Cut::At(score, &member)), to);
            model.insert(to, (score, member));
            if step % 499 == 0 {
                zset.check();
                assert_eq!(all(&zset), model);
            }
        }
        assert_eq!(all(&zset), model);
    }
}

#[test]
fn zero_and_minus_zero_are_one_score() {
    let mut zset = Zset::new();
    zset.insert(b"b", -0.0, &NEVER_PACKED);
    zset.insert(b"a", 0.0, &NEVER_PACKED);
    assert_eq!(zset.rank(b"a"), Some(0));
    assert_eq!(zset.insert(b"b", 0.0, &NEVER_PACKED), super::Inserted::Same);
    assert!(zset.score(b"b").unwrap().is_sign_negative());
    assert_eq!(zset.between(Cut::Before(0.0), Cut::After(-0.0)), 0..2);
}

#[test]
#[should_panic(expected = "not NaN")]
fn nan_is_refused() {
    Zset::new().insert(b"a", f64::NAN, &NEVER_PACKED);
}

#[test]
fn memory_is_given_back_in_slices() {
    let (zset, _) = filled(Order::Random, 9000);
    let before = zset.heap_bytes();
    assert!(before < 9000 * 80, "{before}");
    let mut rest = zset;
    let (mut held, mut slices) = (rest.heap_bytes(), 1);
    assert!(held <= before);
    while !rest.free_some(300) {
        assert!(rest.heap_bytes() <= held);
        held = rest.heap_bytes();
        slices += 1;
    }
    assert_eq!(rest.heap_bytes(), Zset::new().heap_bytes());
    assert!(slices > 30, "{slices}");
}

#[test]
fn an_ascending_run_in_the_middle_leaves_no_short_node() {
    let (mut zset, mut model) = filled(Order::Up, 5000);
    // Behind the last leaf of the first inner node: ascending inserts leave one place free in each node.
    let at = (NODE_MAX - 1) * (NODE_MAX - 1);
    let run: Model = (1..4000)
        .map(|i| {
            let score = at as f64 - 1.0 + f64::from(i) / 5000.0;
            (score, format!("run:{i}").into_bytes())
        })
        .collect();
    for (i, (score, member)) in run.iter().enumerate() {
        zset.insert(member, *score, &NEVER_PACKED);
        if i < 100 || i % 499 == 0 {
            zset.check();
        }
    }
    zset.check();
    model.splice(at..at, run);
    assert_eq!(all(&zset), model);
}
