//! rt_sigaction(2), and how a trace prints actions.

use std::fmt;

use callgate_abi::{CType, Errno, SYSCALL_DEFINE4, fmt_flags};

use super::numbers::valid_signal;
use super::send::flush;
use super::sighand::{SIG_DFL, SIG_IGN, SaFlags, SigAction};
use super::{SigSet, Signo};
use crate::sys::traced::{In, Out, Traced};
use crate::{Result, Task};

/// SA_EXPOSE_TAGBITS: accepted and without meaning on x86.
const SA_EXPOSE_TAGBITS: u64 = linux_raw_sys::general::SA_EXPOSE_TAGBITS as u64;

impl CType for SigAction {
    const NAME: &'static str = "struct sigaction";
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

impl CType for SigSet {
    const NAME: &'static str = "sigset_t";
}

impl Traced for SigSet {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// rt_sigaction(2): sets and gets what is done on a signal.
#[SYSCALL_DEFINE4(rt_sigaction)]
pub fn rt_sigaction(
    task: &mut Task,
    sig: Signo,
    act: In<SigAction>,
    oact: Out<SigAction>,
    sigsetsize: usize,
) -> Result<()> {
    if sigsetsize != size_of::<SigSet>() {
        return Err(Errno::EINVAL);
    }
    let new = if act.is_null() { None } else { Some(act.read(task)?) };
    let sig = sig.0;
    if !valid_signal(sig) || (new.is_some() && SigSet::UNBLOCKABLE.contains(sig)) {
        return Err(Errno::EINVAL);
    }
    let old = task.sighand.borrow().get(sig);
    if let Some(mut new) = new {
        // Unknown flags are cleared, so that a program can find out which ones are known.
        let known = SaFlags::all() - SaFlags::SA_UNSUPPORTED;
        new.flags &= known.bits() | SA_EXPOSE_TAGBITS;
        new.mask = new.mask & !SigSet::UNBLOCKABLE;
        task.sighand.borrow_mut().set(sig, new);
        // A signal that is ignored now is not pending any more, even if it was blocked.
        if new.ignores(sig) {
            flush(task.signal(), SigSet::of(&[sig]));
        }
    }
    if oact.is_null() { Ok(()) } else { oact.write(task, &old) }
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
