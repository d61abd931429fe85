//! Linux: `drivers/tty`. A terminal is a device with a line discipline, settings (termios), a window size and a foreground
//! process group.
//!
//! We: the line discipline is that of the host's terminal, whose settings the guest may read and change. The foreground group
//! is the guest's own affair.
//!
//! Quirks: no job-control signals from the keyboard; the host's terminal sends them to the host's processes.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use callgate_abi::{Errno, UserMut, UserPtr};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::ioctl::{Termios, Winsize};
use callgate_uapi::stat::makedev;
use linux_raw_sys::ioctl::{
    FIONREAD, TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP,
    TIOCSWINSZ,
};
use rustix::termios::{ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex};

use super::dcache::Dentry;
use super::file::{File, FilesStruct};
use super::host::{HostInode, HostStream, Kind, Source, errno};
use super::inode::{Inode, NewInode};
use super::namei::{LookupFlags, kern_path};
use super::{Caller, Path};
use crate::kernel::Kernel;
use crate::{Result, Task};

/// Device number of /dev/console.
pub const CONSOLE: u64 = makedev(5, 1);
/// Device number of /dev/tty.
pub const TTY: u64 = makedev(5, 0);

/// What a machine's standard input, output and error are.
#[derive(Default)]
pub enum Console {
    /// Those of the host's process.
    #[default]
    Host,
    /// Given input; output and error go into buffers.
    Buffers {
        /// What there is to read.
        input: Vec<u8>,
        /// What was written to standard output.
        output: Rc<RefCell<Vec<u8>>>,
        /// What was written to standard error.
        error: Rc<RefCell<Vec<u8>>>,
    },
}

impl Console {
    /// The three streams; one that the host has closed is missing.
    pub fn streams(self) -> [Option<Rc<HostStream>>; 3] {
        match self {
            Self::Host => [
                HostStream::of(rustix::stdio::stdin()),
                HostStream::of(rustix::stdio::stdout()),
                HostStream::of(rustix::stdio::stderr()),
            ],
            Self::Buffers { input, output, error } => [
                Some(HostStream::buffer(Source::Input(RefCell::new(input.into())))),
                Some(HostStream::buffer(Source::Output(output))),
                Some(HostStream::buffer(Source::Output(error))),
            ],
        }
    }
}

/// The open files of the first process: the machine's standard streams. A descriptor that the host has closed stays closed.
pub fn standard_streams(kernel: &Rc<Kernel>) -> Result<FilesStruct> {
    let vfs = &kernel.vfs;
    let mut files = FilesStruct::default();
    for (fd, stream) in vfs.streams().iter().enumerate() {
        if let Some(stream) = stream {
            files.install_at(fd, open_stream(kernel, stream)?);
        }
    }
    Ok(files)
}

/// The open file of a stream. A terminal is the machine's console, a device that the guest has too is the guest's.
fn open_stream(kernel: &Rc<Kernel>, stream: &Rc<HostStream>) -> Result<Rc<File>> {
    let vfs = &kernel.vfs;
    let mut flags = stream.flags & (OpenFlags::from_bits_retain(OpenFlags::O_ACCMODE) | OpenFlags::O_APPEND);
    if !matches!(stream.source, Source::Host(_)) {
        flags = stream.flags;
    }
    let who = Caller::kernel(vfs);
    let name: Option<&[u8]> = match stream.kind {
        Kind::Tty => Some(b"/dev/console"),
        Kind::Device if stream.rdev == makedev(1, 3) => Some(b"/dev/null"),
        Kind::Device if stream.rdev == makedev(1, 5) => Some(b"/dev/zero"),
        _ => None,
    };
    if let Some(name) = name {
        let path = kern_path(&who, name, LookupFlags::FOLLOW)?;
        if stream.kind == Kind::Tty {
            return Ok(File::new(path, stream.clone(), flags));
        }
        return super::open::vfs_open(path, flags, &who);
    }
    let new = NewInode { mode: stream.mode, uid: 0, gid: 0, rdev: stream.rdev, target: b"" };
    let inode = Inode::new(&vfs.pipefs.sb, &new, Box::new(HostInode(stream.clone())));
    let name = if stream.kind == Kind::Regular { "host" } else { "pipe" };
    let dentry = Dentry::anonymous(inode.clone(), format!("{name}:[{}]", inode.ino).as_bytes());
    let file = File::new(Path { mnt: vfs.pipefs.clone(), dentry }, stream.clone(), flags);
    if let (Source::Host(fd), Kind::Regular) = (&stream.source, stream.kind) {
        file.pos.set(rustix::fs::tell(fd).unwrap_or(0));
    }
    Ok(file)
}

/// The ioctls of a stream of the host.
pub fn ioctl(fd: BorrowedFd<'_>, kind: Kind, task: &mut Task, cmd: u32, arg: u64) -> Result<i64> {
    if cmd == FIONREAD {
        let available = rustix::io::ioctl_fionread(fd).map_err(errno)? as i32;
        UserMut::<i32>::new(arg).write(task, &available)?;
        return Ok(0);
    }
    if kind != Kind::Tty {
        return Err(Errno::ENOTTY);
    }
    match cmd {
        TCGETS => {
            let termios = to_kernel(&rustix::termios::tcgetattr(fd).map_err(errno)?);
            UserMut::<Termios>::new(arg).write(task, &termios)?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let wanted = UserPtr::<Termios>::new(arg).read(task)?;
            let mut host = rustix::termios::tcgetattr(fd).map_err(errno)?;
            from_kernel(&wanted, &mut host);
            let when = match cmd {
                TCSETS => OptionalActions::Now,
                TCSETSW => OptionalActions::Drain,
                _ => OptionalActions::Flush,
            };
            rustix::termios::tcsetattr(fd, when, &host).map_err(errno)?;
        }
        TIOCGWINSZ => {
            let size = rustix::termios::tcgetwinsize(fd).map_err(errno)?;
            let size = Winsize {
                ws_row: size.ws_row,
                ws_col: size.ws_col,
                ws_xpixel: size.ws_xpixel,
                ws_ypixel: size.ws_ypixel,
            };
            UserMut::<Winsize>::new(arg).write(task, &size)?;
        }
        TIOCSWINSZ => {
            let size = UserPtr::<Winsize>::new(arg).read(task)?;
            let size = rustix::termios::Winsize {
                ws_row: size.ws_row,
                ws_col: size.ws_col,
                ws_xpixel: size.ws_xpixel,
                ws_ypixel: size.ws_ypixel,
            };
            rustix::termios::tcsetwinsize(fd, size).map_err(errno)?;
        }
        TIOCGPGRP => {
            let foreground = match task.kernel.vfs.foreground.get() {
                0 => task.signal().pgrp.get(),
                group => group,
            };
            UserMut::<i32>::new(arg).write(task, &foreground)?;
        }
        TIOCSPGRP => {
            let group = UserPtr::<i32>::new(arg).read(task)?;
            if group < 0 {
                return Err(Errno::EINVAL);
            }
            let processes = task.kernel.processes();
            let found = processes.iter().find(|process| process.pgrp.get() == group).ok_or(Errno::ESRCH)?;
            if found.session.get() != task.signal().session.get() {
                return Err(Errno::EPERM);
            }
            task.kernel.vfs.foreground.set(group);
        }
        TIOCGSID => {
            let session = task.signal().session.get();
            UserMut::<i32>::new(arg).write(task, &session)?;
        }
        TIOCSCTTY | TIOCNOTTY => {}
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// Where the kernel's `c_cc` has what.
const SPECIAL_CODES: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];

fn to_kernel(host: &rustix::termios::Termios) -> Termios {
    let mut c_cc = [0; 19];
    for (slot, index) in c_cc.iter_mut().zip(SPECIAL_CODES) {
        *slot = host.special_codes[index];
    }
    Termios {
        c_iflag: host.input_modes.bits(),
        c_oflag: host.output_modes.bits(),
        c_cflag: host.control_modes.bits(),
        c_lflag: host.local_modes.bits(),
        c_line: 0,
        c_cc,
    }
}

fn from_kernel(wanted: &Termios, host: &mut rustix::termios::Termios) {
    host.input_modes = InputModes::from_bits_retain(wanted.c_iflag);
    host.output_modes = OutputModes::from_bits_retain(wanted.c_oflag);
    host.control_modes = ControlModes::from_bits_retain(wanted.c_cflag);
    host.local_modes = LocalModes::from_bits_retain(wanted.c_lflag);
    for (value, index) in wanted.c_cc.iter().zip(SPECIAL_CODES) {
        host.special_codes[index] = *value;
    }
}
