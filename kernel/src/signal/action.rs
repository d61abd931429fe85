//! rt_sigaction(2), and how a trace prints actions.

use callgate_abi::{Errno, SYSCALL_DEFINE4};
use callgate_uapi::signal::{SaFlags, SigAction, SigSet, Signo, valid_signal};
use callgate_uapi::traced::{In, Out};

use super::send::flush;
use crate::{Result, Task};

/// SA_EXPOSE_TAGBITS: accepted and without meaning on x86.
const SA_EXPOSE_TAGBITS: u64 = linux_raw_sys::general::SA_EXPOSE_TAGBITS as u64;

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
