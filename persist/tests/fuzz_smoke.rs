//! The fuzz bodies over mutated samples, the same ones in every run. Longer runs: `cargo fuzz run rdb`, `cargo fuzz run native`.

mod fuzz_bodies;
#[path = "../../core/tests/mutation/mod.rs"]
mod mutation;

use mutation::smoke;

/// Records of chunks: a string, an integer with a time, a set, a key in pieces, a long string.
#[test]
fn native() {
    let samples: &[&[u8]] = &[
        b"\x40",
        b"\x00\x0d\0\0\0\x07\0\0\0\x01\0\0\0kvalu",
        b"\x00\x19\0\0\0\x07\0\x80\x01\x01\0\0\0\x63\0\0\0\0\0\0\0k\x07\0\0\0\0\0\0\0",
        b"\x00\x0f\0\0\0\x07\0\x02\0\x01\0\0\0k\x02\x01a\x01b",
        b"\x01\xff\xff\xff\xff\x07\0\x02\0\x01\0\0\0k\x02\x01a",
        b"\x03\xff\xff\xff\xff\x07\0\x81\x08\x01\0\0\0\x01\0\0\0k\x03\0\0\0\0\0\0\0abc",
        b"\x0b\x01b",
        b"TESSERA\x1a\x01\0\0\0\0\0\0\0",
        b"CHNK",
        b"TEND",
    ];
    let tokens: &[&[u8]] = &[
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x80",
        b"\x81",
        b"\x0b",
        b"\x10",
        b"\x02",
        b"\x04",
        b"\x13",
        b"\x18",
    ];
    smoke(fuzz_bodies::native, samples, tokens);
}

#[test]
fn rdb() {
    let samples: &[&[u8]] = &[
        b"\x05value",
        b"\xc0\x0c",
        b"\xc3\x04\x08\x00a\xa0\x00",
        b"\x02\x01a\x01b",
        b"\x02\x02\x0b\x0b\x00\x00\x00\x02\x00\x81a\x02\x05\x01\xff\x01\x03big",
        b"\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00",
        b"\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff",
        b"\x01\x01m\x00\x00\x00\x00\x00\x00\xf0\x3f",
        b"\x0e\x0e\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\xf3\xff",
        b"\x0e\x01\x03foo\x03\x01barX\xff",
        b"\x63\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01f\x01v\x00\x01g\x01w",
        b"\x01\x10\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff",
        b"\x01\x07\x00\x07\x00\x00\x00\x01\x01\x01g\x07\x00\x01\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0\x01",
        b"\x01\x01c\x63\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0",
        b"\xfa\x03ver\x017\xfe\x00\xfb\x01\x00\x00\x01k\x01v\xff",
    ];
    let kinds: Vec<[u8; 1]> = (0..26u8).map(|kind| [kind]).collect();
    let mut tokens: Vec<&[u8]> = vec![
        b"\x80\x00\x00\xff\xff",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc1\x00\x80",
        b"\xff",
        b"\xfd",
        b"\xfc",
        b"\xf7\x01\x05\x01a\x00",
    ];
    tokens.extend(kinds.iter().map(|kind| kind.as_slice()));
    smoke_with_kinds(samples, &tokens);
}

/// The first byte is the type: that of a value more often than not.
fn smoke_with_kinds(samples: &[&[u8]], tokens: &[&[u8]]) {
    smoke(
        |data| {
            let mut data = data.to_vec();
            if let Some(first) = data.first_mut() {
                *first %= 26;
            }
            fuzz_bodies::rdb(&data);
        },
        samples,
        tokens,
    );
}
