//! The differences that are meant: where Tessera answers otherwise than the redis-server 7.0 it is
//! compared with, each with its reason. What is not in this list must be equal.

use super::step::{Judge, Step};
use crate::reply::Reply;

/// A difference that is meant.
#[derive(Debug)]
pub struct Known {
    /// Why it is right.
    pub reason: &'static str,
    /// Whether these replies to this step are such a case: ours, then theirs.
    pub applies: fn(&Step, &Reply, &Reply) -> bool,
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        reason: "Redis 7.0 keeps every list as a quicklist; 7.2 and ours keep a small one as a listpack",
        applies: |step, ours, theirs| {
            step.name() == "OBJECT" && are_bulks(ours, theirs, ["listpack", "quicklist"])
        },
    },
    Known {
        reason: "LPOS refuses the smallest integer as a rank since Redis 7.2; 7.0 negates it, which overflows",
        applies: |step, _, _| {
            step.name() == "LPOS" && step.command.contains(&i64::MIN.to_string().into_bytes())
        },
    },
    Known {
        reason: "ZRANK and ZREVRANK take WITHSCORE since Redis 7.2; 7.0 has no option there",
        applies: |step, _, _| {
            let is_rank = |word: &Vec<u8>| {
                word.eq_ignore_ascii_case(b"zrank") || word.eq_ignore_ascii_case(b"zrevrank")
            };
            match step.name().as_str() {
                "COMMAND" => step.command.iter().any(is_rank),
                _ => step.command.first().is_some_and(is_rank) && step.command.len() > 3,
            }
        },
    },
    Known {
        reason: "BGSAVE and BGREWRITEAOF are not allowed in MULTI",
        applies: |step, _, _| {
            let is_save = |word: &Vec<u8>| {
                word.eq_ignore_ascii_case(b"bgsave") || word.eq_ignore_ascii_case(b"bgrewriteaof")
            };
            step.judge == Judge::CommandInfo && step.command.iter().any(is_save)
        },
    },
    Known {
        reason: "an error text quotes a word of the client's with a NUL in it: Redis's ends there, as C strings do; ours shows it",
        applies: |step, ours, theirs| {
            let quotes_nul = step.command.iter().any(|word| word.contains(&0));
            quotes_nul
                && both_errors(ours, theirs)
                    .is_some_and(|(a, b)| a.iter().zip(b).take_while(|(a, b)| a == b).count() > 10)
        },
    },
    Known {
        reason: "an error text ends with a line end of the client's: Redis trims it, ours shows spaces",
        applies: |_, ours, theirs| {
            both_errors(ours, theirs).is_some_and(|(a, b)| a.trim_ascii_end() == b.trim_ascii_end())
        },
    },
    Known {
        reason: "the policies that an error lists: ours are one more",
        applies: |_, ours, theirs| {
            let ours = both_errors(ours, theirs).map(|(ours, theirs)| {
                (
                    String::from_utf8_lossy(ours).replace("allkeys-s3fifo, ", ""),
                    theirs,
                )
            });
            ours.is_some_and(|(ours, theirs)| ours.as_bytes() == theirs)
        },
    },
    Known {
        reason: "SORT makes a skiplist of the packed sorted set that it reads; ours leaves it packed",
        applies: |step, ours, theirs| {
            step.name() == "OBJECT" && are_bulks(ours, theirs, ["listpack", "skiplist"])
        },
    },
    Known {
        reason: "small sets are listpacks as in Redis 7.2; 7.0 has hash tables",
        applies: |step, ours, theirs| {
            step.name() == "OBJECT"
                && matches!((ours, theirs), (Reply::Bulk(a), Reply::Bulk(b)) if a == b"listpack" && b == b"hashtable")
        },
    },
];

/// Whether both are bulks with these bytes.
fn are_bulks(ours: &Reply, theirs: &Reply, texts: [&str; 2]) -> bool {
    *ours == Reply::bulk(texts[0]) && *theirs == Reply::bulk(texts[1])
}

/// The texts, when both are errors.
fn both_errors<'a>(ours: &'a Reply, theirs: &'a Reply) -> Option<(&'a [u8], &'a [u8])> {
    match (ours, theirs) {
        (Reply::Error(a), Reply::Error(b)) => Some((a, b)),
        _ => None,
    }
}

/// The reason why these replies may differ, if there is one.
#[must_use]
pub fn reason(step: &Step, ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|known| (known.applies)(step, ours, theirs))
        .map(|known| known.reason)
}
