//! BITOP. The result grows slice by slice in an entry of its own, which takes the target's place when it is complete.

use smallvec::SmallVec;
use tessera_core::bits::BitOperation;
use tessera_core::entry::{Entry, StrValue};
use tessera_core::resp::{Chain, Proto, Reply};

use super::{BYTES_PER_SLICE, ROW, WRITES};
use crate::command::spec::{KeySpec, access};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{OUT_OF_MEMORY, SYNTAX, is};
use crate::commands::strings::text;
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const BITOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bitop",
        arity: -4,
        flags: WRITES,
        keys: &[
            KeySpec::range(access::OW | access::UPDATE, 2, 0, 1),
            KeySpec::range(access::RO | access::ACCESS, 3, -1, 1),
        ],
        since: "2.6.0",
        summary: "Stores what AND, OR, XOR or NOT make of the bits of strings.",
        complexity: "O(N); commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_bitop,
    spread: Spread::Borrow,
};

/// Bytes that are computed before they go to the result: they stay in the cache.
const BYTES_PER_PIECE: usize = 16 << 10;

fn op_bitop(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (target, sources) = (args[2], &args[3..]);
    let operation = if is(args[1], "AND") {
        BitOperation::And
    } else if is(args[1], "OR") {
        BitOperation::Or
    } else if is(args[1], "XOR") {
        BitOperation::Xor
    } else if is(args[1], "NOT") {
        BitOperation::Not
    } else {
        return cx.error(SYNTAX);
    };
    if operation == BitOperation::Not && sources.len() != 1 {
        return cx.error("ERR BITOP NOT must be called with a single source key.");
    }
    let mut length = 0;
    for source in sources {
        match cx.shard.read_string(cx.db, source) {
            Ok(value) => length = length.max(value.map_or(0, |value| value.len())),
            Err(WrongType) => return cx.wrong_type(),
        }
    }
    if length == 0 {
        cx.shard.remove(cx.db, target);
        return cx.reply.integer(0);
    }
    let mut result = Entry::new(target, StrValue::Bytes(b""), None);
    if result.reserve(length).is_err() {
        return cx.error(OUT_OF_MEMORY);
    }
    let mut task = CombineTask {
        db: cx.db,
        proto: cx.reply.proto(),
        operation,
        sources: sources.iter().map(|key| Box::from(*key)).collect(),
        length,
        done: 0,
        result: Some(result),
    };
    match task.advance(cx.shard) {
        Some(Ok(length)) => cx.reply.integer(length),
        Some(Err(text)) => cx.error(text),
        None => cx.task = Some(Box::new(task)),
    }
}

/// A result that is being computed.
struct CombineTask {
    db: usize,
    proto: Proto,
    operation: BitOperation,
    sources: Vec<Box<[u8]>>,
    length: usize,
    done: usize,
    /// There until it is stored.
    result: Option<Entry>,
}

impl CombineTask {
    /// Computes a slice; after the last one stores the result and returns what to reply.
    fn advance(&mut self, shard: &mut Shard) -> Option<Result<i64, &'static str>> {
        if let Some(result) = &mut self.result {
            let table = shard.table(self.db);
            let mut digits: SmallVec<[itoa::Buffer; 4]> = SmallVec::new();
            digits.resize(self.sources.len(), itoa::Buffer::new());
            let strings: SmallVec<[&[u8]; 4]> = self
                .sources
                .iter()
                .zip(&mut digits)
                .map(|(key, digits)| {
                    let entry = table.get(shard.hash(key), key);
                    let value = entry.and_then(Entry::string);
                    value.map_or(&b""[..], |value| text(value, digits))
                })
                .collect();
            let share = (BYTES_PER_SLICE / strings.len()).max(BYTES_PER_PIECE);
            let end = self.length.min(self.done + share);
            let mut piece = [0; BYTES_PER_PIECE];
            while self.done < end {
                let length = BYTES_PER_PIECE.min(end - self.done);
                self.operation
                    .apply(&strings, self.done, &mut piece[..length]);
                if result.append(&piece[..length]).is_err() {
                    return Some(Err(OUT_OF_MEMORY));
                }
                self.done += length;
            }
        }
        if self.done < self.length {
            return None;
        }
        if let Some(result) = self.result.take() {
            shard.add(self.db, result, event::SET);
        }
        Some(Ok(self.length as i64))
    }
}

impl Task for CombineTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let answer = self.advance(shard);
        match answer {
            Some(Ok(length)) => Reply::new(reply.tail(), self.proto).integer(length),
            Some(Err(text)) => Reply::new(reply.tail(), self.proto).error(text),
            None => {}
        }
        answer.is_some()
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn operations() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SET a \"\\x0f\\xff\\x01\"", "OK"),
            ("SET b \"\\x3c\\x0f\"", "OK"),
            ("BITOP AND d a b", "3"),
            ("GET d", "\"\\x0c\\x0f\\x00\""),
            ("BITOP or d a b none", "3"),
            ("GET d", "\"?\\xff\\x01\""),
            ("BITOP XOR d a b", "3"),
            ("GET d", "\"3\\xf0\\x01\""),
            ("BITOP NOT d b", "2"),
            ("GET d", "\"\\xc3\\xf0\""),
            ("BITOP AND d a none", "3"),
            ("GET d", "\"\\x00\\x00\\x00\""),
            ("EXPIRE d 100", "1"),
            ("BITOP XOR d a a", "3"),
            ("TTL d", "-1"),
            ("BITOP OR a a b", "3"),
            ("GET a", "\"?\\xff\\x01\""),
            ("BITOP OR d none nothing", "0"),
            ("EXISTS d", "0"),
            ("SET n 12", "OK"),
            ("BITOP OR d n", "2"),
            ("GET d", "\"12\""),
            ("OBJECT ENCODING d", "\"raw\""),
            ("BITOP NAND d a", "ERR syntax error"),
            (
                "BITOP NOT d a b",
                "ERR BITOP NOT must be called with a single source key.",
            ),
            ("SADD s 1", "1"),
            (
                "BITOP OR d a s",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("BITOP OR s a", "3"),
            ("TYPE s", "string"),
        ]);
    }

    #[test]
    fn large_strings_in_slices() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SETBIT a 30000000 1", "0"),
            ("SETBIT a 5 1", "0"),
            ("SETBIT b 29999999 1", "0"),
            ("BITOP OR d a b", "3750001"),
        ]);
        assert!(rig.slices >= 6, "{}", rig.slices);
        rig.check(&[
            ("BITCOUNT d", "3"),
            ("BITPOS d 1 6 -1 BIT", "29999999"),
            ("BITOP NOT d a", "3750001"),
            ("BITCOUNT d", "30000006"),
        ]);
    }
}
