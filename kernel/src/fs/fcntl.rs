//! Linux: `fs/fcntl.c`, and the calls of `fs/locks.c`.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE2, SYSCALL_DEFINE3, UserAddr, UserMut, UserPtr};
use callgate_uapi::fcntl::{FcntlCmd, Flock, OpenFlags};
use callgate_uapi::fs::Whence;
use linux_raw_sys::general::CAP_SYS_RESOURCE;

use super::file::{self, FMode, File};
use super::locks::{LockOwner, RecordLock};
use super::pipe;
use crate::{Result, Task};

/// The close-on-exec bit of `F_SETFD`.
const FD_CLOEXEC: u64 = 1;
/// Lock types.
const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// fcntl(2): looks at or changes a descriptor.
#[SYSCALL_DEFINE3(fcntl)]
pub fn fcntl(task: &mut Task, fd: Fd, cmd: FcntlCmd, arg: UserAddr) -> Result<i64> {
    let open = task.files.borrow().get_raw(fd)?;
    if open.mode.contains(FMode::PATH)
        && !matches!(
            cmd,
            FcntlCmd::F_DUPFD | FcntlCmd::F_DUPFD_CLOEXEC | FcntlCmd::F_GETFD | FcntlCmd::F_SETFD | FcntlCmd::F_GETFL
        )
    {
        return Err(Errno::EBADF);
    }
    match cmd {
        FcntlCmd::F_DUPFD | FcntlCmd::F_DUPFD_CLOEXEC => {
            let limit = file::rlimit_nofile(task);
            if arg.0 >= limit {
                return Err(Errno::EINVAL);
            }
            let cloexec = cmd == FcntlCmd::F_DUPFD_CLOEXEC;
            let new = task.files.borrow_mut().install(open, cloexec, arg.0 as usize, limit)?;
            Ok(new.0.into())
        }
        FcntlCmd::F_GETFD => Ok(task.files.borrow().close_on_exec(fd).into()),
        FcntlCmd::F_SETFD => {
            task.files.borrow_mut().set_close_on_exec(fd, arg.0 & FD_CLOEXEC != 0);
            Ok(0)
        }
        FcntlCmd::F_GETFL => Ok(i64::from(open.flags().bits() as u32)),
        FcntlCmd::F_SETFL => {
            let new = OpenFlags::from_bits_retain(arg.0 as i32) & OpenFlags::SETFL;
            open.set_flags(open.flags().difference(OpenFlags::SETFL) | new);
            Ok(0)
        }
        FcntlCmd::F_GETLK | FcntlCmd::F_OFD_GETLK => getlk(task, &open, cmd, UserMut::new(arg.0)),
        FcntlCmd::F_SETLK | FcntlCmd::F_SETLKW | FcntlCmd::F_OFD_SETLK | FcntlCmd::F_OFD_SETLKW => {
            setlk(task, &open, cmd, UserPtr::new(arg.0))
        }
        FcntlCmd::F_GETOWN | FcntlCmd::F_GETSIG => Ok(0),
        FcntlCmd::F_GETLEASE => Ok(F_UNLCK.into()),
        FcntlCmd::F_GETPIPE_SZ => Ok(pipe::get_pipe(task, fd)?.size() as i64),
        FcntlCmd::F_SETPIPE_SZ => {
            let privileged = task.cred.capable(CAP_SYS_RESOURCE);
            Ok(pipe::get_pipe(task, fd)?.resize(arg.0 as u32 as usize, privileged)? as i64)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Turns a program's lock into ours, and tells whether it is to go.
fn record(task: &Task, file: &File, cmd: FcntlCmd, lock: &Flock) -> Result<(RecordLock, bool)> {
    let base = match Whence(lock.l_whence as u32) {
        Whence::SEEK_SET => 0,
        Whence::SEEK_CUR => file.pos.get() as i64,
        Whence::SEEK_END => file.inode().size() as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?;
    // A negative length means the bytes before the start.
    let (start, end) = match lock.l_len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    if start < 0 || !(F_RDLCK..=F_UNLCK).contains(&lock.l_type) {
        return Err(Errno::EINVAL);
    }
    let ofd = cmd.0 >= FcntlCmd::F_OFD_GETLK.0;
    if ofd && lock.l_pid != 0 {
        return Err(Errno::EINVAL);
    }
    let owner = if ofd { LockOwner::File(std::ptr::from_ref(file) as usize) } else { file::posix_owner(task) };
    let pid = if ofd { -1 } else { task.tgid() };
    let record = RecordLock { owner, pid, write: lock.l_type == F_WRLCK, start: start as u64, end: end as u64 };
    Ok((record, lock.l_type == F_UNLCK))
}

fn getlk(task: &mut Task, file: &File, cmd: FcntlCmd, arg: UserMut<Flock>) -> Result<i64> {
    let mut lock = arg.read(task)?;
    if lock.l_type != F_RDLCK && lock.l_type != F_WRLCK {
        return Err(Errno::EINVAL);
    }
    let (wanted, _) = record(task, file, cmd, &lock)?;
    match file.inode().locks.test(&wanted) {
        None => lock.l_type = F_UNLCK,
        Some(other) => {
            lock.l_type = if other.write { F_WRLCK } else { F_RDLCK };
            lock.l_whence = 0;
            lock.l_start = other.start as i64;
            lock.l_len = if other.end == i64::MAX as u64 { 0 } else { (other.end - other.start + 1) as i64 };
            lock.l_pid = other.pid;
        }
    }
    arg.write(task, &lock)?;
    Ok(0)
}

fn setlk(task: &mut Task, file: &File, cmd: FcntlCmd, arg: UserPtr<Flock>) -> Result<i64> {
    let lock = arg.read(task)?;
    let (wanted, unlock) = record(task, file, cmd, &lock)?;
    let needed = if wanted.write { FMode::WRITE } else { FMode::READ };
    if !unlock && !file.mode.contains(needed) {
        return Err(Errno::EBADF);
    }
    let locks = &file.inode().locks;
    if unlock {
        locks.unlock(wanted.owner, wanted.start, wanted.end);
        return Ok(0);
    }
    let waits = matches!(cmd, FcntlCmd::F_SETLKW | FcntlCmd::F_OFD_SETLKW);
    match locks.lock(wanted) {
        Ok(()) => Ok(0),
        Err(_) if waits => Err(task.wait_on(&[&locks.wait], None)),
        Err(error) => Err(error),
    }
}

/// flock: shared, exclusive, unlock, and the bit for not waiting.
const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;

/// flock(2): locks or unlocks a whole file.
#[SYSCALL_DEFINE2(flock)]
pub fn flock(task: &mut Task, fd: Fd, cmd: u32) -> Result<()> {
    let exclusive = match cmd & !LOCK_NB {
        LOCK_SH => Some(false),
        LOCK_EX => Some(true),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = task.files.borrow().get(fd)?;
    if exclusive.is_some() && !file.mode.intersects(FMode::READ | FMode::WRITE) {
        return Err(Errno::EBADF);
    }
    let locks = &file.inode().locks;
    let owner = LockOwner::File(std::rc::Rc::as_ptr(&file) as usize);
    match locks.flock(owner, exclusive) {
        Err(Errno::EAGAIN) if cmd & LOCK_NB == 0 => Err(task.wait_on(&[&locks.wait], None)),
        result => result,
    }
}
