//! The results page: many runs' JSON in, RESULTS.md and its JSON out. Called by the `tessera-results` binary.

mod cells;
mod judge;
mod machine;
mod page;
mod plots;
mod rows;

pub use cells::{Cell, Metric, Skip, Spread, gather, read_runs, skips};
pub use judge::{Loss, Verdict, losses, verdicts};
pub use machine::Machine;
pub use page::{Provenance, kept_sections, page};
pub use plots::{Picture, draw};
