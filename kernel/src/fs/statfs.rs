//! Linux: `fs/statfs.c`. What a filesystem says about itself.

use callgate_abi::{Fd, SYSCALL_DEFINE2, UserMut, UserStr};
use callgate_uapi::fcntl::AtFlags;
use callgate_uapi::fs::NAME_MAX;
use callgate_uapi::stat::Statfs;

use super::Path;
use super::open::lookup_at;
use super::ramfs::TMPFS_MAGIC;
use crate::{Result, Task};

/// statfs: the flags field is valid; access times move only as with relatime.
const ST_VALID: u64 = 0x20;
const ST_RELATIME: u64 = 0x1000;
const ST_RDONLY: u64 = 1;

fn vfs_statfs(path: &Path) -> Statfs {
    let sb = &path.mnt.sb;
    let mut answer = Statfs {
        f_type: sb.magic,
        f_bsize: 4096,
        f_frsize: 4096,
        f_namelen: NAME_MAX as u64,
        f_fsid: [sb.dev as i32, 0],
        f_flags: ST_VALID | ST_RELATIME | if path.mnt.read_only { ST_RDONLY } else { 0 },
        ..Statfs::default()
    };
    if sb.magic == TMPFS_MAGIC {
        let memory = &sb.env.memory;
        answer.f_blocks = memory.limit() / 4096;
        answer.f_bfree = answer.f_blocks.saturating_sub(memory.frames_in_use());
        answer.f_bavail = answer.f_bfree;
        // As tmpfs does: at most one inode for each page.
        answer.f_files = answer.f_blocks;
        answer.f_ffree = answer.f_bfree;
    }
    answer
}

/// statfs(2): tells about the filesystem of a path.
#[SYSCALL_DEFINE2(statfs)]
pub fn statfs(task: &mut Task, pathname: UserStr, buf: UserMut<Statfs>) -> Result<()> {
    let path = lookup_at(task, Fd::AT_FDCWD, pathname, AtFlags::empty())?;
    buf.write(task, &vfs_statfs(&path))
}

/// fstatfs(2): tells about the filesystem of an open file.
#[SYSCALL_DEFINE2(fstatfs)]
pub fn fstatfs(task: &mut Task, fd: Fd, buf: UserMut<Statfs>) -> Result<()> {
    let path = task.files.borrow().get_raw(fd)?.path.clone();
    buf.write(task, &vfs_statfs(&path))
}
