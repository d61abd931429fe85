//! Linux: `asm/mman.h`, `linux/mman.h`.

use bitflags::bitflags;
use callgate_abi::impl_syscall_flags;

bitflags! {
    /// The flags of mmap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u64 {
        /// Writes are seen by others.
        const MAP_SHARED = 0x01;
        /// Writes are the caller's own.
        const MAP_PRIVATE = 0x02;
        /// At this address and no other.
        const MAP_FIXED = 0x10;
        /// No file.
        const MAP_ANONYMOUS = 0x20;
        /// Below 2 GiB.
        const MAP_32BIT = 0x40;
        /// A stack.
        const MAP_GROWSDOWN = 0x0100;
        /// Ignored, as Linux does.
        const MAP_DENYWRITE = 0x0800;
        /// Ignored, as Linux does.
        const MAP_EXECUTABLE = 0x1000;
        /// Locked.
        const MAP_LOCKED = 0x2000;
        /// No swap space is reserved: there is none.
        const MAP_NORESERVE = 0x4000;
        /// Touched at once.
        const MAP_POPULATE = 0x8000;
        /// A hint about MAP_POPULATE.
        const MAP_NONBLOCK = 0x10000;
        /// A hint that it is a stack.
        const MAP_STACK = 0x20000;
        /// Huge pages: there are none.
        const MAP_HUGETLB = 0x40000;
        /// At this address, unless something is there.
        const MAP_FIXED_NOREPLACE = 0x100000;
    }

    /// The protection as mmap(2) and mprotect(2) take it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ProtFlags: u64 {
        /// Pages may be read.
        const PROT_READ = 1;
        /// Pages may be written.
        const PROT_WRITE = 2;
        /// Pages may be executed.
        const PROT_EXEC = 4;
        /// Pages may be used for atomic operations: always so.
        const PROT_SEM = 8;
        /// Down to the start of a growing area.
        const PROT_GROWSDOWN = 0x0100_0000;
        /// Up to the end of a growing area.
        const PROT_GROWSUP = 0x0200_0000;
    }

    /// The flags of mremap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MremapFlags: u64 {
        /// It may move.
        const MREMAP_MAYMOVE = 1;
        /// To this address.
        const MREMAP_FIXED = 2;
        /// The old range stays mapped, without its pages.
        const MREMAP_DONTUNMAP = 4;
    }
}

impl_syscall_flags!(MapFlags: u64, "unsigned long");
impl_syscall_flags!(ProtFlags: u64, "unsigned long");
impl_syscall_flags!(MremapFlags: u64, "unsigned long");
