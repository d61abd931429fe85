//! Processes, groups, sessions: getpid(2), gettid(2), getppid(2), setpgid(2), setsid(2) and their kin.

use std::rc::Rc;

use callgate_abi::{Errno, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2};

use crate::kernel::Kernel;
use crate::task::{Pid, SignalStruct};
use crate::{Result, Task};

/// getpid(2): the process's id.
#[SYSCALL_DEFINE0(getpid)]
pub fn getpid(task: &mut Task) -> Pid {
    task.tgid()
}

/// gettid(2): the thread's id.
#[SYSCALL_DEFINE0(gettid)]
pub fn gettid(task: &mut Task) -> Pid {
    task.pid()
}

/// getppid(2): the parent's id, or 0 where there is none.
#[SYSCALL_DEFINE0(getppid)]
pub fn getppid(task: &mut Task) -> Pid {
    task.signal().parent.borrow().upgrade().map_or(0, |parent| parent.tgid)
}

impl Task {
    /// The process of a thread's id; 0 is the calling one.
    fn process_of(&self, pid: Pid) -> Result<Rc<SignalStruct>> {
        if pid == 0 {
            return Ok(Rc::clone(self.signal()));
        }
        let thread = || self.kernel.find_task(pid).map(|thread| Rc::clone(&thread.signal));
        self.kernel.find_process(pid).or_else(thread).ok_or(Errno::ESRCH)
    }
}

/// getpgid(2): the process group of a process.
#[SYSCALL_DEFINE1(getpgid)]
pub fn getpgid(task: &mut Task, pid: i32) -> Result<Pid> {
    Ok(task.process_of(pid)?.pgrp.get())
}

/// getpgrp(2): the calling process's group.
#[SYSCALL_DEFINE0(getpgrp)]
pub fn getpgrp(task: &mut Task) -> Pid {
    task.signal().pgrp.get()
}

/// getsid(2): the session of a process.
#[SYSCALL_DEFINE1(getsid)]
pub fn getsid(task: &mut Task, pid: i32) -> Result<Pid> {
    Ok(task.process_of(pid)?.session.get())
}

/// Whether a process has executed a program since it was forked.
fn has_executed(group: &SignalStruct) -> bool {
    group.threads.borrow().first().is_some_and(|thread| !thread.attr.borrow().forknoexec)
}

/// setpgid(2): moves a process to a process group of its session.
#[SYSCALL_DEFINE2(setpgid)]
pub fn setpgid(task: &mut Task, pid: i32, pgid: i32) -> Result<()> {
    let own = task.signal();
    let pid = if pid == 0 { own.tgid } else { pid };
    let pgid = if pgid == 0 { pid } else { pgid };
    if pgid < 0 {
        return Err(Errno::EINVAL);
    }
    let Some(target) = task.kernel.find_process(pid) else {
        return Err(if task.kernel.find_task(pid).is_some() { Errno::EINVAL } else { Errno::ESRCH });
    };
    let session = own.session.get();
    let parent = target.parent.borrow().upgrade();
    if parent.is_some_and(|parent| Rc::ptr_eq(&parent, own)) {
        if target.session.get() != session {
            return Err(Errno::EPERM);
        }
        if has_executed(&target) {
            return Err(Errno::EACCES);
        }
    } else if !Rc::ptr_eq(&target, own) {
        return Err(Errno::ESRCH);
    }
    if target.session.get() == target.tgid {
        return Err(Errno::EPERM);
    }
    let joins = |group: &Rc<SignalStruct>| group.pgrp.get() == pgid && group.session.get() == session;
    if pgid != pid && !task.kernel.processes().iter().any(joins) {
        return Err(Errno::EPERM);
    }
    target.pgrp.set(pgid);
    Ok(())
}

/// setsid(2): makes the process the leader of a new session and process group.
#[SYSCALL_DEFINE0(setsid)]
pub fn setsid(task: &mut Task) -> Result<Pid> {
    let own = task.signal();
    let id = own.tgid;
    let leads = own.session.get() == id;
    if leads || task.kernel.processes().iter().any(|group| group.pgrp.get() == id) {
        return Err(Errno::EPERM);
    }
    own.session.set(id);
    own.pgrp.set(id);
    Ok(id)
}

impl Kernel {
    /// Whether no process of a group has a parent in its session but outside the group: nobody is
    /// there to continue it once it is stopped (`is_orphaned_pgrp`).
    ///
    /// The first process's parent is whoever has started the machine, as a shell starts a job.
    pub fn is_orphaned_pgrp(&self, pgrp: Pid) -> bool {
        let first = self.init.borrow().upgrade();
        let is_first = |group: &Rc<SignalStruct>| first.as_ref().is_some_and(|first| Rc::ptr_eq(first, group));
        !self.processes().iter().any(|group| {
            let parent = group.parent.borrow().upgrade();
            let in_group = group.pgrp.get() == pgrp && group.exit_status.get().is_none();
            in_group
                && parent.map_or(is_first(group), |parent| {
                    parent.pgrp.get() != pgrp && parent.session.get() == group.session.get()
                })
        })
    }
}
