//! The x87 unit: the guest's in translated code, the host's outside, and its pointers as the interpreter keeps them.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::arch::asm;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PageFlags, Space, reg, vector};
use common::{CODE, COUNTING, SETUPS, native};

const DATA: u64 = 0x50_0000;

fn guest(memory: &Memory, code: &[u8]) -> (Cpu, Space) {
    let (mut cpu, mut space) = common::guest(memory, code);
    space.map(DATA, memory.alloc().expect("a frame"), PageFlags::USER | PageFlags::WRITE);
    cpu.gpr[reg::RBX] = DATA;
    cpu.gpr[reg::RSP] = DATA + 0x800;
    (cpu, space)
}

fn state(cpu: &Cpu) -> impl PartialEq + std::fmt::Debug + use<> {
    (cpu.rip, cpu.instructions, cpu.gpr, cpu.rflags(), cpu.fpu.pointers, cpu.fxsave())
}

/// A loop: blocks without the unit and with it, operands in memory by several registers, MMX, all exceptions masked.
const LOOP: &[u8] = &[
    0xff, 0xc0, // inc eax
    0xa8, 0x07, // test al, 7
    0x75, 0xfa, // jnz to the start
    0xd9, 0xe8, // fld1
    0x89, 0x44, 0x24, 0x08, // mov [rsp + 8], eax
    0xdb, 0x44, 0x24, 0x08, // fild dword [rsp + 8]
    0xd8, 0xf9, // fdivr st, st(1)
    0xdc, 0x03, // fadd qword [rbx]
    0xdd, 0x1b, // fstp qword [rbx]
    0x39, 0xc8, // cmp eax, ecx
    0xda, 0xc9, // fcmove st, st(1)
    0xd9, 0xfa, // fsqrt
    0xdf, 0xe0, // fnstsw ax
    0x25, 0xff, 0x3f, 0, 0, // and eax, 0x3fff
    0xdb, 0x3c, 0x25, 0x40, 0, 0x50, 0, // fstp tbyte [DATA + 0x40]
    0x75, 0xd6, // jnz to the start
    0x0f, 0x6e, 0xc0, // movd mm0, eax
    0x0f, 0xfc, 0x03, // paddb mm0, [rbx]
    0x0f, 0x7e, 0xc2, // movd edx, mm0
    0x0f, 0x77, // emms
    0xeb, 0xc9, // jmp to the start
];

#[test]
fn each_budget_ends_with_the_interpreters_state() {
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in COUNTING {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        let ((mut ours, mut our_space), (mut theirs, mut their_space)) = (guest(&memory, LOOP), guest(&memory, LOOP));
        for n in 0..5_000u64 {
            let budget = 1 + n * 379 % 6401;
            assert_eq!(native.run(&mut ours, &mut our_space, budget), Exit::Budget);
            assert_eq!(interp.run(&mut theirs, &mut their_space, budget), Exit::Budget);
            assert_eq!(state(&ours), state(&theirs), "after a budget of {budget}");
        }
        let count =
            |wanted| native.figures().into_iter().find(|(name, _)| *name == wanted).map_or(0, |(_, count)| count);
        assert!(count("interpreted") < ours.instructions / 2, "{} interpreted", count("interpreted"));
    }
}

#[test]
fn a_pending_exception_is_raised_with_the_flags_that_were() {
    // fldz; fld1; fdiv st, st(1); fldcw [rbx] unmasks it; cmp eax, ecx; fabs; add eax, ecx.
    let code = [0xd9, 0xee, 0xd9, 0xe8, 0xd8, 0xf1, 0xd9, 0x2b, 0x39, 0xc8, 0xd9, 0xe1, 0x01, 0xc8, 0x90, 0x90];
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        let ((mut ours, mut our_space), (mut theirs, mut their_space)) = (guest(&memory, &code), guest(&memory, &code));
        for round in 0..100u64 {
            for (engine, cpu, space) in [
                (&mut *native as &mut dyn Engine, &mut ours, &mut our_space),
                (&mut interp, &mut theirs, &mut their_space),
            ] {
                let (frame, _) = space.page(DATA).expect("data");
                assert!(space.memory().cache_writable(frame));
                cpu.rip = CODE;
                cpu.fpu.init();
                // A control word with all unmasked is all zeros, as the data is.
                (cpu.gpr[reg::RAX], cpu.gpr[reg::RCX]) = (round % 7, round % 5);
                match common::run(engine, cpu, space, 1000) {
                    Exit::Exception(exception) => assert_eq!(exception.vector, vector::MF),
                    other => panic!("{other:?}"),
                }
            }
            if !native.counts() {
                // It is the same in all else.
                ours.instructions = theirs.instructions;
            }
            assert_eq!(state(&ours), state(&theirs), "in round {round}");
        }
    }
}

#[test]
fn the_hosts_unit_is_as_it_was() {
    fn control() -> u16 {
        let mut word = 0u16;
        // SAFETY: stores the control word, and nothing else.
        unsafe { asm!("fnstcw [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in COUNTING {
        let Some(mut native) = native(&memory, setup) else { continue };
        // The guest's control word is another, and its stack isn't empty: fldcw [rbx]; fld1; jmp to that.
        let (mut cpu, mut space) = guest(&memory, &[0xd9, 0x2b, 0xd9, 0xe8, 0xeb, 0xfc]);
        let before = control();
        for _ in 0..10 {
            assert!(!matches!(native.run(&mut cpu, &mut space, 3000), Exit::Syscall));
            assert_eq!(control(), before);
            cpu.rip = CODE;
            cpu.fpu.init();
        }
    }
}
