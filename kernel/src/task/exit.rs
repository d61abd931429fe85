//! The end of tasks: exit(2), exit_group(2), and wait4(2) for who asks.
//!
//! Linux's `do_exit` lets go of everything the task held, gives its children to another parent, and
//! leaves a zombie with a status until the parent has waited for it. So do we.
//!
//! Quirks: orphans go to the first process, and if that is gone nobody waits for them: they vanish
//! when they exit. When the first process exits, the machine goes on
//! until its last task has ended, as a shell's pipeline would, and the status is the first's.

use std::rc::Rc;

use callgate_abi::{Exited, SYSCALL_DEFINE1, SYSCALL_DEFINE4, SYSCALL_DEFINE5, UserMemory, UserMut};
use callgate_uapi::resource::Rusage;
use callgate_uapi::signal::{SigFields, SigInfo, SiginfoT};
use callgate_uapi::wait::WaitOptions;

use super::{Pid, SignalStruct, Task};
use crate::sched::TaskState;
use crate::sys::rusage;
use crate::{Errno, Kernel, Result};

const SIGCHLD: i32 = 17;
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
const CLD_STOPPED: i32 = 5;
const CLD_CONTINUED: i32 = 6;
/// The status of a child that was continued.
const CONTINUED_STATUS: i32 = 0xffff;

/// exit(2), the system call: ends the calling thread.
#[SYSCALL_DEFINE1(exit)]
pub fn exit(task: &mut Task, error_code: i32) -> Exited {
    task.do_exit((error_code & 0xff) << 8);
    Exited
}

/// exit_group(2): ends all threads of the process.
#[SYSCALL_DEFINE1(exit_group)]
pub fn exit_group(task: &mut Task, error_code: i32) -> Exited {
    task.do_group_exit((error_code & 0xff) << 8);
    Exited
}

impl Task {
    /// Ends all threads of the process with a status as wait(2) tells it.
    pub fn do_group_exit(&mut self, wait_status: i32) {
        let status = self.signal().group_exit.get().unwrap_or(wait_status);
        self.signal().group_exit.set(Some(status));
        for thread in self.signal().threads.borrow().iter() {
            thread.wake_for_signal(true);
        }
        self.do_exit(status);
    }

    /// Ends the other threads of the process, as execve does.
    pub(crate) fn kill_other_threads(&mut self) {
        let others: Vec<_> = self.signal().threads.borrow().iter().filter(|t| t.pid != self.pid()).cloned().collect();
        for thread in others {
            // No other thread runs while this one does: each of them is in its link.
            let body = thread.body.borrow_mut().take();
            if let Some(mut body) = body {
                body.do_exit(0);
            }
        }
    }

    /// Ends this thread.
    pub(crate) fn do_exit(&mut self, wait_status: i32) {
        if self.link.state.get() == TaskState::Dead {
            return;
        }
        self.kernel.observe(|observer| observer.exit(self, wait_status));
        self.leave_mm();
        self.unmap_kernel();
        self.link.state.set(TaskState::Dead);
        self.parked = None;
        let kernel = Rc::clone(&self.kernel);
        // Dropped here and not with the task: readers of its pipes must see the end now.
        let files = std::mem::take(&mut self.files);
        self.files = Rc::default();
        if Rc::strong_count(&files) == 1 {
            let open = files.borrow().descriptors();
            for fd in open {
                let file = files.borrow_mut().remove(fd);
                if let Ok(file) = file {
                    crate::fs::file::filp_close(self, file);
                }
            }
        }
        drop(files);
        let signal = Rc::clone(self.signal());
        signal.threads.borrow_mut().retain(|thread| thread.pid != self.pid());
        kernel.pids.remove_task(self.pid());
        signal.cputime.set(signal.cputime.get() + self.own_cputime());
        if signal.threads.borrow().is_empty() {
            let status = signal.group_exit.get().unwrap_or(wait_status);
            exit_notify(self, &signal, status);
        }
    }

    /// Leaves the address space: tells a vfork parent and whoever joins the thread (`mm_release`).
    pub(crate) fn leave_mm(&mut self) {
        crate::futex::exit_robust_list(self);
        if self.clear_child_tid != 0 {
            let word = std::mem::take(&mut self.clear_child_tid);
            if Rc::strong_count(&self.mm) > 1 && self.copy_to_user(word, &[0; 4]).is_ok() {
                crate::futex::wake_at(self, word, 1);
            }
        }
        if let Some(vfork) = self.link.vfork_done.borrow_mut().take() {
            vfork.done.set(true);
            vfork.wait.wake_all();
        }
    }
}

/// Who waits for the children of a process that ends: the nearest ancestor that has asked for that
/// (PR_SET_CHILD_SUBREAPER), else the first process.
fn find_new_reaper(kernel: &Kernel, signal: &Rc<SignalStruct>) -> Option<Rc<SignalStruct>> {
    let mut ancestor = signal.parent.borrow().upgrade();
    while let Some(process) = ancestor {
        if process.child_subreaper.get() && process.exit_status.get().is_none() {
            return Some(process);
        }
        ancestor = process.parent.borrow().upgrade();
    }
    let init = kernel.init.borrow().upgrade();
    init.filter(|init| !Rc::ptr_eq(init, signal) && init.exit_status.get().is_none())
}

/// Gives away the children, tells the parent, and leaves a zombie or nothing.
fn exit_notify(task: &mut Task, signal: &Rc<SignalStruct>, status: i32) {
    let kernel = Rc::clone(&task.kernel);
    let init = find_new_reaper(&kernel, signal);
    for child in signal.children.borrow_mut().drain(..) {
        let dead = child.exit_status.get().is_some();
        task.send_pdeath_signal(&child);
        match &init {
            Some(init) => {
                *child.parent.borrow_mut() = Rc::downgrade(init);
                child.exit_signal.set(SIGCHLD);
                init.children.borrow_mut().push(Rc::clone(&child));
                if dead {
                    notify_parent(&kernel, init, &child, exit_info(&child));
                }
            }
            None if dead => kernel.pids.remove_group(child.tgid),
            None => *child.parent.borrow_mut() = std::rc::Weak::new(),
        }
    }
    signal.exit_status.set(Some(status));
    let parent = signal.parent.borrow().upgrade().filter(|parent| parent.exit_status.get().is_none());
    let Some(parent) = parent else {
        kernel.pids.remove_group(signal.tgid);
        return;
    };
    let reaped = signal.exit_signal.get() == SIGCHLD && kernel.ignores_children(&parent);
    if reaped {
        parent.children.borrow_mut().retain(|child| !Rc::ptr_eq(child, signal));
        kernel.pids.remove_group(signal.tgid);
    }
    notify_parent(&kernel, &parent, signal, exit_info(signal));
}

fn notify_parent(kernel: &Kernel, parent: &Rc<SignalStruct>, child: &SignalStruct, (code, status): (i32, i32)) {
    let signo = child.exit_signal.get();
    if signo != 0 {
        let fields = SigFields::Child { pid: child.tgid, uid: child.uid.get(), status };
        crate::signal::send_group_signal(kernel, parent, SigInfo { signo, errno: 0, code, fields });
    }
    parent.wait_chldexit.wake_all();
}

/// si_code and si_status of a status.
fn exit_info(child: &SignalStruct) -> (i32, i32) {
    decode(child.exit_status.get().unwrap_or(0))
}

fn decode(status: i32) -> (i32, i32) {
    match status {
        CONTINUED_STATUS => (CLD_CONTINUED, 18),
        _ if status & 0xff == 0x7f => (CLD_STOPPED, status >> 8 & 0xff),
        _ if status & 0x7f == 0 => (CLD_EXITED, status >> 8 & 0xff),
        _ if status & 0x80 != 0 => (CLD_DUMPED, status & 0x7f),
        _ => (CLD_KILLED, status & 0x7f),
    }
}

/// Which children a wait is about.
#[derive(Clone, Copy)]
enum Which {
    Any,
    Process(Pid),
    Group(Pid),
}

/// A child's news.
struct Event {
    pid: Pid,
    uid: u32,
    status: i32,
    usage: Rusage,
}

/// Finds a child with news, or the errno to return: ECHILD without children, PARKED to wait on.
fn do_wait(task: &mut Task, which: Which, options: WaitOptions) -> Result<Option<Event>> {
    let signal = Rc::clone(task.signal());
    let mut any = false;
    let children = signal.children.borrow().clone();
    for child in &children {
        let wanted = match which {
            Which::Any => true,
            Which::Process(pid) => child.tgid == pid,
            Which::Group(pgrp) => child.pgrp.get() == pgrp,
        };
        let clone_child = child.exit_signal.get() != SIGCHLD;
        let kind = options.contains(WaitOptions::__WALL) || clone_child == options.contains(WaitOptions::__WCLONE);
        if !wanted || !kind {
            continue;
        }
        any = true;
        let keep = options.contains(WaitOptions::WNOWAIT);
        let event = |status| Event {
            pid: child.tgid,
            uid: child.uid.get(),
            status,
            usage: rusage::of_cputime(child.cputime.get() + child.child_cputime.get()),
        };
        if let Some(status) = child.exit_status.get() {
            if !options.contains(WaitOptions::WEXITED) {
                continue;
            }
            let event = event(status);
            if !keep {
                let used = child.cputime.get() + child.child_cputime.get();
                signal.child_cputime.set(signal.child_cputime.get() + used);
                signal.children.borrow_mut().retain(|other| !Rc::ptr_eq(other, child));
                task.kernel.pids.remove_group(child.tgid);
            }
            return Ok(Some(event));
        }
        if let Some(signo) = child.stopped.get().filter(|_| options.contains(WaitOptions::WSTOPPED)) {
            if !keep {
                child.stopped.set(None);
            }
            return Ok(Some(event(signo << 8 | 0x7f)));
        }
        if child.continued.get() && options.contains(WaitOptions::WCONTINUED) {
            child.continued.set(keep);
            return Ok(Some(event(CONTINUED_STATUS)));
        }
    }
    if !any {
        return Err(Errno::ECHILD);
    }
    if options.contains(WaitOptions::WNOHANG) {
        return Ok(None);
    }
    Err(task.wait_on(&[&signal.wait_chldexit], None))
}

/// wait4(2): waits for a child to change state and returns its id.
#[SYSCALL_DEFINE4(wait4)]
pub fn wait4(
    task: &mut Task,
    upid: i32,
    stat_addr: UserMut<i32>,
    options: WaitOptions,
    ru: UserMut<Rusage>,
) -> Result<Pid> {
    let known = WaitOptions::WNOHANG
        | WaitOptions::WSTOPPED
        | WaitOptions::WCONTINUED
        | WaitOptions::__WNOTHREAD
        | WaitOptions::__WALL
        | WaitOptions::__WCLONE;
    if options.bits() & !known.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match upid {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(task.signal().pgrp.get()),
        pid if pid > 0 => Which::Process(pid),
        pgrp => Which::Group(-pgrp),
    };
    let Some(event) = do_wait(task, which, options | WaitOptions::WEXITED)? else { return Ok(0) };
    if !stat_addr.is_null() {
        stat_addr.write(task, &event.status)?;
    }
    if !ru.is_null() {
        ru.write(task, &event.usage)?;
    }
    Ok(event.pid)
}

/// waitid(2): the same, with the news in a siginfo_t.
#[SYSCALL_DEFINE5(waitid)]
pub fn waitid(
    task: &mut Task,
    which: i32,
    upid: i32,
    infop: UserMut<SiginfoT>,
    options: WaitOptions,
    ru: UserMut<Rusage>,
) -> Result<()> {
    let kinds = WaitOptions::WEXITED | WaitOptions::WSTOPPED | WaitOptions::WCONTINUED;
    if options.bits() & !WaitOptions::all().bits() != 0 || !options.intersects(kinds) {
        return Err(Errno::EINVAL);
    }
    let which = match which {
        0 => Which::Any,
        1 if upid > 0 => Which::Process(upid),
        2 if upid == 0 => Which::Group(task.signal().pgrp.get()),
        2 if upid > 0 => Which::Group(upid),
        3 if upid >= 0 => return Err(Errno::EBADF),
        _ => return Err(Errno::EINVAL),
    };
    let event = do_wait(task, which, options)?;
    let mut info = [0u8; 28];
    if let Some(event) = &event {
        if !ru.is_null() {
            ru.write(task, &event.usage)?;
        }
        let (code, status) = decode(event.status);
        for (at, value) in [(0, SIGCHLD), (8, code), (12, event.pid), (16, event.uid as i32), (20, status)] {
            info[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        // si_signo si_errno si_code, a gap of 4, then pid uid status.
        info.copy_within(12..24, 16);
        info[12..16].fill(0);
    }
    if !infop.is_null() {
        task.copy_to_user(infop.addr(), &info).map_err(|_| Errno::EFAULT)?;
    }
    Ok(())
}
