//! How a server is started: which program, on how many shards, with which directives.

use std::path::PathBuf;
use std::process::Command;

use crate::folder::Folder;
use crate::server::Server;
use crate::target;

/// Which program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server of this repository.
    Tessera,
    /// redis-server, the oracle.
    Redis,
}

/// A server to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    shards: usize,
    backend: Option<String>,
    address_space_bytes: Option<u64>,
    ignores_file_limits: bool,
    config_file: Option<String>,
    directives: Vec<(String, Vec<String>)>,
    pub(crate) unix: bool,
    pub(crate) password: Option<String>,
}

impl Launch {
    /// The server under test, on one shard.
    #[must_use]
    pub fn tessera() -> Self {
        let (kind, program) = target::server_under_test();
        Self::of(kind, program)
    }

    /// redis-server.
    #[must_use]
    pub fn oracle() -> Self {
        Self::of(Kind::Redis, target::oracle())
    }

    fn of(kind: Kind, program: PathBuf) -> Self {
        Self {
            kind,
            program,
            shards: 1,
            backend: None,
            address_space_bytes: None,
            ignores_file_limits: false,
            config_file: None,
            directives: Vec::new(),
            unix: false,
            password: None,
        }
    }

    /// On `count` shards; the oracle has none and ignores it.
    #[must_use]
    pub fn shards(mut self, count: usize) -> Self {
        self.shards = count;
        self
    }

    /// With this I/O backend; the oracle has none and ignores it.
    #[must_use]
    pub fn backend(mut self, name: &str) -> Self {
        self.backend = Some(name.to_owned());
        self
    }

    /// With an allocator that refuses what goes beyond this much address space, rounded down to KiB.
    #[must_use]
    pub fn address_space(mut self, bytes: u64) -> Self {
        self.address_space_bytes = Some(bytes);
        self
    }

    /// With writes that fail where a file would become longer than the limit, instead of a signal that ends the process.
    #[must_use]
    pub fn ignoring_file_limits(mut self) -> Self {
        self.ignores_file_limits = true;
        self
    }

    /// With one more directive, as a flag.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.directives
            .push((name.to_owned(), vec![value.to_owned()]));
        self
    }

    /// With a password for the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.with("requirepass", password)
    }

    /// Listening on a Unix socket as well.
    #[must_use]
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Starting from a configuration file of this text.
    #[must_use]
    pub fn config_file(mut self, text: &str) -> Self {
        self.config_file = Some(text.to_owned());
        self
    }

    /// Which program it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its binary.
    #[must_use]
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// Starts it and waits until it answers.
    #[must_use]
    pub fn start(self) -> Server {
        Server::start(self)
    }

    /// The same in this folder, with what is there.
    #[must_use]
    pub fn start_in(self, folder: Folder) -> Server {
        Server::start_in(self, folder)
    }

    /// The command line for one attempt to start in `folder` on `port`.
    #[must_use]
    pub fn command(&self, folder: &std::path::Path, port: u16) -> Command {
        let mut command = match self.address_space_bytes {
            None if self.ignores_file_limits => {
                let mut command = Command::new("sh");
                let script = "trap '' XFSZ && exec \"$0\" \"$@\"";
                command.arg("-c").arg(script).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
            Some(bytes) => {
                let mut command = Command::new("sh");
                let script = format!("ulimit -v {} && exec \"$0\" \"$@\"", bytes / 1024);
                command.arg("-c").arg(script).arg(&self.program);
                command
            }
        };
        if let Some(text) = &self.config_file {
            let path = folder.join("server.conf");
            // A restart in the same folder goes on with what the server itself wrote there.
            if !path.exists() {
                std::fs::write(&path, text).expect("the folder is writable");
            }
            command.arg(path);
        }
        command.arg("--port").arg(port.to_string());
        command.arg("--dir").arg(folder);
        for (name, value) in [("save", ""), ("appendonly", "no")] {
            if !self.directives.iter().any(|(given, _)| given == name) {
                command.arg(format!("--{name}")).arg(value);
            }
        }
        if self.unix {
            command.arg("--unixsocket").arg(folder.join("socket"));
        }
        if self.kind == Kind::Tessera {
            command.arg("--shards").arg(self.shards.to_string());
            if let Some(backend) = &self.backend {
                command.arg("--io-backend").arg(backend);
            }
        }
        for (name, values) in &self.directives {
            command.arg(format!("--{name}")).args(values);
        }
        command
    }
}
