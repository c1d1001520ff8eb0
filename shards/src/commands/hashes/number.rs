//! Numbers in fields: HINCRBY and HINCRBYFLOAT.

use tessera_core::hash::Hash;
use tessera_core::listpack::Item;
use tessera_core::number::{LongDouble, parse_i64};

use super::{ROW, WRITES};
use crate::command::spec::{KeySpec, access};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::integer;
use crate::shard::WrongType;
use crate::shard::event::{self, Event};

pub(super) const HINCRBY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hincrby",
        arity: 4,
        flags: WRITES,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::UPDATE,
            1,
            0,
            1,
        )],
        summary: "Adds a number to the integer value of a field, which is 0 if the field does not exist.",
        ..ROW
    },
    op: op_hincrby,
    spread: Spread::One,
};

fn op_hincrby(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(by) = integer(cx, args[3]) else {
        return;
    };
    let sum = change_number(cx, args, event::HINCRBY, |old| {
        let old = match old {
            None => 0,
            Some(Item::Int(number)) => number,
            Some(Item::Bytes(bytes)) => {
                parse_i64(bytes).ok_or("ERR hash value is not an integer")?
            }
        };
        let sum = old.checked_add(by);
        let sum = sum.ok_or("ERR increment or decrement would overflow")?;
        Ok(sum.to_string().into_bytes())
    });
    if let Some(sum) = sum {
        cx.reply
            .integer(parse_i64(&sum).expect("it was made from an integer"));
    }
}

pub(super) const HINCRBYFLOAT: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "hincrbyfloat",
        since: "2.6.0",
        summary: "Adds a number to the floating-point value of a field, which is 0 if the field does not exist.",
        ..HINCRBY.spec
    },
    op: op_hincrbyfloat,
    spread: Spread::One,
};

fn op_hincrbyfloat(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let Some(by) = LongDouble::parse(args[3]) else {
        return cx.error("ERR value is not a valid float");
    };
    if !by.is_finite() {
        return cx.error("ERR value is NaN or Infinity");
    }
    let sum = change_number(cx, args, event::HINCRBYFLOAT, |old| {
        let old = match old {
            None => LongDouble::from_i64(0),
            Some(Item::Int(number)) => LongDouble::from_i64(number),
            Some(Item::Bytes(bytes)) => {
                LongDouble::parse(bytes).ok_or("ERR hash value is not a float")?
            }
        };
        let sum = old + by;
        if !sum.is_finite() {
            return Err("ERR increment would produce NaN or Infinity");
        }
        let mut text = Vec::with_capacity(32);
        sum.write_human(&mut text);
        Ok(text)
    });
    if let Some(sum) = sum {
        cx.reply.bulk(&sum);
    }
}

/// Puts the number that `add` makes of the old one in its place and returns it; writes the error otherwise.
fn change_number(
    cx: &mut Cx<'_>,
    args: &[&[u8]],
    event: Event,
    add: impl FnOnce(Option<Item<'_>>) -> Result<Vec<u8>, &'static str>,
) -> Option<Vec<u8>> {
    let (key, field) = (args[1], args[2]);
    let (limits, now_ms) = (cx.shard.hash_limits(), cx.shard.now_ms);
    let sum = cx.shard.change_or_create(cx.db, key, |hash: &mut Hash| {
        let sum = add(hash.get(field, now_ms))?;
        hash.drop_due(field, now_ms);
        hash.set_keeping(field, &sum, &limits);
        Ok::<_, &str>(sum)
    });
    match sum {
        Ok(Ok(sum)) => {
            cx.shard.changed_by(cx.db, key, event);
            return Some(sum);
        }
        Ok(Err(error)) => cx.error(error),
        Err(WrongType) => cx.wrong_type(),
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn sums() {
        let mut rig = Rig::new();
        rig.check(&[
            ("HINCRBY h n 5", "5"),
            ("HINCRBY h n -7", "-2"),
            ("HINCRBYFLOAT h n 0.5", "\"-1.5\""),
            ("HINCRBY h n 1", "ERR hash value is not an integer"),
            ("HSET h n x", "0"),
            ("HINCRBYFLOAT h n 1", "ERR hash value is not a float"),
            ("HINCRBYFLOAT h n x", "ERR value is not a valid float"),
            ("HINCRBYFLOAT h n inf", "ERR value is NaN or Infinity"),
            ("HSET h n 9223372036854775807", "0"),
            ("HINCRBY h n 1", "ERR increment or decrement would overflow"),
            (
                "HINCRBY h n x",
                "ERR value is not an integer or out of range",
            ),
            (
                "HINCRBY none n x",
                "ERR value is not an integer or out of range",
            ),
            ("EXISTS none", "0"),
        ]);
    }
}
