//! Linux: `linux/fcntl.h`, `linux/openat2.h`, `linux/fadvise.h`. They give one namespace of bits to open(2) and its kin, another
//! to the `*at` calls.
//!
//! We: one `bitflags` type a namespace, so that a handler's signature says which bits it takes and a trace prints their
//! names. Unknown bits are kept: whether they are ignored (open) or refused (openat2) is each call's own rule.

use std::fmt;

use bitflags::bitflags;
use callgate_abi::{ArgClass, SyscallArg, TracedArg, fmt_flags, impl_syscall_flags, syscall_enum};

use crate::traced::Traced;
use crate::user_structs;

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

syscall_enum! {
    /// What fcntl(2) is to do.
    pub struct FcntlCmd: u32, "unsigned int" {
        F_DUPFD = 0,
        F_GETFD = 1,
        F_SETFD = 2,
        F_GETFL = 3,
        F_SETFL = 4,
        F_GETLK = 5,
        F_SETLK = 6,
        F_SETLKW = 7,
        F_SETOWN = 8,
        F_GETOWN = 9,
        F_SETSIG = 10,
        F_GETSIG = 11,
        F_OFD_GETLK = 36,
        F_OFD_SETLK = 37,
        F_OFD_SETLKW = 38,
        F_SETLEASE = 1024,
        F_GETLEASE = 1025,
        F_DUPFD_CLOEXEC = 1030,
        F_SETPIPE_SZ = 1031,
        F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033,
        F_GET_SEALS = 1034,
    }
}

user_structs! {
    /// fcntl(2)'s lock.
    Flock = "struct flock" { l_type: i16, l_whence: i16, pad: u32, l_start: i64, l_len: i64, l_pid: i32, pad2: u32 }
    /// openat2(2)'s arguments.
    OpenHow = "struct open_how" { flags: u64, mode: u64, resolve: u64 }
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

syscall_enum! {
    /// How a file will be read.
    pub struct Advice: i32, "int" {
        POSIX_FADV_NORMAL = 0,
        POSIX_FADV_RANDOM = 1,
        POSIX_FADV_SEQUENTIAL = 2,
        POSIX_FADV_WILLNEED = 3,
        POSIX_FADV_DONTNEED = 4,
        POSIX_FADV_NOREUSE = 5,
    }
}
