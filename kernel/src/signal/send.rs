//! Sending: from a signal to the thread that will take it.
//!
//! Linux first does what must happen at once (SIGCONT wakes, stop signals and SIGCONT cancel each
//! other), then drops the signal if it is ignored and not blocked, queues it on the thread or the
//! group, and wakes a thread that doesn't block it. Everything else waits until that thread is on its
//! way back to user mode.

use std::cell::RefCell;
use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::resource::RLIMIT_SIGPENDING;
use callgate_uapi::signal::code::{CLD_CONTINUED, CLD_STOPPED, SI_USER};
use callgate_uapi::signal::{
    SIG_DFL, SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGRTMIN, SIGSEGV, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SaFlags,
    SigAction, SigFields, SigInfo, SigSet,
};

use super::sighand::SighandStruct;
use crate::kernel::Kernel;
use crate::sched::TaskState;
use crate::task::{SignalStruct, TaskLink};
use crate::{Result, Task};

/// The signals that stop a process by default.
const STOP_SIGNALS: SigSet = SigSet::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);

/// Sends a signal to one thread.
///
/// # Errors
/// EAGAIN if a real-time signal's queue is full.
pub fn send_signal_info(target: &Rc<TaskLink>, info: SigInfo) -> Result<()> {
    send(&target.signal, Some(target), info)
}

/// Sends a signal to a thread group; a zombie takes none.
pub fn send_group_signal(_kernel: &Kernel, group: &Rc<SignalStruct>, info: SigInfo) {
    // A full queue concerns real-time signals with a value, which no caller of this sends.
    let _ = send(group, None, info);
}

/// Sends a signal to a thread group.
///
/// # Errors
/// EAGAIN if a real-time signal's queue is full.
pub(super) fn send(group: &Rc<SignalStruct>, thread: Option<&Rc<TaskLink>>, info: SigInfo) -> Result<()> {
    let sig = info.signo;
    let Some(first) = thread.cloned().or_else(|| group.threads.borrow().first().cloned()) else {
        return Ok(());
    };
    if group.group_exit.get().is_some() {
        return Ok(());
    }
    prepare(group, sig);
    let action = first.action(sig);
    if sig != SIGKILL && sig != SIGSTOP && action.ignores(sig) && !first.blocked.get().contains(sig) {
        return Ok(());
    }
    {
        let queue = if thread.is_some() { &first.pending } else { &group.shared_pending };
        let mut queue = queue.borrow_mut();
        let full = queue.len() as u64 >= group.rlimit(RLIMIT_SIGPENDING);
        if full && sig >= SIGRTMIN && info.code != SI_USER {
            return Err(Errno::EAGAIN);
        }
        if !full || !queue.set().contains(sig) {
            queue.push(info);
        }
    }
    let candidates = match thread {
        Some(thread) => vec![Rc::clone(thread)],
        None => group.threads.borrow().clone(),
    };
    if let Some(taker) = candidates.iter().find(|t| t.wants_signal(sig)) {
        taker.wake_for_signal(sig == SIGKILL || action.is_fatal(sig));
    }
    Ok(())
}

/// What a signal does at once, whether or not it is delivered (`prepare_signal`).
fn prepare(group: &Rc<SignalStruct>, sig: i32) {
    if STOP_SIGNALS.contains(sig) {
        flush(group, SigSet::of(&[SIGCONT]));
    } else if sig == SIGCONT {
        flush(group, STOP_SIGNALS);
        let threads = group.threads.borrow().clone();
        let mut was_stopped = false;
        for thread in &threads {
            thread.pending.borrow_mut().stop = None;
            if thread.state.get() == TaskState::Stopped {
                was_stopped = true;
                thread.make_runnable();
            }
        }
        if was_stopped {
            group.stopped.set(None);
            group.continued.set(true);
            notify_parent(group, CLD_CONTINUED, SIGCONT);
        }
    }
}

/// Drops signals that are pending anywhere in a group.
pub(super) fn flush(group: &SignalStruct, set: SigSet) {
    group.shared_pending.borrow_mut().flush(set);
    for thread in group.threads.borrow().iter() {
        thread.pending.borrow_mut().flush(set);
    }
}

/// Tells the parent that a group was stopped or has continued (`do_notify_parent_cldstop`).
fn notify_parent(group: &SignalStruct, code: i32, status: i32) {
    let Some(parent) = group.parent.borrow().upgrade() else { return };
    let action = parent.action(SIGCHLD);
    if action.handler != SIG_IGN && !action.flags().contains(SaFlags::SA_NOCLDSTOP) {
        let fields = SigFields::Child { pid: group.tgid, uid: group.uid.get(), status };
        // SIGCHLD is no real-time signal: its queue is never full.
        let _ = send(&parent, None, SigInfo { signo: SIGCHLD, errno: 0, code, fields });
    }
    parent.wait_chldexit.wake_all();
}

impl TaskLink {
    /// What the thread does on `sig`.
    pub fn action(&self, sig: i32) -> SigAction {
        self.sighand.borrow().upgrade().map_or_else(SigAction::default, |sighand| sighand.borrow().get(sig))
    }

    /// Whether the thread would take `sig` now.
    fn wants_signal(&self, sig: i32) -> bool {
        let blocked = self.blocked.get() & !self.pending.borrow().waited;
        match self.state.get() {
            TaskState::Dead => false,
            TaskState::Stopped => sig == SIGKILL,
            _ => sig == SIGKILL || !blocked.contains(sig),
        }
    }
}

impl SignalStruct {
    /// What the group does on `sig`; the default once all its threads are gone.
    pub fn action(&self, sig: i32) -> SigAction {
        self.threads.borrow().first().map_or_else(SigAction::default, |thread| thread.action(sig))
    }

    /// Records that a thread has stopped; the parent is told when all have.
    pub(super) fn thread_stopped(&self, sig: i32) {
        let all = self.threads.borrow().iter().all(|t| matches!(t.state.get(), TaskState::Stopped | TaskState::Dead));
        if all {
            self.continued.set(false);
            self.stopped.set(Some(sig));
            notify_parent(self, CLD_STOPPED, sig);
        }
    }
}

impl Kernel {
    /// Whether a group's children leave no zombies: SIGCHLD is ignored, or SA_NOCLDWAIT is set.
    pub fn ignores_children(&self, group: &SignalStruct) -> bool {
        let action = group.action(SIGCHLD);
        action.handler == SIG_IGN || action.flags().contains(SaFlags::SA_NOCLDWAIT)
    }
}

impl Task {
    /// Whether a signal waits that will interrupt the running call: an unblocked one, a stop of the
    /// group, or the group's end.
    pub fn signal_pending(&self) -> bool {
        let pending = self.link.pending.borrow();
        let signals = pending.set() | self.signal().shared_pending.borrow().set();
        !(signals & !self.blocked).is_empty() || pending.stop.is_some() || self.signal().group_exit.get().is_some()
    }

    /// Whether a signal waits that will end the task.
    pub fn fatal_signal_pending(&self) -> bool {
        if self.signal().group_exit.get().is_some() {
            return true;
        }
        let pending = self.link.pending.borrow().set() | self.signal().shared_pending.borrow().set();
        let ready = pending & !self.blocked;
        pending.contains(SIGKILL)
            || (!ready.is_empty() && {
                let sighand = self.sighand.borrow();
                ready.iter().any(|sig| sighand.get(sig).is_fatal(sig))
            })
    }

    /// Replaces the set of blocked signals. SIGKILL and SIGSTOP never are.
    pub fn set_blocked(&mut self, set: SigSet) {
        let set = set & !SigSet::UNBLOCKABLE;
        let newly_blocked = set & !self.blocked;
        self.blocked = set;
        self.link.blocked.set(set);
        // A signal for the group that this thread was woken for: another one may take it now.
        let orphaned = self.signal().shared_pending.borrow().set() & newly_blocked;
        if !orphaned.is_empty() {
            let threads = self.signal().threads.borrow().clone();
            for thread in threads.iter().filter(|t| t.pid != self.pid()) {
                if !(orphaned & !thread.blocked.get()).is_empty() {
                    thread.wake_for_signal(false);
                }
            }
        }
    }

    /// Sends a signal to the task itself, from the kernel, as SIGPIPE is.
    pub fn send_signal(&mut self, sig: i32) {
        // The kernel's own signals are no real-time ones: the queue is never full.
        let _ = send_signal_info(&self.link, SigInfo::kernel(sig));
    }

    /// Sends a signal that the running code has caused and can't escape: if it is blocked or
    /// ignored, its action becomes the default (`force_sig_info`).
    pub fn force_signal(&mut self, info: SigInfo) {
        let sig = info.signo;
        let blocked = self.blocked.contains(sig);
        {
            let mut sighand = self.sighand.borrow_mut();
            let action = sighand.get(sig);
            if blocked || action.handler == SIG_IGN {
                sighand.set(sig, SigAction { handler: SIG_DFL, ..action });
            }
        }
        if blocked {
            let mut set = self.blocked;
            set.remove(sig);
            self.set_blocked(set);
        }
        self.link.pending.borrow_mut().push(info);
    }

    /// Sends a child the signal that it wants when its parent, this task's process, ends
    /// (PR_SET_PDEATHSIG).
    pub(crate) fn send_pdeath_signal(&self, child: &Rc<SignalStruct>) {
        let threads = child.threads.borrow().clone();
        for signo in threads.iter().map(|thread| thread.attr.borrow().pdeath_signal).filter(|&sig| sig != 0) {
            let fields = SigFields::Kill { pid: self.tgid(), uid: self.cred.uid, value: 0 };
            send_group_signal(&self.kernel, child, SigInfo { signo, errno: 0, code: SI_USER, fields });
        }
    }

    /// Ends the program by SIGSEGV because the frame of `sig` could not be written or read
    /// (`force_sigsegv`). If `sig` is SIGSEGV itself, its handler is not tried again.
    pub(super) fn force_sigsegv(&mut self, sig: i32) {
        if sig == SIGSEGV {
            self.sighand.borrow_mut().set(SIGSEGV, SigAction::default());
        }
        self.force_signal(SigInfo::kernel(SIGSEGV));
    }

    /// What execve(2) does to signal actions: handlers go with the old program. A table that is
    /// shared with another process stays with that one.
    pub fn flush_signal_handlers(&mut self) {
        if Rc::strong_count(&self.sighand) > 1 {
            let own: SighandStruct = self.sighand.borrow().clone();
            self.sighand = Rc::new(RefCell::new(own));
            *self.link.sighand.borrow_mut() = Rc::downgrade(&self.sighand);
        }
        self.sighand.borrow_mut().flush_handlers();
        self.link.attr.borrow_mut().exec();
    }
}
