//! From `bind`, `port` and `unixsocket` to the addresses that the reactors listen on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use tessera_io::Listen;

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
    if config.port != 0 {
        for word in &config.bind {
            let word = String::from_utf8_lossy(word);
            // An address with a `-` may be missing from the machine.
            let (name, is_optional) = word
                .strip_prefix('-')
                .map_or((&*word, false), |name| (name, true));
            let addresses =
                resolve(name, config.port).map_err(|error| format!("bind {name}: {error}"))?;
            listen.tcp.extend(
                addresses
                    .into_iter()
                    .filter(|address| !is_optional || exists(address)),
            );
        }
    }
    if !config.unixsocket.as_os_str().is_empty() {
        listen.unix = Some((config.unixsocket.clone(), config.unixsocket_mode));
    }
    if listen.tcp.is_empty() && listen.unix.is_none() {
        return Err("no address to listen on: set port and bind, or unixsocket".to_owned());
    }
    Ok(listen)
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
