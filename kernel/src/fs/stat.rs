//! Linux: `fs/stat.c`. What an inode says about itself.

use std::rc::Rc;

use callgate_abi::{
    Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, SYSCALL_DEFINE5, UserMemory, UserMut, UserStr,
};
use callgate_uapi::fcntl::AtFlags;
use callgate_uapi::stat::{Stat, Statx};
use callgate_uapi::traced::Out;
use callgate_uapi::uio::BufSize;

use super::inode::Inode;
use super::namei::{LookupFlags, getname_maybe_empty, user_path_at};
use super::open::lookup_at;
use super::{Caller, Path};
use crate::{Result, Task};

/// `st_blksize`: the page size, as tmpfs has it; proc and sysfs say 1024 and 4096.
fn block_size(inode: &Inode) -> u64 {
    if inode.sb.fs_type == "proc" { 1024 } else { 4096 }
}

/// Fills stat(2)'s structure.
pub fn cp_new_stat(inode: &Rc<Inode>) -> Stat {
    let [st_atime, st_mtime, st_ctime] = inode.times();
    Stat {
        st_dev: inode.sb.dev,
        st_ino: inode.ino,
        st_nlink: inode.nlink().into(),
        st_mode: inode.mode(),
        st_uid: inode.uid(),
        st_gid: inode.gid(),
        st_rdev: inode.rdev,
        st_size: inode.size() as i64,
        st_blksize: block_size(inode) as i64,
        st_blocks: inode.op.blocks(inode) as i64,
        st_atime,
        st_mtime,
        st_ctime,
        ..Stat::default()
    }
}

/// stat(2): tells about a file.
#[SYSCALL_DEFINE2(newstat)]
pub fn newstat(task: &mut Task, filename: UserStr, statbuf: Out<Stat>) -> Result<()> {
    newfstatat(task, Fd::AT_FDCWD, filename, statbuf, AtFlags::empty())
}

/// lstat(2): tells about a file, of a symbolic link itself.
#[SYSCALL_DEFINE2(newlstat)]
pub fn newlstat(task: &mut Task, filename: UserStr, statbuf: Out<Stat>) -> Result<()> {
    newfstatat(task, Fd::AT_FDCWD, filename, statbuf, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// fstat(2): tells about an open file.
#[SYSCALL_DEFINE2(newfstat)]
pub fn newfstat(task: &mut Task, fd: Fd, statbuf: Out<Stat>) -> Result<()> {
    let file = task.files.borrow().get_raw(fd)?;
    let stat = cp_new_stat(file.inode());
    statbuf.write(task, &stat)
}

/// newfstatat(2): tells about a file, relative to `dfd`.
#[SYSCALL_DEFINE4(newfstatat)]
pub fn newfstatat(task: &mut Task, dfd: Fd, filename: UserStr, statbuf: Out<Stat>, flag: AtFlags) -> Result<()> {
    let path = path_for_stat(task, dfd, filename, flag)?;
    let stat = cp_new_stat(path.inode());
    statbuf.write(task, &stat)
}

/// The file that a stat is about. With `AT_EMPTY_PATH` a null path is as good as an empty one.
fn path_for_stat(task: &mut Task, dfd: Fd, filename: UserStr, flags: AtFlags) -> Result<Path> {
    let known = AtFlags::AT_SYMLINK_NOFOLLOW
        | AtFlags::AT_NO_AUTOMOUNT
        | AtFlags::AT_EMPTY_PATH
        | AtFlags::AT_STATX_FORCE_SYNC
        | AtFlags::AT_STATX_DONT_SYNC;
    if !known.contains(flags) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(AtFlags::AT_EMPTY_PATH) && filename.is_null() {
        return user_path_at(task, dfd, b"", LookupFlags::EMPTY);
    }
    lookup_at(task, dfd, filename, flags)
}

/// statx: everything of stat(2), and the time of birth.
const STATX_BASIC_STATS: u32 = 0x7ff;
const STATX_BTIME: u32 = 0x800;
const STATX_MNT_ID: u32 = 0x1000;
const STATX_RESERVED: u32 = 0x8000_0000;

/// statx(2): tells about a file, at length.
#[SYSCALL_DEFINE5(statx)]
pub fn statx(task: &mut Task, dfd: Fd, filename: UserStr, flags: AtFlags, mask: u32, buffer: Out<Statx>) -> Result<()> {
    let both = AtFlags::AT_STATX_FORCE_SYNC | AtFlags::AT_STATX_DONT_SYNC;
    if mask & STATX_RESERVED != 0 || flags.contains(both) {
        return Err(Errno::EINVAL);
    }
    let path = path_for_stat(task, dfd, filename, flags)?;
    let stat = cp_new_stat(path.inode());
    let major = |dev: u64| (dev >> 8 & 0xfff) as u32;
    let minor = |dev: u64| (dev & 0xff | dev >> 12 & 0xfff00) as u32;
    let is_root = Rc::ptr_eq(&path.dentry, &path.mnt.root);
    /// STATX_ATTR_MOUNT_ROOT
    const MOUNT_ROOT: u64 = 0x2000;
    let answer = Statx {
        stx_mask: STATX_BASIC_STATS | mask & (STATX_BTIME | STATX_MNT_ID),
        stx_blksize: stat.st_blksize as u32,
        stx_attributes: if is_root { MOUNT_ROOT } else { 0 },
        stx_nlink: stat.st_nlink as u32,
        stx_uid: stat.st_uid,
        stx_gid: stat.st_gid,
        stx_mode: stat.st_mode as u16,
        stx_ino: stat.st_ino,
        stx_size: stat.st_size as u64,
        stx_blocks: stat.st_blocks as u64,
        stx_attributes_mask: MOUNT_ROOT,
        stx_atime: stat.st_atime.into(),
        stx_btime: path.inode().btime.into(),
        stx_ctime: stat.st_ctime.into(),
        stx_mtime: stat.st_mtime.into(),
        stx_rdev_major: major(stat.st_rdev),
        stx_rdev_minor: minor(stat.st_rdev),
        stx_dev_major: major(stat.st_dev),
        stx_dev_minor: minor(stat.st_dev),
        stx_mnt_id: path.mnt.id,
        ..Statx::default()
    };
    buffer.write(task, &answer)
}

/// readlink(2): tells where a symbolic link leads.
#[SYSCALL_DEFINE3(readlink)]
pub fn readlink(task: &mut Task, path: UserStr, buf: UserMut<u8>, bufsiz: BufSize) -> Result<usize> {
    do_readlinkat(task, Fd::AT_FDCWD, path, buf, bufsiz.0)
}

/// readlinkat(2): the same, relative to `dfd`; an empty path means the link that is open there.
#[SYSCALL_DEFINE4(readlinkat)]
pub fn readlinkat(task: &mut Task, dfd: Fd, path: UserStr, buf: UserMut<u8>, bufsiz: BufSize) -> Result<usize> {
    do_readlinkat(task, dfd, path, buf, bufsiz.0)
}

fn do_readlinkat(task: &mut Task, dfd: Fd, path: UserStr, buf: UserMut<u8>, bufsiz: i32) -> Result<usize> {
    let room = usize::try_from(bufsiz).ok().filter(|room| *room > 0).ok_or(Errno::EINVAL)?;
    let name = getname_maybe_empty(task, path)?;
    let path = user_path_at(task, dfd, &name, LookupFlags::EMPTY)?;
    let inode = path.inode();
    if !inode.is_lnk() {
        return Err(if name.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    inode.touch_atime();
    let mut target = inode.op.readlink(inode, &Caller::of(task))?;
    target.truncate(room);
    task.copy_to_user(buf.addr(), &target).map_err(|_| Errno::EFAULT)?;
    Ok(target.len())
}
