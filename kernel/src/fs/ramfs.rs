//! Linux: `mm/shmem.c`, `fs/ramfs`. tmpfs keeps everything in memory: data in the page cache, names in the dentry cache.
//!
//! We: names in a map of the directory's own. Sizes, link counts, block counts, inode numbers and the order of listings (newest
//! name first, with the offsets of Linux 6.6 and later) are tmpfs's.
//!
//! Quirks: tmpfs's limits on size and inodes are absent; only the machine's memory is finite.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::fs::{RenameFlags, Whence};
use callgate_uapi::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, d_type};
use tracing::trace_span;

use super::dcache::Dentry;
use super::file::File;
use super::inode::{FsEnv, Inode, InodeOperations, NewInode, SuperBlock};
use super::iov_iter::IovIter;
use super::page_cache::{AddressSpace, PageCache};
use super::readdir::DirContext;
use super::{Caller, FileOperations, special};
use crate::Result;
use crate::mm::PAGE_SIZE;

/// `f_type` of tmpfs.
pub const TMPFS_MAGIC: u64 = 0x0102_1994;
/// What tmpfs counts for each name in a directory's size.
const BOGO_DIRENT_SIZE: u64 = 20;
/// The offset of the first name; 0 and 1 are "." and "..", 2 says "from the newest on".
const DIR_OFFSET_MIN: u32 = 3;
/// The offset at the end of a listing.
const DIR_OFFSET_EOD: u64 = i32::MAX as u64;

/// A new, empty instance; gives its root.
pub fn mount(env: &Rc<FsEnv>, fs_type: &'static str, mode: u32) -> Rc<Dentry> {
    let sb = SuperBlock::new(env, fs_type, TMPFS_MAGIC, true);
    let new = NewInode { mode: S_IFDIR | mode, uid: 0, gid: 0, rdev: 0, target: b"" };
    Dentry::root(Inode::new(&sb, &new, Box::new(RamDir::default())))
}

/// An inode of this filesystem, without a name yet.
pub fn new_inode(sb: &Rc<SuperBlock>, new: &NewInode<'_>) -> Rc<Inode> {
    let op: Box<dyn InodeOperations> = match new.mode & S_IFMT {
        S_IFDIR => Box::new(RamDir::default()),
        S_IFLNK => Box::new(RamSymlink { target: new.target.to_vec() }),
        S_IFREG => Box::new(RamFile { cache: Rc::new(PageCache::new(&sb.env.memory)) }),
        _ => Box::new(special::SpecialInode),
    };
    Inode::new(sb, new, op)
}

/// A regular file with given pages (a file of the host).
pub fn new_file(sb: &Rc<SuperBlock>, mode: u32, cache: PageCache) -> Rc<Inode> {
    let new = NewInode { mode: S_IFREG | mode, uid: 0, gid: 0, rdev: 0, target: b"" };
    Inode::new(sb, &new, Box::new(RamFile { cache: Rc::new(cache) }))
}

#[derive(Default)]
struct Entries {
    by_name: HashMap<Rc<[u8]>, (u32, Rc<Inode>)>,
    by_offset: BTreeMap<u32, Rc<[u8]>>,
    last: u32,
}

impl Entries {
    fn insert(&mut self, name: &[u8], inode: Rc<Inode>) {
        self.last = (self.last + 1).max(DIR_OFFSET_MIN);
        self.insert_at(self.last, name, inode);
    }

    fn insert_at(&mut self, offset: u32, name: &[u8], inode: Rc<Inode>) {
        let name: Rc<[u8]> = Rc::from(name);
        self.by_offset.insert(offset, name.clone());
        self.by_name.insert(name, (offset, inode));
    }

    fn remove(&mut self, name: &[u8]) -> Option<(u32, Rc<Inode>)> {
        let entry = self.by_name.remove(name)?;
        self.by_offset.remove(&entry.0);
        Some(entry)
    }
}

impl Drop for Entries {
    /// Frees a tree level by level: a deep one must not be freed by recursion on the host's stack.
    fn drop(&mut self) {
        let mut left: Vec<Rc<Inode>> = self.by_name.drain().map(|(_, (_, inode))| inode).collect();
        while let Some(inode) = left.pop() {
            // Only what nobody else holds goes with us: its entries are known to it and, here, to us.
            if Rc::strong_count(&inode) == 1
                && let Ok(entries) = dir_entries(&inode)
                && Rc::strong_count(&entries) == 2
            {
                left.extend(entries.borrow_mut().by_name.drain().map(|(_, (_, inode))| inode));
            }
        }
    }
}

/// A directory: also the operations of an open one.
#[derive(Default)]
struct RamDir {
    entries: Rc<RefCell<Entries>>,
}

impl RamDir {
    fn changed(dir: &Inode) {
        dir.touch_mtime();
    }
}

/// The directory operations of an inode that must be one of ours.
fn dir_entries(dir: &Inode) -> Result<Rc<RefCell<Entries>>> {
    dir.op.as_any().and_then(|any| any.downcast_ref::<RamDir>()).map(|dir| dir.entries.clone()).ok_or(Errno::EXDEV)
}

impl InodeOperations for RamDir {
    fn lookup(&self, _: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        self.entries.borrow().by_name.get(name).map(|(_, inode)| inode.clone()).ok_or(Errno::ENOENT)
    }

    fn create(&self, dir: &Rc<Inode>, name: &[u8], new: &NewInode<'_>) -> Result<Rc<Inode>> {
        let inode = new_inode(&dir.sb, new);
        self.entries.borrow_mut().insert(name, inode.clone());
        if inode.is_dir() {
            dir.inc_nlink();
        }
        Self::changed(dir);
        Ok(inode)
    }

    fn tmpfile(&self, dir: &Rc<Inode>, new: &NewInode<'_>) -> Result<Rc<Inode>> {
        let inode = new_inode(&dir.sb, new);
        inode.set_nlink(0);
        Ok(inode)
    }

    fn link(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        self.entries.borrow_mut().insert(name, inode.clone());
        inode.inc_nlink();
        inode.touch_ctime();
        Self::changed(dir);
        Ok(())
    }

    fn unlink(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        self.entries.borrow_mut().remove(name);
        inode.drop_nlink();
        inode.touch_ctime();
        Self::changed(dir);
        Ok(())
    }

    fn rmdir(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        self.entries.borrow_mut().remove(name);
        inode.set_nlink(0);
        inode.touch_ctime();
        dir.drop_nlink();
        Self::changed(dir);
        Ok(())
    }

    fn rename(
        &self,
        old_dir: &Rc<Inode>,
        old: &[u8],
        new_dir: &Rc<Inode>,
        new: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let target = dir_entries(new_dir)?;
        let (old_offset, moved) = self.entries.borrow_mut().remove(old).ok_or(Errno::ENOENT)?;
        let replaced = target.borrow_mut().remove(new);
        match replaced {
            Some((offset, other)) if flags.contains(RenameFlags::RENAME_EXCHANGE) => {
                if moved.is_dir() != other.is_dir() {
                    let (gains, loses) = if moved.is_dir() { (new_dir, old_dir) } else { (old_dir, new_dir) };
                    gains.inc_nlink();
                    loses.drop_nlink();
                }
                other.touch_ctime();
                self.entries.borrow_mut().insert_at(old_offset, old, other);
                target.borrow_mut().insert_at(offset, new, moved.clone());
            }
            replaced => {
                match replaced {
                    Some((offset, victim)) => {
                        if victim.is_dir() {
                            victim.set_nlink(0);
                            new_dir.drop_nlink();
                        } else {
                            victim.drop_nlink();
                        }
                        victim.touch_ctime();
                        target.borrow_mut().insert_at(offset, new, moved.clone());
                    }
                    None => target.borrow_mut().insert(new, moved.clone()),
                }
                if moved.is_dir() {
                    old_dir.drop_nlink();
                    new_dir.inc_nlink();
                }
            }
        }
        moved.touch_ctime();
        Self::changed(old_dir);
        Self::changed(new_dir);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.entries.borrow().by_name.is_empty()
    }

    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Ok(Rc::new(RamDir { entries: self.entries.clone() }))
    }

    fn size(&self, _: &Inode) -> u64 {
        (2 + self.entries.borrow().by_name.len() as u64) * BOGO_DIRENT_SIZE
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl FileOperations for RamDir {
    fn name(&self) -> &'static str {
        "dir"
    }

    fn read(&self, _: &File, _: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn llseek(&self, file: &File, offset: i64, whence: Whence) -> Result<u64> {
        let to = match whence {
            Whence::SEEK_SET => offset,
            Whence::SEEK_CUR => (file.pos.get() as i64).checked_add(offset).ok_or(Errno::EINVAL)?,
            _ => return Err(Errno::EINVAL),
        };
        file.pos.set(u64::try_from(to).map_err(|_| Errno::EINVAL)?);
        Ok(file.pos.get())
    }

    fn iterate(&self, file: &File, ctx: &mut DirContext<'_>, _: &Caller<'_>) -> Result<()> {
        if !ctx.emit_dots(file) {
            return Ok(());
        }
        let mut at = if ctx.pos == 2 { u32::MAX } else { u32::try_from(ctx.pos).unwrap_or(0) };
        if ctx.pos >= DIR_OFFSET_EOD {
            at = if ctx.pos == 2 { at } else { 0 };
        }
        while at >= DIR_OFFSET_MIN {
            let next = {
                let entries = self.entries.borrow();
                let entry = entries.by_offset.range(DIR_OFFSET_MIN..=at).next_back();
                entry.and_then(|(offset, name)| Some((*offset, name.clone(), entries.by_name.get(name)?.1.clone())))
            };
            let Some((offset, name, inode)) = next else { break };
            ctx.pos = offset.into();
            if !ctx.emit(&name, inode.ino, d_type(inode.mode())) {
                return Ok(());
            }
            at = offset - 1;
        }
        ctx.pos = DIR_OFFSET_EOD;
        Ok(())
    }

    fn fsync(&self, _: &File) -> Result<()> {
        Ok(())
    }
}

/// A symbolic link.
struct RamSymlink {
    target: Vec<u8>,
}

impl InodeOperations for RamSymlink {
    fn readlink(&self, _: &Inode, _: &Caller<'_>) -> Result<Vec<u8>> {
        Ok(self.target.clone())
    }

    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Err(Errno::ELOOP)
    }

    fn size(&self, _: &Inode) -> u64 {
        self.target.len() as u64
    }

    fn blocks(&self, _: &Inode) -> u64 {
        // Short targets live in the inode, long ones take a page.
        if self.target.len() < 128 { 0 } else { 8 }
    }
}

/// A regular file: also the operations of an open one.
struct RamFile {
    cache: Rc<PageCache>,
}

impl InodeOperations for RamFile {
    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Ok(Rc::new(RamFile { cache: self.cache.clone() }))
    }

    fn size(&self, _: &Inode) -> u64 {
        self.cache.size()
    }

    fn blocks(&self, _: &Inode) -> u64 {
        self.cache.blocks()
    }

    fn truncate(&self, inode: &Inode, length: u64) -> Result<()> {
        let shrinks = length < self.cache.size();
        self.cache.truncate(length);
        if let Some(kernel) = inode.sb.env.kernel().filter(|_| shrinks) {
            kernel.unmap_mapping_range(&self.cache, length.div_ceil(PAGE_SIZE));
        }
        inode.touch_mtime();
        Ok(())
    }
}

/// fallocate(2): the size stays.
const FALLOC_FL_KEEP_SIZE: u32 = 1;
/// fallocate(2): make a hole.
const FALLOC_FL_PUNCH_HOLE: u32 = 2;

impl FileOperations for RamFile {
    fn name(&self) -> &'static str {
        "shmem_file"
    }

    fn read(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let _span = trace_span!(target: "ftrace", "shmem_file_read_iter", count = iter.count(), pos = *pos).entered();
        let result = self.cache.read(iter, pos);
        file.accessed();
        result
    }

    fn write(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let _span = trace_span!(target: "ftrace", "shmem_file_write_iter", count = iter.count(), pos = *pos).entered();
        super::read_write::generic_write_checks(file, iter, pos)?;
        if iter.count() == 0 {
            return Ok(0);
        }
        let root = iter.task().is_none_or(|task| task.cred.fsuid == 0);
        file.inode().remove_privs(root);
        file.inode().touch_mtime();
        self.cache.write(iter, pos)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn llseek(&self, file: &File, offset: i64, whence: Whence) -> Result<u64> {
        if whence != Whence::SEEK_DATA && whence != Whence::SEEK_HOLE {
            return super::file::generic_file_llseek(file, offset, whence, self.cache.size());
        }
        let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let to = self.cache.seek_hole_data(from, whence == Whence::SEEK_HOLE).ok_or(Errno::ENXIO)?;
        file.pos.set(to);
        Ok(to)
    }

    fn fsync(&self, _: &File) -> Result<()> {
        Ok(())
    }

    fn fallocate(&self, file: &File, mode: u32, offset: u64, len: u64) -> Result<()> {
        match mode {
            0 | FALLOC_FL_KEEP_SIZE => {
                self.cache.allocate(offset, len)?;
                if mode == 0 && offset + len > self.cache.size() {
                    self.cache.truncate(offset + len);
                }
            }
            m if m == FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE => self.cache.punch_hole(offset, len),
            _ => return Err(Errno::EOPNOTSUPP),
        }
        file.inode().touch_mtime();
        Ok(())
    }

    fn mapping(&self, _: &File) -> Option<Rc<dyn AddressSpace>> {
        Some(self.cache.clone())
    }
}
