//! Linux: `fs/readdir.c`. A directory is listed in pieces that fit the caller's buffer; each entry tells the offset of the next.
//!
//! We: the same; a directory's `iterate` emits entries from `ctx.pos` on until one is refused.

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE3, UserMemory, UserMut};
use callgate_uapi::stat::{S_IFDIR, d_type};

use super::Caller;
use super::dcache::Dentry;
use super::file::File;
use crate::{Result, Task};

/// Takes one entry: name, position, inode number, type. False: there was no room.
pub type Emit<'a> = dyn FnMut(&[u8], u64, u64, u8) -> bool + 'a;

/// Takes the entries of a listing (`struct dir_context`).
pub struct DirContext<'a> {
    /// Where the listing stands.
    pub pos: u64,
    emit: &'a mut Emit<'a>,
}

impl<'a> DirContext<'a> {
    /// A listing from `pos` on.
    pub fn new(pos: u64, emit: &'a mut Emit<'a>) -> Self {
        Self { pos, emit }
    }

    /// Emits an entry at the current position.
    pub fn emit(&mut self, name: &[u8], ino: u64, kind: u8) -> bool {
        (self.emit)(name, self.pos, ino, kind)
    }

    /// Emits "." and ".." at positions 0 and 1; false if there was no room.
    pub fn emit_dots(&mut self, file: &File) -> bool {
        let dentry = &file.path.dentry;
        if self.pos == 0 {
            if !self.emit(b".", dentry.inode.ino, d_type(S_IFDIR)) {
                return false;
            }
            self.pos = 1;
        }
        if self.pos == 1 {
            if !self.emit(b"..", parent_ino(dentry), d_type(S_IFDIR)) {
                return false;
            }
            self.pos = 2;
        }
        true
    }
}

fn parent_ino(dentry: &Dentry) -> u64 {
    dentry.parent().map_or(dentry.inode.ino, |parent| parent.inode.ino)
}

/// How one of the two calls lays out an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `struct linux_dirent`: the type is the record's last byte.
    Old,
    /// `struct linux_dirent64`: the type stands before the name.
    New,
}

impl Layout {
    fn record(self, name: &[u8], ino: u64, kind: u8) -> Vec<u8> {
        let length = match self {
            Self::Old => (18 + name.len() + 2).next_multiple_of(8),
            Self::New => (19 + name.len() + 1).next_multiple_of(8),
        };
        let mut record = Vec::with_capacity(length);
        record.extend_from_slice(&ino.to_le_bytes());
        record.extend_from_slice(&0u64.to_le_bytes());
        record.extend_from_slice(&(length as u16).to_le_bytes());
        if self == Self::New {
            record.push(kind);
        }
        record.extend_from_slice(name);
        record.resize(length, 0);
        if self == Self::Old {
            record[length - 1] = kind;
        }
        record
    }
}

fn do_getdents(task: &mut Task, fd: Fd, dirent: u64, count: u32, layout: Layout) -> Result<usize> {
    let file = task.files.borrow().get(fd)?;
    if !file.inode().is_dir() {
        return Err(Errno::ENOTDIR);
    }
    if file.inode().nlink() == 0 {
        return Err(Errno::ENOENT);
    }
    let mut buffer: Vec<u8> = Vec::new();
    let mut last: Option<usize> = None;
    let mut refused = false;
    let mut emit = |name: &[u8], pos: u64, ino: u64, kind: u8| {
        let record = layout.record(name, ino, kind);
        if buffer.len() + record.len() > count as usize {
            refused = true;
            return false;
        }
        if let Some(last) = last {
            buffer[last + 8..last + 16].copy_from_slice(&pos.to_le_bytes());
        }
        last = Some(buffer.len());
        buffer.extend_from_slice(&record);
        true
    };
    let mut ctx = DirContext::new(file.pos.get(), &mut emit);
    let result = file.op.iterate(&file, &mut ctx, &Caller::of(task));
    let pos = ctx.pos;
    file.accessed();
    let Some(last) = last else {
        file.pos.set(pos);
        result?;
        return if refused { Err(Errno::EINVAL) } else { Ok(0) };
    };
    buffer[last + 8..last + 16].copy_from_slice(&pos.to_le_bytes());
    task.copy_to_user(dirent, &buffer).map_err(|_| Errno::EFAULT)?;
    file.pos.set(pos);
    Ok(buffer.len())
}

/// getdents(2): lists a directory, in the older layout.
#[SYSCALL_DEFINE3(getdents)]
pub fn getdents(task: &mut Task, fd: Fd, dirent: UserMut<core::ffi::c_void>, count: u32) -> Result<usize> {
    do_getdents(task, fd, dirent.addr(), count, Layout::Old)
}

/// getdents64(2): lists a directory.
#[SYSCALL_DEFINE3(getdents64)]
pub fn getdents64(task: &mut Task, fd: Fd, dirent: UserMut<core::ffi::c_void>, count: u32) -> Result<usize> {
    do_getdents(task, fd, dirent.addr(), count, Layout::New)
}
