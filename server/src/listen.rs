//! From `bind`, `port` and `unixsocket` to the addresses that the reactors listen on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use tessera_io::{Listen, Relisten, relisten};

use crate::config::Config;

/// The addresses a configuration asks for.
///
/// # Errors
/// A line that names an address that does not exist.
pub fn listen_of(config: &Config) -> Result<Listen, String> {
    let mut listen = Listen {
        backlog: i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX),
        keepalive_s: config.keepalive_s,
        ..Listen::default()
    };
    listen.tcp = tcp_of(config)?;
    if !config.unixsocket.as_os_str().is_empty() {
        listen.unix = Some((config.unixsocket.clone(), config.unixsocket_mode));
    }
    if listen.tcp.is_empty() && listen.unix.is_none() {
        return Err("no address to listen on: set port and bind, or unixsocket".to_owned());
    }
    Ok(listen)
}

/// The TCP addresses of a configuration.
fn tcp_of(config: &Config) -> Result<Vec<SocketAddr>, String> {
    let mut tcp = Vec::new();
    if config.port != 0 {
        for word in &config.bind {
            let word = String::from_utf8_lossy(word);
            // An address with a `-` may be missing from the machine.
            let (name, is_optional) = word
                .strip_prefix('-')
                .map_or((&*word, false), |name| (name, true));
            let addresses =
                resolve(name, config.port).map_err(|error| format!("bind {name}: {error}"))?;
            tcp.extend(
                addresses
                    .into_iter()
                    .filter(|address| !is_optional || exists(address)),
            );
        }
    }
    Ok(tcp)
}

/// The TCP addresses of a node whose `port` and `bind` change while it runs.
#[derive(Default)]
pub(crate) struct Addresses {
    /// On which all shards listen, or will when they have taken what is below.
    now: Vec<SocketAddr>,
    /// What each shard has still to do, in order.
    changes: Vec<Vec<Relisten>>,
}

impl Addresses {
    /// What the shards have begun with.
    pub(crate) fn new(now: Vec<SocketAddr>, shards: usize) -> Self {
        let changes = (0..shards).map(|_| Vec::new()).collect();
        Self { now, changes }
    }

    /// Listens where a configuration says, and leaves it to the shards to accept there. Nothing has changed if it cannot.
    ///
    /// # Errors
    /// The directive that asks for what cannot be had, and its error in Redis's words.
    pub(crate) fn change(
        &mut self,
        old: &Config,
        new: &Config,
    ) -> Result<(), (&'static str, &'static str)> {
        const PORT: (&str, &str) = ("port", "Unable to listen on this port. Check server logs.");
        const BIND: (&str, &str) = ("bind", "Failed to bind to specified addresses.");
        let tcp = tcp_of(new).map_err(|why| {
            tracing::warn!("{why}");
            BIND
        })?;
        let listen = Listen {
            tcp,
            backlog: i32::try_from(new.tcp_backlog).unwrap_or(i32::MAX),
            keepalive_s: new.keepalive_s,
            ..Listen::default()
        };
        let changes = relisten(&self.now, &listen, self.changes.len()).map_err(|error| {
            tracing::warn!("{error}");
            match error.cause.kind() {
                io::ErrorKind::AddrNotAvailable => BIND,
                _ if old.port == new.port => BIND,
                _ => PORT,
            }
        })?;
        for address in listen.tcp.iter().filter(|it| !self.now.contains(it)) {
            tracing::info!("Listening on {address}");
        }
        self.now = listen.tcp;
        for (queue, change) in self.changes.iter_mut().zip(changes) {
            queue.push(change);
        }
        Ok(())
    }

    /// Whether a shard has nothing to do.
    pub(crate) fn is_done(&self, shard: usize) -> bool {
        self.changes.get(shard).is_none_or(Vec::is_empty)
    }

    /// What a shard has to do.
    pub(crate) fn take(&mut self, shard: usize) -> Vec<Relisten> {
        let queue = self.changes.get_mut(shard);
        queue.map(std::mem::take).unwrap_or_default()
    }
}

fn resolve(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let any = match name {
        "*" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "::*" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        _ => None,
    };
    match any {
        Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        None => Ok((name, port).to_socket_addrs()?.collect()),
    }
}

/// Whether the machine has this address, on any port.
fn exists(address: &SocketAddr) -> bool {
    TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(port: u16, bind: &[&str]) -> Result<Vec<String>, String> {
        let bind = bind.iter().map(|word| word.as_bytes().to_vec()).collect();
        let listen = listen_of(&Config {
            port,
            bind,
            ..Config::default()
        })?;
        Ok(listen.tcp.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn words_become_addresses() {
        assert_eq!(
            tcp(7, &["127.0.0.1", "*"]).unwrap(),
            ["127.0.0.1:7", "0.0.0.0:7"]
        );
        assert_eq!(tcp(7, &["::1", "::*"]).unwrap(), ["[::1]:7", "[::]:7"]);
        assert!(
            tcp(7, &["localhost"])
                .unwrap()
                .contains(&"127.0.0.1:7".to_owned())
        );
        // An address for examples, which no machine has.
        assert_eq!(
            tcp(7, &["127.0.0.1", "-198.51.100.77"]).unwrap(),
            ["127.0.0.1:7"]
        );
    }

    #[test]
    fn nowhere_to_listen_is_a_mistake() {
        assert!(
            tcp(0, &["*"])
                .unwrap_err()
                .contains("no address to listen on")
        );
        assert!(tcp(7, &[]).unwrap_err().contains("no address to listen on"));
        assert!(
            tcp(7, &["no such host"])
                .unwrap_err()
                .starts_with("bind no such host: ")
        );
    }
}
