//! The tests' common ground: guests, and what is done with them.
//!
//! A guest is a program of `tests/guests/` (or busybox). It runs **natively first**, on the host's own kernel, and then
//! on callgate by each of the two routes of a system call; what it prints and how it ends must be equal. So the oracle
//! is Linux itself, and not a file of expectations that somebody wrote down once.
//!
//! - [`guest`] is what a test says: which program, how compiled, with which arguments and input.
//! - [`compile`] makes programs of sources, once for each content.
//! - [`callgate`] finds the command under test, and has cargo bring it up to date.
//! - [`run`] runs a command in a directory of its own, with a time limit, and keeps what came out.

#![forbid(unsafe_code)]

pub mod callgate;
pub mod compile;
pub mod guest;
pub mod run;

pub use guest::Guest;

/// Whether a tool that is missing is a failure. The continuous integration installs all of them; elsewhere Rust and gcc
/// have to do.
#[must_use]
pub fn everything_is_installed() -> bool {
    std::env::var_os("CI").is_some()
}

/// Says that a test has nothing to do here; or fails, where everything is said to be installed.
///
/// # Panics
/// If `CI` is set.
pub fn skip(why: &str) {
    assert!(!everything_is_installed(), "CI is set, but {why}");
    eprintln!("skipped: {why}");
}
