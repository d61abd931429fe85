//! A process's directory: /proc/PID.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use callgate_abi::{Errno, Fd};
use callgate_uapi::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

use super::text;
use super::{parse_pid, pid_ino};
use crate::Result;
use crate::fs::Caller;
use crate::fs::dcache::Path;
use crate::fs::file::{FMode, FilesStruct};
use crate::fs::inode::{Inode, InodeOperations, NewInode, SuperBlock};
use crate::fs::pseudo::{Entries, Entry, LinkTo, PseudoDir, PseudoFile, PseudoLink, Store};
use crate::mm::{Backing, Mm};
use crate::task::TaskLink;

/// What a name in the directory is.
enum Node {
    /// A file: makes the text.
    File(fn(&Rc<TaskLink>) -> Result<Vec<u8>>),
    /// A link to a place.
    Link(fn(&Rc<TaskLink>) -> Result<Path>),
    /// The directory of descriptors.
    Fd,
    /// The directory of facts about descriptors.
    FdInfo,
    /// The directory of threads.
    Task,
}

/// All names: mode, and what each is. A thread's directory has all but `task`.
const NODES: [(&str, u32, Node); 21] = [
    ("task", S_IFDIR | 0o555, Node::Task),
    ("fd", S_IFDIR | 0o500, Node::Fd),
    ("fdinfo", S_IFDIR | 0o555, Node::FdInfo),
    ("environ", S_IFREG | 0o400, Node::File(environ)),
    ("auxv", S_IFREG | 0o400, Node::File(auxv)),
    ("status", S_IFREG | 0o444, Node::File(status)),
    ("limits", S_IFREG | 0o444, Node::File(|link| Ok(text::limits(&link.signal.rlimits.borrow()).into()))),
    ("comm", S_IFREG | 0o644, Node::File(|link| Ok(format!("{}\n", link.comm.borrow()).into()))),
    ("cmdline", S_IFREG | 0o444, Node::File(cmdline)),
    ("stat", S_IFREG | 0o444, Node::File(stat)),
    ("statm", S_IFREG | 0o444, Node::File(statm)),
    ("maps", S_IFREG | 0o444, Node::File(maps)),
    ("cwd", S_IFLNK | 0o777, Node::Link(|link| Ok(fs(link)?.pwd))),
    ("root", S_IFLNK | 0o777, Node::Link(|link| Ok(fs(link)?.root))),
    ("exe", S_IFLNK | 0o777, Node::Link(exe)),
    ("mounts", S_IFREG | 0o444, Node::File(mounts)),
    ("mountinfo", S_IFREG | 0o444, Node::File(mountinfo)),
    ("wchan", S_IFREG | 0o444, Node::File(|_| Ok(b"0".to_vec()))),
    ("oom_score", S_IFREG | 0o444, Node::File(|_| Ok(b"0\n".to_vec()))),
    ("oom_score_adj", S_IFREG | 0o444, Node::File(|_| Ok(b"0\n".to_vec()))),
    ("cgroup", S_IFREG | 0o444, Node::File(|_| Ok(b"0::/\n".to_vec()))),
];

/// The directory of a process, or of one of its threads.
struct PidDir {
    link: Weak<TaskLink>,
    thread: bool,
}

fn inode(sb: &Rc<SuperBlock>, link: &TaskLink, n: usize, mode: u32, op: Box<dyn InodeOperations>) -> Rc<Inode> {
    let uid = link.signal.uid.get();
    Inode::with_ino(sb, pid_ino(link.pid, n), &NewInode { mode, uid, gid: uid, rdev: 0, target: b"" }, op)
}

/// The inode of a process's directory.
pub(super) fn directory(sb: &Rc<SuperBlock>, link: &Rc<TaskLink>) -> Rc<Inode> {
    let op = PseudoDir(Rc::new(PidDir { link: Rc::downgrade(link), thread: false }));
    let inode = inode(sb, link, 0, S_IFDIR | 0o555, Box::new(op));
    let inner = NODES.iter().filter(|(_, mode, _)| mode & S_IFMT == S_IFDIR).count();
    inode.set_nlink(2 + inner as u32);
    inode
}

impl PidDir {
    fn nodes(&self) -> impl Iterator<Item = (usize, &'static (&'static str, u32, Node))> {
        NODES.iter().enumerate().skip(self.thread.into()).map(|(n, node)| (n + 1, node))
    }
}

impl Entries for PidDir {
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        let link = self.link.upgrade().ok_or(Errno::ESRCH)?;
        let found = self.nodes().find(|(_, (node, ..))| node.as_bytes() == name);
        let (n, (_, mode, node)) = found.ok_or(Errno::ENOENT)?;
        let weak = self.link.clone();
        let alive = move || weak.upgrade().ok_or(Errno::ESRCH);
        let op: Box<dyn InodeOperations> = match node {
            Node::File(show) => Box::new(PseudoFile {
                show: Rc::new(move || show(&alive()?)),
                store: (name == b"comm").then(|| comm_store(self.link.clone())),
            }),
            Node::Link(to) => Box::new(PseudoLink(Rc::new(move |_| Ok(LinkTo::Place(to(&alive()?)?))))),
            Node::Fd => Box::new(PseudoDir(Rc::new(FdDir { link: self.link.clone(), info: false }))),
            Node::FdInfo => Box::new(PseudoDir(Rc::new(FdDir { link: self.link.clone(), info: true }))),
            Node::Task => Box::new(PseudoDir(Rc::new(TaskDir(self.link.clone())))),
        };
        Ok(inode(&dir.sb, &link, n, *mode, op))
    }

    fn list(&self, _: &Caller<'_>) -> Vec<Entry> {
        let Some(link) = self.link.upgrade() else { return Vec::new() };
        self.nodes()
            .map(|(n, (name, mode, _))| Entry {
                name: name.as_bytes().to_vec(),
                ino: pid_ino(link.pid, n),
                kind: mode & S_IFMT,
                pos: n as u64 + 1,
            })
            .collect()
    }
}

/// Writing /proc/PID/comm renames the thread.
fn comm_store(link: Weak<TaskLink>) -> Store {
    Rc::new(move |bytes| {
        let link = link.upgrade().ok_or(Errno::ESRCH)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(15);
        *link.comm.borrow_mut() = String::from_utf8_lossy(&bytes[..end]).into_owned();
        Ok(())
    })
}

/// The threads of a process: /proc/PID/task.
struct TaskDir(Weak<TaskLink>);

impl Entries for TaskDir {
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        let link = self.0.upgrade().ok_or(Errno::ESRCH)?;
        let pid = parse_pid(name).ok_or(Errno::ENOENT)?;
        let threads = link.signal.threads.borrow();
        let thread = threads.iter().find(|thread| thread.pid == pid).ok_or(Errno::ENOENT)?;
        let op = PseudoDir(Rc::new(PidDir { link: Rc::downgrade(thread), thread: true }));
        Ok(inode(&dir.sb, thread, 0x8000, S_IFDIR | 0o555, Box::new(op)))
    }

    fn list(&self, _: &Caller<'_>) -> Vec<Entry> {
        let Some(link) = self.0.upgrade() else { return Vec::new() };
        let threads = link.signal.threads.borrow();
        let entry = |thread: &Rc<TaskLink>| Entry {
            name: thread.pid.to_string().into(),
            ino: pid_ino(thread.pid, 0x8000),
            kind: S_IFDIR,
            pos: thread.pid as u64 + 2,
        };
        threads.iter().map(entry).collect()
    }
}

/// The descriptors of a process: /proc/PID/fd (links) and /proc/PID/fdinfo (files).
struct FdDir {
    link: Weak<TaskLink>,
    info: bool,
}

fn files(link: &Weak<TaskLink>) -> Result<Rc<RefCell<FilesStruct>>> {
    let link = link.upgrade().ok_or(Errno::ESRCH)?;
    let files = link.files.borrow().upgrade();
    files.ok_or(Errno::ENOENT)
}

impl FdDir {
    fn ino(&self, pid: i32, fd: Fd) -> u64 {
        pid_ino(pid, (if self.info { 0x4000 } else { 0x2000 }) + fd.0 as usize)
    }
}

impl Entries for FdDir {
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        let link = self.link.upgrade().ok_or(Errno::ESRCH)?;
        let fd = if name == b"0" { 0 } else { parse_pid(name).ok_or(Errno::ENOENT)? };
        let fd = Fd(fd);
        let open = files(&self.link)?.borrow().get_raw(fd).map_err(|_| Errno::ENOENT)?;
        let weak = self.link.clone();
        let file = move || files(&weak)?.borrow().get_raw(fd).map_err(|_| Errno::ENOENT);
        let (mode, op): (u32, Box<dyn InodeOperations>) = if self.info {
            let show = move || {
                let file = file()?;
                let (pos, flags, mount) = (file.pos.get(), file.flags().bits(), file.path.mnt.id);
                Ok(format!("pos:\t{pos}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{}\n", file.inode().ino).into())
            };
            (S_IFREG | 0o444, Box::new(PseudoFile { show: Rc::new(show), store: None }))
        } else {
            let readable = if open.mode.intersects(FMode::READ) { 0o500 } else { 0 };
            let writable = if open.mode.intersects(FMode::WRITE) { 0o300 } else { 0 };
            let to = move |_: &Caller<'_>| Ok(LinkTo::Place(file()?.path.clone()));
            (S_IFLNK | readable | writable, Box::new(PseudoLink(Rc::new(to))))
        };
        let uid = link.signal.uid.get();
        let new = NewInode { mode, uid, gid: uid, rdev: 0, target: b"" };
        Ok(Inode::with_ino(&dir.sb, self.ino(link.pid, fd), &new, op))
    }

    fn list(&self, _: &Caller<'_>) -> Vec<Entry> {
        let (Some(link), Ok(files)) = (self.link.upgrade(), files(&self.link)) else { return Vec::new() };
        let kind = if self.info { S_IFREG } else { S_IFLNK };
        let entry =
            |fd: Fd| Entry { name: fd.0.to_string().into(), ino: self.ino(link.pid, fd), kind, pos: fd.0 as u64 + 2 };
        let descriptors = files.borrow().descriptors();
        descriptors.into_iter().map(entry).collect()
    }
}

/// Looks at a task's address space; a task that has left it has none.
fn with_mm<T>(link: &TaskLink, look: impl FnOnce(&Mm) -> T) -> Option<T> {
    let mm = link.mm.borrow().upgrade()?;
    let mm = mm.try_borrow().ok()?;
    Some(look(&mm))
}

fn fs(link: &TaskLink) -> Result<crate::fs::FsStruct> {
    let fs = link.fs.borrow().upgrade().ok_or(Errno::ENOENT)?;
    let fs = fs.borrow().clone();
    Ok(fs)
}

fn exe(link: &Rc<TaskLink>) -> Result<Path> {
    with_mm(link, |mm| mm.exe.as_ref().map(|file| file.path.clone())).flatten().ok_or(Errno::ENOENT)
}

/// The bytes of a range of a task's memory.
fn memory(link: &TaskLink, range: impl FnOnce(&Mm) -> (u64, u64)) -> Vec<u8> {
    let bytes = with_mm(link, |mm| {
        let (start, end) = range(mm);
        let mut bytes = vec![0; end.saturating_sub(start).min(2 << 20) as usize];
        let n = mm.space.peek(start, &mut bytes);
        bytes.truncate(n);
        bytes
    });
    bytes.unwrap_or_default()
}

fn cmdline(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    Ok(memory(link, |mm| mm.args))
}

fn environ(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    Ok(memory(link, |mm| mm.env))
}

fn auxv(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let vector = with_mm(link, |mm| mm.auxv.clone()).unwrap_or_default();
    Ok(vector.iter().flat_map(|(key, value)| [key.to_le_bytes(), value.to_le_bytes()].concat()).collect())
}

fn stat(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let text = with_mm(link, |mm| text::stat(link, Some(mm)));
    Ok(text.unwrap_or_else(|| text::stat(link, None)).into())
}

fn statm(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    Ok(with_mm(link, text::statm).unwrap_or_else(|| "0 0 0 0 0 0 0\n".into()).into())
}

fn status(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let umask = fs(link).map_or(0, |fs| fs.umask);
    let fd_size = link.files.borrow().upgrade().map_or(0, |files| files.borrow().max_fds());
    let text = with_mm(link, |mm| text::status(link, Some(mm), umask, fd_size));
    Ok(text.unwrap_or_else(|| text::status(link, None, umask, fd_size)).into())
}

fn maps(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let root = fs(link)?.root;
    let text = with_mm(link, |mm| {
        text::maps(mm, |vma| match &vma.backing {
            Backing::Object { file: Some(file), .. } => Some(file.display_path(&root)),
            _ => None,
        })
    });
    Ok(text.unwrap_or_default().into())
}

fn mounts(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let kernel = link.kernel().ok_or(Errno::ESRCH)?;
    let root = fs(link)?.root;
    let mut text = Vec::new();
    for mount in kernel.vfs.namespace.list() {
        let options = if mount.read_only { "ro,relatime" } else { "rw,relatime" };
        text.extend_from_slice(mount.source.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&mount.path().d_path(&root));
        text.extend_from_slice(format!(" {} {options} 0 0\n", mount.sb.fs_type).as_bytes());
    }
    Ok(text)
}

fn mountinfo(link: &Rc<TaskLink>) -> Result<Vec<u8>> {
    let kernel = link.kernel().ok_or(Errno::ESRCH)?;
    let root = fs(link)?.root;
    let mut text = Vec::new();
    for mount in kernel.vfs.namespace.list() {
        let options = if mount.read_only { "ro" } else { "rw" };
        let parent = mount.mountpoint().map_or(mount.id, |point| point.mnt.id);
        let dev = mount.sb.dev;
        text.extend_from_slice(format!("{} {parent} {}:{} / ", mount.id, dev >> 8 & 0xfff, dev & 0xff).as_bytes());
        text.extend_from_slice(&mount.path().d_path(&root));
        text.extend_from_slice(
            format!(" {options},relatime - {} {} {options}\n", mount.sb.fs_type, mount.source).as_bytes(),
        );
    }
    Ok(text)
}
