//! Numbers as text: `cargo fuzz run number`. The judgement is in `core/tests/fuzz_bodies/number.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/number.rs"]
mod number;
#[path = "../../core/tests/fuzz_bodies/split.rs"]
mod split;

libfuzzer_sys::fuzz_target!(|data: &[u8]| number::number(data));
