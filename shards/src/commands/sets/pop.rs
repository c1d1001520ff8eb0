//! SPOP.

use tessera_core::number::parse_i64;
use tessera_core::resp::{Chain, Gathered};
use tessera_core::set::{Set, SetLimits};

use super::operation::{Kind, Operation, Output};
use super::{MEMBERS_PER_SLICE, ROW};
use crate::command::spec::{KeySpec, access, flag};
use crate::command::{Cx, KeyspaceRow, Spec, Spread, Task};
use crate::commands::args::SYNTAX;
use crate::shard::event;
use crate::shard::{Shard, WrongType};

pub(super) const SPOP: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "spop",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::range(
            access::RW | access::ACCESS | access::DELETE,
            1,
            0,
            1,
        )],
        tips: &["nondeterministic_output"],
        summary: "Removes members of a set chosen at random and returns them.",
        complexity: "O(N) with N members; commands on other keys go on meanwhile",
        ..ROW
    },
    op: op_spop,
    spread: Spread::One,
};

fn op_spop(cx: &mut Cx<'_>, args: &[&[u8]]) {
    match args {
        [_, key] => one(cx, key),
        [_, key, count] => match parse_i64(count).and_then(|count| usize::try_from(count).ok()) {
            Some(count) => many(cx, key, count),
            None => cx.error("ERR value is out of range, must be positive"),
        },
        _ => cx.error(SYNTAX),
    }
}

fn one(cx: &mut Cx<'_>, key: &[u8]) {
    let random = cx.shard.rng.next_u64();
    match cx
        .shard
        .change_object(cx.db, key, |set: &mut Set| set.pop(random))
    {
        Ok(Some(Some(member))) => {
            cx.shard.tell(cx.db, &[b"SREM", key, &member]);
            cx.shard.changed_by(cx.db, key, event::SPOP);
            cx.reply.bulk(&member);
        }
        Ok(_) => cx.reply.null(),
        Err(WrongType) => cx.wrong_type(),
    }
}

fn many(cx: &mut Cx<'_>, key: &[u8], count: usize) {
    // A miss is no event.
    if cx.shard.check_object::<Set>(cx.db, key) == Ok(false) {
        return cx.reply.set(0);
    }
    let size = match cx.shard.read_object::<Set>(cx.db, key) {
        Ok(Some(set)) if count > 0 => set.len(),
        Ok(_) => return cx.reply.set(0),
        Err(WrongType) => return cx.wrong_type(),
    };
    if count >= size {
        cx.shard.tell(cx.db, &[b"DEL", key]);
        if let Some(all) = Operation::new(cx, Kind::Intersection, Output::Take, &[key]) {
            all.run(cx);
        }
        return;
    }
    let mut task = PopTask {
        db: cx.db,
        key: key.into(),
        limits: cx.shard.set_limits(),
        wanted: count,
        found: 0,
        gathered: Gathered::expecting_head(cx.reply.proto(), |head| head.set(count)),
    };
    if task.pop_some(cx.shard) {
        cx.reply.set(task.found);
        task.gathered.append_to(&mut cx.reply);
    } else {
        cx.task = Some(Box::new(task));
    }
}

/// Members that are being taken out of a set which keeps at least one.
struct PopTask {
    db: usize,
    key: Box<[u8]>,
    limits: SetLimits,
    wanted: usize,
    found: usize,
    /// What has been taken out, as replies.
    gathered: Gathered,
}

/// A table that has lost this many times what is left may be packed again, as Redis makes a new set then.
const LOST_TIMES: usize = 5;

impl PopTask {
    /// Takes some out and says whether that was all.
    fn pop_some(&mut self, shard: &mut Shard) -> bool {
        let mut rng = crate::shard::Rng::new(shard.rng.next_u64());
        let (gathered, limits) = (&mut self.gathered, self.limits);
        let (records, mut members) = (shard.records(), Vec::new());
        let (wanted, already) = (self.wanted, self.found);
        let most = (wanted - already).min(MEMBERS_PER_SLICE);
        let popped = shard.change_object(self.db, &self.key, |set: &mut Set| {
            let popped = gathered.write(|reply| {
                let mut popped = 0;
                while popped < most
                    && let Some(member) = set.pop(rng.next_u64())
                {
                    reply.bulk(&member);
                    popped += 1;
                    if records {
                        members.push(member);
                    }
                }
                popped
            });
            if already + popped == wanted && set.len() * LOST_TIMES <= wanted {
                set.repack(&limits);
            }
            popped
        });
        let popped = popped.ok().flatten().unwrap_or(0);
        if !members.is_empty() {
            let names = members.iter().map(|member| &**member);
            let args: Vec<&[u8]> = [&b"SREM"[..], &self.key].into_iter().chain(names).collect();
            shard.tell(self.db, &args);
        }
        self.found += popped;
        let is_done = popped < most || self.found == wanted;
        if is_done {
            shard.changed_by(self.db, &self.key, event::SPOP);
        }
        is_done
    }
}

impl Task for PopTask {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let is_done = self.pop_some(shard);
        if is_done {
            let found = self.found;
            self.gathered.finish(reply, |reply| reply.set(found));
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
    fn some_or_all() {
        let mut rig = Rig::new();
        rig.check(&[
            ("SPOP none", "(nil)"),
            ("SPOP none 3", "[]"),
            ("SADD s a", "1"),
            ("SPOP s 0", "[]"),
            ("SPOP s", "\"a\""),
            ("EXISTS s", "0"),
            ("SADD s 1 2 3", "3"),
            ("SPOP s 9", "[\"1\" \"2\" \"3\"]"),
            ("EXISTS s", "0"),
            ("SPOP s -1", "ERR value is out of range, must be positive"),
            ("SPOP s x", "ERR value is out of range, must be positive"),
            ("SPOP s 1 2", "ERR syntax error"),
        ]);
        rig.proto = tessera_core::resp::Proto::Resp3;
        rig.check(&[("SADD s a b", "2"), ("SPOP none 3", "()")]);
        assert!(rig.run("SPOP s 1").starts_with('('));
        rig.check(&[("SCARD s", "1")]);
    }

    #[test]
    fn many_in_slices() {
        let mut rig = Rig::new();
        for member in 0..5_000 {
            rig.run(&format!("SADD s m{member}"));
        }
        let shown = rig.run("SPOP s 4950");
        assert!(rig.slices >= 4, "{}", rig.slices);
        let mut members: Vec<&str> = shown.trim_matches(['[', ']']).split(' ').collect();
        members.sort_unstable();
        members.dedup();
        assert_eq!(members.len(), 4_950);
        rig.check(&[("SCARD s", "50"), ("OBJECT ENCODING s", "\"listpack\"")]);
        for member in members {
            assert_eq!(rig.run(&format!("SISMEMBER s {member}")), "0");
        }
    }
}
