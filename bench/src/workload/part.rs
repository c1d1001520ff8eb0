//! What a workload is made of: parts in order, written in the flags of the tool itself, so that every row can be
//! repeated by hand.

use crate::control::Control;
use crate::disturb::Action;
use crate::error::BenchError;
use crate::plan::Plan;
use crate::workload::Stream;

/// A named workload.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is and where it comes from.
    pub about: &'static str,
    /// What it does.
    pub parts: fn() -> Vec<Part>,
}

/// What is asked of a server after a row, in words: the row's plan and report say what was done.
pub type Facts =
    fn(&mut Control, &Plan, &crate::report::PhaseReport) -> Result<Vec<String>, BenchError>;

/// One step of a workload.
#[derive(Clone, Debug)]
pub enum Part {
    /// A command before what follows.
    Call(String),
    /// Flags of a load that writes what the rows after it need.
    Fill(String),
    /// A row of the results.
    Row {
        /// Its name.
        label: String,
        /// Flags of its load.
        flags: String,
        /// What is asked afterwards.
        facts: Option<Facts>,
    },
    /// A row of a load beside which something else happens.
    Disturbed {
        /// Its name.
        label: String,
        /// Flags of the bystanders' load.
        flags: String,
        /// What happens.
        action: Action,
    },
    /// A row that tells how often a cache at its limit has what is asked for.
    HitRatio {
        /// Its name.
        label: String,
        /// `maxmemory-policy`.
        policy: &'static str,
        /// Which keys are asked for.
        stream: Stream,
    },
    /// A row of elements handed from who pushes to who waits.
    HandOver {
        /// Its name.
        label: String,
        /// Pairs of connections.
        pairs: usize,
        /// Bytes of an element.
        bytes: usize,
    },
    /// A row of messages published to many.
    FanOut {
        /// Its name.
        label: String,
        /// Subscribers of the one channel.
        subscribers: usize,
        /// Messages that the publisher sends together.
        at_once: usize,
        /// Bytes of a message.
        bytes: usize,
    },
}

impl Part {
    /// A row without questions after it.
    pub(super) fn row(label: impl Into<String>, flags: impl Into<String>) -> Self {
        Self::Row {
            label: label.into(),
            flags: flags.into(),
            facts: None,
        }
    }

    pub(super) fn fill(flags: impl Into<String>) -> Self {
        Self::Fill(flags.into())
    }

    /// An empty server.
    pub(super) fn flush() -> Self {
        Self::Call("FLUSHALL".to_owned())
    }
}
