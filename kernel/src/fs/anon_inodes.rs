//! Linux: `fs/anon_inodes.c`, `fs/eventfd.c`, `mm/memfd.c`. Open files that no path leads to.
//!
//! Quirks: memfd_create knows no seals.

use std::cell::Cell;
use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserStr};
use callgate_uapi::eventfd::EventfdFlags;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::memfd::MemfdFlags;
use callgate_uapi::poll::EPoll;
use callgate_uapi::stat::S_IFREG;

use super::dcache::{Dentry, Path};
use super::file::{File, FileOperations, fd_install};
use super::inode::{Inode, NewInode};
use super::iov_iter::IovIter;
use super::open::vfs_open;
use super::pseudo::owned_by_root;
use super::select::PollTable;
use super::special::SpecialInode;
use super::{Caller, Vfs, ramfs};
use crate::sched::wait::WaitQueue;
use crate::{Result, Task};

/// Makes the open file of something without a path: `anon_inode:[eventfd]` (`anon_inode_getfile`).
pub fn anon_inode_getfile(vfs: &Vfs, name: &str, op: Rc<dyn FileOperations>, flags: OpenFlags) -> Rc<File> {
    let inode = Inode::new(&vfs.pipefs.sb, &owned_by_root(0o600), Box::new(SpecialInode));
    let dentry = Dentry::anonymous(inode, format!("anon_inode:[{name}]").as_bytes());
    File::new(Path { mnt: vfs.pipefs.clone(), dentry }, op, flags)
}

/// A counter to wait on (`struct eventfd_ctx`).
struct EventFd {
    count: Cell<u64>,
    semaphore: bool,
    wait: WaitQueue,
}

impl FileOperations for EventFd {
    fn name(&self) -> &'static str {
        "eventfd"
    }

    fn read(&self, _: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let _span = tracing::trace_span!(target: "ftrace", "eventfd_read").entered();
        if iter.count() < 8 {
            return Err(Errno::EINVAL);
        }
        let count = self.count.get();
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        let taken = if self.semaphore { 1 } else { count };
        self.count.set(count - taken);
        self.wait.wake_all();
        if iter.copy_to_iter(&taken.to_le_bytes()) < 8 { Err(Errno::EFAULT) } else { Ok(8) }
    }

    fn write(&self, _: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let _span = tracing::trace_span!(target: "ftrace", "eventfd_write").entered();
        if iter.count() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        if iter.peek_from_iter(&mut bytes) < 8 {
            return Err(Errno::EFAULT);
        }
        let add = u64::from_le_bytes(bytes);
        if add == u64::MAX {
            return Err(Errno::EINVAL);
        }
        // The highest count is for the kernel's own overflows.
        let sum = self.count.get().checked_add(add).filter(|sum| *sum < u64::MAX).ok_or(Errno::EAGAIN)?;
        iter.commit(8);
        self.count.set(sum);
        self.wait.wake_all();
        Ok(8)
    }

    fn poll(&self, _: &File, table: &mut PollTable) -> EPoll {
        table.wait_on(&self.wait);
        let mut mask = EPoll::empty();
        mask.set(EPoll::IN, self.count.get() > 0);
        mask.set(EPoll::OUT, self.count.get() < u64::MAX - 1);
        mask
    }

    fn can_poll(&self) -> bool {
        true
    }
}

/// eventfd(2): a counter to wait on.
#[SYSCALL_DEFINE1(eventfd)]
pub fn eventfd(task: &mut Task, count: u32) -> Result<Fd> {
    eventfd2(task, count, EventfdFlags::empty())
}

/// eventfd2(2): the same with flags.
#[SYSCALL_DEFINE2(eventfd2)]
pub fn eventfd2(task: &mut Task, count: u32, flags: EventfdFlags) -> Result<Fd> {
    let known = EventfdFlags::EFD_SEMAPHORE | EventfdFlags::EFD_NONBLOCK | EventfdFlags::EFD_CLOEXEC;
    if !known.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let semaphore = flags.contains(EventfdFlags::EFD_SEMAPHORE);
    let op = Rc::new(EventFd { count: Cell::new(count.into()), semaphore, wait: WaitQueue::new() });
    let mut open = OpenFlags::O_RDWR;
    open.set(OpenFlags::O_NONBLOCK, flags.contains(EventfdFlags::EFD_NONBLOCK));
    let file = anon_inode_getfile(&task.kernel.vfs, "eventfd", op, open);
    fd_install(task, file, flags.contains(EventfdFlags::EFD_CLOEXEC))
}

/// memfd_create(2): a file in memory that no path leads to.
#[SYSCALL_DEFINE2(memfd_create)]
pub fn memfd_create(task: &mut Task, uname: UserStr, flags: MemfdFlags) -> Result<Fd> {
    /// How long a name may be: the longest component less "memfd:".
    const NAME_MAX: usize = 249;
    let known =
        MemfdFlags::MFD_CLOEXEC | MemfdFlags::MFD_ALLOW_SEALING | MemfdFlags::MFD_EXEC | MemfdFlags::MFD_NOEXEC_SEAL;
    if !known.contains(flags) || flags.contains(MemfdFlags::MFD_EXEC | MemfdFlags::MFD_NOEXEC_SEAL) {
        return Err(Errno::EINVAL);
    }
    let mut buf = [0; NAME_MAX + 1];
    let name = match uname.read(task, &mut buf) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
        name => name?,
    };
    let path = [b"/memfd:", name, b" (deleted)"].concat();
    let mode = S_IFREG | if flags.contains(MemfdFlags::MFD_NOEXEC_SEAL) { 0o666 } else { 0o777 };
    let who = Caller::of(task);
    let new = NewInode { mode, uid: who.cred.fsuid, gid: who.cred.fsgid, rdev: 0, target: b"" };
    let root = who.vfs.root();
    let inode = ramfs::new_inode(&root.mnt.sb, &new);
    inode.set_nlink(0);
    let place = Path { mnt: root.mnt, dentry: Dentry::anonymous(inode, &path) };
    let file = vfs_open(place, OpenFlags::O_RDWR | OpenFlags::O_LARGEFILE, &who)?;
    fd_install(task, file, flags.contains(MemfdFlags::MFD_CLOEXEC))
}
