//! New connections: whether they are let in.

use std::sync::atomic::Ordering;

use tessera_io::{ConnId, Peer};

use crate::front::{Client, Front};

/// Reply to a connection beyond `maxclients`.
pub const MAXCLIENTS_ERROR: &[u8] = b"-ERR max number of clients reached\r\n";

/// Reply to a connection from outside while protected mode holds.
pub const PROTECTED_ERROR: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the \
default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you \
may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback \
interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you \
do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration \
file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart \
it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above \
things in order for the server to start accepting connections from the outside.\r\n";

/// What becomes of a new connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is a client now.
    Welcome,
    /// It gets this reply and is closed.
    Refused(&'static [u8]),
}

impl Front {
    /// A connection was accepted by the reactor.
    pub fn accept(&mut self, conn: ConnId, peer: Peer) -> Verdict {
        let connected = self.shared.connected.fetch_add(1, Ordering::Relaxed);
        let verdict = if connected >= self.config.clients_max {
            self.counters.rejected_connections += 1;
            Verdict::Refused(MAXCLIENTS_ERROR)
        } else if self.is_protected_from(&peer) {
            Verdict::Refused(PROTECTED_ERROR)
        } else {
            Verdict::Welcome
        };
        if verdict != Verdict::Welcome {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
            return verdict;
        }
        self.counters.connections_received += 1;
        let id = self.shared.next_client_id.fetch_add(1, Ordering::Relaxed);
        let is_open = self.config.password.is_none();
        self.clients
            .insert(Client::new(id, conn, peer, self.unix_us / 1000, is_open));
        Verdict::Welcome
    }

    /// Forgets a client. Its replies that are still on their way go nowhere.
    pub fn forget(&mut self, conn: ConnId) {
        self.forget_blocked(conn);
        let asks = |client: &Client| client.asks_for_watched();
        if !self.clients.get(conn).is_some_and(asks) {
            self.unwatch(conn);
        }
        self.unsubscribe_all(conn);
        self.end_tracking(conn);
        self.end_monitor(conn);
        if let Some(client) = self.clients.remove(conn) {
            self.forget_target(client.id);
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn is_protected_from(&self, peer: &Peer) -> bool {
        let Peer::Tcp { remote, .. } = peer else {
            return false;
        };
        self.config.protected_mode
            && self.config.password.is_none()
            && !remote.ip().to_canonical().is_loopback()
    }
}
