//! Scheduling calls: sched_yield(2), policies and priorities (sched(7)), affinity, getcpu(2).
//!
//! Quirk: there is one processor, and every task gets the same time slices whatever its policy.
//! Policies are kept, shown and inherited, as nice values are.

use std::rc::Rc;

use callgate_abi::{
    Errno, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, UserMemory, UserMut, UserPtr,
};
use callgate_uapi::resource::RLIMIT_RTPRIO;
use callgate_uapi::sched::{Policy, SchedParam};
use callgate_uapi::time::Timespec;
use callgate_uapi::traced::{In, Out};
use linux_raw_sys::general::{self, CAP_SYS_NICE};

use crate::task::TaskLink;
use crate::{PARKED, Result, Task};

/// A bit beside the policy: children don't inherit it.
const RESET_ON_FORK: i32 = general::SCHED_RESET_ON_FORK as i32;
/// What a task of SCHED_OTHER and one of SCHED_RR gets at a time on Linux.
const FAIR_SLICE_NANOSECONDS: i64 = 4_000_000;
const RR_SLICE_NANOSECONDS: i64 = 100_000_000;

fn is_realtime(policy: Policy) -> bool {
    matches!(policy, Policy::SCHED_FIFO | Policy::SCHED_RR)
}

/// The priorities that a policy has.
fn priorities(policy: Policy) -> Result<std::ops::RangeInclusive<i32>> {
    match policy {
        Policy::SCHED_FIFO | Policy::SCHED_RR => Ok(1..=99),
        Policy::SCHED_OTHER | Policy::SCHED_BATCH | Policy::SCHED_IDLE | Policy::SCHED_DEADLINE | Policy::SCHED_EXT => {
            Ok(0..=0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// sched_yield(2): lets the other tasks go first.
#[SYSCALL_DEFINE0(sched_yield)]
pub fn sched_yield(task: &mut Task) -> Result<()> {
    // Parked without leaving the run queue: the handler runs again when the others had their turn.
    if task.restart.again || task.kernel.run_queue.is_empty() { Ok(()) } else { Err(PARKED) }
}

impl Task {
    /// The thread that a scheduling call is about; 0 is the calling one.
    fn sched_target(&self, pid: i32) -> Result<Rc<TaskLink>> {
        if pid == 0 {
            return Ok(Rc::clone(&self.link));
        }
        self.kernel.find_task(pid).ok_or(Errno::ESRCH)
    }

    /// Sets policy and priority; without a policy, the priority alone (`__sched_setscheduler`).
    fn sched_set(&self, pid: i32, policy: Option<i32>, param: SchedParam) -> Result<()> {
        let target = self.sched_target(pid)?;
        let mut attr = target.attr.borrow_mut();
        let (policy, reset_on_fork) = match policy {
            Some(policy) => (Policy(policy & !RESET_ON_FORK), policy & RESET_ON_FORK != 0),
            None => (Policy(attr.policy as i32), attr.reset_on_fork),
        };
        let priority = param.sched_priority;
        let priorities = priorities(policy)?;
        // The parameters of a deadline don't fit here: that policy has its own call.
        if policy == Policy::SCHED_DEADLINE || !priorities.contains(&priority) {
            return Err(Errno::EINVAL);
        }
        if !self.cred.capable(CAP_SYS_NICE) {
            let limit = self.rlimit(RLIMIT_RTPRIO).min(99) as i32;
            let raises = is_realtime(policy) && priority > attr.rt_priority.max(limit);
            let forgets = attr.reset_on_fork && !reset_on_fork;
            if raises || forgets || !self.may_schedule(&target) {
                return Err(Errno::EPERM);
            }
        }
        attr.policy = policy.0 as u32;
        attr.rt_priority = priority;
        attr.reset_on_fork = reset_on_fork;
        Ok(())
    }
}

/// sched_setscheduler(2): sets a thread's policy and priority.
#[SYSCALL_DEFINE3(sched_setscheduler)]
pub fn sched_setscheduler(task: &mut Task, pid: i32, policy: Policy, param: In<SchedParam>) -> Result<()> {
    if policy.0 < 0 || param.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let value = param.read(task)?;
    task.sched_set(pid, Some(policy.0), value)
}

/// sched_setparam(2): sets a thread's priority.
#[SYSCALL_DEFINE2(sched_setparam)]
pub fn sched_setparam(task: &mut Task, pid: i32, param: In<SchedParam>) -> Result<()> {
    if param.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let value = param.read(task)?;
    task.sched_set(pid, None, value)
}

/// sched_getscheduler(2): a thread's policy.
#[SYSCALL_DEFINE1(sched_getscheduler)]
pub fn sched_getscheduler(task: &mut Task, pid: i32) -> Result<i32> {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let target = task.sched_target(pid)?;
    let attr = target.attr.borrow();
    Ok(attr.policy as i32 | if attr.reset_on_fork { RESET_ON_FORK } else { 0 })
}

/// sched_getparam(2): a thread's priority.
#[SYSCALL_DEFINE2(sched_getparam)]
pub fn sched_getparam(task: &mut Task, pid: i32, param: Out<SchedParam>) -> Result<()> {
    if param.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    let sched_priority = task.sched_target(pid)?.attr.borrow().rt_priority;
    param.write(task, &SchedParam { sched_priority })
}

/// sched_get_priority_max(2): the highest priority of a policy.
#[SYSCALL_DEFINE1(sched_get_priority_max)]
pub fn sched_get_priority_max(_task: &mut Task, policy: Policy) -> Result<i32> {
    Ok(*priorities(policy)?.end())
}

/// sched_get_priority_min(2): the lowest priority of a policy.
#[SYSCALL_DEFINE1(sched_get_priority_min)]
pub fn sched_get_priority_min(_task: &mut Task, policy: Policy) -> Result<i32> {
    Ok(*priorities(policy)?.start())
}

/// sched_rr_get_interval(2): how long a thread runs at a time.
#[SYSCALL_DEFINE2(sched_rr_get_interval)]
pub fn sched_rr_get_interval(task: &mut Task, pid: i32, interval: Out<Timespec>) -> Result<()> {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let policy = Policy(task.sched_target(pid)?.attr.borrow().policy as i32);
    let tv_nsec = match policy {
        Policy::SCHED_RR => RR_SLICE_NANOSECONDS,
        Policy::SCHED_OTHER | Policy::SCHED_BATCH => FAIR_SLICE_NANOSECONDS,
        _ => 0,
    };
    interval.write(task, &Timespec { tv_sec: 0, tv_nsec })
}

/// The set of processors, as the kernel has it: one word, with one of them.
const CPU_MASK: u64 = 1;
const CPU_MASK_SIZE: u32 = 8;

/// sched_getaffinity(2): the processors that a thread may run on; returns the size of the answer.
#[SYSCALL_DEFINE3(sched_getaffinity)]
pub fn sched_getaffinity(task: &mut Task, pid: i32, len: u32, user_mask_ptr: UserMut<u64>) -> Result<u32> {
    if len < CPU_MASK_SIZE || !len.is_multiple_of(CPU_MASK_SIZE) {
        return Err(Errno::EINVAL);
    }
    task.sched_target(pid)?;
    user_mask_ptr.write(task, &CPU_MASK)?;
    Ok(CPU_MASK_SIZE)
}

/// sched_setaffinity(2): sets the processors that a thread may run on, of which there is one.
#[SYSCALL_DEFINE3(sched_setaffinity)]
pub fn sched_setaffinity(task: &mut Task, pid: i32, len: u32, user_mask_ptr: UserPtr<u64>) -> Result<()> {
    let mut bytes = [0; CPU_MASK_SIZE as usize];
    let read = len.min(CPU_MASK_SIZE) as usize;
    task.copy_from_user(&mut bytes[..read], user_mask_ptr.addr()).map_err(|_| Errno::EFAULT)?;
    let target = task.sched_target(pid)?;
    if !task.may_schedule(&target) {
        return Err(Errno::EPERM);
    }
    if u64::from_le_bytes(bytes) & CPU_MASK == 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// getcpu(2): the processor and the node that the caller runs on.
#[SYSCALL_DEFINE3(getcpu)]
pub fn getcpu(task: &mut Task, cpup: UserMut<u32>, nodep: UserMut<u32>, _unused: UserPtr<u64>) -> Result<()> {
    // Linux tries both before it says that one was bad.
    let written = [cpup, nodep].map(|p| if p.is_null() { Ok(()) } else { p.write(task, &0) });
    written.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_time_policies_have_priorities() {
        assert_eq!(priorities(Policy::SCHED_FIFO), Ok(1..=99));
        assert_eq!(priorities(Policy::SCHED_OTHER), Ok(0..=0));
        assert_eq!(priorities(Policy(4)), Err(Errno::EINVAL));
        assert_eq!(priorities(Policy(-1)), Err(Errno::EINVAL));
    }
}
