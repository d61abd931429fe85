//! Linux: the structures that file calls share with programs, from `include/uapi`.
//!
//! We: `zerocopy` structures of the same layout; no code here.

use std::fmt;

use super::flags::{S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use crate::sys::traced::Traced;
use crate::sys::user_structs;

user_structs! {
    /// Seconds and nanoseconds since 1970-01-01 00:00:00 UTC.
    Timespec = "struct __kernel_timespec" { tv_sec: i64, tv_nsec: i64 }
    /// Seconds and microseconds.
    Timeval = "struct __kernel_old_timeval" { tv_sec: i64, tv_usec: i64 }
    /// utime(2)'s two times.
    Utimbuf = "struct utimbuf" { actime: i64, modtime: i64 }
    /// One segment of readv(2) and writev(2).
    Iovec = "struct iovec" { iov_base: u64, iov_len: u64 }
    /// stat(2)'s answer.
    Stat = "struct stat" {
        st_dev: u64, st_ino: u64, st_nlink: u64, st_mode: u32, st_uid: u32, st_gid: u32, pad0: u32, st_rdev: u64,
        st_size: i64, st_blksize: i64, st_blocks: i64, st_atime: Timespec, st_mtime: Timespec, st_ctime: Timespec,
        unused: [i64; 3],
    }
    /// A time in statx(2).
    StatxTimestamp = "struct statx_timestamp" { tv_sec: i64, tv_nsec: u32, reserved: i32 }
    /// statx(2)'s answer.
    Statx = "struct statx" {
        stx_mask: u32, stx_blksize: u32, stx_attributes: u64, stx_nlink: u32, stx_uid: u32, stx_gid: u32, stx_mode: u16,
        spare0: u16, stx_ino: u64, stx_size: u64, stx_blocks: u64, stx_attributes_mask: u64, stx_atime: StatxTimestamp,
        stx_btime: StatxTimestamp, stx_ctime: StatxTimestamp, stx_mtime: StatxTimestamp, stx_rdev_major: u32,
        stx_rdev_minor: u32, stx_dev_major: u32, stx_dev_minor: u32, stx_mnt_id: u64, spare: [u64; 13],
    }
    /// statfs(2)'s answer.
    Statfs = "struct statfs" {
        f_type: u64, f_bsize: u64, f_blocks: u64, f_bfree: u64, f_bavail: u64, f_files: u64, f_ffree: u64,
        f_fsid: [i32; 2], f_namelen: u64, f_frsize: u64, f_flags: u64, f_spare: [u64; 4],
    }
    /// One descriptor of poll(2).
    Pollfd = "struct pollfd" { fd: i32, events: i16, revents: i16 }
    /// openat2(2)'s arguments.
    OpenHow = "struct open_how" { flags: u64, mode: u64, resolve: u64 }
    /// fcntl(2)'s lock.
    Flock = "struct flock" { l_type: i16, l_whence: i16, pad: u32, l_start: i64, l_len: i64, l_pid: i32, pad2: u32 }
    /// Size of a terminal's window.
    Winsize = "struct winsize" { ws_row: u16, ws_col: u16, ws_xpixel: u16, ws_ypixel: u16 }
    /// A terminal's settings, as the kernel has them (glibc's struct is longer).
    Termios = "struct termios" {
        c_iflag: u32, c_oflag: u32, c_cflag: u32, c_lflag: u32, c_line: u8, c_cc: [u8; 19],
    }
    /// pselect6(2)'s sixth argument: a signal mask and its size.
    SigsetArg = "struct sigset_argpack" { sigset: u64, size: u64 }
}

impl PartialOrd for Timespec {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timespec {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tv_sec, self.tv_nsec).cmp(&(other.tv_sec, other.tv_nsec))
    }
}

impl From<std::time::Duration> for Timespec {
    fn from(d: std::time::Duration) -> Self {
        Self { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() }
    }
}

impl From<Timespec> for StatxTimestamp {
    fn from(t: Timespec) -> Self {
        Self { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec as u32, reserved: 0 }
    }
}

/// A mode as strace prints it: `S_IFREG|0644`.
struct Mode(u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 & S_IFMT {
            S_IFREG => "S_IFREG|",
            S_IFDIR => "S_IFDIR|",
            S_IFLNK => "S_IFLNK|",
            S_IFCHR => "S_IFCHR|",
            S_IFBLK => "S_IFBLK|",
            S_IFIFO => "S_IFIFO|",
            S_IFSOCK => "S_IFSOCK|",
            _ => "",
        };
        write!(f, "{kind}0{:o}", self.0 & S_IALLUGO)
    }
}

impl Traced for Stat {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{st_mode={}, ", Mode(self.st_mode))?;
        match self.st_mode & S_IFMT {
            S_IFCHR | S_IFBLK => {
                write!(f, "st_rdev=makedev({:#x}, {:#x})", self.st_rdev >> 8 & 0xfff, self.st_rdev & 0xff)?;
            }
            _ => write!(f, "st_size={}", self.st_size)?,
        }
        f.write_str(", ...}")
    }
}

impl Traced for Statx {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{stx_mask={:#x}, stx_mode={}, ", self.stx_mask, Mode(self.stx_mode.into()))?;
        write!(f, "stx_size={}, ...}}", self.stx_size)
    }
}

impl Traced for Flock {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let kind = match self.l_type {
            0 => "F_RDLCK",
            1 => "F_WRLCK",
            2 => "F_UNLCK",
            _ => "?",
        };
        write!(f, "{{l_type={kind}, l_whence={}, l_start={}, l_len={}}}", self.l_whence, self.l_start, self.l_len)
    }
}

impl Traced for OpenHow {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{{flags={:#o}, mode={:#o}, resolve={:#x}}}", self.flags, self.mode, self.resolve)
    }
}
