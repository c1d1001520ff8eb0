//! LPOP, RPOP, LMPOP.

use tessera_core::list::{End, List};
use tessera_core::number::parse_i64;
use tessera_core::object::Collection;
use tessera_core::resp::{Chain, Proto, Reply};

use super::{ROW, end, popped, reply_item};
use crate::command::spec::{Begin, Find, KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, is, wrong_arity};
use crate::commands::waiting::is_timeout;
use crate::shard::{Shard, WrongType};

pub(super) const LPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lpop",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::DELETE,
            1,
            0,
            1,
        )],
        summary: "Removes the first elements of a list and returns them; the list goes with its last element.",
        complexity: "O(N) with N elements returned",
        ..ROW
    },
    op: |cx, args| pop(cx, args, End::Front, "lpop"),
    spread: Spread::One,
};

pub(super) const RPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "rpop",
        summary: "Removes the last elements of a list and returns them; the list goes with its last element.",
        ..LPOP.spec
    },
    op: |cx, args| pop(cx, args, End::Back, "rpop"),
    spread: Spread::One,
};

pub(super) const LMPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lmpop",
        arity: -4,
        flags: flag::WRITE | flag::MOVABLEKEYS,
        keys: &[KeySpec {
            access: access::RW | access::ACCESS | access::DELETE,
            notes: "",
            begin: Begin::Index(1),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
        }],
        since: "7.0.0",
        summary: "Removes elements from the first of several lists that is there and returns them.",
        complexity: "O(N+M) with N keys and M elements returned",
        ..ROW
    },
    op: op_lmpop,
    spread: Spread::Borrow,
};

/// Elements that are popped and written at once.
const ELEMENTS_AT_ONCE: usize = 1024;

fn pop(cx: &mut Cx<'_>, args: &[&[u8]], end: End, name: &str) {
    match args {
        [_, key] => one(cx, key, end),
        [_, key, count] => {
            let Some(count) = parse_i64(count).and_then(|count| usize::try_from(count).ok()) else {
                return cx.error("ERR value is out of range, must be positive");
            };
            match cx.shard.check_object::<List>(cx.db, key) {
                Err(WrongType) => cx.wrong_type(),
                Ok(false) => cx.reply.null_array(),
                Ok(true) => several(cx, key, count, end, None),
            }
        }
        _ => wrong_arity(cx, name),
    }
}

fn one(cx: &mut Cx<'_>, key: &[u8], end: End) {
    let (limits, reply) = (cx.shard.list_limits(), &mut cx.reply);
    let found = cx.shard.change_object(cx.db, key, |list: &mut List| {
        if let Some(spot) = list.end(end) {
            reply_item(reply, list.at(spot));
        }
        list.pop(end, &limits);
    });
    match found {
        Ok(Some(())) => cx.shard.changed_by(cx.db, key, popped(end)),
        Ok(None) => cx.reply.null(),
        Err(WrongType) => cx.wrong_type(),
    }
}

/// Pops elements of a list that is there and replies with them, behind the list's name if that is wanted.
fn several(cx: &mut Cx<'_>, key: &[u8], count: usize, end: End, named: Option<&[u8]>) {
    let limits = cx.shard.list_limits();
    let taken = cx.shard.change_object(cx.db, key, |list: &mut List| {
        let count = count.min(list.len());
        let start = match end {
            End::Front => 0,
            End::Back => list.len() - count,
        };
        list.cut(start, count, &limits)
    });
    let Ok(Some(taken)) = taken else {
        return;
    };
    if !taken.is_empty() {
        cx.shard.changed_by(cx.db, key, popped(end));
    }
    let mut task = PopTask {
        head: Vec::new(),
        proto: cx.reply.proto(),
        left: taken.len(),
        taken,
        end,
    };
    let mut head = Reply::new(&mut task.head, task.proto);
    if let Some(name) = named {
        head.array(2);
        head.bulk(name);
    }
    head.array(task.left);
    if task.left > ELEMENTS_AT_ONCE {
        cx.task = Some(Box::new(task));
        return;
    }
    cx.reply.raw(&task.head);
    let elements = task.taken.elements(task.taken.end(end), other(end));
    elements.for_each(|item| reply_item(&mut cx.reply, item));
}

fn other(end: End) -> End {
    match end {
        End::Front => End::Back,
        End::Back => End::Front,
    }
}

/// Many elements that have left their list and are being written.
struct PopTask {
    head: Vec<u8>,
    proto: Proto,
    taken: List,
    /// Elements that have not been written.
    left: usize,
    end: End,
}

impl Task for PopTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        reply.append(&std::mem::take(&mut self.head));
        let done = self.taken.len() - self.left;
        let at = match self.end {
            End::Front => done,
            End::Back => self.left.saturating_sub(1),
        };
        let mut out = Reply::new(reply.tail(), self.proto);
        let elements = self
            .taken
            .elements(self.taken.locate(at), other(self.end))
            .take(ELEMENTS_AT_ONCE.min(self.left));
        elements.for_each(|item| reply_item(&mut out, item));
        self.left = self.left.saturating_sub(ELEMENTS_AT_ONCE);
        if self.left == 0 {
            shard.discard_object(std::mem::take(&mut self.taken).into_object());
        }
        self.left == 0
    }
}

fn op_lmpop(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if mpop(cx, args, None).is_some() {
        cx.reply.null_array();
    }
}

/// Pops from the first of several lists that is there, or writes an error. Returns the keys if none is there, and has written nothing then.
/// The timeout, if it may wait, is looked at last.
pub(super) fn mpop<'a, 'b>(
    cx: &mut Cx<'_>,
    args: &'a [&'b [u8]],
    timeout: Option<&[u8]>,
) -> Option<&'a [&'b [u8]]> {
    let Some(numkeys) = positive(args[1]) else {
        cx.error("ERR numkeys should be greater than 0");
        return None;
    };
    // The keys, then the end, then options.
    let rest = numkeys
        .checked_add(2)
        .filter(|at| *at < args.len())
        .map(|at| args.split_at(at));
    let Some((keys, [word, options @ ..])) = rest else {
        cx.error(SYNTAX);
        return None;
    };
    let end = end(cx, word)?;
    let count = match options {
        [] => 1,
        [word, count, rest @ ..] if is(word, "COUNT") => {
            let Some(count) = positive(count) else {
                cx.error("ERR count should be greater than 0");
                return None;
            };
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
    for key in &keys[2..] {
        match cx.shard.check_object::<List>(cx.db, key) {
            Err(WrongType) => {
                cx.wrong_type();
                return None;
            }
            Ok(true) => {
                several(cx, key, count, end, Some(key));
                return None;
            }
            Ok(false) => {}
        }
    }
    Some(&keys[2..])
}

fn positive(arg: &[u8]) -> Option<usize> {
    let number = usize::try_from(parse_i64(arg)?).ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use crate::commands::rig::Rig;

    #[test]
    fn ends_and_counts() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LPOP l", "(nil)"),
            ("LPOP l 2", "(nil)"),
            ("LPOP l 0", "(nil)"),
            ("RPUSH l a b c d e f", "6"),
            ("LPOP l", "\"a\""),
            ("RPOP l", "\"f\""),
            ("RPOP l 2", "[\"e\" \"d\"]"),
            ("LPOP l 0", "[]"),
            ("LPOP l 9", "[\"b\" \"c\"]"),
            ("EXISTS l", "0"),
            ("LPOP l -1", "ERR value is out of range, must be positive"),
            ("LPOP l x", "ERR value is out of range, must be positive"),
            (
                "LPOP l 1 2",
                "ERR wrong number of arguments for 'lpop' command",
            ),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        assert_eq!(rig.run("LPOP l 1"), "(null)");
    }

    #[test]
    fn of_several_lists() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LMPOP 2 a b LEFT", "(nil)"),
            ("RPUSH b 1 2 3 4", "4"),
            ("LMPOP 2 a b LEFT", "[\"b\" [\"1\"]]"),
            ("LMPOP 2 a b right count 2", "[\"b\" [\"4\" \"3\"]]"),
            ("LMPOP 1 b LEFT COUNT 5", "[\"b\" [\"2\"]]"),
            ("EXISTS b", "0"),
            ("LMPOP 0 b LEFT", "ERR numkeys should be greater than 0"),
            (
                "LMPOP 1 b LEFT COUNT 0",
                "ERR count should be greater than 0",
            ),
            ("LMPOP 3 b LEFT", "ERR syntax error"),
            ("LMPOP 2 b LEFT", "ERR syntax error"),
            ("LMPOP 1 b UP", "ERR syntax error"),
            ("LMPOP 1 b LEFT COUNT", "ERR syntax error"),
            ("LMPOP 1 b LEFT COUNT 1 COUNT 1", "ERR syntax error"),
            ("LMPOP 9223372036854775807 b LEFT", "ERR syntax error"),
        ]);
    }

    #[test]
    fn many_elements_leave_at_once_and_are_written_in_slices() {
        for (command, first) in [("LPOP", 0), ("RPOP", 19_999)] {
            let mut rig = Rig::new();
            for number in 0..20_000 {
                rig.run(&format!("RPUSH l {number}"));
            }
            let shown = rig.run(&format!("{command} l 19000"));
            assert!(rig.slices > 10, "{}", rig.slices);
            let numbers: Vec<i64> = shown
                .trim_matches(['[', ']'])
                .split(' ')
                .map(|number| number.trim_matches('"').parse().unwrap())
                .collect();
            let expected: Vec<i64> = (0..19_000).map(|n: i64| (first - n).abs()).collect();
            assert!(numbers == expected, "{command}");
            assert_eq!(rig.run("LLEN l"), "1000");
        }
    }
}
