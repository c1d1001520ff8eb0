//! RESTORE: a key from what DUMP gave, here or in Redis. A long payload is checked and read in slices while its key stays locked.

use tessera_core::resp::{Chain, Proto, Reply, try_copy};
use tessera_persist::rdb::{Input, PayloadCheck, RdbError, Value, ValueReader};

use super::ROW;
use crate::command::spec::{KeySpec, access, category, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::{Shard, event};

pub(super) const RESTORE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "restore",
        arity: -4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::KEYSPACE | category::DANGEROUS,
        keys: &[KeySpec::range(access::OW | access::UPDATE, 1, 0, 1)],
        since: "2.6.0",
        summary: "Creates a key with a value that DUMP returned.",
        complexity: "O(N) with N bytes, O(N*log(N)) for sorted sets; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_restore,
    spread: Spread::One,
};

const BUSY: &str = "BUSYKEY Target key name already exists.";
const BAD_PAYLOAD: &str = "ERR DUMP payload version or checksum are wrong";
const BAD_DATA: &str = "ERR Bad data format";

/// A payload of at most this many bytes is read at once.
const BYTES_AT_ONCE: usize = 1 << 16;
/// Bytes checked per slice.
const CHECKED_PER_SLICE: usize = 1 << 19;
/// Elements read per slice.
const ELEMENTS_PER_SLICE: usize = 1024;

/// The options of RESTORE.
#[derive(Clone, Copy, Default)]
struct Options {
    replace: bool,
    is_absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    /// Writes the error itself.
    fn parse(cx: &mut Cx<'_>, mut args: &[&[u8]]) -> Option<Self> {
        let mut options = Self::default();
        while let [word, rest @ ..] = args {
            args = rest;
            if is(word, "REPLACE") {
                options.replace = true;
            } else if is(word, "ABSTTL") {
                options.is_absolute = true;
            } else if is(word, "IDLETIME") && !rest.is_empty() && options.frequency.is_none() {
                let Ok(idle_s) = u64::try_from(integer(cx, rest[0])?) else {
                    cx.error("ERR Invalid IDLETIME value, must be >= 0");
                    return None;
                };
                (options.idle_s, args) = (Some(idle_s), &rest[1..]);
            } else if is(word, "FREQ") && !rest.is_empty() && options.idle_s.is_none() {
                let Ok(frequency) = u8::try_from(integer(cx, rest[0])?) else {
                    cx.error("ERR Invalid FREQ value, must be >= 0 and <= 255");
                    return None;
                };
                (options.frequency, args) = (Some(frequency), &rest[1..]);
            } else {
                cx.error(SYNTAX);
                return None;
            }
        }
        Some(options)
    }
}

fn op_restore(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, payload) = (args[1], args[3]);
    let Some(options) = Options::parse(cx, &args[4..]) else {
        return;
    };
    if !options.replace && cx.shard.exists(cx.db, key) {
        return cx.error(BUSY);
    }
    let Some(ttl_ms) = integer(cx, args[2]) else {
        return;
    };
    if ttl_ms < 0 {
        return cx.error("ERR Invalid TTL value, must be >= 0");
    }
    let target = Target {
        db: cx.db,
        options,
        expire_at: match (ttl_ms, options.is_absolute) {
            (0, _) => None,
            (at_ms, true) => Some(at_ms),
            // What does not fit has gone by, as in Redis.
            (ttl_ms, false) => Some(ttl_ms.wrapping_add(cx.shard.now_ms as i64)),
        },
    };
    if payload.len() > BYTES_AT_ONCE {
        let (Some(key), Some(payload)) = (try_copy(key), try_copy(payload)) else {
            return cx.reply.refuse();
        };
        let task = RestoreTask {
            target,
            key,
            payload,
            proto: cx.reply.proto(),
            reading: Reading::new(cx.shard),
        };
        cx.task = Some(Box::new(task));
        return;
    }
    let mut reading = Reading::new(cx.shard);
    loop {
        match reading.step(cx.shard, payload) {
            Ok(None) => {}
            Ok(Some(value)) => return target.put(cx.shard, key, value, &mut cx.reply),
            Err(error) => return cx.error(error),
        }
    }
}

/// Where a value goes.
struct Target {
    db: usize,
    options: Options,
    expire_at: Option<i64>,
}

impl Target {
    fn put(&self, shard: &mut Shard, key: &[u8], value: Value, reply: &mut Reply<'_>) {
        let now_ms = shard.now_ms as i64;
        let expire_at = self.expire_at.map(u64::try_from);
        let is_past = self.expire_at.is_some_and(|at_ms| at_ms <= now_ms);
        if is_past {
            shard.remove(self.db, key);
            return reply.ok();
        }
        let Ok(entry) = value.into_entry(key, expire_at.and_then(Result::ok)) else {
            return reply.refuse();
        };
        if let Some(old) = shard.take(self.db, key) {
            shard.discard(old);
        }
        let Options {
            idle_s, frequency, ..
        } = self.options;
        shard.restore(self.db, entry, idle_s, frequency);
        shard.note(self.db, key, event::NEW);
        shard.changed_by(self.db, key, event::RESTORE);
        reply.ok();
    }
}

/// A payload that is being read: first its checksum, then its value.
struct Reading {
    check: PayloadCheck,
    /// Once the payload has proved right: where the value goes on, and the end of its bytes.
    value: Option<(ValueReader, usize, usize)>,
}

impl Reading {
    fn new(shard: &Shard) -> Self {
        Self {
            check: if shard.settings.skips_checksums {
                PayloadCheck::without_checksum()
            } else {
                PayloadCheck::default()
            },
            value: None,
        }
    }

    /// Does a slice; the value when it is whole.
    fn step(&mut self, shard: &Shard, payload: &[u8]) -> Result<Option<Value>, &'static str> {
        let Some((reader, at, end)) = &mut self.value else {
            let found = self.check.step(payload, CHECKED_PER_SLICE).map_err(told)?;
            if let Some((kind, bytes)) = found {
                let mut input = Input::new(bytes);
                let reader = ValueReader::begin(kind, &mut input, shard.limits(), shard.now_ms);
                let at = 1 + input.offset() as usize;
                self.value = Some((reader.map_err(told)?, at, 1 + bytes.len()));
            }
            return Ok(None);
        };
        let mut input = Input::new(&payload[*at..*end]);
        let value = reader.step(&mut input, ELEMENTS_PER_SLICE).map_err(told)?;
        *at += input.offset() as usize;
        Ok(value)
    }
}

fn told(error: RdbError) -> &'static str {
    match error {
        RdbError::Version(_) | RdbError::Checksum => BAD_PAYLOAD,
        _ => BAD_DATA,
    }
}

/// A long payload.
struct RestoreTask {
    target: Target,
    key: Box<[u8]>,
    payload: Box<[u8]>,
    proto: Proto,
    reading: Reading,
}

impl Task for RestoreTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let outcome = self.reading.step(shard, &self.payload);
        let mut reply = Reply::new(reply.tail(), self.proto);
        match outcome {
            Ok(None) => return false,
            Ok(Some(value)) => self.target.put(shard, &self.key, value, &mut reply),
            Err(error) => reply.error(error),
        }
        reply.finish();
        true
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::{Rig, START_MS, show};

    fn dumped(rig: &mut Rig, key: &str) -> Vec<u8> {
        let reply = rig.bytes(&[b"DUMP", key.as_bytes()]);
        let start = reply
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a bulk")
            + 1;
        reply[start..reply.len() - 2].to_vec()
    }

    fn restore(rig: &mut Rig, key: &str, ttl: &str, payload: &[u8], options: &[&str]) -> String {
        let mut args: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), ttl.as_bytes(), payload];
        args.extend(options.iter().map(|option| option.as_bytes()));
        show(&rig.bytes(&args))
    }

    /// From the tests of redis-server.
    #[test]
    fn a_list_with_an_empty_node_is_refused() {
        let payload = b"\x12\x01\x01\x00\x0a\x00\x8f\xc6\xc0\x57\x1c\x0a\xb3\x3c";
        let mut rig = Rig::new();
        let bad = "ERR Bad data format";
        assert_eq!(restore(&mut rig, "l", "0", payload, &[]), bad);
        rig.check(&[("EXISTS l", "0")]);
    }

    #[test]
    fn a_wrong_checksum_may_be_believed() {
        let mut rig = Rig::new();
        rig.check(&[("SADD s a b c", "3")]);
        let mut payload = dumped(&mut rig, "s");
        let last = payload.len() - 1;
        payload[last] ^= 1;
        let bad = "ERR DUMP payload version or checksum are wrong";
        assert_eq!(restore(&mut rig, "k", "0", &payload, &[]), bad);
        rig.shard.settings.skips_checksums = true;
        assert_eq!(restore(&mut rig, "k", "0", &payload, &[]), "OK");
        rig.check(&[("SINTERCARD 2 s k", "3")]);
        // Of a set whose length is wrong nothing is believed.
        payload[1] = 9;
        let bad = "ERR Bad data format";
        assert_eq!(restore(&mut rig, "j", "0", &payload, &[]), bad);
        assert_eq!(
            restore(&mut rig, "j", "0", b"short", &[]),
            "ERR DUMP payload version or checksum are wrong"
        );
    }

    #[test]
    fn options_and_errors() {
        let mut rig = Rig::new();
        rig.check(&[("SET a 12", "OK"), ("DUMP none", "(nil)")]);
        let payload = dumped(&mut rig, "a");
        assert_eq!(payload[..5], [0, 0xC0, 12, 10, 0]);
        let bad = [&payload[..payload.len() - 1], b"!"].concat();
        let syntax = "ERR syntax error";
        for (key, ttl, payload, options, expected) in [
            (
                "a",
                "x",
                &bad[..],
                &["FREQ", "256"][..],
                "ERR Invalid FREQ value, must be >= 0 and <= 255",
            ),
            (
                "a",
                "x",
                &bad,
                &["IDLETIME", "-1"],
                "ERR Invalid IDLETIME value, must be >= 0",
            ),
            (
                "a",
                "x",
                &bad,
                &["IDLETIME", "x"],
                "ERR value is not an integer or out of range",
            ),
            ("a", "x", &bad, &["IDLETIME", "1", "FREQ", "1"], syntax),
            ("a", "x", &bad, &["IDLETIME"], syntax),
            (
                "a",
                "x",
                &bad,
                &["absttl"],
                "BUSYKEY Target key name already exists.",
            ),
            (
                "b",
                "x",
                &bad,
                &[],
                "ERR value is not an integer or out of range",
            ),
            ("b", "-1", &bad, &[], "ERR Invalid TTL value, must be >= 0"),
            (
                "b",
                "0",
                &bad,
                &[],
                "ERR DUMP payload version or checksum are wrong",
            ),
            (
                "b",
                "0",
                b"",
                &[],
                "ERR DUMP payload version or checksum are wrong",
            ),
            (
                "b",
                "0",
                b"\x07\x01\x0a\0\0\0\0\0\0\0\0\0",
                &[],
                "ERR DUMP payload version or checksum are wrong",
            ),
            ("b", "0", &payload, &["IDLETIME", "90"], "OK"),
            ("a", "5000", &payload, &["replace", "REPLACE"], "OK"),
            ("c", "1000000", &payload, &["ABSTTL"], "OK"),
            ("d", "9223372036854775807", &payload, &[], "OK"),
        ] {
            assert_eq!(
                restore(&mut rig, key, ttl, payload, options),
                expected,
                "{key} {ttl} {options:?}"
            );
        }
        rig.check(&[("GET b", "\"12\""), ("PTTL a", "5000"), ("EXISTS c d", "0")]);
        let at = (START_MS + 70).to_string();
        assert_eq!(
            restore(
                &mut rig,
                "b",
                &at,
                &payload,
                &["REPLACE", "ABSTTL", "IDLETIME", "90"]
            ),
            "OK"
        );
        rig.check(&[("OBJECT IDLETIME b", "90"), ("PTTL b", "70")]);
        assert_eq!(
            restore(&mut rig, "b", "1", &payload, &["REPLACE", "ABSTTL"]),
            "OK"
        );
        rig.check(&[("EXISTS b", "0")]);
    }

    #[test]
    fn a_large_one_in_slices_both_ways() {
        let mut rig = Rig::new();
        for number in 0..20_000 {
            rig.run(&format!("ZADD z {number} member:{number}"));
        }
        let payload = dumped(&mut rig, "z");
        assert!(rig.slices > 10, "{}", rig.slices);
        assert_eq!(restore(&mut rig, "y", "0", &payload, &[]), "OK");
        assert!(rig.slices > 10, "{}", rig.slices);
        rig.check(&[("ZCARD y", "20000"), ("ZRANK y member:777", "777")]);
        let cut = [
            &payload[..payload.len() - 30],
            &payload[payload.len() - 10..],
        ]
        .concat();
        assert_eq!(
            restore(&mut rig, "x", "0", &cut, &[]),
            "ERR DUMP payload version or checksum are wrong"
        );
        rig.check(&[("EXISTS x", "0")]);
    }
}
