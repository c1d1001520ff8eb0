//! INFO: figures of all shards, of the process and of the node, as the text that dashboards parse.

mod figures;
mod keys;
mod memory;
mod process;
mod report;
mod section;

pub use figures::{Rates, Sampler};
pub(crate) use memory::given_out;
pub use memory::{Memory, allocated};
pub use process::{CpuTimes, cpu_times};
pub use report::{Node, report};
pub use section::Section;
