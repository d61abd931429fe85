//! The virtual filesystem.
//!
//! Linux: a call on a path walks names to an inode (`namei`), a call on a descriptor finds an open file (`file`), and both
//! end in operations that a filesystem or a driver has given (`inode_operations`, `file_operations`).
//!
//! We: the same objects under the same names, owned by reference counts on one thread. A machine sees an in-memory root with
//! /proc, /dev, /sys and /tmp, and of the host only its standard streams, see [`Vfs`].
//!
//! Where to look: a path → [`namei`]; open → [`open`]; read and write → [`read_write`]; what files are → [`file`],
//! [`inode`], [`dcache`], [`namespace`]; what there is to open → [`ramfs`], [`pipe`], [`tty`], [`mem`], [`proc`], [`sysfs`].

pub mod anon_inodes;
pub mod dcache;
pub mod eventpoll;
pub mod fadvise;
pub mod fcntl;
pub mod file;
pub mod host;
pub mod inode;
pub mod ioctl;
pub mod iov_iter;
pub mod locks;
pub mod mem;
pub mod namei;
pub mod namespace;
pub mod open;
pub mod page_cache;
pub mod pipe;
pub mod proc;
pub mod pseudo;
pub mod ramfs;
pub mod read_write;
pub mod readdir;
pub mod root;
pub mod select;
pub mod special;
pub mod splice;
pub mod stat;
pub mod statfs;
pub mod sync;
pub mod sysfs;
pub mod tty;
pub mod utimes;
pub mod xattr;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use linux_raw_sys::general::CAP_DAC_OVERRIDE;

pub use dcache::Path;
pub use file::{File, FileOperations, FilesStruct, FsStruct};
pub use root::{Vfs, init};

use crate::Task;

/// With whose rights a file operation is judged.
#[derive(Clone, Copy)]
pub struct FsCred<'a> {
    /// User id for files.
    pub fsuid: u32,
    /// Group id for files.
    pub fsgid: u32,
    /// Further groups.
    pub groups: &'a [u32],
    /// Root's rights over files: CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_MKNOD and their kin.
    pub dac_override: bool,
}

impl FsCred<'_> {
    /// The kernel's own rights.
    pub const KERNEL: FsCred<'static> = FsCred { fsuid: 0, fsgid: 0, groups: &[], dac_override: true };

    /// Is `gid` one of the groups?
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }
}

/// Who walks paths and opens files: rights, root, working directory, umask.
pub struct Caller<'a> {
    /// The filesystems.
    pub vfs: &'a Vfs,
    /// Where "/" is.
    pub root: Path,
    /// Where "." is.
    pub pwd: Path,
    /// Permission bits that new files do not get.
    pub umask: u32,
    /// Rights.
    pub cred: FsCred<'a>,
    /// The task, unless the kernel itself calls.
    pub task: Option<&'a Task>,
}

impl<'a> Caller<'a> {
    /// A task in a system call.
    pub fn of(task: &'a Task) -> Self {
        let fs = task.fs.borrow();
        let cred = FsCred {
            fsuid: task.cred.fsuid,
            fsgid: task.cred.fsgid,
            groups: &task.cred.groups,
            dac_override: task.cred.capable(CAP_DAC_OVERRIDE),
        };
        let (root, pwd) = (fs.root.clone(), fs.pwd.clone());
        Self { vfs: &task.kernel.vfs, root, pwd, umask: fs.umask, cred, task: Some(task) }
    }

    /// The kernel itself.
    pub fn kernel(vfs: &'a Vfs) -> Self {
        let root = vfs.root();
        Self { vfs, pwd: root.clone(), root, umask: 0, cred: FsCred::KERNEL, task: None }
    }

    /// Does the file belong to the caller, or may the caller act as if?
    pub fn owns(&self, inode: &Rc<inode::Inode>) -> bool {
        self.cred.fsuid == inode.uid() || self.cred.dac_override
    }
}
