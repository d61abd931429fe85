//! Linux: `fs/namespace.c`. Mounts join filesystems into one tree.
//!
//! We: one namespace for the machine, a short list of mounts. A dentry only knows *that* it is covered; the list says by what.

use std::cell::RefCell;
use std::rc::Rc;

use super::dcache::{Dentry, Path};
use super::inode::SuperBlock;

/// A filesystem at its place in the tree (`struct mount`).
pub struct Mount {
    /// The filesystem.
    pub sb: Rc<SuperBlock>,
    /// Its root.
    pub root: Rc<Dentry>,
    /// What /proc/mounts shows as the device.
    pub source: &'static str,
    /// Its number in /proc/self/mountinfo and statx(2).
    pub id: u64,
    /// Whether it refuses changes.
    pub read_only: bool,
    mountpoint: Option<Path>,
}

impl Mount {
    /// A mount that covers `mountpoint`; none for the root, and for filesystems that no path leads to.
    pub fn new(root: Rc<Dentry>, source: &'static str, mountpoint: Option<Path>) -> Rc<Self> {
        let sb = root.inode.sb.clone();
        // Any number will do that no other mount has: the one of its filesystem.
        let id = 20 + sb.dev;
        Rc::new(Self { sb, root, source, id, read_only: false, mountpoint })
    }

    /// The place that it covers.
    pub fn mountpoint(&self) -> Option<Path> {
        self.mountpoint.clone()
    }

    /// The root as a path.
    pub fn path(self: &Rc<Self>) -> Path {
        Path { mnt: self.clone(), dentry: self.root.clone() }
    }
}

/// All mounts (`struct mnt_namespace`), in the order in which they were made.
#[derive(Default)]
pub struct Namespace {
    mounts: RefCell<Vec<Rc<Mount>>>,
}

impl Namespace {
    /// Adds a mount.
    pub fn add(&self, mount: Rc<Mount>) {
        if let Some(point) = &mount.mountpoint {
            point.dentry.mounted.set(true);
        }
        self.mounts.borrow_mut().push(mount);
    }

    /// The place that is seen at `path`: the root of what covers it, if anything does.
    pub fn follow_mount(&self, mut path: Path) -> Path {
        while path.dentry.mounted.get() {
            let mounts = self.mounts.borrow();
            match mounts.iter().rev().find(|m| m.mountpoint.as_ref() == Some(&path)) {
                Some(mount) => path = mount.path(),
                None => break,
            }
        }
        path
    }

    /// The mounts, for /proc/mounts.
    pub fn list(&self) -> Vec<Rc<Mount>> {
        self.mounts.borrow().clone()
    }
}
