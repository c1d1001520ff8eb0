//! Ids and blocks of streams: `cargo fuzz run stream`. The judgement is in `core/tests/fuzz_bodies/stream.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/split.rs"]
mod split;
#[path = "../../core/tests/fuzz_bodies/stream.rs"]
mod stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stream::stream(data));
