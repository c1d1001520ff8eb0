//! Who is at the other end of an accepted socket.
//!
//! Called by both backends once per connection. A client may be gone before it is asked for: its
//! address is then unspecified, and the connection ends by its own event.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::SockRef;

use crate::env::Peer;
use crate::listener::Listener;

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Describes the peer of a socket that came from this listener.
pub(crate) fn describe(socket: &OwnedFd, listener: &Listener) -> Peer {
    match listener {
        Listener::Unix(_) => {
            let path = listener
                .path()
                .map(|path| path.to_string_lossy().into_owned());
            Peer::Unix {
                path: path.unwrap_or_default(),
            }
        }
        Listener::Tcp { local, .. } => {
            let remote = remote_address(socket.as_fd()).unwrap_or(NOBODY);
            // A listener on one address has accepted on that one: no need to ask the kernel.
            let local = if local.ip().is_unspecified() {
                local_address(socket.as_fd()).unwrap_or(*local)
            } else {
                *local
            };
            Peer::Tcp { remote, local }
        }
    }
}

fn remote_address(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SockRef::from(&socket).peer_addr().ok()?.as_socket()
}

fn local_address(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SockRef::from(&socket).local_addr().ok()?.as_socket()
}
