//! Listpacks: `cargo fuzz run listpack`. The judgement is in `core/tests/fuzz_bodies/listpack.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/listpack.rs"]
mod listpack;
#[path = "../../core/tests/fuzz_bodies/split.rs"]
mod split;

libfuzzer_sys::fuzz_target!(|data: &[u8]| listpack::listpack(data));
