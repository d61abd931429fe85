//! `struct sigaction`: what is done on a signal.

use std::fmt;

use bitflags::bitflags;
use callgate_abi::{CType, fmt_flags};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::SigSet;
use super::numbers::{DefaultAction, default_action};
use crate::traced::Traced;

/// `sa_handler`: the default action.
pub const SIG_DFL: u64 = 0;
/// `sa_handler`: nothing happens.
pub const SIG_IGN: u64 = 1;

bitflags! {
    /// `sa_flags` of sigaction(2), in the order in which strace prints them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SaFlags: u64 {
        /// Where the handler returns to is given.
        const SA_RESTORER = linux_raw_sys::general::SA_RESTORER as u64;
        /// The handler runs on the alternate stack.
        const SA_ONSTACK = linux_raw_sys::general::SA_ONSTACK as u64;
        /// Interrupted calls are restarted.
        const SA_RESTART = linux_raw_sys::general::SA_RESTART as u64;
        /// The signal is not blocked while its handler runs.
        const SA_NODEFER = linux_raw_sys::general::SA_NODEFER as u64;
        /// The action is the default again once the handler is entered.
        const SA_RESETHAND = linux_raw_sys::general::SA_RESETHAND as u64;
        /// The handler takes three arguments.
        const SA_SIGINFO = linux_raw_sys::general::SA_SIGINFO as u64;
        /// No SIGCHLD when a child stops or continues.
        const SA_NOCLDSTOP = linux_raw_sys::general::SA_NOCLDSTOP as u64;
        /// Children leave no zombie.
        const SA_NOCLDWAIT = linux_raw_sys::general::SA_NOCLDWAIT as u64;
        /// Never set: lets a program find out which flags the kernel knows.
        const SA_UNSUPPORTED = linux_raw_sys::general::SA_UNSUPPORTED as u64;
    }
}

/// What to do on one signal: the kernel's `struct sigaction`, in its layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigAction {
    /// [`SIG_DFL`], [`SIG_IGN`] or an address.
    pub handler: u64,
    /// [`SaFlags`].
    pub flags: u64,
    /// Where the handler returns to: code that calls rt_sigreturn(2).
    pub restorer: u64,
    /// Signals that are blocked while the handler runs.
    pub mask: SigSet,
}

impl CType for SigAction {
    const NAME: &'static str = "struct sigaction";
}

impl SigAction {
    /// The flags.
    pub fn flags(&self) -> SaFlags {
        SaFlags::from_bits_retain(self.flags)
    }

    /// Whether `sig` has no effect under this action.
    pub fn ignores(&self, sig: i32) -> bool {
        match self.handler {
            SIG_IGN => true,
            SIG_DFL => matches!(default_action(sig), DefaultAction::Ignore | DefaultAction::Continue),
            _ => false,
        }
    }

    /// Whether `sig` ends the process under this action.
    pub fn is_fatal(&self, sig: i32) -> bool {
        self.handler == SIG_DFL && matches!(default_action(sig), DefaultAction::Terminate | DefaultAction::Core)
    }
}

impl Traced for SigAction {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        match self.handler {
            SIG_DFL => f.write_str("{sa_handler=SIG_DFL")?,
            SIG_IGN => f.write_str("{sa_handler=SIG_IGN")?,
            address => write!(f, "{{sa_handler={address:#x}")?,
        }
        write!(f, ", sa_mask={}, sa_flags=", self.mask)?;
        fmt_flags(self.flags(), f)?;
        if self.flags().contains(SaFlags::SA_RESTORER) {
            write!(f, ", sa_restorer={:#x}", self.restorer)?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_as_in_strace() {
        let mut text = String::new();
        let action = SigAction { handler: 0x401000, flags: 0x1400_0000, restorer: 0x402000, mask: SigSet::of(&[2]) };
        action.trace(&mut text).unwrap();
        assert_eq!(text, "{sa_handler=0x401000, sa_mask=[INT], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x402000}");
    }
}
