//! Linux: `fs/sync.c`. Nothing here has a disk behind it, so there is nothing to wait for; what is checked is the descriptor.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE0, SYSCALL_DEFINE1, SYSCALL_DEFINE4};
use callgate_uapi::stat::{S_IFBLK, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

use crate::{Result, Task};

/// sync(2): writes everything to its disk.
#[SYSCALL_DEFINE0(sync)]
pub fn sync(_task: &mut Task) -> Result<()> {
    Ok(())
}

/// syncfs(2): writes a filesystem to its disk.
#[SYSCALL_DEFINE1(syncfs)]
pub fn syncfs(task: &mut Task, fd: Fd) -> Result<()> {
    task.files.borrow().get(fd).map(drop)
}

/// fsync(2): writes a file to its disk.
#[SYSCALL_DEFINE1(fsync)]
pub fn fsync(task: &mut Task, fd: Fd) -> Result<()> {
    let file = task.files.borrow().get(fd)?;
    file.op.fsync(&file)
}

/// fdatasync(2): writes a file's data to its disk.
#[SYSCALL_DEFINE1(fdatasync)]
pub fn fdatasync(task: &mut Task, fd: Fd) -> Result<()> {
    fsync(task, fd)
}

/// sync_file_range(2): writes a part of a file to its disk.
#[SYSCALL_DEFINE4(sync_file_range)]
pub fn sync_file_range(task: &mut Task, fd: Fd, offset: i64, nbytes: i64, flags: u32) -> Result<()> {
    let file = task.files.borrow().get(fd)?;
    if flags & !7 != 0 || offset < 0 || offset.checked_add(nbytes).is_none_or(|end| end < offset) {
        return Err(Errno::EINVAL);
    }
    match file.inode().mode() & S_IFMT {
        S_IFREG | S_IFBLK | S_IFDIR | S_IFLNK => Ok(()),
        _ => Err(Errno::ESPIPE),
    }
}
