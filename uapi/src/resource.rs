//! Linux: `linux/resource.h`, `asm-generic/resource.h`.

use std::fmt;

use callgate_abi::{CType, syscall_enum};
use linux_raw_sys::general;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::time::Timeval;
use crate::traced::Traced;

pub use linux_raw_sys::general::{
    RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
    RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING,
    RLIMIT_STACK,
};

/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;

syscall_enum! {
    /// Which limit.
    pub struct Resource: u32, "unsigned int" {
        RLIMIT_CPU = general::RLIMIT_CPU,
        RLIMIT_FSIZE = general::RLIMIT_FSIZE,
        RLIMIT_DATA = general::RLIMIT_DATA,
        RLIMIT_STACK = general::RLIMIT_STACK,
        RLIMIT_CORE = general::RLIMIT_CORE,
        RLIMIT_RSS = general::RLIMIT_RSS,
        RLIMIT_NPROC = general::RLIMIT_NPROC,
        RLIMIT_NOFILE = general::RLIMIT_NOFILE,
        RLIMIT_MEMLOCK = general::RLIMIT_MEMLOCK,
        RLIMIT_AS = general::RLIMIT_AS,
        RLIMIT_LOCKS = general::RLIMIT_LOCKS,
        RLIMIT_SIGPENDING = general::RLIMIT_SIGPENDING,
        RLIMIT_MSGQUEUE = general::RLIMIT_MSGQUEUE,
        RLIMIT_NICE = general::RLIMIT_NICE,
        RLIMIT_RTPRIO = general::RLIMIT_RTPRIO,
        RLIMIT_RTTIME = general::RLIMIT_RTTIME,
    }
}

/// A soft and a hard limit: `struct rlimit` of a 64-bit program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rlimit {
    /// What is enforced.
    pub cur: u64,
    /// How far `cur` may be raised.
    pub max: u64,
}

impl CType for Rlimit {
    const NAME: &'static str = "struct rlimit";
}

/// The same for programs of any word size: `struct rlimit64`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Rlimit64(pub Rlimit);

impl CType for Rlimit64 {
    const NAME: &'static str = "struct rlimit64";
}

syscall_enum! {
    /// Whose usage.
    pub struct Who: i32, "int" {
        RUSAGE_SELF = general::RUSAGE_SELF as i32,
        RUSAGE_CHILDREN = general::RUSAGE_CHILDREN,
        RUSAGE_THREAD = general::RUSAGE_THREAD as i32,
    }
}

/// `struct rusage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rusage {
    /// Time in user mode.
    pub ru_utime: Timeval,
    /// Time in the kernel.
    pub ru_stime: Timeval,
    /// Memory in KiB.
    pub ru_maxrss: i64,
    /// Figures that are not kept.
    pub rest: [i64; 13],
}

impl CType for Rusage {
    const NAME: &'static str = "struct rusage";
}

impl Traced for Rusage {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("{ru_utime=")?;
        self.ru_utime.trace(f)?;
        f.write_str(", ru_stime=")?;
        self.ru_stime.trace(f)?;
        f.write_str(", ...}")
    }
}

syscall_enum! {
    /// Whose priority.
    pub struct PrioWhich: i32, "int" {
        PRIO_PROCESS = general::PRIO_PROCESS as i32,
        PRIO_PGRP = general::PRIO_PGRP as i32,
        PRIO_USER = general::PRIO_USER as i32,
    }
}
