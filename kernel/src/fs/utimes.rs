//! Linux: `fs/utimes.c`. Sets access and modification times.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, UserPtr, UserStr};
use callgate_uapi::fcntl::{Access, AtFlags};
use callgate_uapi::time::{Timespec, Timeval, Utimbuf};

use super::namei::inode_permission;
use super::open::lookup_at;
use super::{Caller, Path};
use crate::{Result, Task};

/// Instead of nanoseconds: the time of now.
const UTIME_NOW: i64 = 0x3fff_ffff;
/// Instead of nanoseconds: leave it.
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// Sets the times of a file; `None` is now for both.
fn vfs_utimes(task: &Task, path: &Path, times: Option<[Timespec; 2]>) -> Result<()> {
    let inode = path.inode();
    let now = inode.now();
    let who = Caller::of(task);
    if path.mnt.read_only {
        return Err(Errno::EROFS);
    }
    let [atime, mtime] = times.unwrap_or([Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }; 2]);
    let both_now = atime.tv_nsec == UTIME_NOW && mtime.tv_nsec == UTIME_NOW;
    if !who.owns(inode) {
        // Who may write the file may say that it was used just now.
        if !both_now {
            return Err(Errno::EPERM);
        }
        inode_permission(inode, Access::W_OK, &who)?;
    }
    let resolve = |time: Timespec| match time.tv_nsec {
        UTIME_NOW => Some(now),
        UTIME_OMIT => None,
        _ => Some(time),
    };
    if let Some(atime) = resolve(atime) {
        inode.set_atime(atime);
    }
    if let Some(mtime) = resolve(mtime) {
        inode.set_mtime(mtime);
    }
    inode.touch_ctime();
    Ok(())
}

fn do_utimes(task: &mut Task, dfd: Fd, filename: UserStr, times: Option<[Timespec; 2]>, flags: AtFlags) -> Result<()> {
    if let Some(times) = times {
        let valid = |t: Timespec| matches!(t.tv_nsec, UTIME_NOW | UTIME_OMIT | 0..1_000_000_000);
        if !times.into_iter().all(valid) {
            return Err(Errno::EINVAL);
        }
    }
    let path = if filename.is_null() && dfd != Fd::AT_FDCWD {
        if !flags.is_empty() {
            return Err(Errno::EINVAL);
        }
        task.files.borrow().get(dfd)?.path.clone()
    } else {
        if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
            return Err(Errno::EINVAL);
        }
        lookup_at(task, dfd, filename, flags)?
    };
    vfs_utimes(task, &path, times)
}

/// utimensat(2): sets access and modification time, in nanoseconds.
#[SYSCALL_DEFINE4(utimensat)]
pub fn utimensat(task: &mut Task, dfd: Fd, filename: UserStr, utimes: UserPtr<Timespec>, flags: AtFlags) -> Result<()> {
    let mut times = None;
    if !utimes.is_null() {
        let mut both = [Timespec::default(); 2];
        utimes.slice(2).read_into(task, &mut both)?;
        if both.iter().all(|time| time.tv_nsec == UTIME_OMIT) {
            return Ok(());
        }
        times = Some(both);
    }
    do_utimes(task, dfd, filename, times, flags)
}

fn from_timevals(task: &mut Task, utimes: UserPtr<Timeval>) -> Result<Option<[Timespec; 2]>> {
    if utimes.is_null() {
        return Ok(None);
    }
    let mut both = [Timeval::default(); 2];
    utimes.slice(2).read_into(task, &mut both)?;
    if both.iter().any(|time| !(0..1_000_000).contains(&time.tv_usec)) {
        return Err(Errno::EINVAL);
    }
    Ok(Some(both.map(|time| Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 })))
}

/// futimesat(2): sets access and modification time, in microseconds, relative to `dfd`.
#[SYSCALL_DEFINE3(futimesat)]
pub fn futimesat(task: &mut Task, dfd: Fd, filename: UserStr, utimes: UserPtr<Timeval>) -> Result<()> {
    let times = from_timevals(task, utimes)?;
    do_utimes(task, dfd, filename, times, AtFlags::empty())
}

/// utimes(2): sets access and modification time, in microseconds.
#[SYSCALL_DEFINE2(utimes)]
pub fn utimes(task: &mut Task, filename: UserStr, utimes: UserPtr<Timeval>) -> Result<()> {
    futimesat(task, Fd::AT_FDCWD, filename, utimes)
}

/// utime(2): sets access and modification time, in seconds.
#[SYSCALL_DEFINE2(utime)]
pub fn utime(task: &mut Task, filename: UserStr, times: UserPtr<Utimbuf>) -> Result<()> {
    let times = if times.is_null() {
        None
    } else {
        let both = times.read(task)?;
        Some([both.actime, both.modtime].map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 }))
    };
    do_utimes(task, Fd::AT_FDCWD, filename, times, AtFlags::empty())
}
