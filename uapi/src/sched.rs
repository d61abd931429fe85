//! Linux: `linux/sched.h`, `linux/sched/types.h`.

use std::fmt;

use bitflags::bitflags;
use callgate_abi::{impl_syscall_flags, syscall_enum};
use linux_raw_sys::general;

use crate::traced::Traced;
use crate::user_structs;

bitflags! {
    /// The flags of clone(2); the low byte is the exit signal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// The signal that the parent is sent when the child exits.
        const CSIGNAL = 0xff;
        /// One address space.
        const CLONE_VM = 0x100;
        /// One root, working directory and umask.
        const CLONE_FS = 0x200;
        /// One table of files.
        const CLONE_FILES = 0x400;
        /// One table of signal actions.
        const CLONE_SIGHAND = 0x800;
        /// A pidfd for the child.
        const CLONE_PIDFD = 0x1000;
        /// Traced as the parent is.
        const CLONE_PTRACE = 0x2000;
        /// The parent waits until the child leaves the address space.
        const CLONE_VFORK = 0x4000;
        /// The child's parent is the caller's.
        const CLONE_PARENT = 0x8000;
        /// A thread of the same process.
        const CLONE_THREAD = 0x1_0000;
        /// A mount namespace of its own.
        const CLONE_NEWNS = 0x2_0000;
        /// One set of System V semaphore undo values.
        const CLONE_SYSVSEM = 0x4_0000;
        /// A new thread-local storage base.
        const CLONE_SETTLS = 0x8_0000;
        /// The child's id goes to the parent's memory.
        const CLONE_PARENT_SETTID = 0x10_0000;
        /// The word is cleared and its futex woken when the child exits.
        const CLONE_CHILD_CLEARTID = 0x20_0000;
        /// Ignored, as Linux does.
        const CLONE_DETACHED = 0x40_0000;
        /// Can't be traced.
        const CLONE_UNTRACED = 0x80_0000;
        /// The child's id goes to the child's memory.
        const CLONE_CHILD_SETTID = 0x100_0000;
        /// A cgroup namespace of its own.
        const CLONE_NEWCGROUP = 0x200_0000;
        /// A UTS namespace of its own.
        const CLONE_NEWUTS = 0x400_0000;
        /// An IPC namespace of its own.
        const CLONE_NEWIPC = 0x800_0000;
        /// A user namespace of its own.
        const CLONE_NEWUSER = 0x1000_0000;
        /// A pid namespace of its own.
        const CLONE_NEWPID = 0x2000_0000;
        /// A network namespace of its own.
        const CLONE_NEWNET = 0x4000_0000;
        /// One I/O context.
        const CLONE_IO = 0x8000_0000;
    }
}
impl_syscall_flags!(CloneFlags: u64, "unsigned long");

syscall_enum! {
    /// A scheduling policy.
    pub struct Policy: i32, "int" {
        SCHED_OTHER = general::SCHED_NORMAL as i32,
        SCHED_FIFO = general::SCHED_FIFO as i32,
        SCHED_RR = general::SCHED_RR as i32,
        SCHED_BATCH = general::SCHED_BATCH as i32,
        SCHED_IDLE = general::SCHED_IDLE as i32,
        SCHED_DEADLINE = general::SCHED_DEADLINE as i32,
        SCHED_EXT = general::SCHED_EXT as i32,
    }
}

user_structs! {
    /// `struct sched_param`.
    SchedParam = "struct sched_param" { sched_priority: i32 }
}

impl Traced for SchedParam {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "[{}]", self.sched_priority)
    }
}
