//! What can keep the load generator from running, as one enum. What goes wrong during a run (error replies,
//! lost connections) is not here: it belongs to the results.

use std::fmt;
use std::io;

/// Why there is no result.
#[derive(Debug)]
pub enum BenchError {
    /// The flags do not make a load.
    Usage(String),
    /// No connection to the server.
    Connect {
        /// The server.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The server answered a command of ours (HELLO, AUTH, SELECT, INFO, PING) with an error.
    Refused {
        /// The command.
        command: String,
        /// The server's text.
        reply: String,
    },
    /// The server had no memory for the keys.
    NoMemory {
        /// Keys that it refused.
        refused: u64,
        /// Keys that were to be written.
        keys: u64,
    },
    /// The system refused something.
    System {
        /// What was tried.
        action: String,
        /// Why not.
        source: io::Error,
    },
}

impl BenchError {
    /// A connection that broke while something was prepared.
    #[must_use]
    pub fn lost(address: &str, reason: String) -> Self {
        Self::Connect {
            address: address.to_owned(),
            source: io::Error::other(reason),
        }
    }

    /// For `map_err` at a system call.
    pub fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Connect { address, source } => write!(f, "no connection to {address}: {source}"),
            Self::Refused { command, reply } => {
                write!(f, "the server refused {command}: {reply}")?;
                if reply.starts_with("NOAUTH") {
                    f.write_str(" Give the password with -a.")?;
                }
                Ok(())
            }
            Self::NoMemory { refused, keys } => write!(
                f,
                "the server has no memory for {keys} keys: it refused {refused} of them (OOM); raise its maxmemory or lower --key-maximum"
            ),
            Self::System { action, source } => write!(f, "{action}: {source}"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::System { source, .. } => Some(source),
            Self::Usage(_) | Self::Refused { .. } | Self::NoMemory { .. } => None,
        }
    }
}
