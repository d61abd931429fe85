//! The host memory behind all frames: one memfd, mapped once.
//!
//! A kernel keeps its frames in physical memory. Ours is a sparse memory object as large as the limit, whose pages the
//! host provides when they are first touched. One object means that another engine can map the same frames at other
//! addresses, page by page.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::PAGE_SIZE;

/// The mapping. It neither moves nor shrinks while it lives.
pub(super) struct Mapping {
    base: NonNull<u8>,
    frames: u32,
    object: OwnedFd,
}

impl Mapping {
    /// Reserves `frames` frames; none takes host memory before it is touched.
    pub(super) fn new(frames: u32) -> io::Result<Self> {
        let bytes = u64::from(frames) * PAGE_SIZE as u64;
        let len = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let object = memfd_create("frames", MemfdFlags::CLOEXEC)?;
        ftruncate(&object, bytes)?;
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
        // SAFETY: a new mapping at an address of the host's choice touches no memory that Rust knows of, and the object
        // is nobody else's, so that it can't shrink beneath us.
        let base = unsafe { mmap(std::ptr::null_mut(), len, prot, flags, &object, 0)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, frames, object })
    }

    /// The memory object: frame `n` is its bytes from `n * PAGE_SIZE` on.
    pub(super) fn object(&self) -> BorrowedFd<'_> {
        self.object.as_fd()
    }

    /// Where frame `number` begins: PAGE_SIZE bytes from there are ours as long as the mapping lives.
    ///
    /// # Panics
    /// If there is no such frame; frame numbers come from the allocator alone.
    #[inline]
    pub(super) fn frame(&self, number: u32) -> NonNull<u8> {
        assert!(number < self.frames, "frame number beyond the mapping");
        // SAFETY: the offset lies within the mapping, as just checked.
        unsafe { self.base.add(number as usize * PAGE_SIZE) }
    }

    /// Has the host provide some frames from `number` on at once, which takes half as long as a fault for each. It is a
    /// hint: a host that doesn't know it (Linux before 5.14) provides them when they are touched.
    pub(super) fn provide(&self, number: u32, frames: u32) {
        let frames = frames.min(self.frames.saturating_sub(number));
        if frames > 0 {
            // SAFETY: these frames lie within the mapping, and their bytes stay what they are.
            let _ = unsafe {
                madvise(self.frame(number).as_ptr().cast(), frames as usize * PAGE_SIZE, Advice::LinuxPopulateWrite)
            };
        }
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

    /// Fills a frame with zeros.
    pub(super) fn zero(&self, number: u32) {
        // SAFETY: exactly the frame's bytes, and no Rust reference points into the mapping.
        unsafe { std::ptr::write_bytes(self.frame(number).as_ptr(), 0, PAGE_SIZE) };
    }

    /// Copies a whole frame.
    pub(super) fn copy(&self, from: u32, to: u32) {
        // SAFETY: both are whole frames of the mapping; `copy` allows them to be the same one.
        unsafe { std::ptr::copy(self.frame(from).as_ptr(), self.frame(to).as_ptr(), PAGE_SIZE) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and whoever keeps pointers into it keeps the `Memory` alive too.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.frames as usize * PAGE_SIZE) };
        debug_assert!(unmapped.is_ok());
    }
}
