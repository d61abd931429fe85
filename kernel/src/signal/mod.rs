//! Signals: what is pending, what is blocked, what happens on delivery.
//!
//! Linux queues a signal on the task or on its thread group, wakes the task, and delivers on the way
//! back to user mode: the default action, or a frame on the user stack and a jump to the handler.
//! We do the same. Follow a signal: [`send`] (who may, whether it is ignored, which thread takes it)
//! → [`Pending`] → [`Task::exit_to_user_mode`](crate::Task::exit_to_user_mode) in [`deliver`] → the
//! frame in [`frame`], and back through rt_sigreturn(2).
//!
//! Quirks:
//! - No core dumps are written: what would dump core ends the process as a plain signal does.
//! - A signal that is ignored when it is sent is dropped, as on Linux, so an observer never sees it.
//! - `siginfo_t` of SIGCHLD tells no times.

pub mod action;
pub mod code;
pub mod deliver;
pub mod frame;
pub mod info;
pub mod kill;
pub mod mask;
pub mod numbers;
pub mod pending;
pub mod restart;
pub mod send;
pub mod sighand;
pub mod sigset;
pub mod stack;

pub use info::{SigFields, SigInfo};
pub use numbers::*;
pub use pending::Pending;
pub use send::{send_group_signal, send_signal_info};
pub use sighand::{SaFlags, SigAction, SighandStruct};
pub use sigset::SigSet;
pub use stack::{MINSIGSTKSZ, SignalStack};

use callgate_abi::{ArgClass, SyscallArg, TracedArg};

/// A signal as an argument; any number can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signo(pub i32);

impl SyscallArg for Signo {
    const CLASS: ArgClass = ArgClass::Enum;

    fn from_reg(raw: u64) -> Signo {
        Signo(raw as i32)
    }

    fn c_type(f: &mut dyn std::fmt::Write) -> std::fmt::Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn std::fmt::Write) -> std::fmt::Result {
        write!(f, "{}", SignalName(arg.raw as i32))
    }
}
