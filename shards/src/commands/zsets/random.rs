//! ZRANDMEMBER.

use std::collections::HashSet;

use tessera_core::resp::{Chain, Gathered};
use tessera_core::zset::Zset;

use super::reading::Style;
use super::{ELEMENTS_AT_ONCE, READS, ROW, held, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, integer, is};
use crate::shard::{Rng, Shard, WrongType};

pub(super) const ZRANDMEMBER: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "zrandmember",
        arity: -2,
        flags: flag::READONLY,
        keys: READS,
        tips: &["nondeterministic_output"],
        since: "6.2.0",
        summary: "Returns members of a sorted set chosen at random.",
        complexity: "O(M log N) with M of N members returned; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_zrandmember,
    spread: Spread::One,
};

/// Distinct members are drawn one by one while fewer than one in this many are wanted; otherwise all are passed, and some taken.
const DRAWN_ONE_IN: usize = 3;

fn op_zrandmember(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let [_, key, count, options @ ..] = args else {
        return one(cx, args[1]);
    };
    let Some(count) = integer(cx, count) else {
        return;
    };
    if count == i64::MIN {
        let (min, max) = (-i64::MAX, i64::MAX);
        return cx.error(format!(
            "ERR value is out of range, value must between {min} and {max}"
        ));
    }
    let with_scores = match options {
        [] => false,
        [word] if is(word, "WITHSCORES") => true,
        _ => return cx.error(SYNTAX),
    };
    let half = i64::MAX / 2;
    if with_scores && !(-half..=half).contains(&count) {
        return cx.error("ERR value is out of range");
    }
    many(cx, key, count, with_scores);
}

fn one(cx: &mut Cx<'_>, key: &[u8]) {
    let random = cx.shard.rng.next_u64();
    match cx.shard.read_object::<Zset>(cx.db, key) {
        Ok(zset) => match zset.and_then(|zset| zset.random(&mut || random)) {
            Some((member, _)) => reply_item(&mut cx.reply, member),
            None => cx.reply.null(),
        },
        Err(WrongType) => cx.wrong_type(),
    }
}

fn many(cx: &mut Cx<'_>, key: &[u8], count: i64, with_scores: bool) {
    let len = match cx.shard.read_object::<Zset>(cx.db, key) {
        Ok(zset) => zset.map_or(0, Zset::len),
        Err(WrongType) => return cx.wrong_type(),
    };
    if len == 0 || count == 0 {
        return cx.reply.array(0);
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let style = Style::of(with_scores, cx.reply.proto());
    let mut drawing = Drawing {
        db: cx.db,
        key: key.into(),
        style,
        rng: Rng::new(cx.shard.rng.next_u64()),
        is_distinct: count > 0,
        wanted: if count > 0 { wanted.min(len) } else { wanted },
        passed: 0,
        len: 0,
        gathered: Gathered::expecting(0, cx.reply.proto()),
    };
    if !cx.reply.has_room_for(drawing.wanted) {
        return;
    }
    if drawing.wanted > ELEMENTS_AT_ONCE {
        let expected = style.elements_len(drawing.wanted);
        drawing.gathered = Gathered::expecting(expected, cx.reply.proto());
        cx.task = Some(Box::new(drawing));
        return;
    }
    while !drawing.draw_some(cx.shard) {}
    style.header(&mut cx.reply, drawing.len);
    drawing.gathered.append_to(&mut cx.reply);
}

/// Members of a locked key that are being drawn.
struct Drawing {
    db: usize,
    key: Box<[u8]>,
    style: Style,
    rng: Rng,
    is_distinct: bool,
    /// How many are still to be drawn.
    wanted: usize,
    /// How many were passed, taken or not, if all are.
    passed: usize,
    /// How many have been drawn.
    len: usize,
    /// They, as replies.
    gathered: Gathered,
}

impl Drawing {
    /// Draws some more and says whether that was all.
    fn draw_some(&mut self, shard: &Shard) -> bool {
        let Some(zset) = held(shard, self.db, &self.key).filter(|zset| !zset.is_empty()) else {
            return true;
        };
        let ranks = if !self.is_distinct {
            self.any_ranks(zset.len())
        } else if self.wanted <= ELEMENTS_AT_ONCE
            && self.passed == 0
            && self.wanted < zset.len() / DRAWN_ONE_IN
        {
            self.few_ranks(zset.len())
        } else {
            self.passed_ranks(zset.len())
        };
        self.wanted -= ranks.len();
        self.len += ranks.len();
        let style = self.style;
        self.gathered.write(|reply| {
            for rank in ranks {
                style.elements(reply, zset, rank..rank + 1, false);
            }
        });
        self.wanted == 0 || self.is_distinct && self.passed >= zset.len()
    }

    fn below(&mut self, len: usize) -> usize {
        self.rng.below(len as u64) as usize
    }

    /// Any ranks, some perhaps twice.
    fn any_ranks(&mut self, len: usize) -> Vec<usize> {
        let count = self.wanted.min(ELEMENTS_AT_ONCE);
        (0..count).map(|_| self.below(len)).collect()
    }

    /// All that are wanted, few of many: those that come up twice are drawn again.
    fn few_ranks(&mut self, len: usize) -> Vec<usize> {
        let (mut seen, mut ranks) = (HashSet::new(), Vec::with_capacity(self.wanted));
        while ranks.len() < self.wanted {
            let rank = self.below(len);
            if seen.insert(rank) {
                ranks.push(rank);
            }
        }
        ranks
    }

    /// Some of the next ranks: each is taken with the chance that as many as are wanted remain (Knuth, volume 2, algorithm S).
    fn passed_ranks(&mut self, len: usize) -> Vec<usize> {
        let (mut ranks, end) = (Vec::new(), len.min(self.passed + ELEMENTS_AT_ONCE));
        for rank in self.passed..end {
            if self.below(len - rank) < self.wanted - ranks.len() {
                ranks.push(rank);
            }
        }
        self.passed = end;
        ranks
    }
}

impl Task for Drawing {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.draw_some(shard);
        if is_done {
            let (style, len) = (self.style, self.len);
            self.gathered
                .finish(reply, |reply| style.header(reply, len));
        }
        is_done
    }

    fn holds_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn random_members() {
        let mut rig = Rig::new();
        let bounds = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        rig.check(&[
            ("ZRANDMEMBER none", "(nil)"),
            ("ZRANDMEMBER none 3", "[]"),
            ("ZADD z 1 a", "1"),
            ("ZRANDMEMBER z", "\"a\""),
            ("ZRANDMEMBER z 5", "[\"a\"]"),
            ("ZRANDMEMBER z 5 withscores", "[\"a\" \"1\"]"),
            ("ZRANDMEMBER z -3", "[\"a\" \"a\" \"a\"]"),
            ("ZRANDMEMBER z 0", "[]"),
            (
                "ZRANDMEMBER z x",
                "ERR value is not an integer or out of range",
            ),
            ("ZRANDMEMBER z 1 bogus", "ERR syntax error"),
            ("ZRANDMEMBER z -9223372036854775808", bounds),
            (
                "ZRANDMEMBER z 9223372036854775807 WITHSCORES",
                "ERR value is out of range",
            ),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("ZRANDMEMBER z -2 WITHSCORES", "[[\"a\" 1] [\"a\" 1]]")]);
    }

    #[test]
    fn distinct_members() {
        for total in [9, 900, 5_000] {
            let mut rig = Rig::new();
            for i in 0..total {
                rig.run(&format!("ZADD z {i} m{i}"));
            }
            for wanted in [1, 2, total / 2, total - 1, total, total + 5] {
                let shown = rig.run(&format!("ZRANDMEMBER z {wanted}"));
                let mut members: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
                members.sort_unstable();
                members.dedup();
                assert_eq!(members.len(), wanted.min(total), "{wanted} of {total}");
            }
            let shown = rig.run("ZRANDMEMBER z -3000");
            assert!(rig.slices >= 2);
            assert_eq!(shown.split(' ').count(), 3_000);
        }
    }

    /// Every member comes up about equally often, whichever way it is drawn.
    #[test]
    fn chances_are_even() {
        let mut rig = Rig::new();
        for i in 0..20 {
            rig.run(&format!("ZADD z 0 {i}"));
        }
        for count in ["1", "3", "15", "-10"] {
            let mut counts = [0u32; 20];
            for _ in 0..2_000 {
                let shown = rig.run(&format!("ZRANDMEMBER z {count}"));
                for member in shown.trim_matches(['[', ']']).split(' ') {
                    counts[member.trim_matches('"').parse::<usize>().unwrap()] += 1;
                }
            }
            let (min, max) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(*max < min * 2, "{count}: {counts:?}");
        }
    }
}
