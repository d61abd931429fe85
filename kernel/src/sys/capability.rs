//! Capabilities: capget(2), capset(2).
//!
//! The header names a version of the interface: the first has 32 capabilities, the others 64. A
//! version that the kernel doesn't know is answered with the newest that it does.

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMut, UserPtr};
use callgate_uapi::capability::{CapData, CapHeader};
use linux_raw_sys::general::{
    _LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3, CAP_SETPCAP,
};

use super::cred::{CAP_FULL, CapSet, Cred};
use crate::{Result, Task};

/// Reads the version and gives how many [`CapData`] it has; a bad one is replaced by the newest.
fn validate_version(task: &mut Task, header: UserMut<CapHeader>) -> Result<usize> {
    match header.cast::<u32>().read(task)? {
        _LINUX_CAPABILITY_VERSION_1 => Ok(1),
        _LINUX_CAPABILITY_VERSION_2 | _LINUX_CAPABILITY_VERSION_3 => Ok(2),
        _ => {
            header.cast::<u32>().write(task, &_LINUX_CAPABILITY_VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// The credentials of a thread.
fn cred_of(task: &Task, pid: i32) -> Result<Cred> {
    if pid == 0 || pid == task.pid() {
        return Ok(task.cred.clone());
    }
    let thread = task.kernel.find_task(pid).ok_or(Errno::ESRCH)?;
    let body = thread.body.borrow();
    body.as_ref().map(|body| body.cred.clone()).ok_or(Errno::ESRCH)
}

/// The low or the high half of a set.
fn half(set: CapSet, i: usize) -> u32 {
    (set >> (32 * i)) as u32
}

/// capget(2): gets a thread's capabilities.
#[SYSCALL_DEFINE2(capget)]
pub fn capget(task: &mut Task, header: UserMut<CapHeader>, dataptr: UserMut<CapData>) -> Result<()> {
    let count = match validate_version(task, header) {
        // A null pointer asks which version the kernel would like.
        Err(Errno::EINVAL) if dataptr.is_null() => return Ok(()),
        count => count?,
    };
    if dataptr.is_null() {
        return Ok(());
    }
    let pid = header.read(task)?.pid;
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    let cred = cred_of(task, pid)?;
    let data = [0, 1].map(|i| CapData {
        effective: half(cred.cap_effective, i),
        permitted: half(cred.cap_permitted, i),
        inheritable: half(cred.cap_inheritable, i),
    });
    dataptr.slice(count).write_from(task, &data[..count])
}

/// capset(2): sets the calling thread's capabilities.
#[SYSCALL_DEFINE2(capset)]
pub fn capset(task: &mut Task, header: UserMut<CapHeader>, data: UserPtr<CapData>) -> Result<()> {
    let count = validate_version(task, header)?;
    let pid = header.read(task)?.pid;
    if pid != 0 && pid != task.pid() {
        return Err(Errno::EPERM);
    }
    let mut halves = [CapData::default(); 2];
    data.slice(count).read_into(task, &mut halves[..count])?;
    let join = |field: fn(&CapData) -> u32| -> CapSet {
        (CapSet::from(field(&halves[0])) | CapSet::from(field(&halves[1])) << 32) & CAP_FULL
    };
    let new = change(&task.cred, join(|d| d.effective), join(|d| d.permitted), join(|d| d.inheritable))?;
    task.commit_creds(new);
    Ok(())
}

/// The rules of capset (`cap_capset`).
fn change(old: &Cred, effective: CapSet, permitted: CapSet, inheritable: CapSet) -> Result<Cred> {
    let within = |set: CapSet, limit: CapSet| set & !limit == 0;
    let allowed = (old.capable(CAP_SETPCAP) || within(inheritable, old.cap_inheritable | old.cap_permitted))
        && within(inheritable, old.cap_inheritable | old.cap_bset)
        && within(permitted, old.cap_permitted)
        && within(effective, permitted);
    if !allowed {
        return Err(Errno::EPERM);
    }
    Ok(Cred {
        cap_effective: effective,
        cap_permitted: permitted,
        cap_inheritable: inheritable,
        cap_ambient: old.cap_ambient & permitted & inheritable,
        ..old.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_capabilities_never_come_back() {
        let less = change(&Cred::default(), 1, 3, 0).unwrap();
        assert_eq!((less.cap_effective, less.cap_permitted), (1, 3));
        assert_eq!(change(&less, 0, 7, 0), Err(Errno::EPERM));
        assert_eq!(change(&less, 4, 3, 0), Err(Errno::EPERM));
        assert!(change(&less, 3, 3, 3).is_ok());
    }
}
