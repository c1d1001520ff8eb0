//! Commands as data: what the tables say of them, how they run, how they are found by name.

mod context;
pub mod docs;
mod keys;
mod names;
mod registry;
mod run;
pub mod spec;
mod subcommand;
mod words;

pub use context::{Cx, Further, Task};
pub use keys::KeyPlaces;
pub(crate) use names::Names;
pub use registry::{Command, Registry};
pub use run::{KeyspaceRow, Merge, Op, Run, Spread};
pub use spec::Spec;
pub use subcommand::find_subcommand;
pub use words::Words;
