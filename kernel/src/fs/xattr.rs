//! Linux: `fs/xattr.c`. Named values beside a file's data. tmpfs keeps `user.*` for files and directories, and `trusted.*`
//! and `security.*` for who may; other filesystems here have none.

use callgate_abi::{
    Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, SYSCALL_DEFINE5, UserMemory, UserMut, UserPtr,
    UserStr,
};
use callgate_uapi::fcntl::{Access, AtFlags};
use linux_raw_sys::general::CAP_SYS_ADMIN;

use super::namei::inode_permission;
use super::open::lookup_at;
use super::{Caller, Path};
use crate::{Result, Task};

/// The longest name.
const XATTR_NAME_MAX: usize = 255;
/// The longest value.
const XATTR_SIZE_MAX: usize = 65536;
/// setxattr: the attribute must not be there.
const XATTR_CREATE: i32 = 1;
/// setxattr: the attribute must be there.
const XATTR_REPLACE: i32 = 2;

fn name_of(task: &mut Task, name: UserStr) -> Result<Vec<u8>> {
    let mut buf = [0; XATTR_NAME_MAX + 1];
    match name.read(task, &mut buf) {
        Ok([]) | Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        result => result.map(<[u8]>::to_vec),
    }
}

/// May the task touch this attribute of this file?
fn check(task: &Task, path: &Path, name: &[u8], mask: Access) -> Result<()> {
    let inode = path.inode();
    let write = mask.contains(Access::W_OK);
    if write && path.mnt.read_only {
        return Err(Errno::EROFS);
    }
    if name.starts_with(b"trusted.") {
        let hidden = if write { Errno::EPERM } else { Errno::ENODATA };
        return if task.cred.capable(CAP_SYS_ADMIN) { supported(path, name) } else { Err(hidden) };
    }
    if name.starts_with(b"user.") {
        if !inode.is_reg() && !inode.is_dir() {
            return Err(if write { Errno::EPERM } else { Errno::ENODATA });
        }
        inode_permission(inode, mask, &Caller::of(task))?;
    }
    supported(path, name)
}

fn supported(path: &Path, name: &[u8]) -> Result<()> {
    let known = [&b"user."[..], b"trusted.", b"security."].iter().any(|prefix| name.starts_with(prefix));
    if path.inode().sb.xattrs && known { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

fn set(task: &mut Task, path: &Path, name: UserStr, value: UserPtr<u8>, size: usize, flags: i32) -> Result<()> {
    if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    let name = name_of(task, name)?;
    if size > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size];
    value.slice(size).read_into(task, &mut bytes)?;
    check(task, path, &name, Access::W_OK)?;
    let inode = path.inode();
    let there = inode.xattrs.borrow().contains_key(&name);
    if flags & XATTR_CREATE != 0 && there {
        return Err(Errno::EEXIST);
    }
    if flags & XATTR_REPLACE != 0 && !there {
        return Err(Errno::ENODATA);
    }
    inode.xattrs.borrow_mut().insert(name, bytes);
    inode.touch_ctime();
    Ok(())
}

fn get(task: &mut Task, path: &Path, name: UserStr, value: UserMut<u8>, size: usize) -> Result<usize> {
    let name = name_of(task, name)?;
    check(task, path, &name, Access::R_OK)?;
    let bytes = path.inode().xattrs.borrow().get(&name).cloned().ok_or(Errno::ENODATA)?;
    answer(task, value, size, &bytes)
}

/// Gives an answer whose length the program may ask for first, with size 0.
fn answer(task: &mut Task, to: UserMut<u8>, size: usize, bytes: &[u8]) -> Result<usize> {
    if size > 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        task.copy_to_user(to.addr(), bytes).map_err(|_| Errno::EFAULT)?;
    }
    Ok(bytes.len())
}

fn list_names(task: &mut Task, path: &Path, to: UserMut<u8>, size: usize) -> Result<usize> {
    let trusted = task.cred.capable(CAP_SYS_ADMIN);
    let mut names = Vec::new();
    for name in path.inode().xattrs.borrow().keys().filter(|name| trusted || !name.starts_with(b"trusted.")) {
        names.extend_from_slice(name);
        names.push(0);
    }
    answer(task, to, size, &names)
}

fn remove(task: &mut Task, path: &Path, name: UserStr) -> Result<()> {
    let name = name_of(task, name)?;
    check(task, path, &name, Access::W_OK)?;
    let inode = path.inode();
    inode.xattrs.borrow_mut().remove(&name).ok_or(Errno::ENODATA)?;
    inode.touch_ctime();
    Ok(())
}

fn follow(task: &mut Task, path: UserStr) -> Result<Path> {
    lookup_at(task, Fd::AT_FDCWD, path, AtFlags::empty())
}

fn no_follow(task: &mut Task, path: UserStr) -> Result<Path> {
    lookup_at(task, Fd::AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn open_file(task: &Task, fd: Fd) -> Result<Path> {
    Ok(task.files.borrow().get(fd)?.path.clone())
}

/// setxattr(2): sets an attribute.
#[SYSCALL_DEFINE5(setxattr)]
pub fn setxattr(
    task: &mut Task,
    path: UserStr,
    name: UserStr,
    value: UserPtr<u8>,
    size: usize,
    flags: i32,
) -> Result<()> {
    let path = follow(task, path)?;
    set(task, &path, name, value, size, flags)
}

/// lsetxattr(2): the same, of a symbolic link itself.
#[SYSCALL_DEFINE5(lsetxattr)]
pub fn lsetxattr(
    task: &mut Task,
    path: UserStr,
    name: UserStr,
    value: UserPtr<u8>,
    size: usize,
    flags: i32,
) -> Result<()> {
    let path = no_follow(task, path)?;
    set(task, &path, name, value, size, flags)
}

/// fsetxattr(2): the same, of an open file.
#[SYSCALL_DEFINE5(fsetxattr)]
pub fn fsetxattr(task: &mut Task, fd: Fd, name: UserStr, value: UserPtr<u8>, size: usize, flags: i32) -> Result<()> {
    let path = open_file(task, fd)?;
    set(task, &path, name, value, size, flags)
}

/// getxattr(2): gets an attribute.
#[SYSCALL_DEFINE4(getxattr)]
pub fn getxattr(task: &mut Task, path: UserStr, name: UserStr, value: UserMut<u8>, size: usize) -> Result<usize> {
    let path = follow(task, path)?;
    get(task, &path, name, value, size)
}

/// lgetxattr(2): the same, of a symbolic link itself.
#[SYSCALL_DEFINE4(lgetxattr)]
pub fn lgetxattr(task: &mut Task, path: UserStr, name: UserStr, value: UserMut<u8>, size: usize) -> Result<usize> {
    let path = no_follow(task, path)?;
    get(task, &path, name, value, size)
}

/// fgetxattr(2): the same, of an open file.
#[SYSCALL_DEFINE4(fgetxattr)]
pub fn fgetxattr(task: &mut Task, fd: Fd, name: UserStr, value: UserMut<u8>, size: usize) -> Result<usize> {
    let path = open_file(task, fd)?;
    get(task, &path, name, value, size)
}

/// listxattr(2): lists the attributes' names.
#[SYSCALL_DEFINE3(listxattr)]
pub fn listxattr(task: &mut Task, path: UserStr, list: UserMut<u8>, size: usize) -> Result<usize> {
    let path = follow(task, path)?;
    list_names(task, &path, list, size)
}

/// llistxattr(2): the same, of a symbolic link itself.
#[SYSCALL_DEFINE3(llistxattr)]
pub fn llistxattr(task: &mut Task, path: UserStr, list: UserMut<u8>, size: usize) -> Result<usize> {
    let path = no_follow(task, path)?;
    list_names(task, &path, list, size)
}

/// flistxattr(2): the same, of an open file.
#[SYSCALL_DEFINE3(flistxattr)]
pub fn flistxattr(task: &mut Task, fd: Fd, list: UserMut<u8>, size: usize) -> Result<usize> {
    let path = open_file(task, fd)?;
    list_names(task, &path, list, size)
}

/// removexattr(2): removes an attribute.
#[SYSCALL_DEFINE2(removexattr)]
pub fn removexattr(task: &mut Task, path: UserStr, name: UserStr) -> Result<()> {
    let path = follow(task, path)?;
    remove(task, &path, name)
}

/// lremovexattr(2): the same, of a symbolic link itself.
#[SYSCALL_DEFINE2(lremovexattr)]
pub fn lremovexattr(task: &mut Task, path: UserStr, name: UserStr) -> Result<()> {
    let path = no_follow(task, path)?;
    remove(task, &path, name)
}

/// fremovexattr(2): the same, of an open file.
#[SYSCALL_DEFINE2(fremovexattr)]
pub fn fremovexattr(task: &mut Task, fd: Fd, name: UserStr) -> Result<()> {
    let path = open_file(task, fd)?;
    remove(task, &path, name)
}
