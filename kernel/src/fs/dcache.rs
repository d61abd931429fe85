//! Linux: `fs/dcache.c`, `fs/d_path.c`. Dentries give inodes their place in the tree of names.
//!
//! We: a dentry holds its parent, a parent only remembers its children weakly. So the cache never keeps anything alive, the
//! filesystem's own tree does, and two walks to one place still meet in one dentry while anybody uses it.
//!
//! Quirks: no negative dentries.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use callgate_abi::{Errno, SYSCALL_DEFINE2, UserMemory, UserMut};
use callgate_uapi::fs::PATH_MAX;

use super::inode::Inode;
use super::namespace::Mount;
use crate::{Result, Task};

/// A name in a directory and what it names (`struct dentry`).
pub struct Dentry {
    /// What it names.
    pub inode: Rc<Inode>,
    name: RefCell<Rc<[u8]>>,
    parent: RefCell<Option<Rc<Dentry>>>,
    children: RefCell<HashMap<Rc<[u8]>, Weak<Dentry>>>,
    unhashed: Cell<bool>,
    /// Whether some mount covers it.
    pub mounted: Cell<bool>,
}

impl Dentry {
    /// The root of a filesystem.
    pub fn root(inode: Rc<Inode>) -> Rc<Self> {
        Self::alloc(inode, Rc::from(&b"/"[..]), None)
    }

    /// A file outside every directory; its whole path is `name` (`pipe:[7]`).
    pub fn anonymous(inode: Rc<Inode>, name: &[u8]) -> Rc<Self> {
        Self::alloc(inode, Rc::from(name), None)
    }

    fn alloc(inode: Rc<Inode>, name: Rc<[u8]>, parent: Option<Rc<Dentry>>) -> Rc<Self> {
        Rc::new(Self {
            inode,
            name: RefCell::new(name),
            parent: RefCell::new(parent),
            children: RefCell::default(),
            unhashed: Cell::new(false),
            mounted: Cell::new(false),
        })
    }

    /// The dentry for `name` in `self`, which names `inode`; enters it into the cache.
    pub fn add(self: &Rc<Self>, name: &[u8], inode: Rc<Inode>) -> Rc<Self> {
        let name: Rc<[u8]> = Rc::from(name);
        let child = Self::alloc(inode, name.clone(), Some(self.clone()));
        self.children.borrow_mut().insert(name, Rc::downgrade(&child));
        child
    }

    /// A cached child.
    pub fn cached(&self, name: &[u8]) -> Option<Rc<Self>> {
        self.children.borrow().get(name)?.upgrade()
    }

    /// Its name.
    pub fn name(&self) -> Rc<[u8]> {
        self.name.borrow().clone()
    }

    /// Its directory; none for the root of a filesystem.
    pub fn parent(&self) -> Option<Rc<Self>> {
        self.parent.borrow().clone()
    }

    /// Is it the root of a filesystem, or of no directory at all?
    pub fn is_root(&self) -> bool {
        self.parent.borrow().is_none()
    }

    /// Has its name been removed?
    pub fn is_unhashed(&self) -> bool {
        self.unhashed.get()
    }

    /// Its name is gone (unlink, rmdir, replaced by rename).
    pub fn unhash(&self) {
        self.unhashed.set(true);
        self.forget();
    }

    /// Its name exists now (linkat of an `O_TMPFILE` file does not come here: that makes a new dentry).
    fn forget(&self) {
        if let Some(parent) = &*self.parent.borrow() {
            let name = self.name.borrow().clone();
            let mut children = parent.children.borrow_mut();
            if children.get(&name).is_some_and(|weak| weak.strong_count() == 0 || std::ptr::eq(weak.as_ptr(), self)) {
                children.remove(&name);
            }
        }
    }

    /// Moves the dentry to another name, as rename(2) moved the file.
    pub fn rename_to(self: &Rc<Self>, parent: &Rc<Dentry>, name: &[u8]) {
        self.forget();
        let name: Rc<[u8]> = Rc::from(name);
        self.name.replace(name.clone());
        self.parent.replace(Some(parent.clone()));
        parent.children.borrow_mut().insert(name, Rc::downgrade(self));
    }

    /// Is `self` `other` or one of the directories above it?
    pub fn is_ancestor_of(self: &Rc<Self>, other: &Rc<Dentry>) -> bool {
        let mut at = Some(other.clone());
        while let Some(dentry) = at {
            if Rc::ptr_eq(&dentry, self) {
                return true;
            }
            at = dentry.parent();
        }
        false
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        self.forget();
        // A deep chain of parents must not be dropped by recursion on the host's stack.
        let mut parent = self.parent.get_mut().take();
        while let Some(dentry) = parent {
            match Rc::try_unwrap(dentry) {
                Ok(mut dentry) => {
                    dentry.forget();
                    parent = dentry.parent.get_mut().take();
                }
                Err(_) => break,
            }
        }
    }
}

/// A place in the mounted tree (`struct path`).
#[derive(Clone)]
pub struct Path {
    /// The mount.
    pub mnt: Rc<Mount>,
    /// The dentry in its filesystem.
    pub dentry: Rc<Dentry>,
}

impl Path {
    /// The inode there.
    pub fn inode(&self) -> &Rc<Inode> {
        &self.dentry.inode
    }

    /// One directory up, through mounts, but not above `root`.
    pub fn parent(&self, root: &Path) -> Path {
        let mut at = self.clone();
        loop {
            if at == *root {
                return at;
            }
            if Rc::ptr_eq(&at.dentry, &at.mnt.root) {
                match at.mnt.mountpoint() {
                    Some(point) => at = point,
                    None => return at,
                }
                continue;
            }
            return match at.dentry.parent() {
                Some(dentry) => Path { mnt: at.mnt, dentry },
                None => at,
            };
        }
    }

    /// The path from `root`, and whether `root` was reached. No " (deleted)" is added.
    fn components(&self, root: &Path) -> (Vec<u8>, bool) {
        let mut names: Vec<Rc<[u8]>> = Vec::new();
        let mut at = self.clone();
        let reached = loop {
            if at == *root {
                break true;
            }
            if Rc::ptr_eq(&at.dentry, &at.mnt.root) {
                match at.mnt.mountpoint() {
                    Some(point) => at = point,
                    None => break false,
                }
                continue;
            }
            match at.dentry.parent() {
                Some(parent) => {
                    names.push(at.dentry.name());
                    at = Path { mnt: at.mnt, dentry: parent };
                }
                None => break false,
            }
        };
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        (path, reached)
    }

    /// The path as /proc shows it (`d_path`): " (deleted)" follows a removed name, a pipe is `pipe:[7]`.
    pub fn d_path(&self, root: &Path) -> Vec<u8> {
        if self.dentry.is_root() && !Rc::ptr_eq(&self.dentry, &self.mnt.root) {
            return self.dentry.name().to_vec();
        }
        let (mut path, _) = self.components(root);
        if self.dentry.is_unhashed() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }

    /// The path as getcwd(2) gives it; none if the directory is gone. Outside of the root it begins with "(unreachable)".
    pub fn cwd_path(&self, root: &Path) -> Option<Vec<u8>> {
        if self.dentry.is_unhashed() {
            return None;
        }
        let (path, reached) = self.components(root);
        if reached { Some(path) } else { Some([b"(unreachable)", &path[..]].concat()) }
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.mnt, &other.mnt) && Rc::ptr_eq(&self.dentry, &other.dentry)
    }
}
impl Eq for Path {}

/// getcwd(2): the path of the working directory, with its NUL; returns its length.
#[SYSCALL_DEFINE2(getcwd)]
pub fn getcwd(task: &mut Task, buf: UserMut<u8>, size: usize) -> Result<usize> {
    let mut path = {
        let fs = task.fs.borrow();
        fs.pwd.cwd_path(&fs.root).ok_or(Errno::ENOENT)?
    };
    path.push(0);
    if path.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if path.len() > size {
        return Err(Errno::ERANGE);
    }
    task.copy_to_user(buf.addr(), &path).map_err(|_| Errno::EFAULT)?;
    Ok(path.len())
}
