//! Linux: `mm/filemap.c`, `mm/shmem.c`. A file's data are pages in a cache, indexed by their place in the file; read and
//! write copy from and to them, mmap and execve map them.
//!
//! We: the same, with guest frames as pages, so that a mapping sees what write(2) writes and the core decodes one copy of a
//! program however often it runs. A page that nobody wrote has no frame. A file that came from the host is read in page by
//! page as it is used.
//!
//! Quirks: a hole that fallocate punches does not take pages away from who has mapped them already.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;

use callgate_abi::Errno;
use callgate_emulator::{Frame, Memory};

use super::iov_iter::IovIter;
use crate::Result;

const PAGE: u64 = 4096;

/// The pages of an object that can be mapped: an inode's page cache, or anonymous shared memory (`address_space`).
pub trait AddressSpace {
    /// The frame of page `index`, made or read in if need be. Whoever maps it writable and shared changes the object.
    ///
    /// # Errors
    /// EIO if it can't be read, ENOMEM without memory.
    fn page(&self, index: u64) -> Result<Frame>;

    /// The frame of page `index` if it is there already.
    fn cached_page(&self, index: u64) -> Option<Frame>;

    /// The object's size in bytes: pages wholly beyond it raise SIGBUS.
    fn size(&self) -> u64;
}

/// Where pages come from that nobody has touched yet.
struct HostSource {
    file: fs::File,
    /// The part of the file that is the host's: shrinks when the guest truncates.
    len: Cell<u64>,
}

/// The data of a regular file.
pub struct PageCache {
    memory: Memory,
    size: Cell<u64>,
    pages: RefCell<BTreeMap<u64, Frame>>,
    host: Option<HostSource>,
}

impl PageCache {
    /// An empty file.
    pub fn new(memory: &Memory) -> Self {
        Self { memory: memory.clone(), size: Cell::new(0), pages: RefCell::default(), host: None }
    }

    /// A file of `size` zero bytes.
    pub fn zeroes(memory: &Memory, size: u64) -> Self {
        Self { size: Cell::new(size), ..Self::new(memory) }
    }

    /// A file with the bytes of a host file, read when they are needed.
    pub fn from_host(memory: &Memory, file: fs::File) -> std::io::Result<Self> {
        let len = file.metadata()?.len();
        let host = Some(HostSource { file, len: Cell::new(len) });
        Ok(Self { size: Cell::new(len), host, ..Self::new(memory) })
    }

    /// Frames and host pages that count as allocated, in blocks of 512 bytes.
    pub fn blocks(&self) -> u64 {
        let host = self.host.as_ref().map_or(0, |host| host.len.get().div_ceil(PAGE));
        let own = self.pages.borrow().keys().filter(|index| **index >= host).count() as u64;
        (host + own) * (PAGE / 512)
    }

    /// The frame of a page if it has data.
    fn find(&self, index: u64) -> Result<Option<Frame>> {
        if let Some(frame) = self.pages.borrow().get(&index) {
            return Ok(Some(frame.clone()));
        }
        match &self.host {
            Some(host) if index * PAGE < host.len.get() => self.grab(index).map(Some),
            _ => Ok(None),
        }
    }

    /// The frame of a page, made if need be.
    fn grab(&self, index: u64) -> Result<Frame> {
        if let Some(frame) = self.pages.borrow().get(&index) {
            return Ok(frame.clone());
        }
        let frame = self.memory.alloc().ok_or(Errno::ENOMEM)?;
        if let Some(host) = &self.host {
            let at = index.saturating_mul(PAGE);
            let len = host.len.get().saturating_sub(at).min(PAGE) as usize;
            let mut done = 0;
            while done < len {
                match frame.load(done, len - done, host.file.as_fd(), at + done as u64) {
                    Ok(0) => break,
                    Ok(n) => done += n,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(Errno::EIO),
                }
            }
        }
        self.pages.borrow_mut().insert(index, frame.clone());
        Ok(frame)
    }

    /// Moves bytes at `pos` to `iter`, as far as the file goes.
    pub fn read(&self, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let mut page = [0; PAGE as usize];
        while iter.count() > 0 && *pos < self.size.get() {
            let offset = *pos % PAGE;
            let len = (PAGE - offset).min(self.size.get() - *pos).min(iter.count() as u64) as usize;
            let bytes = &mut page[..len];
            match self.find(*pos / PAGE) {
                Ok(Some(frame)) => frame.read(offset as usize, bytes),
                Ok(None) => bytes.fill(0),
                Err(_) if iter.done() > 0 => return Ok(iter.done()),
                Err(error) => return Err(error),
            }
            let copied = iter.copy_to_iter(bytes);
            *pos += copied as u64;
            if copied < len {
                return iter.done_or_fault();
            }
        }
        Ok(iter.done())
    }

    /// Moves bytes from `iter` to `pos`; the file grows as need be.
    pub fn write(&self, iter: &mut IovIter<'_>, pos: &mut u64) -> Result<usize> {
        let mut page = [0; PAGE as usize];
        while iter.count() > 0 {
            let offset = *pos % PAGE;
            let len = (PAGE - offset).min(iter.count() as u64) as usize;
            // The frame first: a full filesystem comes before a bad pointer.
            let fresh = !self.pages.borrow().contains_key(&(*pos / PAGE));
            let frame = match self.grab(*pos / PAGE) {
                Ok(frame) => frame,
                Err(_) if iter.done() > 0 => return Ok(iter.done()),
                Err(Errno::ENOMEM) => return Err(Errno::ENOSPC),
                Err(error) => return Err(error),
            };
            let copied = iter.copy_from_iter(&mut page[..len]);
            frame.write(offset as usize, &page[..copied]);
            if copied == 0 && fresh && self.host.is_none() && self.size.get() <= *pos - offset {
                self.pages.borrow_mut().remove(&(*pos / PAGE));
            }
            *pos += copied as u64;
            self.size.set(self.size.get().max(*pos));
            if copied < len {
                return iter.done_or_fault();
            }
        }
        Ok(iter.done())
    }

    /// Sets the length; what is cut off reads as zeroes if the file grows again.
    pub fn truncate(&self, length: u64) {
        if length < self.size.get() {
            let tail = length % PAGE;
            if tail != 0
                && let Ok(Some(frame)) = self.find(length / PAGE)
            {
                frame.write(tail as usize, &[0; PAGE as usize][tail as usize..]);
            }
            self.pages.borrow_mut().split_off(&length.div_ceil(PAGE));
            if let Some(host) = &self.host {
                host.len.set(host.len.get().min(length));
            }
        }
        self.size.set(length);
    }

    /// Makes pages for a range (fallocate's default mode).
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let mut fresh = Vec::new();
        for index in offset / PAGE..(offset + len).div_ceil(PAGE) {
            let there = self.pages.borrow().contains_key(&index);
            if self.grab(index).is_err() {
                // All or nothing.
                self.pages.borrow_mut().retain(|index, _| fresh.binary_search(index).is_err());
                return Err(Errno::ENOSPC);
            }
            if !there {
                fresh.push(index);
            }
        }
        Ok(())
    }

    /// Zeroes a range and frees the pages that lie wholly in it (`FALLOC_FL_PUNCH_HOLE`).
    pub fn punch_hole(&self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size.get());
        let mut at = offset;
        while at < end {
            let stop = ((at / PAGE + 1) * PAGE).min(end);
            if let Ok(Some(frame)) = self.find(at / PAGE) {
                if stop - at == PAGE && self.host.is_none() {
                    self.pages.borrow_mut().remove(&(at / PAGE));
                } else {
                    frame.write((at % PAGE) as usize, &[0; PAGE as usize][..(stop - at) as usize]);
                }
            }
            at = stop;
        }
    }

    /// The next byte with data (or, with `hole`, without) from `offset` on, for `SEEK_DATA` and `SEEK_HOLE`.
    pub fn seek_hole_data(&self, offset: u64, hole: bool) -> Option<u64> {
        let size = self.size.get();
        if offset >= size {
            return None;
        }
        let host = self.host.as_ref().map_or(0, |host| host.len.get().div_ceil(PAGE));
        let pages = self.pages.borrow();
        let mut index = offset / PAGE;
        if hole {
            while index < host || pages.contains_key(&index) {
                index += 1;
            }
        } else if index >= host {
            index = *pages.range(index..).next()?.0;
        }
        let at = (index * PAGE).max(offset);
        if at >= size { hole.then_some(size) } else { Some(at) }
    }
}

impl AddressSpace for PageCache {
    fn page(&self, index: u64) -> Result<Frame> {
        self.grab(index)
    }

    fn cached_page(&self, index: u64) -> Option<Frame> {
        self.pages.borrow().get(&index).cloned()
    }

    fn size(&self) -> u64 {
        self.size.get()
    }
}
