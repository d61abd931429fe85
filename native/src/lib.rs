//! The native engine: guest code on an x86-64 host at nearly the host's own speed, confined to the guest's memory.
//!
//! The guest's instruction set is the host's, so guest code is translated into almost itself: every memory access gets
//! 32-bit addressing and, mostly, a gs prefix, so that it can't leave the 4 GiB window that gs points to ([`window`]); calls,
//! returns and indirect branches are rewritten ([`translate`]); and before code can be executed, an independent pass
//! proves that it can't leave the sandbox ([`verify`]). What isn't translated, and what faults, is the interpreter's: it
//! runs from the same state, instruction by instruction. See ARCHITECTURE.md for the whole scheme.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod cache;
mod code;
mod context;
mod emit;
mod engine;
mod enter;
mod heap;
mod host;
mod kind;
mod side;
mod signal;
mod stubs;
mod tick;
mod translate;
mod unit;
mod verify;
mod window;

pub use engine::{Native, Setup};
pub use heap::Heap;
pub use host::check;
pub use signal::use_alternate_stack;
