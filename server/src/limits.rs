//! The limit of open files: every client needs one, and the server a few of its own.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no client's: listeners, rings, wake-ups, the log.
const FILES_OF_OUR_OWN: u64 = 32;

/// The system does not allow so many clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooFewFiles {
    /// How many clients it allows.
    pub clients_max: usize,
    /// How many files the process may have at most.
    pub files_max: u64,
}

impl TooFewFiles {
    /// As Redis tells the client of a CONFIG SET.
    #[must_use]
    pub fn for_client(self) -> String {
        format!(
            "The operating system is not able to handle the specified number of clients, try with {}",
            self.clients_max
        )
    }
}

impl fmt::Display for TooFewFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "maxclients is {} instead, because the process may open {} files at most: raise the limit (ulimit -n, LimitNOFILE) or \
             lower maxclients",
            self.clients_max, self.files_max
        )
    }
}

/// Sees to it that so many clients can be connected.
///
/// # Errors
/// When the system allows fewer; the limit is then as high as it gets.
pub fn allow_clients(clients: usize) -> Result<(), TooFewFiles> {
    let needed = clients as u64 + FILES_OF_OUR_OWN;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(needed),
            maximum: maximum.map(|most| most.max(needed)),
        },
    )
    .is_ok()
    {
        return Ok(());
    }
    let reachable = maximum.unwrap_or(needed).min(needed);
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(reachable),
            maximum,
        },
    );
    let files_max = if raised.is_ok() {
        reachable
    } else {
        current.unwrap_or(reachable)
    };
    if files_max >= needed {
        return Ok(());
    }
    let clients_max = files_max.saturating_sub(FILES_OF_OUR_OWN).max(1) as usize;
    Err(TooFewFiles {
        clients_max,
        files_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_is_enough_for_one() {
        assert_eq!(allow_clients(1), Ok(()));
    }

    #[test]
    fn the_refusal_names_the_remedy() {
        let error = TooFewFiles {
            clients_max: 992,
            files_max: 1024,
        };
        assert!(error.for_client().ends_with("try with 992"));
        assert!(error.to_string().contains("may open 1024 files"));
    }
}
