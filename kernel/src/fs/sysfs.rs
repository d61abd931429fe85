//! Linux: sysfs. The device model as directories.
//!
//! We: what C libraries and runtimes read to count processors and to learn page and cache facts; everything else is absent.

use std::rc::Rc;

use super::dcache::Dentry;
use super::inode::{Inode, SuperBlock};
use super::pseudo::{self, Tree};
use crate::kernel::Kernel;

/// `f_type` of sysfs.
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// The files, with their texts. A path's directories are made as needed.
const FILES: [(&str, &str); 9] = [
    ("devices/system/cpu/online", "0\n"),
    ("devices/system/cpu/possible", "0\n"),
    ("devices/system/cpu/present", "0\n"),
    ("devices/system/cpu/offline", "\n"),
    ("devices/system/cpu/kernel_max", "0\n"),
    ("devices/system/cpu/cpu0/topology/core_id", "0\n"),
    ("devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
    ("devices/system/node/online", "0\n"),
    ("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"),
];

/// Directories that are always there, empty or not.
const DIRECTORIES: [&str; 8] = ["block", "bus", "class", "dev", "devices", "firmware", "fs", "kernel"];

/// A new instance; gives its root.
pub fn mount(kernel: &Rc<Kernel>) -> Rc<Dentry> {
    let sb = SuperBlock::new(&kernel.vfs.env, "sysfs", SYSFS_MAGIC, true);
    let mut builder = Builder::new(&sb);
    for path in DIRECTORIES {
        builder.tree(path);
    }
    for (path, text) in FILES {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        builder.tree(dir).add(name, pseudo::constant(&sb, 0o444, text));
    }
    Dentry::root(pseudo::dir(&sb, 0o555, builder.root()))
}

/// Makes trees of fixed directories by path.
pub struct Builder {
    sb: Rc<SuperBlock>,
    trees: Vec<(String, Rc<Tree>, Option<Rc<Inode>>)>,
}

impl Builder {
    /// A tree with nothing but its root.
    pub fn new(sb: &Rc<SuperBlock>) -> Self {
        Self { sb: sb.clone(), trees: vec![(String::new(), Rc::default(), None)] }
    }

    /// The root.
    pub fn root(&self) -> Rc<Tree> {
        self.trees[0].1.clone()
    }

    /// The directory of a path, made if need be with those above it.
    pub fn tree(&mut self, path: &str) -> Rc<Tree> {
        if let Some((_, tree, _)) = self.trees.iter().find(|(known, ..)| known == path) {
            return tree.clone();
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.tree(parent);
        let tree: Rc<Tree> = Rc::default();
        let inode = pseudo::dir(&self.sb, 0o755, tree.clone());
        above.add(name, inode.clone());
        // One link more for the directory above: the new one's "..".
        if let Some((.., Some(parent))) = self.trees.iter().find(|(known, ..)| known == parent) {
            parent.inc_nlink();
        }
        self.trees.push((path.to_owned(), tree.clone(), Some(inode)));
        tree
    }
}
