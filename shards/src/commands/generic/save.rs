//! SAVE and BGSAVE: every shard begins its part at one position; a thread of its own writes the file. SAVE waits for the end, and only its own client does.

use tessera_core::resp::{Chain, Proto, Reply};
use tessera_persist::snapshot::{Outcome, Purpose};

use super::ROW;
use crate::command::spec::flag;
use crate::command::{Cx, KeyspaceRow, Merge, Spec, Spread, Task};
use crate::commands::args::{SYNTAX, is};
use crate::shard::{SaveRefused, Shard};

pub(super) const SAVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "save",
        arity: 1,
        flags: flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING | flag::NO_MULTI,
        categories: 0,
        group: "server",
        summary: "Saves all keys in a file and replies when that is done; other clients go on.",
        complexity: "O(N) with N keys in all databases",
        ..ROW
    },
    op: op_save,
    spread: Spread::Everywhere { merge: Merge::Same },
};

pub(super) const BGSAVE: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bgsave",
        arity: -1,
        summary: "Begins to save all keys in a file, and replies at once.",
        complexity: "O(1)",
        ..SAVE.spec
    },
    op: op_bgsave,
    spread: SAVE.spread,
};

pub(super) const BGREWRITEAOF: KeyspaceRow = KeyspaceRow {
    spec: Spec {
        name: "bgrewriteaof",
        summary: "Begins to write the log anew, and replies at once.",
        complexity: "O(1)",
        ..SAVE.spec
    },
    op: op_rewrite,
    spread: SAVE.spread,
};

const REWRITING: &str = "ERR Background append only file rewriting already in progress";
const OTHER: &str = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.";
const BUSY: &str = "ERR Background save already in progress";

fn op_save(cx: &mut Cx<'_>, _: &[&[u8]]) {
    match cx.shard.begin_save(Purpose::Snapshot) {
        Ok(number) => {
            let proto = cx.reply.proto();
            cx.task = Some(Box::new(Waiting { number, proto }));
        }
        Err(SaveRefused(_)) => cx.error(BUSY),
    }
}

fn op_bgsave(cx: &mut Cx<'_>, args: &[&[u8]]) {
    if !matches!(args, [_]) && !matches!(args, [_, word] if is(word, "SCHEDULE")) {
        return cx.error(SYNTAX);
    }
    let is_patient = args.len() > 1;
    match cx.shard.begin_save(Purpose::Snapshot) {
        Ok(_) => cx.reply.simple("Background saving started"),
        Err(SaveRefused(Some(Purpose::Base))) if is_patient => {
            cx.shard.schedule_save(Purpose::Snapshot);
            cx.reply.simple("Background saving scheduled");
        }
        Err(SaveRefused(Some(Purpose::Base))) => cx.error(OTHER),
        Err(SaveRefused(_)) => cx.error(BUSY),
    }
}

fn op_rewrite(cx: &mut Cx<'_>, _: &[&[u8]]) {
    match cx.shard.begin_save(Purpose::Base) {
        Ok(_) => cx
            .reply
            .simple("Background append only file rewriting started"),
        Err(SaveRefused(Some(Purpose::Snapshot))) => {
            cx.shard.schedule_save(Purpose::Base);
            cx.reply
                .simple("Background append only file rewriting scheduled");
        }
        Err(SaveRefused(_)) => cx.error(REWRITING),
    }
}

/// A SAVE that waits for the file.
struct Waiting {
    number: u64,
    proto: Proto,
}

impl Task for Waiting {
    fn step(&mut self, shard: &mut Shard, reply: &mut Chain) -> bool {
        let mut reply = Reply::new(reply.tail(), self.proto);
        match shard.save_outcome(self.number) {
            Outcome::UnderWay => return false,
            Outcome::Saved => reply.ok(),
            Outcome::Failed => reply.error("ERR"),
        }
        reply.finish();
        true
    }
}
