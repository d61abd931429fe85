//! Linux: `linux/eventfd.h`.

use bitflags::bitflags;
use callgate_abi::impl_syscall_flags;

bitflags! {
    /// Flags of eventfd2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EventfdFlags: i32 {
        /// A read takes one, not all.
        const EFD_SEMAPHORE = 1;
        /// Do not block.
        const EFD_NONBLOCK = 0o4000;
        /// Close on execve.
        const EFD_CLOEXEC = 0o2000000;
        const _ = !0;
    }
}
impl_syscall_flags!(EventfdFlags: i32, "int");
