//! String commands whose replies have structure or edges worth a line of their own.

use crate::both::Both;

#[test]
fn lcs() {
    let mut both = Both::start();
    both.say(&[
        "MSET key1 ohmytext key2 mynewtext",
        "LCS key1 key2",
        "LCS key1 key2 LEN",
        "LCS key1 key2 IDX",
        "LCS key1 key2 IDX MINMATCHLEN 4",
        "LCS key1 key2 IDX MINMATCHLEN 4 WITHMATCHLEN",
        "LCS key1 key2 IDX MINMATCHLEN -7 WITHMATCHLEN",
        "LCS key1 key2 LEN IDX",
        "LCS key1 key2 IDX LEN",
        "LCS key1 key2 MINMATCHLEN 4",
        "LCS key1 key2 WITHMATCHLEN",
        "LCS key1 key2 MINMATCHLEN",
        "LCS key1 key2 MINMATCHLEN x",
        "LCS key1 missing",
        "LCS missing key1 IDX",
        "LCS missing gone LEN",
        "LCS key1 key1 IDX WITHMATCHLEN",
        "LCS key1",
        "LCS key1 key2 NONSENSE",
    ]);
    // The matches are a map in RESP3.
    both.speak_resp3();
    both.say(&[
        "LCS key1 key2 IDX WITHMATCHLEN",
        "LCS key1 key2 IDX",
        "LCS missing gone IDX",
    ]);
}

#[test]
fn floats_come_out_as_redis_writes_them() {
    let mut both = Both::start();
    both.say(&[
        "SET f 10.50",
        "INCRBYFLOAT f 0.1",
        "INCRBYFLOAT f -5",
        "SET f 5.0e3",
        "INCRBYFLOAT f 2.0e2",
        "SET f 0",
    ]);
    for addend in [
        "0.1",
        "0.2",
        "0.3",
        "1e-10",
        "1e10",
        "-0.6",
        "3.3333333333333333",
        "1e17",
        "-1e17",
        "0.000000000000000001",
        "123456789.987654321",
    ] {
        both.call(&["INCRBYFLOAT", "f", addend]);
    }
    for value in [
        "3.0",
        "1e400",
        "nan",
        "-inf",
        "0x1p4",
        "",
        " 1",
        "1 ",
        "1e",
        "179769313486231570000",
        "1e4931",
    ] {
        both.call(&["SET", "g", value]);
        both.call(&["INCRBYFLOAT", "g", "1"]);
        both.call(&["SET", "g", "1"]);
        both.call(&["INCRBYFLOAT", "g", value]);
        both.call(&["GET", "g"]);
    }
}

#[test]
fn integers_at_their_ends() {
    let mut both = Both::start();
    for (start, steps) in [
        (
            "9223372036854775806",
            ["INCR n", "INCR n", "GET n", "INCRBY n -1"],
        ),
        (
            "-9223372036854775807",
            ["DECR n", "DECR n", "GET n", "DECRBY n -1"],
        ),
        (
            "0",
            [
                "DECRBY n -9223372036854775808",
                "DECRBY n 9223372036854775807",
                "INCRBY n 9223372036854775807",
                "INCRBY n -9223372036854775808",
            ],
        ),
        ("0123", ["INCR n", "GET n", "OBJECT ENCODING n", "STRLEN n"]),
    ] {
        both.call(&["SET", "n", start]);
        both.say(&steps);
    }
}

#[test]
fn encodings() {
    let mut both = Both::start();
    for value in [
        "1",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "00",
        "1.5",
        "",
        "abc",
        &"x".repeat(44),
        &"x".repeat(45),
        &"9".repeat(20),
    ] {
        both.call(&["SET", "k", value]);
        both.say(&[
            "OBJECT ENCODING k",
            "APPEND k y",
            "OBJECT ENCODING k",
            "STRLEN k",
            "GETRANGE k 0 3",
        ]);
        both.call(&["SET", "k", value]);
        both.say(&[
            "SETRANGE k 1 z",
            "OBJECT ENCODING k",
            "GET k",
            "COPY k k2 REPLACE",
            "OBJECT ENCODING k2",
        ]);
    }
    both.say(&[
        "SET n 10",
        "INCR n",
        "OBJECT ENCODING n",
        "INCRBYFLOAT n 1.5",
        "OBJECT ENCODING n",
        "INCRBYFLOAT n 0.5",
        "OBJECT ENCODING n",
    ]);
    both.say(&[
        "OBJECT ENCODING missing",
        "OBJECT FREQ n",
        "OBJECT FREQ missing",
        "OBJECT IDLETIME missing",
        "OBJECT REFCOUNT missing",
    ]);
    both.say(&[
        "OBJECT",
        "OBJECT ENCODING",
        "OBJECT ENCODING a b",
        "OBJECT NONSENSE n",
        "object help extra",
    ]);
}
