//! link: one more name for a file.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE5, UserStr};
use callgate_uapi::fcntl::AtFlags;

use super::create::filename_create;
use super::{LookupFlags, getname, getname_maybe_empty, may_create, start_path, user_path_at};
use crate::fs::Caller;
use crate::{Result, Task};

/// link(2): gives `oldname` the further name `newname`.
#[SYSCALL_DEFINE2(link)]
pub fn link(task: &mut Task, oldname: UserStr, newname: UserStr) -> Result<()> {
    linkat(task, Fd::AT_FDCWD, oldname, Fd::AT_FDCWD, newname, AtFlags::empty())
}

/// linkat(2): the same, relative to directories; a symbolic link is followed only with `AT_SYMLINK_FOLLOW`.
#[SYSCALL_DEFINE5(linkat)]
pub fn linkat(
    task: &mut Task,
    olddfd: Fd,
    oldname: UserStr,
    newdfd: Fd,
    newname: UserStr,
    flags: AtFlags,
) -> Result<()> {
    if !(AtFlags::AT_SYMLINK_FOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let old_name = getname_maybe_empty(task, oldname)?;
    let new_name = getname(task, newname);
    let mut lookup = LookupFlags::empty();
    lookup.set(LookupFlags::EMPTY, flags.contains(AtFlags::AT_EMPTY_PATH));
    lookup.set(LookupFlags::FOLLOW, flags.contains(AtFlags::AT_SYMLINK_FOLLOW));
    let old = user_path_at(task, olddfd, &old_name, lookup)?;
    let new_name = new_name?;
    let start = start_path(task, newdfd, &new_name)?;
    let who = Caller::of(task);
    let new = filename_create(&who, start, &new_name, false)?;
    if !Rc::ptr_eq(&old.mnt, &new.dir.mnt) {
        return Err(Errno::EXDEV);
    }
    may_create(&new.dir, &who)?;
    if old.inode().is_dir() {
        return Err(Errno::EPERM);
    }
    // A file whose last name is gone stays gone, unless it never had one (O_TMPFILE).
    if old.inode().nlink() == 0 && old.dentry.parent().is_some() {
        return Err(Errno::ENOENT);
    }
    let dir = new.dir.inode();
    dir.op.link(dir, new.name(), old.inode())?;
    new.dir.dentry.add(new.name(), old.inode().clone());
    Ok(())
}
