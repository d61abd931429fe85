//! Linux: `fs/open.c`, and `path_openat` of `fs/namei.c`.
//!
//! We: one function opens, [`do_filp_open`], for the calls and for execve alike. Where opening a FIFO waits for the other end,
//! the open file waits in the task's restart state, so that the other end sees it.

use std::rc::Rc;

use callgate_abi::{Errno, Fd, SYSCALL_DEFINE1, SYSCALL_DEFINE2, SYSCALL_DEFINE3, SYSCALL_DEFINE4, UserStr};
use callgate_uapi::fcntl::{Access, AtFlags, OpenFlags, OpenHow};
use callgate_uapi::stat::{S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, UMode};
use callgate_uapi::traced::In;
use tracing::trace_span;

use super::file::{File, FileOperations, fd_install, rlimit_nofile};
use super::namei::{
    Last, LookupFlags, Nameidata, getname, getname_maybe_empty, inode_permission, may_create, start_path, vfs_create,
};
use super::{Caller, Path, pipe};
use crate::{Result, Task};

pub mod attr;
pub mod close;

/// How to open: the flags after their checks (`struct open_flags`).
#[derive(Clone, Copy, Debug)]
pub struct OpenHowChecked {
    /// The flags.
    pub flags: OpenFlags,
    /// Type and permission bits for a new file.
    pub mode: u32,
    /// What access is asked for.
    pub access: Access,
    /// How the path is walked.
    pub lookup: LookupFlags,
}

/// Checks flags as `build_open_flags` does.
pub fn build_open_flags(flags: OpenFlags, mode: u32) -> Result<OpenHowChecked> {
    let mut flags = flags;
    if !flags.intersects(OpenFlags::O_CREAT | OpenFlags::__O_TMPFILE) && mode != 0 {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::O_CREAT | OpenFlags::O_DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::__O_TMPFILE)
        && (!flags.contains(OpenFlags::O_DIRECTORY) || flags.access_mode() & 3 == 0)
    {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::O_PATH) {
        let kept = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW | OpenFlags::O_PATH | OpenFlags::O_CLOEXEC;
        if !kept.contains(flags) {
            return Err(Errno::EINVAL);
        }
    }
    if flags.contains(OpenFlags::__O_SYNC) {
        flags |= OpenFlags::O_DSYNC;
    }
    let mut access = match flags.access_mode() {
        0 => Access::R_OK,
        1 => Access::W_OK,
        _ => Access::R_OK | Access::W_OK,
    };
    if flags.contains(OpenFlags::O_TRUNC) {
        access |= Access::W_OK;
    }
    let mut lookup = LookupFlags::empty();
    lookup.set(LookupFlags::DIRECTORY, flags.contains(OpenFlags::O_DIRECTORY));
    let no_follow = flags.contains(OpenFlags::O_NOFOLLOW) || flags.contains(OpenFlags::O_CREAT | OpenFlags::O_EXCL);
    lookup.set(LookupFlags::FOLLOW, !no_follow);
    Ok(OpenHowChecked { flags, mode: S_IFREG | mode & S_IALLUGO, access, lookup })
}

/// Opens a path (`path_openat`).
pub fn do_filp_open(who: &Caller<'_>, start: Path, name: &[u8], how: &OpenHowChecked) -> Result<Rc<File>> {
    let _span = trace_span!(target: "ftrace", "do_filp_open", path = %String::from_utf8_lossy(name)).entered();
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if how.flags.contains(OpenFlags::O_PATH) {
        let path = Nameidata::new(who, start, how.lookup).path_lookupat(name)?;
        return Ok(File::new(path, Rc::new(PathOnly), how.flags));
    }
    if how.flags.contains(OpenFlags::__O_TMPFILE) {
        return do_tmpfile(who, start, name, how);
    }
    let mut nd = Nameidata::new(who, start, how.lookup);
    let created = open_last_lookups(&mut nd, name, how)?;
    do_open(&nd.path, created, how, who)
}

/// Walks to the file, making it if need be; tells whether it was made.
fn open_last_lookups(nd: &mut Nameidata<'_>, name: &[u8], how: &OpenHowChecked) -> Result<bool> {
    let follow = how.lookup.contains(LookupFlags::FOLLOW);
    let mut name = name.to_vec();
    loop {
        let (last, slashes) = nd.link_path_walk(&name)?;
        let Last::Norm(component) = &last else {
            nd.walk_component(&last, true)?;
            return Ok(false);
        };
        if !how.flags.contains(OpenFlags::O_CREAT) {
            nd.walk_component(&last, follow || slashes)?;
            if slashes && !nd.path.inode().is_dir() {
                return Err(Errno::ENOTDIR);
            }
            return Ok(false);
        }
        if slashes {
            return Err(Errno::EISDIR);
        }
        match nd.lookup(component) {
            Ok(next) if follow && next.inode().is_lnk() => match nd.read_link(&next)? {
                Some(target) => name = target,
                None => return Ok(false),
            },
            Ok(next) => {
                nd.path = next;
                return Ok(false);
            }
            Err(Errno::ENOENT) if nd.path.inode().sb.cached => {
                let mode = how.mode & !nd.who.umask;
                let dentry = vfs_create(&nd.path, component, mode, b"", 0, nd.who)?;
                nd.path = Path { mnt: nd.path.mnt.clone(), dentry };
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Opens what a walk has found.
fn do_open(path: &Path, created: bool, how: &OpenHowChecked, who: &Caller<'_>) -> Result<Rc<File>> {
    let inode = path.inode();
    if how.flags.contains(OpenFlags::O_CREAT) {
        if how.flags.contains(OpenFlags::O_EXCL) && !created {
            return Err(Errno::EEXIST);
        }
        if inode.is_dir() {
            return Err(Errno::EISDIR);
        }
    }
    if how.lookup.contains(LookupFlags::DIRECTORY) && !inode.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    if !created {
        may_open(path, how, who)?;
    }
    let file = vfs_open(path.clone(), how.flags, who)?;
    if how.flags.contains(OpenFlags::O_TRUNC) && !created && inode.is_reg() {
        if inode.is_denied_write() {
            return Err(Errno::ETXTBSY);
        }
        inode.op.truncate(inode, 0)?;
    }
    Ok(file)
}

fn may_open(path: &Path, how: &OpenHowChecked, who: &Caller<'_>) -> Result<()> {
    let inode = path.inode();
    let exec = how.access.contains(Access::X_OK);
    match inode.file_type() {
        S_IFLNK => return Err(Errno::ELOOP),
        S_IFDIR if how.access.contains(Access::W_OK) => return Err(Errno::EISDIR),
        S_IFDIR | S_IFCHR | S_IFBLK | S_IFIFO | S_IFSOCK if exec => return Err(Errno::EACCES),
        S_IFREG | S_IFDIR if how.access.contains(Access::W_OK) && path.mnt.read_only => return Err(Errno::EROFS),
        _ => {}
    }
    inode_permission(inode, how.access, who)?;
    if how.flags.contains(OpenFlags::O_NOATIME) && !who.owns(inode) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Makes the open file of a path, without permission checks.
pub fn vfs_open(path: Path, flags: OpenFlags, who: &Caller<'_>) -> Result<Rc<File>> {
    if flags.access_mode() != 0 && path.inode().is_denied_write() {
        return Err(Errno::ETXTBSY);
    }
    let op = path.inode().op.open(path.inode(), flags, who)?;
    Ok(File::new(path, op, flags))
}

fn do_tmpfile(who: &Caller<'_>, start: Path, name: &[u8], how: &OpenHowChecked) -> Result<Rc<File>> {
    let lookup = how.lookup | LookupFlags::DIRECTORY | LookupFlags::FOLLOW;
    let dir = Nameidata::new(who, start, lookup).path_lookupat(name)?;
    may_create(&dir, who)?;
    let new = super::inode::NewInode {
        mode: how.mode & !who.umask,
        uid: who.cred.fsuid,
        gid: who.cred.fsgid,
        rdev: 0,
        target: b"",
    };
    let inode = dir.inode().op.tmpfile(dir.inode(), &new)?;
    let name = format!("/#{} (deleted)", inode.ino);
    let dentry = super::dcache::Dentry::anonymous(inode, name.as_bytes());
    vfs_open(Path { mnt: dir.mnt, dentry }, how.flags, who)
}

/// The operations of an `O_PATH` descriptor: none.
struct PathOnly;
impl FileOperations for PathOnly {
    fn name(&self) -> &'static str {
        "path"
    }
}

/// Opens a program for execve (`do_open_execat`); `flags` are `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`.
pub fn open_exec(task: &Task, dfd: Fd, name: &[u8], flags: i32) -> Result<Rc<File>> {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return Err(Errno::EINVAL);
    }
    if name.is_empty() && !flags.contains(AtFlags::AT_EMPTY_PATH) {
        return Err(Errno::ENOENT);
    }
    let start = start_path(task, dfd, name)?;
    let who = Caller::of(task);
    let mut lookup = LookupFlags::EMPTY;
    lookup.set(LookupFlags::FOLLOW, !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW));
    let path = Nameidata::new(&who, start, lookup).path_lookupat(name)?;
    // Execution only: a program need not be readable.
    let how = OpenHowChecked { flags: OpenFlags::empty(), mode: 0, access: Access::X_OK, lookup };
    may_open(&path, &how, &who)?;
    if !path.inode().is_reg() {
        return Err(Errno::EACCES);
    }
    if path.inode().writers() > 0 {
        return Err(Errno::ETXTBSY);
    }
    let op = path.inode().op.open(path.inode(), OpenFlags::empty(), &who)?;
    Ok(File::new_exec(path, op))
}

/// Sets the working directory, for the first process.
pub fn set_cwd(task: &mut Task, name: &[u8]) -> Result<()> {
    let lookup = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
    let path = super::namei::user_path_at(task, Fd::AT_FDCWD, name, lookup)?;
    task.fs.borrow_mut().pwd = path;
    Ok(())
}

/// A file that is being opened and waits for the other end of its FIFO.
struct PendingOpen(Rc<File>);

fn do_sys_openat2(task: &mut Task, dfd: Fd, filename: UserStr, how: &OpenHowChecked) -> Result<Fd> {
    let pending = task.restart.state.take().and_then(|state| state.downcast::<PendingOpen>().ok());
    let file = match pending {
        Some(pending) => pending.0,
        None => {
            let name = getname(task, filename)?;
            // The descriptor is reserved before the path is walked.
            task.files.borrow().check_room(rlimit_nofile(task))?;
            let start = start_path(task, dfd, &name)?;
            do_filp_open(&Caller::of(task), start, &name, how)?
        }
    };
    if let Some(queue) = pipe::fifo_waits(&file) {
        let error = task.wait_on(&[&queue], None);
        if error == crate::PARKED {
            task.restart.state = Some(Box::new(PendingOpen(file)));
        }
        return Err(error);
    }
    fd_install(task, file, how.flags.contains(OpenFlags::O_CLOEXEC))
}

/// The bits that open(2) knows; it ignores the others, and what makes no sense together with `O_PATH`.
fn legacy_how(flags: OpenFlags, mode: u32) -> Result<OpenHowChecked> {
    let mut flags = flags & known_flags() | OpenFlags::O_LARGEFILE;
    if flags.contains(OpenFlags::O_PATH) {
        flags &= OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW | OpenFlags::O_PATH | OpenFlags::O_CLOEXEC;
    }
    let makes = flags.intersects(OpenFlags::O_CREAT | OpenFlags::__O_TMPFILE);
    build_open_flags(flags, if makes { mode & S_IALLUGO } else { 0 })
}

/// Every bit that has a name.
fn known_flags() -> OpenFlags {
    OpenFlags::from_bits_retain(0o37777703)
}

/// open(2): opens a file and returns the lowest free descriptor.
#[SYSCALL_DEFINE3(open)]
pub fn open(task: &mut Task, filename: UserStr, flags: OpenFlags, mode: UMode) -> Result<Fd> {
    openat(task, Fd::AT_FDCWD, filename, flags, mode)
}

/// open(2) of a 32-bit program. Linux lets it open files of 2 GiB and more only with O_LARGEFILE; ours may always.
#[SYSCALL_DEFINE3(compat_sys_open)]
pub fn compat_open(task: &mut Task, filename: UserStr, flags: OpenFlags, mode: UMode) -> Result<Fd> {
    open(task, filename, flags, mode)
}

/// openat(2) of a 32-bit program, see [`compat_open`].
#[SYSCALL_DEFINE4(compat_sys_openat)]
pub fn compat_openat(task: &mut Task, dfd: Fd, filename: UserStr, flags: OpenFlags, mode: UMode) -> Result<Fd> {
    openat(task, dfd, filename, flags, mode)
}

/// openat(2): opens a file, relative to `dfd`.
#[SYSCALL_DEFINE4(openat)]
pub fn openat(task: &mut Task, dfd: Fd, filename: UserStr, flags: OpenFlags, mode: UMode) -> Result<Fd> {
    let how = legacy_how(flags, mode.0.into())?;
    do_sys_openat2(task, dfd, filename, &how)
}

/// creat(2): opens a new or emptied file for writing.
#[SYSCALL_DEFINE2(creat)]
pub fn creat(task: &mut Task, pathname: UserStr, mode: UMode) -> Result<Fd> {
    openat(task, Fd::AT_FDCWD, pathname, OpenFlags::O_CREAT | OpenFlags::O_WRONLY | OpenFlags::O_TRUNC, mode)
}

/// openat2(2): opens a file, refusing every bit that it does not know, and says how the path may be walked.
#[SYSCALL_DEFINE4(openat2)]
pub fn openat2(task: &mut Task, dfd: Fd, filename: UserStr, how: In<OpenHow>, usize: usize) -> Result<Fd> {
    const RESOLVE: [(u64, LookupFlags); 5] = [
        (0x01, LookupFlags::NO_XDEV),
        (0x02, LookupFlags::NO_MAGICLINKS),
        (0x04, LookupFlags::NO_SYMLINKS),
        (0x08, LookupFlags::BENEATH),
        (0x10, LookupFlags::IN_ROOT),
    ];
    if usize < size_of::<OpenHow>() {
        return Err(Errno::EINVAL);
    }
    if usize > 4096 {
        return Err(Errno::E2BIG);
    }
    let raw = how.read(task)?;
    let mut tail = vec![0; usize - size_of::<OpenHow>()];
    how.offset(1).cast::<u8>().slice(tail.len()).read_into(task, &mut tail)?;
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    let flags = i32::try_from(raw.flags).map(OpenFlags::from_bits_retain).map_err(|_| Errno::EINVAL)?;
    let mode = u32::try_from(raw.mode).map_err(|_| Errno::EINVAL)?;
    if !known_flags().contains(flags)
        || mode & !S_IALLUGO != 0
        || raw.resolve & !0x1f != 0
        || raw.resolve & 0x18 == 0x18
    {
        return Err(Errno::EINVAL);
    }
    let mut checked = build_open_flags(flags, mode)?;
    for (bit, lookup) in RESOLVE {
        checked.lookup.set(lookup, raw.resolve & bit != 0);
    }
    do_sys_openat2(task, dfd, filename, &checked)
}

/// Reads a path that `AT_EMPTY_PATH` allows to be empty, and walks it.
pub(super) fn lookup_at(task: &mut Task, dfd: Fd, name: UserStr, flags: AtFlags) -> Result<Path> {
    let empty = flags.contains(AtFlags::AT_EMPTY_PATH);
    let name = if empty { getname_maybe_empty(task, name)? } else { getname(task, name)? };
    let mut lookup = LookupFlags::empty();
    lookup.set(LookupFlags::EMPTY, empty);
    lookup.set(LookupFlags::FOLLOW, !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW));
    super::namei::user_path_at(task, dfd, &name, lookup)
}

/// umask(2): sets the permission bits that new files do not get, and returns the old ones.
#[SYSCALL_DEFINE1(umask)]
pub fn umask(task: &mut Task, mask: i32) -> Result<i32> {
    let mut fs = task.fs.borrow_mut();
    Ok(std::mem::replace(&mut fs.umask, mask as u32 & 0o777) as i32)
}
