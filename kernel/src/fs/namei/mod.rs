//! Linux: `fs/namei.c`. A path is walked component by component: through mounts, through symbolic links (40 at most), up with
//! "..", never above the process's root; each directory on the way must grant search permission.
//!
//! We: the same walk, with owned paths instead of reference-counted ones under RCU. [`link_path_walk`](Nameidata) stops
//! before the last component, because what happens to that is each call's own affair: `create.rs`, `remove.rs`, `rename.rs`,
//! `link.rs`, and open in `open.rs`.

mod create;
mod link;
mod remove;
mod rename;

pub use create::{mkdir, mkdirat, mknod, mknodat, symlink, symlinkat, vfs_create};
pub use link::{link, linkat};
pub use remove::{rmdir, unlink, unlinkat};
pub use rename::{rename, renameat, renameat2};

use std::rc::Rc;

use bitflags::bitflags;
use callgate_abi::{Errno, Fd, UserStr};
use callgate_uapi::fcntl::Access;
use callgate_uapi::fs::{NAME_MAX, PATH_MAX};
use callgate_uapi::stat::S_ISVTX;

use super::dcache::Dentry;
use super::inode::{Inode, Link};
use super::{Caller, Path};
use crate::{Result, Task};

bitflags! {
    /// How a walk treats its path.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LookupFlags: u32 {
        /// Follow a symbolic link in the last component.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
        /// An empty path is the starting point itself.
        const EMPTY = 4;
        /// openat2(2): never leave the starting directory's mount.
        const NO_XDEV = 8;
        /// openat2(2): follow no magic link.
        const NO_MAGICLINKS = 16;
        /// openat2(2): follow no symbolic link at all.
        const NO_SYMLINKS = 32;
        /// openat2(2): never leave the tree below the starting point.
        const BENEATH = 64;
        /// openat2(2): the starting point is the root.
        const IN_ROOT = 128;
    }
}

/// How many symbolic links one walk follows.
const MAXSYMLINKS: u32 = 40;

/// The last component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Norm(Vec<u8>),
    /// ".".
    Dot,
    /// "..".
    DotDot,
    /// There is none: the path was "/".
    Root,
}

/// Reads a path from user memory; an empty one is ENOENT.
pub fn getname(task: &mut Task, path: UserStr) -> Result<Vec<u8>> {
    let name = getname_maybe_empty(task, path)?;
    if name.is_empty() { Err(Errno::ENOENT) } else { Ok(name) }
}

/// Reads a path from user memory that may be empty (`AT_EMPTY_PATH`).
pub fn getname_maybe_empty(task: &mut Task, path: UserStr) -> Result<Vec<u8>> {
    let mut buf = [0; PATH_MAX];
    path.read(task, &mut buf).map(<[u8]>::to_vec)
}

/// The state of a walk (`struct nameidata`).
pub struct Nameidata<'a> {
    /// Who walks.
    pub who: &'a Caller<'a>,
    /// Where the walk has come to.
    pub path: Path,
    root: Path,
    start: Path,
    flags: LookupFlags,
    links: u32,
}

impl<'a> Nameidata<'a> {
    /// A walk that begins at `start`.
    pub fn new(who: &'a Caller<'a>, start: Path, flags: LookupFlags) -> Self {
        let root = if flags.contains(LookupFlags::IN_ROOT) { start.clone() } else { who.root.clone() };
        Self { who, path: start.clone(), root, start, flags, links: 0 }
    }

    /// Walks all but the last component; tells the last, and whether slashes follow it.
    pub fn link_path_walk(&mut self, name: &[u8]) -> Result<(Last, bool)> {
        let mut rest = name;
        if rest.first() == Some(&b'/') {
            if self.flags.contains(LookupFlags::BENEATH) {
                return Err(Errno::EXDEV);
            }
            self.path = self.root.clone();
            rest = trim_slashes(rest);
            if rest.is_empty() {
                return Ok((Last::Root, false));
            }
        }
        loop {
            inode_permission(self.path.inode(), Access::X_OK, self.who)?;
            let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let (component, slashes) = rest.split_at(end);
            let after = trim_slashes(slashes);
            let last = match component {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                name => Last::Norm(name.to_vec()),
            };
            if after.is_empty() {
                return Ok((last, !slashes.is_empty()));
            }
            self.walk_component(&last, true)?;
            if !self.path.inode().is_dir() {
                return Err(Errno::ENOTDIR);
            }
            rest = after;
        }
    }

    /// Goes one step; `follow` says whether through a symbolic link.
    pub fn walk_component(&mut self, last: &Last, follow: bool) -> Result<()> {
        match last {
            Last::Root | Last::Dot => Ok(()),
            Last::DotDot => {
                if self.path == self.start && self.flags.contains(LookupFlags::BENEATH) {
                    return Err(Errno::EXDEV);
                }
                let parent = self.path.parent(&self.root);
                self.step(parent)
            }
            Last::Norm(name) => {
                let next = self.lookup(name)?;
                if follow && next.inode().is_lnk() { self.follow_link(&next) } else { self.step(next) }
            }
        }
    }

    fn step(&mut self, next: Path) -> Result<()> {
        if self.flags.contains(LookupFlags::NO_XDEV) && !Rc::ptr_eq(&next.mnt, &self.path.mnt) {
            return Err(Errno::EXDEV);
        }
        self.path = next;
        Ok(())
    }

    /// What `name` is in the directory that the walk has come to, mounts on it included.
    pub fn lookup(&self, name: &[u8]) -> Result<Path> {
        let dentry = lookup_one(&self.path.dentry, name, self.who)?;
        Ok(self.who.vfs.namespace.follow_mount(Path { mnt: self.path.mnt.clone(), dentry }))
    }

    /// Counts a symbolic link and reads it. `None`: it led to a place, not to a path, and the walk is there.
    pub fn read_link(&mut self, link: &Path) -> Result<Option<Vec<u8>>> {
        self.links += 1;
        if self.links > MAXSYMLINKS || self.flags.contains(LookupFlags::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        link.inode().touch_atime();
        match link.inode().op.get_link(link.inode(), self.who)? {
            Link::Jump(path) => {
                if self.flags.intersects(LookupFlags::NO_MAGICLINKS) {
                    return Err(Errno::ELOOP);
                }
                if self.flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT) {
                    return Err(Errno::EXDEV);
                }
                self.step(path)?;
                Ok(None)
            }
            Link::Path(target) if target.is_empty() => Err(Errno::ENOENT),
            Link::Path(target) => Ok(Some(target)),
        }
    }

    fn follow_link(&mut self, link: &Path) -> Result<()> {
        let Some(target) = self.read_link(link)? else { return Ok(()) };
        let (last, slashes) = self.link_path_walk(&target)?;
        self.walk_component(&last, true)?;
        if slashes && !self.path.inode().is_dir() { Err(Errno::ENOTDIR) } else { Ok(()) }
    }

    /// Walks the whole path.
    pub fn path_lookupat(mut self, name: &[u8]) -> Result<Path> {
        if name.is_empty() {
            return if self.flags.contains(LookupFlags::EMPTY) { Ok(self.path) } else { Err(Errno::ENOENT) };
        }
        let (last, slashes) = self.link_path_walk(name)?;
        self.walk_component(&last, slashes || self.flags.contains(LookupFlags::FOLLOW))?;
        if (slashes || self.flags.contains(LookupFlags::DIRECTORY)) && !self.path.inode().is_dir() {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.path)
    }
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    &path[start..]
}

/// Looks one name up in a directory: in the cache, then in the filesystem.
pub fn lookup_one(dir: &Rc<Dentry>, name: &[u8], who: &Caller<'_>) -> Result<Rc<Dentry>> {
    if !dir.inode.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if dir.inode.sb.cached
        && let Some(dentry) = dir.cached(name)
    {
        return Ok(dentry);
    }
    let inode = dir.inode.op.lookup(&dir.inode, name, who)?;
    Ok(dir.add(name, inode))
}

/// Where a path that is relative to `dfd` begins. An absolute path ignores `dfd`, a relative one needs a directory there; an
/// empty one (`AT_EMPTY_PATH`) takes any file.
pub fn start_path(task: &Task, dfd: Fd, name: &[u8]) -> Result<Path> {
    if name.first() == Some(&b'/') {
        return Ok(task.fs.borrow().root.clone());
    }
    if dfd == Fd::AT_FDCWD {
        return Ok(task.fs.borrow().pwd.clone());
    }
    let path = task.files.borrow().get_raw(dfd)?.path.clone();
    if !name.is_empty() && !path.inode().is_dir() {
        return Err(Errno::ENOTDIR);
    }
    Ok(path)
}

/// Walks a path that a call got.
pub fn user_path_at(task: &Task, dfd: Fd, name: &[u8], flags: LookupFlags) -> Result<Path> {
    if name.is_empty() && !flags.contains(LookupFlags::EMPTY) {
        return Err(Errno::ENOENT);
    }
    let start = start_path(task, dfd, name)?;
    let who = Caller::of(task);
    Nameidata::new(&who, start, flags).path_lookupat(name)
}

/// Walks a path for the kernel itself.
pub fn kern_path(who: &Caller<'_>, name: &[u8], flags: LookupFlags) -> Result<Path> {
    Nameidata::new(who, who.pwd.clone(), flags).path_lookupat(name)
}

/// A directory and the last component that a call makes, moves or removes in it.
pub struct Parent {
    /// The directory.
    pub dir: Path,
    /// The last component.
    pub last: Last,
    /// Whether slashes follow it.
    pub slashes: bool,
}

impl Parent {
    /// Walks up to the last component (`filename_parentat`).
    pub fn of(who: &Caller<'_>, start: Path, name: &[u8]) -> Result<Self> {
        if name.is_empty() {
            return Err(Errno::ENOENT);
        }
        let mut nd = Nameidata::new(who, start, LookupFlags::empty());
        let (last, slashes) = nd.link_path_walk(name)?;
        Ok(Self { dir: nd.path, last, slashes })
    }

    /// The file that the last component names now, if any. The component must be a name.
    pub fn lookup(&self, who: &Caller<'_>) -> Result<Option<Path>> {
        let Last::Norm(name) = &self.last else { return Err(Errno::EINVAL) };
        match lookup_one(&self.dir.dentry, name, who) {
            Ok(dentry) => Ok(Some(Path { mnt: self.dir.mnt.clone(), dentry })),
            Err(Errno::ENOENT) if self.dir.inode().sb.cached => Ok(None),
            // /proc: a name that is not there can't be made, and that comes before any other reason.
            Err(error) => Err(error),
        }
    }

    /// The name, where the last component is one.
    pub fn name(&self) -> &[u8] {
        if let Last::Norm(name) = &self.last { name } else { b"" }
    }
}

/// May `who` do `mask` with the file?
pub fn inode_permission(inode: &Rc<Inode>, mask: Access, who: &Caller<'_>) -> Result<()> {
    inode.op.permission(inode, mask, who)
}

/// May `who` make an entry in `dir`?
pub fn may_create(dir: &Path, who: &Caller<'_>) -> Result<()> {
    if dir.inode().nlink() == 0 {
        return Err(Errno::ENOENT);
    }
    if dir.mnt.read_only {
        return Err(Errno::EROFS);
    }
    inode_permission(dir.inode(), Access::W_OK | Access::X_OK, who)
}

/// May `who` remove `victim` from `dir`, as a directory or as something else?
pub fn may_delete(dir: &Path, victim: &Path, is_dir: bool, who: &Caller<'_>) -> Result<()> {
    if dir.mnt.read_only {
        return Err(Errno::EROFS);
    }
    inode_permission(dir.inode(), Access::W_OK | Access::X_OK, who)?;
    let (dir_inode, inode) = (dir.inode(), victim.inode());
    let owner = who.cred.fsuid == inode.uid() || who.cred.fsuid == dir_inode.uid();
    if dir_inode.mode() & S_ISVTX != 0 && !owner && !who.cred.dac_override {
        return Err(Errno::EPERM);
    }
    match (is_dir, inode.is_dir()) {
        (true, false) => return Err(Errno::ENOTDIR),
        (true, true) if victim.dentry.is_root() => return Err(Errno::EBUSY),
        (false, true) => return Err(Errno::EISDIR),
        _ => {}
    }
    if dir_inode.nlink() == 0 {
        return Err(Errno::ENOENT);
    }
    Ok(())
}
