//! Values and files of RDB: `cargo fuzz run rdb`. The judgement is in `persist/tests/fuzz_bodies/rdb.rs`.
#![no_main]

#[path = "../../persist/tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::rdb(data));
