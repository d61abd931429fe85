//! Linux: `linux/eventpoll.h`.

use std::fmt;

use bitflags::bitflags;
use callgate_abi::{CType, impl_syscall_flags, syscall_enum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::traced::Traced;

bitflags! {
    /// Flags of epoll_create1(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EpollFlags: i32 {
        /// Close on execve.
        const EPOLL_CLOEXEC = 0o2000000;
        const _ = !0;
    }
}
impl_syscall_flags!(EpollFlags: i32, "int");

syscall_enum! {
    /// What epoll_ctl is to do.
    pub struct EpollOp: i32, "int" {
        EPOLL_CTL_ADD = 1,
        EPOLL_CTL_DEL = 2,
        EPOLL_CTL_MOD = 3,
    }
}

/// `struct epoll_event`: packed on x86-64, so that 32-bit programs see the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EpollEvent {
    /// Which events; beside them [`EPOLLET`] and its kin.
    pub events: u32,
    /// The program's own.
    pub data: [u32; 2],
}

impl CType for EpollEvent {
    const NAME: &'static str = "struct epoll_event";
}

impl Traced for EpollEvent {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let data = u64::from(self.data[1]) << 32 | u64::from(self.data[0]);
        write!(f, "{{events={:#x}, data={data:#x}}}", self.events)
    }
}

/// Report once, then wait for EPOLL_CTL_MOD.
pub const EPOLLONESHOT: u32 = 1 << 30;
/// Report changes, not states.
pub const EPOLLET: u32 = 1 << 31;
