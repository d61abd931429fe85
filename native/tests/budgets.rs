//! Budgets of any size, one after the other: translated code stops in the middle of blocks, goes on from there, and has come
//! as far as the interpreter each time.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, reg};
use common::{CODE, COUNTING, guest, native};

/// Code, and a jump back to its start.
fn looped(mut code: Vec<u8>) -> Vec<u8> {
    let back = -(code.len() as i64 + 2) as i8;
    code.extend([0xeb, back as u8]);
    code
}

/// A loop of a block that can't be counted at its start, where flags live and loads may fault: loads, then ADD and LEA in
/// turn.
fn computing() -> Vec<u8> {
    let (load, add, lea) = ([0x8b, 0x0d, 0, 0, 0, 0], [0x01, 0xd8], [0x8d, 0x5c, 0x43, 0x01]);
    looped([load.repeat(8), [&add[..], &lea].concat().repeat(9)].concat())
}

/// A loop of blocks that use r8, r9 or r11, for which there are no host registers, too seldom for them to be lent one.
fn homing() -> Vec<u8> {
    let blocks: [&[u8]; 8] = [
        // mov rax, [r9]; add rbx, [r9 + 8]
        &[0x49, 0x8b, 0x01, 0x49, 0x03, 0x59, 0x08],
        // lea r8, [rbx + 1]; lea rdx, [r8 + rax]
        &[0x4c, 0x8d, 0x43, 0x01, 0x49, 0x8d, 0x14, 0x00],
        // mov r11d, eax; xor rbx, r11
        &[0x41, 0x89, 0xc3, 0x4c, 0x31, 0xdb],
        // add r8d, ebx; movzx edx, r8b
        &[0x41, 0x01, 0xd8, 0x41, 0x0f, 0xb6, 0xd0],
        // mov rcx, r11; shl r8, cl; add rax, r8
        &[0x4c, 0x89, 0xd9, 0x49, 0xd3, 0xe0, 0x4c, 0x01, 0xc0],
        // imul r11, r11, 3; sub rax, r11
        &[0x4d, 0x6b, 0xdb, 0x03, 0x4c, 0x29, 0xd8],
        // mov r11, [r9 + 5]; adc rdx, r11
        &[0x4d, 0x8b, 0x59, 0x05, 0x4c, 0x11, 0xda],
        // mov r8w, ax; rol r8, 5; add rbx, rdx
        &[0x66, 0x41, 0x89, 0xc0, 0x49, 0xc1, 0xc0, 0x05, 0x48, 0x01, 0xd3],
    ];
    // A conditional jump to what follows ends each block.
    looped(blocks.map(|block| [block, &[0x75, 0x00]].concat()).concat())
}

#[test]
fn each_budget_is_used_up_exactly() {
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in COUNTING {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut interp = Interp::with_model(&memory, common::model());
        for code in [computing(), homing()] {
            let [(mut ours, mut our_space), (mut theirs, mut their_space)] = [(); 2].map(|()| guest(&memory, &code));
            (ours.gpr[reg::R9], theirs.gpr[reg::R9]) = (CODE, CODE);
            for n in 0..20_000u64 {
                let budget = 1 + n * 379 % 1201;
                assert_eq!(native.run(&mut ours, &mut our_space, budget), Exit::Budget);
                assert_eq!(interp.run(&mut theirs, &mut their_space, budget), Exit::Budget);
                let state = |cpu: &Cpu| (cpu.rip, cpu.instructions, cpu.gpr, cpu.rflags());
                assert_eq!(state(&ours), state(&theirs), "after a budget of {budget}");
            }
        }
    }
}

#[test]
fn what_is_left_to_the_interpreter_at_first_ends_within_a_run() {
    const BUDGET: u64 = 1_000_000;
    const WARM_UP: u64 = 10_000;
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in COUNTING {
        let Some(mut native) = native(&memory, setup) else { continue };
        native.warm_up(WARM_UP);
        let (mut cpu, mut space) = guest(&memory, &looped(vec![0x90; 50]));
        assert_eq!(native.run(&mut cpu, &mut space, BUDGET), Exit::Budget);
        assert_eq!(cpu.instructions, BUDGET);
        let count = native.figures().into_iter().find(|(name, _)| *name == "interpreted").map_or(0, |(_, count)| count);
        assert!((WARM_UP..2 * WARM_UP).contains(&count), "{count} interpreted");
    }
}
