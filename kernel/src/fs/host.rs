//! What the host gives: its standard streams.
//!
//! Linux programs get their standard streams from whoever starts them, and look at what they are: a terminal is asked for its
//! size, a file for its length, a pipe may break. So each stream of the host keeps its kind: it answers fstat, lseek and ioctl
//! as the host's descriptor does. Bytes go straight to that descriptor. A read asks first whether there is something, so that
//! the one thread of the host never sleeps in it; the machine's idle loop waits on all streams that somebody wants to read.
//!
//! Quirks: a write to a host pipe that is full blocks the whole machine until its reader goes on.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::fs::Whence;
use callgate_uapi::poll::EPoll;
use callgate_uapi::stat::{S_IFCHR, S_IFIFO, S_IFMT, S_IFREG};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, SeekFrom};
use tracing::trace_span;

use super::file::{File, FileOperations};
use super::inode::{Inode, InodeOperations};
use super::iov_iter::IovIter;
use super::select::PollTable;
use super::{Caller, tty};
use crate::sched::wait::WaitQueue;
use crate::{Result, Task};

/// The most that one write gives the host at once.
const CHUNK: usize = 64 << 10;

/// Where a stream's bytes come from or go to.
pub enum Source {
    /// A descriptor of the host.
    Host(BorrowedFd<'static>),
    /// Given bytes, then the end.
    Input(RefCell<VecDeque<u8>>),
    /// Kept bytes.
    Output(Rc<RefCell<Vec<u8>>>),
}

/// What a stream is to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal.
    Tty,
    /// A file with a position.
    Regular,
    /// A pipe, a socket, or bytes of a test.
    Pipe,
    /// A character device that is no terminal.
    Device,
}

/// A standard stream.
pub struct HostStream {
    /// Its bytes.
    pub source: Source,
    /// What it is.
    pub kind: Kind,
    /// Type and permission bits.
    pub mode: u32,
    /// Device number of a device.
    pub rdev: u64,
    /// Status flags of the host's descriptor.
    pub flags: OpenFlags,
    /// Who waits for input.
    pub wait: WaitQueue,
    /// The guest's position after its last access to a regular file: the host's position stood there then.
    agreed: Cell<u64>,
}

/// An error of the host, for the guest: both are Linux.
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno::new(error.raw_os_error() as u16)
}

impl HostStream {
    /// Looks at a descriptor of the host. One that isn't open gives no stream.
    pub fn of(fd: BorrowedFd<'static>) -> Option<Rc<Self>> {
        let stat = rustix::fs::fstat(fd).ok()?;
        let flags = rustix::fs::fcntl_getfl(fd).ok()?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if rustix::termios::isatty(fd) => Kind::Tty,
            FileType::CharacterDevice => Kind::Device,
            FileType::RegularFile => Kind::Regular,
            _ => Kind::Pipe,
        };
        Some(Rc::new(Self {
            source: Source::Host(fd),
            kind,
            mode: stat.st_mode,
            rdev: stat.st_rdev,
            flags: OpenFlags::from_bits_retain(flags.bits() as i32),
            wait: WaitQueue::new(),
            agreed: Cell::new(rustix::fs::tell(fd).unwrap_or(0)),
        }))
    }

    /// A stream that is not the host's.
    pub fn buffer(source: Source) -> Rc<Self> {
        let flags = if matches!(source, Source::Input(_)) { OpenFlags::empty() } else { OpenFlags::O_WRONLY };
        let (kind, mode) = (Kind::Pipe, S_IFIFO | 0o600);
        Rc::new(Self { source, kind, mode, rdev: 0, flags, wait: WaitQueue::new(), agreed: Cell::new(0) })
    }

    /// Is there something to read, or would reading tell the end?
    pub fn readable(&self) -> bool {
        match &self.source {
            Source::Host(fd) => {
                let mut fds = [PollFd::from_borrowed_fd(*fd, PollFlags::IN)];
                rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).is_ok_and(|n| n > 0)
            }
            Source::Input(_) => true,
            Source::Output(_) => false,
        }
    }

    fn size(&self) -> u64 {
        match &self.source {
            Source::Host(fd) if self.kind == Kind::Regular => {
                rustix::fs::fstat(fd).map_or(0, |stat| stat.st_size as u64)
            }
            _ => 0,
        }
    }

    /// Brings the host's position and the guest's together. The host's is shared: by standard output and standard error
    /// in one file, by whoever else writes to it. So a guest that goes on where it was goes on where the host is now.
    fn align(&self, pos: &mut u64) {
        let (Source::Host(fd), Kind::Regular) = (&self.source, self.kind) else { return };
        if *pos != self.agreed.get() {
            // Only a closed descriptor refuses, and then the read or write says so.
            let _ = rustix::fs::seek(fd, SeekFrom::Start(*pos));
        } else if let Ok(now) = rustix::fs::tell(fd) {
            *pos = now;
        }
    }

    /// Moves the guest's position on, as the host has moved its own.
    fn advance(&self, pos: &mut u64, n: usize) {
        *pos += n as u64;
        self.agreed.set(*pos);
    }
}

impl FileOperations for HostStream {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Tty => "tty",
            Kind::Regular => "file",
            Kind::Pipe => "pipe",
            Kind::Device => "device",
        }
    }

    fn read(&self, _: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let function =
            trace_span!(target: "ftrace", "host_read", kind = FileOperations::name(self), count = iter.count());
        let tty = trace_span!(target: "ftrace", "tty_read", count = iter.count());
        let _span = if self.kind == Kind::Tty { tty.entered() } else { function.entered() };
        if iter.count() == 0 {
            return Ok(0);
        }
        let mut buffer = vec![0; iter.count().min(CHUNK)];
        let n = match &self.source {
            Source::Host(fd) => {
                if !self.readable() {
                    return Err(Errno::EAGAIN);
                }
                self.align(pos);
                match rustix::io::read(fd, &mut buffer) {
                    Ok(n) => n,
                    Err(rustix::io::Errno::INTR) => return Err(Errno::EAGAIN),
                    Err(error) => return Err(errno(error)),
                }
            }
            Source::Input(bytes) => {
                let mut bytes = bytes.borrow_mut();
                let n = bytes.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(bytes.drain(..n)) {
                    *to = from;
                }
                n
            }
            Source::Output(_) => return Err(Errno::EBADF),
        };
        self.advance(pos, n);
        if n > 0 && iter.copy_to_iter(&buffer[..n]) == 0 { Err(Errno::EFAULT) } else { Ok(n) }
    }

    fn write(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let function =
            trace_span!(target: "ftrace", "host_write", kind = FileOperations::name(self), count = iter.count());
        let tty = trace_span!(target: "ftrace", "tty_write", count = iter.count());
        let _span = if self.kind == Kind::Tty { tty.entered() } else { function.entered() };
        if self.kind == Kind::Regular {
            super::read_write::generic_write_checks(file, iter, pos)?;
        }
        let mut buffer = vec![0; iter.count().min(CHUNK)];
        while iter.count() > 0 {
            let n = iter.count().min(CHUNK);
            let n = iter.peek_from_iter(&mut buffer[..n]);
            if n == 0 {
                break;
            }
            let written = match &self.source {
                Source::Host(fd) => {
                    self.align(pos);
                    match rustix::io::write(fd, &buffer[..n]) {
                        Ok(written) => written,
                        Err(rustix::io::Errno::INTR) => continue,
                        Err(rustix::io::Errno::AGAIN) => {
                            // The host's descriptor does not block: wait for its reader here.
                            let mut fds = [PollFd::from_borrowed_fd(*fd, PollFlags::OUT)];
                            let _ = rustix::event::poll(&mut fds, None);
                            continue;
                        }
                        Err(_) if iter.done() > 0 => break,
                        Err(error) => return Err(errno(error)),
                    }
                }
                Source::Output(bytes) => {
                    bytes.borrow_mut().extend_from_slice(&buffer[..n]);
                    n
                }
                Source::Input(_) => return Err(Errno::EBADF),
            };
            self.advance(pos, written);
            iter.commit(written);
        }
        iter.done_or_fault()
    }

    fn poll(&self, _: &File, table: &mut PollTable) -> EPoll {
        table.wait_on(&self.wait);
        let mut mask = EPoll::OUT | EPoll::WRNORM;
        if self.readable() {
            mask |= EPoll::IN | EPoll::RDNORM;
        }
        mask
    }

    fn can_poll(&self) -> bool {
        matches!(self.kind, Kind::Tty | Kind::Pipe)
    }

    fn ioctl(&self, _: &File, task: &mut Task, cmd: u32, arg: u64) -> Result<i64> {
        match &self.source {
            Source::Host(fd) => tty::ioctl(*fd, self.kind, task, cmd, arg),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn seekable(&self) -> bool {
        self.kind == Kind::Regular
    }

    fn llseek(&self, file: &File, offset: i64, whence: Whence) -> Result<u64> {
        super::file::generic_file_llseek(file, offset, whence, self.size())
    }

    fn fsync(&self, _: &File) -> Result<()> {
        match &self.source {
            Source::Host(fd) if self.kind == Kind::Regular => rustix::fs::fsync(fd).map_err(errno),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// The inode of a stream: what fstat tells is what the host tells.
pub struct HostInode(pub Rc<HostStream>);

impl InodeOperations for HostInode {
    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Ok(self.0.clone())
    }

    fn size(&self, _: &Inode) -> u64 {
        self.0.size()
    }

    fn blocks(&self, _: &Inode) -> u64 {
        match &self.0.source {
            Source::Host(fd) if self.0.kind == Kind::Regular => rustix::fs::fstat(fd).map_or(0, |s| s.st_blocks as u64),
            _ => 0,
        }
    }

    fn truncate(&self, inode: &Inode, length: u64) -> Result<()> {
        match &self.0.source {
            Source::Host(fd) if self.0.mode & S_IFMT == S_IFREG => {
                rustix::fs::ftruncate(fd, length).map_err(errno)?;
                inode.touch_mtime();
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn may_setattr(&self) -> Result<()> {
        // The host's file keeps its mode and owner.
        if self.0.mode & S_IFMT == S_IFCHR { Ok(()) } else { Err(Errno::EPERM) }
    }
}
