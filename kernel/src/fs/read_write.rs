//! Linux: `fs/read_write.c`. read(2) finds the open file, checks its mode and the range, and calls the file's own operation.
//!
//! We: the same, and here is the one place where reads and writes block. An operation that could not do everything answers
//! EAGAIN; unless the file is `O_NONBLOCK` the task is parked on the queues that the file's poll names, and the handler runs
//! again. What a write has moved before it was parked is kept in `task.restart.progress`.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE3, SYSCALL_DEFINE4, SYSCALL_DEFINE5, SYSCALL_DEFINE6, UserMut, UserPtr};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::fs::Whence;
use callgate_uapi::resource::{RLIM_INFINITY, RLIMIT_FSIZE};
use callgate_uapi::signal::{SIGPIPE, SIGXFSZ};
use callgate_uapi::uio::{Iovec, ReadSegments, WriteSegments};
use tracing::trace_span;

use super::file::{FMode, File};
use super::iov_iter::IovIter;
use super::select::PollTable;
use crate::mm::TASK_SIZE;
use crate::{PARKED, Result, Task};

/// The most bytes that one read or write moves.
pub const MAX_RW_COUNT: usize = 0x7fff_f000;

/// The caller's buffers.
#[derive(Clone)]
pub enum Buffers {
    /// One: address and length.
    One(u64, usize),
    /// Several.
    Many(Vec<Iovec>),
}

impl Buffers {
    fn len(&self) -> usize {
        match self {
            Self::One(_, len) => *len,
            Self::Many(segments) => segments.iter().map(|s| s.iov_len as usize).sum(),
        }
    }

    fn iter<'a>(&self, task: &'a mut Task) -> IovIter<'a> {
        let mut iter = match self {
            Self::One(addr, len) => IovIter::ubuf(task, *addr, *len),
            Self::Many(segments) => IovIter::iovec(task, segments.clone()),
        };
        iter.truncate(MAX_RW_COUNT);
        iter
    }

    /// Are all addresses below the end of user memory (`access_ok`)?
    fn check(&self) -> Result<()> {
        let ok = match self {
            Self::One(addr, len) => access_ok(*addr, *len),
            Self::Many(segments) => segments.iter().all(|s| access_ok(s.iov_base, s.iov_len as usize)),
        };
        if ok { Ok(()) } else { Err(Errno::EFAULT) }
    }
}

/// Does the range lie below the end of user memory?
pub fn access_ok(addr: u64, len: usize) -> bool {
    addr.checked_add(len as u64).is_some_and(|end| end <= TASK_SIZE)
}

/// Copies the segments of readv(2) and its kin in, with Linux's checks (`import_iovec`).
fn import_iovec(task: &mut Task, vec: UserPtr<Iovec>, vlen: usize) -> Result<Buffers> {
    /// UIO_MAXIOV
    const MAX: usize = 1024;
    if vlen > MAX {
        return Err(Errno::EINVAL);
    }
    let mut segments = vec![Iovec::default(); vlen];
    vec.slice(vlen).read_into(task, &mut segments)?;
    if segments.iter().any(|s| (s.iov_len as isize) < 0) {
        return Err(Errno::EINVAL);
    }
    let mut room = MAX_RW_COUNT as u64;
    for segment in &mut segments {
        if !access_ok(segment.iov_base, segment.iov_len as usize) {
            return Err(Errno::EFAULT);
        }
        segment.iov_len = segment.iov_len.min(room);
        room -= segment.iov_len;
    }
    Ok(Buffers::Many(segments))
}

/// Where a call reads or writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At the file's position, which moves.
    Pos,
    /// At an offset of the call's own.
    Offset(u64),
}

impl At {
    /// The offset of pread(2) and its kin.
    fn explicit(pos: i64) -> Result<Self> {
        u64::try_from(pos).map(Self::Offset).map_err(|_| Errno::EINVAL)
    }

    fn start(self, file: &File) -> u64 {
        match self {
            Self::Pos => file.pos.get(),
            Self::Offset(pos) => pos,
        }
    }

    fn finish(self, file: &File, pos: u64) {
        if self == Self::Pos && file.mode.contains(FMode::LSEEK) {
            file.pos.set(pos);
        }
    }
}

/// The open file of a call with an offset of its own: it must have a position.
fn positioned(task: &Task, fd: Fd, at: At) -> Result<Rc<File>> {
    let file = task.files.borrow().get(fd)?;
    if at != At::Pos && !file.mode.contains(FMode::LSEEK) {
        return Err(Errno::ESPIPE);
    }
    Ok(file)
}

/// Reads from an open file into a task's buffers.
pub fn vfs_read(task: &mut Task, file: &Rc<File>, buffers: &Buffers, at: At) -> Result<usize> {
    if !file.mode.contains(FMode::READ) {
        return Err(Errno::EBADF);
    }
    buffers.check()?;
    let mut pos = at.start(file);
    let count = buffers.len();
    if (count as isize) < 0 || (pos as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let result = {
        let _span = trace_span!(target: "ftrace", "vfs_read", kind = file.op.name(), path = %PathOf(file), count, pos)
            .entered();
        file.op.read(file, &mut buffers.iter(task), &mut pos)
    };
    if result == Err(Errno::EAGAIN) && !file.nonblocking() {
        let mut table = PollTable::default();
        file.op.poll(file, &mut table);
        return Err(table.wait(task, None));
    }
    at.finish(file, pos);
    result
}

/// Writes a task's buffers to an open file.
pub fn vfs_write(task: &mut Task, file: &Rc<File>, buffers: &Buffers, at: At) -> Result<usize> {
    if !file.mode.contains(FMode::WRITE) {
        return Err(Errno::EBADF);
    }
    buffers.check()?;
    let mut pos = at.start(file);
    let count = buffers.len();
    if (count as isize) < 0 || (pos as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let before = task.restart.progress;
    let (result, done) = {
        let _span = trace_span!(target: "ftrace", "vfs_write", kind = file.op.name(), path = %PathOf(file), count, pos)
            .entered();
        let mut iter = buffers.iter(task);
        iter.skip(before);
        let result = file.op.write(file, &mut iter, &mut pos);
        (result, before + iter.done())
    };
    at.finish(file, pos);
    let so_far = |error| if done > 0 { Ok(done) } else { Err(error) };
    match result {
        Ok(n) => Ok(before + n),
        Err(Errno::EAGAIN) if !file.nonblocking() => {
            task.restart.progress = done;
            let mut table = PollTable::default();
            file.op.poll(file, &mut table);
            match table.wait(task, None) {
                PARKED => Err(PARKED),
                error => so_far(error),
            }
        }
        Err(Errno::EPIPE) => {
            task.send_signal(SIGPIPE);
            so_far(Errno::EPIPE)
        }
        Err(error) => so_far(error),
    }
}

/// Reads for the kernel itself: as much as the file has, up to the buffer's length.
pub fn kernel_read(file: &File, bytes: &mut [u8], mut pos: u64) -> Result<usize> {
    file.op.read(file, &mut IovIter::sink(bytes), &mut pos)
}

/// What every write to a file with a size checks: `O_APPEND`, the largest offset, RLIMIT_FSIZE with its signal.
pub fn generic_write_checks(file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<()> {
    if iter.count() == 0 {
        return Ok(());
    }
    if file.flags().contains(OpenFlags::O_APPEND) {
        *pos = file.inode().size();
    }
    let mut room = (i64::MAX as u64).saturating_sub(*pos);
    if let Some(task) = iter.task() {
        let limit = task.rlimit(RLIMIT_FSIZE);
        if limit != RLIM_INFINITY {
            if *pos >= limit {
                task.send_signal(SIGXFSZ);
                return Err(Errno::EFBIG);
            }
            room = room.min(limit - *pos);
        }
    }
    if room == 0 {
        return Err(Errno::EFBIG);
    }
    iter.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    Ok(())
}

/// Shows a file's path in a trace; only worked out when somebody looks.
struct PathOf<'a>(&'a File);
impl std::fmt::Display for PathOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = &self.0.path;
        f.write_str(&String::from_utf8_lossy(&path.d_path(&path.mnt.path())))
    }
}

/// read(2): reads at the file's position.
#[SYSCALL_DEFINE3(read)]
pub fn read(task: &mut Task, fd: Fd, buf: UserMut<u8>, count: usize) -> Result<usize> {
    let file = task.files.borrow().get(fd)?;
    vfs_read(task, &file, &Buffers::One(buf.addr(), count), At::Pos)
}

/// write(2): writes at the file's position.
#[SYSCALL_DEFINE3(write)]
pub fn write(task: &mut Task, fd: Fd, buf: UserPtr<u8>, count: usize) -> Result<usize> {
    let file = task.files.borrow().get(fd)?;
    vfs_write(task, &file, &Buffers::One(buf.addr(), count), At::Pos)
}

/// pread64(2): reads at `pos`.
#[SYSCALL_DEFINE4(pread64)]
pub fn pread64(task: &mut Task, fd: Fd, buf: UserMut<u8>, count: usize, pos: i64) -> Result<usize> {
    let at = At::explicit(pos)?;
    let file = positioned(task, fd, at)?;
    vfs_read(task, &file, &Buffers::One(buf.addr(), count), at)
}

/// pwrite64(2): writes at `pos`.
#[SYSCALL_DEFINE4(pwrite64)]
pub fn pwrite64(task: &mut Task, fd: Fd, buf: UserPtr<u8>, count: usize, pos: i64) -> Result<usize> {
    let at = At::explicit(pos)?;
    let file = positioned(task, fd, at)?;
    vfs_write(task, &file, &Buffers::One(buf.addr(), count), at)
}

fn do_readv(task: &mut Task, fd: Fd, vec: UserPtr<Iovec>, vlen: usize, at: At) -> Result<usize> {
    let file = positioned(task, fd, at)?;
    if !file.mode.contains(FMode::READ) {
        return Err(Errno::EBADF);
    }
    let buffers = import_iovec(task, vec, vlen)?;
    if buffers.len() == 0 {
        return Ok(0);
    }
    vfs_read(task, &file, &buffers, at)
}

fn do_writev(task: &mut Task, fd: Fd, vec: UserPtr<Iovec>, vlen: usize, at: At) -> Result<usize> {
    let file = positioned(task, fd, at)?;
    if !file.mode.contains(FMode::WRITE) {
        return Err(Errno::EBADF);
    }
    let buffers = import_iovec(task, vec, vlen)?;
    if buffers.len() == 0 {
        return Ok(0);
    }
    vfs_write(task, &file, &buffers, at)
}

/// readv(2): reads into several buffers.
#[SYSCALL_DEFINE3(readv)]
pub fn readv(task: &mut Task, fd: Fd, vec: ReadSegments, vlen: usize) -> Result<usize> {
    do_readv(task, fd, vec.0, vlen, At::Pos)
}

/// writev(2): writes several buffers.
#[SYSCALL_DEFINE3(writev)]
pub fn writev(task: &mut Task, fd: Fd, vec: WriteSegments, vlen: usize) -> Result<usize> {
    do_writev(task, fd, vec.0, vlen, At::Pos)
}

/// preadv(2): reads into several buffers at an offset. `pos_h` is for 32-bit programs.
#[SYSCALL_DEFINE5(preadv)]
pub fn preadv(task: &mut Task, fd: Fd, vec: ReadSegments, vlen: usize, pos_l: i64, _pos_h: u64) -> Result<usize> {
    do_readv(task, fd, vec.0, vlen, At::explicit(pos_l)?)
}

/// pwritev(2): writes several buffers at an offset.
#[SYSCALL_DEFINE5(pwritev)]
pub fn pwritev(task: &mut Task, fd: Fd, vec: WriteSegments, vlen: usize, pos_l: i64, _pos_h: u64) -> Result<usize> {
    do_writev(task, fd, vec.0, vlen, At::explicit(pos_l)?)
}

/// Flags of preadv2 and pwritev2 that change nothing here: RWF_HIPRI, RWF_DSYNC, RWF_SYNC.
const RWF_HARMLESS: i32 = 7;

/// The place that preadv2 and pwritev2 mean: an offset of -1 is the file's position.
fn at2(pos: i64, flags: i32) -> Result<At> {
    if flags & !RWF_HARMLESS != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if pos == -1 { Ok(At::Pos) } else { At::explicit(pos) }
}

/// preadv2(2): as preadv, with flags; offset -1 is the file's position.
#[SYSCALL_DEFINE6(preadv2)]
pub fn preadv2(
    task: &mut Task,
    fd: Fd,
    vec: ReadSegments,
    vlen: usize,
    pos_l: i64,
    _pos_h: u64,
    flags: i32,
) -> Result<usize> {
    do_readv(task, fd, vec.0, vlen, at2(pos_l, flags)?)
}

/// pwritev2(2): as pwritev, with flags; offset -1 is the file's position.
#[SYSCALL_DEFINE6(pwritev2)]
pub fn pwritev2(
    task: &mut Task,
    fd: Fd,
    vec: WriteSegments,
    vlen: usize,
    pos_l: i64,
    _pos_h: u64,
    flags: i32,
) -> Result<usize> {
    do_writev(task, fd, vec.0, vlen, at2(pos_l, flags)?)
}

/// lseek(2): moves the offset of `fd` and returns the new one.
#[SYSCALL_DEFINE3(lseek)]
pub fn lseek(task: &mut Task, fd: Fd, offset: i64, whence: Whence) -> Result<u64> {
    let file = task.files.borrow().get(fd)?;
    if whence.0 > Whence::SEEK_HOLE.0 {
        return Err(Errno::EINVAL);
    }
    if !file.mode.contains(FMode::LSEEK) {
        return Err(Errno::ESPIPE);
    }
    file.op.llseek(&file, offset, whence)
}
