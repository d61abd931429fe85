//! Users and groups of a task: getuid(2), setuid(2), setreuid(2), setresuid(2), setfsuid(2), and the
//! same for groups (credentials(7)).
//!
//! -1 is no id: where one may be left as it is, -1 says so; elsewhere it is EINVAL.

use callgate_abi::{Errno, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, UserMut};
use linux_raw_sys::general::{CAP_SETGID, CAP_SETUID};

use super::cred::Cred;
use crate::{Result, Task};

/// -1: leave the id as it is.
const KEEP: u32 = u32::MAX;

/// getuid(2): the real user id.
#[SYSCALL_DEFINE0(getuid)]
pub fn getuid(task: &mut Task) -> u32 {
    task.cred.uid
}

/// geteuid(2): the effective user id.
#[SYSCALL_DEFINE0(geteuid)]
pub fn geteuid(task: &mut Task) -> u32 {
    task.cred.euid
}

/// getgid(2): the real group id.
#[SYSCALL_DEFINE0(getgid)]
pub fn getgid(task: &mut Task) -> u32 {
    task.cred.gid
}

/// getegid(2): the effective group id.
#[SYSCALL_DEFINE0(getegid)]
pub fn getegid(task: &mut Task) -> u32 {
    task.cred.egid
}

impl Task {
    /// Takes new credentials (`commit_creds`).
    pub(super) fn commit_creds(&mut self, new: Cred) {
        let acting = |c: &Cred| (c.euid, c.egid, c.fsuid, c.fsgid);
        if acting(&new) != acting(&self.cred) {
            let mut attr = self.link.attr.borrow_mut();
            attr.dumpable = false;
            attr.pdeath_signal = 0;
        }
        self.signal().uid.set(new.uid);
        self.cred = new;
    }

    fn commit_user_ids(&mut self, mut new: Cred) {
        new.fixup_capabilities(&self.cred);
        self.commit_creds(new);
    }
}

fn set_user_id(old: &Cred, uid: u32) -> Result<Cred> {
    let mut new = old.clone();
    if uid == KEEP {
        return Err(Errno::EINVAL);
    }
    if old.capable(CAP_SETUID) {
        new.uid = uid;
        new.suid = uid;
    } else if uid != old.uid && uid != old.suid {
        return Err(Errno::EPERM);
    }
    new.euid = uid;
    new.fsuid = uid;
    Ok(new)
}

fn set_real_user_ids(old: &Cred, ruid: u32, euid: u32) -> Result<Cred> {
    let mut new = old.clone();
    let privileged = old.capable(CAP_SETUID);
    if ruid != KEEP {
        if !privileged && ruid != old.uid && ruid != old.euid {
            return Err(Errno::EPERM);
        }
        new.uid = ruid;
    }
    if euid != KEEP {
        if !privileged && euid != old.uid && euid != old.euid && euid != old.suid {
            return Err(Errno::EPERM);
        }
        new.euid = euid;
    }
    if ruid != KEEP || (euid != KEEP && euid != old.uid) {
        new.suid = new.euid;
    }
    new.fsuid = new.euid;
    Ok(new)
}

fn set_all_user_ids(old: &Cred, ids: [u32; 3]) -> Result<Cred> {
    let mut new = old.clone();
    let own = [old.uid, old.euid, old.suid];
    if !old.capable(CAP_SETUID) && ids.iter().any(|id| *id != KEEP && !own.contains(id)) {
        return Err(Errno::EPERM);
    }
    for (slot, id) in [&mut new.uid, &mut new.euid, &mut new.suid].into_iter().zip(ids) {
        if id != KEEP {
            *slot = id;
        }
    }
    new.fsuid = new.euid;
    Ok(new)
}

fn set_group_id(old: &Cred, gid: u32) -> Result<Cred> {
    let mut new = old.clone();
    if gid == KEEP {
        return Err(Errno::EINVAL);
    }
    if old.capable(CAP_SETGID) {
        new.gid = gid;
        new.sgid = gid;
    } else if gid != old.gid && gid != old.sgid {
        return Err(Errno::EPERM);
    }
    new.egid = gid;
    new.fsgid = gid;
    Ok(new)
}

fn set_real_group_ids(old: &Cred, rgid: u32, egid: u32) -> Result<Cred> {
    let mut new = old.clone();
    let privileged = old.capable(CAP_SETGID);
    if rgid != KEEP {
        if !privileged && rgid != old.gid && rgid != old.egid {
            return Err(Errno::EPERM);
        }
        new.gid = rgid;
    }
    if egid != KEEP {
        if !privileged && egid != old.gid && egid != old.egid && egid != old.sgid {
            return Err(Errno::EPERM);
        }
        new.egid = egid;
    }
    if rgid != KEEP || (egid != KEEP && egid != old.gid) {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    Ok(new)
}

fn set_all_group_ids(old: &Cred, ids: [u32; 3]) -> Result<Cred> {
    let mut new = old.clone();
    let own = [old.gid, old.egid, old.sgid];
    if !old.capable(CAP_SETGID) && ids.iter().any(|id| *id != KEEP && !own.contains(id)) {
        return Err(Errno::EPERM);
    }
    for (slot, id) in [&mut new.gid, &mut new.egid, &mut new.sgid].into_iter().zip(ids) {
        if id != KEEP {
            *slot = id;
        }
    }
    new.fsgid = new.egid;
    Ok(new)
}

/// setuid(2): sets the effective user id, and with CAP_SETUID all of them.
#[SYSCALL_DEFINE1(setuid)]
pub fn setuid(task: &mut Task, uid: u32) -> Result<()> {
    let new = set_user_id(&task.cred, uid)?;
    task.commit_user_ids(new);
    Ok(())
}

/// setreuid(2): sets real and effective user id.
#[SYSCALL_DEFINE2(setreuid)]
pub fn setreuid(task: &mut Task, ruid: u32, euid: u32) -> Result<()> {
    let new = set_real_user_ids(&task.cred, ruid, euid)?;
    task.commit_user_ids(new);
    Ok(())
}

/// setresuid(2): sets real, effective and saved user id.
#[SYSCALL_DEFINE3(setresuid)]
pub fn setresuid(task: &mut Task, ruid: u32, euid: u32, suid: u32) -> Result<()> {
    let new = set_all_user_ids(&task.cred, [ruid, euid, suid])?;
    task.commit_user_ids(new);
    Ok(())
}

/// setgid(2): sets the effective group id, and with CAP_SETGID all of them.
#[SYSCALL_DEFINE1(setgid)]
pub fn setgid(task: &mut Task, gid: u32) -> Result<()> {
    let new = set_group_id(&task.cred, gid)?;
    task.commit_creds(new);
    Ok(())
}

/// setregid(2): sets real and effective group id.
#[SYSCALL_DEFINE2(setregid)]
pub fn setregid(task: &mut Task, rgid: u32, egid: u32) -> Result<()> {
    let new = set_real_group_ids(&task.cred, rgid, egid)?;
    task.commit_creds(new);
    Ok(())
}

/// setresgid(2): sets real, effective and saved group id.
#[SYSCALL_DEFINE3(setresgid)]
pub fn setresgid(task: &mut Task, rgid: u32, egid: u32, sgid: u32) -> Result<()> {
    let new = set_all_group_ids(&task.cred, [rgid, egid, sgid])?;
    task.commit_creds(new);
    Ok(())
}

/// getresuid(2): real, effective and saved user id.
#[SYSCALL_DEFINE3(getresuid)]
pub fn getresuid(task: &mut Task, ruidp: UserMut<u32>, euidp: UserMut<u32>, suidp: UserMut<u32>) -> Result<()> {
    let Cred { uid: real, euid: effective, suid: saved, .. } = task.cred;
    ruidp.write(task, &real)?;
    euidp.write(task, &effective)?;
    suidp.write(task, &saved)
}

/// getresgid(2): real, effective and saved group id.
#[SYSCALL_DEFINE3(getresgid)]
pub fn getresgid(task: &mut Task, rgidp: UserMut<u32>, egidp: UserMut<u32>, sgidp: UserMut<u32>) -> Result<()> {
    let Cred { gid: real, egid: effective, sgid: saved, .. } = task.cred;
    rgidp.write(task, &real)?;
    egidp.write(task, &effective)?;
    sgidp.write(task, &saved)
}

/// setfsuid(2): sets the user id for file access and returns what it was, whether or not it worked.
#[SYSCALL_DEFINE1(setfsuid)]
pub fn setfsuid(task: &mut Task, uid: u32) -> u32 {
    let old = task.cred.fsuid;
    let cred = &task.cred;
    let own = [cred.uid, cred.euid, cred.suid, cred.fsuid].contains(&uid);
    if uid != KEEP && uid != old && (own || cred.capable(CAP_SETUID)) {
        let mut new = Cred { fsuid: uid, ..cred.clone() };
        new.fixup_fs_capabilities(cred);
        task.commit_creds(new);
    }
    old
}

/// setfsgid(2): the same for the group.
#[SYSCALL_DEFINE1(setfsgid)]
pub fn setfsgid(task: &mut Task, gid: u32) -> u32 {
    let old = task.cred.fsgid;
    let cred = &task.cred;
    let own = [cred.gid, cred.egid, cred.sgid, cred.fsgid].contains(&gid);
    if gid != KEEP && gid != old && (own || cred.capable(CAP_SETGID)) {
        let new = Cred { fsgid: gid, ..cred.clone() };
        task.commit_creds(new);
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Cred {
        Cred { uid: 1, euid: 2, suid: 3, fsuid: 2, cap_effective: 0, cap_permitted: 0, ..Cred::default() }
    }

    #[test]
    fn an_unprivileged_task_can_only_switch_among_its_ids() {
        assert_eq!(set_user_id(&user(), 9), Err(Errno::EPERM));
        assert_eq!(set_user_id(&user(), 3).map(|c| (c.uid, c.euid, c.suid, c.fsuid)), Ok((1, 3, 3, 3)));
        assert_eq!(set_user_id(&user(), KEEP), Err(Errno::EINVAL));
        assert_eq!(set_all_user_ids(&user(), [3, 1, KEEP]).map(|c| (c.uid, c.euid, c.suid)), Ok((3, 1, 3)));
        assert_eq!(set_all_user_ids(&user(), [4, KEEP, KEEP]), Err(Errno::EPERM));
    }

    #[test]
    fn setreuid_moves_the_saved_id_with_the_effective_one() {
        assert_eq!(set_real_user_ids(&user(), 2, 1).map(|c| (c.uid, c.euid, c.suid)), Ok((2, 1, 1)));
        assert_eq!(set_real_user_ids(&user(), KEEP, 1).map(|c| (c.uid, c.euid, c.suid)), Ok((1, 1, 3)));
    }

    #[test]
    fn root_sets_all() {
        assert_eq!(set_user_id(&Cred::default(), 7).map(|c| (c.uid, c.euid, c.suid, c.fsuid)), Ok((7, 7, 7, 7)));
        assert_eq!(set_group_id(&Cred::default(), 7).map(|c| (c.gid, c.egid, c.sgid, c.fsgid)), Ok((7, 7, 7, 7)));
    }
}
