//! The code cache's memory: one object, mapped to be written by us and mapped to be executed, never both.

use std::io;
use std::ptr::NonNull;

use callgate_emulator::PAGE_SIZE;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::context::HEADROOM;

/// Bytes of translated code before all is dropped.
pub(crate) const CODE_BYTES: usize = 64 << 20;
/// Bytes of a line of the host's caches, decoded instructions among them.
const CACHE_LINE: usize = 64;
/// Bytes that are given memory at once.
const PROVIDED: usize = 64 << 10;
/// Bytes from the start on that are given theirs when they are touched: the stubs, which is all that most programs need.
const TOUCHED: usize = 4 * PAGE_SIZE;
/// Bytes of the return stack, of what calls leave free below them, and of the guard below that.
const STACK_BYTES: usize = 1 << 20;
const STACK_FREE: usize = (HEADROOM as usize).next_multiple_of(PAGE_SIZE);
const STACK_GUARD: usize = 64 << 10;

/// Memory for code.
pub(crate) struct Code {
    write: NonNull<u8>,
    execute: NonNull<u8>,
    len: usize,
    /// Bytes from the start on that have memory, or get it when they are touched.
    provided: usize,
}

impl Code {
    pub(crate) fn new() -> io::Result<Self> {
        let object = memfd_create("code", MemfdFlags::CLOEXEC)?;
        ftruncate(&object, CODE_BYTES as u64)?;
        let map = |prot| {
            // SAFETY: a new mapping where the host likes touches no memory that Rust knows of.
            let at = unsafe { mmap(std::ptr::null_mut(), CODE_BYTES, prot, MapFlags::SHARED, &object, 0)? };
            NonNull::new(at.cast::<u8>()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
        };
        let write = map(ProtFlags::READ | ProtFlags::WRITE)?;
        let execute = match map(ProtFlags::READ | ProtFlags::EXEC) {
            Ok(execute) => execute,
            Err(error) => {
                // SAFETY: just mapped, and nobody knows of it.
                let _ = unsafe { munmap(write.as_ptr().cast(), CODE_BYTES) };
                return Err(error);
            }
        };
        Ok(Self { write, execute, len: 0, provided: TOUCHED })
    }

    /// The address that offset 0 is executed at.
    pub(crate) fn base(&self) -> u64 {
        self.execute.as_ptr() as u64
    }

    /// Bytes in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether so many bytes more fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.len + bytes <= CODE_BYTES
    }

    /// Lets the next code begin where the host fetches instructions from: loops and functions do, mostly.
    pub(crate) fn align(&mut self) {
        /// int3
        const TRAP: u8 = 0xcc;
        let padding = self.len.next_multiple_of(CACHE_LINE) - self.len;
        self.append(&[TRAP; CACHE_LINE][..padding]);
    }

    /// Appends code.
    ///
    /// # Panics
    /// If there is no room.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        assert!(self.has_room(bytes.len()), "the code cache is full");
        self.provide(self.len + bytes.len());
        // SAFETY: within the mapping, as just checked; translated code doesn't run now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.as_ptr().add(self.len), bytes.len()) };
        self.len += bytes.len();
    }

    /// Has memory for code up to an offset: many pages at once, which is a fault for each otherwise, here and where they are
    /// executed.
    fn provide(&mut self, end: usize) {
        while self.provided < end {
            let len = PROVIDED.min(CODE_BYTES - self.provided);
            // SAFETY: advice about the mapping, of which this is a part; without it, each page is a fault.
            let _ = unsafe { madvise(self.write.as_ptr().add(self.provided).cast(), len, Advice::LinuxPopulateWrite) };
            self.provided += len;
        }
    }

    /// Lets the branch whose displacement is at an offset lead to another offset.
    ///
    /// # Panics
    /// If it isn't part of the code.
    pub(crate) fn lead(&mut self, at: u32, to: u32) {
        let displacement = (i64::from(to) - i64::from(at) - 4) as i32;
        let at = at as usize;
        assert!(at + 4 <= self.len, "a branch beyond the code");
        // SAFETY: within the mapping, as just checked; translated code doesn't run now.
        unsafe { self.write.as_ptr().add(at).cast::<i32>().write_unaligned(displacement) };
    }

    /// Drops all code but the first `keep` bytes.
    pub(crate) fn truncate(&mut self, keep: usize) {
        self.len = self.len.min(keep);
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        for at in [self.write, self.execute] {
            // SAFETY: these are what `new` mapped.
            let _ = unsafe { munmap(at.as_ptr().cast(), CODE_BYTES) };
        }
    }
}

/// The stack that translated code runs on: it holds return addresses of the code cache and nothing else, so that the
/// host predicts the guest's returns.
pub(crate) struct ReturnStack {
    base: NonNull<u8>,
}

impl ReturnStack {
    const BYTES: usize = STACK_GUARD + STACK_FREE + STACK_BYTES;
    /// Kept free above the empty stack: returning from it must not reach beyond.
    const TOP: usize = 64;

    pub(crate) fn new() -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the host likes touches no memory that Rust knows of.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), Self::BYTES, prot, MapFlags::PRIVATE)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let stack = Self { base };
        crate::window::guard(base, STACK_GUARD)?;
        Ok(stack)
    }

    /// Its guard.
    pub(crate) fn guard(&self) -> (u64, u64) {
        let base = self.base.as_ptr() as u64;
        (base, base + STACK_GUARD as u64)
    }

    /// Where it is empty but for the bottom entry.
    pub(crate) fn empty(&self) -> u64 {
        self.base.as_ptr() as u64 + (Self::BYTES - Self::TOP) as u64
    }

    /// Sets the bottom entry: where a return goes that has no call.
    pub(crate) fn set_bottom(&mut self, host: u64) {
        // SAFETY: within the mapping, aligned; translated code doesn't run now.
        unsafe { self.base.as_ptr().add(Self::BYTES - Self::TOP).cast::<u64>().write(host) };
    }

    /// The entry at an address, if it is one of the stack's.
    pub(crate) fn entry(&self, at: u64) -> Option<u64> {
        let offset = at.checked_sub(self.base.as_ptr() as u64)? as usize;
        let inside = (STACK_GUARD..=Self::BYTES - Self::TOP).contains(&offset) && offset.is_multiple_of(8);
        // SAFETY: within the mapping and aligned, as just checked; translated code doesn't run now.
        inside.then(|| unsafe { self.base.as_ptr().add(offset).cast::<u64>().read() })
    }
}

impl Drop for ReturnStack {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), Self::BYTES) };
    }
}
