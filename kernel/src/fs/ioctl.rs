//! Linux: `fs/ioctl.c`. A few requests are the same for every file; all others go to the file's own operation.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE3, UserAddr, UserMut, UserPtr};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::ioctl::IoctlCmd;
use linux_raw_sys::ioctl::{FIOCLEX, FIONBIO, FIONCLEX, FIONREAD};

use crate::{Result, Task};

/// ioctl(2): a request to a file.
#[SYSCALL_DEFINE3(ioctl)]
pub fn ioctl(task: &mut Task, fd: Fd, cmd: IoctlCmd, arg: UserAddr) -> Result<i64> {
    let file = task.files.borrow().get(fd)?;
    match cmd.0 {
        FIOCLEX | FIONCLEX => {
            task.files.borrow_mut().set_close_on_exec(fd, cmd.0 == FIOCLEX);
            Ok(0)
        }
        FIONBIO => {
            let on = UserPtr::<i32>::new(arg.0).read(task)? != 0;
            let mut flags = file.flags();
            flags.set(OpenFlags::O_NONBLOCK, on);
            file.set_flags(flags);
            Ok(0)
        }
        FIONREAD if file.inode().is_reg() && file.op.seekable() => {
            let left = file.inode().size().wrapping_sub(file.pos.get()) as i32;
            UserMut::<i32>::new(arg.0).write(task, &left)?;
            Ok(0)
        }
        _ => match file.op.ioctl(&file, task, cmd.0, arg.0) {
            Err(Errno::ENOIOCTLCMD) => Err(Errno::ENOTTY),
            result => result,
        },
    }
}
