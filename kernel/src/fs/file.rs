//! Linux: `fs/file.c`, `fs/file_table.c`, `include/linux/fs.h`. A descriptor is an index into a process's table of open
//! files; an open file has a position, status flags, and the operations of what it is.
//!
//! We: the same three, [`FilesStruct`], [`File`] and [`FileOperations`]. Operations never block: they answer EAGAIN, and the
//! layer above (`read_write.rs`) parks the task unless the file is `O_NONBLOCK`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bitflags::bitflags;
use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3};
use callgate_uapi::fcntl::{FdFlags, OpenFlags};
use callgate_uapi::fs::Whence;
use callgate_uapi::poll::EPoll;
use callgate_uapi::resource::RLIMIT_NOFILE;

use super::inode::Inode;
use super::iov_iter::IovIter;
use super::locks::LockOwner;
use super::page_cache::AddressSpace;
use super::readdir::DirContext;
use super::select::PollTable;
use super::{Caller, Path};
use crate::{Result, Task};

bitflags! {
    /// What an open file allows (`fmode_t`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FMode: u32 {
        /// Opened for reading.
        const READ = 1;
        /// Opened for writing.
        const WRITE = 2;
        /// Has a position that lseek moves; pread and pwrite work.
        const LSEEK = 4;
        /// Opened for execution.
        const EXEC = 8;
        /// `O_PATH`: not opened at all.
        const PATH = 16;
    }
}

/// What can be done with an open file (`struct file_operations`). Defaults answer as Linux does where the operation is
/// absent.
pub trait FileOperations {
    /// What kind of file it is, for traces: "pipe", "tty".
    fn name(&self) -> &'static str;
    /// Moves bytes into `iter`. Never blocks: EAGAIN if nothing is there yet.
    fn read(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let _ = (file, iter, pos);
        Err(Errno::EINVAL)
    }
    /// Moves bytes out of `iter`. Never blocks: EAGAIN if not all could be moved yet; `iter.done()` tells how many were.
    fn write(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let _ = (file, iter, pos);
        Err(Errno::EINVAL)
    }
    /// What is ready, and in `table` where to wait for more.
    fn poll(&self, file: &File, table: &mut PollTable) -> EPoll {
        let _ = (file, table);
        EPoll::DEFAULT
    }
    /// Whether there is anything to wait for: epoll refuses other files.
    fn can_poll(&self) -> bool {
        false
    }
    /// A device-specific request.
    fn ioctl(&self, file: &File, task: &mut Task, cmd: u32, arg: u64) -> Result<i64> {
        let _ = (file, task, cmd, arg);
        Err(Errno::ENOTTY)
    }
    /// Lists a directory.
    fn iterate(&self, file: &File, ctx: &mut DirContext<'_>, who: &Caller<'_>) -> Result<()> {
        let _ = (file, ctx, who);
        Err(Errno::ENOTDIR)
    }
    /// Whether the file has a position.
    fn seekable(&self) -> bool {
        false
    }
    /// Moves the position.
    fn llseek(&self, file: &File, offset: i64, whence: Whence) -> Result<u64> {
        generic_file_llseek(file, offset, whence, file.inode().size())
    }
    /// Puts data on stable storage.
    fn fsync(&self, file: &File) -> Result<()> {
        let _ = file;
        Err(Errno::EINVAL)
    }
    /// Reserves or frees space.
    fn fallocate(&self, file: &File, mode: u32, offset: u64, len: u64) -> Result<()> {
        let _ = (file, mode, offset, len);
        Err(Errno::ENODEV)
    }
    /// The pages that mmap(2) and execve(2) map.
    fn mapping(&self, file: &File) -> Option<Rc<dyn AddressSpace>> {
        let _ = file;
        None
    }
    /// The last reference to the open file is gone.
    fn release(&self, file: &File) {
        let _ = file;
    }
    /// Access to a concrete type behind the trait (pipes need theirs).
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// An open file (`struct file`), shared by descriptors that dup(2) or fork(2) made.
pub struct File {
    /// Its operations.
    pub op: Rc<dyn FileOperations>,
    /// Where it was opened.
    pub path: Path,
    /// What it allows.
    pub mode: FMode,
    /// The position.
    pub pos: Cell<u64>,
    flags: Cell<OpenFlags>,
}

impl File {
    /// Joins a path and operations to an open file.
    pub fn new(path: Path, op: Rc<dyn FileOperations>, flags: OpenFlags) -> Rc<Self> {
        Self::with_mode(path, op, flags, FMode::empty())
    }

    /// The open file of a program that is executed: nobody may write to it meanwhile.
    pub fn new_exec(path: Path, op: Rc<dyn FileOperations>) -> Rc<Self> {
        Self::with_mode(path, op, OpenFlags::empty(), FMode::EXEC)
    }

    fn with_mode(path: Path, op: Rc<dyn FileOperations>, flags: OpenFlags, mode: FMode) -> Rc<Self> {
        let mut mode = mode;
        if flags.contains(OpenFlags::O_PATH) {
            mode |= FMode::PATH;
        } else {
            match flags.access_mode() {
                0 => mode |= FMode::READ,
                1 => mode |= FMode::WRITE,
                2 => mode |= FMode::READ | FMode::WRITE,
                _ => {}
            }
            if op.seekable() {
                mode |= FMode::LSEEK;
            }
        }
        let dropped = OpenFlags::O_CREAT | OpenFlags::O_EXCL | OpenFlags::O_NOCTTY | OpenFlags::O_TRUNC;
        let flags = flags.difference(dropped | OpenFlags::O_CLOEXEC);
        path.inode().count_open(mode, 1);
        Rc::new(Self { op, path, mode, pos: Cell::new(0), flags: Cell::new(flags) })
    }

    /// The file behind the name.
    pub fn inode(&self) -> &Rc<Inode> {
        self.path.inode()
    }
    /// The status flags.
    pub fn flags(&self) -> OpenFlags {
        self.flags.get()
    }
    /// Changes the status flags.
    pub fn set_flags(&self, flags: OpenFlags) {
        self.flags.set(flags);
    }
    /// Must calls on it not block?
    pub fn nonblocking(&self) -> bool {
        self.flags.get().contains(OpenFlags::O_NONBLOCK)
    }
    /// The data was read: the access time may move.
    pub fn accessed(&self) {
        if !self.flags.get().contains(OpenFlags::O_NOATIME) {
            self.inode().touch_atime();
        }
    }
    /// Its path for traces and /proc.
    pub fn display_path(&self, root: &Path) -> String {
        String::from_utf8_lossy(&self.path.d_path(root)).into_owned()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.inode().count_open(self.mode, -1);
        if !self.mode.contains(FMode::PATH) {
            let owner = LockOwner::File(std::ptr::from_ref(self) as usize);
            self.inode().locks.release(owner);
            self.op.release(self);
        }
    }
}

/// lseek for files with a size.
pub fn generic_file_llseek(file: &File, offset: i64, whence: Whence, size: u64) -> Result<u64> {
    let base = match whence {
        Whence::SEEK_SET => 0,
        Whence::SEEK_CUR => file.pos.get() as i64,
        Whence::SEEK_END => size as i64,
        Whence::SEEK_DATA | Whence::SEEK_HOLE => {
            if offset < 0 || offset as u64 >= size {
                return Err(Errno::ENXIO);
            }
            let to = if whence == Whence::SEEK_DATA { offset as u64 } else { size };
            file.pos.set(to);
            return Ok(to);
        }
        _ => return Err(Errno::EINVAL),
    };
    let to = base.checked_add(offset).filter(|to| *to >= 0).ok_or(Errno::EINVAL)?;
    file.pos.set(to as u64);
    Ok(to as u64)
}

/// One slot of the table.
#[derive(Clone)]
struct Slot {
    file: Rc<File>,
    close_on_exec: bool,
}

/// A process's open files (`struct files_struct`). Cloning it is what fork does: the slots are copied, the files shared.
#[derive(Clone, Default)]
pub struct FilesStruct {
    slots: Vec<Option<Slot>>,
}

impl FilesStruct {
    /// The open file of `fd`, `O_PATH` ones too.
    pub fn get_raw(&self, fd: Fd) -> Result<Rc<File>> {
        let slot = usize::try_from(fd.0).ok().and_then(|fd| self.slots.get(fd)?.as_ref());
        slot.map(|slot| slot.file.clone()).ok_or(Errno::EBADF)
    }

    /// The open file of `fd`, for calls that use the file (`fdget`): an `O_PATH` descriptor is EBADF.
    pub fn get(&self, fd: Fd) -> Result<Rc<File>> {
        self.get_raw(fd).and_then(|file| if file.mode.contains(FMode::PATH) { Err(Errno::EBADF) } else { Ok(file) })
    }

    /// The lowest free descriptor from `start` on, below `limit`.
    fn lowest(&self, start: usize, limit: u64) -> Result<usize> {
        let free = (start..self.slots.len()).find(|fd| self.slots[*fd].is_none());
        let fd = free.unwrap_or(self.slots.len().max(start));
        if fd as u64 >= limit { Err(Errno::EMFILE) } else { Ok(fd) }
    }

    fn put(&mut self, fd: usize, slot: Slot) -> Option<Rc<File>> {
        if self.slots.len() <= fd {
            self.slots.resize_with(fd + 1, || None);
        }
        self.slots[fd].replace(slot).map(|old| old.file)
    }

    /// Installs `file` at the lowest free descriptor from `start` on; EMFILE at `limit` (`RLIMIT_NOFILE`).
    pub fn install(&mut self, file: Rc<File>, close_on_exec: bool, start: usize, limit: u64) -> Result<Fd> {
        let fd = self.lowest(start, limit)?;
        self.put(fd, Slot { file, close_on_exec });
        Ok(Fd(fd as i32))
    }

    /// Installs `file` at `fd`, for the first process.
    pub fn install_at(&mut self, fd: usize, file: Rc<File>) {
        self.put(fd, Slot { file, close_on_exec: false });
    }

    /// Whether one more descriptor is allowed: EMFILE comes before a path is walked.
    pub fn check_room(&self, limit: u64) -> Result<()> {
        self.lowest(0, limit).map(drop)
    }

    /// Removes `fd`; the caller drops the file after the table is no longer borrowed.
    pub fn remove(&mut self, fd: Fd) -> Result<Rc<File>> {
        let slot = usize::try_from(fd.0).ok().and_then(|fd| self.slots.get_mut(fd)?.take());
        slot.map(|slot| slot.file).ok_or(Errno::EBADF)
    }

    /// The close-on-exec bit.
    pub fn close_on_exec(&self, fd: Fd) -> bool {
        usize::try_from(fd.0).ok().and_then(|fd| self.slots.get(fd)?.as_ref()).is_some_and(|slot| slot.close_on_exec)
    }

    /// Sets the close-on-exec bit.
    pub fn set_close_on_exec(&mut self, fd: Fd, on: bool) {
        if let Some(Some(slot)) = usize::try_from(fd.0).ok().and_then(|fd| self.slots.get_mut(fd)) {
            slot.close_on_exec = on;
        }
    }

    /// execve(2): takes the files out whose bit is set; the caller drops them.
    pub fn do_close_on_exec(&mut self) -> Vec<Rc<File>> {
        self.slots.iter_mut().filter_map(|slot| slot.take_if(|s| s.close_on_exec)).map(|slot| slot.file).collect()
    }

    /// The open descriptors in order.
    pub fn descriptors(&self) -> Vec<Fd> {
        self.slots.iter().enumerate().filter(|(_, s)| s.is_some()).map(|(fd, _)| Fd(fd as i32)).collect()
    }

    /// One more than the highest descriptor that was ever used.
    pub fn max_fds(&self) -> usize {
        self.slots.len()
    }
}

/// Root, working directory and umask (`struct fs_struct`). Cloning it is what fork does.
#[derive(Clone)]
pub struct FsStruct {
    /// Where absolute paths begin.
    pub root: Path,
    /// Where relative paths begin.
    pub pwd: Path,
    /// Permission bits that new files do not get.
    pub umask: u32,
}

impl FsStruct {
    /// A process that has its root and working directory at `root`, and the usual umask.
    pub fn new(root: Path) -> Self {
        Self { pwd: root.clone(), root, umask: 0o022 }
    }
}

/// The descriptor limit of the task.
pub fn rlimit_nofile(task: &Task) -> u64 {
    task.rlimit(RLIMIT_NOFILE)
}

/// Installs a file at the task's lowest free descriptor.
pub fn fd_install(task: &mut Task, file: Rc<File>, close_on_exec: bool) -> Result<Fd> {
    let limit = rlimit_nofile(task);
    task.files.borrow_mut().install(file, close_on_exec, 0, limit)
}

/// dup(2): the lowest free descriptor for the open file of `fildes`.
#[SYSCALL_DEFINE1(dup)]
pub fn dup(task: &mut Task, fildes: Fd) -> Result<Fd> {
    let file = task.files.borrow().get_raw(fildes)?;
    fd_install(task, file, false)
}

/// dup2(2): makes `newfd` the open file of `oldfd`, closing what it was.
#[SYSCALL_DEFINE2(dup2)]
pub fn dup2(task: &mut Task, oldfd: Fd, newfd: Fd) -> Result<Fd> {
    if oldfd == newfd {
        task.files.borrow().get_raw(oldfd)?;
        return Ok(newfd);
    }
    ksys_dup3(task, oldfd, newfd, false)
}

/// dup3(2): as dup2, with `O_CLOEXEC`, and two equal descriptors are refused.
#[SYSCALL_DEFINE3(dup3)]
pub fn dup3(task: &mut Task, oldfd: Fd, newfd: Fd, flags: FdFlags) -> Result<Fd> {
    if !FdFlags::O_CLOEXEC.contains(flags) || oldfd == newfd {
        return Err(Errno::EINVAL);
    }
    ksys_dup3(task, oldfd, newfd, !flags.is_empty())
}

fn ksys_dup3(task: &mut Task, oldfd: Fd, newfd: Fd, close_on_exec: bool) -> Result<Fd> {
    let at = usize::try_from(newfd.0).map_err(|_| Errno::EBADF)?;
    if at as u64 >= rlimit_nofile(task) {
        return Err(Errno::EBADF);
    }
    let file = task.files.borrow().get_raw(oldfd)?;
    let replaced = task.files.borrow_mut().put(at, Slot { file, close_on_exec });
    if let Some(old) = replaced {
        filp_close(task, old);
    }
    Ok(newfd)
}

/// Closes an open file of the task: its record locks go, and the file itself with its last reference.
pub fn filp_close(task: &mut Task, file: Rc<File>) {
    if !file.mode.contains(FMode::PATH) {
        file.inode().locks.release(posix_owner(task));
    }
}

/// Who owns the record locks of a task: its table of files.
pub fn posix_owner(task: &Task) -> LockOwner {
    LockOwner::Files(Rc::as_ptr(&task.files) as usize)
}

/// For `close` and `close_range`: takes descriptors out of the table and closes them.
pub fn close_fd(task: &mut Task, fd: Fd) -> Result<()> {
    let removed = task.files.borrow_mut().remove(fd)?;
    filp_close(task, removed);
    Ok(())
}

/// A shared table, as `CLONE_FILES` gives.
pub type SharedFiles = Rc<RefCell<FilesStruct>>;
