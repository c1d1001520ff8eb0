//! Commands that are not carried out: what their clients are told.

use tessera_core::resp::Reply;
use tessera_io::ConnId;
use tessera_shards::command::Spec;

use crate::front::Front;
use crate::front::dispatch::{mute, subcommand_error};

/// Bytes of arguments that the error for an unknown command quotes.
const QUOTED_BYTES_MAX: usize = 128;

impl Front {
    /// Replies to a command that does not exist. A browser that was made to talk to this port says POST or Host: first; whatever it says next
    /// must not be taken for commands, so the connection ends.
    #[cold]
    pub(super) fn refuse_unknown(&mut self, conn: ConnId, args: &[&[u8]]) {
        let is_http =
            args[0].eq_ignore_ascii_case(b"post") || args[0].eq_ignore_ascii_case(b"host:");
        match self.clients.get_mut(conn) {
            Some(client) if is_http => {
                tracing::warn!(
                    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is likely \
                     due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection from {:?} \
                     aborted.",
                    client.peer
                );
                client.forget_replies();
                client.closing = true;
                self.mark_dirty(conn);
            }
            _ => self.refuse(conn, None, &unknown_command(args)),
        }
    }

    /// Replies to a client that has not authenticated. Whether there is such a subcommand comes first, as in Redis.
    #[cold]
    pub(super) fn refuse_stranger(
        &mut self,
        conn: ConnId,
        number: u16,
        spec: &Spec,
        args: &[&[u8]],
    ) {
        let mistake = subcommand_error(spec, args);
        let text = mistake
            .as_deref()
            .unwrap_or(b"NOAUTH Authentication required.");
        self.refuse(conn, Some(number), text);
    }

    /// Replies with an error to a command that is not carried out. An EXEC that is refused ends its transaction, as in Redis.
    #[cold]
    pub(super) fn refuse(&mut self, conn: ConnId, command: Option<u16>, text: &[u8]) {
        let named = command.and_then(|number| self.shared.registry.get(number));
        if named.is_some_and(|command| command.spec.name == "exec") {
            let reason = text.strip_prefix(b"ERR ").unwrap_or(text);
            let text = [b"EXECABORT Transaction discarded because of: ", reason].concat();
            self.unwatch(conn);
            self.reject(conn, command, &text);
            if let Some(client) = self.clients.get_mut(conn) {
                client.transaction = None;
            }
        } else {
            self.reject(conn, command, text);
        }
    }

    fn reject(&mut self, conn: ConnId, command: Option<u16>, text: &[u8]) {
        self.counters.errors += 1;
        self.tally.reject(command, text);
        let Some(client) = self.clients.get_mut(conn) else {
            return;
        };
        if let Some(transaction) = &mut client.transaction {
            transaction.is_broken = true;
        }
        if !mute(client) {
            let mut bytes = Vec::new();
            Reply::new(&mut bytes, client.proto).error(text);
            client.reply_now(&bytes);
        }
        self.mark_dirty(conn);
    }
}

/// Redis's words for a command that does not exist.
fn unknown_command(args: &[&[u8]]) -> Vec<u8> {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(&args[0][..args[0].len().min(QUOTED_BYTES_MAX)]);
    text.extend_from_slice(b"', with args beginning with: ");
    let mut quoted = 0;
    for arg in &args[1..] {
        if quoted >= QUOTED_BYTES_MAX {
            break;
        }
        let shown = &arg[..arg.len().min(QUOTED_BYTES_MAX - quoted)];
        text.push(b'\'');
        text.extend_from_slice(shown);
        text.extend_from_slice(b"' ");
        quoted += shown.len() + 3;
    }
    text
}
