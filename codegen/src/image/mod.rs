//! The kernel image: machine code, tables and symbols of a small x86-64 kernel, made for a table of system calls.
//!
//! Linux links `vmlinux` from C and assembly: the entry code in `.text` at `0xffffffff81000000`, `sys_call_table` among
//! the read-only data, the IDT, GDT and TSS among the writable. We assemble the same things under the same names. The
//! code does what Linux's entry code does up to the handler; there a stub ends in a hypercall (`vmcall`, with the index
//! of one of [`Image::hypercalls`] in `eax` and the `pt_regs` in `rdi`), which leads to the handler's Rust code.
//!
//! Quirks:
//! - There is one address space: no page-table switch at the entry, and no trampoline stack.
//! - Nothing is done against speculation: no retpolines, no `array_index_nospec`, no `verw`.
//! - What Linux's C does around a system call (audit, ptrace, seccomp, signals) is the one hypercall
//!   `syscall_exit_to_user_mode`.

mod asm;
mod data;
mod emit;
mod entry;

pub use data::{GDT_ENTRIES, TSS_SIZE};
pub use entry::PtReg;

use crate::dispatch::Dispatch;

/// Where `.text` begins.
pub const TEXT: u64 = 0xffff_ffff_8100_0000;
/// Pages, and the alignment of segments.
pub const PAGE_SIZE: u64 = 4096;

/// Segment selectors, at Linux's places in the GDT.
pub mod selector {
    /// Ring 0 code.
    pub const KERNEL_CS: u16 = 0x10;
    /// Ring 0 data and stack.
    pub const KERNEL_DS: u16 = 0x18;
    /// Ring 3 code, 32-bit.
    pub const USER32_CS: u16 = 0x23;
    /// Ring 3 data and stack.
    pub const USER_DS: u16 = 0x2b;
    /// Ring 3 code, 64-bit.
    pub const USER_CS: u16 = 0x33;
    /// What `lsl` tells of it is the number of the processor.
    pub const PROCESSOR: u16 = 0x7b;
    /// The task-state segment.
    pub const TSS: u16 = 0x40;
}

/// Offsets of the per-cpu area that gs points at in the kernel.
pub mod pcpu {
    /// The top of the current task's kernel stack.
    pub const TOP_OF_STACK: u32 = 0;
    /// Where the entry code keeps the user's stack pointer until it has a stack to push it on.
    pub const SCRATCH: u32 = 8;
    /// The size of the area.
    pub const SIZE: u64 = 64;
}

/// A kernel image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What is loaded where, ascending.
    pub segments: Vec<Segment>,
    /// Every function and object, ascending by address.
    pub symbols: Vec<Symbol>,
    /// What the stubs ask for; the index is the number in `eax`.
    pub hypercalls: Vec<Hypercall>,
}

/// A part of the image that is mapped with one set of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name: `.text`.
    pub name: &'static str,
    /// Where it is mapped; page-aligned.
    pub addr: u64,
    /// Its first bytes.
    pub data: Vec<u8>,
    /// Its size in memory, in whole pages; zero beyond the data.
    pub mem_size: u64,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it can be executed.
    pub executable: bool,
}

/// A function or an object of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Where it begins.
    pub addr: u64,
    /// How many bytes it has.
    pub size: u64,
    /// `nm`'s letter: `T` code, `R` read-only data, `D` data.
    pub kind: char,
    /// Its name.
    pub name: String,
}

/// What a stub asks of the kernel that the core belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hypercall {
    /// Run the handler with this index in `ENTRY_POINTS`, with a 64-bit call's arguments.
    Syscall(usize),
    /// The same with the arguments of a 32-bit call.
    Ia32Syscall(usize),
    /// Do what an exception with this vector means.
    Exception(u8),
    /// Do what is to be done before a system call returns to user mode.
    ExitToUserMode,
}

impl Image {
    /// Assembles the image of a kernel with this dispatch and this text as `linux_banner`.
    ///
    /// Fails only if an instruction can't be encoded, which no table can cause.
    pub fn new(dispatch: &Dispatch, banner: &str) -> Result<Self, String> {
        let mut hypercalls = Vec::new();
        let functions = entry::functions(dispatch, &mut hypercalls);
        let layout = data::Layout::new(dispatch, banner);
        asm::link(functions, &layout).map(|(segments, symbols)| Self { segments, symbols, hypercalls })
    }

    /// The symbol of that name.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.iter().find(|symbol| symbol.name == name)
    }

    /// The symbol that an address belongs to, and how far into it the address is.
    pub fn resolve(&self, addr: u64) -> Option<(&Symbol, u64)> {
        let after = self.symbols.partition_point(|symbol| symbol.addr <= addr);
        let symbol = self.symbols[..after].last()?;
        let offset = addr - symbol.addr;
        (offset < symbol.size).then_some((symbol, offset))
    }

    /// The `len` bytes at an address, if the image has them.
    pub fn bytes(&self, addr: u64, len: u64) -> Option<&[u8]> {
        let segment = self.segments.iter().rfind(|segment| segment.addr <= addr)?;
        let start = usize::try_from(addr - segment.addr).ok()?;
        segment.data.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }
}

impl Segment {
    /// The file that [`crate::Build`] writes the data to.
    pub fn file_name(&self) -> String {
        format!("kernel_image{}.bin", self.name)
    }
}
