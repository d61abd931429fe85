//! unlink and rmdir: a name goes; the file goes with its last name and its last open descriptor.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE3, UserStr};
use callgate_uapi::fcntl::AtFlags;

use super::{Last, Parent, getname, may_delete, start_path};
use crate::fs::Caller;
use crate::{Result, Task};

/// unlink(2): removes a name.
#[SYSCALL_DEFINE1(unlink)]
pub fn unlink(task: &mut Task, pathname: UserStr) -> Result<()> {
    do_unlinkat(task, Fd::AT_FDCWD, pathname)
}

/// unlinkat(2): removes a name, or with `AT_REMOVEDIR` an empty directory.
#[SYSCALL_DEFINE3(unlinkat)]
pub fn unlinkat(task: &mut Task, dfd: Fd, pathname: UserStr, flag: AtFlags) -> Result<()> {
    if !AtFlags::AT_REMOVEDIR.contains(flag) {
        return Err(Errno::EINVAL);
    }
    if flag.is_empty() { do_unlinkat(task, dfd, pathname) } else { do_rmdir(task, dfd, pathname) }
}

/// rmdir(2): removes an empty directory.
#[SYSCALL_DEFINE1(rmdir)]
pub fn rmdir(task: &mut Task, pathname: UserStr) -> Result<()> {
    do_rmdir(task, Fd::AT_FDCWD, pathname)
}

fn do_unlinkat(task: &mut Task, dfd: Fd, pathname: UserStr) -> Result<()> {
    let name = getname(task, pathname)?;
    let start = start_path(task, dfd, &name)?;
    let who = Caller::of(task);
    let parent = Parent::of(&who, start, &name)?;
    if !matches!(parent.last, Last::Norm(_)) {
        return Err(Errno::EISDIR);
    }
    let victim = parent.lookup(&who)?.ok_or(Errno::ENOENT)?;
    if parent.slashes {
        return Err(if victim.inode().is_dir() { Errno::EISDIR } else { Errno::ENOTDIR });
    }
    may_delete(&parent.dir, &victim, false, &who)?;
    if victim.dentry.mounted.get() {
        return Err(Errno::EBUSY);
    }
    let dir = parent.dir.inode();
    dir.op.unlink(dir, parent.name(), victim.inode())?;
    victim.dentry.unhash();
    Ok(())
}

fn do_rmdir(task: &mut Task, dfd: Fd, pathname: UserStr) -> Result<()> {
    let name = getname(task, pathname)?;
    let start = start_path(task, dfd, &name)?;
    let who = Caller::of(task);
    let parent = Parent::of(&who, start, &name)?;
    match parent.last {
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Dot => return Err(Errno::EINVAL),
        Last::Root => return Err(Errno::EBUSY),
        Last::Norm(_) => {}
    }
    let victim = parent.lookup(&who)?.ok_or(Errno::ENOENT)?;
    may_delete(&parent.dir, &victim, true, &who)?;
    if victim.dentry.mounted.get() {
        return Err(Errno::EBUSY);
    }
    if !victim.inode().op.is_empty() {
        return Err(Errno::ENOTEMPTY);
    }
    let dir = parent.dir.inode();
    dir.op.rmdir(dir, parent.name(), victim.inode())?;
    victim.dentry.unhash();
    Ok(())
}
