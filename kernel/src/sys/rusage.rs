//! Resource usage: getrusage(2), and what wait4(2) tells about a child.
//!
//! Quirk: processor time is instructions, see [`crate::time`]; of the other figures only the size of
//! memory is kept, and it is that of now, not the largest.

use std::fmt;

use callgate_abi::{CType, Errno, SYSCALL_DEFINE2, syscall_enum};
use linux_raw_sys::general;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::traced::{Out, Traced};
use crate::mm::PAGE_SIZE;
use crate::time::{Timeval, cputime};
use crate::{Result, Task};

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

impl Rusage {
    /// The usage of somebody who has executed so many instructions.
    pub fn of_instructions(instructions: u64) -> Rusage {
        Rusage { ru_utime: Timeval::from_duration(cputime::of_instructions(instructions)), ..Rusage::default() }
    }
}

/// getrusage(2): what a process, its children or a thread have used.
#[SYSCALL_DEFINE2(getrusage)]
pub fn getrusage(task: &mut Task, who: Who, ru: Out<Rusage>) -> Result<()> {
    let (time, own) = match who {
        Who::RUSAGE_SELF => (task.process_cputime(), true),
        Who::RUSAGE_THREAD => (task.thread_cputime(), true),
        Who::RUSAGE_CHILDREN => (task.children_cputime(), false),
        _ => return Err(Errno::EINVAL),
    };
    let resident = if own { task.mm.borrow().resident() } else { 0 };
    let usage = Rusage {
        ru_utime: Timeval::from_duration(time),
        ru_maxrss: (resident * PAGE_SIZE / 1024) as i64,
        ..Rusage::default()
    };
    ru.write(task, &usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_has_linuxs_size() {
        assert_eq!(size_of::<Rusage>(), 144);
        let usage = Rusage::of_instructions(1_500_000_000);
        assert_eq!(usage.ru_utime, Timeval { tv_sec: 1, tv_usec: 500_000 });
    }
}
