//! Guest memory: frames, spaces of page tables over them, and the translation cache that a core reads through.
//!
//! Hardware walks four levels of page tables in physical memory and caches what it finds in a TLB, which the kernel must
//! flush. Here the tables are ours and the only way to change them is through [`Space`], which flushes what it must.
//! Contents of frames are touched by raw copies only and no reference ever points into them: guests write them at will.
//!
//! This module and its children are the only place with `unsafe` in the portable part of the crate.
//!
//! Quirks: writes by ring 0 always honour the write bit (CR0.WP is taken as set); there are no accessed and dirty bits.

use std::alloc::{Layout, handle_alloc_error};

use zerocopy::FromZeros;

mod frame;
mod free;
mod mapping;
mod mmu;
mod space;
mod tlb;

pub use frame::{Frame, Memory};
pub use mapping::{Offer, may_be_private, offer_memory};
pub(crate) use mmu::{AccessError, Mmu};
pub use space::{Entries, PageFault, PageFlags, Partial, Privilege, Space, page_fault};
pub(crate) use tlb::Word;

/// Bytes in a page, and in a frame.
pub const PAGE_SIZE: usize = 4096;

/// Frames in a block: what a large page of the host's holds, and what one last-level page table maps.
pub const BLOCK: u32 = 512;

/// Bytes in a block.
pub(crate) const BLOCK_BYTES: usize = BLOCK as usize * PAGE_SIZE;

/// The bits of an address that name the byte within its page.
pub(crate) const PAGE_MASK: u64 = PAGE_SIZE as u64 - 1;

/// A large value of zeros, which the host's fresh memory has already: nothing is written.
pub(crate) fn zeroed<T: FromZeros>() -> Box<T> {
    T::new_box_zeroed().unwrap_or_else(|_| handle_alloc_error(Layout::new::<T>()))
}

/// Whether bits 63 to 47 of an address are all the same, as four levels of tables demand.
#[inline]
pub fn is_canonical(address: u64) -> bool {
    ((address << 16) as i64 >> 16) as u64 == address
}
