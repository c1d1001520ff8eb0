//! MULTI: commands that wait for EXEC.

use tessera_core::resp::{OUT_OF_MEMORY, try_copy};
use tessera_io::ConnId;
use tessera_shards::command::spec::flag;
use tessera_shards::command::{Command, Run};

use crate::front::Front;
use crate::front::dispatch::{may_write, subcommand_error};
use crate::session::SessionFn;

/// Commands that run at once although the client is in MULTI.
pub(super) const AT_ONCE: &[&str] = &["exec", "discard", "multi", "watch", "quit", "reset"];

/// A command that waits for EXEC.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Its number in the registry.
    pub(crate) number: u16,
    /// Its arguments, the name included.
    pub(crate) args: Vec<Box<[u8]>>,
}

/// What a client in MULTI has said so far.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The commands.
    pub(crate) queued: Vec<Queued>,
    /// One was refused: EXEC will refuse the rest.
    pub(crate) is_broken: bool,
    /// One of the commands may need memory.
    pub(crate) may_need_memory: bool,
    /// Whether one of them writes.
    pub(crate) writes: bool,
    /// Whether one of them writes, or may.
    pub(crate) may_write: bool,
    /// Bytes of the arguments.
    pub(crate) bytes: usize,
}

impl Front {
    /// Keeps a command of a client in MULTI for EXEC. Says whether it did; otherwise the command runs at once.
    #[cold]
    pub(super) fn queue(
        &mut self,
        conn: ConnId,
        command: &Command<SessionFn>,
        args: &[&[u8]],
    ) -> bool {
        if AT_ONCE.contains(&command.spec.name) && matches!(command.run, Run::Session(_)) {
            return false;
        }
        if command.spec.has(flag::NO_MULTI) {
            let text = b"ERR Command not allowed inside a transaction";
            self.refuse(conn, Some(command.number), text);
            return true;
        }
        // As Redis does, a subcommand is checked when it is queued.
        if let Some(error) = subcommand_error(&command.spec, args) {
            self.refuse(conn, Some(command.number), &error);
            return true;
        }
        let Some(copies) = args.iter().map(|arg| try_copy(arg)).collect() else {
            let text = OUT_OF_MEMORY.trim_ascii_end().strip_prefix(b"-");
            self.refuse(conn, Some(command.number), text.unwrap_or_default());
            return true;
        };
        let Some(client) = self.clients.get_mut(conn) else {
            return true;
        };
        if let Some(transaction) = &mut client.transaction {
            transaction.may_need_memory |= command.spec.has(flag::DENYOOM);
            transaction.writes |= command.spec.resolve(args).has(flag::WRITE);
            transaction.may_write |= may_write(&command.spec, args);
            transaction.bytes += args.iter().map(|arg| arg.len()).sum::<usize>();
            transaction.queued.push(Queued {
                number: command.number,
                args: copies,
            });
        }
        self.say(conn, b"+QUEUED\r\n");
        true
    }

    /// Sends a short reply, behind those that are owed.
    pub(super) fn say(&mut self, conn: ConnId, reply: &[u8]) {
        if let Some(client) = self.clients.get_mut(conn) {
            if !super::dispatch::mute(client) {
                client.reply_now(reply);
            }
            self.mark_dirty(conn);
        }
    }
}
