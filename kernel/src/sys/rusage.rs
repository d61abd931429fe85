//! Resource usage: getrusage(2), and what wait4(2) tells about a child.
//!
//! Quirk: all processor time is user time, see [`crate::time`]; of the other figures only the size of
//! memory is kept, and it is that of now, not the largest.

use std::time::Duration;

use callgate_abi::{Errno, SYSCALL_DEFINE2};
use callgate_uapi::resource::{Rusage, Who};
use callgate_uapi::time::Timeval;
use callgate_uapi::traced::Out;

use crate::mm::PAGE_SIZE;
use crate::{Result, Task};

/// The usage of somebody who has run for so many nanoseconds.
pub fn of_cputime(nanoseconds: u64) -> Rusage {
    Rusage { ru_utime: Timeval::from_duration(Duration::from_nanos(nanoseconds)), ..Rusage::default() }
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
        let usage = of_cputime(1_500_000_000);
        assert_eq!(usage.ru_utime, Timeval { tv_sec: 1, tv_usec: 500_000 });
    }
}
