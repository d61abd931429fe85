//! Linux: `linux/fs.h`, `linux/limits.h`.

use bitflags::bitflags;
use callgate_abi::{impl_syscall_flags, syscall_enum};

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
