//! What the manual promises of integer instructions, faults and budgets.

mod common;

use callgate_emulator::{Exception, Exit, PageFlags, reg, rflags, vector};
use common::{CODE, DATA, DATA_PAGES, Machine, STACK};
use iced_x86::code_asm::*;

const END: u64 = DATA + DATA_PAGES * 0x1000;

fn page_fault(address: u64, code: u32) -> Exit {
    Exit::Exception(Exception::page_fault(address, code))
}

#[test]
fn add_sets_all_six_flags() {
    let mut m = Machine::assemble(|a| {
        a.mov(eax, 0x7fff_ffff)?;
        a.add(eax, 1)?;
        a.syscall()
    });
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 0x8000_0000);
    assert_eq!(m.cpu.rflags() & rflags::STATUS, rflags::OF | rflags::SF | rflags::AF | rflags::PF);
}

#[test]
fn inc_keeps_the_carry_and_writes_32_bits_clear_the_upper_half() {
    let mut m = Machine::assemble(|a| {
        a.stc()?;
        a.mov(rax, -1i64)?;
        a.inc(eax)?;
        a.syscall()
    });
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 0);
    assert_eq!(m.cpu.rflags() & (rflags::CF | rflags::ZF), rflags::CF | rflags::ZF);
}

#[test]
fn high_byte_registers_are_bits_15_to_8() {
    let mut m = Machine::assemble(|a| {
        a.mov(eax, 0x1122_3344)?;
        a.mov(ecx, 0x5566_7788)?;
        a.mov(ah, cl)?;
        a.add(ch, al)?;
        a.movzx(edx, ah)?;
        a.syscall()?;
        a.nop()
    });
    m.run(5);
    assert_eq!(m.cpu.gpr[reg::RAX], 0x1122_8844);
    assert_eq!(m.cpu.gpr[reg::RCX], 0x5566_bb88);
    assert_eq!(m.cpu.gpr[reg::RDX], 0x88);
}

#[test]
fn division_by_zero_and_an_overflowing_quotient_raise_de() {
    for (high, divisor) in [(0, 0), (5, 5)] {
        let mut m = Machine::assemble(|a| a.div(rcx));
        m.cpu.gpr[reg::RDX] = high;
        m.cpu.gpr[reg::RCX] = divisor;
        assert_eq!(m.run(10), Exit::Exception(Exception::new(vector::DE)));
        assert_eq!(m.cpu.rip, CODE);
        assert_eq!(m.cpu.instructions, 0);
    }
}

#[test]
fn page_faults_say_address_and_kind() {
    let mut m = Machine::assemble(|a| a.mov(rax, qword_ptr(rbx)));
    m.cpu.gpr[reg::RBX] = 16;
    assert_eq!(m.run(10), page_fault(16, 4));
    let mut m = Machine::assemble(|a| a.mov(qword_ptr(rbx), rax));
    m.cpu.gpr[reg::RBX] = CODE;
    assert_eq!(m.run(10), page_fault(CODE, 7));
    // The processor names the first byte that lies in the missing page.
    m.cpu.gpr[reg::RBX] = END - 3;
    assert_eq!(m.run(10), page_fault(END, 6));
    m.cpu.gpr[reg::RBX] = 1 << 63;
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::GP, 0)));
    assert_eq!(m.peek::<3>(END - 3), [0; 3]);
}

#[test]
fn non_canonical_stack_accesses_raise_ss() {
    let mut m = Machine::assemble(|a| a.push(rax));
    m.cpu.gpr[reg::RSP] = 1 << 63;
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::SS, 0)));
    let mut m = Machine::assemble(|a| a.mov(rax, qword_ptr(rbp)));
    m.cpu.gpr[reg::RBP] = 1 << 63;
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::SS, 0)));
}

#[test]
fn fetching_faults_where_no_execution_is_allowed() {
    let mut m = Machine::assemble(|a| a.jmp(rbx));
    m.cpu.gpr[reg::RBX] = DATA + 5;
    assert_eq!(m.run(10), page_fault(DATA + 5, 0x15));
    assert_eq!((m.cpu.rip, m.cpu.instructions), (DATA + 5, 1));
    let mut m = Machine::assemble(|a| a.jmp(rbx));
    m.cpu.gpr[reg::RBX] = 1 << 62;
    assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::GP, 0)));
    assert_eq!(m.cpu.rip, CODE);
}

#[test]
fn an_instruction_may_cross_into_the_next_page() {
    let mut m = Machine::empty();
    m.map(CODE, 2, PageFlags::USER | PageFlags::EXEC);
    let code = common::assemble(CODE + 0xffd, |a| {
        a.mov(rax, 0x1122_3344_5566_7788u64)?;
        a.syscall()
    });
    m.poke(CODE + 0xffd, &code);
    m.cpu.rip = CODE + 0xffd;
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 0x1122_3344_5566_7788);
    // Its second half changes with the page that it is in.
    m.poke(CODE + 0x1000, &[0xaa]);
    m.cpu.rip = CODE + 0xffd;
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 0x1122_3344_5566_aa88 & !0xff | 0x88);
    m.space.unmap(CODE + 0x1000);
    m.cpu.rip = CODE + 0xffd;
    assert_eq!(m.run(1), page_fault(CODE + 0x1000, 0x14));
}

#[test]
fn read_modify_write_of_a_read_only_page_changes_nothing() {
    let mut m = Machine::assemble(|a| {
        a.stc()?;
        a.add(dword_ptr(rbx), 1)
    });
    m.cpu.gpr[reg::RBX] = CODE;
    assert_eq!(m.run(10), page_fault(CODE, 7));
    assert_eq!(m.cpu.rflags() & rflags::STATUS, rflags::CF);
    assert_eq!(m.cpu.instructions, 1);
}

#[test]
fn budgets_are_exact() {
    let mut m = Machine::assemble(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.inc(rax)?;
        a.inc(rcx)?;
        a.inc(rdx)?;
        a.jmp(again)
    });
    let mut total = 0;
    for budget in [1, 2, 3, 4, 5, 7, 64, 1001] {
        assert_eq!(m.run(budget), Exit::Budget);
        total += budget;
        assert_eq!(m.cpu.instructions, total);
        let counts = [reg::RAX, reg::RCX, reg::RDX].map(|r| m.cpu.gpr[r]);
        assert_eq!(counts, [total.div_ceil(4), (total + 2) / 4, (total + 1) / 4]);
    }
    assert_eq!(m.run(0), Exit::Budget);
    assert_eq!(m.cpu.instructions, total);
}

#[test]
fn a_fault_within_a_block_counts_those_before_it() {
    let mut m = Machine::assemble(|a| {
        a.inc(rax)?;
        a.inc(rax)?;
        a.mov(rcx, qword_ptr(0))?;
        a.inc(rax)
    });
    assert_eq!(m.run(100), page_fault(0, 4));
    assert_eq!((m.cpu.instructions, m.cpu.gpr[reg::RAX]), (2, 2));
    assert_eq!(m.run(100), page_fault(0, 4));
    assert_eq!(m.cpu.instructions, 2);
}

#[test]
fn rep_movs_stops_at_the_element_that_faults() {
    let mut m = Machine::assemble(|a| {
        a.rep().movsb()?;
        a.syscall()
    });
    m.cpu.gpr[reg::RSI] = DATA;
    m.cpu.gpr[reg::RDI] = END - 100;
    m.cpu.gpr[reg::RCX] = 150;
    assert_eq!(m.run(10), page_fault(END, 6));
    assert_eq!(m.cpu.gpr[reg::RSI], DATA + 100);
    assert_eq!(m.cpu.gpr[reg::RDI], END);
    assert_eq!(m.cpu.gpr[reg::RCX], 50);
    assert_eq!((m.cpu.rip, m.cpu.instructions), (CODE, 0));
    m.map(END, 1, PageFlags::USER | PageFlags::WRITE);
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RDI], END + 50);
}

#[test]
fn overlapping_copies_go_by_elements() {
    let mut m = Machine::assemble(|a| {
        a.rep().movsb()?;
        a.syscall()
    });
    m.poke(DATA, b"ab");
    m.cpu.gpr[reg::RSI] = DATA;
    m.cpu.gpr[reg::RDI] = DATA + 2;
    m.cpu.gpr[reg::RCX] = 6;
    m.finish();
    assert_eq!(&m.peek::<8>(DATA), b"abababab");
}

#[test]
fn repne_scas_finds_and_repe_cmps_differs() {
    let mut m = Machine::assemble(|a| {
        a.repne().scasb()?;
        a.mov(rbx, rcx)?;
        a.mov(ecx, 9)?;
        a.mov(rdi, DATA + 0x100)?;
        a.std()?;
        a.add(rdi, 7)?;
        a.add(rsi, 7)?;
        a.repe().cmpsb()?;
        a.mov(rdx, rcx)?;
        a.syscall()
    });
    m.poke(DATA, b"hello, world");
    m.poke(DATA + 0x100, b"heLlo, world");
    m.cpu.gpr[reg::RDI] = DATA;
    m.cpu.gpr[reg::RSI] = DATA;
    m.cpu.gpr[reg::RCX] = 12;
    m.cpu.gpr[reg::RAX] = u64::from(b',');
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RBX], 6);
    // From offset 7 down to 2, where they differ: six elements.
    assert_eq!(m.cpu.gpr[reg::RDX], 3);
    assert_eq!(m.cpu.gpr[reg::RDI], DATA + 0x101);
}

#[test]
fn push_of_rsp_pushes_the_old_value_and_a_faulting_pop_keeps_rsp() {
    let mut m = Machine::assemble(|a| {
        a.push(rsp)?;
        a.pop(rax)?;
        a.pop(qword_ptr(rbx))
    });
    m.cpu.gpr[reg::RBX] = 8;
    assert_eq!(m.run(10), page_fault(8, 6));
    assert_eq!(m.cpu.gpr[reg::RAX], STACK + 0x800);
    assert_eq!(m.cpu.gpr[reg::RSP], STACK + 0x800);
}

#[test]
fn what_the_core_lacks_is_marked() {
    // vaddps zmm0, zmm0, zmm0; and ud2.
    let mut m = Machine::new(&[0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc0]);
    assert_eq!(m.run(10), Exit::Exception(Exception { missing: true, ..Exception::new(vector::UD) }));
    let mut m = Machine::new(&[0x0f, 0x0b]);
    assert_eq!(m.run(10), Exit::Exception(Exception::new(vector::UD)));
    // lock add eax, ecx.
    let mut m = Machine::new(&[0xf0, 0x01, 0xc8]);
    assert_eq!(m.run(10), Exit::Exception(Exception::new(vector::UD)));
}

#[test]
fn privileged_instructions_raise_gp_in_ring_3() {
    for code in [&[0xf4][..], &[0x0f, 0x22, 0xd8], &[0x0f, 0x30], &[0x0f, 0x01, 0xf8], &[0xfa], &[0x48, 0x0f, 0x07]] {
        let mut m = Machine::new(code);
        assert_eq!(m.run(10), Exit::Exception(Exception::with_code(vector::GP, 0)), "{code:x?}");
    }
    let mut m = Machine::new(&[0x0f, 0x01, 0xc1]);
    assert_eq!(m.run(10), Exit::Exception(Exception::new(vector::UD)));
}

#[test]
fn syscall_leaves_with_rip_and_flags_in_rcx_and_r11() {
    let mut m = Machine::assemble(|a| {
        a.stc()?;
        a.syscall()
    });
    assert_eq!(m.run(10), Exit::Syscall);
    assert_eq!((m.cpu.rip, m.cpu.cpl), (CODE + 3, 3));
    assert_eq!(m.cpu.gpr[reg::RCX], CODE + 3);
    assert_eq!(m.cpu.gpr[reg::R11], rflags::IF | rflags::FIXED | rflags::CF);
    assert_eq!(m.cpu.instructions, 2);
}

#[test]
fn int_n_leaves_with_rip_after_it() {
    let mut m = Machine::new(&[0xcd, 0x80, 0xcc]);
    assert_eq!(m.run(10), Exit::Interrupt(0x80));
    assert_eq!(m.cpu.rip, CODE + 2);
    assert_eq!(m.run(10), Exit::Interrupt(3));
    assert_eq!((m.cpu.rip, m.cpu.instructions), (CODE + 3, 2));
}

#[test]
fn the_trap_flag_stops_after_each_instruction() {
    let mut m = Machine::assemble(|a| {
        a.pushfq()?;
        a.or(qword_ptr(rsp), 0x100)?;
        a.popfq()?;
        a.inc(rax)?;
        a.inc(rax)
    });
    assert_eq!(m.run(100), Exit::Debug);
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.instructions), (1, 4));
    assert_eq!(m.run(100), Exit::Debug);
    assert_eq!((m.cpu.gpr[reg::RAX], m.cpu.instructions), (2, 5));
}

#[test]
fn loops_and_calls() {
    let mut m = Machine::assemble(|a| {
        let (mut f, mut again) = (a.create_label(), a.create_label());
        a.mov(ecx, 1000)?;
        a.set_label(&mut again)?;
        a.call(f)?;
        a.loop_(again)?;
        a.mov(rbx, rcx)?;
        a.syscall()?;
        a.set_label(&mut f)?;
        a.add(rax, rcx)?;
        a.ret()
    });
    m.finish();
    assert_eq!(m.cpu.gpr[reg::RAX], 500_500);
    assert_eq!(m.cpu.gpr[reg::RBX], 0);
    assert_eq!(m.cpu.gpr[reg::RSP], STACK + 0x800);
}

/// A comparison and a branch are run as one unless the budget ends between them.
#[test]
fn pairs_run_at_once_do_what_they_do_one_by_one() {
    let values = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, u64::MAX >> 1, 1 << 63, u64::MAX];
    // cmp, test, sub, add, and with registers; cmp, sub with an immediate; dec, inc; each of three sizes.
    let firsts: [&[u8]; 20] = [
        &[0x38, 0xc8],
        &[0x39, 0xc8],
        &[0x48, 0x39, 0xc8],
        &[0x84, 0xc8],
        &[0x85, 0xc8],
        &[0x48, 0x85, 0xc8],
        &[0x28, 0xc8],
        &[0x29, 0xc8],
        &[0x48, 0x29, 0xc8],
        &[0x00, 0xc8],
        &[0x01, 0xc8],
        &[0x48, 0x01, 0xc8],
        &[0x21, 0xc8],
        &[0x48, 0x21, 0xc8],
        &[0x83, 0xf8, 0x80],
        &[0x48, 0x83, 0xe8, 0x01],
        &[0xfe, 0xc8],
        &[0xff, 0xc8],
        &[0x48, 0xff, 0xc0],
        &[0x66, 0x39, 0xc8],
    ];
    for first in firsts {
        for condition in 0x70..=0x7f {
            let mut m = Machine::new(&[first, &[condition, 0x10]].concat());
            for a in values {
                for b in values {
                    let outcomes = [1, 2].map(|budget| {
                        m.cpu.rip = CODE;
                        m.cpu.gpr[reg::RAX] = a;
                        m.cpu.gpr[reg::RCX] = b;
                        m.cpu.set_rflags(rflags::IF | rflags::CF);
                        m.cpu.instructions = 0;
                        for _ in budget..=2 {
                            assert_eq!(m.run(budget), Exit::Budget);
                        }
                        (m.cpu.rip, m.cpu.gpr[reg::RAX], m.cpu.rflags(), m.cpu.instructions)
                    });
                    assert_eq!(outcomes[0], outcomes[1], "{first:x?} {condition:x} {a:x} {b:x}");
                }
            }
        }
    }
}
