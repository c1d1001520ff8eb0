//! The fuzz bodies over mutated samples, the same ones in every run: what a change breaks grossly shows here, without
//! libFuzzer. Longer runs: `cargo fuzz run parser` (or `reply`, `glob`, `listpack`, `number`, `stream`).

mod fuzz_bodies;
mod mutation;

use mutation::smoke;

#[test]
fn parser() {
    let samples: &[&[u8]] = &[
        b"*1\r\n$4\r\nPING\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nabcdefghijkl\r\n",
        b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
        b"PING\r\n",
        b"set \"a b\\x41\" 'it\\'s'\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"\r\n",
    ];
    let tokens: &[&[u8]] = &[
        b"\r\n",
        b"$",
        b"*",
        b"-1",
        b"0",
        b"\0",
        b"\"",
        b"'",
        b"\\x",
        b" ",
        b"\r",
        b"\n",
        b"99999999999",
        b"$101\r\n",
        b"*11\r\n",
        b"*2147483647\r\n",
        b"$536870913\r\n",
    ];
    smoke(fuzz_bodies::parser, samples, tokens);
}

#[test]
fn reply() {
    let samples: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":-12\r\n",
        b"$5\r\nhello\r\n",
        b"$-1\r\n",
        b"*2\r\n",
        b"%1\r\n",
        b"~3\r\n",
        b"|1\r\n",
        b">2\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.25\r\n",
        b",-inf\r\n",
        b"(123\r\n",
        b"=5\r\ntxt:a\r\n",
        b"!3\r\nERR\r\n",
    ];
    let tokens: &[&[u8]] = &[
        b"\r\n",
        b"-1",
        b"0",
        b"*1\r\n",
        b"nan",
        b"9223372036854775807",
        b"$",
        b"\r",
        b"\n",
    ];
    // The input has no choosing byte: the first one is a type.
    let body = |data: &[u8]| fuzz_bodies::reply(data.get(1..).unwrap_or_default());
    smoke(body, samples, tokens);
}

#[test]
fn glob() {
    let samples: &[&[u8]] = &[
        b"a*b?c",
        b"[a-c]*",
        b"[^x]",
        b"\\*a",
        b"aabbcc",
        b"*a*b*",
        b"abcabcabc",
        b"[\\]-z",
    ];
    let tokens: &[&[u8]] = &[
        b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"Z", b"\x80", b"\xff", b"[^", b"-\xff",
    ];
    // Short borders, so that both halves have something in them.
    let body = |data: &[u8]| {
        let mut data = data.to_vec();
        data.first_mut().into_iter().for_each(|at| *at %= 16);
        fuzz_bodies::glob(&data);
    };
    smoke(body, samples, tokens);
}

#[test]
fn number() {
    let samples: &[&[u8]] = &[
        b"123",
        b"-1",
        b"0.1",
        b"3.0e3",
        b"1e-17",
        b"0x1.8p3",
        b"inf",
        b"9223372036854775807",
        b"18446744073709551615",
        b"1.7976931348623157e308",
        b"123456789.987654321",
    ];
    let tokens: &[&[u8]] = &[
        b"0", b"9", b".", b"e", b"-", b"+", b"p", b"0x", b"e-30", b"e300", b"e-4950", b"5", b"kb",
    ];
    let body = |data: &[u8]| {
        let mut data = data.to_vec();
        data.first_mut().into_iter().for_each(|at| *at %= 24);
        fuzz_bodies::number(&data);
    };
    smoke(body, samples, tokens);
}

#[test]
fn stream() {
    // An id of up to seven bytes; blocks of one field with one and two entries, and one with a deleted entry of its own field names.
    let samples: &[&[u8]] = &[
        b"12-34  ",
        b"5-*",
        b"\x01\0\x01a\0\x02\0\0v\x04",
        b"\x02\0\x01a\0\x02\0\0v\x04\x02\x01\0v\x04",
        b"\x01\x01\x01a\0\x02\0\0v\x04\x01\0\x01\x01bw\x06",
    ];
    let tokens: &[&[u8]] = &[
        b"-",
        b"+",
        b"*",
        b"(",
        b"0",
        b"9",
        b"18446744073709551615",
        b"\0",
        b"\x01",
        b"\x02",
        b"\x03",
        b"\x02\x05\0v\x04",
    ];
    let body = |data: &[u8]| {
        let mut data = data.to_vec();
        data.first_mut().into_iter().for_each(|at| *at %= 12);
        fuzz_bodies::stream(&data);
    };
    smoke(body, samples, tokens);
    // As they are, the blocks are good.
    for sample in &samples[2..] {
        fuzz_bodies::stream(&[b"\0", *sample].concat());
    }
}

#[test]
fn listpack() {
    let samples: &[&[u8]] = &[
        b"\x81a\x02\x01\x01\xcf\xff\x02\xd0\0\x02\xf1\xff\x7f\x03\x82xx\x03",
        b"\xe0\x01a\x03\xf0\x01\0\0\0a\x06",
        b"\xf2\0\0\x01\x04\xf3\0\0\0\x01\x05\xf4\0\0\0\0\0\0\0\x01\x09",
        b"\x10\0ab\x08\0c\x12\0de\x1b\x01123\x24\x00wxyz",
        b"\x10\0ab\x18\x00567\x3d\x01abcdefg\x0e\0a\x0f\x01b",
    ];
    let tokens: &[&[u8]] = &[
        b"\0",
        b"\x01",
        b"\x7f",
        b"\x80",
        b"\xbf",
        b"\xc0",
        b"\xdf",
        b"\xe0",
        b"\xef",
        b"\xf0",
        b"\xf1",
        b"\xf4",
        b"\xff",
        b"-12",
        b"\x06\0\x01",
        b"\x11\x03-9",
        b"\xf0\xff\xff\xff\xff",
    ];
    let body = |data: &[u8]| {
        let mut data = data.to_vec();
        data.first_mut().into_iter().for_each(|at| *at %= 48);
        fuzz_bodies::listpack(&data);
    };
    smoke(body, samples, tokens);
}
