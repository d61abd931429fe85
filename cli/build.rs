//! Has the linker put together what a small program's run needs (`start.ld`), in release builds: it takes some tenths of a
//! second, or, where code isn't optimised and has five times as many functions, more than a second.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=start.ld");
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // Who has a linker of their own knows what it understands.
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if env::var_os("RUSTC_LINKER").is_some() || flags.contains("fuse-ld=") || flags.contains("linker=") {
        return;
    }
    if let Some(home) = env::var_os("CARGO_MANIFEST_DIR") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", Path::new(&home).join("start.ld").display());
    }
}
