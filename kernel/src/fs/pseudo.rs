//! Linux: `fs/libfs.c`, `fs/seq_file.c`. Filesystems whose files are texts that the kernel makes up when they are read.
//!
//! We: two building blocks for /proc and /sys: a directory that is any [`Entries`], and a file that is a function. A text is
//! made anew whenever it is read from its start.

use std::cell::RefCell;
use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::fs::Whence;
use callgate_uapi::stat::{S_IFDIR, S_IFLNK, S_IFREG, d_type};

use super::dcache::Dentry;
use super::file::{File, FileOperations};
use super::inode::{FsEnv, Inode, InodeOperations, Link, NewInode, SuperBlock};
use super::iov_iter::IovIter;
use super::readdir::DirContext;
use super::{Caller, Path};
use crate::Result;

/// One line of a listing.
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// Its inode number.
    pub ino: u64,
    /// Its type, as in a mode.
    pub kind: u32,
    /// Its offset in the listing: above 1, and growing.
    pub pos: u64,
}

/// What is in a pseudo directory.
pub trait Entries {
    /// Finds a name.
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], who: &Caller<'_>) -> Result<Rc<Inode>>;
    /// Lists all names.
    fn list(&self, who: &Caller<'_>) -> Vec<Entry>;
}

/// A directory that is made of [`Entries`].
pub struct PseudoDir<T>(pub Rc<T>);

impl<T: Entries + 'static> InodeOperations for PseudoDir<T> {
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], who: &Caller<'_>) -> Result<Rc<Inode>> {
        self.0.lookup(dir, name, who)
    }

    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Ok(Rc::new(PseudoDir(self.0.clone())))
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn may_setattr(&self) -> Result<()> {
        Err(Errno::EPERM)
    }
}

impl<T: Entries> FileOperations for PseudoDir<T> {
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
        super::file::generic_file_llseek(file, offset, whence, 0)
    }

    fn iterate(&self, file: &File, ctx: &mut DirContext<'_>, who: &Caller<'_>) -> Result<()> {
        if !ctx.emit_dots(file) {
            return Ok(());
        }
        for entry in self.0.list(who).iter().skip_while(|entry| entry.pos < ctx.pos).collect::<Vec<_>>() {
            ctx.pos = entry.pos;
            if !ctx.emit(&entry.name, entry.ino, d_type(entry.kind)) {
                return Ok(());
            }
            ctx.pos += 1;
        }
        Ok(())
    }
}

/// A directory whose names do not change.
#[derive(Default)]
pub struct Tree {
    entries: RefCell<Vec<(Vec<u8>, Rc<Inode>)>>,
}

impl Tree {
    /// Adds a name.
    pub fn add(&self, name: &str, inode: Rc<Inode>) {
        self.entries.borrow_mut().push((name.into(), inode));
    }

    /// The inode of a name.
    pub fn get(&self, name: &[u8]) -> Option<Rc<Inode>> {
        self.entries.borrow().iter().find(|(entry, _)| entry == name).map(|(_, inode)| inode.clone())
    }
}

impl Entries for Tree {
    fn lookup(&self, _: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        self.get(name).ok_or(Errno::ENOENT)
    }

    fn list(&self, _: &Caller<'_>) -> Vec<Entry> {
        let entries = self.entries.borrow();
        let line = |(i, (name, inode)): (usize, &(Vec<u8>, Rc<Inode>))| Entry {
            name: name.clone(),
            ino: inode.ino,
            kind: inode.mode(),
            pos: i as u64 + 2,
        };
        entries.iter().enumerate().map(line).collect()
    }
}

/// Makes a file's text.
pub type Show = Rc<dyn Fn() -> Result<Vec<u8>>>;
/// Takes what is written to a file.
pub type Store = Rc<dyn Fn(&[u8]) -> Result<()>>;

/// A file that is a function.
#[derive(Clone)]
pub struct PseudoFile {
    /// Makes the text.
    pub show: Show,
    /// Takes what is written, if the file can be written.
    pub store: Option<Store>,
}

impl InodeOperations for PseudoFile {
    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Ok(Rc::new(OpenPseudoFile { file: self.clone(), text: RefCell::default() }))
    }

    fn truncate(&self, _: &Inode, _: u64) -> Result<()> {
        Ok(())
    }

    fn may_setattr(&self) -> Result<()> {
        Err(Errno::EPERM)
    }
}

struct OpenPseudoFile {
    file: PseudoFile,
    text: RefCell<Option<Rc<[u8]>>>,
}

impl FileOperations for OpenPseudoFile {
    fn name(&self) -> &'static str {
        "seq_file"
    }

    fn read(&self, file: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let _span = tracing::trace_span!(target: "ftrace", "seq_read_iter", count = iter.count()).entered();
        let cached = self.text.borrow().clone().filter(|_| *pos != 0);
        let text = match cached {
            Some(text) => text,
            None => {
                let text: Rc<[u8]> = (self.file.show)()?.into();
                self.text.replace(Some(text.clone()));
                text
            }
        };
        let rest = usize::try_from(*pos).ok().and_then(|pos| text.get(pos..)).unwrap_or(&[]);
        let copied = iter.copy_to_iter(rest);
        *pos += copied as u64;
        file.accessed();
        if rest.is_empty() { Ok(0) } else { iter.done_or_fault() }
    }

    fn write(&self, _: &File, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let store = self.file.store.as_ref().ok_or(Errno::EIO)?;
        let mut bytes = vec![0; iter.count().min(4096)];
        let copied = iter.copy_from_iter(&mut bytes);
        if copied < bytes.len() {
            return Err(Errno::EFAULT);
        }
        store(&bytes)?;
        *pos += copied as u64;
        Ok(copied)
    }

    fn seekable(&self) -> bool {
        true
    }
}

/// A symbolic link that is a function.
pub struct PseudoLink(pub FindLink);

/// Finds where a link leads.
pub type FindLink = Rc<dyn Fn(&Caller<'_>) -> Result<LinkTo>>;

/// Where a pseudo link leads.
pub enum LinkTo {
    /// To a path.
    Path(Vec<u8>),
    /// To a place, which readlink shows as its path.
    Place(Path),
}

impl InodeOperations for PseudoLink {
    fn get_link(&self, _: &Inode, who: &Caller<'_>) -> Result<Link> {
        Ok(match (self.0)(who)? {
            LinkTo::Path(path) => Link::Path(path),
            LinkTo::Place(path) => Link::Jump(path),
        })
    }

    fn readlink(&self, _: &Inode, who: &Caller<'_>) -> Result<Vec<u8>> {
        Ok(match (self.0)(who)? {
            LinkTo::Path(path) => path,
            LinkTo::Place(path) => path.d_path(&who.root),
        })
    }

    fn open(&self, _: &Rc<Inode>, _: OpenFlags, _: &Caller<'_>) -> Result<Rc<dyn FileOperations>> {
        Err(Errno::ELOOP)
    }

    fn may_setattr(&self) -> Result<()> {
        Err(Errno::EPERM)
    }
}

/// The arguments of an inode that belongs to root.
pub fn owned_by_root(mode: u32) -> NewInode<'static> {
    NewInode { mode, uid: 0, gid: 0, rdev: 0, target: b"" }
}

/// A file node.
pub fn file(sb: &Rc<SuperBlock>, mode: u32, show: Show, store: Option<Store>) -> Rc<Inode> {
    Inode::new(sb, &owned_by_root(S_IFREG | mode), Box::new(PseudoFile { show, store }))
}

/// A file whose text never changes.
pub fn constant(sb: &Rc<SuperBlock>, mode: u32, text: &str) -> Rc<Inode> {
    let text = text.as_bytes().to_vec();
    file(sb, mode, Rc::new(move || Ok(text.clone())), None)
}

/// A symbolic link node.
pub fn link(sb: &Rc<SuperBlock>, to: impl Fn(&Caller<'_>) -> Result<LinkTo> + 'static) -> Rc<Inode> {
    Inode::new(sb, &owned_by_root(S_IFLNK | 0o777), Box::new(PseudoLink(Rc::new(to))))
}

/// A directory node.
pub fn dir<T: Entries + 'static>(sb: &Rc<SuperBlock>, mode: u32, entries: Rc<T>) -> Rc<Inode> {
    Inode::new(sb, &owned_by_root(S_IFDIR | mode), Box::new(PseudoDir(entries)))
}

/// A filesystem without names, for pipes and their like.
pub fn mount(env: &Rc<FsEnv>, fs_type: &'static str, magic: u64) -> Rc<Dentry> {
    let sb = SuperBlock::new(env, fs_type, magic, true);
    Dentry::root(dir(&sb, 0o555, Rc::new(Tree::default())))
}
