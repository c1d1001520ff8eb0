//! The results page: many runs' JSON in, RESULTS.md and its JSON out. Called by the `tessera-results` binary.

mod cells;
mod judge;
mod machine;
mod page;

pub use cells::{Cell, Metric, Spread, gather, read_runs};
pub use judge::{Loss, Verdict, losses, verdicts};
pub use machine::Machine;
pub use page::{Provenance, page};
