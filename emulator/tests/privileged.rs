//! What only kernels do: control registers, execution units that are switched off, ports, descriptors.

mod common;

use callgate_emulator::{DescriptorTable, Exception, Exit, PageFlags, reg, rflags, seg, vector};
use common::{CODE, DATA, Machine};
use iced_x86::code_asm::*;

const GP: Exit = Exit::Exception(Exception::with_code(vector::GP, 0));
const UD: Exit = Exit::Exception(Exception::new(vector::UD));
const NM: Exit = Exit::Exception(Exception::new(vector::NM));

const MP: u64 = 1 << 1;
const EM: u64 = 1 << 2;
const TS: u64 = 1 << 3;
const OSFXSR: u64 = 1 << 9;
const OSXMMEXCPT: u64 = 1 << 10;
const OSXSAVE: u64 = 1 << 18;

/// Code in ring 0.
fn kernel(code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> Machine {
    let mut m = Machine::assemble(code);
    m.cpu.cpl = 0;
    m.cpu.gpr[reg::RBX] = DATA;
    m
}

/// How the first of these ends, with CR0 and CR4 having these bits besides the usual ones, or lacking them.
fn one(set: u64, clear: u64, xcr0: u64, code: &[u8]) -> Exit {
    let mut m = Machine::new(code);
    m.cpu.gpr[reg::RBX] = DATA;
    m.cpu.cr0 = m.cpu.cr0 & !MP | set;
    m.cpu.cr4 &= !clear;
    m.cpu.xcr0 = xcr0;
    m.run(1)
}

#[test]
fn units_that_are_off_are_not_available_or_undefined() {
    let fldz = [0xd9, 0xee];
    let fwait = [0x9b];
    let emms = [0x0f, 0x77];
    let xorps = [0x0f, 0x57, 0xc0];
    let stmxcsr = [0x0f, 0xae, 0x1b];
    let fxsave = [0x0f, 0xae, 0x03];
    let xsave = [0x0f, 0xae, 0x23];
    let vpxor = [0xc5, 0xf9, 0xef, 0xc0];
    let andn = [0xc4, 0xe2, 0x78, 0xf2, 0xc0];
    let sfence = [0x0f, 0xae, 0xf8];
    let all: [&[u8]; 10] = [&fldz, &fwait, &emms, &xorps, &stmxcsr, &fxsave, &xsave, &vpxor, &andn, &sfence];
    let each = |set, clear, xcr0| all.map(|code| one(set, clear, xcr0, code));
    let ok = Exit::Budget;
    assert_eq!(each(0, 0, 7), [ok; 10]);
    assert_eq!(each(TS, 0, 7), [NM, ok, NM, NM, NM, NM, NM, NM, ok, ok]);
    assert_eq!(each(TS | MP, 0, 7), [NM, NM, NM, NM, NM, NM, NM, NM, ok, ok]);
    assert_eq!(each(EM, 0, 7), [NM, ok, UD, UD, UD, NM, ok, ok, ok, ok]);
    assert_eq!(each(0, OSFXSR, 7), [ok, ok, ok, UD, UD, ok, ok, ok, ok, ok]);
    assert_eq!(each(0, OSXSAVE, 7), [ok, ok, ok, ok, ok, ok, UD, UD, ok, ok]);
    assert_eq!(each(0, 0, 3), [ok, ok, ok, ok, ok, ok, ok, UD, ok, ok]);
}

#[test]
fn a_lazily_switched_unit_is_used_again_after_clts() {
    let mut m = kernel(|a| {
        a.fldz()?;
        a.clts()?;
        a.jmp(CODE)
    });
    m.cpu.cr0 |= TS;
    assert_eq!(m.run(10), NM);
    m.cpu.rip = CODE + 2;
    assert_eq!(m.run(3), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.cr0 & TS), (CODE + 2, 0));
    // The same code, with the unit switched away again.
    (m.cpu.rip, m.cpu.cr0) = (CODE, m.cpu.cr0 | TS);
    assert_eq!(m.run(10), NM);
}

#[test]
fn without_osxmmexcpt_a_vector_exception_is_undefined() {
    let mut m = Machine::assemble(|a| a.divss(xmm0, xmm0));
    m.cpu.mxcsr = 0;
    m.cpu.cr4 &= !OSXMMEXCPT;
    assert_eq!(m.run(1), UD);
}

#[test]
fn cpuid_tells_whether_the_system_uses_xsave() {
    let bit = |value: u64| {
        let mut m = Machine::assemble(|a| a.cpuid());
        m.cpu.gpr[reg::RAX] = 1;
        m.cpu.cr4 = value;
        assert_eq!(m.run(1), Exit::Budget);
        m.cpu.gpr[reg::RCX] >> 27 & 1
    };
    assert_eq!((bit(0x620), bit(0x620 | OSXSAVE)), (0, 1));
}

#[test]
fn control_registers_refuse_what_does_not_exist() {
    let write = |n: u8, value: u64| {
        let mut m = Machine::new(&[0x0f, 0x22, 0xc0 | n << 3]);
        m.cpu.cpl = 0;
        m.cpu.gpr[reg::RAX] = value;
        let exit = m.run(1);
        (exit, m)
    };
    // Without protection, without paging, NW without CD, an upper half.
    for value in [0x8000_0000, 1, 0xa000_0001, 0x1_8000_0001] {
        assert_eq!(write(0, value).0, GP, "{value:#x}");
    }
    assert_eq!(write(0, 0x8000_ffc1).1.cpu.cr0, 0x8000_0011);
    for value in [0, 0x20 | 1 << 12, 0x20 | 1 << 40] {
        assert_eq!(write(4, value).0, GP, "{value:#x}");
    }
    assert_eq!(write(4, 0x620).1.cpu.cr4, 0x620);
    assert_eq!([write(3, 1 << 40).0, write(8, 16).0], [GP; 2]);
}

#[test]
fn xcr0_has_x87_always_and_avx_with_sse_only() {
    let write = |value: u64| {
        let mut m = kernel(|a| a.xsetbv());
        m.cpu.gpr[reg::RAX] = value;
        (m.run(1), m.cpu.xcr0)
    };
    assert_eq!([write(0).0, write(5).0, write(15).0], [GP; 3]);
    assert_eq!(write(3), (Exit::Budget, 3));
    let mut m = Machine::assemble(|a| a.xsetbv());
    assert_eq!(m.run(1), GP);
    m.cpu.cr4 &= !OSXSAVE;
    assert_eq!(m.run(1), UD);
}

#[test]
fn model_specific_registers_refuse_what_they_cannot_hold() {
    let write = |number: u64, value: u64| {
        let mut m = kernel(|a| a.wrmsr());
        m.cpu.gpr[reg::RCX] = number;
        m.cpu.gpr[reg::RAX] = value & 0xffff_ffff;
        m.cpu.gpr[reg::RDX] = value >> 32;
        (m.run(1), m.cpu.msr.efer)
    };
    for (number, value) in
        [(0xc000_0082, 1 << 47), (0x277, 2), (0xc000_0080, 2), (0xc000_0080, 1), (0xc000_0084, 1 << 32), (0x1234, 0)]
    {
        assert_eq!(write(number, value).0, GP, "{number:#x}");
    }
    // LMA is the processor's.
    assert_eq!(write(0xc000_0080, 0x101), (Exit::Budget, 0x501));
}

#[test]
fn umip_keeps_system_registers_from_ring_3() {
    for code in
        [&[0x0f, 0x01, 0x03][..], &[0x0f, 0x01, 0x0b], &[0x0f, 0x00, 0x03], &[0x0f, 0x00, 0xc8], &[0x0f, 0x01, 0xe0]]
    {
        let mut m = Machine::new(code);
        m.cpu.gpr[reg::RBX] = DATA;
        assert_eq!(m.run(1), Exit::Budget);
        m.cpu.rip = CODE;
        m.cpu.cr4 |= 1 << 11;
        assert_eq!(m.run(1), GP);
        m.cpu.cpl = 0;
        assert_eq!(m.run(1), Exit::Budget);
    }
}

/// Ring 3 with a task state segment at DATA, whose bitmap begins at 0x68.
fn with_bitmap(bitmap: &[u8], code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> Machine {
    let mut m = Machine::assemble(code);
    m.poke(DATA + 0x66, &[0x68, 0]);
    m.poke(DATA + 0x68, bitmap);
    (m.cpu.tr, m.cpu.tr_base, m.cpu.tr_limit) = (0x40, DATA, 0x68 + bitmap.len() as u32 - 1);
    m
}

#[test]
fn ports_need_iopl_or_a_clear_bit_for_each_byte() {
    let input = |port: u32, bitmap: &[u8]| {
        let mut m = with_bitmap(bitmap, |a| a.in_(ax, port));
        (m.run(1), m.cpu.gpr[reg::RAX])
    };
    assert_eq!(input(8, &[0xff, 0xfc, 0xff]), (Exit::Budget, 0xffff));
    assert_eq!(input(9, &[0xff, 0xfd, 0xff]).0, GP);
    assert_eq!(input(7, &[0x7f, 0xfe, 0xff]).0, Exit::Budget);
    // The byte after the port's own must be in the segment too.
    assert_eq!(input(8, &[0, 0]).0, GP);
    let mut m = Machine::assemble(|a| a.out(dx, al));
    assert_eq!(m.run(1), GP);
    m.cpu.set_rflags(rflags::IOPL);
    assert_eq!(m.run(1), Exit::Budget);
}

#[test]
fn string_input_stores_and_is_checked_before_the_count() {
    let mut m = Machine::assemble(|a| a.rep().insb());
    assert_eq!(m.run(1), GP);
    m.cpu.set_rflags(rflags::IOPL);
    m.cpu.gpr[reg::RDI] = DATA + 0x3ffe;
    m.cpu.gpr[reg::RCX] = 3;
    assert_eq!(m.run(1), Exit::Exception(Exception::page_fault(DATA + 0x4000, 6)));
    assert_eq!((m.cpu.gpr[reg::RCX], m.peek(DATA + 0x3ffd)), (1, [0, 0xff, 0xff]));
}

/// A descriptor table in the second page of data.
fn with_descriptors(code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> Machine {
    let mut m = Machine::assemble(code);
    let base = 0xffff_8000_0000_0000;
    m.map(base, 1, PageFlags::empty());
    let descriptors: [u64; 10] = [
        0,
        // 0x08: ring 3's data. 0x10: ring 0's. 0x18: not present. 0x20: 64-bit code. 0x28: 32-bit code.
        0x00cf_f300_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_7300_0000_ffff,
        0x00af_fb00_0000_ffff,
        0x00cf_fb00_0000_ffff,
        // 0x30: a local table. 0x38: ring 3's, read only. 0x40: ring 3's code that can't be read. 0x48: a call gate.
        0x0000_e200_0000_0fff,
        0x0040_f100_0000_1234,
        0x00af_f900_0000_ffff,
        0x0000_ec00_0020_0000,
    ];
    for (i, descriptor) in descriptors.into_iter().enumerate() {
        m.poke(base + 8 * i as u64, &descriptor.to_le_bytes());
    }
    m.cpu.gdtr = DescriptorTable { base, limit: 8 * 10 - 1 };
    m.cpu.seg[seg::CS].selector = 0x23;
    m.cpu.seg[seg::SS].selector = 0x0b;
    m.cpu.gpr[reg::RBX] = DATA;
    m
}

#[test]
fn programs_may_ask_about_descriptors() {
    let ask = |selector: u64| {
        let mut m = with_descriptors(|a| {
            a.lar(ecx, eax)?;
            a.setz(r8b)?;
            a.lsl(edx, eax)?;
            a.setz(r9b)?;
            a.verr(ax)?;
            a.setz(r10b)?;
            a.verw(ax)?;
            a.setz(r11b)?;
            a.syscall()
        });
        m.cpu.gpr[reg::RAX] = selector;
        assert_eq!(m.run(8), Exit::Budget);
        let told = [reg::R8, reg::R9, reg::R10, reg::R11].map(|r| m.cpu.gpr[r]);
        (told, m.cpu.gpr[reg::RCX], m.cpu.gpr[reg::RDX])
    };
    assert_eq!(ask(0x0b), ([1, 1, 1, 1], 0xcf_f300, 0xffff_ffff));
    assert_eq!(ask(0x38), ([1, 1, 1, 0], 0x40_f100, 0x1234));
    assert_eq!(ask(0x40), ([1, 1, 0, 0], 0xaf_f900, 0xffff_ffff));
    assert_eq!(ask(0x30), ([1, 1, 0, 0], 0x00_e200, 0xfff));
    assert_eq!(ask(0x48), ([1, 0, 0, 0], 0x00_ec00, 0));
    for selector in [0, 3, 0x10, 0x0c, 0x50, 0xfff8] {
        assert_eq!(ask(selector), ([0; 4], 0, 0), "{selector:#x}");
    }
}

#[test]
fn segment_loads_say_what_is_wrong() {
    let load = |register: AsmRegisterSegment, selector: u64| {
        let mut m = with_descriptors(|a| a.mov(register, eax));
        m.cpu.gpr[reg::RAX] = selector;
        m.run(1)
    };
    let fault = |vector, code| Exit::Exception(Exception::with_code(vector, code));
    assert_eq!([load(ds, 0), load(ds, 0x0b), load(ds, 0x23), load(ss, 0x0b)], [Exit::Budget; 4]);
    assert_eq!(load(ds, 0x10), fault(vector::GP, 0x10));
    assert_eq!(load(ds, 0x1b), fault(vector::NP, 0x18));
    assert_eq!(load(ds, 0x0c), fault(vector::GP, 0x0c));
    assert_eq!(load(ds, 0x43), fault(vector::GP, 0x40));
    assert_eq!(load(ss, 0), fault(vector::GP, 0));
    assert_eq!(load(ss, 0x1b), fault(vector::SS, 0x18));
    assert_eq!(load(ss, 0x3b), fault(vector::GP, 0x38));
    assert_eq!(load(ss, 0x08), fault(vector::GP, 0x08));
}

#[test]
fn far_transfers_go_to_64_bit_code_of_the_same_ring() {
    let jump = |selector: u16| {
        let mut m = with_descriptors(|a| a.db(&[0x48, 0xff, 0x2b]));
        m.poke(DATA, &(CODE + 0x100).to_le_bytes());
        m.poke(DATA + 8, &selector.to_le_bytes());
        m.run(1)
    };
    let missing = Exit::Exception(Exception { missing: true, ..Exception::new(vector::UD) });
    assert_eq!(jump(0x23), Exit::Budget);
    assert_eq!([jump(0x2b), jump(0x4b)], [missing; 2]);
    assert_eq!(jump(0x0b), Exit::Exception(Exception::with_code(vector::GP, 0x08)));
    assert_eq!(jump(0), GP);
}

#[test]
fn iret_checks_both_segments_before_anything_changes() {
    let iret = |code: u64, stack: u64, rip: u64| {
        let mut m = with_descriptors(|a| a.iretq());
        let top = m.cpu.gpr[reg::RSP];
        for (i, value) in [rip, code, rflags::AC | rflags::IF, DATA, stack].into_iter().enumerate() {
            m.poke(top + 8 * i as u64, &value.to_le_bytes());
        }
        let exit = m.run(1);
        assert!(exit == Exit::Budget || m.cpu.gpr[reg::RSP] == top && m.cpu.rip == CODE, "{exit:?}");
        (exit, m.cpu.rflags() & rflags::AC)
    };
    let fault = |vector, code| (Exit::Exception(Exception::with_code(vector, code)), 0);
    assert_eq!(iret(0x23, 0x0b, CODE), (Exit::Budget, rflags::AC));
    assert_eq!(iret(0x20, 0x0b, CODE), fault(vector::GP, 0x20));
    assert_eq!(iret(0x23, 0x08, CODE), fault(vector::GP, 0x08));
    assert_eq!(iret(0x23, 0x1b, CODE), fault(vector::SS, 0x18));
    assert_eq!(iret(0x23, 0, CODE), fault(vector::GP, 0));
    assert_eq!(iret(0x23, 0x0b, 1 << 47), fault(vector::GP, 0));
}

#[test]
fn instructions_have_at_most_15_bytes() {
    let with = |prefixes: usize, last: &[u8]| {
        let mut code = vec![0x66; prefixes];
        code.extend(last);
        let mut m = Machine::new(&code);
        (m.run(1), m.cpu.rip - CODE)
    };
    assert_eq!(with(14, &[0x90]), (Exit::Budget, 15));
    assert_eq!(with(15, &[0x90]), (GP, 0));
    assert_eq!(with(14, &[0x06]), (UD, 0));
}

#[test]
fn fetching_stops_where_pages_and_addresses_end() {
    // mov eax, imm32 with its last byte in a page that is not mapped.
    let mut m = Machine::empty();
    m.map(CODE, 1, PageFlags::USER | PageFlags::EXEC);
    m.poke(CODE + 0xffc, &[0xb8, 1, 2, 3]);
    m.cpu.rip = CODE + 0xffc;
    assert_eq!(m.run(1), Exit::Exception(Exception::page_fault(CODE + 0x1000, 0x14)));
    assert_eq!(m.cpu.rip, CODE + 0xffc);
    // The lower half's last byte is an instruction; what follows it is no address.
    let last = 0x7fff_ffff_ffff;
    m.map(last, 1, PageFlags::USER | PageFlags::EXEC);
    m.poke(last, &[0x90]);
    m.cpu.rip = last;
    assert_eq!(m.run(2), GP);
    assert_eq!((m.cpu.rip, m.cpu.instructions), (last + 1, 1));
    // An instruction that goes on there.
    m.poke(last, &[0xb8]);
    m.cpu.rip = last;
    assert_eq!(m.run(1), GP);
    // The address space's end goes on at its start.
    m.map(!0, 1, PageFlags::USER | PageFlags::EXEC);
    m.poke(!0, &[0x90]);
    m.cpu.rip = !0;
    assert_eq!(m.run(2), Exit::Exception(Exception::page_fault(0, 0x14)));
    assert_eq!(m.cpu.rip, 0);
}
