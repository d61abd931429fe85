//! Linux: `fs/proc`. Processes as directories, and what the kernel tells about itself as files.
//!
//! We: the same names and formats, as far as programs are known to read them. A process's files are one list in `pid.rs`, the
//! machine's one list in `files.rs`.
//!
//! Quirks: a process that has exited and was not waited for has no directory.

mod files;
mod pid;
mod text;

use std::rc::{Rc, Weak};

use callgate_abi::Errno;
use callgate_uapi::stat::{S_IFDIR, S_IFLNK};

use super::Caller;
use super::dcache::Dentry;
use super::inode::{Inode, SuperBlock};
use super::pseudo::{self, Entries, Entry, LinkTo, Tree};
use crate::Result;
use crate::kernel::Kernel;
use crate::task::TaskLink;

/// `f_type` of proc.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// Where the processes begin in a listing; the fixed names come before.
const FIRST_PROCESS_ENTRY: u64 = 256;

/// The root of /proc.
struct Root {
    kernel: Weak<Kernel>,
    fixed: Rc<Tree>,
    own: Rc<Inode>,
    own_thread: Rc<Inode>,
}

/// A new instance; gives its root.
pub fn mount(kernel: &Rc<Kernel>) -> Rc<Dentry> {
    // Names come and go with processes: the dentry cache must not answer for them.
    let sb = SuperBlock::new(&kernel.vfs.env, "proc", PROC_SUPER_MAGIC, false);
    let own = pseudo::link(&sb, |who| {
        let task = who.task.ok_or(Errno::ENOENT)?;
        Ok(LinkTo::Path(task.tgid().to_string().into_bytes()))
    });
    let own_thread = pseudo::link(&sb, |who| {
        let task = who.task.ok_or(Errno::ENOENT)?;
        Ok(LinkTo::Path(format!("{}/task/{}", task.tgid(), task.pid()).into_bytes()))
    });
    let fixed = files::tree(kernel, &sb);
    let root = Root { kernel: Rc::downgrade(kernel), fixed, own, own_thread };
    Dentry::root(pseudo::dir(&sb, 0o555, Rc::new(root)))
}

/// A number that is a process id as /proc writes it: decimal, without leading zeroes.
fn parse_pid(name: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(name).ok()?;
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| canonical)
}

/// The inode number of the `n`th file of a process.
fn pid_ino(pid: i32, n: usize) -> u64 {
    (pid as u64) << 16 | n as u64
}

/// The process with this id, if it lives.
fn process(kernel: &Weak<Kernel>, pid: i32) -> Result<Rc<TaskLink>> {
    kernel.upgrade().and_then(|kernel| kernel.find_task(pid)).ok_or(Errno::ENOENT)
}

impl Entries for Root {
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], _: &Caller<'_>) -> Result<Rc<Inode>> {
        match name {
            b"self" => return Ok(self.own.clone()),
            b"thread-self" => return Ok(self.own_thread.clone()),
            _ => {}
        }
        if let Some(inode) = self.fixed.get(name) {
            return Ok(inode);
        }
        let link = process(&self.kernel, parse_pid(name).ok_or(Errno::ENOENT)?)?;
        Ok(pid::directory(&dir.sb, &link))
    }

    fn list(&self, who: &Caller<'_>) -> Vec<Entry> {
        let mut list = self.fixed.list(who);
        let mut add = |name: &str, ino, kind, pos| list.push(Entry { name: name.into(), ino, kind, pos });
        add("self", self.own.ino, S_IFLNK, FIRST_PROCESS_ENTRY);
        add("thread-self", self.own_thread.ino, S_IFLNK, FIRST_PROCESS_ENTRY + 1);
        if let Some(kernel) = self.kernel.upgrade() {
            for task in kernel.tasks().iter().filter(|task| task.pid == task.signal.tgid) {
                let pos = FIRST_PROCESS_ENTRY + 2 + task.pid as u64;
                add(&task.pid.to_string(), pid_ino(task.pid, 0), S_IFDIR, pos);
            }
        }
        list
    }
}
