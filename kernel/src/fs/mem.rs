//! Linux: `drivers/char/mem.c`, `random.c`. /dev/null, zero, full, random and urandom.

use std::rc::Rc;

use callgate_abi::Errno;
use callgate_uapi::fs::Whence;
use callgate_uapi::stat::makedev;
use tracing::trace_span;

use super::Vfs;
use super::file::{File, FileOperations};
use super::iov_iter::IovIter;
use super::page_cache::{AddressSpace, PageCache};
use crate::Result;

/// The memory devices: name in /dev, minor number (the major is 1), and what it is.
pub const DEVICES: [(&str, u32, Memory); 5] = [
    ("null", 3, Memory::Null),
    ("zero", 5, Memory::Zero),
    ("full", 7, Memory::Full),
    ("random", 8, Memory::Random),
    ("urandom", 9, Memory::Random),
];

/// Opens a memory device.
pub fn open(vfs: &Vfs, rdev: u64) -> Option<Rc<dyn FileOperations>> {
    let (_, _, kind) = DEVICES.iter().find(|(_, minor, _)| makedev(1, *minor) == rdev)?;
    Some(Rc::new(MemoryDevice { kind: *kind, env: vfs.env.clone() }))
}

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Swallows everything, has nothing.
    Null,
    /// Swallows everything, is full of zeroes.
    Zero,
    /// Is full of zeroes, has no room.
    Full,
    /// Random bytes.
    Random,
}

struct MemoryDevice {
    kind: Memory,
    env: Rc<super::inode::FsEnv>,
}

impl FileOperations for MemoryDevice {
    fn name(&self) -> &'static str {
        match self.kind {
            Memory::Null => "null",
            Memory::Zero => "zero",
            Memory::Full => "full",
            Memory::Random => "random",
        }
    }

    fn read(&self, _: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let mut chunk = [0; 4096];
        match self.kind {
            Memory::Null => {
                let _span = trace_span!(target: "ftrace", "read_null").entered();
                return Ok(0);
            }
            Memory::Zero | Memory::Full => {
                let _span = trace_span!(target: "ftrace", "read_iter_zero", count = iter.count()).entered();
                while iter.count() > 0 && iter.copy_to_iter(&chunk) == chunk.len() {}
            }
            Memory::Random => {
                let _span = trace_span!(target: "ftrace", "urandom_read_iter", count = iter.count()).entered();
                let kernel = self.env.kernel().ok_or(Errno::EIO)?;
                while iter.count() > 0 {
                    let bytes = &mut chunk[..iter.count().min(4096)];
                    kernel.random.fill(bytes);
                    if iter.copy_to_iter(bytes) < bytes.len() {
                        break;
                    }
                }
            }
        }
        iter.done_or_fault()
    }

    fn write(&self, _: &File, iter: &mut IovIter<'_>, _: &mut u64) -> Result<usize> {
        let count = iter.count();
        match self.kind {
            Memory::Null | Memory::Zero => {
                // Nothing is copied: a bad pointer goes unnoticed, as on Linux.
                let _span = trace_span!(target: "ftrace", "write_null", count).entered();
                Ok(count)
            }
            Memory::Full => {
                let _span = trace_span!(target: "ftrace", "write_full", count).entered();
                Err(Errno::ENOSPC)
            }
            Memory::Random => {
                let _span = trace_span!(target: "ftrace", "random_write_iter", count).entered();
                // It would be mixed into the pool; ours is the host's or a fixed sequence.
                let mut chunk = [0; 4096];
                while iter.count() > 0 {
                    let n = iter.count().min(chunk.len());
                    if iter.copy_from_iter(&mut chunk[..n]) < n {
                        break;
                    }
                }
                iter.done_or_fault()
            }
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn llseek(&self, file: &File, offset: i64, whence: Whence) -> Result<u64> {
        if self.kind == Memory::Random {
            // noop_llseek
            return Ok(file.pos.get());
        }
        // null_lseek: the start, whatever was asked.
        let _ = (offset, whence);
        file.pos.set(0);
        Ok(0)
    }

    fn mapping(&self, _: &File) -> Option<Rc<dyn AddressSpace>> {
        // Every mapping of /dev/zero is an object of its own.
        (self.kind == Memory::Zero).then(|| Rc::new(PageCache::zeroes(&self.env.memory, i64::MAX as u64)) as _)
    }
}
