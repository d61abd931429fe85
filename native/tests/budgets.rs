//! Budgets of any size, one after the other: translated code stops in the middle of blocks, goes on from there, and has come
//! as far as the interpreter each time.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory};
use common::{WINDOWS, guest, native};

/// A loop of a block that can't be counted at its start, where flags live and loads may fault: loads, then ADD and LEA in
/// turn, and a jump back.
fn code() -> Vec<u8> {
    let (load, add, lea) = ([0x8b, 0x0d, 0, 0, 0, 0], [0x01, 0xd8], [0x8d, 0x5c, 0x43, 0x01]);
    let mut code = [load.repeat(8), [&add[..], &lea].concat().repeat(9)].concat();
    // JMP.
    let back = -(code.len() as i64 + 2) as i8;
    code.extend([0xeb, back as u8]);
    code
}

#[test]
fn each_budget_is_used_up_exactly() {
    let memory = Memory::new(16 << 20).expect("memory");
    for windows in WINDOWS {
        let Some(mut native) = native(&memory, windows) else { continue };
        let mut interp = Interp::new(&memory);
        let ((mut ours, mut our_space), (mut theirs, mut their_space)) =
            (guest(&memory, &code()), guest(&memory, &code()));
        for n in 0..20_000u64 {
            let budget = 1 + n * 379 % 1201;
            assert_eq!(native.run(&mut ours, &mut our_space, budget), Exit::Budget);
            assert_eq!(interp.run(&mut theirs, &mut their_space, budget), Exit::Budget);
            let state = |cpu: &Cpu| (cpu.rip, cpu.instructions, cpu.gpr, cpu.rflags());
            assert_eq!(state(&ours), state(&theirs), "after a budget of {budget}");
        }
    }
}
