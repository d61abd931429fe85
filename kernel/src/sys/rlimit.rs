//! Resource limits: getrlimit(2), setrlimit(2), prlimit(2).
//!
//! Each limit has a soft value, which the kernel enforces, and a hard one, up to which a process may
//! raise it. They belong to the thread group and are inherited by fork and kept by execve.

use std::rc::Rc;

use callgate_abi::{Errno, SYSCALL_DEFINE2, SYSCALL_DEFINE4, UserMut, UserPtr};
use callgate_uapi::resource::{
    RLIM_INFINITY, RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC,
    RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_STACK, Resource, Rlimit, Rlimit64,
};
use linux_raw_sys::general;

use crate::task::SignalStruct;
use crate::{Result, Task};

/// The most descriptors that a process may ask for (`/proc/sys/fs/nr_open`).
pub const NR_OPEN: u64 = 1 << 20;

/// All limits of a thread group.
#[derive(Clone, Debug)]
pub struct Rlimits([Rlimit; general::RLIM_NLIMITS as usize]);

/// What a process has that Linux itself started: most things unlimited.
impl Default for Rlimits {
    fn default() -> Rlimits {
        const UNLIMITED: Rlimit = Rlimit { cur: RLIM_INFINITY, max: RLIM_INFINITY };
        let mut limits = Rlimits([UNLIMITED; general::RLIM_NLIMITS as usize]);
        let mut set = |resource: u32, cur, max| limits.0[resource as usize] = Rlimit { cur, max };
        set(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
        set(RLIMIT_CORE, 0, RLIM_INFINITY);
        set(RLIMIT_NOFILE, 1024, 4096);
        set(RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
        set(RLIMIT_SIGPENDING, 8192, 8192);
        set(RLIMIT_NPROC, 8192, 8192);
        set(RLIMIT_MSGQUEUE, 819_200, 819_200);
        set(RLIMIT_NICE, 0, 0);
        set(RLIMIT_RTPRIO, 0, 0);
        limits
    }
}

impl Rlimits {
    /// A limit; none for a resource that doesn't exist.
    pub fn get(&self, resource: u32) -> Option<Rlimit> {
        self.0.get(resource as usize).copied()
    }

    /// Sets a limit, if there is such a resource.
    pub fn set(&mut self, resource: u32, limit: Rlimit) {
        if let Some(slot) = self.0.get_mut(resource as usize) {
            *slot = limit;
        }
    }
}

impl SignalStruct {
    /// The soft limit of `resource`.
    pub fn rlimit(&self, resource: u32) -> u64 {
        self.rlimits.borrow().get(resource).map_or(RLIM_INFINITY, |limit| limit.cur)
    }
}

impl Task {
    /// The soft limit of `resource` (`rlimit`).
    pub fn rlimit(&self, resource: u32) -> u64 {
        self.signal().rlimit(resource)
    }
}

/// Gets a limit, and sets it first where there is a new one (`do_prlimit`).
fn do_prlimit(task: &Task, group: &Rc<SignalStruct>, resource: Resource, new: Option<Rlimit>) -> Result<Rlimit> {
    let old = group.rlimits.borrow().get(resource.0).ok_or(Errno::EINVAL)?;
    if let Some(new) = new {
        if new.cur > new.max {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::RLIMIT_NOFILE && new.max > NR_OPEN {
            return Err(Errno::EPERM);
        }
        if new.max > old.max && !task.cred.capable(general::CAP_SYS_RESOURCE) {
            return Err(Errno::EPERM);
        }
        group.rlimits.borrow_mut().set(resource.0, new);
    }
    Ok(old)
}

/// getrlimit(2): gets a limit.
#[SYSCALL_DEFINE2(getrlimit)]
pub fn getrlimit(task: &mut Task, resource: Resource, rlim: UserMut<Rlimit>) -> Result<()> {
    let group = Rc::clone(task.signal());
    let old = do_prlimit(task, &group, resource, None)?;
    rlim.write(task, &old)
}

/// setrlimit(2): sets a limit.
#[SYSCALL_DEFINE2(setrlimit)]
pub fn setrlimit(task: &mut Task, resource: Resource, rlim: UserPtr<Rlimit>) -> Result<()> {
    let new = rlim.read(task)?;
    let group = Rc::clone(task.signal());
    do_prlimit(task, &group, resource, Some(new)).map(drop)
}

/// prlimit(2): sets and gets a limit of any process.
#[SYSCALL_DEFINE4(prlimit64)]
pub fn prlimit64(
    task: &mut Task,
    pid: i32,
    resource: Resource,
    new_rlim: UserPtr<Rlimit64>,
    old_rlim: UserMut<Rlimit64>,
) -> Result<()> {
    let new = if new_rlim.is_null() { None } else { Some(new_rlim.read(task)?.0) };
    let group = match pid {
        0 => Rc::clone(task.signal()),
        _ => Rc::clone(&task.kernel.find_task(pid).ok_or(Errno::ESRCH)?.signal),
    };
    let own = Rc::ptr_eq(&group, task.signal());
    if !own && task.cred.uid != group.uid.get() && !task.cred.capable(general::CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    let old = do_prlimit(task, &group, resource, new)?;
    if old_rlim.is_null() { Ok(()) } else { old_rlim.write(task, &Rlimit64(old)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_out_of_range_do_not_exist() {
        let mut limits = Rlimits::default();
        assert_eq!(limits.get(16), None);
        limits.set(u32::MAX, Rlimit::default());
        assert_eq!(limits.get(RLIMIT_STACK), Some(Rlimit { cur: 8 << 20, max: RLIM_INFINITY }));
    }
}
