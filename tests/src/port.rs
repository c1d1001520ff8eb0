//! Free TCP ports. A port found free may be taken before the server binds it, so whoever starts a
//! server retries with another when it says the address is in use.

use std::net::TcpListener;

/// A port nobody listened on a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind(("0.0.0.0", 0))
        .and_then(|listener| listener.local_addr())
        .expect("the kernel has a free port")
        .port()
}
