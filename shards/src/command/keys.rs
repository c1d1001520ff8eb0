//! Which arguments of a request are keys, by the rules of its row: for the router, COMMAND GETKEYS and ACL.

use smallvec::SmallVec;
use tessera_core::number::parse_i64;

use crate::command::spec::{Begin, Find, KeySpec, Spec, access};

/// Indices of the arguments that are keys, each with the `access` bits of its rule.
pub type KeyPlaces = SmallVec<[(usize, u32); 8]>;

impl Spec {
    /// The row that describes this request: the subcommand's, if this is a container and the request names one.
    #[must_use]
    pub fn resolve(&self, args: &[&[u8]]) -> &Spec {
        let Some(name) = args.get(1) else { return self };
        self.subcommands
            .iter()
            .find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
            .unwrap_or(self)
    }

    /// The keys of a request. Arguments that do not fit the rules (a count that is no number, more keys than arguments) give none:
    /// the command itself will refuse them.
    #[must_use]
    pub fn keys_of(&self, args: &[&[u8]]) -> KeyPlaces {
        let mut places = KeyPlaces::new();
        let spec = self.resolve(args);
        for rule in spec.keys.iter().filter(|rule| rule.tells_keys()) {
            rule.collect(args, &mut places);
        }
        if let Some(find) = spec.find_keys {
            find(args, &mut places);
        }
        places
    }

    /// Whether the command has keys at all: what its rules find may be something else, such as a shard channel.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys.iter().any(KeySpec::tells_keys)
    }

    /// Whether the arguments have room for the keys of every rule: COMMAND GETKEYS asks before it answers.
    #[must_use]
    pub fn has_keys_for_all_rules(&self, args: &[&[u8]]) -> bool {
        let mut rules = self
            .resolve(args)
            .keys
            .iter()
            .filter(|rule| rule.tells_keys());
        rules.all(|rule| {
            let mut places = KeyPlaces::new();
            rule.collect(args, &mut places);
            !places.is_empty() || !matches!(rule.begin, Begin::Index(_))
        })
    }

    /// The keys as Redis's older way finds them, which COMMAND GETKEYS falls back to: the count is read as C's `atoi` does (`01`, `2x`),
    /// the counted keys come first, nothing is known of what is done to them.
    #[must_use]
    pub fn counted_keys_of(&self, args: &[&[u8]]) -> KeyPlaces {
        let mut places = KeyPlaces::new();
        let rules = || self.keys.iter().filter(|rule| rule.tells_keys());
        let counted = |rule: &&KeySpec| matches!(rule.find, Find::KeyNum { .. });
        for rule in rules().filter(counted) {
            let Some(begin) = rule.first(args) else {
                continue;
            };
            let Find::KeyNum { index, first, step } = rule.find else {
                continue;
            };
            let text = args.get((begin + i64::from(index)) as usize);
            let count = text.map_or(0, |text| leading_number(text));
            rule.counted(
                begin + i64::from(first),
                count,
                step,
                args.len(),
                &mut places,
            );
        }
        if !places.is_empty() {
            for rule in rules().filter(|rule| !counted(rule)) {
                rule.collect(args, &mut places);
            }
        }
        places.iter_mut().for_each(|(_, access)| *access = 0);
        places
    }
}

/// The number that the text begins with, 0 if it begins with none: as C's `atoi` reads it, which keeps the low 32 bits of a long one.
fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0i64, |number, digit| {
        let digit = i64::from(digit - b'0');
        let signed = if is_negative { -digit } else { digit };
        number.saturating_mul(10).saturating_add(signed)
    });
    i64::from(number as i32)
}

impl KeySpec {
    /// Whether what it finds are keys.
    fn tells_keys(&self) -> bool {
        self.access & access::NOT_KEY == 0
    }

    fn collect(&self, args: &[&[u8]], places: &mut KeyPlaces) {
        let argc = args.len() as i64;
        let Some(begin) = self.first(args) else {
            return;
        };
        match self.find {
            Find::Range { last, step, limit } => {
                let mut end = if last >= 0 {
                    begin + i64::from(last)
                } else {
                    argc + i64::from(last)
                };
                if last < 0 && limit > 1 {
                    end = begin + (argc - begin) / i64::from(limit) + i64::from(last);
                }
                let mut at = begin;
                while at <= end && at < argc {
                    places.push((at as usize, self.access));
                    at += i64::from(step.max(1));
                }
            }
            Find::KeyNum { index, first, step } => {
                let Some(count) = args
                    .get((begin + i64::from(index)) as usize)
                    .and_then(|text| parse_i64(text))
                else {
                    return;
                };
                self.counted(begin + i64::from(first), count, step, args.len(), places);
            }
            Find::Unknown => {}
        }
    }

    /// `count` keys from `from` on, if there are as many arguments.
    fn counted(&self, from: i64, count: i64, step: i32, argc: usize, places: &mut KeyPlaces) {
        let (argc, step) = (argc as i64, i64::from(step));
        if count < 1 || count > argc || from + (count - 1) * step >= argc {
            return;
        }
        places.extend((0..count).map(|i| ((from + i * step) as usize, self.access)));
    }

    fn first(&self, args: &[&[u8]]) -> Option<i64> {
        let argc = args.len() as i64;
        match self.begin {
            Begin::Index(index) => Some(i64::from(index)),
            Begin::Keyword("STREAMS", from) => streams_at(args, from.unsigned_abs() as usize),
            Begin::Keyword(word, from) => {
                let is_word = |at: &i64| args[*at as usize].eq_ignore_ascii_case(word.as_bytes());
                if let Find::Range { last: 0, .. } = self.find {
                    return last_value(args, word, i64::from(from));
                }
                let found = if from >= 0 {
                    (i64::from(from)..argc).find(is_word)
                } else {
                    (1..=(argc + i64::from(from)).max(0)).rev().find(is_word)
                };
                found.map(|at| at + 1)
            }
            Begin::Unknown => None,
        }
        .filter(|at| (1..argc).contains(at))
    }
}

/// Where the value of an option stands, of the last one if it was given several times: that is the one which counts.
fn last_value(args: &[&[u8]], word: &str, from: i64) -> Option<i64> {
    let (mut at, mut found) = (usize::try_from(from).ok()?, None);
    while at + 1 < args.len() {
        if args[at].eq_ignore_ascii_case(word.as_bytes()) {
            at += 1;
            found = Some(at as i64);
        }
        at += 1;
    }
    found
}

/// What follows STREAMS in XREAD and XREADGROUP. A group or a consumer may have that name, too, so the options before it are gone through;
/// after a word that is none, the first STREAMS from the rule's place on counts, as it does in Redis.
fn streams_at(args: &[&[u8]], from: usize) -> Option<i64> {
    let mut at = 1;
    loop {
        let is = |word: &str| {
            args.get(at)
                .map(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        at += match () {
            () if is("STREAMS")? => return Some(at as i64 + 1),
            () if is("COUNT")? || is("BLOCK")? => 2,
            () if is("GROUP")? => 3,
            () if is("NOACK")? => 1,
            () => {
                let from = from.max(at);
                let is_streams = |arg: &&[u8]| arg.eq_ignore_ascii_case(b"STREAMS");
                let skipped = args.get(from..)?.iter().position(is_streams)?;
                return Some((from + skipped) as i64 + 1);
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: &'static [KeySpec], line: &str) -> Vec<usize> {
        let spec = Spec { keys, ..Spec::NONE };
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        spec.keys_of(&args).iter().map(|(at, _)| *at).collect()
    }

    #[test]
    fn ranges_counts_and_keywords() {
        const ALL: &[KeySpec] = &[KeySpec::range(access::RO, 1, -1, 1)];
        const PAIRS: &[KeySpec] = &[KeySpec::range(access::OW, 1, -1, 2)];
        const COUNT: &[KeySpec] = &[KeySpec {
            access: 0,
            notes: "",
            begin: Begin::Index(1),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
        }];
        const STORE: &[KeySpec] = &[KeySpec {
            access: 0,
            notes: "",
            begin: Begin::Keyword("STORE", 1),
            find: Find::Range {
                last: 0,
                step: 1,
                limit: 0,
            },
        }];
        const HALF: &[KeySpec] = &[KeySpec {
            access: 0,
            notes: "",
            begin: Begin::Keyword("STREAMS", 1),
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        }];
        assert_eq!(places(ALL, "DEL a b c"), [1, 2, 3]);
        assert_eq!(places(PAIRS, "MSET a 1 b 2"), [1, 3]);
        assert_eq!(places(COUNT, "LMPOP 2 a b LEFT"), [2, 3]);
        assert_eq!(places(COUNT, "LMPOP 9 a b LEFT"), [0usize; 0]);
        assert_eq!(places(COUNT, "LMPOP x a b"), [0usize; 0]);
        assert_eq!(places(STORE, "SORT k store d"), [3]);
        assert_eq!(places(STORE, "SORT k"), [0usize; 0]);
        assert_eq!(places(STORE, "SORT k STORE"), [0usize; 0]);
        assert_eq!(places(STORE, "SORT k STORE d STORE e"), [5]);
        assert_eq!(places(STORE, "SORT k STORE store"), [3]);
        assert_eq!(places(HALF, "XREAD STREAMS a b 0 0"), [2, 3]);
        let named = "XREADGROUP COUNT 1 GROUP streams STREAMS NOACK STREAMS k >";
        assert_eq!(places(HALF, named), [8]);
        assert_eq!(places(HALF, "XREAD COUNT STREAMS a 0"), [0usize; 0]);
        assert_eq!(places(HALF, "XREAD x STREAMS a 0"), [3]);
        assert_eq!(places(ALL, "DEL"), [0usize; 0]);
    }
}
