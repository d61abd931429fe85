//! The oracle: the same random calls on paths go to the host's kernel, in a directory of its own, and to ours; answers must be
//! equal, down to the errno.

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use callgate_abi::{Errno, Fd, UserMut, UserPtr};
use callgate_uapi::fcntl::{Access, AtFlags, OpenFlags};
use callgate_uapi::fs::{RenameFlags, Whence};
use callgate_uapi::stat::{Stat, UMode};
use callgate_uapi::traced::Out;
use callgate_uapi::uio::BufSize;
use rustix::fs::{AtFlags as HostAt, CWD, FileType, Mode, OFlags, RenameFlags as HostRename};

use super::Guest;
use crate::fs::{namei, open, read_write, readdir, stat, utimes};

/// A small generator: the same sequence for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len())]
    }
}

const PATHS: [&str; 22] = [
    "a",
    "b",
    "c",
    "d",
    "a/b",
    "a/c",
    "b/a",
    "b/b",
    "a/b/c",
    "a/",
    "b/",
    "c/.",
    "a/..",
    "a/../b",
    "./b",
    "c/b/",
    "d/a",
    "missing/x",
    "missing/",
    "",
    ".",
    "a//b",
];

const FLAGS: [OpenFlags; 15] = [
    OpenFlags::empty(),
    OpenFlags::O_RDWR,
    OpenFlags::O_WRONLY,
    OpenFlags::O_CREAT.union(OpenFlags::O_RDWR),
    OpenFlags::O_CREAT.union(OpenFlags::O_WRONLY).union(OpenFlags::O_EXCL),
    OpenFlags::O_CREAT.union(OpenFlags::O_WRONLY).union(OpenFlags::O_TRUNC),
    OpenFlags::O_CREAT.union(OpenFlags::O_RDWR).union(OpenFlags::O_APPEND),
    OpenFlags::O_CREAT.union(OpenFlags::O_NOFOLLOW).union(OpenFlags::O_WRONLY),
    OpenFlags::O_DIRECTORY,
    OpenFlags::O_NOFOLLOW,
    OpenFlags::O_NOFOLLOW.union(OpenFlags::O_DIRECTORY),
    OpenFlags::O_PATH.union(OpenFlags::O_NOFOLLOW),
    OpenFlags::O_PATH,
    OpenFlags::O_TRUNC,
    OpenFlags::O_CREAT.union(OpenFlags::O_DIRECTORY),
];

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Open(&'static str, OpenFlags),
    Mkdir(&'static str),
    Unlink(&'static str),
    Rmdir(&'static str),
    Rename(&'static str, &'static str, u32),
    Link(&'static str, &'static str, bool),
    Symlink(&'static str, &'static str),
    Readlink(&'static str),
    Stat(&'static str, bool),
    Truncate(&'static str, u64),
    Chmod(&'static str, u32),
    Access(&'static str, i32),
    Fifo(&'static str),
    Utimes(&'static str),
}

impl Call {
    fn random(dice: &mut Dice) -> Self {
        let path = *dice.pick(&PATHS);
        let other = *dice.pick(&PATHS);
        match dice.roll(22) {
            0..=5 => Self::Open(path, *dice.pick(&FLAGS)),
            6..=8 => Self::Mkdir(path),
            9 => Self::Unlink(path),
            10 => Self::Rmdir(path),
            11..=13 => Self::Rename(path, other, *dice.pick(&[0, 0, 0, 1, 2, 3])),
            14 => Self::Link(path, other, dice.roll(2) == 0),
            15 | 16 => Self::Symlink(other, path),
            17 => Self::Readlink(path),
            18 => Self::Stat(path, dice.roll(2) == 0),
            19 => Self::Truncate(path, dice.roll(10_000) as u64),
            20 => match dice.roll(3) {
                0 => Self::Chmod(path, *dice.pick(&[0o644, 0o755, 0o600, 0o1777])),
                1 => Self::Access(path, dice.roll(8) as i32),
                _ => Self::Utimes(path),
            },
            _ => Self::Fifo(path),
        }
    }
}

/// What a call answered, in words.
type Answer = Result<String, u16>;

/// Tells a file by what must be equal: directories and symbolic links of different filesystems differ in size.
fn describe(mode: u32, nlink: u64, size: u64, mtime: i64) -> String {
    let size = if mode & 0o170_000 == 0o040_000 { 0 } else { size };
    let mtime = if mtime == 1000 { mtime } else { 0 };
    format!("{mode:o} {nlink} {size} {mtime}")
}

struct Host {
    dir: OwnedFd,
}

impl Host {
    fn call(&self, call: &Call) -> Answer {
        self.run(call).map_err(|error| error.raw_os_error() as u16)
    }

    fn run(&self, call: &Call) -> rustix::io::Result<String> {
        let dir = self.dir.as_fd();
        let mut answer = String::new();
        match *call {
            Call::Open(path, flags) => {
                let flags = OFlags::from_bits_retain((flags | OpenFlags::O_NONBLOCK).bits() as u32);
                let flags = if flags.contains(OFlags::PATH) { flags - OFlags::NONBLOCK } else { flags };
                let fd = rustix::fs::openat(dir, path, flags, Mode::from_raw_mode(0o644))?;
                host_use(fd.as_fd(), &mut answer);
            }
            Call::Mkdir(path) => rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(0o777))?,
            Call::Unlink(path) => rustix::fs::unlinkat(dir, path, HostAt::empty())?,
            Call::Rmdir(path) => rustix::fs::unlinkat(dir, path, HostAt::REMOVEDIR)?,
            Call::Rename(old, new, flags) => {
                rustix::fs::renameat_with(dir, old, dir, new, HostRename::from_bits_retain(flags))?;
            }
            Call::Link(old, new, follow) => {
                let flags = if follow { HostAt::SYMLINK_FOLLOW } else { HostAt::empty() };
                rustix::fs::linkat(dir, old, dir, new, flags)?;
            }
            Call::Symlink(target, path) => rustix::fs::symlinkat(target, dir, path)?,
            Call::Readlink(path) => {
                answer = rustix::fs::readlinkat(dir, path, Vec::new())?.into_string().unwrap();
            }
            Call::Stat(path, follow) => {
                let flags = if follow { HostAt::empty() } else { HostAt::SYMLINK_NOFOLLOW };
                let s = rustix::fs::statat(dir, path, flags)?;
                answer = describe(s.st_mode, s.st_nlink, s.st_size as u64, s.st_mtime);
            }
            Call::Truncate(path, length) => {
                let fd = rustix::fs::openat(dir, path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?;
                rustix::fs::ftruncate(fd, length)?;
            }
            Call::Chmod(path, mode) => {
                rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), HostAt::empty())?;
            }
            Call::Access(path, mode) => {
                let mode = rustix::fs::Access::from_bits_retain(mode as u32);
                rustix::fs::accessat(dir, path, mode, HostAt::empty())?;
            }
            Call::Fifo(path) => {
                rustix::fs::mknodat(dir, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?;
            }
            Call::Utimes(path) => {
                let time = rustix::fs::Timespec { tv_sec: 1000, tv_nsec: 0 };
                let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
                rustix::fs::utimensat(dir, path, &times, HostAt::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(answer)
    }
}

/// Uses an open file of the host in all ways that must not hurt.
fn host_use(fd: BorrowedFd<'_>, answer: &mut String) {
    let errno = |error: rustix::io::Errno| error.raw_os_error();
    let flags = rustix::fs::fcntl_getfl(fd).unwrap();
    let _ = write!(answer, "{:o} ", flags.bits());
    let _ = write!(answer, "w{:?} ", rustix::io::write(fd, b"xyz").map_err(errno));
    let mut bytes = [0; 5];
    let _ = write!(answer, "r{:?} ", rustix::io::read(fd, &mut bytes).map_err(errno));
    let _ = write!(answer, "{bytes:?} ");
    let s = rustix::fs::fstat(fd).unwrap();
    if s.st_mode & 0o170_000 != 0o040_000 {
        let _ = write!(answer, "s{:?} ", rustix::fs::seek(fd, rustix::fs::SeekFrom::End(-1)).map_err(errno));
    }
    let _ = write!(answer, "{}", describe(s.st_mode, s.st_nlink, s.st_size as u64, 0));
    if s.st_mode & 0o170_000 == 0o040_000 && !flags.contains(OFlags::PATH) {
        let mut names: Vec<String> = rustix::fs::Dir::read_from(fd)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let kind = entry.file_type() == FileType::Directory;
                format!(" {}{}", entry.file_name().to_str().unwrap(), if kind { "/" } else { "" })
            })
            .collect();
        names.sort();
        answer.extend(names);
    }
}

fn guest_call(guest: &mut Guest, dir: Fd, call: &Call) -> Answer {
    guest_run(guest, dir, call).map_err(Errno::code)
}

fn guest_run(guest: &mut Guest, dir: Fd, call: &Call) -> crate::Result<String> {
    let mut answer = String::new();
    match *call {
        Call::Open(path, flags) => {
            let path = guest.path(path);
            let flags = if flags.contains(OpenFlags::O_PATH) { flags } else { flags | OpenFlags::O_NONBLOCK };
            let flags = flags | OpenFlags::O_CLOEXEC.difference(OpenFlags::O_CLOEXEC);
            let fd = guest.call(|task| open::openat(task, dir, path, flags, UMode(0o644)))?;
            guest_use(guest, fd, &mut answer);
            guest.close(fd)?;
        }
        Call::Mkdir(path) => {
            let path = guest.path(path);
            guest.call(|task| namei::mkdirat(task, dir, path, UMode(0o777)))?;
        }
        Call::Unlink(path) => {
            let path = guest.path(path);
            guest.call(|task| namei::unlinkat(task, dir, path, AtFlags::empty()))?;
        }
        Call::Rmdir(path) => {
            let path = guest.path(path);
            guest.call(|task| namei::unlinkat(task, dir, path, AtFlags::AT_REMOVEDIR))?;
        }
        Call::Rename(old, new, flags) => {
            let (old, new) = (guest.path(old), guest.path(new));
            let flags = RenameFlags::from_bits_retain(flags);
            guest.call(|task| namei::renameat2(task, dir, old, dir, new, flags))?;
        }
        Call::Link(old, new, follow) => {
            let (old, new) = (guest.path(old), guest.path(new));
            let flags = if follow { AtFlags::AT_SYMLINK_FOLLOW } else { AtFlags::empty() };
            guest.call(|task| namei::linkat(task, dir, old, dir, new, flags))?;
        }
        Call::Symlink(target, path) => {
            let (target, path) = (guest.path(target), guest.path(path));
            guest.call(|task| namei::symlinkat(task, target, dir, path))?;
        }
        Call::Readlink(path) => {
            let (path, to) = (guest.path(path), guest.room(256));
            let n = guest.call(|task| stat::readlinkat(task, dir, path, UserMut::new(to), BufSize(256)))?;
            answer = String::from_utf8(guest.peek(to, n)).unwrap();
        }
        Call::Stat(path, follow) => {
            let (path, to) = (guest.path(path), guest.room(256));
            let flags = if follow { AtFlags::empty() } else { AtFlags::AT_SYMLINK_NOFOLLOW };
            guest.call(|task| stat::newfstatat(task, dir, path, Out(UserMut::new(to)), flags))?;
            let s = UserMut::<Stat>::new(to).read(&mut *guest.task)?;
            answer = describe(s.st_mode, s.st_nlink, s.st_size as u64, s.st_mtime.tv_sec);
        }
        Call::Truncate(path, length) => {
            let path = guest.path(path);
            let flags = OpenFlags::O_WRONLY | OpenFlags::O_NONBLOCK;
            let fd = guest.call(|task| open::openat(task, dir, path, flags, UMode(0)))?;
            let result = guest.call(|task| open::attr::ftruncate(task, fd, length as i64));
            guest.close(fd)?;
            result?;
        }
        Call::Chmod(path, mode) => {
            let path = guest.path(path);
            guest.call(|task| open::attr::fchmodat(task, dir, path, UMode(mode as u16)))?;
        }
        Call::Access(path, mode) => {
            let path = guest.path(path);
            guest.call(|task| open::attr::faccessat(task, dir, path, Access::from_bits_retain(mode)))?;
        }
        Call::Fifo(path) => {
            let path = guest.path(path);
            guest.call(|task| namei::mknodat(task, dir, path, UMode(0o010_666), 0))?;
        }
        Call::Utimes(path) => {
            let path = guest.path(path);
            let time = [1000i64, 0, 1000, 0].map(i64::to_le_bytes).concat();
            let times = UserPtr::new(guest.bytes(&time));
            guest.call(|task| utimes::utimensat(task, dir, path, times, AtFlags::AT_SYMLINK_NOFOLLOW))?;
        }
    }
    Ok(answer)
}

fn guest_use(guest: &mut Guest, fd: Fd, answer: &mut String) {
    let errno = |error: Errno| i32::from(error.code());
    let (flags, mode, inode) = {
        let file = guest.task.files.borrow().get_raw(fd).unwrap();
        (file.flags(), file.mode, file.inode().clone())
    };
    let _ = write!(answer, "{:o} ", flags.bits());
    let _ = write!(answer, "w{:?} ", guest.write(fd, b"xyz").map_err(errno));
    let read = guest.read(fd, 5).map_err(errno);
    let mut bytes = [0; 5];
    if let Ok(read) = &read {
        bytes[..read.len()].copy_from_slice(read);
    }
    let _ = write!(answer, "r{:?} ", read.map(|read| read.len()));
    let _ = write!(answer, "{bytes:?} ");
    let described = describe(inode.mode(), inode.nlink().into(), inode.size(), 0);
    if !inode.is_dir() {
        let whence = Whence::SEEK_END;
        let sought = guest.call(|task| read_write::lseek(task, fd, -1, whence)).map_err(errno);
        let _ = write!(answer, "s{sought:?} ");
    }
    let _ = write!(answer, "{described}");
    if inode.is_dir() && !mode.contains(crate::fs::file::FMode::PATH) {
        let room = guest.room(4096);
        let n = guest.call(|task| readdir::getdents64(task, fd, UserMut::new(room), 4096)).unwrap();
        let bytes = guest.peek(room, n);
        let mut names = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let end = rest[19..].iter().position(|byte| *byte == 0).unwrap();
            let name = String::from_utf8_lossy(&rest[19..19 + end]);
            names.push(format!(" {name}{}", if rest[18] == 4 { "/" } else { "" }));
            rest = &rest[length..];
        }
        names.sort();
        answer.extend(names);
    }
}

/// Where the calls happen.
const DEEP: &str = "1/2/3/4/5/6/7/8/9";

#[test]
fn random_calls_answer_as_the_hosts_kernel_does() {
    let base = std::env::temp_dir().join(format!("callgate-fs-{}", std::process::id()));
    let umask = rustix::process::umask(Mode::from_raw_mode(0o022));
    for seed in 0..80 {
        let _ = std::fs::remove_dir_all(&base);
        // Deep enough that links to ".." stay within.
        let inner = base.join(DEEP);
        std::fs::create_dir_all(&inner).unwrap();
        let dir = rustix::fs::openat(CWD, &inner, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let host = Host { dir };
        let mut guest = Guest::new();
        let inner = format!("/tmp/{DEEP}");
        guest.task.kernel.vfs.mkdir_p(&inner, 0o755).unwrap();
        let dir = guest.open(&inner, OpenFlags::O_DIRECTORY).unwrap();
        let mut dice = Dice(seed);
        let mut history = Vec::new();
        for _ in 0..120 {
            let call = Call::random(&mut dice);
            let ours = guest_call(&mut guest, dir, &call);
            let theirs = host.call(&call);
            history.push(format!("{call:?} = {theirs:?}"));
            assert_eq!(ours, theirs, "ours, the host's; seed {seed}:\n{}", history.join("\n"));
        }
    }
    let _ = std::fs::remove_dir_all(&base);
    rustix::process::umask(umask);
}
