//! Patterns: `cargo fuzz run glob`. The judgement is in `core/tests/fuzz_bodies/glob.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/glob.rs"]
mod glob;
#[path = "../../core/tests/fuzz_bodies/split.rs"]
mod split;

libfuzzer_sys::fuzz_target!(|data: &[u8]| glob::glob(data));
