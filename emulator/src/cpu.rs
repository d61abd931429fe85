//! The state of one logical processor, as plain data.
//!
//! Always in 64-bit mode: paging is the `Space`'s, the code segment is taken as a long-mode one. Control registers are
//! kept as they were written, but only what is named here acts.

use std::time::Instant;

use crate::CpuModel;
use crate::flags::Flags;
use crate::x87::Fpu;

/// Numbers of the general registers, as instructions encode them.
pub mod reg {
    /// rax
    pub const RAX: usize = 0;
    /// rcx
    pub const RCX: usize = 1;
    /// rdx
    pub const RDX: usize = 2;
    /// rbx
    pub const RBX: usize = 3;
    /// rsp
    pub const RSP: usize = 4;
    /// rbp
    pub const RBP: usize = 5;
    /// rsi
    pub const RSI: usize = 6;
    /// rdi
    pub const RDI: usize = 7;
    /// r8
    pub const R8: usize = 8;
    /// r9
    pub const R9: usize = 9;
    /// r10
    pub const R10: usize = 10;
    /// r11
    pub const R11: usize = 11;
    /// r12
    pub const R12: usize = 12;
    /// r13
    pub const R13: usize = 13;
    /// r14
    pub const R14: usize = 14;
    /// r15
    pub const R15: usize = 15;
}

/// Numbers of the segment registers, as instructions encode them.
pub mod seg {
    /// es
    pub const ES: usize = 0;
    /// cs
    pub const CS: usize = 1;
    /// ss
    pub const SS: usize = 2;
    /// ds
    pub const DS: usize = 3;
    /// fs
    pub const FS: usize = 4;
    /// gs
    pub const GS: usize = 5;
}

/// A segment register: what is visible of it, and the base that 64-bit mode uses for fs and gs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// The base.
    pub base: u64,
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DescriptorTable {
    /// Linear address of the table.
    pub base: u64,
    /// Offset of its last byte.
    pub limit: u16,
}

/// Model-specific registers. Bases of fs and gs are those of the segments.
#[derive(Clone, Debug)]
pub struct Msrs {
    /// IA32_EFER.
    pub efer: u64,
    /// IA32_STAR: selectors of `syscall` and `sysret`.
    pub star: u64,
    /// IA32_LSTAR: where `syscall` goes.
    pub lstar: u64,
    /// IA32_CSTAR: where it would go from compatibility mode.
    pub cstar: u64,
    /// IA32_FMASK: flags that `syscall` clears.
    pub fmask: u64,
    /// IA32_KERNEL_GS_BASE: what `swapgs` swaps in.
    pub kernel_gs_base: u64,
    /// IA32_TSC_AUX: what `rdtscp` and `rdpid` read besides.
    pub tsc_aux: u64,
    /// IA32_SYSENTER_CS, ESP and EIP.
    pub sysenter: [u64; 3],
    /// IA32_PAT.
    pub pat: u64,
}

/// Where events go that a kernel handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// They end the run.
    #[default]
    Exit,
    /// They go the hardware's way, through IA32_LSTAR and the interrupt descriptor table, inside the guest.
    Idt,
}

/// What `rdtsc` reads.
#[derive(Clone, Copy, Debug)]
pub enum Tsc {
    /// Nanoseconds of the host since a moment.
    Host(Instant),
    /// As a function of the instructions retired: `offset + instructions * step`.
    Instructions {
        /// The count at instruction 0.
        offset: u64,
        /// Ticks per instruction.
        step: u64,
    },
}

/// One processor's state. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15.
    pub gpr: [u64; 16],
    /// Address of the next instruction.
    pub rip: u64,
    pub(crate) flags: Flags,
    /// es, cs, ss, ds, fs, gs.
    pub seg: [Segment; 6],
    /// The current privilege level.
    pub cpl: u8,
    /// Whether kernels live inside or outside.
    pub delivery: Delivery,
    /// Instructions retired.
    pub instructions: u64,
    /// Those of them that were executed in ring 3.
    pub user_instructions: u64,
    /// Low 128 bits of the vector registers; before AVX-512, 16 to 31 are there for indexing only.
    pub xmm: [u128; 32],
    /// Bits 255 to 128 of the vector registers.
    pub ymm_high: [u128; 32],
    /// Bits 511 to 256 of the vector registers, the lower half first.
    pub zmm_high: [[u128; 2]; 32],
    /// The opmask registers.
    pub k: [u64; 8],
    /// SSE control and status.
    pub mxcsr: u32,
    /// The x87 unit, with the MMX registers in it.
    pub fpu: Fpu,
    /// CR0.
    pub cr0: u64,
    /// CR2: the last page fault's address.
    pub cr2: u64,
    /// CR3. Not used: the space is given.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// CR8: the task priority.
    pub cr8: u64,
    /// DR0 to DR7.
    pub dr: [u64; 8],
    /// XCR0: state components in use.
    pub xcr0: u64,
    /// Model-specific registers.
    pub msr: Msrs,
    /// Global descriptor table.
    pub gdtr: DescriptorTable,
    /// Interrupt descriptor table.
    pub idtr: DescriptorTable,
    /// Local descriptor table's selector.
    pub ldtr: u16,
    /// Task register's selector.
    pub tr: u16,
    /// Linear address of the task state segment.
    pub tr_base: u64,
    /// Offset of its last byte.
    pub tr_limit: u32,
    /// The time stamp counter's source.
    pub tsc: Tsc,
}

impl Default for Cpu {
    /// Long mode with paging, ring 3, all registers 0, interrupts enabled.
    fn default() -> Self {
        Self {
            gpr: [0; 16],
            rip: 0,
            flags: Flags::from_rflags(crate::rflags::IF),
            seg: [Segment::default(); 6],
            cpl: 3,
            delivery: Delivery::Exit,
            instructions: 0,
            user_instructions: 0,
            xmm: [0; 32],
            ymm_high: [0; 32],
            zmm_high: [[0; 2]; 32],
            k: [0; 8],
            mxcsr: 0x1f80,
            fpu: Fpu::default(),
            // PE, MP, ET, NE, WP, AM, PG.
            cr0: 0x8005_0033,
            cr2: 0,
            cr3: 0,
            // PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE.
            cr4: 0x5_0620,
            cr8: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            xcr0: crate::xstate::USUAL,
            // SCE, LME, LMA, NXE.
            msr: Msrs {
                efer: 0xd01,
                star: 0,
                lstar: 0,
                cstar: 0,
                fmask: 0,
                kernel_gs_base: 0,
                tsc_aux: 0,
                sysenter: [0; 3],
                pat: 0x0007_0406_0007_0406,
            },
            gdtr: DescriptorTable::default(),
            idtr: DescriptorTable::default(),
            ldtr: 0,
            tr: 0,
            tr_base: 0,
            tr_limit: 0x67,
            tsc: Tsc::Host(Instant::now()),
        }
    }
}

impl Cpu {
    /// As by default, with all state of a model in use.
    pub fn of(model: CpuModel) -> Self {
        Self { xcr0: crate::xstate::of(model), ..Self::default() }
    }

    /// RFLAGS.
    pub fn rflags(&self) -> u64 {
        self.flags.rflags()
    }

    /// RFLAGS without the status flags, which take some work.
    #[inline]
    pub fn system_flags(&self) -> u64 {
        self.flags.system
    }

    /// Loads RFLAGS. Bit 1 reads 1 whatever is loaded.
    pub fn set_rflags(&mut self, value: u64) {
        self.flags = Flags::from_rflags(value);
    }

    /// The time stamp counter after `instructions` instructions.
    pub(crate) fn tsc_at(&self, instructions: u64) -> u64 {
        match self.tsc {
            Tsc::Host(since) => since.elapsed().as_nanos() as u64,
            Tsc::Instructions { offset, step } => offset.wrapping_add(instructions.wrapping_mul(step)),
        }
    }
}
