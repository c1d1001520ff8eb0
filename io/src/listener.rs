//! `Listen`: the addresses a server wants; bound here for all shards before their threads start.
//!
//! Invariants: either every address is bound and listening or there is one error that names the
//! address. A TCP address has one socket per shard (SO_REUSEPORT), and still no second server of the
//! same user can join it: a guard socket without SO_REUSEPORT listens first, which fails where
//! anybody listens, and stands until the others listen. The Unix socket is one, shared by all
//! shards; its file goes when the last of them stops. Called by `real::ReactorGroup`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::clock;

/// How long accepting rests when there are no descriptors left: at once it would fail at once.
pub(crate) const ACCEPT_PAUSE_NS: u64 = 100_000_000;

/// How often an address that is in use is tried.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// TCP addresses. With port 0 the kernel chooses one, the same for all shards.
    pub tcp: Vec<SocketAddr>,
    /// Path and permission bits of a Unix socket; 0 leaves the bits to the umask.
    pub unix: Option<(PathBuf, u32)>,
    /// Length of the queue of connections that wait to be accepted.
    pub backlog: i32,
    /// Seconds of silence after which the kernel probes a TCP client; 0 for never.
    pub keepalive_s: u32,
    /// How long an address that is in use is tried again. The kernel may hold the sockets of a killed process for a
    /// while: its rings are torn down after its end has been reported.
    pub patience: Duration,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            unix: None,
            backlog: 511,
            keepalive_s: 300,
            patience: Duration::from_secs(2),
        }
    }
}

/// An address that could not be listened on.
#[derive(Debug)]
pub struct ListenError {
    /// The address, or the path of the Unix socket.
    pub address: String,
    /// What the system said.
    pub cause: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.cause)
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The Unix socket of the whole server.
pub(crate) struct UnixListener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the file we made, so as to remove no other one.
    file: (u64, u64),
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        let ours = std::fs::metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.file);
        if ours {
            // A file that stays behind is removed by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// One listening socket as one shard sees it.
pub(crate) enum Listener {
    /// The shard's own socket on a TCP address.
    Tcp {
        /// The socket.
        socket: OwnedFd,
        /// Where it listens.
        local: SocketAddr,
    },
    /// The shared Unix socket.
    Unix(Arc<UnixListener>),
}

impl Listener {
    pub(crate) fn fd(&self) -> RawFd {
        match self {
            Self::Tcp { socket, .. } => socket.as_raw_fd(),
            Self::Unix(listener) => listener.socket.as_raw_fd(),
        }
    }

    /// Whether it is that of this TCP address.
    pub(crate) fn is_at(&self, address: SocketAddr) -> bool {
        matches!(self, Self::Tcp { local, .. } if *local == address)
    }

    /// The path, for a Unix socket.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp { .. } => None,
            Self::Unix(listener) => Some(&listener.path),
        }
    }

    /// Refuses connections from now on, even while something still holds the socket.
    pub(crate) fn shut_down(&self) {
        if let Self::Tcp { socket, .. } = self {
            // SAFETY: a live descriptor and no pointers. The shared Unix socket is left alone: other
            // shards may still accept on it.
            unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
        }
    }
}

/// What `bind` made.
pub(crate) struct Bound {
    /// The listeners of each shard.
    pub(crate) shards: Vec<Vec<Listener>>,
    /// The TCP addresses, with real ports.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Listens on all addresses for all shards.
pub(crate) fn bind(listen: &Listen, shards: usize) -> Result<Bound, ListenError> {
    let mut bound = Bound {
        shards: (0..shards).map(|_| Vec::new()).collect(),
        addresses: vec![],
    };
    for &address in &listen.tcp {
        let named = |cause| ListenError {
            address: address.to_string(),
            cause,
        };
        let (sockets, local) =
            patiently(listen, || bind_tcp(address, listen, shards)).map_err(named)?;
        for (shard, socket) in bound.shards.iter_mut().zip(sockets) {
            shard.push(Listener::Tcp {
                socket: socket.into(),
                local,
            });
        }
        bound.addresses.push(local);
    }
    if let Some((path, mode)) = &listen.unix {
        let named = |cause| ListenError {
            address: path.display().to_string(),
            cause,
        };
        let listener =
            patiently(listen, || bind_unix(path, *mode, listen.backlog)).map_err(named)?;
        let listener = Arc::new(listener);
        for shard in &mut bound.shards {
            shard.push(Listener::Unix(Arc::clone(&listener)));
        }
    }
    Ok(bound)
}

/// What a shard listens on besides and what no more, from now on.
pub struct Relisten {
    pub(crate) added: Vec<Listener>,
    pub(crate) dropped: Vec<SocketAddr>,
}

/// Goes over from some TCP addresses to those of `listen`, for all shards: what is in both stays as it is. Nothing has changed when this fails.
///
/// # Errors
/// The address that could not be listened on.
pub fn relisten(
    from: &[SocketAddr],
    listen: &Listen,
    shards: usize,
) -> Result<Vec<Relisten>, ListenError> {
    let dropped = from.iter().filter(|address| !listen.tcp.contains(address));
    let dropped: Vec<SocketAddr> = dropped.copied().collect();
    let mut changes: Vec<Relisten> = (0..shards)
        .map(|_| Relisten {
            added: Vec::new(),
            dropped: dropped.clone(),
        })
        .collect();
    let mut known = from.to_vec();
    for &address in &listen.tcp {
        if known.contains(&address) {
            continue;
        }
        let is_shared = from.iter().any(|other| overlap(*other, address));
        let bound = match is_shared {
            true => join_tcp(address, listen, shards).map(|sockets| (sockets, address)),
            false => bind_tcp(address, listen, shards),
        };
        let (sockets, local) = bound.map_err(|cause| ListenError {
            address: address.to_string(),
            cause,
        })?;
        for (change, socket) in changes.iter_mut().zip(sockets) {
            let socket = socket.into();
            change.added.push(Listener::Tcp { socket, local });
        }
        known.push(address);
    }
    Ok(changes)
}

/// Whether one of two addresses is all of the machine's, so that their sockets are in each other's way.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    is_any && one.port() == other.port() && one.is_ipv4() == other.is_ipv4()
}

/// Tries again while the address is in use, for as long as the configuration says.
fn patiently<T>(listen: &Listen, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let tries = listen.patience.as_millis() / TRY_EVERY.as_millis();
    try_again(tries, attempt, || clock::sleep(TRY_EVERY))
}

fn try_again<T>(
    tries: u128,
    mut attempt: impl FnMut() -> io::Result<T>,
    mut pause: impl FnMut(),
) -> io::Result<T> {
    for _ in 0..tries {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => pause(),
            outcome => return outcome,
        }
    }
    attempt()
}

/// A TCP socket with the options that accepted sockets inherit.
fn tcp_socket(address: SocketAddr, listen: &Listen) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    if listen.keepalive_s > 0 {
        let idle = Duration::from_secs(listen.keepalive_s.into());
        let interval = Duration::from_secs((listen.keepalive_s / 3).max(1).into());
        let keepalive = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(interval)
            .with_retries(3);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(socket)
}

fn bind_tcp(
    address: SocketAddr,
    listen: &Listen,
    shards: usize,
) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let guard = tcp_socket(address, listen)?;
    guard.bind(&SockAddr::from(address))?;
    guard.listen(listen.backlog)?;
    let not_ip = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let local = guard.local_addr()?.as_socket().ok_or_else(not_ip)?;
    // From here on sockets with the option may join the guard; those of another server may not,
    // because its own guard comes first and has no such option. The guard itself cannot serve many: it
    // began to listen without the option, so the kernel would not count it when spreading clients.
    guard.set_reuse_port(true)?;
    if shards == 1 {
        return Ok((vec![guard], local));
    }
    Ok((join_tcp(local, listen, shards)?, local))
}

/// A socket per shard beside others of this process.
fn join_tcp(address: SocketAddr, listen: &Listen, shards: usize) -> io::Result<Vec<Socket>> {
    let join = |_| {
        let socket = tcp_socket(address, listen)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(listen.backlog)?;
        Ok(socket)
    };
    (0..shards).map(join).collect()
}

fn bind_unix(path: &Path, mode: u32, backlog: i32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if mode != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    let file = std::fs::metadata(path)?;
    let file = (file.dev(), file.ino());
    Ok(UnixListener {
        socket: socket.into(),
        path: path.to_path_buf(),
        file,
    })
}

/// Removes a socket file behind which nobody listens, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let text = "a file that is no socket is in the way";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    // Not blocking: a connect to a live socket with a full queue would wait for its server.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Somebody listens, or may do so: a full queue (EAGAIN) and a lack of rights are no proof
        // that the socket is dead.
        Ok(_) | Err(_) => Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Listen, Listener, Socket, bind, relisten, try_again};
    use std::net::{SocketAddr, TcpStream};
    use std::os::fd::FromRawFd;
    use std::os::unix::fs::PermissionsExt;

    fn on(address: &str) -> Listen {
        Listen {
            tcp: vec![address.parse().unwrap()],
            patience: Duration::ZERO,
            ..Listen::default()
        }
    }

    #[test]
    fn an_address_that_is_about_to_be_free_is_waited_for() {
        let first = bind(&on("127.0.0.1:0"), 2).unwrap();
        let listen = on(&first.addresses[0].to_string());
        let (mut first, mut pauses) = (Some(first), 0);
        let second = try_again(
            9,
            || super::bind_tcp(listen.tcp[0], &listen, 2),
            || {
                pauses += 1;
                if pauses == 3 {
                    first = None;
                }
            },
        );
        assert!(second.is_ok());
        assert_eq!(pauses, 3);
        let refused: std::io::Result<()> = try_again(
            9,
            || Err(std::io::ErrorKind::PermissionDenied.into()),
            || panic!("there is nothing to wait for"),
        );
        assert!(refused.is_err());
    }

    #[test]
    fn a_second_server_is_refused_and_told_where() {
        for shards in [1, 3] {
            let first = bind(&on("127.0.0.1:0"), shards).unwrap();
            assert_eq!(first.shards.len(), shards);
            let taken = first.addresses[0].to_string();
            for others in [1, 3] {
                let error = bind(&on(&taken), others).err().unwrap();
                let text = error.to_string();
                assert!(
                    text.contains(&taken) && text.contains("Address already in use"),
                    "{text}"
                );
            }
            drop(first);
            bind(&on(&taken), shards).unwrap();
        }
    }

    #[test]
    fn other_addresses_while_it_runs() {
        for shards in [1, 2] {
            let bound = bind(&on("127.0.0.1:0"), shards).unwrap();
            let port = bound.addresses[0].port();
            let goes = |from: &[SocketAddr], to: &str| relisten(from, &on(to), shards);
            let same = goes(&bound.addresses, &bound.addresses[0].to_string()).unwrap();
            assert!(
                same.iter()
                    .all(|it| it.added.is_empty() && it.dropped.is_empty())
            );
            // All of the machine's addresses, the old one among them.
            let wider = goes(&bound.addresses, &format!("0.0.0.0:{port}")).unwrap();
            assert_eq!(wider.len(), shards);
            assert!(wider.iter().all(|it| it.dropped == bound.addresses));
            assert!(wider.iter().all(|it| it.added.len() == 1));
            // Nobody joins another server.
            let other = bind(&on("127.0.0.1:0"), 1).unwrap();
            assert!(goes(&bound.addresses, &other.addresses[0].to_string()).is_err());
        }
    }

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let listen = Listen {
            keepalive_s: 90,
            ..on("127.0.0.1:0")
        };
        let bound = bind(&listen, 2).unwrap();
        // Both shards' sockets, as the kernel chooses one by the client's port.
        for _ in 0..20 {
            let _client = TcpStream::connect(bound.addresses[0]).unwrap();
            let accept = |listener: &Listener| {
                // SAFETY: takes no pointers but null ones, and the result is owned by nobody else.
                let fd = unsafe {
                    libc::fcntl(listener.fd(), libc::F_SETFL, libc::O_NONBLOCK);
                    libc::accept(listener.fd(), std::ptr::null_mut(), std::ptr::null_mut())
                };
                // SAFETY: as above.
                (fd >= 0).then(|| unsafe { Socket::from_raw_fd(fd) })
            };
            let accepted = bound
                .shards
                .iter()
                .find_map(|listeners| accept(&listeners[0]));
            let accepted = accepted.unwrap();
            assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
            assert_eq!(
                accepted.tcp_keepalive_time().unwrap(),
                Duration::from_secs(90)
            );
            assert_eq!(
                accepted.tcp_keepalive_interval().unwrap(),
                Duration::from_secs(30)
            );
            assert_eq!(accepted.tcp_keepalive_retries().unwrap(), 3);
        }
    }

    #[test]
    fn both_families_share_a_port() {
        let Ok(first) = bind(&on("[::]:0"), 2) else {
            return; // a machine without IPv6
        };
        let port = first.addresses[0].port();
        bind(&on(&format!("0.0.0.0:{port}")), 2).unwrap();
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("tessera-listen-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file behind");
        let listen = Listen {
            unix: Some((path.clone(), 0o700)),
            patience: Duration::ZERO,
            ..Listen::default()
        };
        let first = bind(&listen, 2).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let error = bind(&listen, 2).err().unwrap().to_string();
        assert!(
            error.contains("in use") && error.contains("tessera-listen"),
            "{error}"
        );
        drop(first);
        assert!(!path.exists(), "ours goes with its listeners");
        std::fs::write(&path, b"precious").unwrap();
        assert!(bind(&listen, 1).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
    }
}
