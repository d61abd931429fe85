//! Page faults: demand-zero, file pages, copy-on-write, stack growth.

use callgate_emulator::{BLOCK, Frame, PageFlags, Privilege};

use super::{Access, Backing, Mm, PAGE_SIZE, Prot, TASK_SIZE, VmFlags, page_flags};
use crate::Errno;

/// Why a fault can't be mended: what the program is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// No area there: SIGSEGV with SEGV_MAPERR.
    Unmapped,
    /// The area forbids it: SIGSEGV with SEGV_ACCERR.
    Denied,
    /// Beyond the end of the mapped object: SIGBUS.
    Beyond,
    /// No frame left: the task is killed.
    NoMemory,
}

impl From<Errno> for FaultError {
    fn from(error: Errno) -> FaultError {
        if error == Errno::ENOMEM { FaultError::NoMemory } else { FaultError::Beyond }
    }
}

/// Cached pages of a file that one fault maps at most, around the one that was touched (`do_fault_around`).
const FAULT_AROUND: u64 = 16;
/// Pages that must be there before one for those after it to be brought in with it, and the bytes, aligned, that are then
/// brought in at once.
const AHEAD: [(u64, u64); 2] = [(64, 256 * PAGE_SIZE), (4, 16 * PAGE_SIZE)];
/// Bytes of a block.
const BLOCK_BYTES: u64 = BLOCK as u64 * PAGE_SIZE;
/// Pages of a block that must be there for all of it to be brought in.
const MUCH: u32 = 16;
/// Unmapped bytes that a growing stack leaves to the area below it (`stack_guard_gap`).
const STACK_GUARD_GAP: u64 = 256 * PAGE_SIZE;

impl Mm {
    /// Makes the page at `address` there for `access`, as far as the areas allow it.
    ///
    /// # Errors
    /// What to tell the program where they don't.
    pub fn handle_fault(&mut self, address: u64, access: Access) -> Result<(), FaultError> {
        if address >= TASK_SIZE {
            return Err(FaultError::Unmapped);
        }
        let page = address & !(PAGE_SIZE - 1);
        if self.find_vma(page).is_none() {
            self.expand_stack(page)?;
        }
        let vma = self.find_vma(page).ok_or(FaultError::Unmapped)?.clone();
        if !vma.allows(access) {
            return Err(FaultError::Denied);
        }
        match self.space.lookup(page) {
            None => self.fill(&vma, page, access),
            Some((frame, flags)) => {
                let full = page_flags(vma.prot);
                if access != Access::WRITE || vma.is_shared() {
                    // It was there already: its flags lag behind the area's.
                    let write = flags & PageFlags::WRITE;
                    let keep = if vma.is_shared() { full } else { (full - PageFlags::WRITE) | write };
                    self.space.protect(page, keep);
                } else if frame.refs() == 2 {
                    // Held by the page table and by us: nobody shares it any more.
                    self.space.protect(page, full);
                } else if !self.fill_block(&vma, page, full) {
                    let copy = self.alloc()?;
                    copy.copy_from(&frame);
                    self.space.map(page, copy, full);
                    if matches!(vma.backing, Backing::Anonymous) {
                        self.fill_ahead(&vma, page, full);
                    }
                }
                Ok(())
            }
        }
    }

    /// Writes to the address space as its program could.
    ///
    /// # Errors
    /// ENOMEM without memory, EFAULT where the program may not write.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while let Err(partial) = self.space.write(addr + done as u64, &bytes[done..], Privilege::User) {
            done += partial.done;
            self.handle_fault(partial.fault.address, Access::WRITE).map_err(|error| match error {
                FaultError::NoMemory => Errno::ENOMEM,
                _ => Errno::EFAULT,
            })?;
        }
        Ok(())
    }

    /// Brings in a page that has not been touched yet.
    fn fill(&mut self, vma: &super::Vma, page: u64, access: Access) -> Result<(), FaultError> {
        let full = page_flags(vma.prot);
        let shared_flags = full - PageFlags::WRITE;
        match &vma.backing {
            Backing::Anonymous if access == Access::WRITE && self.fill_block(vma, page, full) => {}
            Backing::Anonymous if access == Access::WRITE => {
                let frame = self.alloc()?;
                self.space.map(page, frame, full);
                self.fill_ahead(vma, page, full);
            }
            Backing::Anonymous => self.space.map(page, self.zero.clone(), shared_flags),
            Backing::Object { mapping, .. } => {
                let index = vma.page_index(page);
                let pages = mapping.size().div_ceil(PAGE_SIZE);
                if index >= pages {
                    return Err(FaultError::Beyond);
                }
                let frame = mapping.page(index)?;
                if vma.is_shared() {
                    self.space.map(page, frame, full);
                } else if access == Access::WRITE {
                    let copy = self.alloc()?;
                    copy.copy_from(&frame);
                    self.space.map(page, copy, full);
                } else {
                    self.space.map(page, frame, shared_flags);
                    // Programs touch their text page after page: save them the faults, where nothing need be read.
                    let window = page & !(FAULT_AROUND * PAGE_SIZE - 1);
                    let start = window.max(vma.start);
                    let end = (window + FAULT_AROUND * PAGE_SIZE).min(vma.end);
                    for near in (start..end).step_by(PAGE_SIZE as usize) {
                        let index = vma.page_index(near);
                        if index < pages
                            && self.space.lookup(near).is_none()
                            && let Some(frame) = mapping.cached_page(index)
                        {
                            self.space.map(near, frame, shared_flags);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Brings in the whole block of a page that is about to be written, if much of it or all of the block before it is
    /// there, as transparent huge pages do on Linux. False if it wasn't.
    fn fill_block(&mut self, vma: &super::Vma, page: u64, flags: PageFlags) -> bool {
        let start = page & !(BLOCK_BYTES - 1);
        let inside = start >= vma.start && vma.end - start >= BLOCK_BYTES;
        if !inside || !matches!(vma.backing, Backing::Anonymous) || vma.prot.contains(Prot::EXEC) {
            return false;
        }
        let follows = || start > vma.start && self.space.mapped_in_block(start - BLOCK_BYTES) == BLOCK;
        if self.space.mapped_in_block(start) < MUCH && !follows() {
            return false;
        }
        // What is there is copied, which only its owner may do: held by the page table and by us.
        let is_ours = |(_, frame, old): &(u64, Frame, PageFlags)| {
            frame.number() == self.zero.number() || *old == flags && frame.refs() == 2
        };
        let there: Vec<_> = self.space.entries(start, BLOCK_BYTES).collect();
        let Some(block) = there.iter().all(is_ours).then(|| self.memory.alloc_block()).flatten() else {
            return false;
        };
        for (address, frame, _) in &there {
            if frame.number() != self.zero.number() {
                block[((address - start) / PAGE_SIZE) as usize].copy_from(frame);
            }
        }
        for (address, frame) in (start..).step_by(PAGE_SIZE as usize).zip(block) {
            self.space.map(address, frame, flags);
        }
        true
    }

    /// Brings in the pages after one that was written, if those before it are there: who fills memory page after page is
    /// saved the faults, as large folios save them on Linux.
    fn fill_ahead(&mut self, vma: &super::Vma, page: u64, flags: PageFlags) {
        let is_there = |n: u64| {
            let before = page.wrapping_sub(n * PAGE_SIZE);
            before >= vma.start && before < page && self.space.page(before).is_some_and(|(_, old)| old == flags)
        };
        let Some((_, ahead)) = AHEAD.into_iter().find(|(behind, _)| (1..=*behind).all(is_there)) else { return };
        let end = ((page & !(ahead - 1)) + ahead).min(vma.end);
        for next in (page + PAGE_SIZE..end).step_by(PAGE_SIZE as usize) {
            if self.space.page(next).is_some() {
                return;
            }
            let Ok(frame) = self.alloc() else { return };
            self.space.map(next, frame, flags);
        }
    }

    /// Lets the stack above `page` grow down to it.
    fn expand_stack(&mut self, page: u64) -> Result<(), FaultError> {
        let above = self.vmas.range(page..).next().map(|(_, vma)| vma.clone());
        let Some(stack) = above.filter(|vma| vma.flags.contains(VmFlags::GROWSDOWN)) else {
            return Err(FaultError::Unmapped);
        };
        let below = self.vmas.range(..page).next_back().map(|(_, vma)| vma);
        let guarded = below.is_some_and(|vma| {
            !vma.flags.contains(VmFlags::GROWSDOWN) && vma.prot != Prot::NONE && vma.end + STACK_GUARD_GAP > page
        });
        if stack.end - page > self.stack_limit || guarded {
            return Err(FaultError::Unmapped);
        }
        self.vmas.remove(&stack.start);
        let mut grown = stack;
        grown.start = page;
        self.vmas.insert(page, grown);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use callgate_emulator::Memory;

    use super::*;
    use crate::mm::{Layout, Vma};

    const START: u64 = 16 * BLOCK_BYTES;

    /// Two blocks of memory, and as many pages of the first written, each third one.
    fn written(memory: &Memory, pages: u64) -> Mm {
        let mut mm = Mm::new(memory, Layout::LOW).unwrap();
        let (prot, backing) = (Prot::READ | Prot::WRITE, Backing::Anonymous);
        mm.insert(Vma { start: START, end: START + 2 * BLOCK_BYTES, prot, flags: VmFlags::empty(), backing });
        (0..pages).for_each(|n| mm.write(START + 3 * n * PAGE_SIZE, &[n as u8]).unwrap());
        mm
    }

    /// None on a host without large pages.
    fn memory() -> Option<Memory> {
        let memory = Memory::new(64 << 20).unwrap();
        memory.alloc_block().map(|_| memory)
    }

    #[test]
    fn much_of_a_block_brings_all_of_it_and_then_the_next() {
        let Some(memory) = memory() else { return };
        let much = u64::from(MUCH);
        assert_eq!(written(&memory, much).resident(), much);
        let mut mm = written(&memory, much + 1);
        assert_eq!(mm.resident(), u64::from(BLOCK));
        for n in 0..=much {
            let mut bytes = [9; 2];
            mm.space.read(START + 3 * n * PAGE_SIZE, &mut bytes, callgate_emulator::Privilege::User).unwrap();
            assert_eq!(bytes, [n as u8, 0]);
        }
        mm.write(START + BLOCK_BYTES + 5 * PAGE_SIZE, &[1]).unwrap();
        assert_eq!(mm.resident(), 2 * u64::from(BLOCK));
    }

    #[test]
    fn no_block_takes_the_place_of_a_frame_that_others_hold() {
        let Some(memory) = memory() else { return };
        let mut mm = written(&memory, u64::from(MUCH));
        let held = mm.space.lookup(START).unwrap().0;
        mm.write(START + PAGE_SIZE, &[1]).unwrap();
        assert_eq!(mm.space.lookup(START).unwrap().0.number(), held.number());
        assert!(mm.resident() < u64::from(BLOCK));
    }

    #[test]
    fn scarce_memory_is_not_taken_in_blocks() {
        let memory = Memory::new(4 << 20).unwrap();
        assert!(written(&memory, 2 * u64::from(MUCH)).resident() <= 2 * u64::from(MUCH));
    }
}
