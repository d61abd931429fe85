//! A kernel inside the guest: system calls, interrupts and exceptions the hardware's way.

mod common;

use callgate_emulator::{Delivery, Exception, Exit, Tsc, reg, rflags, seg, vector};
use common::kernel::{IDT, KERNEL, KERNEL_CS, KERNEL_STACK, TSS, USER_CS, USER_DS, machine};
use common::{CODE, DATA, Machine, STACK};
use iced_x86::code_asm::*;

#[test]
fn syscall_enters_ring_0_and_sysret_leaves_it() {
    let mut m = machine(
        |a| {
            a.stc()?;
            a.syscall()?;
            a.nop()
        },
        |a| {
            a.swapgs()?;
            a.swapgs()?;
            a.mov(eax, 77)?;
            a.sysretq()
        },
    );
    assert_eq!(m.run(3), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.cpl), (KERNEL + 3, 0));
    assert_eq!(m.cpu.seg.map(|s| s.selector)[1..3], [KERNEL_CS, KERNEL_CS + 8]);
    assert_eq!(m.cpu.seg[seg::GS].base, 0x1234_5000);
    assert_eq!(m.cpu.rflags(), rflags::FIXED);
    assert_eq!(m.cpu.gpr[reg::RCX], CODE + 3);
    assert_eq!(m.cpu.gpr[reg::R11], rflags::FIXED | rflags::IF | rflags::CF);
    assert_eq!(m.run(3), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.cpl), (CODE + 3, 3));
    assert_eq!(m.cpu.seg.map(|s| s.selector)[1..3], [USER_CS, USER_DS]);
    assert_eq!(m.cpu.rflags(), rflags::FIXED | rflags::IF | rflags::CF);
    assert_eq!(m.cpu.gpr[reg::RAX], 77);
}

#[test]
fn a_page_fault_pushes_a_frame_with_its_code_and_iret_resumes() {
    let mut m = machine(
        |a| {
            a.mov(rax, qword_ptr(rbx))?;
            a.nop()
        },
        |a| {
            a.add(rsp, 8)?;
            a.lea(rbx, qword_ptr(DATA))?;
            a.iretq()
        },
    );
    m.poke(DATA, &[5]);
    m.cpu.gpr[reg::RBX] = 0x1000;
    assert_eq!(m.run(1), Exit::Budget);
    // The instruction that faulted doesn't count, so one of the handler's was executed.
    assert_eq!((m.cpu.cpl, m.cpu.cr2), (0, 0x1000));
    assert_eq!(m.cpu.gpr[reg::RSP], KERNEL_STACK - 40);
    let frame: [u64; 6] = std::array::from_fn(|i| m.peek64(KERNEL_STACK - 48 + 8 * i as u64));
    let flags = rflags::FIXED | rflags::IF | rflags::RF;
    assert_eq!(frame, [4, CODE, USER_CS.into(), flags, STACK + 0x800, USER_DS.into()]);
    assert_eq!(m.cpu.rflags() & rflags::IF, 0);
    assert_eq!(m.run(3), Exit::Budget);
    assert_eq!((m.cpu.cpl, m.cpu.gpr[reg::RAX], m.cpu.gpr[reg::RSP]), (3, 5, STACK + 0x800));
    assert_eq!(m.cpu.rflags(), rflags::FIXED | rflags::IF);
}

#[test]
fn int_n_needs_an_open_gate() {
    let kernel = |a: &mut CodeAssembler| a.hlt();
    let mut m = machine(|a| a.int(32), kernel);
    assert_eq!(m.run(10), Exit::Halt);
    assert_eq!(m.peek64(KERNEL_STACK - 40), CODE + 2);
    let mut m = machine(|a| a.int(33), kernel);
    assert_eq!(m.run(10), Exit::Halt);
    // #GP with the vector's entry in the table: error code, then the instruction's own address.
    assert_eq!((m.peek64(KERNEL_STACK - 48), m.peek64(KERNEL_STACK - 40)), (33 * 8 + 2, CODE));
    let mut m = machine(|a| a.int(200), kernel);
    assert_eq!(m.run(10), Exit::Halt);
    assert_eq!(m.peek64(KERNEL_STACK - 48), 200 * 8 + 2);
}

#[test]
fn a_fault_without_a_stack_is_a_double_fault_and_ends_the_run() {
    let mut m = machine(|a| a.ud2(), |a| a.hlt());
    m.poke(TSS + 4, &[0; 8]);
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::DF, 0)));
    assert_eq!((m.cpu.rip, m.cpu.cpl), (CODE, 3));
}

#[test]
fn vmcall_in_ring_0_is_a_hypercall() {
    let mut m = machine(
        |a| a.syscall(),
        |a| {
            a.mov(eax, 5)?;
            a.vmcall()?;
            a.hlt()
        },
    );
    assert_eq!(m.run(10), Exit::Hypercall);
    assert_eq!((m.cpu.rip, m.cpu.instructions, m.cpu.gpr[reg::RAX]), (KERNEL + 8, 3, 5));
    assert_eq!(m.run(10), Exit::Halt);
}

#[test]
fn ring_3_does_not_run_what_ring_0_ran() {
    let mut m = machine(
        |a| {
            a.syscall()?;
            a.jmp(rbx)
        },
        |a| a.sysretq(),
    );
    m.cpu.gpr[reg::RBX] = KERNEL;
    assert_eq!(m.run(3), Exit::Budget);
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(1), Exit::Exception(Exception::page_fault(KERNEL, 0x15)));
}

#[test]
fn the_trap_goes_through_the_table() {
    let mut m = machine(|a| a.nop(), |a| a.hlt());
    m.cpu.set_rflags(rflags::IF | rflags::TF);
    assert_eq!(m.run(10), Exit::Halt);
    assert_eq!(m.peek64(KERNEL_STACK - 40), CODE + 1);
    assert_eq!(m.cpu.instructions, 2);
}

#[test]
fn a_system_call_is_not_trapped_inside_the_kernel() {
    let mut m = machine(
        |a| {
            a.syscall()?;
            a.nop()
        },
        |a| a.sysretq(),
    );
    m.cpu.set_rflags(rflags::IF | rflags::TF);
    m.poke(IDT + 16, &[0; 16]);
    // Nor is it after sysret, which brings TF back: only the next instruction is.
    assert_eq!(m.run(2), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.cpl, m.cpu.rflags() & rflags::TF), (CODE + 2, 3, rflags::TF));
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(5), Exit::Debug);
    assert_eq!(m.cpu.rip, CODE + 3);
}

#[test]
fn model_specific_registers_are_ring_0s() {
    let mut m = machine(
        |a| a.syscall(),
        |a| {
            a.mov(ecx, 0xc000_0100u32)?;
            a.mov(eax, 0x7000)?;
            a.mov(edx, 1)?;
            a.wrmsr()?;
            a.rdmsr()?;
            a.mov(ecx, 0x1234)?;
            a.rdmsr()
        },
    );
    assert_eq!(m.run(6), Exit::Budget);
    assert_eq!(m.cpu.seg[seg::FS].base, 0x1_0000_7000);
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(9), Exit::Exception(Exception::with_code(vector::GP, 0)));
}

#[test]
fn segments_are_checked_against_the_table() {
    let load = |selector: u32| {
        machine(
            |a| {
                a.mov(eax, selector)?;
                a.mov(ds, eax)
            },
            |a| a.hlt(),
        )
    };
    let mut m = load(USER_DS.into());
    assert_eq!(m.run(2), Exit::Budget);
    assert_eq!(m.cpu.seg[seg::DS].selector, USER_DS);
    let mut m = load(0x18);
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(2), Exit::Exception(Exception::with_code(vector::GP, 0x18)));
    let mut m = load(0x100);
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(2), Exit::Exception(Exception::with_code(vector::GP, 0x100)));
}

#[test]
fn rdtsc_counts_exactly() {
    let mut m = Machine::assemble(|a| {
        a.nop()?;
        a.rdtsc()?;
        a.mov(rbx, rax)?;
        a.nop()?;
        a.rdtsc()?;
        a.syscall()
    });
    m.cpu.tsc = Tsc::Instructions { offset: 1000, step: 3 };
    m.finish();
    assert_eq!((m.cpu.gpr[reg::RBX], m.cpu.gpr[reg::RAX]), (1006, 1015));
}

#[test]
fn far_returns_and_jumps_load_cs() {
    let mut m = machine(
        |a| {
            a.push(i32::from(USER_CS))?;
            a.lea(rax, qword_ptr(CODE + 64))?;
            a.push(rax)?;
            a.db(&[0x48, 0xcb])
        },
        |a| a.hlt(),
    );
    // rex.w jmp far [rbx]
    m.poke(CODE + 64, &[0x48, 0xff, 0x2b]);
    m.poke(DATA, &CODE.to_le_bytes());
    m.poke(DATA + 8, &USER_CS.to_le_bytes());
    m.cpu.gpr[reg::RBX] = DATA;
    assert_eq!(m.run(4), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.gpr[reg::RSP]), (CODE + 64, STACK + 0x800));
    assert_eq!(m.run(1), Exit::Budget);
    assert_eq!((m.cpu.rip, m.cpu.seg[seg::CS].selector), (CODE, USER_CS));
    // To the kernel's segment: not this way.
    m.poke(DATA + 8, &KERNEL_CS.to_le_bytes());
    m.cpu.rip = CODE + 64;
    m.cpu.delivery = Delivery::Exit;
    assert_eq!(m.run(1), Exit::Exception(Exception::with_code(vector::GP, KERNEL_CS.into())));
}
