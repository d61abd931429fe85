//! Runs that the host's timer ends, at any of the host's instructions: each time the guest's state is whole, so that the
//! interpreter can go on from it, and translated code from where that stops.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use std::time::Duration;

use callgate_emulator::{Cpu, Engine, Exit, Frame, Interp, Memory, PAGE_SIZE, PageFlags, Space, reg};
use common::{SETUPS, native};

const STACK: u64 = 0x70_0000;
const DATA: u64 = 0x71_0000;
/// Stops that are waited for: hundreds in code that takes several host instructions for one of the guest's.
const STOPS: u32 = 300;

/// Computes something by all that translation makes of code: calls, pushes, homed registers, loans, strings, indirect
/// branches, shifts by cl. r15 counts rounds down.
fn code() -> Vec<u8> {
    [
        // 0: call f; lea rbx, [rip + 2]; jmp rbx
        &[0xe8, 0x4d, 0, 0, 0, 0x48, 0x8d, 0x1d, 2, 0, 0, 0, 0xff, 0xe3][..],
        // 14: mov r8, r9; imul r9, r11, 5; lea r11, [r8 + rax + 3]
        &[0x4d, 0x89, 0xc8, 0x4d, 0x6b, 0xcb, 0x05, 0x4d, 0x8d, 0x5c, 0x00, 0x03],
        // 26: push r8; push r11; pop rax; pop rdx; adc rax, rdx
        &[0x41, 0x50, 0x41, 0x53, 0x58, 0x5a, 0x48, 0x11, 0xd0],
        // 35: lea rsi, [r12]; lea rdi, [r12 + 64]; mov ecx, 20; rep movsb
        &[0x49, 0x8d, 0x34, 0x24, 0x49, 0x8d, 0x7c, 0x24, 0x40, 0xb9, 20, 0, 0, 0, 0xf3, 0xa4],
        // 51: mov [r12 + 3], rax; xor r9d, [r12 + 70]; lodsq; add rax, r9
        &[0x49, 0x89, 0x44, 0x24, 0x03, 0x45, 0x33, 0x4c, 0x24, 0x46, 0x48, 0xad, 0x4c, 0x01, 0xc8],
        // 66: mov ecx, 7; 71: rol r11, cl; dec ecx; jne 71; dec r15d
        &[0xb9, 7, 0, 0, 0, 0x49, 0xd3, 0xc3, 0xff, 0xc9, 0x75, 0xf9, 0x41, 0xff, 0xcf],
        // 81: jne 0, by a jump around; int 0x80
        &[0x74, 0x02, 0xeb, 0xab, 0xcd, 0x80],
    ]
    .concat()
}

struct Guest {
    cpu: Cpu,
    space: Space,
    pages: [Frame; 2],
}

impl Guest {
    fn new(memory: &Memory, rounds: u32) -> Self {
        let mut code = code();
        // f: add r9, rcx; lea rax, [r9 + r11 * 2]; push rbp; mov rbp, rsp; push rbx; pop rbx; leave; ret. The call leads here.
        let f = code.len() as u32;
        code.extend([0x49, 0x01, 0xc9, 0x4b, 0x8d, 0x04, 0x59, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x5b, 0xc9, 0xc3]);
        code[1..5].copy_from_slice(&(f - 5).to_le_bytes());
        let (mut cpu, mut space) = common::guest(memory, &code);
        let pages = [STACK, DATA].map(|address| {
            let frame = memory.alloc().expect("a frame");
            space.map(address, frame.clone(), PageFlags::USER | PageFlags::WRITE);
            frame
        });
        cpu.gpr[reg::RSP] = STACK + PAGE_SIZE as u64 / 2;
        cpu.gpr[12] = DATA;
        cpu.gpr[15] = rounds.into();
        Self { cpu, space, pages }
    }

    fn end(&self) -> (u64, [u64; 16], u64, Vec<u8>) {
        let mut bytes = vec![0; 2 * PAGE_SIZE];
        for (page, bytes) in self.pages.iter().zip(bytes.chunks_mut(PAGE_SIZE)) {
            page.read(0, bytes);
        }
        (self.cpu.rip, self.cpu.gpr, self.cpu.rflags(), bytes)
    }
}

#[test]
fn state_is_whole_wherever_a_run_ends() {
    const ROUNDS: u32 = 20_000;
    let memory = Memory::new(16 << 20).expect("memory");
    let mut interp = Interp::with_model(&memory, common::model());
    let mut expected = Guest::new(&memory, ROUNDS);
    assert_eq!(interp.run(&mut expected.cpu, &mut expected.space, u64::MAX), Exit::Interrupt(0x80));
    for setup in SETUPS.into_iter().filter(|setup| !setup.counts) {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut stops = 0;
        for period in (20..).step_by(7).map(Duration::from_micros) {
            let mut guest = Guest::new(&memory, ROUNDS);
            let exit = loop {
                native.begin(0, period);
                let exit = native.run(&mut guest.cpu, &mut guest.space, u64::MAX);
                native.end();
                if exit != Exit::Budget {
                    break exit;
                }
                stops += 1;
                let steps = u64::from(stops % 5);
                let exit = interp.run(&mut guest.cpu, &mut guest.space, steps);
                if exit != Exit::Budget {
                    break exit;
                }
            };
            assert_eq!(exit, Exit::Interrupt(0x80));
            assert_eq!(guest.end(), expected.end(), "{setup:?}, after {stops} stops");
            if stops > STOPS {
                break;
            }
        }
        let stopped = native.figures().into_iter().find(|(name, _)| *name == "stopped").map_or(0, |(_, count)| count);
        assert!(stopped > u64::from(STOPS) / 3, "translated code was stopped {stopped} times of {stops}");
    }
}

#[test]
fn a_string_instruction_stops_between_its_rounds() {
    // Overlapping, so that the processor does it byte by byte: rep movsb; int 0x80
    const BYTES: u64 = 1 << 20;
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS.into_iter().filter(|setup| !setup.counts) {
        let Some(mut native) = native(&memory, setup) else { continue };
        let mut within = 0;
        while within < 20 {
            let (mut cpu, mut space) = common::guest(&memory, &[0xf3, 0xa4, 0xcd, 0x80]);
            let frames: Vec<Frame> = (0..=BYTES / PAGE_SIZE as u64).map(|_| memory.alloc().expect("a frame")).collect();
            for (n, frame) in frames.iter().enumerate() {
                space.map(DATA + (n * PAGE_SIZE) as u64, frame.clone(), PageFlags::USER | PageFlags::WRITE);
            }
            frames[0].write(0, &[7]);
            (cpu.gpr[reg::RSI], cpu.gpr[reg::RDI], cpu.gpr[reg::RCX]) = (DATA, DATA + 1, BYTES);
            loop {
                native.begin(0, Duration::from_micros(30));
                let exit = native.run(&mut cpu, &mut space, u64::MAX);
                native.end();
                assert_eq!(cpu.gpr[reg::RDI] + cpu.gpr[reg::RCX], DATA + 1 + BYTES);
                assert_eq!(cpu.gpr[reg::RDI], cpu.gpr[reg::RSI] + 1);
                match exit {
                    Exit::Budget => within += u32::from((1..BYTES).contains(&cpu.gpr[reg::RCX])),
                    exit => break assert_eq!(exit, Exit::Interrupt(0x80)),
                }
            }
            let mut last = [0];
            frames[BYTES as usize / PAGE_SIZE].read(0, &mut last);
            assert_eq!(last, [7]);
        }
    }
}

#[test]
fn engines_that_share_a_thread_have_a_tick_each() {
    let (memory, others) = (Memory::new(16 << 20).expect("memory"), Memory::new(16 << 20).expect("memory"));
    let (Some(mut native), Some(mut other)) = (native(&memory, SETUPS[3]), common::native(&others, SETUPS[2])) else {
        return;
    };
    let period = Duration::from_millis(2);
    // jmp to itself, in both
    let (mut ours, mut our_space) = common::guest(&memory, &[0xeb, 0xfe]);
    let (mut theirs, mut their_space) = common::guest(&others, &[0xeb, 0xfe]);
    native.begin(0, period);
    for _ in 0..3 {
        other.begin(0, period);
        assert_eq!(other.run(&mut theirs, &mut their_space, u64::MAX), Exit::Budget);
        // Each of them goes on with its own turn.
        assert_eq!(native.run(&mut ours, &mut our_space, u64::MAX), Exit::Budget);
        assert_eq!(other.run(&mut theirs, &mut their_space, u64::MAX), Exit::Budget);
        other.end();
        assert_eq!(native.run(&mut ours, &mut our_space, u64::MAX), Exit::Budget);
    }
    native.end();
}

#[test]
fn a_tick_that_nobody_waits_for_ends_nothing() {
    // jmp to itself
    let memory = Memory::new(16 << 20).expect("memory");
    for setup in SETUPS.into_iter().filter(|setup| !setup.counts) {
        let Some(mut native) = native(&memory, setup) else { continue };
        let (mut cpu, mut space) = common::guest(&memory, &[0xeb, 0xfe]);
        // Without a turn, each run has one of its own.
        assert_eq!(native.run(&mut cpu, &mut space, 1000), Exit::Budget);
        drop(native);
        // The timer is gone with its engine.
        std::thread::sleep(Duration::from_millis(30));
    }
}
