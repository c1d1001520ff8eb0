//! Scripts: Lua 5.1 as Redis has it, in machines that can be stopped between two instructions.
//!
//! `machine` is one Lua state on a stack of its own, with the sandbox of `prelude.lua` and the API of `api`, `convert` and the libraries; it asks for commands
//! and is answered, and knows nothing of keys. `run` carries a script out on a shard: it runs the commands, keeps a `journal` so that everything can be taken
//! back, and pauses after each slice. `question` is what only the front end can answer. `node` is what all shards share: the scripts and libraries by name, and who runs. docs/design/scripts.md has the rules.

mod api;
mod audience;
mod bits;
mod by_text;
mod commands;
mod convert;
mod counts;
mod decimal;
mod dump;
mod eval;
mod host;
mod journal;
mod json;
mod library;
mod machine;
mod msgpack;
mod node;
mod pace;
mod pattern;
mod question;
mod request;
mod run;
mod shebang;
mod structs;

pub use audience::{Audience, Listening};
pub use commands::Commands;
pub use counts::{Count, Counts};
pub use dump::{dump, restore};
pub(crate) use eval::{eval, first_mistake};
pub(crate) use host::{CallFailed, Host, Wanted};
pub use library::{Function, Library, Registered};
pub use machine::{REFUSAL, sha1_hex};
pub use node::{Busy, Kill, Killed, Node, Script};
pub use question::{Answer, Question};
pub(crate) use request::Request;
pub use run::{Called, Published, Refusal, Scripts};
pub(crate) use run::{Progress, Run};
pub use shebang::{FLAGS, flags};
