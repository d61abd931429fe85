//! Linux: `fs/splice.c`, `fs/read_write.c`. Moves bytes from one open file to another without the program's buffers.
//!
//! We: through a buffer of the kernel's, a piece at a time. What the output did not take goes back by the input's position, so
//! the input must have one, as sendfile(2) and copy_file_range(2) ask anyway.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE4, SYSCALL_DEFINE6, UserMut};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::signal::SIGPIPE;

use super::file::{FMode, File};
use super::iov_iter::IovIter;
use super::read_write::MAX_RW_COUNT;
use super::select::PollTable;
use crate::{PARKED, Result, Task};

/// Bytes moved at once: what a new pipe holds.
const CHUNK: usize = 64 << 10;

/// Moves up to `count` bytes; both positions move by as many as were moved.
fn copy_range(
    task: &mut Task,
    input: &Rc<File>,
    in_pos: &mut u64,
    output: &Rc<File>,
    out_pos: &mut u64,
    count: usize,
) -> Result<usize> {
    let count = count.min(MAX_RW_COUNT);
    let before = task.restart.progress;
    let mut done = before;
    let mut buffer = vec![0; count.min(CHUNK)];
    let so_far = |done: usize, error| if done > 0 { Ok(done) } else { Err(error) };
    while done < count {
        let want = (count - done).min(CHUNK);
        let n = match input.op.read(input, &mut IovIter::sink(&mut buffer[..want]), &mut in_pos.clone()) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => return so_far(done, error),
        };
        let mut iter = IovIter::source(&buffer[..n]);
        let result = output.op.write(output, &mut iter, out_pos);
        let written = result.unwrap_or(iter.done());
        *in_pos += written as u64;
        done += written;
        match result {
            Ok(written) if written == n => {}
            Ok(_) => break,
            Err(Errno::EAGAIN) if !output.nonblocking() => {
                task.restart.progress = done;
                let mut table = PollTable::default();
                output.op.poll(output, &mut table);
                return match table.wait(task, None) {
                    PARKED => Err(PARKED),
                    error => so_far(done, error),
                };
            }
            Err(error) => {
                if error == Errno::EPIPE {
                    task.send_signal(SIGPIPE);
                }
                return so_far(done, error);
            }
        }
    }
    Ok(done)
}

/// Where a call takes an offset from: its own argument, or the file's position.
fn offset(task: &mut Task, file: &File, arg: UserMut<i64>) -> Result<u64> {
    if arg.is_null() {
        return Ok(file.pos.get());
    }
    if !file.mode.contains(FMode::LSEEK) {
        return Err(Errno::ESPIPE);
    }
    u64::try_from(arg.read(task)?).map_err(|_| Errno::EINVAL)
}

/// Stores an offset where it came from.
fn store_offset(task: &mut Task, file: &File, arg: UserMut<i64>, pos: u64) -> Result<()> {
    if !arg.is_null() {
        return arg.write(task, &(pos as i64));
    }
    if file.mode.contains(FMode::LSEEK) {
        file.pos.set(pos);
    }
    Ok(())
}

/// sendfile(2): moves bytes from a file with a position to any other.
#[SYSCALL_DEFINE4(sendfile64)]
pub fn sendfile64(task: &mut Task, out_fd: Fd, in_fd: Fd, offset: UserMut<i64>, count: usize) -> Result<usize> {
    let own = if offset.is_null() { None } else { Some(offset.read(task)?) };
    let input = task.files.borrow().get(in_fd)?;
    if !input.mode.contains(FMode::READ) {
        return Err(Errno::EBADF);
    }
    if own.is_some() && !input.mode.contains(FMode::LSEEK) {
        return Err(Errno::ESPIPE);
    }
    let output = task.files.borrow().get(out_fd)?;
    if !output.mode.contains(FMode::WRITE) {
        return Err(Errno::EBADF);
    }
    if output.flags().contains(OpenFlags::O_APPEND) || !input.mode.contains(FMode::LSEEK) {
        return Err(Errno::EINVAL);
    }
    let mut in_pos = match own {
        Some(pos) => u64::try_from(pos).map_err(|_| Errno::EINVAL)?,
        None => input.pos.get(),
    };
    let mut out_pos = output.pos.get();
    let result = copy_range(task, &input, &mut in_pos, &output, &mut out_pos, count);
    store_offset(task, &input, offset, in_pos)?;
    if output.mode.contains(FMode::LSEEK) {
        output.pos.set(out_pos);
    }
    result
}

/// copy_file_range(2): moves bytes from one regular file to another.
#[SYSCALL_DEFINE6(copy_file_range)]
pub fn copy_file_range(
    task: &mut Task,
    fd_in: Fd,
    off_in: UserMut<i64>,
    fd_out: Fd,
    off_out: UserMut<i64>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    let input = task.files.borrow().get(fd_in)?;
    let output = task.files.borrow().get(fd_out)?;
    let mut in_pos = offset(task, &input, off_in)?;
    let mut out_pos = offset(task, &output, off_out)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if input.inode().is_dir() || output.inode().is_dir() {
        return Err(Errno::EISDIR);
    }
    if !input.inode().is_reg() || !output.inode().is_reg() {
        return Err(Errno::EINVAL);
    }
    if !input.mode.contains(FMode::READ)
        || !output.mode.contains(FMode::WRITE)
        || output.flags().contains(OpenFlags::O_APPEND)
    {
        return Err(Errno::EBADF);
    }
    let count = len.min(input.inode().size().saturating_sub(in_pos) as usize);
    let overlap = in_pos < out_pos + count as u64 && out_pos < in_pos + count as u64;
    if Rc::ptr_eq(input.inode(), output.inode()) && overlap {
        return Err(Errno::EINVAL);
    }
    let result = copy_range(task, &input, &mut in_pos, &output, &mut out_pos, count)?;
    store_offset(task, &input, off_in, in_pos)?;
    store_offset(task, &output, off_out, out_pos)?;
    Ok(result)
}
