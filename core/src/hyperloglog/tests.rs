//! HyperLogLog: both layouts against plain registers, known bytes of redis-server, and strings that are none.

use proptest::prelude::*;

use super::*;
use crate::hyperloglog::dense::REGISTERS;

fn registers(string: &[u8]) -> Vec<u8> {
    let mut registers = [0; REGISTERS];
    merge_into(&mut registers, string).expect("valid");
    registers.to_vec()
}

fn filled(elements: std::ops::Range<u64>, bytes_max: usize) -> Vec<u8> {
    let mut string = empty();
    for element in elements {
        add(&mut string, element.to_string().as_bytes(), bytes_max).expect("valid");
    }
    string
}

proptest! {
    #[test]
    fn layouts_hold_the_same(changes in prop::collection::vec((0usize..40, 1u8..52), 0..200), far in any::<bool>()) {
        let (mut runs, mut dense, mut model) = (empty(), empty(), vec![0; REGISTERS]);
        to_dense(&mut dense).expect("valid");
        for (index, value) in changes {
            let index = if far { index * 409 } else { index };
            let is_raised = model[index] < value;
            model[index] = value.max(model[index]);
            prop_assert_eq!(raise(&mut runs, index, value, 300), Ok(is_raised));
            prop_assert_eq!(raise(&mut dense, index, value, 300), Ok(is_raised));
        }
        prop_assert!(runs.len() <= 300 || runs.len() == DENSE_BYTES);
        prop_assert_eq!(&registers(&runs), &model);
        prop_assert_eq!(&registers(&dense), &model);
        prop_assert_eq!(count(&runs), count(&dense));
        to_dense(&mut runs).expect("valid");
        prop_assert_eq!(&runs[16..], &dense[16..]);
    }

    #[test]
    fn broken_runs_are_refused_without_harm(runs in prop::collection::vec(any::<u8>(), 0..60), index in 0usize..REGISTERS, value in 1u8..52) {
        let mut string = empty();
        string.truncate(16);
        string.extend_from_slice(&runs);
        let total = count(&string);
        let mut merged = [0; REGISTERS];
        prop_assert_eq!(merge_into(&mut merged, &string).is_ok(), total.is_ok());
        prop_assert_eq!(to_dense(&mut string.clone()).is_ok(), total.is_ok());
        let raised = raise(&mut string, index, value, 3000);
        prop_assert!(raised.is_ok() || total.is_err());
        prop_assert!(decode(&string).is_some() || string.len() == DENSE_BYTES);
    }
}

#[test]
fn the_bytes_of_redis() {
    let mut string = empty();
    assert_eq!(string, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    for element in ["a", "b", "c"] {
        assert_eq!(add(&mut string, element.as_bytes(), 3000), Ok(true));
        assert_eq!(add(&mut string, element.as_bytes(), 3000), Ok(false));
    }
    assert_eq!(
        decode(&string).as_deref(),
        Some("Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603")
    );
    assert_eq!(count(&string), Ok(3));
}

#[test]
fn the_cache_is_out_of_date_after_a_change() {
    let mut string = filled(0..10, 3000);
    assert_eq!(cached(&string), None);
    set_cached(&mut string, Some(10));
    assert_eq!(cached(&string), Some(10));
    assert_eq!(add(&mut string, b"5", 3000), Ok(false));
    assert_eq!(cached(&string), Some(10));
    to_dense(&mut string).expect("valid");
    assert_eq!(cached(&string), Some(10), "it goes along");
    assert!(add_dense(&mut string, b"new"));
    assert_eq!(cached(&string), None);
    set_cached(&mut string, Some(1 << 40));
    set_cached(&mut string, None);
    assert_eq!(cached(&string), None);
}

#[test]
fn estimates_are_near() {
    for total in [1u64, 10, 1_000, 10_000, 100_000] {
        let estimate = count(&filled(0..total, 3000)).expect("valid");
        let error = estimate.abs_diff(total) as f64 / total as f64;
        assert!(error < 0.03, "{estimate} for {total}");
    }
    assert_eq!(count(&empty()), Ok(0));
    let mut merged = [0; REGISTERS];
    merge_into(&mut merged, &filled(0..700, 3000)).expect("valid");
    merge_into(&mut merged, &filled(500..30_000, 3000)).expect("valid");
    assert_eq!(Ok(estimate_of(&merged)), count(&filled(0..30_000, 0)));
}

#[test]
fn runs_become_dense_at_the_limit() {
    let mut string = empty();
    let mut element = 0u64;
    while string.len() != DENSE_BYTES {
        assert!(string.len() <= 200);
        add(&mut string, &element.to_le_bytes(), 200).expect("valid");
        element += 1;
    }
    assert!(element > 40);
    assert_eq!(check(&string), Ok(Encoding::Dense));
    let mut string = empty();
    assert_eq!(raise(&mut string, 3, 32, 3000), Ok(true));
    assert_eq!(check(&string), Ok(Encoding::Sparse));
    assert_eq!(raise(&mut string, 3, 33, 3000), Ok(true));
    assert_eq!(check(&string), Ok(Encoding::Dense), "33 fits no run");
}

#[test]
fn other_strings_are_none() {
    let good = empty();
    assert_eq!(check(&good), Ok(Encoding::Sparse));
    let wrong = |at: usize, byte: u8| {
        let mut string = good.clone();
        string[at] = byte;
        check(&string)
    };
    for (at, byte) in [(0, b'h'), (3, 0), (4, 0), (4, 2)] {
        assert_eq!(wrong(at, byte), Err(Invalid::NotHyperLogLog), "{at}");
    }
    assert_eq!(check(&good[..15]), Err(Invalid::NotHyperLogLog));
    assert_eq!(check(&good[..16]), Ok(Encoding::Sparse));
    assert_eq!(count(&good[..16]), Err(Invalid::Corrupt));
    assert_eq!(count(&good[..17]), Err(Invalid::Corrupt));
    assert_eq!(check(b""), Err(Invalid::NotHyperLogLog));
}
