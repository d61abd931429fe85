//! Linux: `linux/memfd.h`.

use bitflags::bitflags;
use callgate_abi::impl_syscall_flags;

bitflags! {
    /// Flags of memfd_create(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MemfdFlags: u32 {
        /// Close on execve.
        const MFD_CLOEXEC = 1;
        /// Seals may be added.
        const MFD_ALLOW_SEALING = 2;
        /// The file is not executable, and stays so.
        const MFD_NOEXEC_SEAL = 8;
        /// The file is executable.
        const MFD_EXEC = 16;
        const _ = !0;
    }
}
impl_syscall_flags!(MemfdFlags: u32, "unsigned int");
