//! rename: the one call with two places, and the longest list of reasons to refuse.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE4, SYSCALL_DEFINE5, UserStr};
use callgate_uapi::fcntl::Access;
use callgate_uapi::fs::RenameFlags;

use super::{Last, Parent, getname, inode_permission, may_create, may_delete, start_path};
use crate::fs::{Caller, Path};
use crate::{Result, Task};

/// rename(2): moves `oldname` to `newname`.
#[SYSCALL_DEFINE2(rename)]
pub fn rename(task: &mut Task, oldname: UserStr, newname: UserStr) -> Result<()> {
    renameat2(task, Fd::AT_FDCWD, oldname, Fd::AT_FDCWD, newname, RenameFlags::empty())
}

/// renameat(2): the same, relative to directories.
#[SYSCALL_DEFINE4(renameat)]
pub fn renameat(task: &mut Task, olddfd: Fd, oldname: UserStr, newdfd: Fd, newname: UserStr) -> Result<()> {
    renameat2(task, olddfd, oldname, newdfd, newname, RenameFlags::empty())
}

/// renameat2(2): the same, and can refuse to replace, or exchange the two.
#[SYSCALL_DEFINE5(renameat2)]
pub fn renameat2(
    task: &mut Task,
    olddfd: Fd,
    oldname: UserStr,
    newdfd: Fd,
    newname: UserStr,
    flags: RenameFlags,
) -> Result<()> {
    // Both names are read at once, but an unreadable one is found when its turn comes.
    let old_name = getname(task, oldname);
    let new_name = getname(task, newname);
    let known = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_EXCHANGE;
    // A whiteout needs a filesystem made for overlays.
    if !known.contains(flags) || flags == known {
        return Err(Errno::EINVAL);
    }
    let old_name = old_name?;
    let old_start = start_path(task, olddfd, &old_name)?;
    let who = Caller::of(task);
    let old = Parent::of(&who, old_start, &old_name)?;
    let new_name = new_name?;
    let new_start = start_path(task, newdfd, &new_name)?;
    let new = Parent::of(&who, new_start, &new_name)?;
    do_rename(&old, &new, flags, &who)?;
    Ok(())
}

fn do_rename(old: &Parent, new: &Parent, flags: RenameFlags, who: &Caller<'_>) -> Result<()> {
    let noreplace = flags.contains(RenameFlags::RENAME_NOREPLACE);
    let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
    if !Rc::ptr_eq(&old.dir.mnt, &new.dir.mnt) {
        return Err(Errno::EXDEV);
    }
    if !matches!(old.last, Last::Norm(_)) {
        return Err(Errno::EBUSY);
    }
    if !matches!(new.last, Last::Norm(_)) {
        return Err(if noreplace { Errno::EEXIST } else { Errno::EBUSY });
    }
    if old.dir.mnt.read_only {
        return Err(Errno::EROFS);
    }
    let source = old.lookup(who)?.ok_or(Errno::ENOENT)?;
    let target = new.lookup(who)?;
    match &target {
        Some(_) if noreplace => return Err(Errno::EEXIST),
        Some(target) if exchange && new.slashes && !target.inode().is_dir() => return Err(Errno::ENOTDIR),
        None if exchange => return Err(Errno::ENOENT),
        _ => {}
    }
    // Slashes promise a directory.
    if !source.inode().is_dir() && (old.slashes || !exchange && new.slashes) {
        return Err(Errno::ENOTDIR);
    }
    // A directory can't move into itself, and nothing can replace a directory that it lies in.
    if source.dentry.is_ancestor_of(&new.dir.dentry) {
        return Err(Errno::EINVAL);
    }
    if target.as_ref().is_some_and(|target| target.dentry.is_ancestor_of(&old.dir.dentry)) {
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    vfs_rename(old, &source, new, target.as_ref(), exchange, flags, who)
}

fn vfs_rename(
    old: &Parent,
    source: &Path,
    new: &Parent,
    target: Option<&Path>,
    exchange: bool,
    flags: RenameFlags,
    who: &Caller<'_>,
) -> Result<()> {
    if target.is_some_and(|target| Rc::ptr_eq(target.inode(), source.inode())) {
        return Ok(());
    }
    let is_dir = source.inode().is_dir();
    may_delete(&old.dir, source, is_dir, who)?;
    match target {
        None => may_create(&new.dir, who)?,
        Some(target) => {
            let as_dir = if exchange { target.inode().is_dir() } else { is_dir };
            may_delete(&new.dir, target, as_dir, who)?;
        }
    }
    // Moving a directory to another parent changes its "..".
    if !Rc::ptr_eq(old.dir.inode(), new.dir.inode()) {
        if is_dir {
            inode_permission(source.inode(), Access::W_OK, who)?;
        }
        if let Some(target) = target.filter(|target| exchange && target.inode().is_dir()) {
            inode_permission(target.inode(), Access::W_OK, who)?;
        }
    }
    if source.dentry.mounted.get() || target.is_some_and(|target| target.dentry.mounted.get()) {
        return Err(Errno::EBUSY);
    }
    if !exchange && is_dir && target.is_some_and(|target| !target.inode().op.is_empty()) {
        return Err(Errno::ENOTEMPTY);
    }
    let (old_dir, new_dir) = (old.dir.inode(), new.dir.inode());
    old_dir.op.rename(old_dir, old.name(), new_dir, new.name(), flags)?;
    match target {
        Some(target) if exchange => {
            target.dentry.rename_to(&old.dir.dentry, old.name());
            source.dentry.rename_to(&new.dir.dentry, new.name());
            // The first move may have been forgotten with the second one's old name: enter it again.
            target.dentry.rename_to(&old.dir.dentry, old.name());
        }
        Some(target) => {
            target.dentry.unhash();
            source.dentry.rename_to(&new.dir.dentry, new.name());
        }
        None => source.dentry.rename_to(&new.dir.dentry, new.name()),
    }
    Ok(())
}
