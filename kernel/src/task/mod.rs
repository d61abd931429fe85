//! Tasks: what runs.
//!
//! Linux keeps everything about a thread in one `task_struct` and shares parts of it by pointers:
//! `mm`, `files`, `fs`, `sighand`, `signal` (the thread group). So do we. [`Task`] is what only the
//! task itself touches; it is the context that every handler gets. [`TaskLink`] is what others may
//! see of it at any time: its state, its pending signals, its thread group.
//!
//! While a task runs, the machine owns its `Task`; while it waits, the `TaskLink` does.

pub mod arch;
pub mod exit;
pub mod fork;
mod init;
pub mod pid;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use callgate_abi::{Errno, PeekMemory, PtRegs, UserMemory};
use callgate_emulator::{Cpu, Privilege, seg};
use callgate_uapi::signal::{SigFields, SigInfo, SigSet};

use crate::PARKED;
use crate::fs::file::{FilesStruct, FsStruct};
use crate::kernel::Kernel;
use crate::mm::Mm;
use crate::sched::timer::Expiry;
use crate::sched::wait::WaitQueue;
use crate::sched::{StateCell, TaskState};
use crate::signal::{Pending, SighandStruct, SignalStack};
use crate::sys::cred::Cred;
use crate::sys::rlimit::Rlimits;

/// A process or thread id.
pub type Pid = i32;

/// A task: one thread of execution, and the context of its system calls (`task_struct`).
pub struct Task {
    /// The machine that it runs on.
    pub kernel: Rc<Kernel>,
    /// What others see of it.
    pub link: Rc<TaskLink>,
    /// Its processor state while it doesn't run on the core.
    pub cpu: Cpu,
    /// Its processor time up to now, in nanoseconds, or up to the turn that is on if time is counted and not instructions.
    pub cputime: u64,
    /// The user registers at kernel entry (`task_pt_regs`).
    pub regs: PtRegs,
    /// Set by whoever changes [`Task::regs`] other than `ax`: they are all written back.
    pub regs_changed: bool,
    /// Address space.
    pub mm: Rc<RefCell<Mm>>,
    /// Open files.
    pub files: Rc<RefCell<FilesStruct>>,
    /// Root, working directory, umask.
    pub fs: Rc<RefCell<FsStruct>>,
    /// Signal actions.
    pub sighand: Rc<RefCell<SighandStruct>>,
    /// Blocked signals.
    pub blocked: SigSet,
    /// The mask to restore when a handler has run (`saved_sigmask`), after sigsuspend and its kin.
    pub saved_sigmask: Option<SigSet>,
    /// Alternate signal stack.
    pub sigaltstack: SignalStack,
    /// Credentials.
    pub cred: Cred,
    /// What a parked or restarted call remembers.
    pub restart: Restart,
    /// Where to write 0 and wake a futex on exit (set_tid_address(2)).
    pub clear_child_tid: u64,
    /// Frames of the kernel stack; empty on the direct route.
    pub(crate) kernel_stack: crate::entry::image::KernelStack,
    /// The parked system call, to be run again (direct route).
    pub(crate) parked: Option<crate::entry::ParkedCall>,
}

/// What a call that was parked knows when its handler is run again. Cleared when the call ends.
#[derive(Default)]
pub struct Restart {
    /// The handler has been run before: it was parked.
    pub again: bool,
    /// When the wait ends (monotonic clock).
    pub deadline: Option<Duration>,
    /// What has been done already, in the call's own units (bytes, mostly).
    pub progress: usize,
    /// The child that a vfork waits for.
    pub vfork: Option<Rc<VforkDone>>,
    /// Anything else that a call must remember.
    pub state: Option<Box<dyn std::any::Any>>,
}

/// What vfork(2) waits on: the child has left the shared address space.
#[derive(Default, Debug)]
pub struct VforkDone {
    /// The child's id as its parent sees it.
    pub pid: Cell<Pid>,
    /// The child has called execve or has exited.
    pub done: Cell<bool>,
    /// Where the parent waits.
    pub wait: WaitQueue,
}

/// The part of a task that other tasks may see and touch while it runs or waits.
pub struct TaskLink {
    /// The thread's id.
    pub pid: Pid,
    /// Its thread group.
    pub signal: Rc<SignalStruct>,
    /// Where it stands with the scheduler.
    pub state: StateCell,
    /// Signals for this thread alone.
    pub pending: RefCell<Pending>,
    /// A copy of the blocked set, for who sends signals.
    pub blocked: Cell<SigSet>,
    /// Its signal actions, for who sends signals.
    pub sighand: RefCell<Weak<RefCell<SighandStruct>>>,
    /// The name that `ps` shows: 15 bytes at most.
    pub comm: RefCell<String>,
    /// What prctl(2), personality(2) and the scheduling calls set.
    pub attr: RefCell<crate::sys::attributes::Attributes>,
    /// Its address space, for /proc.
    pub mm: RefCell<Weak<RefCell<Mm>>>,
    /// Its open files, for /proc.
    pub files: RefCell<Weak<RefCell<FilesStruct>>>,
    /// Its root and working directory, for /proc.
    pub fs: RefCell<Weak<RefCell<FsStruct>>>,
    /// Wakes the parent of a vfork when the address space is left.
    pub(crate) vfork_done: RefCell<Option<Rc<VforkDone>>>,
    /// The task itself, while it doesn't run.
    pub(crate) body: RefCell<Option<Box<Task>>>,
    pub(crate) kernel: Weak<Kernel>,
}

/// A thread group: what its threads share about themselves (`signal_struct`).
#[derive(Default)]
pub struct SignalStruct {
    /// The group's id: the process id.
    pub tgid: Pid,
    /// Process group.
    pub pgrp: Cell<Pid>,
    /// Session.
    pub session: Cell<Pid>,
    /// The parent; dangling for the first process.
    pub parent: RefCell<Weak<SignalStruct>>,
    /// Children, dead ones included until they are waited for.
    pub children: RefCell<Vec<Rc<SignalStruct>>>,
    /// Threads that have not exited.
    pub threads: RefCell<Vec<Rc<TaskLink>>>,
    /// Signals for the group.
    pub shared_pending: RefCell<Pending>,
    /// The status of wait(2), once the last thread has exited.
    pub exit_status: Cell<Option<i32>>,
    /// The status that exit_group or a fatal signal has decided on.
    pub group_exit: Cell<Option<i32>>,
    /// The signal that stopped the group, not yet reported by wait(2).
    pub stopped: Cell<Option<i32>>,
    /// SIGCONT arrived, not yet reported by wait(2).
    pub continued: Cell<bool>,
    /// What the parent is sent on exit: SIGCHLD, or what clone(2) was told.
    pub exit_signal: Cell<i32>,
    /// Where wait4(2) waits for this group's children (`wait_chldexit`).
    pub wait_chldexit: WaitQueue,
    /// Orphaned descendants become children of this process (PR_SET_CHILD_SUBREAPER).
    pub child_subreaper: Cell<bool>,
    /// Resource limits.
    pub rlimits: RefCell<Rlimits>,
    /// Real user id, for who waits or signals.
    pub uid: Cell<u32>,
    /// Processor time of threads that have exited, in nanoseconds.
    pub cputime: Cell<u64>,
    /// That of children that were waited for.
    pub child_cputime: Cell<u64>,
    /// Start, on the monotonic clock.
    pub start_time: Duration,
    /// ITIMER_REAL and alarm(2): deadline, interval, and a generation that outdates old timers.
    pub itimer_real: Cell<(Option<Duration>, Duration, u64)>,
    /// ITIMER_VIRTUAL and ITIMER_PROF.
    pub itimer_cpu: Cell<[crate::time::itimer::Timer; 2]>,
}

impl Restart {
    /// Forgets everything: the call has ended.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.again || self.progress != 0 || self.deadline.is_some() || self.state.is_some() {
            *self = Restart::default();
        }
    }
}

impl TaskLink {
    /// The kernel; it outlives its tasks.
    pub fn kernel(&self) -> Option<Rc<Kernel>> {
        self.kernel.upgrade()
    }

    /// Puts a parked task back on the run queue. Nothing happens to one that runs, is stopped or dead.
    pub fn wake(self: &Rc<Self>) {
        if matches!(self.state.get(), TaskState::Interruptible | TaskState::Killable) {
            self.make_runnable();
        }
    }

    /// Wakes it for a signal: a parked task if signals may interrupt it.
    pub fn wake_for_signal(self: &Rc<Self>, kill: bool) {
        match self.state.get() {
            TaskState::Interruptible => self.make_runnable(),
            TaskState::Killable | TaskState::Stopped if kill => self.make_runnable(),
            _ => {}
        }
    }

    pub(crate) fn make_runnable(self: &Rc<Self>) {
        self.state.set(TaskState::Running);
        if let Some(kernel) = self.kernel() {
            kernel.run_queue.push(Rc::clone(self));
        }
    }
}

impl Task {
    /// The thread's id (gettid(2)).
    pub fn pid(&self) -> Pid {
        self.link.pid
    }

    /// The process's id (getpid(2)).
    pub fn tgid(&self) -> Pid {
        self.link.signal.tgid
    }

    /// The thread group.
    pub fn signal(&self) -> &Rc<SignalStruct> {
        &self.link.signal
    }

    /// Parks the running call: registers the task on `queues` and, with a deadline, on the timers.
    ///
    /// The handler returns the errno that this gives: [`PARKED`] (its handler is run again when
    /// woken), ERESTARTSYS where an unblocked signal is pending, or ETIMEDOUT where the deadline has
    /// passed. A handler checks its condition before it calls this.
    pub fn wait_on(&mut self, queues: &[&WaitQueue], deadline: Option<Duration>) -> Errno {
        if self.signal_pending() {
            return Errno::ERESTARTSYS;
        }
        self.park(queues, deadline, TaskState::Interruptible)
    }

    /// The same, but only SIGKILL interrupts the wait.
    pub fn wait_on_killable(&mut self, queues: &[&WaitQueue]) -> Errno {
        if self.fatal_signal_pending() {
            return Errno::ERESTARTSYS;
        }
        self.park(queues, None, TaskState::Killable)
    }

    fn park(&mut self, queues: &[&WaitQueue], deadline: Option<Duration>, state: TaskState) -> Errno {
        if let Some(deadline) = deadline {
            if self.kernel.clock.monotonic() >= deadline {
                return Errno::ETIMEDOUT;
            }
            self.kernel.timers.add(deadline, Expiry::Wake(Rc::downgrade(&self.link)));
        }
        for queue in queues {
            queue.add(&self.link);
        }
        self.link.state.set(state);
        PARKED
    }

    /// The deadline of the running call: `duration` from its first run on, the same when run again.
    pub fn deadline_after(&mut self, duration: Duration) -> Duration {
        let now = self.kernel.clock.monotonic();
        *self.restart.deadline.get_or_insert_with(|| now.saturating_add(duration))
    }

    /// Sets the name that `ps` shows, cut to 15 bytes.
    pub fn set_comm(&mut self, name: &str) {
        let mut end = name.len().min(15);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        *self.link.comm.borrow_mut() = name[..end].to_owned();
    }

    /// The FS base that user code sees.
    pub fn user_fs_base(&self) -> u64 {
        self.cpu.seg[seg::FS].base
    }

    /// The GS base that user code sees: swapped away while the core is in ring 0.
    pub fn user_gs_base(&self) -> u64 {
        if self.cpu.cpl == 0 { self.cpu.msr.kernel_gs_base } else { self.cpu.seg[seg::GS].base }
    }

    /// Sets the FS base of user code.
    pub fn set_user_fs_base(&mut self, base: u64) {
        self.cpu.seg[seg::FS].base = base;
    }

    /// Sets the GS base of user code.
    pub fn set_user_gs_base(&mut self, base: u64) {
        if self.cpu.cpl == 0 {
            self.cpu.msr.kernel_gs_base = base;
        } else {
            self.cpu.seg[seg::GS].base = base;
        }
    }

    /// Sends a signal that the running code has caused and that it can't block or ignore
    /// (`force_sig_info`).
    pub fn force_fault(&mut self, signo: i32, code: i32, addr: u64) {
        self.force_signal(SigInfo { signo, errno: 0, code, fields: SigFields::Fault { addr } });
    }
}

impl UserMemory for Task {
    fn copy_from_user(&mut self, dst: &mut [u8], src: u64) -> Result<(), usize> {
        let mut done = 0;
        let mut mm = self.mm.borrow_mut();
        loop {
            let addr = src.wrapping_add(done as u64);
            match mm.space.read(addr, &mut dst[done..], Privilege::User) {
                Ok(()) => return Ok(()),
                Err(partial) => {
                    done += partial.done;
                    if mm.handle_fault(partial.fault.address, crate::mm::Access::READ).is_err() {
                        return Err(dst.len() - done);
                    }
                }
            }
        }
    }

    fn copy_to_user(&mut self, dst: u64, src: &[u8]) -> Result<(), usize> {
        let mut done = 0;
        let mut mm = self.mm.borrow_mut();
        loop {
            let addr = dst.wrapping_add(done as u64);
            match mm.space.write(addr, &src[done..], Privilege::User) {
                Ok(()) => return Ok(()),
                Err(partial) => {
                    done += partial.done;
                    if mm.handle_fault(partial.fault.address, crate::mm::Access::WRITE).is_err() {
                        return Err(src.len() - done);
                    }
                }
            }
        }
    }
}

impl PeekMemory for Task {
    fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        // While a handler holds the address space, nothing can be read; a trace then shows the address.
        self.mm.try_borrow().map_or(0, |mm| mm.space.peek(addr, buf))
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task({} {})", self.pid(), self.link.comm.borrow())
    }
}
