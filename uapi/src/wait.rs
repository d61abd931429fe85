//! Linux: `linux/wait.h`.

use bitflags::bitflags;
use callgate_abi::impl_syscall_flags;

bitflags! {
    /// The options of wait4(2) and waitid(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: i32 {
        /// Return at once if nothing has happened.
        const WNOHANG = 1;
        /// Stopped children count too.
        const WSTOPPED = 2;
        /// Exited children (waitid).
        const WEXITED = 4;
        /// Children that were continued.
        const WCONTINUED = 8;
        /// Leave it waitable.
        const WNOWAIT = 0x0100_0000;
        /// Not children of other threads of the group.
        const __WNOTHREAD = 0x2000_0000;
        /// All children, however they were cloned.
        const __WALL = 0x4000_0000;
        /// Only children that don't send SIGCHLD.
        const __WCLONE = i32::MIN;
    }
}
impl_syscall_flags!(WaitOptions: i32, "int");
