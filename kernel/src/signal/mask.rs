//! Blocking signals and waiting for them: rt_sigprocmask(2), rt_sigpending(2), rt_sigsuspend(2),
//! rt_sigtimedwait(2), pause(2).

use callgate_abi::{Errno, SYSCALL_DEFINE0, SYSCALL_DEFINE2, SYSCALL_DEFINE4, UserMemory, UserMut};
use callgate_uapi::signal::{SigSet, SiginfoT, SigmaskHow};
use callgate_uapi::time::Timespec;
use callgate_uapi::traced::{In, Out};

use crate::{Result, Task};

/// Reads a set whose size has to be right before its address is looked at.
fn read_set(task: &mut Task, set: In<SigSet>, size: usize) -> Result<SigSet> {
    if size != size_of::<SigSet>() {
        return Err(Errno::EINVAL);
    }
    set.read(task)
}

/// An interrupted wait that no handler may interrupt: it is made again unless one runs.
fn restart_unless_handled(errno: Errno) -> Errno {
    if errno == Errno::ERESTARTSYS { Errno::ERESTARTNOHAND } else { errno }
}

/// rt_sigprocmask(2): changes and gets the set of blocked signals.
#[SYSCALL_DEFINE4(rt_sigprocmask)]
pub fn rt_sigprocmask(
    task: &mut Task,
    how: SigmaskHow,
    nset: In<SigSet>,
    oset: Out<SigSet>,
    sigsetsize: usize,
) -> Result<()> {
    if sigsetsize != size_of::<SigSet>() {
        return Err(Errno::EINVAL);
    }
    let old = task.blocked;
    if !nset.is_null() {
        let set = nset.read(task)?;
        task.set_blocked(match how {
            SigmaskHow::SIG_BLOCK => old | set,
            SigmaskHow::SIG_UNBLOCK => old & !set,
            SigmaskHow::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
    }
    if oset.is_null() { Ok(()) } else { oset.write(task, &old) }
}

/// rt_sigpending(2): which blocked signals wait.
#[SYSCALL_DEFINE2(rt_sigpending)]
pub fn rt_sigpending(task: &mut Task, uset: Out<SigSet>, sigsetsize: usize) -> Result<()> {
    let size = size_of::<SigSet>();
    if sigsetsize > size {
        return Err(Errno::EINVAL);
    }
    let pending = task.link.pending.borrow().set() | task.signal().shared_pending.borrow().set();
    let bytes = (pending & task.blocked).0.to_le_bytes();
    // Old programs had shorter sets.
    task.copy_to_user(uset.addr(), &bytes[..sigsetsize]).map_err(|_| Errno::EFAULT)
}

/// rt_sigsuspend(2): waits for a signal with another set of blocked ones.
#[SYSCALL_DEFINE2(rt_sigsuspend)]
pub fn rt_sigsuspend(task: &mut Task, unewset: In<SigSet>, sigsetsize: usize) -> Result<()> {
    let set = read_set(task, unewset, sigsetsize)?;
    if !task.restart.again {
        task.saved_sigmask = Some(task.blocked);
        task.set_blocked(set);
    }
    Err(restart_unless_handled(task.wait_on(&[], None)))
}

/// pause(2): waits for a signal that is handled.
#[SYSCALL_DEFINE0(pause)]
pub fn pause(task: &mut Task) -> Result<()> {
    Err(restart_unless_handled(task.wait_on(&[], None)))
}

/// rt_sigtimedwait(2): takes a pending signal, or waits for one, and returns its number.
#[SYSCALL_DEFINE4(rt_sigtimedwait)]
pub fn rt_sigtimedwait(
    task: &mut Task,
    uthese: In<SigSet>,
    uinfo: UserMut<SiginfoT>,
    uts: In<Timespec>,
    sigsetsize: usize,
) -> Result<i32> {
    task.link.pending.borrow_mut().waited = SigSet::EMPTY;
    let these = read_set(task, uthese, sigsetsize)? & !SigSet::UNBLOCKABLE;
    let timeout = if uts.is_null() { None } else { Some(uts.read(task)?.to_duration()?) };
    let taken = {
        let own = task.link.pending.borrow_mut().take_next(!these);
        own.or_else(|| task.signal().shared_pending.borrow_mut().take_next(!these))
    };
    if let Some(info) = taken {
        if !uinfo.is_null() {
            uinfo.write(task, &SiginfoT(info.to_bytes()))?;
        }
        return Ok(info.signo);
    }
    let deadline = timeout.map(|timeout| task.deadline_after(timeout));
    let errno = match task.wait_on(&[], deadline) {
        Errno::ERESTARTSYS => Errno::EINTR,
        Errno::ETIMEDOUT => Errno::EAGAIN,
        parked => {
            task.link.pending.borrow_mut().waited = these;
            parked
        }
    };
    Err(errno)
}
