//! The pools that arguments are drawn from. Small, so that commands meet on the same keys; with the
//! edges of every range in them.
//!
//! No time drawn here ends during a run: relative ones last 1,000 seconds or more, absolute ones lie
//! in the past or after the year 2096. So nothing depends on when a server gets a command.

use crate::rng::Rng;

/// The first second of absolute times: 2096.
pub const FUTURE_S: i64 = 4_000_000_000;
/// The last of them.
pub const FUTURE_S_MAX: i64 = FUTURE_S + 1_000_000;

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "10",
    "-10",
    "42",
    "100",
    "9999",
    "10000",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775806",
    "-9223372036854775808",
    "-9223372036854775807",
    "4611686018427387904",
];

/// What no parser of integers should take for one, or take with care.
const NOT_INTEGERS: &[&str] = &[
    "",
    " ",
    "abc",
    "1.0",
    "1e3",
    "+1",
    "-0",
    "00",
    "01",
    "007",
    " 1",
    "1 ",
    "1\0",
    "0x10",
    "--1",
    "-",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "१",
    "nan",
    "inf",
    "1\n",
];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.5",
    "-0.5",
    "1.5",
    "3.0",
    "0.1",
    "0.2",
    "10.25",
    "-3.75",
    "1e2",
    "5e-1",
    "1E3",
    "100.00",
    "1234567.125",
    "0.0001",
    "-0",
    "-0.0",
    "+1",
    "+0.5",
    ".5",
    "5.",
    "00.5",
    "3.14159",
    "1e15",
];

const ODD_FLOATS: &[&str] = &[
    "",
    " ",
    "abc",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "+inf",
    "infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "1e5000",
    "0x1p3",
    "0x10",
    "1.2.3",
    "1e",
    "1,5",
    " 1",
    "1 ",
    "1\0",
    "--1",
    "+-1",
    "e5",
    ".",
    "1e309",
    "1e17",
    "1e20",
    "9223372036854775807",
    "1e-17",
];

/// Words put where they do not belong. None of them is a unit of time: a small number after one
/// would make a key end during the run.
const ODD_WORDS: &[&str] = &[
    "",
    "nx",
    "XX",
    "GET",
    "KEEPTTL",
    "REPLACE",
    "MATCH",
    "COUNT",
    "LEN",
    "IDX",
    "DB",
    "foo",
    "*",
    "-1",
    "0",
    "persist",
    "GT",
    "lt",
    "9223372036854775807",
    "\u{0}",
    "\r\n",
    "+OK",
    "$-1",
    "ASYNC",
    "WITHMATCHLEN",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "-0",
    "1e400",
    "-9223372036854775809",
    "18446744073709551616",
];

const PATTERNS: &[&str] = &[
    "*",
    "k*",
    "k?",
    "k1?",
    "?",
    "??",
    "k[0-5]",
    "k[^0-5]",
    "k[5-0]",
    "[a-z]*",
    "{t}*",
    "\\{t}*",
    "*1*",
    "**",
    "***2",
    "",
    "nothing",
    "k\\1",
    "k[1",
    "k[",
    "k[]",
    "k[^",
    "k\\",
    "[k]1*",
    "*[0-9]",
    "*:*",
    "user:?000",
    "K*",
    "[^k]*",
    "?*?",
    "*\\",
];

/// A source of arguments.
#[derive(Debug, Clone)]
pub struct Draw {
    /// Where all choices come from.
    pub rng: Rng,
}

fn owned(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

impl Draw {
    /// The draws of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
        }
    }

    /// A key.
    pub fn key(&mut self) -> Vec<u8> {
        match self.rng.below(40) {
            0 => Vec::new(),
            1 => b"bin\0\xff\r\n\x80".to_vec(),
            2 => vec![b'L'; 300],
            3 => owned("user:1000"),
            4..=9 => format!("{{t}}{}", self.rng.below(6)).into_bytes(),
            10 => owned("{}empty"),
            11 => owned("missing"),
            12 | 13 => format!("list{}", self.rng.below(8)).into_bytes(),
            14 => format!("s{}", self.rng.below(6)).into_bytes(),
            15 => format!("zset{}", self.rng.below(6)).into_bytes(),
            16 => format!("g{}", self.rng.below(3)).into_bytes(),
            17 => format!("hash{}", self.rng.below(6)).into_bytes(),
            _ => format!("k{}", self.rng.below(28)).into_bytes(),
        }
    }

    /// A key that is often a list.
    pub fn list_key(&mut self) -> Vec<u8> {
        match self.rng.below(16) {
            0 => self.key(),
            1..=3 => format!("{{t}}list{}", self.rng.below(3)).into_bytes(),
            _ => format!("list{}", self.rng.below(8)).into_bytes(),
        }
    }

    /// One to `most` keys.
    pub fn keys(&mut self, most: usize) -> Vec<Vec<u8>> {
        (0..self.rng.between(1, most)).map(|_| self.key()).collect()
    }

    /// One of the keys that LCS works on; their values stay short.
    pub fn lcs_key(&mut self) -> Vec<u8> {
        format!("lcs{}", self.rng.below(5)).into_bytes()
    }

    /// Text over few letters, so that two have much in common.
    pub fn lcs_value(&mut self) -> Vec<u8> {
        let length = self.rng.below(40);
        (0..length).map(|_| self.rng.pick(b"abc")).collect()
    }

    /// A value of any sort.
    pub fn value(&mut self) -> Vec<u8> {
        match self.rng.below(24) {
            0..=5 => owned(self.rng.pick(INTEGERS)),
            6 => owned(self.rng.pick(NOT_INTEGERS)),
            7 | 8 => owned(self.rng.pick(FLOATS)),
            9 => owned(self.rng.pick(ODD_FLOATS)),
            10 => Vec::new(),
            // Around the lengths at which encodings change.
            11 | 12 => {
                let length = self.rng.pick(&[
                    1, 11, 12, 19, 20, 21, 22, 43, 44, 45, 46, 63, 64, 65, 127, 128, 255, 256,
                ]);
                vec![b'v'; length]
            }
            13 | 14 => {
                let length = self.rng.below(64);
                self.rng.bytes(length)
            }
            15 => {
                let length = self.rng.between(100, 4000);
                self.rng.bytes(length)
            }
            16 if self.rng.one_in(8) => {
                let length = self
                    .rng
                    .pick(&[4095, 4096, 16_384, 32_768, 65_535, 65_536, 100_000]);
                vec![b'x'; length]
            }
            17 if self.rng.one_in(80) => vec![b'H'; 1 << 20],
            _ => format!("value{}", self.rng.below(1000)).into_bytes(),
        }
    }

    /// An integer argument, mostly a good one.
    pub fn integer(&mut self) -> Vec<u8> {
        match self.rng.below(10) {
            0..=3 => owned(self.rng.pick(INTEGERS)),
            4 => owned(self.rng.pick(NOT_INTEGERS)),
            _ => (self.rng.below(200) as i64 - 100).to_string().into_bytes(),
        }
    }

    /// A position in a string.
    pub fn position(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0 => self.integer(),
            _ => (self.rng.below(60) as i64 - 30).to_string().into_bytes(),
        }
    }

    /// An offset for SETRANGE: small, or one that is refused.
    pub fn offset(&mut self) -> Vec<u8> {
        match self.rng.below(24) {
            0 => owned(self.rng.pick(&[
                "-1",
                "536870912",
                "536870911000",
                "9223372036854775807",
                "-9223372036854775808",
            ])),
            1 => owned(self.rng.pick(NOT_INTEGERS)),
            2 => owned(self.rng.pick(&["4000", "65536", "100000"])),
            _ => self.rng.below(80).to_string().into_bytes(),
        }
    }

    /// A floating point argument, mostly a good one.
    pub fn float(&mut self) -> Vec<u8> {
        match self.rng.below(8) {
            0 => owned(self.rng.pick(ODD_FLOATS)),
            1 => owned(self.rng.pick(INTEGERS)),
            2 | 3 => format!("{}.{}", self.rng.below(100), self.rng.below(1000)).into_bytes(),
            _ => owned(self.rng.pick(FLOATS)),
        }
    }

    /// A relative time: far away, or not valid, or (where `past` is allowed) over already.
    pub fn relative(&mut self, per_second: i64, past: bool) -> Vec<u8> {
        match self.rng.below(16) {
            0 => owned(self.rng.pick(NOT_INTEGERS)),
            1 => owned(self.rng.pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775",
                "9223372036854776",
                "9223370000000000",
            ])),
            2 | 3 if past => owned(self.rng.pick(&["0", "-1", "-1000", "-9223372036854775"])),
            4 => owned(self.rng.pick(&["0", "-1"])),
            _ => (self.rng.between(1_000, 1_000_000) as i64 * per_second)
                .to_string()
                .into_bytes(),
        }
    }

    /// A point in time: after 2096, or not valid, or long ago.
    pub fn absolute(&mut self, per_second: i64) -> Vec<u8> {
        match self.rng.below(16) {
            0 => owned(self.rng.pick(NOT_INTEGERS)),
            1 => owned(self.rng.pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775",
                "9223372036854776",
            ])),
            2 | 3 => owned(self.rng.pick(&["1", "1000", "1000000000", "0", "-1"])),
            _ => {
                let odd = if per_second > 1 {
                    self.rng.below(1000) as i64
                } else {
                    0
                };
                let seconds = FUTURE_S + self.rng.below((FUTURE_S_MAX - FUTURE_S) as usize) as i64;
                (seconds * per_second + odd).to_string().into_bytes()
            }
        }
    }

    /// A database number.
    pub fn database(&mut self) -> Vec<u8> {
        match self.rng.below(20) {
            0 => owned(self.rng.pick(NOT_INTEGERS)),
            1 => owned(self.rng.pick(&[
                "16",
                "-1",
                "2147483647",
                "2147483648",
                "4294967296",
                "9223372036854775807",
            ])),
            2 => self.rng.below(16).to_string().into_bytes(),
            _ => owned(self.rng.pick(&["0", "0", "1", "2", "15"])),
        }
    }

    /// A glob pattern.
    pub fn pattern(&mut self) -> Vec<u8> {
        owned(self.rng.pick(PATTERNS))
    }

    /// A word in the wrong place.
    pub fn odd_word(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0 => self.rng.bytes(9),
            1 => vec![b'z'; 200],
            2 if self.rng.one_in(20) => vec![b'Z'; 70_000],
            _ => owned(self.rng.pick(ODD_WORDS)),
        }
    }

    /// The word, at times in lower or mixed case.
    pub fn cased(&mut self, word: &str) -> Vec<u8> {
        match self.rng.below(4) {
            0 => word.to_ascii_lowercase().into_bytes(),
            1 => {
                let mut bytes = owned(word);
                for byte in &mut bytes {
                    if self.rng.one_in(2) {
                        byte.make_ascii_lowercase();
                    }
                }
                bytes
            }
            _ => owned(word),
        }
    }
}
