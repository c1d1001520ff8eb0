//! The simulator: whole server nodes in a simulated world, random clients, and judges that look at what they saw.
//!
//! A seed decides everything (`plan`): shards, clients, commands, faults, and who runs when. `node` drives the real
//! server code phase by phase under `tessera_io::sim`; `client` and `author` make the noise and `history`
//! notes it; the judges (`judge`) compare it with `oracle`, the server as one thread would be. docs/design/simulator.md tells more;
//! `scripts/sim` runs it.

pub mod author;
pub mod cacher;
pub mod client;
pub mod collections;
pub mod command;
pub mod effect;
pub mod expiry;
pub mod hashes;
pub mod history;
pub mod judge;
pub mod line;
pub mod listener;
pub mod model;
pub mod node;
pub mod oracle;
pub mod plan;
pub mod reading;
pub mod reply;
pub mod run;
pub mod scripting;
pub mod seeds;
pub mod stream;
pub mod transaction;
pub mod value;
pub mod waiting;
pub mod watching;
pub mod word;
