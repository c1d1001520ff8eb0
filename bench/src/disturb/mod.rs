//! What happens beside a load, and what the bystanders notice of it.

mod action;
mod burst;
mod catalogue;

pub use action::{Action, Disturber, Outcome};
pub use catalogue::{BYSTANDERS, DISTURBANCES};
