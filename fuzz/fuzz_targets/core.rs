//! Any bytes are a machine: it neither panics, nor hangs, nor runs beyond its budget, and takes one course however its run
//! is cut into pieces.
//!
//! `cargo +nightly fuzz run core -- -max_len=4096 -timeout=10`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../emulator/tests/hostile/mod.rs"]
mod machine;

fuzz_target!(|bytes: &[u8]| machine::check(bytes));
