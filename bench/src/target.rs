//! The server under test: its address, and how a connection to it is opened and made ready (HELLO, AUTH,
//! SELECT).

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::Control;
use crate::error::BenchError;

/// A server that takes longer to answer a connect or a command outside the load is taken for dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A TCP address, resolved once.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl Address {
    /// The first address of a host.
    ///
    /// # Errors
    /// When the name has none.
    pub fn resolve(host: &str, port: u16) -> Result<Self, BenchError> {
        let fail = |source| BenchError::Connect {
            address: format!("{host}:{port}"),
            source,
        };
        let mut addresses = (host, port)
            .to_socket_addrs()
            .map_err(fail)?
            .collect::<Vec<_>>();
        // Servers listen on 127.0.0.1 by default, and "localhost" names ::1 first on many machines.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let first = addresses.first().copied();
        first
            .map(Self::Tcp)
            .ok_or_else(|| fail(io::Error::other("the name has no address")))
    }

    /// Whether the server runs on this machine, so that /proc can be asked about it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A server and what to say to it first.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// User (if any) and password.
    pub credentials: Option<(Option<String>, String)>,
    /// RESP version to ask for; 2 asks for nothing.
    pub resp: u8,
    /// The database to select; 0 asks for nothing.
    pub database: u32,
}

impl Target {
    /// Opens a blocking connection that is ready for commands.
    ///
    /// # Errors
    /// When the server is not there, or refuses the handshake.
    pub fn connect(&self) -> Result<Control, BenchError> {
        let fail = |source| BenchError::Connect {
            address: self.address.to_string(),
            source,
        };
        let socket: OwnedFd = match &self.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, ANSWER_TIMEOUT).map_err(fail)?;
                stream.set_nodelay(true).map_err(fail)?;
                stream
                    .set_read_timeout(Some(ANSWER_TIMEOUT))
                    .map_err(fail)?;
                stream.into()
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).map_err(fail)?;
                stream
                    .set_read_timeout(Some(ANSWER_TIMEOUT))
                    .map_err(fail)?;
                stream.into()
            }
        };
        let mut control = Control::new(socket, self.address.to_string());
        self.shake_hands(&mut control)?;
        Ok(control)
    }

    fn shake_hands(&self, control: &mut Control) -> Result<(), BenchError> {
        let user_and_password = self
            .credentials
            .as_ref()
            .map(|(user, password)| (user.as_deref(), password.as_str()));
        if self.resp == 3 {
            match user_and_password {
                Some((user, password)) => {
                    control.call(&["HELLO", "3", "AUTH", user.unwrap_or("default"), password])?;
                }
                None => drop(control.call(&["HELLO", "3"])?),
            }
        } else {
            match user_and_password {
                Some((Some(user), password)) => drop(control.call(&["AUTH", user, password])?),
                Some((None, password)) => drop(control.call(&["AUTH", password])?),
                None => {}
            }
        }
        if self.database != 0 {
            control.call(&["SELECT", &self.database.to_string()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::bulk_body;
    use std::io::{Read, Write};

    /// A server that reads one request and answers with `reply` in two pieces.
    fn answer_once(reply: &'static [u8]) -> Target {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0u8; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            let (head, tail) = reply.split_at(reply.len() / 2);
            stream.write_all(head).unwrap();
            stream.flush().unwrap();
            stream.write_all(tail).unwrap();
        });
        Target {
            address,
            credentials: None,
            resp: 2,
            database: 0,
        }
    }

    #[test]
    fn a_call_returns_the_reply_whole() {
        let mut control = answer_once(b"$11\r\nhello\r\nworl\r\n").connect().unwrap();
        let reply = control.call(&["INFO"]).unwrap();
        assert_eq!(bulk_body(&reply), b"hello\r\nworl");
    }

    #[test]
    fn an_error_is_a_refusal_with_the_servers_text() {
        let mut control = answer_once(b"-NOAUTH Authentication required.\r\n")
            .connect()
            .unwrap();
        let error = control.call(&["INFO"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the server refused INFO: NOAUTH Authentication required. Give the password with -a."
        );
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let mut control = answer_once(b"$9\r\nx").connect().unwrap();
        assert!(matches!(
            control.call(&["INFO"]),
            Err(BenchError::Connect { .. })
        ));
    }

    #[test]
    fn verbatim_strings_lose_their_prefix() {
        assert_eq!(bulk_body(b"=8\r\ntxt:a:b\r\n"), b"a:b");
        assert_eq!(bulk_body(b"$3\r\na:b\r\n"), b"a:b");
    }

    #[test]
    fn loopback_is_local() {
        assert!(Address::resolve("127.0.0.1", 1).unwrap().is_local());
        assert!(!Address::resolve("192.0.2.1", 1).unwrap().is_local());
    }
}
