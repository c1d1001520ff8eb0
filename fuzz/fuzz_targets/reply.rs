//! Replies, at the client's end: `cargo fuzz run reply`. The judgement is in `core/tests/fuzz_bodies/reply.rs`.
#![no_main]

#[path = "../../core/tests/fuzz_bodies/reply.rs"]
mod reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reply::reply(data));
