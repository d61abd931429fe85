//! Linux: `linux/stat.h`, `asm/stat.h`, `asm/statfs.h`.

use std::fmt;

use callgate_abi::{ArgClass, SyscallArg, TracedArg};

use crate::time::Timespec;
use crate::traced::Traced;
use crate::user_structs;

user_structs! {
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
}

impl From<Timespec> for StatxTimestamp {
    fn from(t: Timespec) -> Self {
        Self { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec as u32, reserved: 0 }
    }
}

/// The mode's file-type bits, and the types.
pub use linux_raw_sys::general::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
/// Set-user-id on execution.
pub const S_ISUID: u32 = 0o4000;
/// Set-group-id on execution; on a directory: entries inherit its group.
pub const S_ISGID: u32 = 0o2000;
/// Only owners remove entries of such a directory.
pub const S_ISVTX: u32 = 0o1000;
/// All bits that chmod(2) sets.
pub const S_IALLUGO: u32 = 0o7777;

/// The `d_type` of a directory entry for a mode.
pub fn d_type(mode: u32) -> u8 {
    ((mode & S_IFMT) >> 12) as u8
}

/// A device number as stat(2) shows it (`new_encode_dev`), for numbers below 2^8 and 2^20.
pub const fn makedev(major: u32, minor: u32) -> u64 {
    ((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)) as u64
}

/// Permission bits, and for mknod(2) the type: printed in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UMode(pub u16);

impl SyscallArg for UMode {
    const CLASS: ArgClass = ArgClass::Int;

    fn from_reg(raw: u64) -> Self {
        Self(raw as u16)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("umode_t")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "0{:02o}", Self::from_reg(arg.raw).0)
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
