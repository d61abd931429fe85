//! Address spaces: which ranges a program has mapped, and what happens when it touches them.
//!
//! Linux describes an address space by areas (`vm_area_struct`) and fills the page tables when a
//! page is touched. So do we: [`Mm`] holds the areas, the core's [`Space`] holds the pages that have
//! been touched, and [`Mm::handle_fault`] joins them, for the core's page faults and for the kernel's
//! own copies alike.
//!
//! A private page is shared until it is written: `fork` and file mappings map one frame into several
//! spaces without the write bit, and the first write copies it, unless nobody else holds the frame.
//!
//! Quirks: truncating a file leaves its pages in the spaces that had touched them. Addresses are not
//! randomised: the layout is that of a process with ADDR_NO_RANDOMIZE.

mod area;
mod fault;
pub mod mmap;
mod range;
mod rmap;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use callgate_emulator::{Frame, Memory, PageFlags, Space};

use crate::fs::file::File;
use crate::{Errno, Result};

pub use crate::fs::page_cache::AddressSpace;
pub use area::{Access, Backing, Prot, VmFlags, Vma};
pub use fault::FaultError;
pub use range::dup_mmap;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// The first address that user code can't have.
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;
/// The lowest address that mmap gives or takes without MAP_FIXED (vm.mmap_min_addr).
pub const MMAP_MIN_ADDR: u64 = 0x1_0000;

/// Where the parts of an address space go.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Load address of position-independent programs.
    pub pie_base: u64,
    /// mmap works downwards from here.
    pub mmap_base: u64,
    /// The first address above the stack.
    pub stack_top: u64,
    /// Where nothing goes that isn't told to: hints for mmap(2) end here.
    pub end: u64,
}

impl Layout {
    /// Where Linux puts them without randomisation.
    pub const STANDARD: Layout =
        Layout { pie_base: 0x5555_5555_4000, mmap_base: 0x7fff_f7ff_f000, stack_top: 0x7fff_ffff_f000, end: TASK_SIZE };

    /// All below 4 GiB, which some engines run faster, as far as a program fits there.
    pub const LOW: Layout =
        Layout { pie_base: 0x5555_4000, mmap_base: 0xf7ff_f000, stack_top: 0xffff_e000, end: 0xffff_e000 };
}

/// An address space (`mm_struct`).
pub struct Mm {
    /// The pages that are there, as the core sees them.
    pub space: Space,
    pub(crate) memory: Memory,
    zero: Frame,
    vmas: BTreeMap<u64, Vma>,
    /// Where things go.
    pub layout: Layout,
    /// The heap: where it begins and where it ends.
    pub start_brk: u64,
    /// The current break.
    pub brk: u64,
    /// The first byte above the stack's contents at exec.
    pub start_stack: u64,
    /// Where argv's strings lie.
    pub args: (u64, u64),
    /// Where the environment's strings lie.
    pub env: (u64, u64),
    /// The auxiliary vector, as put on the stack.
    pub auxv: Vec<(u64, u64)>,
    /// The program.
    pub exe: Option<Rc<File>>,
    /// How far the stack may grow, in bytes (RLIMIT_STACK).
    pub stack_limit: u64,
}

impl Mm {
    /// An empty address space.
    ///
    /// # Errors
    /// ENOMEM if there is no frame left for the zero page.
    pub fn new(memory: &Memory, layout: Layout) -> Result<Mm> {
        Ok(Mm {
            space: Space::new(memory),
            memory: memory.clone(),
            zero: memory.alloc().ok_or(Errno::ENOMEM)?,
            vmas: BTreeMap::new(),
            layout,
            start_brk: 0,
            brk: 0,
            start_stack: 0,
            args: (0, 0),
            env: (0, 0),
            auxv: Vec::new(),
            exe: None,
            stack_limit: 8 << 20,
        })
    }

    /// All areas, in the order of their addresses.
    pub fn vmas(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.vmas.values()
    }

    /// The area that holds `addr`.
    pub fn find_vma(&self, addr: u64) -> Option<&Vma> {
        self.vmas.range(..=addr).next_back().map(|(_, vma)| vma).filter(|vma| addr < vma.end)
    }

    /// Pages mapped by areas, touched or not (`total_vm`).
    pub fn total_vm(&self) -> u64 {
        self.vmas.values().map(|vma| vma.len() / PAGE_SIZE).sum()
    }

    /// Pages that are there (`rss`).
    pub fn resident(&self) -> u64 {
        self.space.entries(0, TASK_SIZE).count() as u64
    }

    fn alloc(&self) -> Result<Frame> {
        self.memory.alloc().ok_or(Errno::ENOMEM)
    }
}

/// The page flags of a frame that nothing else shares.
fn page_flags(prot: Prot) -> PageFlags {
    let mut flags = PageFlags::USER;
    flags.set(PageFlags::WRITE, prot.contains(Prot::WRITE));
    flags.set(PageFlags::EXEC, prot.contains(Prot::EXEC));
    flags
}

/// A new, shareable handle of an address space.
pub fn share(mm: Mm) -> Rc<RefCell<Mm>> {
    Rc::new(RefCell::new(mm))
}
