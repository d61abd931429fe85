//! chmod, chown, access, truncate: what open.c does to files that are not opened.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, SYSCALL_DEFINE5, UserStr};
use callgate_uapi::fcntl::{Access, AccessFlags, AtFlags};
use callgate_uapi::resource::RLIMIT_FSIZE;
use callgate_uapi::signal::SIGXFSZ;
use callgate_uapi::stat::{S_IALLUGO, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, UMode};
use linux_raw_sys::general::{CAP_CHOWN, CAP_FSETID};

use super::lookup_at;
use crate::fs::file::FMode;
use crate::fs::inode::Inode;
use crate::fs::namei::inode_permission;
use crate::fs::{Caller, FsCred, Path};
use crate::{Result, Task};

fn writable_mount(path: &Path) -> Result<()> {
    if path.mnt.read_only { Err(Errno::EROFS) } else { Ok(()) }
}

fn chmod_common(task: &Task, path: &Path, mode: UMode) -> Result<()> {
    writable_mount(path)?;
    let inode = path.inode();
    let who = Caller::of(task);
    inode.op.may_setattr()?;
    if inode.is_lnk() {
        return Err(Errno::EOPNOTSUPP);
    }
    if !who.owns(inode) {
        return Err(Errno::EPERM);
    }
    let mut mode = u32::from(mode.0) & S_IALLUGO;
    if !who.cred.in_group(inode.gid()) && !task.cred.capable(CAP_FSETID) {
        mode &= !S_ISGID;
    }
    inode.set_mode(mode);
    Ok(())
}

/// chmod(2): changes permission bits.
#[SYSCALL_DEFINE2(chmod)]
pub fn chmod(task: &mut Task, filename: UserStr, mode: UMode) -> Result<()> {
    let path = lookup_at(task, Fd::AT_FDCWD, filename, AtFlags::empty())?;
    chmod_common(task, &path, mode)
}

/// fchmod(2): changes permission bits of an open file.
#[SYSCALL_DEFINE2(fchmod)]
pub fn fchmod(task: &mut Task, fd: Fd, mode: UMode) -> Result<()> {
    let path = task.files.borrow().get(fd)?.path.clone();
    chmod_common(task, &path, mode)
}

/// fchmodat(2): changes permission bits, relative to `dfd`.
#[SYSCALL_DEFINE3(fchmodat)]
pub fn fchmodat(task: &mut Task, dfd: Fd, filename: UserStr, mode: UMode) -> Result<()> {
    let path = lookup_at(task, dfd, filename, AtFlags::empty())?;
    chmod_common(task, &path, mode)
}

/// fchmodat2(2): the same with flags.
#[SYSCALL_DEFINE4(fchmodat2)]
pub fn fchmodat2(task: &mut Task, dfd: Fd, filename: UserStr, mode: UMode, flags: AtFlags) -> Result<()> {
    if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let path = lookup_at(task, dfd, filename, flags)?;
    chmod_common(task, &path, mode)
}

fn chown_common(task: &Task, path: &Path, user: u32, group: u32) -> Result<()> {
    writable_mount(path)?;
    let inode = path.inode();
    inode.op.may_setattr()?;
    let who = Caller::of(task);
    let uid = (user != u32::MAX).then_some(user);
    let gid = (group != u32::MAX).then_some(group);
    let privileged = task.cred.capable(CAP_CHOWN);
    let own = who.cred.fsuid == inode.uid();
    let uid_ok = uid.is_none_or(|uid| privileged || own && uid == inode.uid());
    let gid_ok = gid.is_none_or(|gid| privileged || own && (who.cred.in_group(gid) || gid == inode.gid()));
    if !uid_ok || !gid_ok {
        return Err(Errno::EPERM);
    }
    // A new owner does not get the old one's set-id bits.
    if !inode.is_dir() {
        inode.remove_privs(false);
    }
    inode.set_owner(uid, gid);
    Ok(())
}

/// chown(2): changes owner and group.
#[SYSCALL_DEFINE3(chown)]
pub fn chown(task: &mut Task, filename: UserStr, user: u32, group: u32) -> Result<()> {
    fchownat(task, Fd::AT_FDCWD, filename, user, group, AtFlags::empty())
}

/// lchown(2): changes owner and group, of a symbolic link itself.
#[SYSCALL_DEFINE3(lchown)]
pub fn lchown(task: &mut Task, filename: UserStr, user: u32, group: u32) -> Result<()> {
    fchownat(task, Fd::AT_FDCWD, filename, user, group, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// fchown(2): changes owner and group of an open file.
#[SYSCALL_DEFINE3(fchown)]
pub fn fchown(task: &mut Task, fd: Fd, user: u32, group: u32) -> Result<()> {
    let path = task.files.borrow().get(fd)?.path.clone();
    chown_common(task, &path, user, group)
}

/// fchownat(2): changes owner and group, relative to `dfd`.
#[SYSCALL_DEFINE5(fchownat)]
pub fn fchownat(task: &mut Task, dfd: Fd, filename: UserStr, user: u32, group: u32, flag: AtFlags) -> Result<()> {
    if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flag) {
        return Err(Errno::EINVAL);
    }
    let path = lookup_at(task, dfd, filename, flag)?;
    chown_common(task, &path, user, group)
}

fn do_faccessat(task: &mut Task, dfd: Fd, filename: UserStr, mode: Access, flags: AccessFlags) -> Result<()> {
    let known = AccessFlags::AT_EACCESS | AccessFlags::AT_SYMLINK_NOFOLLOW | AccessFlags::AT_EMPTY_PATH;
    if mode.bits() & !7 != 0 || !known.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let at = AtFlags::from_bits_retain(flags.difference(AccessFlags::AT_EACCESS).bits());
    let path = lookup_at(task, dfd, filename, at)?;
    let inode = path.inode();
    let mut who = Caller::of(task);
    if !flags.contains(AccessFlags::AT_EACCESS) {
        // The question is about who has started the program, not about what it may do.
        let cred = &task.cred;
        who.cred = FsCred { fsuid: cred.uid, fsgid: cred.gid, groups: &cred.groups, dac_override: cred.uid == 0 };
    }
    inode_permission(inode, mode, &who)?;
    let special = !matches!(inode.mode() & S_IFMT, S_IFREG | S_IFDIR | S_IFLNK);
    if mode.contains(Access::W_OK) && path.mnt.read_only && !special {
        return Err(Errno::EROFS);
    }
    Ok(())
}

/// access(2): may the real user do this?
#[SYSCALL_DEFINE2(access)]
pub fn access(task: &mut Task, filename: UserStr, mode: Access) -> Result<()> {
    do_faccessat(task, Fd::AT_FDCWD, filename, mode, AccessFlags::empty())
}

/// faccessat(2): the same, relative to `dfd`.
#[SYSCALL_DEFINE3(faccessat)]
pub fn faccessat(task: &mut Task, dfd: Fd, filename: UserStr, mode: Access) -> Result<()> {
    do_faccessat(task, dfd, filename, mode, AccessFlags::empty())
}

/// faccessat2(2): the same with flags.
#[SYSCALL_DEFINE4(faccessat2)]
pub fn faccessat2(task: &mut Task, dfd: Fd, filename: UserStr, mode: Access, flags: AccessFlags) -> Result<()> {
    do_faccessat(task, dfd, filename, mode, flags)
}

/// Refuses a length beyond RLIMIT_FSIZE, with its signal.
fn check_size_limit(task: &mut Task, inode: &Rc<Inode>, length: u64) -> Result<()> {
    if length > inode.size() && length > task.rlimit(RLIMIT_FSIZE) {
        task.send_signal(SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// truncate(2): sets a file's length.
#[SYSCALL_DEFINE2(truncate)]
pub fn truncate(task: &mut Task, path: UserStr, length: i64) -> Result<()> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let path = lookup_at(task, Fd::AT_FDCWD, path, AtFlags::empty())?;
    let inode = path.inode();
    if inode.is_dir() {
        return Err(Errno::EISDIR);
    }
    if !inode.is_reg() {
        return Err(Errno::EINVAL);
    }
    writable_mount(&path)?;
    inode_permission(inode, Access::W_OK, &Caller::of(task))?;
    if inode.is_denied_write() {
        return Err(Errno::ETXTBSY);
    }
    check_size_limit(task, inode, length)?;
    inode.op.truncate(inode, length)
}

/// ftruncate(2): sets an open file's length.
#[SYSCALL_DEFINE2(ftruncate)]
pub fn ftruncate(task: &mut Task, fd: Fd, length: i64) -> Result<()> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let file = task.files.borrow().get(fd)?;
    let inode = file.inode();
    if !inode.is_reg() || !file.mode.contains(FMode::WRITE) {
        return Err(Errno::EINVAL);
    }
    check_size_limit(task, inode, length)?;
    inode.op.truncate(inode, length)
}

/// fallocate(2): reserves space, or frees it.
#[SYSCALL_DEFINE4(fallocate)]
pub fn fallocate(task: &mut Task, fd: Fd, mode: i32, offset: i64, len: i64) -> Result<()> {
    let file = task.files.borrow().get(fd)?;
    let (Ok(offset), Ok(len @ 1..)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Err(Errno::EINVAL);
    };
    if mode & !0x7f != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.mode.contains(FMode::WRITE) {
        return Err(Errno::EBADF);
    }
    match file.inode().mode() & S_IFMT {
        linux_raw_sys::general::S_IFIFO => return Err(Errno::ESPIPE),
        S_IFDIR => return Err(Errno::EISDIR),
        S_IFREG => {}
        _ => return Err(Errno::ENODEV),
    }
    if offset + len > i64::MAX as u64 {
        return Err(Errno::EFBIG);
    }
    if mode == 0 {
        check_size_limit(task, file.inode(), offset + len)?;
    }
    file.op.fallocate(&file, mode as u32, offset, len)
}
