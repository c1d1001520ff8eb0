//! ZADD and ZINCRBY, and the adding itself, which GEOADD shares.

use smallvec::SmallVec;
use tessera_core::number::parse_double;
use tessera_core::object::PackLimits;
use tessera_core::zset::{Inserted, Zset};

use super::{ROW, changed_times};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread};
use crate::commands::args::{SYNTAX, is};
use crate::shard::WrongType;
use crate::shard::event;

pub(super) const ZADD: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zadd",
        arity: -4,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::range(access::RW | access::UPDATE, 1, 0, 1)],
        summary: "Adds members to a sorted set, which is created if need be, or changes their scores.",
        complexity: "O(log N) per member, with N members",
        ..ROW
    },
    op: |cx, args| add(cx, args, Options::default()),
    spread: Spread::One,
};

pub(super) const ZINCRBY: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zincrby",
        arity: 4,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::UPDATE,
            1,
            0,
            1,
        )],
        summary: "Adds a number to the score of a member, which is 0 if the member does not exist.",
        complexity: "O(log N) with N members",
        ..ZADD.spec
    },
    op: |cx, args| {
        let options = Options {
            incr: true,
            ..Options::default()
        };
        add(cx, args, options);
    },
    spread: Spread::One,
};

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
pub(in crate::commands) struct Options {
    /// Only new members.
    pub(in crate::commands) nx: bool,
    /// Only members that are there.
    pub(in crate::commands) xx: bool,
    /// The reply counts changes too.
    pub(in crate::commands) ch: bool,
    gt: bool,
    lt: bool,
    incr: bool,
}

impl Options {
    /// Takes a word for an option, and says whether it is one.
    fn take(&mut self, word: &[u8]) -> bool {
        let option = match word {
            _ if is(word, "NX") => &mut self.nx,
            _ if is(word, "XX") => &mut self.xx,
            _ if is(word, "CH") => &mut self.ch,
            _ if is(word, "GT") => &mut self.gt,
            _ if is(word, "LT") => &mut self.lt,
            _ if is(word, "INCR") => &mut self.incr,
            _ => return false,
        };
        *option = true;
        true
    }

    /// Whether a member simply gets its score.
    fn is_plain(self) -> bool {
        !(self.nx || self.xx || self.gt || self.lt || self.incr)
    }
}

fn add(cx: &mut Cx<'_>, args: &[&[u8]], mut options: Options) {
    let mut pairs = &args[2..];
    while let [word, rest @ ..] = pairs
        && options.take(word)
    {
        pairs = rest;
    }
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return cx.error(SYNTAX);
    }
    let Options { nx, xx, gt, lt, .. } = options;
    if nx && xx {
        return cx.error("ERR XX and NX options at the same time are not compatible");
    }
    if nx && (gt || lt) || gt && lt {
        return cx.error("ERR GT, LT, and/or NX options at the same time are not compatible");
    }
    if options.incr && pairs.len() > 2 {
        return cx.error("ERR INCR option supports a single increment-element pair");
    }
    let mut elements = SmallVec::<[(f64, &[u8]); 4]>::new();
    for pair in pairs.chunks_exact(2) {
        let Some(score) = parse_double(pair[0]) else {
            return cx.error("ERR value is not a valid float");
        };
        elements.push((score, pair[1]));
    }
    put(cx, args[1], &elements, options);
}

/// What became of one member.
enum Done {
    Added(f64),
    Updated(f64),
    Same(f64),
    Refused,
    NotANumber,
}

/// Adds members to a sorted set and replies as ZADD does.
pub(in crate::commands) fn put(
    cx: &mut Cx<'_>,
    key: &[u8],
    elements: &[(f64, &[u8])],
    options: Options,
) {
    let limits = cx.shard.zset_limits();
    let (mut added, mut updated, mut last) = (0, 0, Done::Refused);
    let put = cx.shard.change_or_create(cx.db, key, |zset: &mut Zset| {
        for (score, member) in elements {
            last = put_one(zset, member, *score, options, &limits);
            match last {
                Done::Added(_) => added += 1,
                Done::Updated(_) => updated += 1,
                Done::NotANumber => break,
                Done::Same(_) | Done::Refused => {}
            }
        }
    });
    if let Err(WrongType) = put {
        return cx.wrong_type();
    }
    let event = if options.incr {
        event::ZINCR
    } else {
        event::ZADD
    };
    changed_times(cx.shard, cx.db, key, added + updated, event);
    match last {
        Done::NotANumber => cx.error("ERR resulting score is not a number (NaN)"),
        Done::Added(score) | Done::Updated(score) | Done::Same(score) if options.incr => {
            cx.reply.double(score);
        }
        Done::Refused if options.incr => cx.reply.null(),
        _ if options.ch => cx.reply.integer((added + updated) as i64),
        _ => cx.reply.integer(added as i64),
    }
}

fn put_one(
    zset: &mut Zset,
    member: &[u8],
    score: f64,
    options: Options,
    limits: &PackLimits,
) -> Done {
    if options.is_plain() {
        return match zset.insert(member, score, limits) {
            Inserted::Added => Done::Added(score),
            Inserted::Updated => Done::Updated(score),
            Inserted::Same => Done::Same(score),
        };
    }
    let Some(old) = zset.score(member) else {
        if options.xx {
            return Done::Refused;
        }
        zset.insert(member, score, limits);
        return Done::Added(score);
    };
    if options.nx {
        return Done::Refused;
    }
    let score = if options.incr { old + score } else { score };
    if score.is_nan() {
        return Done::NotANumber;
    }
    if options.lt && score >= old || options.gt && score <= old {
        return Done::Refused;
    }
    if score == old {
        return Done::Same(score);
    }
    zset.insert(member, score, limits);
    Done::Updated(score)
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn adding() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZADD z 1 a 2 b", "2"),
            ("ZADD z 1 a 3 b 4 c", "1"),
            ("ZADD z ch 1 a 5 b 4 d", "2"),
            ("ZADD z nx 9 a 9 e", "1"),
            ("ZADD z xx 2 a 9 f", "0"),
            ("ZADD z GT CH 1 a", "0"),
            ("ZADD z GT CH 7 a 3 b 1 new", "2"),
            ("ZADD z LT CH 6 a 7 b", "1"),
            (
                "ZRANGE z 0 -1 WITHSCORES",
                "[\"new\" \"1\" \"c\" \"4\" \"d\" \"4\" \"b\" \"5\" \"a\" \"6\" \"e\" \"9\"]",
            ),
            ("ZADD none xx 1 a", "0"),
            ("ZADD none xx incr 1 a", "(nil)"),
            ("EXISTS none", "0"),
        ]);
    }

    #[test]
    fn increments() {
        let mut rig = Rig::new();
        rig.check(&[
            ("ZINCRBY z 1.5 a", "\"1.5\""),
            ("ZINCRBY z -0.5 a", "\"1\""),
            ("ZADD z INCR 2 a", "\"3\""),
            ("ZADD z INCR NX 2 a", "(nil)"),
            ("ZADD z INCR GT -2 a", "(nil)"),
            ("ZADD z INCR GT 0 a", "(nil)"),
            ("ZADD z INCR LT -2 a", "\"1\""),
            ("ZINCRBY z inf a", "\"inf\""),
            (
                "ZINCRBY z -inf a",
                "ERR resulting score is not a number (NaN)",
            ),
            ("ZSCORE z a", "\"inf\""),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[
            ("ZINCRBY z 0.25 b", "0.25"),
            ("ZADD z nx incr 1 b", "(null)"),
        ]);
    }

    #[test]
    fn changes_are_counted_per_member() {
        let mut rig = Rig::new();
        let before = rig.shard.stats.changes;
        rig.run("ZADD z 1 a 2 b 3 c");
        rig.run("ZADD z 1 a 2 b 4 c");
        assert_eq!(rig.shard.stats.changes - before, 4);
    }

    #[test]
    fn refused() {
        let mut rig = Rig::new();
        let gt_lt = "ERR GT, LT, and/or NX options at the same time are not compatible";
        rig.check(&[
            ("ZADD z 1 a 2", "ERR syntax error"),
            ("ZADD z nx xx", "ERR syntax error"),
            ("ZINCRBY z nx a", "ERR syntax error"),
            ("ZADD z x a", "ERR value is not a valid float"),
            ("ZADD z nan a", "ERR value is not a valid float"),
            ("ZADD z 1 a x b", "ERR value is not a valid float"),
            (
                "ZADD z nx xx 1 a",
                "ERR XX and NX options at the same time are not compatible",
            ),
            ("ZADD z nx gt 1 a", gt_lt),
            ("ZADD z gt lt 1 a", gt_lt),
            (
                "ZADD z incr 1 a 2 b",
                "ERR INCR option supports a single increment-element pair",
            ),
            ("EXISTS z", "0"),
            ("SET s v", "OK"),
            ("ZADD s x a", "ERR value is not a valid float"),
            (
                "ZADD s 1 a",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ]);
    }
}
