// What each case needs of a kernel. It is included at the root of the case's crate.
#[allow(dead_code)]
#[path = "syscalls.rs"]
mod syscalls;

/// The context of the handlers.
pub struct Task;

#[allow(dead_code)]
pub type Result<T> = core::result::Result<T, callgate_abi::Errno>;

fn main() {}
