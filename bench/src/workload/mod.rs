//! Named workloads: what they are, and how they are run.

mod catalogue;
mod course;
mod everyday;
mod exact_lru;
mod facts;
mod fanout;
mod hand_over;
mod hit_ratio;
mod part;
mod published;
mod step;
mod words;

pub use catalogue::{WORKLOADS, find, list};
pub use course::run_workloads;
pub use hit_ratio::Stream;
pub use part::{Facts, Part, Workload};
pub use step::StepReport;
pub use words::words_of;
