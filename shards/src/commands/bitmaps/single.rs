//! Single bits: SETBIT, GETBIT.

use tessera_core::bits;

use super::{READS, ROW, WRITES, bit_offset, change_bytes};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::strings::text;
use crate::shard::WrongType;

pub(super) const SETBIT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "setbit",
        arity: 4,
        flags: WRITES,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::UPDATE,
            1,
            0,
            1,
        )],
        since: "2.2.0",
        summary: "Sets or clears a bit of a string, which is made long enough, and returns what it was.",
        ..ROW
    },
    op: op_setbit,
    spread: Spread::One,
};

fn op_setbit(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(offset) = bit_offset(cx, args[2], None) else {
        return;
    };
    let bit = match args[3] {
        b"0" => false,
        b"1" => true,
        _ => return cx.error("ERR bit is not an integer or out of range"),
    };
    let was = change_bytes(cx, args[1], offset, |bytes| {
        let was = bits::bit(bytes, offset);
        bits::set_field(bytes, offset, 1, bit.into());
        (was, was != bit)
    });
    if let Some(was) = was {
        cx.reply.integer(was.into());
    }
}

pub(super) const GETBIT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "getbit",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: READS,
        since: "2.2.0",
        summary: "Returns a bit of a string.",
        ..ROW
    },
    op: op_getbit,
    spread: Spread::One,
};

fn op_getbit(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(offset) = bit_offset(cx, args[2], None) else {
        return;
    };
    match cx.shard.read_string(cx.db, args[1]) {
        Ok(value) => {
            let mut digits = itoa::Buffer::new();
            let bytes = value.map_or(&b""[..], |value| text(value, &mut digits));
            let bit = bits::bit(bytes, offset);
            cx.reply.integer(bit.into());
        }
        Err(WrongType) => cx.wrong_type(),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn bits() {
        const RANGE: &str = "ERR bit offset is not an integer or out of range";
        const BIT: &str = "ERR bit is not an integer or out of range";
        let mut rig = Rig::new();
        rig.check(&[
            ("SETBIT k 7 1", "0"),
            ("GET k", "\"\\x01\""),
            ("SETBIT k 7 0", "1"),
            ("SETBIT k 17 1", "0"),
            ("GET k", "\"\\x00\\x00@\""),
            ("GETBIT k 17", "1"),
            ("GETBIT k 16", "0"),
            ("GETBIT k 4294967295", "0"),
            ("GETBIT none 1", "0"),
            ("OBJECT ENCODING k", "\"raw\""),
            ("SET n 12", "OK"),
            ("GETBIT n 3", "1"),
            ("SETBIT n 15 1", "0"),
            ("GET n", "\"13\""),
            ("OBJECT ENCODING n", "\"raw\""),
            ("SETBIT k -1 1", RANGE),
            ("SETBIT k x 1", RANGE),
            ("SETBIT k #1 1", RANGE),
            ("SETBIT k 4294967296 1", RANGE),
            ("SETBIT k 9223372036854775807 1", RANGE),
            ("GETBIT k 4294967296", RANGE),
            ("SETBIT k 1 2", BIT),
            ("SETBIT k 1 x", BIT),
            ("SETBIT none 1 x", BIT),
            ("EXISTS none", "0"),
            ("SADD s 1", "1"),
            (
                "SETBIT s 1 1",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
        let before = rig.shard.stats.changes;
        rig.check(&[("SETBIT k 1 0", "0"), ("SETBIT k 23 0", "0")]);
        assert_eq!(rig.shard.stats.changes, before, "nothing is different");
        rig.check(&[("SETBIT k 24 0", "0"), ("STRLEN k", "4")]);
        assert_eq!(rig.shard.stats.changes, before + 1);
    }
}
