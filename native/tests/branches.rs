//! Ways through translated code that compilers don't take.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use callgate_emulator::{Cpu, Engine, Exit, Interp, Memory, PAGE_SIZE, PageFlags, reg, rflags, seg};

use callgate_native::Setup;
use common::SETUPS;

const STACK: u64 = 0x70_0000;

/// Runs code up to its `int 0x80`, translated or not.
fn run(code: &[u8], translated: Option<Setup>) -> Option<Cpu> {
    let memory = Memory::new(16 << 20).expect("memory");
    let (mut cpu, mut space) = common::guest(&memory, code);
    space.map(STACK, memory.alloc().expect("a frame"), PageFlags::USER | PageFlags::WRITE);
    cpu.gpr[reg::RSP] = STACK + 0x800;
    cpu.seg[seg::FS].base = STACK;
    cpu.set_rflags(rflags::FIXED | rflags::IF);
    let exit = match translated {
        Some(setup) => common::run(&mut *common::native(&memory, setup)?, &mut cpu, &mut space, 100_000),
        None => Interp::with_model(&memory, common::model()).run(&mut cpu, &mut space, 100_000),
    };
    assert_eq!(exit, Exit::Interrupt(0x80));
    Some(cpu)
}

fn both(code: &[u8]) -> Option<Cpu> {
    let theirs = run(code, None)?;
    for setup in SETUPS {
        let Some(ours) = run(code, Some(setup)) else { continue };
        let count = |cpu: &Cpu| if setup.counts { cpu.instructions } else { 0 };
        let state = |cpu: &Cpu| (cpu.rip, cpu.gpr, cpu.rflags(), count(cpu));
        assert_eq!(state(&ours), state(&theirs), "{setup:?}");
    }
    Some(theirs)
}

#[test]
fn what_follows_a_branch_in_line_may_be_the_interpreters() {
    // mov ecx, 1; loop to the next; pop bx, which isn't translated; int 0x80
    let code = [0xb9, 1, 0, 0, 0, 0xe2, 0, 0x66, 0x5b, 0xcd, 0x80];
    if let Some(cpu) = both(&code) {
        assert_eq!(cpu.gpr[reg::RSP], STACK + 0x802);
    }
}

#[test]
fn a_return_to_elsewhere_keeps_its_flags() {
    let code = [
        &[0xe8, 6, 0, 0, 0][..],               // call f
        &[0x31, 0xc0, 0xeb, 0x10, 0x90, 0x90], // xor eax, eax, which needs no flags; jmp end
        &[0x5b, 0x48, 0x8d, 0x1d, 3, 0, 0, 0], // f: pop rbx; lea rbx, [elsewhere]
        &[0x53, 0xf9, 0xc3],                   // push rbx; stc; ret
        &[0x0f, 0x92, 0xc0, 0xcd, 0x80],       // elsewhere: setb al; end: int 0x80
    ]
    .concat();
    if let Some(cpu) = both(&code) {
        assert_eq!(cpu.gpr[reg::RAX] & 0xff, 1);
    }
}

/// Translated returns that land wrongly take short branches, over what of the piece follows.
#[test]
fn returns_to_elsewhere_get_there_over_blocks_of_any_length() {
    const CALLS: u32 = 4;
    // lea rbp, [rbp + rsi + 1]; and mov rbp, fs:[rbp], whose base is so that it reads the stack: much longer when translated.
    let fillers: [&[u8]; 2] = [&[0x48, 0x8d, 0x6c, 0x35, 1], &[0x64, 0x48, 0x8b, 0x6d, 0]];
    for (filler, times) in fillers.into_iter().flat_map(|filler| (0..48).map(move |times| (filler, times))) {
        let mut code = Vec::new();
        for _ in 0..CALLS {
            code.extend([0xe8, 0, 0, 0, 0]); // call f
            code.extend([0x11, 0xf6]); // adc esi, esi: by the flags of f
            code.extend(filler.repeat(times));
            code.extend([0x70, 0]); // jo to the next
        }
        code.extend([0x81, 0xff, 99, 0, 0, 0]); // cmp edi, 99
        let back = -(code.len() as i32) - 6;
        code.extend([&[0x0f, 0x82][..], &back.to_le_bytes()].concat()); // jb to the start
        code.extend([0xcd, 0x80]); // int 0x80
        let f = code.len();
        code.extend([0x5b, 0xff, 0xc7]); // f: pop rbx; inc edi
        // Two times of three back to where it was called from, and once behind the adc there.
        code.extend([0x89, 0xf8, 0x99, 0xb9, 3, 0, 0, 0, 0xf7, 0xf1]); // mov eax, edi; cdq; mov ecx, 3; div ecx
        code.extend([0x85, 0xd2, 0x75, 4, 0x48, 0x8d, 0x5b, 2]); // test edx, edx; jne over lea rbx, [rbx + 2]
        code.extend([0x53, 0x0f, 0xba, 0xe7, 0, 0xc3]); // push rbx; bt edi, 0; ret
        for call in (0..f - 20).filter(|at| code[*at] == 0xe8 && code[*at + 1..*at + 5] == [0; 4]).collect::<Vec<_>>() {
            code[call + 1..call + 5].copy_from_slice(&((f - call - 5) as i32).to_le_bytes());
        }
        if let Some(cpu) = both(&code) {
            assert_eq!(cpu.gpr[reg::RDI], 100, "{times} times {filler:x?}");
        }
    }
}

#[test]
fn a_guest_that_branches_everywhere_finds_its_way() {
    // In each of many pages eight times: lea rbx, [rip + 509]; jmp rbx. So each branch leads 512 bytes ahead, to code that
    // has no more in common with others than the page that it is in. Twice, and then to int 0x80.
    const PAGES: u64 = 2100;
    const FIRST: u64 = 0x1000_0000;
    let mut page = [0x90; PAGE_SIZE];
    for at in page.chunks_mut(512) {
        at[..9].copy_from_slice(&[0x48, 0x8d, 0x1d, 0xf9, 0x01, 0, 0, 0xff, 0xe3]);
    }
    // add eax, 1; cmp eax, 2; je end; jmp r15; end: int 0x80
    let last = [0x83, 0xc0, 0x01, 0x83, 0xf8, 0x02, 0x74, 0x03, 0x41, 0xff, 0xe7, 0xcd, 0x80];
    let run = |memory: &Memory, engine: &mut dyn Engine| {
        // jmp r15
        let (mut cpu, mut space) = common::guest(memory, &[0x41, 0xff, 0xe7]);
        let (code, end) = (memory.alloc().expect("a frame"), memory.alloc().expect("a frame"));
        code.write(0, &page);
        end.write(0, &last);
        for n in 0..=PAGES {
            let frame = if n == PAGES { &end } else { &code };
            space.map(FIRST + n * PAGE_SIZE as u64, frame.clone(), PageFlags::USER | PageFlags::EXEC);
        }
        cpu.gpr[15] = FIRST;
        assert_eq!(common::run(engine, &mut cpu, &mut space, 1_000_000), Exit::Interrupt(0x80));
        (cpu.rip, cpu.gpr)
    };
    let memory = Memory::new(16 << 20).expect("memory");
    let expected = run(&memory, &mut Interp::with_model(&memory, common::model()));
    for setup in SETUPS {
        let Some(mut native) = common::native(&memory, setup) else { continue };
        assert_eq!(run(&memory, &mut *native), expected, "{setup:?}");
        // It is more than a wide table holds.
        let resets = native.figures().into_iter().find(|(name, _)| *name == "resets");
        assert!(!setup.low_memory || resets.is_some_and(|(_, resets)| resets > 0), "{resets:?}");
    }
}

#[test]
fn a_block_that_loops_gives_its_registers_back() {
    // mov ecx, 1000; mov r9d, 7; round: add r9, rcx; imul r8, r9; xor r11, r8; dec ecx; jne round; mov rax, r12; int 0x80
    let code = [
        &[0xb9, 0xe8, 3, 0, 0, 0x41, 0xb9, 7, 0, 0, 0][..],
        &[0x49, 0x01, 0xc9, 0x4d, 0x0f, 0xaf, 0xc1, 0x4d, 0x31, 0xc3, 0xff, 0xc9, 0x75, 0xf2],
        &[0x4c, 0x89, 0xe0, 0xcd, 0x80],
    ]
    .concat();
    both(&code);
}

#[test]
fn a_loop_that_uses_all_registers_does_so_with_and_without_one_to_spare() {
    // mov ecx, 1000; the round; jne round; int 0x80. Each register is added to another, and rsp too.
    let sums: [(u8, u8); 16] = [
        (9, 0),
        (10, 3),
        (11, 2),
        (0, 6),
        (3, 7),
        (2, 5),
        (6, 8),
        (7, 12),
        (5, 13),
        (8, 14),
        (12, 15),
        (13, 9),
        (14, 10),
        (15, 11),
        (9, 4),
        (9, 8),
    ];
    let add = |(to, from): (u8, u8)| [0x48 | from >> 3 << 2 | to >> 3, 0x01, 0xc0 | (from & 7) << 3 | to & 7];
    // Nothing; shl rax, cl, which needs rcx in its own register; imul r9, r8.
    for other in [&[][..], &[0x48, 0xd3, 0xe0], &[0x4d, 0x0f, 0xaf, 0xc8]] {
        let mut code = vec![0xb9, 0xe8, 3, 0, 0];
        code.extend(sums.map(add).concat());
        code.extend(other);
        let round = code.len() - 5;
        code.extend([0xff, 0xc9, 0x75, (-(round as i64) - 4) as u8, 0xcd, 0x80]);
        both(&code);
    }
}
