//! Linux: `mm/fadvise.c`, `mm/readahead.c`. A program says how it will read a file. Everything is in memory already, so the
//! advice has no effect; what is checked is the descriptor and the advice.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE3, SYSCALL_DEFINE4};
use callgate_uapi::fcntl::Advice;
use callgate_uapi::stat::{S_IFIFO, S_IFMT};

use super::file::FMode;
use crate::{Result, Task};

/// fadvise64(2): tells how a part of a file will be read.
#[SYSCALL_DEFINE4(fadvise64)]
pub fn fadvise64(task: &mut Task, fd: Fd, _offset: i64, len: i64, advice: Advice) -> Result<()> {
    let file = task.files.borrow().get(fd)?;
    if file.inode().mode() & S_IFMT == S_IFIFO {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || !(0..=Advice::POSIX_FADV_NOREUSE.0).contains(&advice.0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// readahead(2): asks for a part of a file to be read before it is needed.
#[SYSCALL_DEFINE3(readahead)]
pub fn readahead(task: &mut Task, fd: Fd, _offset: i64, _count: usize) -> Result<()> {
    let file = task.files.borrow().get(fd)?;
    if !file.mode.contains(FMode::READ) {
        return Err(Errno::EBADF);
    }
    if !file.inode().is_reg() || file.op.mapping(&file).is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
