//! LRANGE. Many elements are read in slices while the key stays locked.

use tessera_core::list::{End, List, Spot};
use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Gathered};

use super::{READS, ROW, list_at, range, reply_item};
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::NOT_INTEGER;
use crate::shard::{Shard, WrongType};

pub(super) const LRANGE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "lrange",
        arity: 4,
        flags: flag::READONLY,
        keys: READS,
        summary: "Returns the elements of a list between two numbers, which may count from the end.",
        complexity: "O(S+N) with S blocks of elements before the first one and N elements returned",
        ..ROW
    },
    op: op_lrange,
    spread: Spread::One,
};

/// Elements that are read at once.
const ELEMENTS_AT_ONCE: usize = 1024;

fn op_lrange(cx: &mut Cx<'_>, args: &[&[u8]]) {
    let (Some(start), Some(stop)) = (parse_i64(args[2]), parse_i64(args[3])) else {
        return cx.error(NOT_INTEGER);
    };
    let list = match cx.shard.read_object::<List>(cx.db, args[1]) {
        Ok(list) => list,
        Err(WrongType) => return cx.wrong_type(),
    };
    let (start, count) = list.map_or((0, 0), |list| range(start, stop, list.len()));
    if count > ELEMENTS_AT_ONCE {
        cx.task = Some(Box::new(ReadTask {
            db: cx.db,
            key: args[1].into(),
            total: count,
            written: 0,
            next: list.and_then(|list| list.locate(start)),
            gathered: Gathered::expecting(count, cx.reply.proto()),
        }));
        return;
    }
    cx.reply.array(count);
    if let Some(list) = list {
        let elements = list.elements(list.locate(start), End::Back).take(count);
        elements.for_each(|item| reply_item(&mut cx.reply, item));
    }
}

/// A range that is being read.
struct ReadTask {
    db: usize,
    key: Box<[u8]>,
    total: usize,
    written: usize,
    next: Option<Spot>,
    /// What has been read, as replies.
    gathered: Gathered,
}

impl ReadTask {
    /// Reads some more and says whether that was all.
    fn read_some(&mut self, list: &List) -> bool {
        let count = (self.total - self.written).min(ELEMENTS_AT_ONCE);
        let mut elements = list.elements(self.next, End::Back);
        self.gathered.write(|reply| {
            let some = elements.by_ref().take(count);
            some.for_each(|item| reply_item(reply, item));
        });
        self.next = elements.spot();
        self.written += count;
        self.written == self.total
    }
}

impl Task for ReadTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        // If the key's time has come, what has been read is all there is.
        let is_done = list_at(shard, self.db, &self.key).is_none_or(|list| self.read_some(list));
        if is_done {
            let written = self.written;
            self.gathered.finish(reply, |reply| reply.array(written));
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
    fn ranges() {
        let mut rig = Rig::new();
        rig.check(&[
            ("LRANGE l 0 -1", "[]"),
            ("RPUSH l a b c", "3"),
            ("LRANGE l 0 -1", "[\"a\" \"b\" \"c\"]"),
            ("LRANGE l -2 5", "[\"b\" \"c\"]"),
            ("LRANGE l 2 1", "[]"),
            (
                "LRANGE l x y",
                "ERR value is not an integer or out of range",
            ),
            (
                "LRANGE l 0 y",
                "ERR value is not an integer or out of range",
            ),
        ]);
    }

    fn filled() -> Rig {
        let mut rig = Rig::new();
        for number in 0..10_000 {
            rig.run(&format!("RPUSH l {number}"));
        }
        rig
    }

    #[test]
    fn a_long_one_in_slices() {
        let mut rig = filled();
        let shown = rig.run("LRANGE l 10 -11");
        assert!(rig.slices >= 9, "{}", rig.slices);
        let expected: Vec<String> = (10..9_990).map(|number| format!("\"{number}\"")).collect();
        assert_eq!(shown, format!("[{}]", expected.join(" ")));
    }

    #[test]
    fn a_key_that_goes_meanwhile_leaves_a_whole_reply() {
        let mut rig = filled();
        let mut slices = 0;
        let bytes = rig.bytes_during(&[b"LRANGE", b"l", b"0", b"-1"], |shard| {
            slices += 1;
            if slices == 3 {
                shard.remove(0, b"l");
            }
        });
        let shown = crate::commands::rig::show(&bytes);
        assert_eq!(shown.split(' ').count(), 2_048);
    }
}
