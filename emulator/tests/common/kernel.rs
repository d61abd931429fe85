//! A kernel inside the guest: its descriptors, gates, task state and stack.

use callgate_emulator::{Delivery, DescriptorTable, PageFlags, Segment, seg};
use iced_x86::code_asm::CodeAssembler;

use super::{Machine, assemble};

pub(crate) const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// Tables: descriptors, gates, task state.
pub(crate) const GDT: u64 = KERNEL + 0x1000;
pub(crate) const IDT: u64 = KERNEL + 0x2000;
pub(crate) const TSS: u64 = KERNEL + 0x3000;
pub(crate) const KERNEL_STACK: u64 = KERNEL + 0x5000;
pub(crate) const KERNEL_CS: u16 = 0x10;
pub(crate) const USER_DS: u16 = 0x2b;
pub(crate) const USER_CS: u16 = 0x33;

/// A machine with a kernel whose text is given, entered at its start by `syscall` and by all vectors up to 63.
pub(crate) fn machine(
    user: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>,
    kernel: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>,
) -> Machine {
    let mut m = Machine::assemble(user);
    m.map(KERNEL, 1, PageFlags::EXEC);
    m.map(GDT, 1, PageFlags::empty());
    m.map(IDT, 1, PageFlags::empty());
    m.map(TSS, 1, PageFlags::empty());
    m.map(KERNEL_STACK - 0x1000, 1, PageFlags::WRITE);
    m.poke(KERNEL, &assemble(KERNEL, kernel));
    let code = |dpl: u64| 0x00af_9b00_0000_ffff | dpl << 45;
    let data = |dpl: u64| 0x00cf_9300_0000_ffff | dpl << 45;
    let task_low = 0x0000_8900_0000_0067 | (TSS & 0xff_ffff) << 16 | (TSS >> 24 & 0xff) << 56;
    for (i, descriptor) in [0, 0, code(0), data(0), 0, data(3), code(3), 0, task_low, TSS >> 32].into_iter().enumerate()
    {
        m.poke(GDT + 8 * i as u64, &u64::to_le_bytes(descriptor));
    }
    for n in 0..64u64 {
        // Interrupt gates; only 3 and 32 may be called from ring 3.
        let dpl = if n == 3 || n == 32 { 3 } else { 0 };
        let low =
            KERNEL & 0xffff | u64::from(KERNEL_CS) << 16 | (0x8e | dpl << 5) << 40 | (KERNEL >> 16 & 0xffff) << 48;
        m.poke(IDT + 16 * n, &low.to_le_bytes());
        m.poke(IDT + 16 * n + 8, &(KERNEL >> 32).to_le_bytes());
    }
    m.poke(TSS + 4, &KERNEL_STACK.to_le_bytes());
    m.cpu.delivery = Delivery::Idt;
    m.cpu.gdtr = DescriptorTable { base: GDT, limit: 0x4f };
    m.cpu.idtr = DescriptorTable { base: IDT, limit: 64 * 16 - 1 };
    m.cpu.tr_base = TSS;
    m.cpu.seg[seg::CS] = Segment { selector: USER_CS, base: 0 };
    m.cpu.seg[seg::SS] = Segment { selector: USER_DS, base: 0 };
    m.cpu.msr.lstar = KERNEL;
    m.cpu.msr.star = 0x23 << 48 | u64::from(KERNEL_CS) << 32;
    m.cpu.msr.fmask = 0x25_7fd5;
    m.cpu.msr.kernel_gs_base = 0x1234_5000;
    m
}
