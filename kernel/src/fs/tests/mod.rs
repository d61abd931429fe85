//! What Linux promises of files, asked of the handlers themselves: a task with some memory and no processor calls them.

mod differential;
mod events;
mod paths;
mod pipes;
mod proc;
mod rw;
mod transfers;

use std::cell::RefCell;
use std::rc::Rc;

use callgate_abi::{Fd, UserMemory, UserMut, UserPtr, UserStr};
use callgate_uapi::fcntl::OpenFlags;
use callgate_uapi::stat::{Stat, UMode};
use callgate_uapi::traced::Out;

use super::tty::Console;
use crate::kernel::Kernel;
use crate::mm::{Backing, Prot, VmFlags, Vma};
use crate::task::Restart;
use crate::{Config, PARKED, Result, Task};

/// Where the test's user memory lies, and how much there is.
const MEMORY: u64 = 0x10_0000;
const MEMORY_SIZE: u64 = 4 << 20;

/// A task that calls handlers.
pub(super) struct Guest {
    pub(super) task: Box<Task>,
    pub(super) output: Rc<RefCell<Vec<u8>>>,
    next: u64,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self::with_input(b"")
    }

    pub(super) fn with_input(input: &[u8]) -> Self {
        let output = Rc::new(RefCell::new(Vec::new()));
        let kernel = Kernel::new(&Config { max_memory: 256 << 20, ..Config::default() }).unwrap();
        let console = Console::Buffers { input: input.to_vec(), output: output.clone(), error: Rc::default() };
        crate::fs::init(&kernel, console).unwrap();
        let task = Task::init(&kernel).unwrap();
        task.mm.borrow_mut().insert(Vma {
            start: MEMORY,
            end: MEMORY + MEMORY_SIZE,
            prot: Prot::READ | Prot::WRITE,
            flags: VmFlags::empty(),
            backing: Backing::Anonymous,
        });
        Self { task, output, next: MEMORY }
    }

    /// Room for `len` bytes of user memory.
    pub(super) fn room(&mut self, len: usize) -> u64 {
        if self.next + len as u64 > MEMORY + MEMORY_SIZE {
            self.next = MEMORY;
        }
        let at = self.next;
        self.next = (at + len as u64).next_multiple_of(16);
        assert!(self.next <= MEMORY + MEMORY_SIZE);
        at
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len().max(1));
        self.task.copy_to_user(at, bytes).unwrap();
        at
    }

    pub(super) fn path(&mut self, path: impl AsRef<[u8]>) -> UserStr {
        UserStr::new(self.bytes(&[path.as_ref(), b"\0"].concat()))
    }

    pub(super) fn peek(&mut self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.task.copy_from_user(&mut bytes, at).unwrap();
        bytes
    }

    /// Calls a handler; what it remembers for a re-run goes unless it was parked.
    pub(super) fn call<T>(&mut self, handler: impl FnOnce(&mut Task) -> Result<T>) -> Result<T> {
        let result = handler(&mut self.task);
        if matches!(result, Err(PARKED)) {
            self.task.restart.again = true;
            self.task.link.wake();
        } else {
            self.task.restart = Restart::default();
        }
        result
    }

    pub(super) fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let path = self.path(path);
        self.call(|task| super::open::open(task, path, flags, UMode(0o644)))
    }

    pub(super) fn create(&mut self, path: &str) -> Fd {
        self.open(path, OpenFlags::O_RDWR | OpenFlags::O_CREAT).unwrap()
    }

    pub(super) fn close(&mut self, fd: Fd) -> Result<()> {
        self.call(|task| super::open::close::close(task, fd))
    }

    pub(super) fn write(&mut self, fd: Fd, bytes: &[u8]) -> Result<usize> {
        let at = self.bytes(bytes);
        self.call(|task| super::read_write::write(task, fd, UserPtr::new(at), bytes.len()))
    }

    pub(super) fn read(&mut self, fd: Fd, len: usize) -> Result<Vec<u8>> {
        let at = self.room(len.max(1));
        let n = self.call(|task| super::read_write::read(task, fd, UserMut::new(at), len))?;
        Ok(self.peek(at, n))
    }

    pub(super) fn slurp(&mut self, path: &str) -> Result<Vec<u8>> {
        let fd = self.open(path, OpenFlags::empty())?;
        let mut all = Vec::new();
        loop {
            let piece = self.read(fd, 1000)?;
            if piece.is_empty() {
                self.close(fd)?;
                return Ok(all);
            }
            all.extend(piece);
        }
    }

    pub(super) fn stat(&mut self, path: &str) -> Result<Stat> {
        let path = self.path(path);
        let at = self.room(size_of::<Stat>());
        self.call(|task| super::stat::newlstat(task, path, Out(UserMut::new(at))))?;
        UserMut::new(at).read(&mut *self.task)
    }

    /// The listing of a directory: names with their offsets.
    pub(super) fn list(&mut self, fd: Fd, room: usize) -> Result<Vec<(String, i64)>> {
        let at = self.room(room);
        let n = self.call(|task| super::readdir::getdents64(task, fd, UserMut::new(at), room as u32))?;
        let bytes = self.peek(at, n);
        let mut names = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let end = rest[19..].iter().position(|byte| *byte == 0).unwrap();
            let offset = i64::from_le_bytes(rest[8..16].try_into().unwrap());
            names.push((String::from_utf8_lossy(&rest[19..19 + end]).into_owned(), offset));
            rest = &rest[length..];
        }
        Ok(names)
    }
}
