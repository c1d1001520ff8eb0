//! What scripts leave for the front end: messages that they have published, lines for the log, questions about the node, and
//! what they called for those who monitor.

use std::sync::Arc;

use tessera_core::resp::Reply;
use tessera_io::ConnId;
use tessera_shards::coordinator::Asker;
use tessera_shards::mesh::CallFn;
use tessera_shards::script::{Answer, Question};

use crate::front::exec::runs_here;
use crate::front::{Front, Kind};
use crate::session::{Session, Then};

/// The connection on which questions of scripts seem to come.
pub(super) const SCRIPT: ConnId = ConnId {
    index: u32::MAX,
    generation: u32::MAX - 2,
};

/// Questions for which other shards were asked.
#[derive(Default)]
pub(super) struct Questions {
    next: u32,
    open: Vec<(u32, Answer)>,
}

impl Questions {
    fn open(&mut self, answer: Answer) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.open.push((self.next, answer));
        self.next
    }

    fn close(&mut self, number: u32) -> Option<Answer> {
        let place = self.open.iter().position(|(other, _)| *other == number)?;
        Some(self.open.swap_remove(place).1)
    }
}

impl Front {
    /// Sends on what scripts of this shard have left.
    pub(super) fn hear_scripts(&mut self) {
        if self.engine.shard.scripts.has_news() {
            self.hear_all_scripts();
        }
    }

    #[cold]
    fn hear_all_scripts(&mut self) {
        let scripts = &mut self.engine.shard.scripts;
        let lines = std::mem::take(&mut scripts.lines);
        let published = std::mem::take(&mut scripts.published);
        let calls = std::mem::take(&mut scripts.calls);
        let questions = std::mem::take(&mut scripts.questions);
        for called in &calls {
            self.show_called(called);
        }
        for question in questions {
            self.look_into(question);
        }
        for (level, line) in lines {
            let line = String::from_utf8_lossy(&line);
            match level {
                0 => tracing::trace!("{line}"),
                1 => tracing::debug!("{line}"),
                2 => tracing::info!("{line}"),
                _ => tracing::warn!("{line}"),
            }
        }
        for message in published {
            let kind = if message.is_sharded {
                Kind::Sharded
            } else {
                Kind::Channel
            };
            let call: CallFn<Front> = Arc::new(move |front: &mut Front, _: &mut Vec<u8>| {
                front.deliver_message(kind, &message.channel, &message.payload);
            });
            for target in 0..self.shared.mesh.shards() {
                if target == self.id {
                    call(self, &mut Vec::new());
                } else {
                    self.engine.tell(target, None, Arc::clone(&call));
                }
            }
        }
    }

    /// Runs a command about the node that a script has called. If other shards have to be asked, the answer comes later.
    fn look_into(&mut self, question: Question) {
        let Question {
            command,
            args,
            proto,
            answer,
        } = question;
        let args = args.args();
        let command = self.shared.registry.get(command).copied();
        let Some(run) = command.and_then(|command| runs_here(&command, &args)) else {
            return answer.give(b"-ERR This Redis command is not allowed from script\r\n");
        };
        let mut bytes = Vec::new();
        let mut session = Session {
            front: self,
            conn: SCRIPT,
            reply: Reply::new(&mut bytes, proto),
            then: Then::Reply,
        };
        let begun = session.front.engine.meter.begin(true);
        run(&mut session, &args);
        session.reply.finish();
        let then = session.then;
        self.engine.meter.other(begun);
        let Then::AskAll(call, merge) = then else {
            return answer.give(&bytes);
        };
        let seq = self.questions.open(answer);
        let asker = Asker {
            conn: SCRIPT,
            seq,
            db: 0,
            proto,
            no_touch: false,
            tracker: None,
            batched: None,
        };
        self.engine.ask_all(&asker, &call, merge);
    }

    /// All shards have answered a script's question.
    #[cold]
    pub(super) fn script_answered(&mut self, seq: u32, bytes: &[u8]) {
        if let Some(answer) = self.questions.close(seq) {
            answer.give(bytes);
        }
    }
}
