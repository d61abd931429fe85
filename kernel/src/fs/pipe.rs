//! Linux: `fs/pipe.c`. A pipe is a ring of 16 slots of a page each. A write fills slots; a small one may join the last slot;
//! so up to PIPE_BUF (4096) bytes arrive unbroken. A reader takes what is there. Without writers a reader sees the end;
//! without readers a writer gets EPIPE and SIGPIPE.
//!
//! We: the same slots, so that how much fits, and when poll says so, are Linux's. SIGPIPE is raised by `vfs_write`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE2, UserMut};
use callgate_uapi::fcntl::{FdFlags, OpenFlags};
use callgate_uapi::poll::EPoll;
use callgate_uapi::stat::S_IFIFO;
use callgate_uapi::uio::PipeFds;
use tracing::trace_span;

use super::dcache::Dentry;
use super::file::{FMode, File, FileOperations, fd_install};
use super::inode::{Inode, NewInode};
use super::iov_iter::IovIter;
use super::select::PollTable;
use super::special::SpecialInode;
use super::{Path, Vfs};
use crate::sched::wait::WaitQueue;
use crate::{Result, Task};

const PAGE: usize = 4096;
/// Slots of a new pipe.
const PIPE_DEF_BUFFERS: usize = 16;
/// The largest size that `F_SETPIPE_SZ` gives without privilege (`/proc/sys/fs/pipe-max-size`).
const PIPE_MAX_SIZE: usize = 1 << 20;
/// The largest at all: what pipes hold is the host's memory and not the machine's.
const PIPE_LIMIT: usize = 16 << 20;

struct Slot {
    data: Vec<u8>,
    start: usize,
    /// Written in packet mode: nothing joins it, and a read takes it alone.
    packet: bool,
}

/// A pipe or an open FIFO (`struct pipe_inode_info`).
pub struct Pipe {
    slots: RefCell<VecDeque<Slot>>,
    /// The memory of a slot that was read empty, for the next one (`tmp_page`).
    spare: Cell<Vec<u8>>,
    ring_size: Cell<usize>,
    readers: Cell<u32>,
    writers: Cell<u32>,
    /// Ends ever opened: who waits for the other end of a FIFO sees it even if it has gone again.
    ever_read: Cell<u64>,
    ever_written: Cell<u64>,
    rd_wait: WaitQueue,
    wr_wait: WaitQueue,
}

impl Pipe {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            slots: RefCell::default(),
            spare: Cell::default(),
            ring_size: Cell::new(PIPE_DEF_BUFFERS),
            readers: Cell::new(0),
            writers: Cell::new(0),
            ever_read: Cell::new(0),
            ever_written: Cell::new(0),
            rd_wait: WaitQueue::new(),
            wr_wait: WaitQueue::new(),
        })
    }

    fn is_full(&self) -> bool {
        self.slots.borrow().len() >= self.ring_size.get()
    }

    /// An empty page for a slot's bytes.
    fn page(&self) -> Vec<u8> {
        let mut page = self.spare.take();
        page.clear();
        page.reserve_exact(PAGE);
        page
    }

    fn available(&self) -> usize {
        self.slots.borrow().iter().map(|slot| slot.data.len() - slot.start).sum()
    }

    /// The capacity in bytes (`F_GETPIPE_SZ`).
    pub fn size(&self) -> usize {
        self.ring_size.get() * PAGE
    }

    /// Changes the capacity (`F_SETPIPE_SZ`); gives the new one.
    pub fn resize(&self, bytes: usize, privileged: bool) -> Result<usize> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let slots = bytes.max(1).div_ceil(PAGE).next_power_of_two();
        if slots * PAGE > PIPE_MAX_SIZE && slots > self.ring_size.get() && !privileged {
            return Err(Errno::EPERM);
        }
        if slots * PAGE > PIPE_LIMIT {
            return Err(Errno::ENOMEM);
        }
        if self.slots.borrow().len() > slots {
            return Err(Errno::EBUSY);
        }
        self.ring_size.set(slots);
        self.wr_wait.wake_all();
        Ok(self.size())
    }
}

/// One end of a pipe, or both (a FIFO opened for reading and writing).
pub struct PipeEnd {
    /// The pipe.
    pub pipe: Rc<Pipe>,
    reads: bool,
    writes: bool,
    fifo: bool,
    /// How many of the other end there had ever been when this one was opened.
    seen: u64,
}

impl PipeEnd {
    fn open(pipe: &Rc<Pipe>, flags: OpenFlags, fifo: bool) -> Rc<Self> {
        let (reads, writes) = (flags.access_mode() != 1, flags.access_mode() != 0);
        let (partners, ever) = if reads {
            (pipe.writers.get(), pipe.ever_written.get())
        } else {
            (pipe.readers.get(), pipe.ever_read.get())
        };
        // Who finds a partner has nobody to wait for, and is told when that one goes.
        let seen = if partners > 0 { u64::MAX } else { ever };
        if reads {
            pipe.readers.set(pipe.readers.get() + 1);
            pipe.ever_read.set(pipe.ever_read.get() + 1);
            pipe.wr_wait.wake_all();
        }
        if writes {
            pipe.writers.set(pipe.writers.get() + 1);
            pipe.ever_written.set(pipe.ever_written.get() + 1);
            pipe.rd_wait.wake_all();
        }
        Rc::new(Self { pipe: pipe.clone(), reads, writes, fifo, seen })
    }
}

impl FileOperations for PipeEnd {
    fn name(&self) -> &'static str {
        if self.fifo { "fifo" } else { "pipe" }
    }

    fn read(&self, file: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let _span = trace_span!(target: "ftrace", "pipe_read", count = iter.count()).entered();
        if iter.count() == 0 {
            return Ok(0);
        }
        let pipe = &self.pipe;
        let was_full = pipe.is_full();
        while iter.count() > 0 {
            // Nothing may stay borrowed while user memory is touched.
            let Some(mut slot) = pipe.slots.borrow_mut().pop_front() else { break };
            let copied = iter.copy_to_iter(&slot.data[slot.start..]);
            slot.start += copied;
            let (left, packet) = (slot.data.len() - slot.start, slot.packet);
            if left > 0 && (!packet || copied == 0) {
                pipe.slots.borrow_mut().push_front(slot);
                break;
            }
            pipe.spare.set(slot.data);
            if packet {
                break;
            }
        }
        if was_full && !pipe.is_full() {
            pipe.wr_wait.wake_all();
        }
        match iter.done() {
            0 if !pipe.slots.borrow().is_empty() => Err(Errno::EFAULT),
            0 if pipe.writers.get() == 0 => Ok(0),
            0 => Err(Errno::EAGAIN),
            n => {
                file.accessed();
                Ok(n)
            }
        }
    }

    fn write(&self, file: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let _span = trace_span!(target: "ftrace", "pipe_write", count = iter.count()).entered();
        let pipe = &self.pipe;
        if iter.count() == 0 {
            return Ok(0);
        }
        if pipe.readers.get() == 0 {
            return Err(Errno::EPIPE);
        }
        let packet = file.flags().contains(OpenFlags::O_DIRECT);
        // The odd bytes of a write join the last slot if all of them fit.
        let odd = iter.count() % PAGE;
        let joins = |slot: &Slot| odd > 0 && !slot.packet && odd <= PAGE - slot.data.len();
        // Nothing may stay borrowed while user memory is touched.
        let last = pipe.slots.borrow_mut().pop_back_if(|slot| joins(slot));
        if let Some(mut slot) = last {
            let copied = iter.append_to(&mut slot.data, odd);
            pipe.slots.borrow_mut().push_back(slot);
            if !copied {
                return Err(Errno::EFAULT);
            }
        }
        let mut result = Ok(());
        while iter.count() > 0 {
            if pipe.is_full() {
                result = Err(Errno::EAGAIN);
                break;
            }
            let mut data = pipe.page();
            // A slot is filled whole or not at all: of a page that faults, nothing is written.
            let room = iter.count().min(PAGE);
            if !iter.append_to(&mut data, room) {
                break;
            }
            pipe.slots.borrow_mut().push_back(Slot { data, start: 0, packet });
        }
        if iter.done() > 0 {
            pipe.rd_wait.wake_all();
            file.inode().touch_mtime();
        }
        result.and_then(|()| iter.done_or_fault())
    }

    fn poll(&self, file: &File, table: &mut PollTable) -> EPoll {
        let pipe = &self.pipe;
        let mut mask = EPoll::empty();
        if file.mode.contains(FMode::READ) {
            table.wait_on(&pipe.rd_wait);
            if !pipe.slots.borrow().is_empty() {
                mask |= EPoll::IN | EPoll::RDNORM;
            }
            // A FIFO that no writer has opened yet has not ended.
            if pipe.writers.get() == 0 && (!self.fifo || pipe.ever_written.get() != self.seen) {
                mask |= EPoll::HUP;
            }
        }
        if file.mode.contains(FMode::WRITE) {
            table.wait_on(&pipe.wr_wait);
            if !pipe.is_full() {
                mask |= EPoll::OUT | EPoll::WRNORM;
            }
            if pipe.readers.get() == 0 {
                mask |= EPoll::ERR;
            }
        }
        mask
    }

    fn can_poll(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, task: &mut Task, cmd: u32, arg: u64) -> Result<i64> {
        if cmd != linux_raw_sys::ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let available = self.pipe.available() as i32;
        UserMut::<i32>::new(arg).write(task, &available)?;
        Ok(0)
    }

    fn release(&self, _: &File) {
        let pipe = &self.pipe;
        if self.reads {
            pipe.readers.set(pipe.readers.get() - 1);
        }
        if self.writes {
            pipe.writers.set(pipe.writers.get() - 1);
        }
        if pipe.readers.get() == 0 && pipe.writers.get() == 0 {
            pipe.slots.borrow_mut().clear();
        }
        pipe.rd_wait.wake_all();
        pipe.wr_wait.wake_all();
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

/// Opens a FIFO, or a pipe again through /proc/self/fd.
pub fn fifo_open(inode: &Rc<Inode>, flags: OpenFlags) -> Result<Rc<dyn FileOperations>> {
    let pipe = inode.pipe.borrow().upgrade().unwrap_or_else(Pipe::new);
    inode.pipe.replace(Rc::downgrade(&pipe));
    let nonblock = flags.contains(OpenFlags::O_NONBLOCK);
    if flags.access_mode() == 1 && nonblock && pipe.readers.get() == 0 {
        return Err(Errno::ENXIO);
    }
    Ok(PipeEnd::open(&pipe, flags, true))
}

/// The queue on which opening this FIFO must still wait for the other end, if it must.
pub fn fifo_waits(file: &File) -> Option<WaitQueue> {
    let end = file.op.as_any()?.downcast_ref::<PipeEnd>()?;
    if !end.fifo || file.nonblocking() || end.reads && end.writes {
        return None;
    }
    let pipe = &end.pipe;
    if end.reads {
        (pipe.writers.get() == 0 && pipe.ever_written.get() == end.seen).then(|| pipe.rd_wait.clone())
    } else {
        (pipe.readers.get() == 0 && pipe.ever_read.get() == end.seen).then(|| pipe.wr_wait.clone())
    }
}

/// Makes a pipe: its reading and its writing end (`create_pipe_files`).
pub fn create_pipe_files(vfs: &Vfs, uid: u32, gid: u32, flags: OpenFlags) -> (Rc<File>, Rc<File>) {
    let new = NewInode { mode: S_IFIFO | 0o600, uid, gid, rdev: 0, target: b"" };
    let inode = Inode::new(&vfs.pipefs.sb, &new, Box::new(SpecialInode));
    let pipe = Pipe::new();
    inode.pipe.replace(Rc::downgrade(&pipe));
    let name = format!("pipe:[{}]", inode.ino);
    let path = Path { mnt: vfs.pipefs.clone(), dentry: Dentry::anonymous(inode, name.as_bytes()) };
    let end = |mode: OpenFlags| {
        let flags = mode | flags & (OpenFlags::O_NONBLOCK | OpenFlags::O_DIRECT);
        File::new(path.clone(), PipeEnd::open(&pipe, flags, false), flags)
    };
    (end(OpenFlags::empty()), end(OpenFlags::O_WRONLY))
}

fn do_pipe2(task: &mut Task, fildes: UserMut<i32>, flags: OpenFlags) -> Result<()> {
    if !(OpenFlags::O_CLOEXEC | OpenFlags::O_NONBLOCK | OpenFlags::O_DIRECT).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let (fsuid, fsgid) = (task.cred.fsuid, task.cred.fsgid);
    let (read, write) = create_pipe_files(&task.kernel.vfs, fsuid, fsgid, flags);
    let close_on_exec = flags.contains(OpenFlags::O_CLOEXEC);
    let first = fd_install(task, read, close_on_exec)?;
    let second = fd_install(task, write, close_on_exec);
    let stored = second.and_then(|second| {
        fildes.slice(2).write_from(task, &[first.0, second.0])?;
        Ok(())
    });
    if stored.is_err() {
        let mut files = task.files.borrow_mut();
        let ends = (files.remove(first), second.and_then(|second| files.remove(second)));
        drop(files);
        drop(ends);
    }
    stored
}

/// pipe(2): makes a pipe and stores its two descriptors.
#[SYSCALL_DEFINE1(pipe)]
pub fn pipe(task: &mut Task, fildes: PipeFds) -> Result<()> {
    do_pipe2(task, fildes.0, OpenFlags::empty())
}

/// pipe2(2): the same with flags.
#[SYSCALL_DEFINE2(pipe2)]
pub fn pipe2(task: &mut Task, fildes: PipeFds, flags: FdFlags) -> Result<()> {
    do_pipe2(task, fildes.0, flags.into())
}

/// The pipe behind a descriptor, for fcntl.
pub fn get_pipe(task: &Task, fd: Fd) -> Result<Rc<Pipe>> {
    let file = task.files.borrow().get(fd)?;
    let end = file.op.as_any().and_then(|any| any.downcast_ref::<PipeEnd>());
    end.map(|end| end.pipe.clone()).ok_or(Errno::EBADF)
}
