//! Linux: `include/uapi/linux/{fcntl,fs,stat}.h` give one namespace of bits to open(2) and its kin, another to the `*at` calls.
//!
//! We: one `bitflags` type a namespace, so that a handler's signature says which bits it takes and a trace prints their
//! names. Unknown bits are kept: whether they are ignored (open) or refused (openat2) is each call's own rule.

use std::fmt;

use bitflags::bitflags;
use callgate_abi::{ArgClass, SyscallArg, TracedArg, fmt_flags, impl_syscall_flags, syscall_enum};

bitflags! {
    /// Flags of open(2), also the status flags of an open file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: i32 {
        /// Open for writing only.
        const O_WRONLY = 0o1;
        /// Open for reading and writing.
        const O_RDWR = 0o2;
        /// Create the file if it does not exist.
        const O_CREAT = 0o100;
        /// With `O_CREAT`: the call must create the file.
        const O_EXCL = 0o200;
        /// Do not make a terminal the controlling terminal.
        const O_NOCTTY = 0o400;
        /// Cut the file to length 0.
        const O_TRUNC = 0o1000;
        /// Write at the end of the file.
        const O_APPEND = 0o2000;
        /// Do not block.
        const O_NONBLOCK = 0o4000;
        /// Synchronised data writes.
        const O_DSYNC = 0o10000;
        /// Signal-driven input and output.
        const O_ASYNC = 0o20000;
        /// Bypass the page cache.
        const O_DIRECT = 0o40000;
        /// 64-bit offsets are allowed (implied for 64-bit programs).
        const O_LARGEFILE = 0o100000;
        /// The file must be a directory.
        const O_DIRECTORY = 0o200000;
        /// The last component must not be a symbolic link.
        const O_NOFOLLOW = 0o400000;
        /// Leave the access time alone.
        const O_NOATIME = 0o1000000;
        /// Close the descriptor on execve(2).
        const O_CLOEXEC = 0o2000000;
        /// The bit that with `O_DSYNC` makes `O_SYNC`.
        const __O_SYNC = 0o4000000;
        /// Name a place in the tree without opening the file.
        const O_PATH = 0o10000000;
        /// The bit that with `O_DIRECTORY` makes `O_TMPFILE`.
        const __O_TMPFILE = 0o20000000;
        const _ = !0;
    }
}

impl SyscallArg for OpenFlags {
    const CLASS: ArgClass = ArgClass::Flags;

    fn from_reg(raw: u64) -> Self {
        Self::from_bits_retain(raw as i32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        // The access mode is a number and no bit: reading is 0.
        let flags = Self::from_reg(arg.raw);
        if flags.access_mode() != 0 {
            return fmt_flags(flags, f);
        }
        f.write_str("O_RDONLY")?;
        if flags.is_empty() {
            return Ok(());
        }
        f.write_str("|")?;
        fmt_flags(flags, f)
    }
}

impl OpenFlags {
    /// The two access-mode bits.
    pub const O_ACCMODE: i32 = 3;
    /// Synchronised file integrity.
    pub const O_SYNC: Self = Self::__O_SYNC.union(Self::O_DSYNC);
    /// An unnamed file in a directory.
    pub const O_TMPFILE: Self = Self::__O_TMPFILE.union(Self::O_DIRECTORY);
    /// What fcntl(F_SETFL) may change.
    pub const SETFL: Self =
        Self::O_APPEND.union(Self::O_NONBLOCK).union(Self::O_ASYNC).union(Self::O_DIRECT).union(Self::O_NOATIME);

    /// The access mode: 0 read, 1 write, 2 both, 3 neither (only ioctl).
    pub fn access_mode(self) -> i32 {
        self.bits() & Self::O_ACCMODE
    }
}

bitflags! {
    /// Those of them that pipe2(2) and dup3(2) take.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FdFlags: i32 {
        /// Close the descriptor on execve(2).
        const O_CLOEXEC = OpenFlags::O_CLOEXEC.bits();
        /// A pipe: do not block.
        const O_NONBLOCK = OpenFlags::O_NONBLOCK.bits();
        /// A pipe: keep each write apart.
        const O_DIRECT = OpenFlags::O_DIRECT.bits();
        const _ = !0;
    }
}
impl_syscall_flags!(FdFlags: i32, "int");

impl From<FdFlags> for OpenFlags {
    fn from(flags: FdFlags) -> Self {
        Self::from_bits_retain(flags.bits())
    }
}

bitflags! {
    /// Flags of the `*at` calls.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AtFlags: i32 {
        /// Do not follow a symbolic link.
        const AT_SYMLINK_NOFOLLOW = 0x100;
        /// unlinkat: remove a directory. (faccessat2 calls this bit `AT_EACCESS`.)
        const AT_REMOVEDIR = 0x200;
        /// linkat: follow a symbolic link.
        const AT_SYMLINK_FOLLOW = 0x400;
        /// Do not trigger an automount.
        const AT_NO_AUTOMOUNT = 0x800;
        /// An empty path means the descriptor itself.
        const AT_EMPTY_PATH = 0x1000;
        /// statx: ask the server.
        const AT_STATX_FORCE_SYNC = 0x2000;
        /// statx: what is cached will do.
        const AT_STATX_DONT_SYNC = 0x4000;
        const _ = !0;
    }
}
impl_syscall_flags!(AtFlags: i32, "int");

bitflags! {
    /// Flags of faccessat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AccessFlags: i32 {
        /// Do not follow a symbolic link.
        const AT_SYMLINK_NOFOLLOW = 0x100;
        /// Check with the effective ids, not the real ones.
        const AT_EACCESS = 0x200;
        /// An empty path means the descriptor itself.
        const AT_EMPTY_PATH = 0x1000;
        const _ = !0;
    }
}
impl_syscall_flags!(AccessFlags: i32, "int");

bitflags! {
    /// What access(2) asks, and the mask of every permission check.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: i32 {
        /// Execute, or search a directory.
        const X_OK = 1;
        /// Write.
        const W_OK = 2;
        /// Read.
        const R_OK = 4;
        const _ = !0;
    }
}

impl SyscallArg for Access {
    const CLASS: ArgClass = ArgClass::Flags;

    fn from_reg(raw: u64) -> Self {
        Self::from_bits_retain(raw as i32)
    }

    fn c_type(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("int")
    }

    fn fmt(arg: &TracedArg<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
        // No bit at all asks whether the file is there.
        if Self::from_reg(arg.raw).is_empty() { f.write_str("F_OK") } else { fmt_flags(Self::from_reg(arg.raw), f) }
    }
}

bitflags! {
    /// Flags of renameat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Do not replace the target.
        const RENAME_NOREPLACE = 1;
        /// Exchange source and target.
        const RENAME_EXCHANGE = 2;
        /// Leave a whiteout at the source.
        const RENAME_WHITEOUT = 4;
        const _ = !0;
    }
}
impl_syscall_flags!(RenameFlags: u32, "unsigned int");

syscall_enum! {
    /// Where lseek(2) counts from.
    pub struct Whence: u32, "unsigned int" {
        /// The start.
        SEEK_SET = 0,
        /// The current offset.
        SEEK_CUR = 1,
        /// The end.
        SEEK_END = 2,
        /// The next data.
        SEEK_DATA = 3,
        /// The next hole.
        SEEK_HOLE = 4,
    }
}

/// The longest path, with its NUL.
pub const PATH_MAX: usize = 4096;
/// The longest component.
pub const NAME_MAX: usize = 255;
/// How many symbolic links one walk follows.
pub const MAXSYMLINKS: u32 = 40;
/// The most bytes that one read or write moves.
pub const MAX_RW_COUNT: usize = 0x7fff_f000;

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
