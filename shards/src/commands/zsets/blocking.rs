//! BZPOPMIN, BZPOPMAX, BZMPOP: the others' kin that wait for a member.

use tessera_core::resp::Reply;

use super::pop::{End, ZMPOP, ZPOPMIN, length, mpop, pop_some};
use super::reading::Style;
use super::{POPS, counted};
use crate::command::spec::{Find, KeySpec, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::waiting::{is_timeout, wait_for};
use crate::shard::WrongType;

pub(super) const BZPOPMIN: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bzpopmin",
        arity: -3,
        flags: flag::WRITE | flag::NOSCRIPT | flag::BLOCKING | flag::FAST,
        keys: &[KeySpec {
            find: Find::Range {
                last: -2,
                step: 1,
                limit: 0,
            },
            ..KeySpec::range(POPS, 1, 0, 1)
        }],
        summary: "Removes the member with the lowest score from the first of several sorted sets that is there; waits for one if there is none.",
        complexity: "O(log N) with N members",
        ..ZPOPMIN.spec
    },
    op: |cx, args| pop_first(cx, args, End::Min),
    spread: Spread::Borrow,
};

pub(super) const BZPOPMAX: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bzpopmax",
        summary: "Removes the member with the highest score from the first of several sorted sets that is there; waits for one if there is none.",
        ..BZPOPMIN.spec
    },
    op: |cx, args| pop_first(cx, args, End::Max),
    spread: Spread::Borrow,
};

fn pop_first(cx: &mut Cx<'_>, args: &[&[u8]], end: End) {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    if !is_timeout(cx, timeout) {
        return;
    }
    for key in keys {
        match length(cx, key) {
            Err(WrongType) => return cx.wrong_type(),
            Ok(None) => {}
            Ok(Some(len)) => {
                // Three elements, flat: the key comes before member and score.
                let mut prefix = Vec::new();
                let mut head = Reply::new(&mut prefix, cx.reply.proto());
                head.array(3);
                head.bulk(key);
                return pop_some(cx, key, (len, 1), end, Style::Bare, Some(prefix));
            }
        }
    }
    wait_for(cx, keys, |cx| cx.reply.null_array());
}

pub(super) const BZMPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bzmpop",
        arity: -5,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[counted(POPS, 2)],
        summary: "Removes members of the first of several sorted sets that is there; waits for one if there is none.",
        ..ZMPOP.spec
    },
    op: op_bzmpop,
    spread: Spread::Borrow,
};

fn op_bzmpop(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if let Some(keys) = mpop(cx, &args[1..], Some(args[1])) {
        wait_for(cx, keys, |cx| cx.reply.null_array());
    }
}

#[cfg(test)]
mod tests {
    use tessera_core::resp::Proto;

    use crate::commands::rig::Rig;

    /// Without a connection nothing waits: as in a transaction.
    #[test]
    fn what_is_there_and_what_is_wrong() {
        let mut rig = Rig::new();
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        rig.check(&[
            ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "6"),
            ("SET s v", "OK"),
            ("BZPOPMIN n z 0", "[\"z\" \"a\" \"1\"]"),
            ("BZPOPMAX n z 0", "[\"z\" \"f\" \"6\"]"),
            (
                "BZMPOP 0 2 n z MAX COUNT 2",
                "[\"z\" [[\"e\" \"5\"] [\"d\" \"4\"]]]",
            ),
            ("BZMPOP 0 1 z MIN", "[\"z\" [[\"b\" \"2\"]]]"),
            ("BZPOPMIN n 0", "(nil)"),
            ("BZMPOP 0 1 n MIN", "(nil)"),
            ("BZPOPMIN s z 0", wrong),
            ("BZMPOP 0 2 s z MIN", wrong),
            ("BZPOPMIN z -1", "ERR timeout is negative"),
            ("BZMPOP -1 2 z y UP", "ERR syntax error"),
            ("BZMPOP -1 1 z MIN", "ERR timeout is negative"),
            ("BZPOPMIN z x", "ERR timeout is not a float or out of range"),
            ("BZMPOP 0 0 z MIN", "ERR numkeys should be greater than 0"),
            ("BZMPOP x 0 z MIN", "ERR numkeys should be greater than 0"),
            ("BZMPOP 0 1 z MID", "ERR syntax error"),
        ]);
        rig.proto = Proto::Resp3;
        rig.check(&[
            ("BZPOPMAX z 0", "[\"z\" \"c\" 3]"),
            ("EXISTS z", "0"),
            ("BZPOPMAX z 0", "(null)"),
        ]);
    }
}
