//! That it can't be seen how instructions are executed together: in blocks, in pairs, with flags left out.

mod common;

use callgate_emulator::{Exception, Exit, reg, rflags};
use common::{CODE, DATA, DATA_PAGES, Machine, assemble};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

const END: u64 = DATA + DATA_PAGES * 0x1000;

/// Loops, calls, branches forwards that are taken now and then, neighbours that pair, flags that nobody reads.
fn program(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let [mut again, mut odd, mut join, mut small, mut callee] = std::array::from_fn(|_| a.create_label());
    let mut end = a.create_label();
    a.mov(rsi, DATA)?;
    a.mov(ecx, 40)?;
    a.set_label(&mut again)?;
    a.mov(rax, rcx)?;
    a.mov(dword_ptr(rsi + 16), eax)?;
    a.shl(rax, 3)?;
    a.imul_2(rax, rcx)?;
    a.ror(rax, 5)?;
    a.add(rax, 77)?;
    a.xor(edx, edx)?;
    a.test(cl, 1)?;
    a.jne(odd)?;
    a.cmp(ecx, 9)?;
    a.jl(small)?;
    a.cmp(dword_ptr(rsi + 16), 20)?;
    a.je(odd)?;
    a.add(qword_ptr(rsi), rax)?;
    a.set_label(&mut join)?;
    a.push(rax)?;
    a.push(rcx)?;
    a.call(callee)?;
    a.pop(rcx)?;
    a.pop(rax)?;
    a.movzx(ebx, byte_ptr(rsi + 3))?;
    a.lea(rdi, rsi + rbx * 4)?;
    a.mov(r8, rdi)?;
    a.sub(ecx, 1)?;
    a.jne(again)?;
    a.jmp(end)?;
    a.set_label(&mut odd)?;
    a.inc(qword_ptr(rsi + 8))?;
    a.jmp(join)?;
    a.set_label(&mut small)?;
    a.sbb(rdx, rax)?;
    a.setb(byte_ptr(rsi + 24))?;
    a.jmp(join)?;
    a.set_label(&mut callee)?;
    a.mov(rdx, qword_ptr(rsi))?;
    a.mov(rbp, qword_ptr(rsi + 8))?;
    a.add(rdx, rbp)?;
    a.adc(rbp, 0)?;
    a.mov(qword_ptr(rsi + 32), rdx)?;
    a.ret()?;
    a.set_label(&mut end)?;
    a.syscall()
}

/// Everything that the program can change.
fn state(m: &Machine) -> ([u64; 16], u64, u64, u64, [u8; 40]) {
    (m.cpu.gpr, m.cpu.rip, m.cpu.rflags(), m.cpu.instructions, m.peek(DATA))
}

#[test]
fn any_budget_leads_to_the_same_state() {
    let mut whole = Machine::assemble(program);
    whole.finish();
    let total = whole.cpu.instructions;
    for budget in [1, 2, 3, 5, 17, 100] {
        let mut m = Machine::assemble(program);
        while m.run(budget) == Exit::Budget {
            assert_eq!(m.cpu.instructions % budget, 0);
        }
        assert_eq!(state(&m), state(&whole), "by {budget}");
    }
    // And anywhere on the way: the first so many at once, or one by one.
    let mut stepped = Machine::assemble(program);
    for count in 1..total {
        assert_eq!(stepped.run(1), Exit::Budget);
        let mut m = Machine::assemble(program);
        assert_eq!(m.run(count), Exit::Budget);
        assert_eq!(state(&m), state(&stepped), "after {count}");
    }
}

#[test]
fn quick_decoding_at_first_changes_nothing() {
    let mut whole = Machine::assemble(program);
    whole.finish();
    for instructions in (0..whole.cpu.instructions + 10).step_by(3) {
        let mut m = Machine::assemble(program);
        m.interp.start_quickly(instructions);
        m.finish();
        assert_eq!(state(&m), state(&whole), "after {instructions}");
    }
}

#[test]
fn a_fault_of_the_second_of_a_pair_is_its_own() {
    let mut m = Machine::assemble(|a| {
        a.mov(rsi, DATA)?;
        a.mov(rdi, END)?;
        a.mov(rax, qword_ptr(rsi))?;
        a.mov(rbx, qword_ptr(rdi))?;
        a.syscall()
    });
    m.poke(DATA, &[5]);
    let before = assemble(CODE, |a| {
        a.mov(rsi, DATA)?;
        a.mov(rdi, END)?;
        a.mov(rax, qword_ptr(rsi))
    });
    assert_eq!(m.run(100), Exit::Exception(Exception::page_fault(END, 4)));
    assert_eq!((m.cpu.rip, m.cpu.instructions), (CODE + before.len() as u64, 3));
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.gpr[reg::RBX]), (5, 0));
}

#[test]
fn flags_that_are_set_again_are_there_if_an_instruction_between_faults() {
    let mut m = Machine::assemble(|a| {
        a.mov(rdi, END)?;
        a.mov(rax, -1i64)?;
        a.add(rax, 1)?;
        a.mov(rbx, qword_ptr(rdi))?;
        a.and(ecx, 1)?;
        a.syscall()
    });
    assert_eq!(m.run(100), Exit::Exception(Exception::page_fault(END, 4)));
    assert_eq!(m.cpu.rflags() & rflags::STATUS, rflags::CF | rflags::ZF | rflags::AF | rflags::PF);
}

#[test]
fn a_comparison_with_memory_that_faults_is_not_retired_with_its_branch() {
    let mut m = Machine::assemble(|a| {
        let mut end = a.create_label();
        a.mov(rdi, END)?;
        a.cmp(dword_ptr(rdi), 0)?;
        a.je(end)?;
        a.set_label(&mut end)?;
        a.syscall()
    });
    assert_eq!(m.run(100), Exit::Exception(Exception::page_fault(END, 4)));
    assert_eq!(m.cpu.instructions, 1);
}

#[test]
fn a_branch_out_of_a_blocks_middle_gives_the_budget_back() {
    let mut m = Machine::assemble(|a| {
        let mut end = a.create_label();
        a.test(eax, eax)?;
        a.je(end)?;
        for _ in 0..20 {
            a.inc(eax)?;
        }
        a.set_label(&mut end)?;
        a.syscall()
    });
    m.finish();
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.instructions), (0, 3));
}
