//! SORT on one shard; what it does with keys of several is tested in `tests`.

use super::{has_patterns, target};
use crate::command::KeyPlaces;
use crate::commands::rig::Rig;

#[test]
fn numbers_and_texts() {
    let mut rig = Rig::new();
    rig.check(&[
        ("SORT none", "[]"),
        ("RPUSH l 3 10 -1 2.5 10", "5"),
        ("SORT l", "[\"-1\" \"2.5\" \"3\" \"10\" \"10\"]"),
        ("SORT l DESC", "[\"10\" \"10\" \"3\" \"2.5\" \"-1\"]"),
        ("SORT l ALPHA", "[\"-1\" \"10\" \"10\" \"2.5\" \"3\"]"),
        ("SORT l LIMIT 1 2", "[\"2.5\" \"3\"]"),
        ("SORT l LIMIT -5 2 DESC ASC", "[\"-1\" \"2.5\"]"),
        ("SORT_RO l LIMIT 3 -1", "[\"10\" \"10\"]"),
        ("SORT l BY nosort", "[\"3\" \"10\" \"-1\" \"2.5\" \"10\"]"),
        ("SORT l BY nosort DESC LIMIT 1 2", "[\"2.5\" \"-1\"]"),
        ("RPUSH t b a", "2"),
        (
            "SORT t",
            "ERR One or more scores can't be converted into double",
        ),
        ("SORT t ALPHA DESC", "[\"b\" \"a\"]"),
        ("HSET h f v", "1"),
        (
            "SORT h",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("SORT l LIMIT 1", "ERR syntax error"),
        (
            "SORT l LIMIT a b",
            "ERR value is not an integer or out of range",
        ),
        ("SORT l BOGUS", "ERR syntax error"),
        ("SORT l BY", "ERR syntax error"),
        ("SORT_RO l STORE x", "ERR syntax error"),
    ]);
}

#[test]
fn patterns() {
    let mut rig = Rig::new();
    rig.check(&[
        ("RPUSH l 1 2 3", "3"),
        ("MSET w_1 30 w_2 20 w_3 10 o_1 one", "OK"),
        ("HSET h_1 n 5 t x", "2"),
        ("HSET h_2 n 4", "1"),
        ("SORT l BY w_*", "[\"3\" \"2\" \"1\"]"),
        (
            "SORT l BY w_* GET # GET o_*",
            "[\"3\" (nil) \"2\" (nil) \"1\" \"one\"]",
        ),
        ("SORT l BY h_*->n", "[\"3\" \"2\" \"1\"]"),
        ("SORT l GET h_*->t", "[\"x\" (nil) (nil)]"),
        (
            "SORT l GET fixed GET h_*",
            "[(nil) (nil) (nil) (nil) (nil) (nil)]",
        ),
        ("SORT l BY o_* ALPHA", "[\"2\" \"3\" \"1\"]"),
        (
            "SORT l BY o_*",
            "ERR One or more scores can't be converted into double",
        ),
        ("SORT l BY missing_* DESC", "[\"3\" \"2\" \"1\"]"),
    ]);
}

#[test]
fn results_are_stored_as_lists() {
    let mut rig = Rig::new();
    rig.check(&[
        ("RPUSH l 2 1", "2"),
        ("SET d old EX 100", "OK"),
        ("SORT l STORE d", "2"),
        ("LRANGE d 0 -1", "[\"1\" \"2\"]"),
        ("TTL d", "-1"),
        ("SORT l GET none_* STORE d", "2"),
        ("LRANGE d 0 -1", "[\"\" \"\"]"),
        ("SORT none STORE d", "0"),
        ("EXISTS d", "0"),
        ("SORT l STORE l DESC", "2"),
        ("LRANGE l 0 -1", "[\"2\" \"1\"]"),
    ]);
}

#[test]
fn texts_that_hold_a_nul() {
    let mut rig = Rig::new();
    rig.check(&[
        ("RPUSH l \"1\\x00b\" \"1\\x00a\" 1 0", "4"),
        ("SORT l ALPHA", "[\"0\" \"1\\x00b\" \"1\\x00a\" \"1\"]"),
        ("SORT l ALPHA STORE d", "4"),
        ("LRANGE d 0 -1", "[\"0\" \"1\" \"1\\x00a\" \"1\\x00b\"]"),
    ]);
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

#[test]
fn keys_are_found_behind_the_options() {
    let places = |line: &str| {
        let mut places = KeyPlaces::new();
        target(&words(line), &mut places);
        places.iter().map(|(at, _)| *at).collect::<Vec<_>>()
    };
    assert_eq!(places("SORT l"), [0usize; 0]);
    assert_eq!(places("SORT l STORE d"), [3]);
    assert_eq!(places("SORT l GET store STORE d"), [5]);
    assert_eq!(places("SORT l LIMIT store store"), [0usize; 0]);
    assert_eq!(places("SORT l STORE a store b"), [5]);
    assert_eq!(places("SORT l STORE"), [0usize; 0]);
    assert!(has_patterns(&words("SORT l ALPHA by w_*")));
    assert!(has_patterns(&words("SORT l GET # GET w_*")));
    assert!(!has_patterns(&words("SORT l BY nosort GET # STORE a*")));
}

/// A long one goes on in slices, and gives the same as a short one.
#[test]
fn long_ones_in_slices() {
    let mut rig = Rig::new();
    for n in 0..5_000u32 {
        let n = n.wrapping_mul(7_919) % 5_000;
        rig.run(&format!("RPUSH l {n}"));
        rig.run(&format!("SADD s m{n:04}"));
        rig.run(&format!("ZADD z {n} m{n:04}"));
    }
    let numbers = |range: &mut dyn Iterator<Item = u32>| {
        let shown: Vec<String> = range.map(|n| format!("\"{n}\"")).collect();
        format!("[{}]", shown.join(" "))
    };
    let members = |range: &mut dyn Iterator<Item = u32>| {
        let shown: Vec<String> = range.map(|n| format!("\"m{n:04}\"")).collect();
        format!("[{}]", shown.join(" "))
    };
    assert_eq!(rig.run("SORT l"), numbers(&mut (0..5_000)));
    assert!(rig.slices > 10, "{}", rig.slices);
    assert_eq!(
        rig.run("SORT l DESC LIMIT 10 2000"),
        numbers(&mut (2_990..4_990).rev())
    );
    assert_eq!(rig.run("SORT s ALPHA DESC"), members(&mut (0..5_000).rev()));
    assert_eq!(
        rig.run("SORT z BY nosort DESC"),
        members(&mut (0..5_000).rev())
    );
    assert_eq!(
        rig.run("SORT z BY nosort LIMIT 4998 9"),
        members(&mut (4_998..5_000))
    );
    rig.check(&[
        ("SORT l LIMIT 4999 1 GET # GET none", "[\"4999\" (nil)]"),
        (
            "SORT s",
            "ERR One or more scores can't be converted into double",
        ),
        ("SORT s BY nosort STORE d", "5000"),
        ("LRANGE d 0 1", "[\"m0000\" \"m0001\"]"),
        ("SORT l STORE l", "5000"),
        ("LRANGE l -2 -1", "[\"4998\" \"4999\"]"),
        ("SORT l LIMIT 5000 1 STORE d", "0"),
        ("EXISTS d", "0"),
        ("SORT l LIMIT 5000 1", "[]"),
    ]);
}
