//! A running server: started on a free port in a fresh folder, answering, killed when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::deadline::{PATIENCE, happens_within};
use crate::folder::Folder;
use crate::launch::{Kind, Launch};
use crate::port::free_port;
use crate::process::Process;
use crate::reply::Reply;

/// Ports to try before giving up on a machine where others take them.
const ATTEMPTS: usize = 8;

/// A server that answered a PING.
#[derive(Debug)]
pub struct Server {
    // Declared before the folder: the process ends before its directory goes.
    process: Process,
    folder: Folder,
    launch: Launch,
    port: u16,
}

impl Server {
    pub(crate) fn start(launch: Launch) -> Self {
        Self::start_in(launch, Folder::new())
    }

    pub(crate) fn start_in(launch: Launch, mut folder: Folder) -> Self {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let process = Process::spawn(&mut launch.command(folder.path(), port), folder.path())
                .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", launch.program));
            let mut server = Self {
                process,
                folder,
                launch: launch.clone(),
                port,
            };
            if server.answers() {
                return server;
            }
            let said = server.log();
            assert!(
                said.contains("in use"),
                "{:?} did not start:\n{said}",
                launch.program
            );
            folder = std::mem::take(&mut server.folder);
        }
        panic!("no free port in {ATTEMPTS} attempts");
    }

    /// Waits until it answers or has ended; true when it answers.
    fn answers(&mut self) -> bool {
        let mut answered = false;
        happens_within(PATIENCE, || {
            answered = self.try_ping();
            answered || self.process.ended().is_some()
        });
        answered
    }

    fn try_ping(&self) -> bool {
        let Ok(mut client) = Client::connect(self.address()) else {
            return false;
        };
        match client.try_call(&["PING"]) {
            Ok(Reply::Simple(text)) => text == b"PONG",
            Ok(Reply::Error(text)) => text.starts_with(b"NOAUTH"),
            _ => false,
        }
    }

    /// Ends it and starts it again in the same folder, on another port.
    #[must_use]
    pub fn restart(mut self) -> Self {
        if self.process.ended().is_none() {
            self.process.signal(crate::process::Signal::Terminate);
        }
        let ended = self.process.wait_end(PATIENCE);
        assert!(ended.is_some(), "the server did not end:\n{}", self.log());
        let folder = std::mem::take(&mut self.folder);
        Self::start_in(self.launch.clone(), folder)
    }

    /// Kills it without a word and starts another one in the same folder.
    #[must_use]
    pub fn crash(mut self, next: Launch) -> Self {
        self.process.kill();
        let folder = std::mem::take(&mut self.folder);
        Self::start_in(next, folder)
    }

    /// How it was started.
    #[must_use]
    pub fn launch(&self) -> Launch {
        self.launch.clone()
    }

    /// Which program it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.launch.kind
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address on the loopback interface.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its Unix socket, when it was started with one.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Its directory.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Says how long its files may get, in bytes or `unlimited`: a full disk for those who may not fill one. The launch has to ignore the signal
    /// ([`crate::launch::Launch::ignoring_file_limits`]).
    ///
    /// # Panics
    /// Where `prlimit` is missing or fails.
    pub fn limit_files(&mut self, bytes: &str) {
        let pid = self.process().pid().to_string();
        let limit = format!("--fsize={bytes}:unlimited");
        let set = std::process::Command::new("prlimit")
            .args(["--pid", &pid, &limit])
            .status();
        assert!(set.expect("prlimit is there").success());
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it wrote so far, both streams.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// A new connection, authenticated when there is a password.
    #[must_use]
    pub fn client(&self) -> Client {
        let mut client = self.raw_client();
        if let Some(password) = &self.launch.password {
            client.call(&["AUTH", password]).expect_ok();
        }
        client
    }

    /// A new connection that has said nothing yet.
    #[must_use]
    pub fn raw_client(&self) -> Client {
        Client::connect(self.address())
            .unwrap_or_else(|error| panic!("cannot connect: {error}\n{}", self.log()))
    }

    /// A new connection speaking RESP3.
    #[must_use]
    pub fn client3(&self) -> Client {
        let mut client = self.client();
        let hello = client.call(&["HELLO", "3"]);
        assert!(matches!(hello, Reply::Map(_)), "HELLO 3 gave {hello}");
        client
    }

    /// Waits for its end by itself.
    pub fn wait_end(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        self.process.wait_end(limit)
    }
}
