//! Linux: `fs/inode.c`, `fs/attr.c`. An inode is a file without its name: type, mode, owner, times, link count, and the
//! operations of its filesystem.
//!
//! We: the same, with the filesystem's own data inside its [`InodeOperations`]. The filesystem owns the tree of inodes (a
//! directory's operations hold its entries); dentries are only a cache over it, see `dcache.rs`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use callgate_abi::Errno;
use callgate_emulator::Memory;
use callgate_uapi::fcntl::{Access, OpenFlags};
use callgate_uapi::fs::RenameFlags;
use callgate_uapi::stat::{S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, makedev};
use callgate_uapi::time::Timespec;

use super::file::FMode;
use super::locks::FileLocks;
use super::pipe::Pipe;
use super::{Caller, FileOperations, Path};
use crate::{Kernel, Result};

/// What every filesystem of one machine shares: guest memory for file data, and the wall clock.
pub struct FsEnv {
    /// Where file pages come from.
    pub memory: Memory,
    kernel: RefCell<Weak<Kernel>>,
    next_dev: Cell<u32>,
}

impl FsEnv {
    /// Makes the environment. Until it knows its kernel it takes the time from the host.
    pub fn new(memory: &Memory) -> Rc<Self> {
        Rc::new(Self { memory: memory.clone(), kernel: RefCell::default(), next_dev: Cell::new(1) })
    }

    /// Tells it the kernel whose clock goes into inodes.
    pub fn set_kernel(&self, kernel: &Rc<Kernel>) {
        self.kernel.replace(Rc::downgrade(kernel));
    }

    /// The kernel, while there is one.
    pub fn kernel(&self) -> Option<Rc<Kernel>> {
        self.kernel.borrow().upgrade()
    }

    /// The time that goes into inodes.
    pub fn now(&self) -> Timespec {
        match self.kernel() {
            Some(kernel) => kernel.clock.realtime_coarse().into(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().into(),
        }
    }
}

/// One filesystem instance (`struct super_block`).
pub struct SuperBlock {
    /// `st_dev` of its files.
    pub dev: u64,
    /// The name in /proc/mounts: "tmpfs".
    pub fs_type: &'static str,
    /// `f_type` of statfs(2).
    pub magic: u64,
    /// Whether names may be looked up in the dentry cache; a filesystem whose entries come and go by themselves says no.
    pub cached: bool,
    /// Whether files may carry extended attributes.
    pub xattrs: bool,
    /// Clock and memory.
    pub env: Rc<FsEnv>,
    next_ino: Cell<u64>,
}

impl SuperBlock {
    /// A new instance with the next free anonymous device number.
    pub fn new(env: &Rc<FsEnv>, fs_type: &'static str, magic: u64, cached: bool) -> Rc<Self> {
        let minor = env.next_dev.get();
        env.next_dev.set(minor + 1);
        Rc::new(Self {
            dev: makedev(0, minor),
            fs_type,
            magic,
            cached,
            xattrs: fs_type == "tmpfs",
            env: env.clone(),
            next_ino: Cell::new(1),
        })
    }

    /// The next inode number.
    pub fn next_ino(&self) -> u64 {
        let ino = self.next_ino.get();
        self.next_ino.set(ino + 1);
        ino
    }
}

/// What to make in a directory: the arguments of create, mkdir, mknod and symlink together.
pub struct NewInode<'a> {
    /// Type and permission bits, after the umask.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number for device nodes.
    pub rdev: u64,
    /// Target of a symbolic link.
    pub target: &'a [u8],
}

/// Where a symbolic link leads.
pub enum Link {
    /// A path to walk.
    Path(Vec<u8>),
    /// A place that the kernel knows without a path (/proc/self/fd/0).
    Jump(Path),
}

/// What a filesystem does with an inode (`struct inode_operations`). Defaults are those of a file that is no directory.
pub trait InodeOperations {
    /// Finds `name` in the directory `dir`.
    fn lookup(&self, dir: &Rc<Inode>, name: &[u8], who: &Caller<'_>) -> Result<Rc<Inode>> {
        let _ = (dir, name, who);
        Err(Errno::ENOTDIR)
    }
    /// Makes an entry; the caller knows that `name` is free.
    fn create(&self, dir: &Rc<Inode>, name: &[u8], new: &NewInode<'_>) -> Result<Rc<Inode>> {
        let _ = (dir, name);
        // The one kind that Linux refuses differently.
        Err(if new.mode & S_IFMT == S_IFREG { Errno::EACCES } else { Errno::EPERM })
    }
    /// Makes an inode without a name, for `O_TMPFILE`.
    fn tmpfile(&self, dir: &Rc<Inode>, new: &NewInode<'_>) -> Result<Rc<Inode>> {
        let _ = (dir, new);
        Err(Errno::EOPNOTSUPP)
    }
    /// Gives `inode` one more name.
    fn link(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        let _ = (dir, name, inode);
        Err(Errno::EPERM)
    }
    /// Removes the name of a file.
    fn unlink(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        let _ = (dir, name, inode);
        Err(Errno::EPERM)
    }
    /// Removes an empty directory.
    fn rmdir(&self, dir: &Rc<Inode>, name: &[u8], inode: &Rc<Inode>) -> Result<()> {
        let _ = (dir, name, inode);
        Err(Errno::EPERM)
    }
    /// Moves `old` of `old_dir` to `new` of `new_dir`, replacing or exchanging what is there.
    fn rename(
        &self,
        old_dir: &Rc<Inode>,
        old: &[u8],
        new_dir: &Rc<Inode>,
        new: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let _ = (old_dir, old, new_dir, new, flags);
        Err(Errno::EPERM)
    }
    /// Whether a directory has no entries.
    fn is_empty(&self) -> bool {
        true
    }
    /// Where a symbolic link leads when it is followed.
    fn get_link(&self, inode: &Inode, who: &Caller<'_>) -> Result<Link> {
        self.readlink(inode, who).map(Link::Path)
    }
    /// What readlink(2) says.
    fn readlink(&self, inode: &Inode, who: &Caller<'_>) -> Result<Vec<u8>> {
        let _ = (inode, who);
        Err(Errno::EINVAL)
    }
    /// Opens the file: gives the operations of the open file.
    fn open(&self, inode: &Rc<Inode>, flags: OpenFlags, who: &Caller<'_>) -> Result<Rc<dyn FileOperations>>;
    /// `st_size`.
    fn size(&self, inode: &Inode) -> u64 {
        let _ = inode;
        0
    }
    /// `st_blocks`, in units of 512 bytes.
    fn blocks(&self, inode: &Inode) -> u64 {
        let _ = inode;
        0
    }
    /// Sets the length of a regular file.
    fn truncate(&self, inode: &Inode, length: u64) -> Result<()> {
        let _ = (inode, length);
        Err(Errno::EINVAL)
    }
    /// Whether mode and owner may be changed.
    fn may_setattr(&self) -> Result<()> {
        Ok(())
    }
    /// Access to the concrete type behind the trait: a rename needs both directories to be of one filesystem.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
    /// May `who` do `mask`? Mode bits decide unless a filesystem knows better.
    fn permission(&self, inode: &Inode, mask: Access, who: &Caller<'_>) -> Result<()> {
        generic_permission(inode, mask, who)
    }
}

/// A file without its name (`struct inode`).
pub struct Inode {
    /// `st_ino`.
    pub ino: u64,
    /// The filesystem that it is of.
    pub sb: Rc<SuperBlock>,
    /// Device number of a device node.
    pub rdev: u64,
    /// The filesystem's part.
    pub op: Box<dyn InodeOperations>,
    mode: Cell<u32>,
    uid: Cell<u32>,
    gid: Cell<u32>,
    nlink: Cell<u32>,
    /// Open files that may write, and open files that are being executed (Linux: one `i_writecount`).
    opened: Cell<(i32, i32)>,
    atime: Cell<Timespec>,
    mtime: Cell<Timespec>,
    ctime: Cell<Timespec>,
    /// When it was made (`stx_btime`).
    pub btime: Timespec,
    /// The pipe behind an open FIFO.
    pub pipe: RefCell<Weak<Pipe>>,
    /// flock(2) and fcntl(2) locks.
    pub locks: FileLocks,
    /// Extended attributes.
    pub xattrs: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Inode {
    /// A new inode with the filesystem's next number, one link (two for a directory), and the times of now.
    pub fn new(sb: &Rc<SuperBlock>, new: &NewInode<'_>, op: Box<dyn InodeOperations>) -> Rc<Self> {
        Self::with_ino(sb, sb.next_ino(), new, op)
    }

    /// A new inode with a number that its filesystem chose.
    pub fn with_ino(sb: &Rc<SuperBlock>, ino: u64, new: &NewInode<'_>, op: Box<dyn InodeOperations>) -> Rc<Self> {
        let now = sb.env.now();
        Rc::new(Self {
            ino,
            sb: sb.clone(),
            rdev: new.rdev,
            op,
            mode: Cell::new(new.mode),
            uid: Cell::new(new.uid),
            gid: Cell::new(new.gid),
            nlink: Cell::new(if new.mode & S_IFMT == S_IFDIR { 2 } else { 1 }),
            opened: Cell::new((0, 0)),
            atime: Cell::new(now),
            mtime: Cell::new(now),
            ctime: Cell::new(now),
            btime: now,
            pipe: RefCell::default(),
            locks: FileLocks::default(),
            xattrs: RefCell::default(),
        })
    }

    /// Type and permission bits.
    pub fn mode(&self) -> u32 {
        self.mode.get()
    }
    /// The type bits.
    pub fn file_type(&self) -> u32 {
        self.mode.get() & S_IFMT
    }
    /// Is it a directory?
    pub fn is_dir(&self) -> bool {
        self.file_type() == S_IFDIR
    }
    /// Is it a regular file?
    pub fn is_reg(&self) -> bool {
        self.file_type() == S_IFREG
    }
    /// Is it a symbolic link?
    pub fn is_lnk(&self) -> bool {
        self.file_type() == S_IFLNK
    }
    /// Is it a character device?
    pub fn is_chr(&self) -> bool {
        self.file_type() == S_IFCHR
    }
    /// The owner.
    pub fn uid(&self) -> u32 {
        self.uid.get()
    }
    /// The group.
    pub fn gid(&self) -> u32 {
        self.gid.get()
    }
    /// Counts an open file that comes (1) or goes (-1).
    pub fn count_open(&self, mode: FMode, change: i32) {
        let (writers, executed) = self.opened.get();
        let of = |flag| if mode.contains(flag) { change } else { 0 };
        self.opened.set((writers + of(FMode::WRITE), executed + of(FMode::EXEC)));
    }
    /// How many open files may write to it.
    pub fn writers(&self) -> i32 {
        self.opened.get().0
    }
    /// Is it being executed, so that nobody may write to it (ETXTBSY)?
    pub fn is_denied_write(&self) -> bool {
        self.opened.get().1 > 0
    }
    /// How many names it has.
    pub fn nlink(&self) -> u32 {
        self.nlink.get()
    }
    /// Sets the link count.
    pub fn set_nlink(&self, n: u32) {
        self.nlink.set(n);
    }
    /// One name more.
    pub fn inc_nlink(&self) {
        self.nlink.set(self.nlink.get() + 1);
    }
    /// One name less.
    pub fn drop_nlink(&self) {
        self.nlink.set(self.nlink.get().saturating_sub(1));
    }
    /// `st_size`.
    pub fn size(&self) -> u64 {
        self.op.size(self)
    }
    /// Access, modification and change times.
    pub fn times(&self) -> [Timespec; 3] {
        [self.atime.get(), self.mtime.get(), self.ctime.get()]
    }
    /// The time that goes into this inode now.
    pub fn now(&self) -> Timespec {
        self.sb.env.now()
    }
    /// Sets the access time.
    pub fn set_atime(&self, t: Timespec) {
        self.atime.set(t);
    }
    /// Sets the modification time.
    pub fn set_mtime(&self, t: Timespec) {
        self.mtime.set(t);
    }
    /// The inode changed: ctime is now.
    pub fn touch_ctime(&self) {
        self.ctime.set(self.now());
    }
    /// The data changed: mtime and ctime are now.
    pub fn touch_mtime(&self) {
        let now = self.now();
        self.mtime.set(now);
        self.ctime.set(now);
    }
    /// The data was read. With `relatime`, the mount option of every Linux today, the access time moves only when it is not
    /// newer than the last change, or a day old.
    pub fn touch_atime(&self) {
        let now = self.now();
        let atime = self.atime.get();
        if atime <= self.mtime.get() || atime <= self.ctime.get() || now.tv_sec - atime.tv_sec >= 24 * 60 * 60 {
            self.atime.set(now);
        }
    }
    /// Changes the permission bits.
    pub fn set_mode(&self, mode: u32) {
        self.mode.set(self.file_type() | mode & !S_IFMT);
        self.touch_ctime();
    }
    /// Changes owner and group.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) {
        if let Some(uid) = uid {
            self.uid.set(uid);
        }
        if let Some(gid) = gid {
            self.gid.set(gid);
        }
        self.touch_ctime();
    }
    /// A write by other than root takes set-user-id and set-group-id away.
    pub fn remove_privs(&self, who_is_root: bool) {
        let mode = self.mode.get();
        if who_is_root || mode & 0o6000 == 0 {
            return;
        }
        let sgid = if mode & 0o010 != 0 { S_ISGID } else { 0 };
        self.mode.set(mode & !(0o4000 | sgid));
    }
}

/// Permission by mode bits, and root's overrides: root reads and writes everything, and executes what anyone may execute.
pub fn generic_permission(inode: &Inode, mask: Access, who: &Caller<'_>) -> Result<()> {
    let mode = inode.mode();
    let cred = &who.cred;
    let granted = if cred.fsuid == inode.uid() {
        mode >> 6
    } else if cred.in_group(inode.gid()) {
        mode >> 3
    } else {
        mode
    };
    let want = (mask & (Access::R_OK | Access::W_OK | Access::X_OK)).bits() as u32;
    if want & !granted & 7 == 0 {
        return Ok(());
    }
    if cred.dac_override && (inode.is_dir() || want & 1 == 0 || mode & 0o111 != 0) {
        return Ok(());
    }
    Err(Errno::EACCES)
}
