//! PFADD and PFMERGE.

use tessera_core::hyperloglog::{
    Encoding, Invalid, Registers, add, add_dense, empty, merge_into, raise, set_cached, to_dense,
};

use super::{ROW, bytes_of, create, entry, read_layout, refuse, replace};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const PFADD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pfadd",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::INSERT, 1, 0, 1)],
        summary: "Adds elements to a HyperLogLog, which is created if need be.",
        complexity: "O(N) with N elements",
        ..ROW
    },
    op: op_pfadd,
    spread: Spread::One,
};

fn op_pfadd(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (key, elements) = (args[1], &args[2..]);
    let bytes_max = cx.shard.settings.thresholds.hll_sparse_bytes_max;
    let found = match cx.shard.write_string(cx.db, key) {
        Ok(found) => found,
        Err(WrongType) => return cx.wrong_type(),
    };
    let Some(mut entry) = found else {
        let mut string = empty();
        let added = add_all(&mut string, elements, bytes_max);
        set_cached(&mut string, None);
        create(cx, key, &string);
        return match added {
            Ok(_) => cx.reply.integer(1),
            Err(why) => refuse(cx, why),
        };
    };
    let added = match entry.string().map(super::layout) {
        Some(Ok(Encoding::Dense)) => {
            let string = entry.bytes_mut();
            Ok(elements.iter().filter(|it| add_dense(string, it)).count())
        }
        Some(Ok(Encoding::Sparse)) => {
            let mut string = entry.bytes_mut().to_vec();
            let before = string.clone();
            let added = add_all(&mut string, elements, bytes_max);
            if string != before {
                replace(&mut entry, &string);
            }
            added
        }
        Some(Err(why)) => Err(why),
        None => Err(Invalid::NotHyperLogLog),
    };
    match added {
        Ok(added) => {
            if added > 0 {
                cx.shard.changed_by(cx.db, key, event::PFADD);
            }
            cx.reply.integer((added > 0).into());
        }
        Err(why) => refuse(cx, why),
    }
}

/// Adds elements and returns how many changed a register.
fn add_all(string: &mut Vec<u8>, elements: &[&[u8]], bytes_max: usize) -> Result<usize, Invalid> {
    let mut added = 0;
    for element in elements {
        added += usize::from(add(string, element, bytes_max)?);
    }
    Ok(added)
}

pub(super) const PFMERGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pfmerge",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::range(access::RW | access::ACCESS | access::INSERT, 1, 0, 1),
            KeySpec::range(access::RO | access::ACCESS, 2, -1, 1),
        ],
        summary: "Merges HyperLogLogs into the first one.",
        complexity: "O(N) with N HyperLogLogs",
        ..ROW
    },
    op: op_pfmerge,
    spread: Spread::Borrow,
};

fn op_pfmerge(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let mut registers: Box<Registers> = Box::new([0; _]);
    let Some(has_dense) = merge_all(cx, &args[1..], &mut registers) else {
        return;
    };
    let (key, bytes_max) = (args[1], cx.shard.settings.thresholds.hll_sparse_bytes_max);
    let found = entry(cx, key);
    let mut string = found
        .as_deref()
        .and_then(|entry| bytes_of(Some(entry)))
        .map_or_else(empty, <[u8]>::to_vec);
    let exists = found.is_some();
    if has_dense && let Err(why) = to_dense(&mut string) {
        return refuse(cx, why);
    }
    for (index, value) in registers.iter().enumerate() {
        if *value > 0
            && let Err(why) = raise(&mut string, index, *value, bytes_max)
        {
            return refuse(cx, why);
        }
    }
    set_cached(&mut string, None);
    if !exists {
        create(cx, key, &string);
    } else if let Some(mut entry) = entry(cx, key) {
        replace(&mut entry, &string);
        cx.shard.changed_by(cx.db, key, event::PFADD);
    }
    cx.reply.ok();
}

/// Raises `registers` to those under the keys and says whether one of them was dense; writes the error for a value that is no HyperLogLog.
pub(super) fn merge_all(
    cx: &mut Cx<'_>,
    keys: &[&[u8]],
    registers: &mut Registers,
) -> Option<bool> {
    let mut has_dense = false;
    for key in keys {
        let Some(encoding) = read_layout(cx, key)? else {
            continue;
        };
        has_dense |= encoding == Encoding::Dense;
        let entry = cx.shard.table(cx.db).get(cx.shard.hash(key), key);
        if let Some(bytes) = bytes_of(entry)
            && let Err(why) = merge_into(registers, bytes)
        {
            refuse(cx, why);
            return None;
        }
    }
    Some(has_dense)
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
    const NONE: &str = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    const CORRUPT: &str = "INVALIDOBJ Corrupted HLL object detected";

    #[test]
    fn add() {
        let mut rig = Rig::new();
        rig.check(&[
            ("PFADD h", "1"),
            ("PFADD h", "0"),
            (
                "GET h",
                "\"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\\xff\"",
            ),
            ("OBJECT ENCODING h", "\"raw\""),
            ("PFADD h a b c", "1"),
            ("PFADD h a b c", "0"),
            ("PFCOUNT h", "3"),
            ("EXPIRE h 100", "1"),
            ("PFADD h d", "1"),
            ("TTL h", "100"),
            ("PFCOUNT h", "4"),
        ]);
        rig.shard.settings.thresholds.hll_sparse_bytes_max = 40;
        for element in 0..20 {
            rig.run(&format!("PFADD h {element}"));
        }
        rig.check(&[
            ("PFDEBUG ENCODING h", "dense"),
            ("STRLEN h", "12304"),
            ("PFADD h 3", "0"),
            ("PFADD h another", "1"),
            ("PFCOUNT h", "25"),
        ]);
    }

    #[test]
    fn merge() {
        let mut rig = Rig::new();
        rig.check(&[
            ("PFADD a 1 2 3", "1"),
            ("PFADD b 3 4", "1"),
            ("PFMERGE a b none", "OK"),
            ("PFCOUNT a", "4"),
            ("PFMERGE d", "OK"),
            ("PFCOUNT d", "0"),
            ("PFDEBUG TODENSE b", "1"),
            ("PFMERGE d b a", "OK"),
            ("PFDEBUG ENCODING d", "dense"),
            ("PFCOUNT d", "4"),
            ("PFCOUNT a b d none", "4"),
        ]);
    }

    #[test]
    fn other_values_are_refused() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SADD s a", "1"),
            ("SET int 5", "OK"),
            ("SET str HYLLx", "OK"),
            (
                "SET bad \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\"",
                "OK",
            ),
            ("PFADD h a", "1"),
        ]);
        for (key, error) in [("s", WRONG), ("int", NONE), ("str", NONE), ("bad", CORRUPT)] {
            for line in [
                format!("PFADD {key} x y z"),
                format!("PFCOUNT {key}"),
                format!("PFCOUNT h {key}"),
                format!("PFMERGE h {key}"),
                format!("PFMERGE {key} h"),
                format!("PFDEBUG GETREG {key}"),
            ] {
                // The first element falls into the run that is there.
                if key == "bad" && line.starts_with("PFADD") {
                    continue;
                }
                assert_eq!(rig.run(&line), error, "{line}");
            }
        }
        rig.check(&[("PFCOUNT h", "1")]);
    }
}
