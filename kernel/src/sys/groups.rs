//! Supplementary groups: getgroups(2), setgroups(2).

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMut, UserPtr};
use linux_raw_sys::general::CAP_SETGID;

use super::cred::Cred;
use crate::{Result, Task};

/// The most groups that a task can have.
const NGROUPS_MAX: i32 = 65_536;

/// getgroups(2): the supplementary groups; with size 0, only how many there are.
#[SYSCALL_DEFINE2(getgroups)]
pub fn getgroups(task: &mut Task, gidsetsize: i32, grouplist: UserMut<u32>) -> Result<i32> {
    let groups = task.cred.groups.clone();
    let count = groups.len() as i32;
    if gidsetsize < 0 || (gidsetsize != 0 && count > gidsetsize) {
        return Err(Errno::EINVAL);
    }
    if gidsetsize != 0 {
        grouplist.slice(groups.len()).write_from(task, &groups)?;
    }
    Ok(count)
}

/// setgroups(2): sets the supplementary groups.
#[SYSCALL_DEFINE2(setgroups)]
pub fn setgroups(task: &mut Task, gidsetsize: i32, grouplist: UserPtr<u32>) -> Result<()> {
    if !task.cred.capable(CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    if !(0..=NGROUPS_MAX).contains(&gidsetsize) {
        return Err(Errno::EINVAL);
    }
    let mut groups = vec![0; gidsetsize as usize];
    grouplist.slice(groups.len()).read_into(task, &mut groups)?;
    if groups.contains(&u32::MAX) {
        return Err(Errno::EINVAL);
    }
    groups.sort_unstable();
    let new = Cred { groups: groups.into(), ..task.cred.clone() };
    task.commit_creds(new);
    Ok(())
}
