//! A Linux-compatible kernel behind generated system-call tables.
//!
//! Two tables at the workspace root name the calls; `build.rs` turns them into [`syscalls`]; each
//! handler is a function with a `SYSCALL_DEFINEn` attribute, in the file where Linux keeps it. A
//! program runs on an emulated core (`callgate_emulator`); this crate is everything between that
//! core's exits and the host: tasks, memory, files, signals, time.
//!
//! Follow a call: [`Machine::run`] runs a task on the engine → the core leaves at `syscall` (the
//! *direct* route) or at a stub of the kernel image (the *image* route), see [`entry`] → the
//! handler → `vfs_write` and the file's own operations in [`fs`] → the result in `pt_regs.ax`.
#![forbid(unsafe_code)]

pub mod entry;
pub mod exec;
pub mod fs;
pub mod futex;
mod host_signals;
mod kernel;
mod machine;
pub mod mm;
mod observer;
pub mod random;
pub mod sched;
pub mod signal;
pub mod sys;
mod sys_ni;
pub mod syscalls;
pub mod task;
pub mod time;

pub use host_signals::HOST_SIGNALS;
pub use kernel::{Config, EntryRoute, Kernel, Stats};
pub use machine::{Machine, Outcome};
pub use observer::{Observer, Step};
pub use task::Task;

pub use callgate_abi::Errno;

/// What kernel code returns: a value, or an error number.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

/// Kernel-internal: the call is parked on wait queues and its handler is run again when woken.
/// No program ever sees it (Linux keeps 512 and up for itself, see `include/linux/errno.h`).
pub const PARKED: Errno = Errno::new(600);
