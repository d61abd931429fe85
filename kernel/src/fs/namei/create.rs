//! mkdir, mknod, symlink: new names for new files.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, UserStr};
use callgate_uapi::stat::{
    S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_ISVTX, UMode,
};

use super::{Last, Parent, getname, getname_maybe_empty, may_create, start_path};
use crate::fs::dcache::Dentry;
use crate::fs::inode::{Inode, NewInode};
use crate::fs::{Caller, Path};
use crate::{Result, Task};

/// What a new inode in `dir` is like: owner from the maker, group too unless the directory is set-group-id.
fn new_inode_args<'a>(dir: &Inode, mode: u32, target: &'a [u8], rdev: u64, who: &Caller<'_>) -> NewInode<'a> {
    let inherit = dir.mode() & S_ISGID != 0;
    let mut mode = mode;
    if inherit && mode & S_IFMT == S_IFDIR {
        mode |= S_ISGID;
    }
    NewInode { mode, uid: who.cred.fsuid, gid: if inherit { dir.gid() } else { who.cred.fsgid }, rdev, target }
}

/// Finds the place for a new entry (`filename_create`): the name must be free.
pub(super) fn filename_create(who: &Caller<'_>, start: Path, name: &[u8], is_dir: bool) -> Result<Parent> {
    let parent = Parent::of(who, start, name)?;
    if !matches!(parent.last, Last::Norm(_)) {
        return Err(Errno::EEXIST);
    }
    if parent.lookup(who)?.is_some() {
        return Err(Errno::EEXIST);
    }
    if parent.slashes && !is_dir {
        return Err(Errno::ENOENT);
    }
    if parent.dir.mnt.read_only {
        return Err(Errno::EROFS);
    }
    Ok(parent)
}

/// Makes the entry in a directory, with permission checks; gives its dentry.
pub fn vfs_create(
    dir: &Path,
    name: &[u8],
    mode: u32,
    target: &[u8],
    rdev: u64,
    who: &Caller<'_>,
) -> Result<Rc<Dentry>> {
    may_create(dir, who)?;
    let new = new_inode_args(dir.inode(), mode, target, rdev, who);
    let inode = dir.inode().op.create(dir.inode(), name, &new)?;
    Ok(dir.dentry.add(name, inode))
}

/// mkdir(2): makes a directory.
#[SYSCALL_DEFINE2(mkdir)]
pub fn mkdir(task: &mut Task, pathname: UserStr, mode: UMode) -> Result<()> {
    mkdirat(task, Fd::AT_FDCWD, pathname, mode)
}

/// mkdirat(2): makes a directory, relative to `dfd`.
#[SYSCALL_DEFINE3(mkdirat)]
pub fn mkdirat(task: &mut Task, dfd: Fd, pathname: UserStr, mode: UMode) -> Result<()> {
    let name = getname(task, pathname)?;
    let start = start_path(task, dfd, &name)?;
    let who = Caller::of(task);
    let parent = filename_create(&who, start, &name, true)?;
    let mode = u32::from(mode.0) & (0o777 | S_ISVTX) & !who.umask;
    vfs_create(&parent.dir, parent.name(), S_IFDIR | mode, b"", 0, &who)?;
    Ok(())
}

/// mknod(2): makes a FIFO, a device node, a socket or a regular file.
#[SYSCALL_DEFINE3(mknod)]
pub fn mknod(task: &mut Task, filename: UserStr, mode: UMode, dev: u32) -> Result<()> {
    mknodat(task, Fd::AT_FDCWD, filename, mode, dev)
}

/// mknodat(2): the same, relative to `dfd`.
#[SYSCALL_DEFINE4(mknodat)]
pub fn mknodat(task: &mut Task, dfd: Fd, filename: UserStr, mode: UMode, dev: u32) -> Result<()> {
    let mode = u32::from(mode.0);
    let kind = match mode & S_IFMT {
        0 => S_IFREG,
        kind @ (S_IFREG | S_IFCHR | S_IFBLK | S_IFIFO | S_IFSOCK) => kind,
        S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let name = getname(task, filename)?;
    let start = start_path(task, dfd, &name)?;
    let who = Caller::of(task);
    let parent = filename_create(&who, start, &name, false)?;
    if matches!(kind, S_IFCHR | S_IFBLK) && !who.cred.dac_override {
        return Err(Errno::EPERM);
    }
    let rdev = if matches!(kind, S_IFCHR | S_IFBLK) { dev.into() } else { 0 };
    vfs_create(&parent.dir, parent.name(), kind | mode & S_IALLUGO & !who.umask, b"", rdev, &who)?;
    Ok(())
}

/// symlink(2): makes a symbolic link to `oldname`.
#[SYSCALL_DEFINE2(symlink)]
pub fn symlink(task: &mut Task, oldname: UserStr, newname: UserStr) -> Result<()> {
    symlinkat(task, oldname, Fd::AT_FDCWD, newname)
}

/// symlinkat(2): the same, relative to `newdfd`.
#[SYSCALL_DEFINE3(symlinkat)]
pub fn symlinkat(task: &mut Task, oldname: UserStr, newdfd: Fd, newname: UserStr) -> Result<()> {
    let target = getname_maybe_empty(task, oldname)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let name = getname(task, newname)?;
    let start = start_path(task, newdfd, &name)?;
    let who = Caller::of(task);
    let parent = filename_create(&who, start, &name, false)?;
    vfs_create(&parent.dir, parent.name(), S_IFLNK | 0o777, &target, 0, &who)?;
    Ok(())
}
