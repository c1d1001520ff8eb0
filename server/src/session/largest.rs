//! MEMORY KEYS: the largest keys of the node, by an exact walk of all shards in slices. Ours: Redis has it in its client (`redis-cli --memkeys`), key by key.

use std::sync::{Arc, Mutex, PoisonError};

use tessera_core::number::parse_i64;
use tessera_shards::commands::generic::{Wanted, find_largest};
use tessera_shards::coordinator::Begin;
use tessera_shards::shard::largest::{BigKey, Largest};

use crate::front::Look;
use crate::session::context::SYNTAX_ERROR;
use crate::session::{Session, Then};

/// Keys without COUNT.
const SHOWN: usize = 10;
/// Keys at most.
const SHOWN_MAX: i64 = 10_000;

/// Answers `MEMORY KEYS`.
pub(super) fn cmd_memory_keys(session: &mut Session<'_>, args: &[&[u8]]) {
    let wanted = match parse(&args[2..]) {
        Ok(wanted) => wanted,
        Err(text) => return session.error(text),
    };
    let count = wanted.count;
    let command = session
        .client()
        .last_command
        .map_or(0, |(number, _)| number);
    let all: Arc<Mutex<Largest>> = Arc::new(Mutex::new(Largest::new(count)));
    let told = Arc::clone(&all);
    session.then = Then::AskAll(
        Arc::new(move |front, _| {
            let (wanted, told) = (wanted.clone(), Arc::clone(&told));
            let begin: Begin = Box::new(move |shard| {
                let tell = move |keys: Vec<BigKey>| {
                    let mut all = told.lock().unwrap_or_else(PoisonError::into_inner);
                    keys.into_iter().for_each(|key| all.keep(key));
                };
                find_largest(shard, &wanted, Box::new(tell))
            });
            front.look = Some(Look::Keys(command, begin));
        }),
        Box::new(move |_, reply| {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            let keys = std::mem::take(&mut *all).into_sorted();
            reply.array(keys.len());
            for big in keys {
                reply.map(5);
                reply.bulk(b"key");
                reply.bulk(&big.key);
                reply.bulk(b"db");
                reply.integer(big.db as i64);
                reply.bulk(b"type");
                reply.bulk(big.kind.as_bytes());
                reply.bulk(b"elements");
                reply.integer(big.elements as i64);
                reply.bulk(b"bytes");
                reply.integer(big.bytes as i64);
            }
        }),
    );
}

/// Which keys the options ask for.
fn parse(mut options: &[&[u8]]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        count: SHOWN,
        ..Wanted::default()
    };
    while let [word, rest @ ..] = options {
        let [value, rest @ ..] = rest else {
            return Err(SYNTAX_ERROR.to_owned());
        };
        options = rest;
        if word.eq_ignore_ascii_case(b"count") {
            let number = parse_i64(value).ok_or("ERR value is not an integer or out of range")?;
            if !(1..=SHOWN_MAX).contains(&number) {
                return Err(format!("ERR COUNT must be between 1 and {SHOWN_MAX}"));
            }
            wanted.count = number as usize;
        } else if word.eq_ignore_ascii_case(b"type") {
            let mut kinds = Wanted::KINDS.iter();
            let kind = kinds.find(|kind| kind.as_bytes().eq_ignore_ascii_case(value));
            let kinds = Wanted::KINDS.join(", ");
            wanted.kind = Some(kind.ok_or(format!("ERR TYPE must be one of {kinds}"))?);
        } else if word.eq_ignore_ascii_case(b"match") {
            wanted.pattern = Some(value.to_vec());
        } else {
            return Err(SYNTAX_ERROR.to_owned());
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wanted, String> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        parse(&words)
    }

    #[test]
    fn options() {
        let wanted = parsed("count 3 TYPE Hash match a*").unwrap();
        assert_eq!((wanted.count, wanted.kind), (3, Some("hash")));
        assert_eq!(wanted.pattern.as_deref(), Some(b"a*".as_slice()));
        assert_eq!(parsed("").unwrap().count, 10);
        for (line, error) in [
            ("COUNT", "ERR syntax error"),
            ("LIMIT 3", "ERR syntax error"),
            ("COUNT x", "ERR value is not an integer or out of range"),
            ("COUNT 0", "ERR COUNT must be between 1 and 10000"),
            ("COUNT 10001", "ERR COUNT must be between 1 and 10000"),
            (
                "TYPE text",
                "ERR TYPE must be one of string, list, set, zset, hash, stream",
            ),
        ] {
            assert_eq!(parsed(line).unwrap_err(), error, "{line}");
        }
    }
}
