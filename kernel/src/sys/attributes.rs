//! What a task can set about itself that is neither memory, files, signals nor credentials: the
//! knobs of prctl(2), personality(2), and scheduling.

use callgate_abi::PtRegs;
use callgate_uapi::signal::SigSet;

use crate::signal::restart::RestartBlock;

/// Attributes of one task. Others may read and change some: they are on its
/// [`TaskLink`](crate::task::TaskLink).
#[derive(Clone, Debug)]
pub struct Attributes {
    /// personality(2).
    pub personality: u32,
    /// The signal to send to this task when its parent ends (PR_SET_PDEATHSIG); 0 is none.
    pub pdeath_signal: i32,
    /// Whether it may dump core and be traced (PR_SET_DUMPABLE).
    pub dumpable: bool,
    /// execve gives no new privileges (PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// Nanoseconds by which a timer may be late (PR_SET_TIMERSLACK). Ours are as exact as the host.
    pub timer_slack: u64,
    /// The nice value, -20 to 19.
    pub nice: i32,
    /// SCHED_OTHER and so on. Every task gets the same time slices, whatever this says.
    pub policy: u32,
    /// The priority under a real-time policy.
    pub rt_priority: i32,
    /// Policy and niceness are not inherited.
    pub reset_on_fork: bool,
    /// No program was executed since the fork (PF_FORKNOEXEC): the parent may still move the child to
    /// another process group.
    pub forknoexec: bool,
    /// The head of the list of robust futexes.
    pub robust_list: u64,
    /// What the last exception in user mode was: it goes into signal frames.
    pub last_fault: LastFault,
    /// How restart_syscall(2) continues the interrupted call.
    pub restart_block: Option<RestartBlock>,
    /// The call in which the task was stopped.
    pub(crate) stopped_call: Option<StoppedCall>,
}

/// A call that was interrupted by a stop signal: what is to be undone when a handler runs first.
#[derive(Clone, Debug)]
pub(crate) struct StoppedCall {
    /// The registers, with the restart code in `ax`.
    pub(crate) regs: PtRegs,
    /// The temporary signal mask, where the call has set one.
    pub(crate) sigmask: Option<SigSet>,
}

/// An exception: `trap_nr`, `error_code` and `cr2` of Linux's `thread_struct`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFault {
    /// The vector.
    pub vector: u64,
    /// The error code that the processor pushed, or 0.
    pub error_code: u64,
    /// The address, after a page fault.
    pub cr2: u64,
}

/// A timer's slack unless PR_SET_TIMERSLACK says otherwise.
pub const DEFAULT_TIMER_SLACK: u64 = 50_000;

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            personality: 0,
            pdeath_signal: 0,
            dumpable: true,
            no_new_privs: false,
            timer_slack: DEFAULT_TIMER_SLACK,
            nice: 0,
            policy: 0,
            rt_priority: 0,
            reset_on_fork: false,
            forknoexec: false,
            robust_list: 0,
            last_fault: LastFault::default(),
            restart_block: None,
            stopped_call: None,
        }
    }
}

impl Attributes {
    /// What a new process or thread has (`copy_process`, `sched_fork`).
    #[must_use]
    pub fn forked(&self) -> Attributes {
        let mut child = Attributes {
            pdeath_signal: 0,
            forknoexec: true,
            robust_list: 0,
            restart_block: None,
            stopped_call: None,
            ..self.clone()
        };
        if child.reset_on_fork {
            child.policy = 0;
            child.rt_priority = 0;
            child.nice = child.nice.max(0);
            child.reset_on_fork = false;
        }
        child
    }

    /// What execve(2) resets.
    pub fn exec(&mut self) {
        self.dumpable = true;
        self.forknoexec = false;
        self.robust_list = 0;
        self.restart_block = None;
    }
}
