//! Ranges: mapping, unmapping, protecting and moving areas; copying an address space for fork.

use callgate_emulator::{Frame, PageFlags};

use super::{Layout, MMAP_MIN_ADDR, Mm, PAGE_SIZE, Prot, TASK_SIZE, VmFlags, Vma, page_flags};
use crate::{Errno, Result};

/// An address space with areas beyond this is wide.
const WIDE: u64 = 1 << 32;

impl Mm {
    /// Maps an area, in place of whatever was there.
    pub fn insert(&mut self, vma: Vma) {
        self.unmap(vma.start, vma.len());
        let start = vma.start;
        self.vmas.insert(start, vma);
        self.merge_around(start);
        self.update_width();
    }

    /// Tells the engine whether all areas lie below 4 GiB.
    fn update_width(&mut self) {
        let end = self.vmas.last_key_value().map_or(0, |(_, vma)| vma.end);
        self.space.set_wide(end > WIDE);
    }

    /// Unmaps `len` bytes from `start` on; parts of areas stay.
    pub fn unmap(&mut self, start: u64, len: u64) {
        let end = start + len;
        for vma in self.carve(start, end) {
            self.vmas.remove(&vma.start);
        }
        self.space.unmap_range(start, len);
        self.update_width();
    }

    /// Makes areas begin at `start` and at `end` where they straddle them, and returns those between.
    pub(super) fn carve(&mut self, start: u64, end: u64) -> Vec<Vma> {
        for at in [start, end] {
            let straddling = self.find_vma(at).filter(|vma| vma.start < at).cloned();
            if let Some(vma) = straddling {
                self.vmas.insert(vma.start, vma.slice(vma.start, at));
                self.vmas.insert(at, vma.slice(at, vma.end));
            }
        }
        self.vmas.range(start..end).map(|(_, vma)| vma.clone()).collect()
    }

    /// Joins the area at `start` with its neighbours where they are alike.
    pub(super) fn merge_around(&mut self, start: u64) {
        let Some(mut vma) = self.vmas.get(&start).cloned() else { return };
        let before = self.vmas.range(..start).next_back().map(|(_, vma)| vma.clone());
        if let Some(before) = before.filter(|before| before.can_merge(&vma)) {
            self.vmas.remove(&vma.start);
            vma = Vma { end: vma.end, ..before };
        }
        let after = self.vmas.get(&vma.end).cloned();
        if let Some(after) = after.filter(|after| vma.can_merge(after)) {
            self.vmas.remove(&after.start);
            vma.end = after.end;
        }
        self.vmas.insert(vma.start, vma);
    }

    /// Whether no area touches the range.
    pub fn is_free(&self, start: u64, len: u64) -> bool {
        let Some(end) = start.checked_add(len) else { return false };
        end <= TASK_SIZE && self.vmas.range(..end).next_back().is_none_or(|(_, vma)| vma.end <= start)
    }

    /// The highest free range of `len` bytes below the mmap base (`get_unmapped_area`).
    ///
    /// # Errors
    /// ENOMEM where there is none.
    pub fn find_free(&self, len: u64) -> Result<u64> {
        let low = self.find_free_below(self.layout.mmap_base, len);
        // Whoever needs more than there is below 4 GiB gets it above, from the engine that runs all addresses.
        low.or_else(|_| self.find_free_below(Layout::STANDARD.mmap_base, len))
    }

    /// The highest free range of `len` bytes below `limit`.
    pub(super) fn find_free_below(&self, limit: u64, len: u64) -> Result<u64> {
        let mut end = limit;
        for vma in self.vmas.range(..limit).rev().map(|(_, vma)| vma) {
            if vma.end < end && end - vma.end >= len {
                break;
            }
            end = end.min(vma.start);
        }
        end.checked_sub(len).filter(|&start| start >= MMAP_MIN_ADDR).ok_or(Errno::ENOMEM)
    }

    /// Sets the protection of `len` bytes from `start` on.
    ///
    /// # Errors
    /// ENOMEM where a part is not mapped: what lies before that part is changed, as on Linux.
    pub fn protect(&mut self, start: u64, len: u64, prot: Prot) -> Result<()> {
        let end = start + len;
        let mut at = start;
        for mut vma in self.carve(start, end) {
            if vma.start != at {
                return Err(Errno::ENOMEM);
            }
            at = vma.end;
            vma.prot = prot;
            self.repaint(&vma);
            let key = vma.start;
            self.vmas.insert(key, vma);
            self.merge_around(key);
        }
        if at < end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Puts an area that [`Mm::carve`] gave back with other flags; its pages stay.
    pub(super) fn insert_flags(&mut self, vma: &Vma) {
        self.vmas.insert(vma.start, vma.clone());
    }

    /// Gives the pages of `vma` that are there the flags of its protection.
    fn repaint(&mut self, vma: &Vma) {
        let full = page_flags(vma.prot);
        let pages: Vec<(u64, u32)> =
            self.space.entries(vma.start, vma.len()).map(|(addr, frame, _)| (addr, frame.refs())).collect();
        for (addr, refs) in pages {
            if vma.prot.is_empty() {
                // Nothing may touch it; the frame stays for when it may again.
                self.space.protect(addr, PageFlags::empty());
            } else if vma.is_shared() || refs == 1 {
                self.space.protect(addr, full);
            } else {
                self.space.protect(addr, full - PageFlags::WRITE);
            }
        }
    }

    /// Drops the pages of a range: they come back from the object, or as zeroes (MADV_DONTNEED).
    pub fn zap(&mut self, start: u64, len: u64) {
        self.space.unmap_range(start, len);
    }

    /// Moves an area's pages from `old` to `new`, where nothing is mapped.
    pub(super) fn move_pages(&mut self, old: u64, new: u64, len: u64) {
        let pages: Vec<(u64, PageFlags)> = self.space.entries(old, len).map(|(addr, _, flags)| (addr, flags)).collect();
        for (addr, flags) in pages {
            if let Some(frame) = self.space.unmap(addr) {
                self.space.map(new + (addr - old), frame, flags);
            }
        }
    }

    /// Sets the break to `brk` and returns the break that holds then: the old one where it can't
    /// be (brk(2), the system call).
    pub fn set_brk(&mut self, brk: u64) -> u64 {
        let page_align = |addr: u64| addr.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
        if brk < self.start_brk || brk >= TASK_SIZE {
            return self.brk;
        }
        let (old, new) = (page_align(self.brk), page_align(brk));
        if new < old {
            self.unmap(new, old - new);
        } else if new > old {
            // A page stays free below the next area, so that overruns are caught.
            if !self.is_free(old, new - old + PAGE_SIZE) {
                return self.brk;
            }
            self.insert(Vma {
                start: old,
                end: new,
                prot: Prot::READ | Prot::WRITE,
                flags: VmFlags::HEAP,
                backing: super::Backing::Anonymous,
            });
        }
        self.brk = brk;
        brk
    }
}

/// A copy of an address space: private pages are shared until one side writes (fork(2)).
///
/// # Errors
/// ENOMEM without memory.
pub fn dup_mmap(parent: &mut Mm) -> Result<Mm> {
    let mut child = Mm::new(&parent.memory, parent.layout)?;
    child.zero = parent.zero.clone();
    (child.start_brk, child.brk, child.start_stack) = (parent.start_brk, parent.brk, parent.start_stack);
    (child.args, child.env, child.stack_limit) = (parent.args, parent.env, parent.stack_limit);
    child.auxv.clone_from(&parent.auxv);
    child.exe.clone_from(&parent.exe);
    for vma in parent.vmas.values().filter(|vma| !vma.flags.contains(VmFlags::DONTCOPY)) {
        let pages: Vec<(u64, Frame, PageFlags)> = parent
            .space
            .entries(vma.start, vma.len())
            .map(|(addr, frame, flags)| (addr, frame.clone(), flags))
            .collect();
        for (addr, frame, flags) in pages {
            if vma.is_shared() {
                child.space.map(addr, frame, flags);
            } else {
                let flags_shared = flags - PageFlags::WRITE;
                if flags != flags_shared {
                    parent.space.protect(addr, flags_shared);
                }
                child.space.map(addr, frame, flags_shared);
            }
        }
        child.vmas.insert(vma.start, vma.clone());
    }
    child.update_width();
    Ok(child)
}
