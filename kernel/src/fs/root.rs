//! What a machine finds when it starts: Linux's initial root filesystem and the mounts that an init makes on it.
//!
//! We: tmpfs as root, with the directories of a small system, the files of /etc that libraries read, and /proc, /dev, /sys and
//! /tmp mounted. Of the host there are only its standard streams, and the files that are installed before the start.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use callgate_abi::Errno;
use callgate_emulator::Memory;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::stat::{S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, makedev};
use rustix::event::{PollFd, PollFlags};

use super::dcache::{Dentry, Path};
use super::file::FileOperations;
use super::host::{HostStream, Kind, Source};
use super::inode::FsEnv;
use super::iov_iter::IovIter;
use super::namei::{LookupFlags, kern_path};
use super::namespace::{Mount, Namespace};
use super::page_cache::PageCache;
use super::tty::{self, Console};
use super::{Caller, mem, open, proc, pseudo, ramfs, sysfs};
use crate::Result;
use crate::kernel::Kernel;

/// The filesystems of a machine.
pub struct Vfs {
    /// Memory and clock for all of them.
    pub env: Rc<FsEnv>,
    /// The mounts.
    pub namespace: Namespace,
    /// The filesystem of pipes and other files without a name.
    pub pipefs: Rc<Mount>,
    /// The foreground process group of the console; 0 until somebody sets it.
    pub foreground: Cell<i32>,
    root: Path,
    streams: OnceCell<[Option<Rc<HostStream>>; 3]>,
}

/// The directories of the root, with their modes.
const DIRECTORIES: [(&str, u32); 19] = [
    ("/bin", 0o755),
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/lib", 0o755),
    ("/lib64", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/sbin", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr", 0o755),
    ("/usr/bin", 0o755),
    ("/usr/lib", 0o755),
    ("/var", 0o755),
    ("/var/tmp", 0o1777),
];

/// The files of /etc.
const FILES: [(&str, &str); 7] = [
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
    ("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("/etc/hostname", "callgate\n"),
    ("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tcallgate\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/shells", "/bin/sh\n"),
    ("/etc/resolv.conf", ""),
];

/// The symbolic links of /dev.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

impl Vfs {
    /// An empty root.
    ///
    /// # Errors
    /// None today.
    pub fn new(memory: &Memory) -> Result<Self> {
        let env = FsEnv::new(memory);
        let root = Mount::new(ramfs::mount(&env, "tmpfs", 0o755), "rootfs", None);
        let namespace = Namespace::default();
        let path = root.path();
        namespace.add(root);
        let pipefs = Mount::new(pseudo::mount(&env, "pipefs", 0x5049_5045), "pipefs", None);
        Ok(Self { env, namespace, pipefs, foreground: Cell::new(0), root: path, streams: OnceCell::new() })
    }

    /// The root of everything.
    pub fn root(&self) -> Path {
        self.namespace.follow_mount(self.root.clone())
    }

    /// The standard streams.
    pub fn streams(&self) -> &[Option<Rc<HostStream>>] {
        self.streams.get().map_or(&[], |streams| streams.as_slice())
    }

    /// The stream that is the console, if one of them is a terminal.
    pub(crate) fn console(&self) -> Option<&Rc<HostStream>> {
        self.streams().iter().flatten().find(|stream| stream.kind == Kind::Tty)
    }

    /// Whether a task waits for input of the host.
    pub fn console_has_waiters(&self) -> bool {
        self.streams().iter().flatten().any(|stream| !stream.wait.is_empty())
    }

    /// Waits until a stream that somebody waits for has input, or until the time is over; wakes who waited.
    pub fn wait_for_host(&self, timeout: Option<Duration>) {
        let waited: Vec<_> = self.streams().iter().flatten().filter(|stream| !stream.wait.is_empty()).collect();
        let mut fds: Vec<_> = waited
            .iter()
            .filter_map(|stream| match &stream.source {
                Source::Host(fd) => Some(PollFd::from_borrowed_fd(*fd, PollFlags::IN)),
                _ => None,
            })
            .collect();
        let timeout = timeout.and_then(|timeout| timeout.try_into().ok());
        // An interrupted wait is a short one.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        for stream in waited {
            if stream.readable() {
                stream.wait.wake_all();
            }
        }
    }

    /// Opens a character device.
    pub fn open_chrdev(&self, rdev: u64, who: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        let _ = who;
        if rdev == tty::CONSOLE || rdev == tty::TTY {
            let console = self.console().ok_or(if rdev == tty::TTY { Errno::ENXIO } else { Errno::EIO })?;
            return Ok(console.clone());
        }
        mem::open(self, rdev).ok_or(Errno::ENXIO)
    }

    /// Makes a directory and those above it; one that is there stays as it is.
    pub fn mkdir_p(&self, path: &str, mode: u32) -> Result<Path> {
        let mut at = self.root();
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        for (i, name) in names.iter().enumerate() {
            let mode = if i + 1 == names.len() { mode } else { 0o755 };
            at = self.entry(&at, name, S_IFDIR | mode, b"", 0)?;
            if !at.inode().is_dir() {
                return Err(Errno::ENOTDIR);
            }
        }
        Ok(at)
    }

    /// The entry `name` of a directory, made if it is not there.
    fn entry(&self, dir: &Path, name: &str, mode: u32, target: &[u8], rdev: u64) -> Result<Path> {
        let who = Caller::kernel(self);
        let dentry = match super::namei::lookup_one(&dir.dentry, name.as_bytes(), &who) {
            Ok(dentry) => dentry,
            Err(Errno::ENOENT) => super::namei::vfs_create(dir, name.as_bytes(), mode, target, rdev, &who)?,
            Err(error) => return Err(error),
        };
        Ok(self.namespace.follow_mount(Path { mnt: dir.mnt.clone(), dentry }))
    }

    /// Splits a path, makes its directory, and gives both parts.
    fn parent<'a>(&self, path: &'a str) -> Result<(Path, &'a str)> {
        let (dir, name) = path.trim_end_matches('/').rsplit_once('/').ok_or(Errno::EINVAL)?;
        Ok((self.mkdir_p(dir, 0o755)?, name))
    }

    /// Installs a file with given contents, and the directories above it.
    pub fn install_file(&self, path: &str, contents: &[u8], mode: u32) -> Result<Path> {
        let (dir, name) = self.parent(path)?;
        let place = self.entry(&dir, name, S_IFREG | mode, b"", 0)?;
        place.inode().op.truncate(place.inode(), 0)?;
        let file = open::vfs_open(place.clone(), OpenFlags::O_WRONLY, &Caller::kernel(self))?;
        let mut iter = IovIter::source(contents);
        if file.op.write(&file, &mut iter, &mut 0)? < contents.len() {
            return Err(Errno::ENOSPC);
        }
        Ok(place)
    }

    /// Installs a file whose contents are a host file's, read page by page when they are needed.
    pub fn install_host_file(&self, path: &str, file: std::fs::File, mode: u32) -> Result<Path> {
        let cache = PageCache::from_host(&self.env.memory, file).map_err(|_| Errno::EIO)?;
        let (dir, name) = self.parent(path)?;
        let inode = ramfs::new_file(&dir.inode().sb, mode, cache);
        dir.inode().op.link(dir.inode(), name.as_bytes(), &inode)?;
        inode.set_nlink(1);
        let dentry = dir.dentry.add(name.as_bytes(), inode);
        Ok(Path { mnt: dir.mnt, dentry })
    }

    /// Installs a symbolic link.
    pub fn install_symlink(&self, path: &str, target: &str) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.entry(&dir, name, S_IFLNK | 0o777, target.as_bytes(), 0).map(drop)
    }

    /// Installs a character device.
    fn install_chrdev(&self, path: &str, rdev: u64, mode: u32) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        self.entry(&dir, name, S_IFCHR | mode, b"", rdev).map(drop)
    }

    /// Mounts a filesystem over a directory.
    pub fn mount(&self, root: Rc<Dentry>, source: &'static str, path: &str) -> Result<()> {
        let point = kern_path(&Caller::kernel(self), path.as_bytes(), LookupFlags::FOLLOW)?;
        self.namespace.add(Mount::new(root, source, Some(point)));
        Ok(())
    }
}

/// Fills the root of a new machine and gives it its standard streams.
///
/// # Errors
/// ENOSPC without memory.
pub fn init(kernel: &Rc<Kernel>, console: Console) -> Result<()> {
    let vfs = &kernel.vfs;
    vfs.env.set_kernel(kernel);
    let root = vfs.root();
    root.inode().set_atime(root.inode().now());
    let _ = vfs.streams.set(console.streams());
    for (path, mode) in DIRECTORIES {
        vfs.mkdir_p(path, mode)?;
    }
    for (path, text) in FILES {
        vfs.install_file(path, text.as_bytes(), 0o644)?;
    }
    vfs.mount(proc::mount(kernel), "proc", "/proc")?;
    vfs.mount(sysfs::mount(kernel), "sysfs", "/sys")?;
    vfs.mount(ramfs::mount(&vfs.env, "devtmpfs", 0o755), "devtmpfs", "/dev")?;
    vfs.mount(ramfs::mount(&vfs.env, "tmpfs", 0o1777), "tmpfs", "/tmp")?;
    vfs.mkdir_p("/dev/shm", 0o1777)?;
    for (name, minor, _) in mem::DEVICES {
        vfs.install_chrdev(&format!("/dev/{name}"), makedev(1, minor), 0o666)?;
    }
    vfs.install_chrdev("/dev/tty", tty::TTY, 0o666)?;
    vfs.install_chrdev("/dev/console", tty::CONSOLE, 0o600)?;
    for (path, target) in LINKS {
        vfs.install_symlink(path, target)?;
    }
    Ok(())
}
