//! What the integration tests stand on: processes, clients and judges that know nothing of the
//! server's insides. The tests themselves are in `tests/tests`, one file per question asked.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests drive real processes and wait for them in real time"
)]

pub mod client;
pub mod command;
pub mod crash;
pub mod deadline;
pub mod differential;
pub mod folder;
pub mod frame;
pub mod launch;
pub mod port;
pub mod process;
pub mod reply;
pub mod rng;
pub mod server;
pub mod simulator;
pub mod target;
