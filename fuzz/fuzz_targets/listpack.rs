//! Listpacks: `cargo fuzz run listpack`. The judgement is in `core/tests/fuzz_bodies/listpack.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/mod.rs"]
#[allow(dead_code, unused_imports)] // each target uses one of the bodies
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::listpack(data));
