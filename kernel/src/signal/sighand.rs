//! Signal actions: what a thread group does on each signal (`sighand_struct`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::SigSet;
use super::numbers::{DefaultAction, SIGRTMAX, default_action};

/// `sa_handler`: the default action.
pub const SIG_DFL: u64 = 0;
/// `sa_handler`: nothing happens.
pub const SIG_IGN: u64 = 1;

bitflags::bitflags! {
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

/// The actions of a thread group.
#[derive(Clone, Debug)]
pub struct SighandStruct {
    action: [SigAction; SIGRTMAX as usize],
}

impl Default for SighandStruct {
    fn default() -> SighandStruct {
        SighandStruct { action: [SigAction::default(); SIGRTMAX as usize] }
    }
}

impl SighandStruct {
    /// What is done on `sig`; the default for what is no signal.
    pub fn get(&self, sig: i32) -> SigAction {
        usize::try_from(sig - 1).ok().and_then(|i| self.action.get(i)).copied().unwrap_or_default()
    }

    /// Sets what is done on `sig`.
    pub fn set(&mut self, sig: i32, action: SigAction) {
        if let Some(slot) = usize::try_from(sig - 1).ok().and_then(|i| self.action.get_mut(i)) {
            *slot = action;
        }
    }

    /// What execve(2) does: handlers are gone with their program, ignored signals stay ignored.
    pub fn flush_handlers(&mut self) {
        for action in &mut self.action {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { handler, ..SigAction::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{SIGCHLD, SIGINT, SIGTERM};
    use super::*;

    #[test]
    fn exec_keeps_only_ignored_signals() {
        let mut sighand = SighandStruct::default();
        sighand.set(SIGINT, SigAction { handler: SIG_IGN, flags: 4, ..SigAction::default() });
        sighand.set(SIGTERM, SigAction { handler: 0x1000, ..SigAction::default() });
        sighand.flush_handlers();
        assert_eq!(sighand.get(SIGINT), SigAction { handler: SIG_IGN, ..SigAction::default() });
        assert_eq!(sighand.get(SIGTERM).handler, SIG_DFL);
    }

    #[test]
    fn signals_out_of_range_have_the_default_action_and_cannot_be_set() {
        let mut sighand = SighandStruct::default();
        for sig in [0, -1, 65, i32::MAX] {
            sighand.set(sig, SigAction { handler: 1, ..SigAction::default() });
            assert_eq!(sighand.get(sig), SigAction::default());
        }
        assert!(sighand.get(SIGCHLD).ignores(SIGCHLD));
        assert!(sighand.get(SIGTERM).is_fatal(SIGTERM));
    }
}
