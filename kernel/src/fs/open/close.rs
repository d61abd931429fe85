//! close, and the calls that change where a process is.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE3, UserStr};
use callgate_uapi::fcntl::{Access, AtFlags};
use linux_raw_sys::general::CAP_SYS_CHROOT;

use crate::fs::namei::inode_permission;
use crate::fs::{Caller, file, open};
use crate::{Result, Task};

/// close(2): frees the descriptor.
#[SYSCALL_DEFINE1(close)]
pub fn close(task: &mut Task, fd: Fd) -> Result<()> {
    file::close_fd(task, fd)
}

/// close_range: give the task a table of its own first.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// close_range: set close-on-exec instead.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// close_range(2): closes all descriptors from `fd` to `max_fd`, or sets their close-on-exec bit.
#[SYSCALL_DEFINE3(close_range)]
pub fn close_range(task: &mut Task, fd: u32, max_fd: u32, flags: u32) -> Result<()> {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || fd > max_fd {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let own = task.files.borrow().clone();
        task.files = std::rc::Rc::new(std::cell::RefCell::new(own));
        *task.link.files.borrow_mut() = std::rc::Rc::downgrade(&task.files);
    }
    let descriptors = task.files.borrow().descriptors();
    for open in descriptors.into_iter().filter(|open| (fd..=max_fd).contains(&(open.0 as u32))) {
        if flags & CLOSE_RANGE_CLOEXEC != 0 {
            task.files.borrow_mut().set_close_on_exec(open, true);
        } else {
            file::close_fd(task, open)?;
        }
    }
    Ok(())
}

/// chdir(2): changes the working directory.
#[SYSCALL_DEFINE1(chdir)]
pub fn chdir(task: &mut Task, filename: UserStr) -> Result<()> {
    let path = open::lookup_at(task, Fd::AT_FDCWD, filename, AtFlags::empty())?;
    enter(task, &path)?;
    task.fs.borrow_mut().pwd = path;
    Ok(())
}

/// fchdir(2): changes the working directory to an open one.
#[SYSCALL_DEFINE1(fchdir)]
pub fn fchdir(task: &mut Task, fd: Fd) -> Result<()> {
    let path = task.files.borrow().get_raw(fd)?.path.clone();
    enter(task, &path)?;
    task.fs.borrow_mut().pwd = path;
    Ok(())
}

/// chroot(2): changes where absolute paths begin.
#[SYSCALL_DEFINE1(chroot)]
pub fn chroot(task: &mut Task, filename: UserStr) -> Result<()> {
    let path = open::lookup_at(task, Fd::AT_FDCWD, filename, AtFlags::empty())?;
    enter(task, &path)?;
    if !task.cred.capable(CAP_SYS_CHROOT) {
        return Err(Errno::EPERM);
    }
    task.fs.borrow_mut().root = path;
    Ok(())
}

/// Checks that a place can be the working directory.
fn enter(task: &Task, path: &crate::fs::Path) -> Result<()> {
    if !path.inode().is_dir() {
        return Err(Errno::ENOTDIR);
    }
    inode_permission(path.inode(), Access::X_OK, &Caller::of(task))
}
