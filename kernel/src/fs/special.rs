//! Linux: `init_special_inode`. FIFOs, device nodes and sockets are opened alike whatever filesystem their name is in.

use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::stat::{S_IFCHR, S_IFIFO};

use super::inode::{Inode, InodeOperations};
use super::{Caller, FileOperations, pipe};
use crate::Result;

/// An inode whose open file has nothing to do with its filesystem.
pub struct SpecialInode;

impl InodeOperations for SpecialInode {
    fn open(&self, inode: &Rc<Inode>, flags: OpenFlags, who: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        match inode.file_type() {
            S_IFIFO => pipe::fifo_open(inode, flags),
            S_IFCHR => who.vfs.open_chrdev(inode.rdev, who),
            // A socket's name is only for connect(2), and there are no block devices.
            _ => Err(Errno::ENXIO),
        }
    }
}
