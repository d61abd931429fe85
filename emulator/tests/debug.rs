//! Debug exceptions: breakpoints, single steps, and accesses to debug registers; and alignment checks.

mod common;

use callgate_emulator::{Breakpoint, Condition, Exception, Exit, dr6, dr7, reg, rflags, vector};
use common::{CODE, DATA, Machine, STACK};
use iced_x86::code_asm::*;

const HIT_0: u64 = dr6::FIXED | dr6::B0;

fn breakpoint(address: u64, condition: Condition, len: u8) -> Option<Breakpoint> {
    Some(Breakpoint { address, condition, len })
}

fn watching(
    condition: Condition,
    len: u8,
    code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>,
) -> Machine {
    let mut m = Machine::assemble(code);
    assert_eq!(m.cpu.set_breakpoint(0, breakpoint(DATA + 16, condition, len)), Ok(()));
    m.cpu.gpr[reg::RBX] = DATA + 16;
    m
}

/// Runs to the next debug exception: rip as an offset, DR6, and clears DR6.
fn next(m: &mut Machine) -> (u64, u64) {
    assert_eq!(m.run(1000), Exit::Debug);
    (m.cpu.rip - CODE, std::mem::replace(&mut m.cpu.dr[6], dr6::FIXED))
}

#[test]
fn an_instruction_breakpoint_comes_before_the_instruction_unless_rf_is_set() {
    let mut m = Machine::assemble(|a| {
        a.inc(eax)?;
        a.inc(eax)?;
        a.inc(eax)?;
        a.syscall()
    });
    // Fetched as one block, in whose middle it is.
    assert_eq!(m.cpu.set_breakpoint(0, breakpoint(CODE + 2, Condition::Execute, 1)), Ok(()));
    assert_eq!(next(&mut m), (2, HIT_0));
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.instructions), (1, 1));
    // Still there.
    assert_eq!(next(&mut m), (2, HIT_0));
    m.cpu.set_rflags(m.cpu.rflags() | rflags::RF);
    m.finish();
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.rflags() & rflags::RF), (3, 0));
    // Without a breakpoint there, it is a block again.
    m.cpu.rip = CODE;
    assert_eq!(m.cpu.set_breakpoint(0, None), Ok(()));
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 6);
}

#[test]
fn a_fault_keeps_rf_for_the_instruction_that_is_executed_again() {
    let mut m = Machine::assemble(|a| {
        a.mov(rax, qword_ptr(rcx))?;
        a.syscall()
    });
    assert_eq!(m.cpu.set_breakpoint(3, breakpoint(CODE, Condition::Execute, 1)), Ok(()));
    assert_eq!(next(&mut m), (0, dr6::FIXED | 8));
    m.cpu.set_rflags(m.cpu.rflags() | rflags::RF);
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(0, 4)));
    m.cpu.gpr[reg::RCX] = DATA;
    m.finish();
}

#[test]
fn an_instruction_breakpoint_comes_before_the_fault_of_the_fetch() {
    let mut m = Machine::assemble(|a| a.jmp(rcx));
    m.cpu.gpr[reg::RCX] = 0x1000;
    assert_eq!(m.cpu.set_breakpoint(1, breakpoint(0x1000, Condition::Execute, 1)), Ok(()));
    assert_eq!(m.run(10), Exit::Debug);
    assert_eq!((m.cpu.rip, m.cpu.dr[6]), (0x1000, dr6::FIXED | 2));
    m.cpu.set_rflags(m.cpu.rflags() | rflags::RF);
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(0x1000, 0x14)));
}

#[test]
fn a_write_is_trapped_after_the_instruction() {
    let mut m = watching(Condition::Write, 4, |a| {
        a.mov(eax, dword_ptr(rbx))?;
        a.mov(byte_ptr(rbx + 3), 7)?;
        a.inc(ecx)?;
        a.mov(byte_ptr(rbx + 4), 7)?;
        a.mov(qword_ptr(rbx - 4), 7)?;
        a.inc(ecx)?;
        a.add(dword_ptr(rbx), 1)?;
        a.syscall()
    });
    assert_eq!(next(&mut m), (6, HIT_0));
    assert_eq!((m.peek::<1>(DATA + 19), m.cpu.gpr[reg::RCX], m.cpu.instructions), ([7], 0, 2));
    assert_eq!(next(&mut m), (20, HIT_0));
    assert_eq!(m.cpu.gpr[reg::RCX], 1);
    assert_eq!(next(&mut m), (25, HIT_0));
    assert_eq!(m.run(1000), Exit::Syscall);
}

#[test]
fn a_breakpoint_on_accesses_sees_reads_of_any_kind() {
    let mut m = watching(Condition::Access, 1, |a| {
        a.mov(eax, dword_ptr(rbx))?;
        a.push(qword_ptr(rbx))?;
        a.movups(xmm0, xmmword_ptr(rbx - 15))?;
        a.cmp(byte_ptr(rbx), 0)?;
        a.je(CODE + 40)?;
        a.nop()
    });
    for offset in [2, 4, 8, 11] {
        assert_eq!(next(&mut m), (offset, HIT_0));
    }
    // The page is cached again once nothing of it is watched.
    assert_eq!(m.cpu.set_breakpoint(0, None), Ok(()));
    m.cpu.rip = CODE;
    assert_eq!(m.run(5), Exit::Budget);
    assert_eq!(m.cpu.rip, CODE + 40);
}

#[test]
fn what_faults_has_touched_nothing() {
    let mut m = watching(Condition::Access, 8, |a| a.push(qword_ptr(rbx)));
    m.cpu.gpr[reg::RSP] = 0x1000;
    assert_eq!(m.run(10), Exit::Exception(Exception::page_fault(0xff8, 6)));
    assert_eq!(m.cpu.dr[6], dr6::FIXED);
}

#[test]
fn repeated_string_instructions_are_trapped_between_iterations() {
    let mut m = watching(Condition::Write, 2, |a| {
        a.rep().stosb()?;
        a.syscall()
    });
    m.cpu.gpr[reg::RDI] = DATA + 14;
    m.cpu.gpr[reg::RCX] = 5;
    assert_eq!(next(&mut m), (0, HIT_0));
    assert_eq!((m.cpu.gpr[reg::RCX], m.cpu.gpr[reg::RDI], m.cpu.instructions), (2, DATA + 17, 0));
    assert_eq!(next(&mut m), (0, HIT_0));
    assert_eq!(m.cpu.gpr[reg::RCX], 1);
    // The last iteration's trap comes after the instruction, this one needs none.
    assert_eq!(m.run(1000), Exit::Syscall);
    m.cpu.rip = CODE;
    m.cpu.gpr[reg::RDI] = DATA + 16;
    m.cpu.gpr[reg::RCX] = 1;
    assert_eq!(next(&mut m), (2, HIT_0));
}

#[test]
fn tf_traps_each_iteration() {
    let mut m = Machine::assemble(|a| {
        a.repne().scasb()?;
        a.nop()
    });
    m.poke(DATA, &[1, 1, 0, 1]);
    m.cpu.gpr[reg::RDI] = DATA;
    m.cpu.gpr[reg::RCX] = 4;
    m.cpu.set_rflags(rflags::TF);
    for (offset, left) in [(0, 3), (0, 2), (2, 1), (3, 1)] {
        assert_eq!(next(&mut m), (offset, dr6::FIXED | dr6::BS));
        assert_eq!(m.cpu.gpr[reg::RCX], left);
    }
}

#[test]
fn a_load_of_ss_puts_the_trap_off() {
    let mut m = watching(Condition::Access, 2, |a| {
        a.mov(ss, word_ptr(rbx))?;
        a.nop()?;
        a.nop()
    });
    m.cpu.cpl = 0;
    assert_eq!(next(&mut m), (3, HIT_0));
}

#[test]
fn int1_is_a_trap_without_a_cause() {
    let mut m = Machine::assemble(|a| a.db(&[0xf1]));
    assert_eq!(next(&mut m), (1, dr6::FIXED));
    assert_eq!(m.cpu.instructions, 1);
}

#[test]
fn debug_registers_are_ring_0s() {
    for bytes in [[0x0f, 0x21, 0xc0], [0x0f, 0x23, 0xf8], [0x0f, 0x21, 0xe0]] {
        let mut m = Machine::new(&bytes);
        m.cpu.cr4 |= 8;
        assert_eq!(m.run(1), Exit::Exception(Exception::with_code(vector::GP, 0)));
    }
}

#[test]
fn ring_0_sets_breakpoints_with_mov() {
    let mut m = Machine::assemble(|a| {
        a.mov(dr0, rbx)?;
        a.mov(dr7, rcx)?;
        a.mov(qword_ptr(rbx), 1)?;
        a.nop()
    });
    m.cpu.cpl = 0;
    m.cpu.gpr[reg::RBX] = DATA;
    m.cpu.gpr[reg::RCX] = 0xffff_ffff & !dr7::GD & !0xfc;
    assert_eq!(next(&mut m), (13, HIT_0));
    assert_eq!(m.cpu.dr[7], 0xffff_0703);
}

#[test]
fn gd_guards_the_debug_registers_once() {
    let mut m = Machine::assemble(|a| a.mov(rax, dr7));
    m.cpu.cpl = 0;
    m.cpu.dr[7] |= dr7::GD;
    assert_eq!(next(&mut m), (0, dr6::FIXED | dr6::BD));
    assert_eq!(m.run(1), Exit::Budget);
    assert_eq!(m.cpu.gpr[reg::RAX], dr7::FIXED);
}

#[test]
fn dr4_and_dr5_are_aliases_or_nothing() {
    let mut m = Machine::new(&[0x0f, 0x21, 0xe0]);
    m.cpu.cpl = 0;
    assert_eq!(m.run(1), Exit::Budget);
    assert_eq!(m.cpu.gpr[reg::RAX], dr6::FIXED);
    m.cpu.rip = CODE;
    m.cpu.cr4 |= 8;
    assert_eq!(m.run(1), Exit::Exception(Exception::new(vector::UD)));
    // Upper halves of DR6 and DR7 must be clear.
    let mut m = Machine::new(&[0x0f, 0x23, 0xf8]);
    m.cpu.cpl = 0;
    m.cpu.gpr[reg::RAX] = 1 << 32;
    assert_eq!(m.run(1), Exit::Exception(Exception::with_code(vector::GP, 0)));
}

const MISALIGNED: Exit = Exit::Exception(Exception::with_code(vector::AC, 0));

/// Runs code with AC set and `rbx` so many bytes after an aligned address.
fn checked(offset: u64, code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>) -> (Machine, Exit) {
    let mut m = Machine::assemble(code);
    m.cpu.gpr[reg::RBX] = DATA + 64 + offset;
    m.cpu.set_rflags(rflags::AC);
    let exit = m.run(1);
    (m, exit)
}

#[test]
fn ring_3_can_have_its_alignment_checked() {
    let word = |offset| checked(offset, |a| a.mov(ax, word_ptr(rbx))).1;
    let quadword = |offset| checked(offset, |a| a.mov(qword_ptr(rbx), rax)).1;
    let unaligned = |offset| checked(offset, |a| a.movups(xmm0, xmmword_ptr(rbx))).1;
    let wide = |offset| checked(offset, |a| a.vmovups(ymm0, ymmword_ptr(rbx))).1;
    let extended = |offset| checked(offset, |a| a.fld(tbyte_ptr(rbx))).1;
    assert_eq!([word(1), quadword(4), unaligned(8), wide(8), extended(4)], [MISALIGNED; 5]);
    assert_eq!([word(2), quadword(8), unaligned(16), wide(16), extended(8)], [Exit::Budget; 5]);
    // What must be aligned anyway stays #GP.
    let aligned = checked(8, |a| a.movaps(xmm0, xmmword_ptr(rbx))).1;
    assert_eq!(aligned, Exit::Exception(Exception::with_code(vector::GP, 0)));
    let lanes = checked(1, |a| a.vpmaskmovd(xmm0, xmm1, xmmword_ptr(rbx))).1;
    assert_eq!(lanes, Exit::Budget);
}

#[test]
fn alignment_comes_before_pages_and_changes_nothing() {
    let (m, exit) = checked(0x5000 + 1, |a| a.add(dword_ptr(rbx), 1));
    assert_eq!((exit, m.cpu.rip), (MISALIGNED, CODE));
    let (m, exit) = checked(4, |a| a.call(qword_ptr(rbx)));
    assert_eq!((exit, m.cpu.gpr[reg::RSP]), (MISALIGNED, STACK + 0x800));
}

#[test]
fn popf_turns_alignment_checks_on_and_off_at_once() {
    let mut m = Machine::assemble(|a| {
        a.mov(eax, dword_ptr(rbx))?;
        a.push(rcx)?;
        a.popfq()?;
        a.mov(eax, dword_ptr(rbx))?;
        a.syscall()
    });
    m.cpu.gpr[reg::RBX] = DATA + 1;
    m.cpu.gpr[reg::RCX] = rflags::AC;
    assert_eq!(m.run(10), MISALIGNED);
    assert_eq!(m.cpu.rip, CODE + 4);
    // As a kernel does that ends a check.
    m.cpu.set_rflags(m.cpu.rflags() & !rflags::AC);
    m.finish();
    // Without CR0.AM it means nothing.
    (m.cpu.rip, m.cpu.cr0) = (CODE, m.cpu.cr0 & !(1 << 18));
    m.finish();
}

#[test]
fn ring_0_is_not_checked() {
    let mut m = Machine::assemble(|a| a.mov(eax, dword_ptr(rbx)));
    m.cpu.gpr[reg::RBX] = DATA + 1;
    m.cpu.cpl = 0;
    m.cpu.set_rflags(rflags::AC);
    assert_eq!(m.run(1), Exit::Budget);
}

#[test]
fn whole_pages_are_not_copied_past_a_check() {
    let (m, exit) = checked(4, |a| {
        a.mov(rdi, rbx)?;
        a.mov(ecx, 100)?;
        a.rep().stosq()
    });
    assert_eq!(exit, Exit::Budget);
    let mut m = m;
    assert_eq!(m.run(2), MISALIGNED);
    assert_eq!((m.cpu.gpr[reg::RCX], m.cpu.rip), (100, CODE + 8));
}
