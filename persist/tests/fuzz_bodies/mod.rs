//! What the fuzz targets do with an input, shared by libFuzzer (`fuzz/`) and by the deterministic run that needs no
//! nightly compiler (`fuzz_smoke.rs`). A body panics when it finds a contradiction.

mod native;
mod rdb;

pub(crate) use native::native;
pub(crate) use rdb::rdb;
