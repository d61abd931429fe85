//! Nice values: getpriority(2), setpriority(2).
//!
//! getpriority answers 20 minus the nice value, so that its answers are never negative.
//!
//! Quirk: nice values are kept, shown and inherited, but every task gets the same time slices.

use std::rc::Rc;

use callgate_abi::{Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE3};
use callgate_uapi::resource::{PrioWhich, RLIMIT_NICE};
use linux_raw_sys::general::CAP_SYS_NICE;

use crate::task::TaskLink;
use crate::{Result, Task};

/// The best and the worst nice value.
const NICE_RANGE: std::ops::RangeInclusive<i32> = -20..=19;

impl Task {
    /// The threads that a priority call is about.
    fn priority_targets(&self, which: PrioWhich, who: i32) -> Result<Vec<Rc<TaskLink>>> {
        let tasks = self.kernel.tasks();
        Ok(match which {
            PrioWhich::PRIO_PROCESS => {
                let pid = if who == 0 { self.pid() } else { who };
                tasks.into_iter().filter(|task| task.pid == pid).collect()
            }
            PrioWhich::PRIO_PGRP => {
                let pgrp = if who == 0 { self.signal().pgrp.get() } else { who };
                tasks.into_iter().filter(|task| task.signal.pgrp.get() == pgrp).collect()
            }
            PrioWhich::PRIO_USER => {
                let uid = if who == 0 { self.cred.uid } else { who as u32 };
                tasks.into_iter().filter(|task| task.signal.uid.get() == uid).collect()
            }
            _ => return Err(Errno::EINVAL),
        })
    }

    /// Whether the task may change the scheduling of `target` (`check_same_owner`).
    pub(super) fn may_schedule(&self, target: &TaskLink) -> bool {
        let uid = target.signal.uid.get();
        target.pid == self.pid() || self.cred.euid == uid || self.cred.capable(CAP_SYS_NICE)
    }

    fn set_nice(&self, target: &TaskLink, nice: i32) -> Result<()> {
        if !self.may_schedule(target) {
            return Err(Errno::EPERM);
        }
        let mut attr = target.attr.borrow_mut();
        // RLIMIT_NICE counts as getpriority does: 20 minus the nice value.
        let allowed = i64::from(20 - nice) <= self.rlimit(RLIMIT_NICE).min(40) as i64;
        if nice < attr.nice && !allowed && !self.cred.capable(CAP_SYS_NICE) {
            return Err(Errno::EACCES);
        }
        attr.nice = nice;
        Ok(())
    }
}

/// getpriority(2): the best priority of a process, a group's or a user's, as 20 minus the nice value.
#[SYSCALL_DEFINE2(getpriority)]
pub fn getpriority(task: &mut Task, which: PrioWhich, who: i32) -> Result<i32> {
    let targets = task.priority_targets(which, who)?;
    targets.iter().map(|target| 20 - target.attr.borrow().nice).max().ok_or(Errno::ESRCH)
}

/// setpriority(2): sets the nice value of a process, a group's or a user's.
#[SYSCALL_DEFINE3(setpriority)]
pub fn setpriority(task: &mut Task, which: PrioWhich, who: i32, niceval: i32) -> Result<()> {
    let nice = niceval.clamp(*NICE_RANGE.start(), *NICE_RANGE.end());
    let mut result = Err(Errno::ESRCH);
    for target in task.priority_targets(which, who)? {
        match task.set_nice(&target, nice) {
            Ok(()) if result == Err(Errno::ESRCH) => result = Ok(()),
            Ok(()) => {}
            error => result = error,
        }
    }
    result
}
