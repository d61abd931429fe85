//! The host memory behind all frames.
//!
//! A kernel keeps its frames in physical memory. Ours is a range of addresses as large as the limit, whose pages the host
//! provides when they are first touched. It is plain memory at first, which takes Linux a third of the time that pages of
//! a memory object take, and which is all that most programs ever need. When another engine wants to map the same frames
//! at other addresses, page by page, it becomes a memory object, where it is.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::process::{Resource, getrlimit};

use super::{BLOCK, BLOCK_BYTES, PAGE_SIZE};

const ACCESS: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Addresses for frames, behind what somebody else needs of the large page that they begin in.
pub struct Offer {
    /// Where they begin: where a large page may.
    pub base: NonNull<u8>,
    /// How many bytes there are, whole pages all of these.
    pub len: usize,
    /// How many of them, from the first on, are somebody's.
    pub taken: usize,
    /// How many, from the first on, the host provides at once.
    pub large: usize,
}

// SAFETY: it is a range of addresses, whoever has it.
unsafe impl Send for Offer {}

static OFFER: Mutex<Option<Offer>> = Mutex::new(None);

/// Offers addresses to the next [`Memory`](super::Memory) that is made. If they do for it, its first frames are those of
/// the large page that are left, which the host then needn't provide one by one.
///
/// # Safety
/// They must be of a private mapping of no file that may be read and written, and from those on that are taken zeros, and
/// nobody's from now on.
pub unsafe fn offer_memory(offer: Offer) {
    *OFFER.lock().unwrap_or_else(PoisonError::into_inner) = Some(offer);
}

/// The mapping. It neither moves nor shrinks while it lives.
pub(super) struct Mapping {
    /// Where frame 0 is, or would be.
    base: NonNull<u8>,
    /// The first frame that there is, and the one after the last.
    first: u32,
    end: u32,
    object: OnceCell<OwnedFd>,
    /// The frames before this one the host has provided already.
    provided: u32,
    /// The frames before this one are the object's.
    shared: Cell<u32>,
    /// The first frames of blocks that are one page of the host's, and not yet the object's.
    blocks: RefCell<Vec<u32>>,
}

impl Mapping {
    /// Reserves `frames` frames; none takes host memory before it is touched.
    pub(super) fn new(frames: u32) -> io::Result<Self> {
        let offer = OFFER.lock().unwrap_or_else(PoisonError::into_inner).take();
        // SAFETY: who offered it has promised that.
        if let Some(mapping) = offer.and_then(|offer| unsafe { Self::of_offer(&offer, frames) }) {
            return Ok(mapping);
        }
        let bytes = u64::from(frames) * PAGE_SIZE as u64;
        let len = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let base = reserve_aligned(len)?;
        let mapping = Self::at(base, 0, frames, 0);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        let plain = if may_be_private(len) {
            // SAFETY: these addresses were just reserved for this.
            unsafe { mmap_anonymous(base.as_ptr().cast(), len, ACCESS, flags) }
        } else {
            Err(Errno::NOMEM)
        };
        match plain {
            // A small program's frames are all in the first block, and are few.
            Ok(start) => {
                // SAFETY: advice leaves contents alone.
                let _ = unsafe { madvise(start, BLOCK_BYTES.min(len), Advice::LinuxNoHugepage) };
            }
            // So much memory of its own isn't for every process, but objects count differently.
            Err(_) => {
                mapping.object(0)?;
            }
        }
        Ok(mapping)
    }

    /// The frames from `first` on to `end`, of which the ones before `provided` are there.
    fn at(base: NonNull<u8>, first: u32, end: u32, provided: u32) -> Self {
        let (object, shared, blocks) = (OnceCell::new(), Cell::new(first), RefCell::default());
        Self { base, first, end, object, provided, shared, blocks }
    }

    /// What was offered, if there is as much.
    ///
    /// # Safety
    /// As for [`offer_memory`].
    pub(super) unsafe fn of_offer(offer: &Offer, frames: u32) -> Option<Self> {
        let [first, large, all] = [offer.taken, offer.large, offer.len].map(|bytes| (bytes / PAGE_SIZE) as u32);
        let end = first.checked_add(frames).filter(|end| *end <= all)?;
        let mut is_there = 0u8;
        // Nobody has touched the last one: if it is there, the page is a large one.
        // SAFETY: the page lies within what was offered, and mincore writes a byte.
        let known =
            unsafe { libc::mincore(offer.base.add(offer.large - PAGE_SIZE).as_ptr().cast(), 1, &raw mut is_there) };
        let provided = if known == 0 && is_there & 1 != 0 { large } else { first };
        Some(Self::at(offer.base, first, end, provided))
    }

    /// The numbers of the frames that there are.
    #[inline]
    pub(super) fn numbers(&self) -> Range<u32> {
        self.first..self.end
    }

    /// Makes the object, and nothing of it yet.
    ///
    /// # Errors
    /// If the host has none for us.
    pub(super) fn prepare(&self) -> io::Result<&OwnedFd> {
        if let Some(object) = self.object.get() {
            return Ok(object);
        }
        let object = memfd_create("frames", MemfdFlags::CLOEXEC)?;
        ftruncate(&object, u64::from(self.end) * PAGE_SIZE as u64)?;
        Ok(self.object.get_or_init(|| object))
    }

    /// Whether the object is made, if nothing of it yet.
    pub(super) fn is_prepared(&self) -> bool {
        self.object.get().is_some()
    }

    /// The frame before which all are the object's.
    #[cfg(test)]
    pub(super) fn shared(&self) -> u32 {
        self.shared.get()
    }

    /// The memory object: frame `n` is its bytes from `n * PAGE_SIZE` on. Frames before `used` were handed out so far, and
    /// those beyond are zeros.
    ///
    /// # Errors
    /// If the host can't make one of the memory. It stays plain then, as far as it is.
    pub(super) fn object(&self, used: u32) -> io::Result<BorrowedFd<'_>> {
        let object = self.prepare()?;
        // Block by block, so that there is never much of it twice.
        while self.shared.get() < self.end {
            let first = self.shared.get();
            let end = if first < used { self.end.min((first + 1).next_multiple_of(BLOCK)) } else { self.end };
            let filled = used.clamp(first, end) - first;
            self.copy_into(object, first, filled)?;
            let (at, offset) = (self.frame(first).as_ptr().cast(), u64::from(first) * PAGE_SIZE as u64);
            let flags = MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED;
            // SAFETY: the addresses are ours, no Rust reference points there, and what they show stays the same. The object
            // is nobody else's, so that it can't shrink beneath us.
            unsafe { mmap(at, (end - first) as usize * PAGE_SIZE, ACCESS, flags, object, offset)? };
            self.shared.set(end);
            if self.blocks.borrow().contains(&first) {
                self.provide_block(first);
            } else {
                self.provide(first, filled);
            }
        }
        self.blocks.take();
        Ok(object.as_fd())
    }

    /// Writes `frames` frames from `first` on into the object.
    fn copy_into(&self, object: &OwnedFd, first: u32, frames: u32) -> io::Result<()> {
        let (len, offset) = (frames as usize * PAGE_SIZE, u64::from(first) * PAGE_SIZE as u64);
        let mut done = 0;
        while done < len {
            // SAFETY: the host reads bytes of these frames, which lie within the mapping.
            let written = unsafe {
                let from = self.frame(first).as_ptr().add(done);
                libc::pwrite(object.as_raw_fd(), from.cast(), len - done, offset as i64 + done as i64)
            };
            match (written, io::Error::last_os_error()) {
                (1.., _) => done += written as usize,
                (-1, error) if error.kind() == io::ErrorKind::Interrupted => {}
                (-1, error) => return Err(error),
                _ => return Err(io::ErrorKind::WriteZero.into()),
            }
        }
        Ok(())
    }

    /// Where frame `number` begins: PAGE_SIZE bytes from there are ours as long as the mapping lives.
    ///
    /// # Panics
    /// If there is no such frame; frame numbers come from the allocator alone.
    #[inline]
    pub(super) fn frame(&self, number: u32) -> NonNull<u8> {
        assert!(self.numbers().contains(&number), "frame number beyond the mapping");
        // SAFETY: the offset lies within the mapping, as just checked.
        unsafe { self.base.add(number as usize * PAGE_SIZE) }
    }

    /// Has the host provide some frames from `number` on at once, which takes half as long as a fault for each. It is a
    /// hint: a host that doesn't know it (Linux before 5.14) provides them when they are touched.
    pub(super) fn provide(&self, number: u32, frames: u32) {
        let frames = frames.min(self.end.saturating_sub(number));
        let is_there = number >= self.shared.get() && number + frames <= self.provided;
        if frames > 0 && !is_there {
            // SAFETY: these frames lie within the mapping, and their bytes stay what they are.
            let _ = unsafe {
                madvise(self.frame(number).as_ptr().cast(), frames as usize * PAGE_SIZE, Advice::LinuxPopulateWrite)
            };
        }
    }

    /// Has the host provide the block of frames from `number` on as one large page of its own, which takes a tenth as
    /// long as page by page. False if it can't (Linux before 6.1, or one without large pages).
    pub(super) fn provide_block(&self, number: u32) -> bool {
        // It collapses pages that are there, so one must be.
        self.provide(number, 1);
        // SAFETY: the block lies within the mapping, as its frames are handed out, and its bytes stay what they are.
        let done = unsafe { libc::madvise(self.frame(number).as_ptr().cast(), BLOCK_BYTES, libc::MADV_COLLAPSE) == 0 };
        if done && number >= self.shared.get() {
            self.blocks.borrow_mut().push(number);
        }
        done
    }

    /// Copies bytes out of a frame; what would lie beyond its end is not copied.
    pub(super) fn read(&self, number: u32, offset: usize, buf: &mut [u8]) {
        let len = buf.len().min(PAGE_SIZE.saturating_sub(offset));
        // SAFETY: offset + len <= PAGE_SIZE, so the source lies in the frame; `buf` is an exclusive Rust reference and
        // no Rust reference ever points into the mapping, so the two can't overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(self.frame(number).as_ptr().add(offset.min(PAGE_SIZE)), buf.as_mut_ptr(), len)
        };
    }

    /// Copies bytes into a frame; what would lie beyond its end is not copied.
    pub(super) fn write(&self, number: u32, offset: usize, buf: &[u8]) {
        let len = buf.len().min(PAGE_SIZE.saturating_sub(offset));
        // SAFETY: as in `read`, with the directions changed.
        unsafe {
            std::ptr::copy_nonoverlapping(buf.as_ptr(), self.frame(number).as_ptr().add(offset.min(PAGE_SIZE)), len)
        };
    }

    /// Reads bytes of a file into a frame, as far as that reaches, and gives how many there were.
    pub(super) fn load(
        &self,
        number: u32,
        at: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<usize> {
        let at = at.min(PAGE_SIZE);
        let len = len.min(PAGE_SIZE - at);
        let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: at + len <= PAGE_SIZE, so what the host writes lies in the frame, and no Rust reference points there.
        let read = unsafe { libc::pread(file.as_raw_fd(), self.frame(number).as_ptr().add(at).cast(), len, offset) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
    }

    /// Fills `frames` frames from `number` on with zeros.
    pub(super) fn zero(&self, number: u32, frames: u32) {
        let _last = self.frame(number + frames.max(1) - 1);
        // SAFETY: exactly the frames' bytes, all in the mapping, and no Rust reference points into it.
        unsafe { std::ptr::write_bytes(self.frame(number).as_ptr(), 0, frames as usize * PAGE_SIZE) };
    }

    /// Copies a whole frame.
    pub(super) fn copy(&self, from: u32, to: u32) {
        // SAFETY: both are whole frames of the mapping; `copy` allows them to be the same one.
        unsafe { std::ptr::copy(self.frame(from).as_ptr(), self.frame(to).as_ptr(), PAGE_SIZE) };
    }
}

/// Whether a process may have so many bytes of memory of its own besides what else it needs (RLIMIT_DATA). Linux doesn't ask
/// where a mapping replaces another; but what is over the limit then is every small one that comes later.
pub fn may_be_private(len: usize) -> bool {
    getrlimit(Resource::Data).current.is_none_or(|limit| len as u64 <= limit / 2)
}

/// Reserves addresses of the host's, inaccessible, that begin where a large page may.
fn reserve_aligned(len: usize) -> io::Result<NonNull<u8>> {
    let more = len.checked_add(BLOCK_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the host's choice touches no memory that Rust knows of; what is given back
    // are parts of it that nobody has seen yet.
    unsafe {
        let start = mmap_anonymous(std::ptr::null_mut(), more, ProtFlags::empty(), flags)?;
        let before = start.align_offset(BLOCK_BYTES);
        if before > 0 {
            munmap(start, before)?;
        }
        let base = start.byte_add(before);
        let end = len.next_multiple_of(PAGE_SIZE);
        munmap(base.byte_add(end), more - before - end)?;
        NonNull::new(base.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and whoever keeps pointers into it keeps the `Memory` alive too.
        let unmapped = unsafe {
            let first = self.base.add(self.first as usize * PAGE_SIZE);
            munmap(first.as_ptr().cast(), (self.end - self.first) as usize * PAGE_SIZE)
        };
        debug_assert!(unmapped.is_ok());
    }
}
