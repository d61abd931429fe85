//! Sending by id: kill(2), tkill(2), tgkill(2), rt_sigqueueinfo(2), rt_tgsigqueueinfo(2).
//!
//! Which error comes first is part of the interface: the target is looked up before the signal's
//! number is checked, so a bad number for nobody is ESRCH.

use std::rc::Rc;

use callgate_abi::{Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, UserPtr};
use callgate_uapi::signal::code::{SI_TKILL, SI_USER};
use callgate_uapi::signal::siginfo::{KERNEL_SIGINFO_SIZE, SIGINFO_SIZE};
use callgate_uapi::signal::{SIGCONT, SigFields, SigInfo, SiginfoT, Signo, code, valid_signal};
use callgate_uapi::traced::In;
use linux_raw_sys::general::CAP_KILL;

use super::send::send;
use super::send_signal_info;
use crate::task::{Pid, SignalStruct, TaskLink};
use crate::{Result, Task};

impl Task {
    /// A signal that this task sends.
    fn own_signal(&self, signo: i32, code: i32) -> SigInfo {
        let fields = SigFields::Kill { pid: self.tgid(), uid: self.cred.uid, value: 0 };
        SigInfo { signo, errno: 0, code, fields }
    }

    /// Whether the task may send `sig` to `group` (`check_kill_permission`).
    fn check_kill_permission(&self, group: &Rc<SignalStruct>, sig: i32) -> Result<()> {
        if sig != 0 && !valid_signal(sig) {
            return Err(Errno::EINVAL);
        }
        let uid = group.uid.get();
        let same_session = group.session.get() == self.signal().session.get();
        let allowed = Rc::ptr_eq(group, self.signal())
            || self.cred.euid == uid
            || self.cred.uid == uid
            || self.cred.capable(CAP_KILL)
            || (sig == SIGCONT && same_session);
        if allowed { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Sends to a whole group; 0 only asks whether that would be allowed.
    fn kill_group(&self, group: &Rc<SignalStruct>, info: SigInfo) -> Result<()> {
        self.check_kill_permission(group, info.signo)?;
        if info.signo == 0 { Ok(()) } else { send(group, None, info) }
    }

    /// Sends to one thread; 0 only asks.
    fn kill_thread(&self, thread: &Rc<TaskLink>, info: SigInfo) -> Result<()> {
        self.check_kill_permission(&thread.signal, info.signo)?;
        if info.signo == 0 { Ok(()) } else { send_signal_info(thread, info) }
    }

    /// The process of an id; any of its threads' ids will do.
    fn find_group(&self, pid: Pid) -> Result<Rc<SignalStruct>> {
        let thread = || self.kernel.find_task(pid).map(|thread| Rc::clone(&thread.signal));
        self.kernel.find_process(pid).or_else(thread).ok_or(Errno::ESRCH)
    }

    /// Sends to every process of a process group: it's enough that one could be sent to.
    fn kill_pgrp(&self, pgrp: Pid, info: SigInfo) -> Result<()> {
        let mut result = Err(Errno::ESRCH);
        for group in self.kernel.processes().iter().filter(|group| group.pgrp.get() == pgrp) {
            let sent = self.kill_group(group, info);
            if result.is_err() {
                result = sent;
            }
        }
        result
    }

    /// Sends to all but the first process and the sender's own.
    fn kill_all(&self, info: SigInfo) -> Result<()> {
        let mut result = Err(Errno::ESRCH);
        let others = self.kernel.processes();
        for group in others.iter().filter(|group| group.tgid > 1 && !Rc::ptr_eq(group, self.signal())) {
            match self.kill_group(group, info) {
                // Linux counts those that it may not signal as done.
                Err(Errno::EPERM) if result == Err(Errno::ESRCH) => result = Ok(()),
                Err(Errno::EPERM) => {}
                sent => result = sent,
            }
        }
        result
    }
}

/// kill(2): sends a signal to a process, a process group, or all processes.
#[SYSCALL_DEFINE2(kill)]
pub fn kill(task: &mut Task, pid: i32, sig: Signo) -> Result<()> {
    let info = task.own_signal(sig.0, SI_USER);
    match pid {
        1.. => task.kill_group(&task.find_group(pid)?, info),
        0 => task.kill_pgrp(task.signal().pgrp.get(), info),
        -1 => task.kill_all(info),
        i32::MIN => Err(Errno::ESRCH),
        _ => task.kill_pgrp(-pid, info),
    }
}

/// Sends to the thread `pid`, which has to be of the group `tgid` unless that is `None`.
fn send_specific(task: &Task, tgid: Option<Pid>, pid: Pid, info: SigInfo) -> Result<()> {
    let thread = task.kernel.find_task(pid).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| thread.signal.tgid != tgid) {
        return Err(Errno::ESRCH);
    }
    task.kill_thread(&thread, info)
}

/// tkill(2): sends a signal to a thread.
#[SYSCALL_DEFINE2(tkill)]
pub fn tkill(task: &mut Task, pid: i32, sig: Signo) -> Result<()> {
    if pid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_specific(task, None, pid, task.own_signal(sig.0, SI_TKILL))
}

/// tgkill(2): sends a signal to a thread of a certain process.
#[SYSCALL_DEFINE3(tgkill)]
pub fn tgkill(task: &mut Task, tgid: i32, pid: i32, sig: Signo) -> Result<()> {
    if pid <= 0 || tgid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_specific(task, Some(tgid), pid, task.own_signal(sig.0, SI_TKILL))
}

/// Reads the siginfo that a program sends along (`__copy_siginfo_from_user`).
fn read_siginfo(task: &mut Task, sig: i32, uinfo: UserPtr<SiginfoT>) -> Result<SigInfo> {
    let short = uinfo.cast::<[u8; KERNEL_SIGINFO_SIZE]>().read(task)?;
    let mut bytes = [0; SIGINFO_SIZE];
    bytes[..KERNEL_SIGINFO_SIZE].copy_from_slice(&short);
    let info = SigInfo { signo: sig, ..SigInfo::from_bytes(&bytes) };
    // What the kernel can't keep of a code that it doesn't know has to be zero.
    let known = code::name(sig, info.code).is_some() || !valid_signal(sig);
    if !known && uinfo.read(task)?.0[KERNEL_SIGINFO_SIZE..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    Ok(info)
}

/// Nobody may pretend to be the kernel, or another's kill, towards others.
fn check_forged(task: &Task, pid: Pid, info: &SigInfo) -> Result<()> {
    let forged = info.code >= 0 || info.code == SI_TKILL;
    if forged && task.pid() != pid { Err(Errno::EPERM) } else { Ok(()) }
}

/// rt_sigqueueinfo(2): sends a signal with a siginfo to a process.
#[SYSCALL_DEFINE3(rt_sigqueueinfo)]
pub fn rt_sigqueueinfo(task: &mut Task, pid: i32, sig: Signo, uinfo: In<SiginfoT>) -> Result<()> {
    let info = read_siginfo(task, sig.0, *uinfo)?;
    check_forged(task, pid, &info)?;
    task.kill_group(&task.find_group(pid)?, info)
}

/// rt_tgsigqueueinfo(2): sends a signal with a siginfo to a thread.
#[SYSCALL_DEFINE4(rt_tgsigqueueinfo)]
pub fn rt_tgsigqueueinfo(task: &mut Task, tgid: i32, pid: i32, sig: Signo, uinfo: In<SiginfoT>) -> Result<()> {
    let info = read_siginfo(task, sig.0, *uinfo)?;
    if pid <= 0 || tgid <= 0 {
        return Err(Errno::EINVAL);
    }
    check_forged(task, pid, &info)?;
    send_specific(task, Some(tgid), pid, info)
}
