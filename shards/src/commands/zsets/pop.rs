//! Elements taken from either end: ZPOPMIN, ZPOPMAX, ZMPOP.

use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Gathered, Reply};
use tessera_core::zset::Zset;

use super::reading::{Reading, Style};
use super::remove::Removal;
use super::{ELEMENTS_AT_ONCE, POPS, ROW, counted, held};
use crate::command::spec::{KeySpec, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, is};
use crate::commands::waiting::is_timeout;
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const ZPOPMIN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zpopmin",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(POPS, 1, 0, 1)],
        since: "5.0.0",
        summary: "Removes the members of a sorted set with the lowest scores and returns them.",
        complexity: "O(log N + M) with M of N members removed; commands on other keys go on meanwhile",
        ..ROW
    },
    op: |cx, args| pop(cx, args, End::Min),
    spread: Spread::One,
};

pub(super) const ZPOPMAX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zpopmax",
        summary: "Removes the members of a sorted set with the highest scores and returns them.",
        ..ZPOPMIN.spec
    },
    op: |cx, args| pop(cx, args, End::Max),
    spread: Spread::One,
};

pub(super) const ZMPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zmpop",
        arity: -4,
        flags: flag::WRITE | flag::MOVABLEKEYS,
        keys: &[counted(POPS, 1)],
        since: "7.0.0",
        summary: "Removes members of the first of several sorted sets that exists and returns them.",
        complexity: "O(K + log N + M) with K keys and M of N members removed",
        ..ROW
    },
    op: |cx, args| {
        if mpop(cx, args, None).is_some() {
            cx.reply.null_array();
        }
    },
    spread: Spread::Borrow,
};

/// From which end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Min,
    Max,
}

/// A number of at least `min`; writes the error for anything else.
fn at_least(cx: &mut Cx<'_>, arg: &[u8], min: usize, error: &str) -> Option<usize> {
    let number = parse_i64(arg).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|&number| number >= min);
    if number.is_none() {
        cx.error(error);
    }
    number
}

fn pop(cx: &mut Cx<'_>, args: &[&[u8]], end: End) {
    let (count, style) = match &args[2..] {
        [] => (1, Style::Flat),
        [count] => {
            let error = "ERR value is out of range, must be positive";
            let Some(count) = at_least(cx, count, 0, error) else {
                return;
            };
            (count, Style::of(true, cx.reply.proto()))
        }
        _ => return cx.error(SYNTAX),
    };
    match length(cx, args[1]) {
        Err(WrongType) => cx.wrong_type(),
        Ok(None) => cx.reply.array(0),
        Ok(Some(_)) if count == 0 => cx.reply.array(0),
        Ok(Some(len)) => pop_some(cx, args[1], (len, count), end, style, None),
    }
}

/// Pops from the first of the keys that is there. Otherwise, without an error, returns the keys.
pub(super) fn mpop<'a, 'b>(
    cx: &mut Cx<'_>,
    args: &'a [&'b [u8]],
    timeout: Option<&[u8]>,
) -> Option<&'a [&'b [u8]]> {
    let error = "ERR numkeys should be greater than 0";
    let keys = at_least(cx, args[1], 1, error)?;
    let Some((end, options)) =
        args[2..]
            .get(keys..)
            .and_then(<[_]>::split_first)
            .and_then(|(word, options)| match word {
                _ if is(word, "MIN") => Some((End::Min, options)),
                _ if is(word, "MAX") => Some((End::Max, options)),
                _ => None,
            })
    else {
        cx.error(SYNTAX);
        return None;
    };
    let count = match options {
        [] => 1,
        [word, count, rest @ ..] if is(word, "COUNT") => {
            let error = "ERR count should be greater than 0";
            let count = at_least(cx, count, 1, error)?;
            if !rest.is_empty() {
                cx.error(SYNTAX);
                return None;
            }
            count
        }
        _ => {
            cx.error(SYNTAX);
            return None;
        }
    };
    if timeout.is_some_and(|timeout| !is_timeout(cx, timeout)) {
        return None;
    }
    let keys = &args[2..2 + keys];
    for key in keys {
        match length(cx, key) {
            Err(WrongType) => {
                cx.wrong_type();
                return None;
            }
            Ok(None) => {}
            Ok(Some(len)) => {
                let mut prefix = Vec::new();
                let mut head = Reply::new(&mut prefix, cx.reply.proto());
                head.array(2);
                head.bulk(key);
                pop_some(cx, key, (len, count), end, Style::Nested, Some(prefix));
                return None;
            }
        }
    }
    Some(keys)
}

/// The number of elements under a key that is to be changed.
pub(super) fn length(cx: &mut Cx<'_>, key: &[u8]) -> Result<Option<usize>, WrongType> {
    cx.shard
        .change_object(cx.db, key, |zset: &mut Zset| zset.len())
}

/// Pops up to `count` of `len` elements; `prefix` comes before them in the reply.
pub(super) fn pop_some(
    cx: &mut Cx<'_>,
    key: &[u8],
    (len, count): (usize, usize),
    end: End,
    style: Style,
    prefix: Option<Vec<u8>>,
) {
    let count = count.min(len);
    let ranks = match end {
        End::Min => 0..count,
        End::Max => len - count..len,
    };
    let (reverse, proto) = (end == End::Max, cx.reply.proto());
    let event = match end {
        End::Min => event::ZPOPMIN,
        End::Max => event::ZPOPMAX,
    };
    let mut removal = Removal::new(cx.db, key, ranks.clone(), proto, event);
    let prefix = prefix.unwrap_or_default();
    if count <= ELEMENTS_AT_ONCE {
        cx.reply.raw(&prefix);
        style.header(&mut cx.reply, count);
        if let Some(zset) = held(cx.shard, cx.db, key) {
            style.elements(&mut cx.reply, zset, ranks, reverse);
        }
        removal.remove_some(cx.shard);
        return;
    }
    let reading = Reading {
        db: cx.db,
        key: key.into(),
        gathered: Gathered::expecting_head(proto, |head| {
            head.raw(&prefix);
            style.header(head, count);
        }),
        ranks,
        reverse,
        style,
        len: 0,
    };
    cx.task = Some(Box::new(Popping {
        prefix,
        reading,
        is_read: false,
        removal,
    }));
}

/// Elements of a locked key that are read first and removed then.
struct Popping {
    prefix: Vec<u8>,
    reading: Reading,
    is_read: bool,
    removal: Removal,
}

impl Task for Popping {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        if !self.is_read {
            self.is_read = self.reading.read_some(shard);
            return false;
        }
        let is_done = self.removal.remove_some(shard);
        if is_done {
            self.reading.finish(&self.prefix, reply);
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::resp::Proto;

    use crate::commands::rig::Rig;

    #[test]
    fn either_end() {
        let mut rig = Rig::new();
        let positive = "ERR value is out of range, must be positive";
        rig.check(&[
            ("ZADD z 1 a 2 b 3 c 4 d 5 e", "5"),
            ("ZPOPMIN z", "[\"a\" \"1\"]"),
            ("ZPOPMAX z 2", "[\"e\" \"5\" \"d\" \"4\"]"),
            ("ZPOPMIN z 0", "[]"),
            ("ZPOPMIN z x", positive),
            ("ZPOPMIN z -1", positive),
            ("ZPOPMIN z 1 2", "ERR syntax error"),
            ("ZPOPMAX none 2", "[]"),
            ("ZPOPMAX z 99", "[\"c\" \"3\" \"b\" \"2\"]"),
            ("EXISTS z", "0"),
            ("SET s v", "OK"),
            (
                "ZPOPMIN s",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("ZADD z 1 a 2 b", "2"),
        ]);
        rig.proto = Proto::Resp3;
        rig.check(&[("ZPOPMIN z", "[\"a\" 1]"), ("ZPOPMIN z 1", "[[\"b\" 2]]")]);
    }

    #[test]
    fn of_several_keys() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD b 1 x 2 y 3 z", "3"),
            ("ZMPOP 2 a b MIN", "[\"b\" [[\"x\" \"1\"]]]"),
            (
                "ZMPOP 2 a b MAX COUNT 5",
                "[\"b\" [[\"z\" \"3\"] [\"y\" \"2\"]]]",
            ),
            ("ZMPOP 2 a b MAX", "(nil)"),
            ("ZMPOP 0 a MIN", "ERR numkeys should be greater than 0"),
            ("ZMPOP x a MIN", "ERR numkeys should be greater than 0"),
            ("ZMPOP 2 a MIN", "ERR syntax error"),
            ("ZMPOP 9223372036854775807 a MIN", "ERR syntax error"),
            ("ZMPOP 1 a MID", "ERR syntax error"),
            ("ZMPOP 1 a MIN COUNT", "ERR syntax error"),
            (
                "ZMPOP 1 a MIN COUNT 0",
                "ERR count should be greater than 0",
            ),
            ("ZMPOP 1 a MIN COUNT 1 COUNT 1", "ERR syntax error"),
        ]);
    }

    #[test]
    fn many_in_slices() {
        let mut rig = Rig::new();
        for i in 0..5_000 {
            rig.run(&format!("ZADD z {i} {i}"));
        }
        let shown = rig.run("ZPOPMAX z 3000");
        assert!(rig.slices > 5, "{}", rig.slices);
        assert!(shown.starts_with("[\"4999\" \"4999\" \"4998\" "));
        assert!(shown.ends_with(" \"2000\" \"2000\"]"));
        rig.check(&[("ZCARD z", "2000")]);
        let shown = rig.run("ZMPOP 1 z MIN COUNT 9000");
        assert!(shown.starts_with("[\"z\" [[\"0\" \"0\"] "));
        assert!(shown.ends_with(" [\"1999\" \"1999\"]]]"));
        rig.check(&[("EXISTS z", "0")]);
    }
}
