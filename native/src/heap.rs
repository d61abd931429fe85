//! Memory for a program that mostly runs for some milliseconds, as the command does.
//!
//! A page of fresh memory costs more than a microsecond on Linux, whether a fault brings it or advice, and 512 of them as
//! one huge page a tenth of that. So what a short run needs comes from one huge page, block after block, and is not given
//! back; what comes later is the system's. The last quarter of the huge page is the guest's first frames, and the addresses
//! behind it are those of the others.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use callgate_emulator::{Offer, may_be_private, offer_memory};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;
/// Bytes of it that are for blocks. The others are for frames.
const FOR_BLOCKS: usize = HUGE - (512 << 10);
/// Larger blocks are the system's.
const LARGEST: usize = 256 << 10;

/// What the system aligns blocks to at least, and who looks at bytes as something else may count on.
const ALIGN: usize = 16;

/// Where the huge page's blocks end, or 0. The thread that provided it takes blocks and gives them back; all others' are the system's.
static END: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// From where on the huge page is free, in its thread.
    static FREE: Cell<usize> = const { Cell::new(usize::MAX) };
    /// From where on it always was: there it has zeros.
    static FRESH: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, and before it the huge page, once it was [provided](Heap::provide).
pub struct Heap;

impl Heap {
    /// Provides the huge page, where the host has them for who asks, and as many bytes of addresses for frames. At a
    /// program's start: more than once is for nothing.
    pub fn provide(frames: usize) {
        if END.load(Ordering::Relaxed) != 0 {
            return;
        }
        let map = |len| {
            let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
            // SAFETY: a new mapping where the host likes touches no memory that Rust knows of.
            let mapped = unsafe { mmap_anonymous(ptr::null_mut(), len + HUGE, access, flags) }.ok()?;
            // There is room for a huge page's boundary, and that much behind it.
            NonNull::new((mapped as *mut u8).map_addr(|start| start.next_multiple_of(HUGE)))
        };
        let len = HUGE.max(FOR_BLOCKS + frames);
        let with_frames = if may_be_private(len) { map(len).map(|base| (base, len)) } else { None };
        let Some((base, len)) = with_frames.or_else(|| map(HUGE).map(|base| (base, HUGE))) else { return };
        // SAFETY: advice leaves contents alone.
        let is_huge = unsafe { madvise(base.as_ptr().cast(), HUGE, Advice::LinuxHugepage) }.is_ok();
        // Another thread may have been as fast; then this one stays unused.
        let (start, end) = (base.as_ptr() as usize, base.as_ptr() as usize + FOR_BLOCKS);
        if is_huge && END.compare_exchange(0, end, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            FREE.set(start);
            // SAFETY: the mapping is as it must be, and what is behind the blocks is nobody's.
            unsafe { offer_memory(Offer { base, len, taken: FOR_BLOCKS, large: HUGE }) };
        }
    }
}

/// Takes a block from the huge page.
#[inline]
fn take(layout: Layout) -> Option<*mut u8> {
    if layout.size() > LARGEST {
        return None;
    }
    // Alignments are powers of two: no need to divide.
    let mask = layout.align().max(ALIGN) - 1;
    let place = FREE.get().checked_add(mask)? & !mask;
    let end = place.checked_add(layout.size()).filter(|end| *end <= END.load(Ordering::Relaxed))?;
    FREE.set(end);
    Some(place as *mut u8)
}

/// Lets the end of the last block that was taken be another: it may be given back so. Not if others were taken since.
#[inline]
fn put_back(end: usize, new: usize) -> bool {
    let is_last = FREE.get() == end;
    if is_last {
        FRESH.set(FRESH.get().max(end));
        FREE.set(new);
    }
    is_last
}

/// Whether a block is in the huge page.
#[inline]
fn is_taken(block: *mut u8) -> bool {
    let end = END.load(Ordering::Relaxed);
    (end.wrapping_sub(FOR_BLOCKS)..end).contains(&(block as usize))
}

// SAFETY: each block of the huge page is taken once, and again only after the last one that was taken was given back.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match take(layout) {
            Some(block) => {
                let used = FRESH.get().saturating_sub(block as usize).min(layout.size());
                // SAFETY: the block is as large; what was given back before may have left something there.
                unsafe { block.write_bytes(0, used) };
                block
            }
            // SAFETY: as the caller promises.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_taken(block) {
            // SAFETY: as the caller promises, and it was the system that gave it.
            return unsafe { System.dealloc(block, layout) };
        }
        // The last one is free again.
        put_back(block as usize + layout.size(), block as usize);
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_taken(block) {
            // SAFETY: as the caller promises, and it was the system that gave it.
            return unsafe { System.realloc(block, layout, size) };
        }
        let (start, end) = (block as usize, block as usize + layout.size());
        if start + size <= END.load(Ordering::Relaxed) && put_back(end, start + size) {
            return block;
        }
        // SAFETY: the caller promises that the size is one that there can be.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks have as many bytes, and they are not the same.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn blocks_keep_what_was_written() {
        Heap::provide(0);
        let mut blocks = Vec::new();
        // Four times what the huge page has: the system takes over.
        for n in 1..4000usize {
            let layout = layout(1 + n * 37 % 4000, 1 << (n % 9));
            // SAFETY: the layout isn't empty, and as many bytes are written as the block has.
            let block = unsafe {
                let block = Heap.alloc(layout);
                block.write_bytes(n as u8, layout.size());
                block
            };
            assert_eq!(block as usize % layout.align().max(ALIGN), 0);
            blocks.push((n as u8, block, layout));
        }
        assert!(blocks.iter().any(|(_, block, _)| is_taken(*block)) || END.load(Ordering::Relaxed) == 0);
        assert!(blocks.iter().any(|(_, block, _)| !is_taken(*block)));
        for (n, block, layout) in &mut blocks {
            // SAFETY: the block is one of ours, and has so many bytes.
            unsafe {
                let grown = layout.size() * 2;
                *block = Heap.realloc(*block, *layout, grown);
                assert!((0..layout.size()).all(|at| block.add(at).read() == *n));
                *layout = Layout::from_size_align(grown, layout.align()).expect("a layout");
            }
        }
        for (_, block, layout) in blocks {
            // SAFETY: it is given back once.
            unsafe { Heap.dealloc(block, layout) };
        }
    }
}
