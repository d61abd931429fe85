//! Flags on the ways into translated code and out of it.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use std::time::Duration;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, reg, rflags};
use common::{CODE, COUNTING, SETUPS, guest, native};

#[test]
fn all_flags_go_in_and_come_out() {
    const FLAGS: [u64; 7] = [rflags::CF, rflags::PF, rflags::AF, rflags::ZF, rflags::SF, rflags::DF, rflags::OF];
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = native(&memory, setup) else { continue };
        // SYSCALL, after instructions that leave flags alone, and translated once it is come back to.
        let (mut cpu, mut space) = guest(&memory, &[0x90, 0x48, 0x8d, 0x1b, 0x0f, 0x05]);
        for set in 0..1 << FLAGS.len() {
            let flags = FLAGS.iter().enumerate().filter(|(n, _)| set >> n & 1 != 0).map(|(_, flag)| flag);
            let flags = flags.fold(rflags::FIXED | rflags::IF, |all, flag| all | flag);
            for _ in 0..3 {
                cpu.rip = CODE;
                cpu.set_rflags(flags);
                assert_eq!(common::run(&mut *native, &mut cpu, &mut space, 1000), Exit::Syscall);
                assert_eq!((cpu.rflags(), cpu.gpr[reg::R11]), (flags, flags));
            }
        }
        let translated =
            native.figures().into_iter().find(|(name, _)| *name == "syscalls").map_or(0, |(_, count)| count);
        assert!(translated > 100, "translated code was left {translated} times");
    }
}

#[test]
fn strings_go_the_way_of_the_direction_flag() {
    let code = [
        0xfd, 0xac, 0x0f, 0x05, // std; lodsb; syscall
        0xac, 0xfc, 0xac, 0x0f, 0x05, // lodsb; cld; lodsb; syscall
        0xac, 0xac, 0x0f, 0x05, // lodsb; lodsb; syscall
        0xeb, 0xf1, // jmp to the first
    ];
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        let ((mut ours, mut our_space), (mut theirs, mut their_space)) = (guest(&memory, &code), guest(&memory, &code));
        (ours.gpr[reg::RSI], theirs.gpr[reg::RSI]) = (CODE + 0x800, CODE + 0x800);
        for call in 0..300 {
            assert_eq!(common::run(&mut *native, &mut ours, &mut our_space, 1000), Exit::Syscall);
            assert_eq!(interp.run(&mut theirs, &mut their_space, 1000), Exit::Syscall);
            let count = |cpu: &Cpu| if setup.counts { cpu.instructions } else { 0 };
            let state = |cpu: &Cpu| (cpu.rip, count(cpu), cpu.gpr, cpu.rflags());
            assert_eq!(state(&ours), state(&theirs), "at call {call}");
        }
    }
}

#[test]
fn a_turn_that_ends_early_ends_with_the_flags() {
    // mov rax, rbx; lea rbx, [rbx + 1]; add ecx, 0x7fffffff, which sets them all anew; jmp to the first
    let code = [0x48, 0x89, 0xd8, 0x48, 0x8d, 0x5b, 0x01, 0x81, 0xc1, 0xff, 0xff, 0xff, 0x7f, 0xeb, 0xf1];
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in COUNTING {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        let (mut ours, mut our_space) = guest(&memory, &code);
        let (mut theirs, mut their_space) = guest(&memory, &code);
        native.begin(1024, Duration::MAX);
        for turn in 0..500 {
            assert_eq!(native.run(&mut ours, &mut our_space, 2000 + turn), Exit::Budget);
            let done = ours.instructions - theirs.instructions;
            assert_eq!(interp.run(&mut theirs, &mut their_space, done), Exit::Budget);
            let state = |cpu: &Cpu| (cpu.rip, cpu.instructions, cpu.gpr, cpu.rflags());
            assert_eq!(state(&ours), state(&theirs), "after turn {turn}");
        }
        native.end();
    }
}
