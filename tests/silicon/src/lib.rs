//! The silicon oracle: is the core the same as the processor under it?
//!
//! A case is one random instruction, or a program of some with branches, loops and calls ([`program`]), with random
//! registers, flags, memory, MXCSR and x87 state. It runs natively in a child process ([`native`]) and on the core
//! ([`ours`]), there at once, step by step, or in parts of a few instructions. Afterwards every register, flag and byte of
//! memory, and the exception if there was one, must be equal ([`compare`]). Flags that the manual calls undefined are
//! masked, from iced-x86's tables; what else need not be equal is one table ([`tolerance`]).
//!
//! Which instructions there are is iced-x86's list of codes; which of them the core claims, the core says itself: what it
//! does not report as missing. A case is made from the seed and its number alone ([`rng`]), so that it can be repeated.
//!
//! Not run: see [`Unrunnable`]. Not made: 66h before near branches, which makes their offsets 16 bits on AMD's processors
//! and nothing on Intel's; loads of ss, and gathers and scatters of AVX-512, with TF set; alignment checks in programs;
//! gathers into their own indices.
//!
//! Where the host has AVX-512, the core has it too, interpreted and translated, and its registers are part of every case.

#![deny(unsafe_code)]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod claims;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod compare;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod instruction;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod intel;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[allow(unsafe_code)]
mod native;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod oracle;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod ours;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod pools;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod program;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod rng;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod segments;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod state;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tolerance;

mod report;

pub use report::{Mismatch, Options, Report, Unrunnable};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use oracle::run;

/// Runs the oracle.
///
/// # Errors
/// Always: there is no such processor here.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn run(_: &Options) -> std::io::Result<Report> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "the host is not Linux on x86-64"))
}
