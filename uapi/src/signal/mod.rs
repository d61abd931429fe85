//! Linux: `asm/signal.h`, `asm-generic/siginfo.h`.

pub mod code;
pub mod numbers;
pub mod sigaction;
pub mod sigframe;
pub mod siginfo;
pub mod sigset;

use std::fmt;

use callgate_abi::{ArgClass, SyscallArg, TracedArg, syscall_enum};
use linux_raw_sys::general;

pub use numbers::*;
pub use sigaction::{SIG_DFL, SIG_IGN, SaFlags, SigAction};
pub use siginfo::{SigFields, SigInfo, SiginfoT};
pub use sigset::SigSet;

/// A signal as an argument; any number can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signo(pub i32);

impl SyscallArg for Signo {
    const CLASS: ArgClass = ArgClass::Enum;

    fn from_reg(raw: u64) -> Signo {
        Signo(raw as i32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{}", SignalName(arg.raw as i32))
    }
}

syscall_enum! {
    /// What rt_sigprocmask does with the set.
    pub struct SigmaskHow: i32, "int" {
        SIG_BLOCK = general::SIG_BLOCK as i32,
        SIG_UNBLOCK = general::SIG_UNBLOCK as i32,
        SIG_SETMASK = general::SIG_SETMASK as i32,
    }
}
