//! Native snapshots: `cargo fuzz run native`. The judgement is in `persist/tests/fuzz_bodies/native.rs`.
#![no_main]

#[path = "../../persist/tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::native(data));
