//! From an object to the address spaces that map it (`mm/rmap.c`).
//!
//! Linux keeps a tree of areas in each `address_space`. Truncation of a mapped file is rare enough
//! that we ask every address space instead.

use std::rc::Rc;

use super::{Backing, PAGE_SIZE};
use crate::Kernel;
use crate::fs::page_cache::AddressSpace;

impl Kernel {
    /// Drops the pages of `object` from page `first` on out of every address space, private copies
    /// included: whoever touches them next finds the object as it is then (`unmap_mapping_range`).
    pub fn unmap_mapping_range<T: AddressSpace>(&self, object: &Rc<T>, first: u64) {
        // One reference is the inode's; areas and open files hold the others.
        if Rc::strong_count(object) == 1 {
            return;
        }
        for task in self.tasks() {
            let Some(mm) = task.mm.borrow().upgrade() else { continue };
            let mut mm = mm.borrow_mut();
            let ranges: Vec<(u64, u64)> = mm
                .vmas()
                .filter_map(|vma| match &vma.backing {
                    Backing::Object { mapping, offset, .. }
                        if Rc::as_ptr(mapping).cast::<()>() == Rc::as_ptr(object).cast::<()>() =>
                    {
                        let start = vma.start + (first * PAGE_SIZE).saturating_sub(*offset);
                        (start < vma.end).then(|| (start, vma.end - start))
                    }
                    _ => None,
                })
                .collect();
            for (start, len) in ranges {
                mm.zap(start, len);
            }
        }
    }
}
