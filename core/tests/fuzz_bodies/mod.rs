//! What the fuzz targets do with an input, shared by libFuzzer (`fuzz/`) and by the deterministic run that needs no
//! nightly compiler (`fuzz_smoke.rs`). A body panics when it finds a contradiction.
//!
//! Each input is judged without an expected answer: a second way to the same result, a round trip, or a simple model.

mod glob;
mod listpack;
mod number;
mod parser;
mod reply;
mod split;
mod stream;

pub(crate) use glob::glob;
pub(crate) use listpack::listpack;
pub(crate) use number::number;
pub(crate) use parser::parser;
pub(crate) use reply::reply;
pub(crate) use stream::stream;
