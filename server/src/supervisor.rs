//! `supervised systemd`: tells the service manager that the server is ready, and that it stops.
//!
//! The protocol of sd_notify: a datagram to the socket that `NOTIFY_SOCKET` names, a path or, with an `@` in front, an abstract name.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::Supervised;

/// Where the service manager listens.
#[derive(Clone, Debug)]
pub struct Supervisor {
    address: SocketAddr,
}

impl Supervisor {
    /// The service manager, if there is one and the configuration wants it told.
    #[must_use]
    pub fn find(supervised: Supervised) -> Option<Self> {
        if !matches!(supervised, Supervised::Systemd | Supervised::Auto) {
            return None;
        }
        let named = std::env::var("NOTIFY_SOCKET").ok();
        let address = named.as_deref().map(address_of);
        match address {
            Some(Ok(address)) => Some(Supervisor { address }),
            Some(Err(error)) => {
                tracing::warn!("systemd supervision: NOTIFY_SOCKET cannot be used: {error}");
                None
            }
            None if supervised == Supervised::Systemd => {
                tracing::warn!("systemd supervision requested but NOTIFY_SOCKET not found!");
                None
            }
            None => None,
        }
    }

    /// Sends a state such as `READY=1`.
    pub fn tell(&self, state: &str) {
        let sent = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(state.as_bytes(), &self.address));
        if let Err(error) = sent {
            tracing::warn!("systemd supervision: cannot notify: {error}");
        }
    }
}

fn address_of(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names_are_reached() {
        let path = std::env::temp_dir().join(format!("tessera-notify-{}", std::process::id()));
        let abstract_name = format!("@tessera-notify-{}", std::process::id());
        for name in [path.to_str().unwrap(), &abstract_name] {
            let listener = UnixDatagram::bind_addr(&address_of(name).unwrap()).unwrap();
            Supervisor {
                address: address_of(name).unwrap(),
            }
            .tell("READY=1");
            let mut bytes = [0; 16];
            let count = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], b"READY=1");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn nobody_is_told_unless_asked_for() {
        assert!(Supervisor::find(Supervised::No).is_none());
    }
}
