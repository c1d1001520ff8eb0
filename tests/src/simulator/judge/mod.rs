//! The judges: each looks at a finished epoch and says what is wrong with it. None of them
//! takes part in the run.

pub mod copies;
pub mod delivery;
pub mod messages;
pub mod order;
pub mod place;
pub mod reading;
pub mod rest;
pub mod scans;
