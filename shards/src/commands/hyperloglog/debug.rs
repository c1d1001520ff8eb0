//! PFDEBUG and PFSELFTEST: a look inside, for tests.

use tessera_core::hyperloglog::{
    DENSE_BYTES, Registers, add, count, decode, empty, merge_into, to_dense,
};
use tessera_core::resp::{Chain, OK, Proto, Reply};

use super::count::string_of;
use super::{ROW, entry, read_layout, refuse, replace};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::is;
use crate::shard::Shard;

pub(super) const PFDEBUG: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pfdebug",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::ADMIN,
        keys: &[KeySpec::range(access::RW | access::ACCESS, 2, 0, 1)],
        summary: "Shows the inside of a HyperLogLog.",
        complexity: "N/A",
        ..ROW
    },
    op: op_pfdebug,
    spread: Spread::One,
};

fn op_pfdebug(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (what, key) = (args[1], args[2]);
    if !cx.shard.exists(cx.db, key) {
        return cx.error("ERR The specified key does not exist");
    }
    let Some(Some(encoding)) = read_layout(cx, key) else {
        return;
    };
    if let Some(mut entry) = entry(cx, key) {
        entry.bytes_mut();
    }
    if is(what, "GETREG") {
        registers(cx, key);
    } else if is(what, "DECODE") {
        match string_of(cx, key).and_then(decode) {
            Some(runs) => cx.reply.bulk(runs.as_bytes()),
            None => cx.error("ERR HLL encoding is not sparse"),
        }
    } else if is(what, "ENCODING") {
        cx.reply
            .simple(format!("{encoding:?}").to_ascii_lowercase());
    } else if is(what, "TODENSE") {
        if let Some(was_sparse) = make_dense(cx, key) {
            cx.reply.integer(was_sparse.into());
        }
    } else {
        let mut text = b"ERR Unknown PFDEBUG subcommand '".to_vec();
        text.extend_from_slice(what);
        text.push(b'\'');
        cx.error(text);
    }
}

fn registers(cx: &mut Cx<'_>, key: &[u8]) {
    if make_dense(cx, key).is_none() {
        return;
    }
    let mut registers: Box<Registers> = Box::new([0; _]);
    if let Some(string) = string_of(cx, key)
        && let Err(why) = merge_into(&mut registers, string)
    {
        return refuse(cx, why);
    }
    cx.reply.array(registers.len());
    for register in registers.iter() {
        cx.reply.integer((*register).into());
    }
}

/// Makes the value dense and says whether it was sparse; writes the error for a broken one.
fn make_dense(cx: &mut Cx<'_>, key: &[u8]) -> Option<bool> {
    let mut string = string_of(cx, key)?.to_vec();
    match to_dense(&mut string) {
        Ok(was_sparse) => {
            if was_sparse && let Some(mut entry) = entry(cx, key) {
                replace(&mut entry, &string);
                cx.shard.changed(cx.db, key);
            }
            Some(was_sparse)
        }
        Err(why) => {
            refuse(cx, why);
            None
        }
    }
}

pub(super) const PFSELFTEST: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "pfselftest",
        arity: 1,
        flags: flag::ADMIN,
        summary: "Checks the estimates and both layouts of HyperLogLogs.",
        complexity: "N/A; commands go on meanwhile",
        ..ROW
    },
    op: |cx, _| {
        cx.task = Some(Box::new(SelfTest {
            proto: cx.reply.proto(),
            sparse: empty(),
            dense: empty(),
            added: 0,
            next_check: 10,
        }));
    },
    spread: Spread::One,
};

/// Elements added in all.
const ELEMENTS: u64 = 1_000_000;
const ELEMENTS_PER_SLICE: u64 = 5_000;
/// The error allowed: six times the standard error of 1.04 / sqrt(16384), as Redis's own test does.
const ERROR_MAX: f64 = 6.0 * 1.04 / 128.0;

struct SelfTest {
    proto: Proto,
    sparse: Vec<u8>,
    dense: Vec<u8>,
    added: u64,
    next_check: u64,
}

impl SelfTest {
    /// Whether both layouts hold the same and the estimate is near.
    fn is_right(&self) -> bool {
        let (mut sparse, mut dense): (Box<Registers>, Box<Registers>) =
            (Box::new([0; _]), Box::new([0; _]));
        let are_valid = merge_into(&mut sparse, &self.sparse).is_ok()
            && merge_into(&mut dense, &self.dense).is_ok();
        let estimate = count(&self.sparse).ok();
        let added = self.added as f64;
        // Few elements are counted exactly, save for one or two that fall together.
        let error_max = (added * ERROR_MAX).max(2.0);
        are_valid
            && sparse == dense
            && estimate == count(&self.dense).ok()
            && estimate.is_some_and(|estimate| (estimate as f64 - added).abs() <= error_max)
    }
}

impl Task for SelfTest {
    fn step(&mut self, _shard: &mut Shard, reply: &mut Chain) -> bool {
        if self.dense.len() != DENSE_BYTES && to_dense(&mut self.dense).is_err() {
            Reply::new(reply.tail(), self.proto).error("ERR TESTFAILED The empty one is broken");
            return true;
        }
        for _ in 0..ELEMENTS_PER_SLICE {
            self.added += 1;
            let element = self.added.to_le_bytes();
            let sparse = add(&mut self.sparse, &element, 3000);
            let dense = add(&mut self.dense, &element, 3000);
            let is_check = self.added == self.next_check;
            if sparse != dense || (is_check && !self.is_right()) {
                let text = format!("ERR TESTFAILED After {} elements", self.added);
                Reply::new(reply.tail(), self.proto).error(text);
                return true;
            }
            if is_check {
                self.next_check *= 10;
            }
        }
        let is_done = self.added >= ELEMENTS;
        if is_done {
            reply.append(OK);
        }
        is_done
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn a_look_inside() {
        let mut rig = Rig::new();
        rig.check(&[
            (
                "PFDEBUG GETREG none",
                "ERR The specified key does not exist",
            ),
            ("PFADD h a b c", "1"),
            ("PFDEBUG encoding h", "sparse"),
            (
                "PFDEBUG DECODE h",
                "\"Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603\"",
            ),
            ("PFDEBUG what h", "ERR Unknown PFDEBUG subcommand 'what'"),
        ]);
        let shown = rig.run("PFDEBUG GETREG h");
        let registers: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
        assert_eq!(registers.len(), 16_384);
        assert_eq!((registers[8436], registers[8437 + 4274]), ("1", "2"));
        rig.check(&[
            ("PFDEBUG ENCODING h", "dense"),
            ("PFDEBUG DECODE h", "ERR HLL encoding is not sparse"),
            ("PFDEBUG TODENSE h", "0"),
            ("PFCOUNT h", "3"),
            ("SET k v", "OK"),
            (
                "PFDEBUG ENCODING k",
                "WRONGTYPE Key is not a valid HyperLogLog string value.",
            ),
        ]);
    }

    #[test]
    fn self_test() {
        let mut rig = Rig::new();
        rig.check(&[("PFSELFTEST", "OK")]);
        assert!(rig.slices >= 100);
    }
}
