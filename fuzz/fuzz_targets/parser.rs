//! Requests: `cargo fuzz run parser`. The judgement is in `core/tests/fuzz_bodies/parser.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/parser.rs"]
mod parser;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parser::parser(data));
