//! Reading a snapshot at the start.
//!
//! Until the last key is in its place, commands that need keys are answered with LOADING. What cannot be read ends the start: a node never begins empty because its
//! file is damaged. `status` is what the shards know of it; `loader` is the thread's side, for either format; `batches` brings keys of an RDB file to
//! their shards, `native` lets the shards take theirs from where they lie.

mod batches;
mod loader;
mod native;
mod status;

pub use batches::Loaded;
pub use loader::Loader;
pub use native::{NativeCargo, NativeUnloading};
pub use status::{Cargo, Loading, Took, Unloading};
