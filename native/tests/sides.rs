//! Spaces that run by turns, of which one at a time has the window in the host's first 4 GiB.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![forbid(unsafe_code)]

mod common;

use std::time::Duration;

use callgate_emulator::{Cpu, Engine, Exit, Frame, Memory, PageFlags, Space, reg};

use common::{CODE, COUNTING, native};

const DATA: u64 = 0x60_0000;
/// add qword [rbx], 1; jmp to that
const COUNT: [u8; 6] = [0x48, 0x83, 0x03, 0x01, 0xeb, 0xfa];
/// As many rounds as it takes until another space gives way.
const LONG: u64 = 30_000_000;

/// A space that counts, and what it counts in.
struct Counter {
    cpu: Cpu,
    space: Space,
    data: Frame,
}

impl Counter {
    fn new(memory: &Memory) -> Self {
        let (mut cpu, space) = common::guest(memory, &COUNT);
        cpu.gpr[reg::RBX] = DATA;
        let mut counter = Self { cpu, space, data: memory.alloc().expect("a frame") };
        counter.space.map(DATA, counter.data.clone(), PageFlags::USER | PageFlags::WRITE);
        counter
    }

    /// Goes some rounds, and counts them all.
    fn go(&mut self, engine: &mut dyn Engine, rounds: u64) {
        let before = self.count();
        assert_eq!(self.cpu.rip, CODE);
        assert_eq!(engine.run(&mut self.cpu, &mut self.space, 2 * rounds), Exit::Budget);
        assert_eq!(self.count() - before, rounds);
    }

    /// Counts in another page from now on.
    fn turn_over(&mut self, memory: &Memory) {
        self.data = memory.alloc().expect("a frame");
        self.space.map(DATA, self.data.clone(), PageFlags::USER | PageFlags::WRITE);
    }

    fn count(&self) -> u64 {
        let mut bytes = [0; 8];
        self.data.read(0, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}

#[test]
fn spaces_change_sides_and_keep_their_memory() {
    for setup in COUNTING {
        let memory = Memory::new(16 << 20).expect("memory");
        let Some(mut native) = native(&memory, setup) else { continue };
        let (mut one, mut other) = (Counter::new(&memory), Counter::new(&memory));
        for round in 0..6 {
            let before = (one.count(), other.count());
            one.go(&mut *native, 1000);
            other.go(&mut *native, 1000);
            one.go(&mut *native, 1000);
            assert_eq!((one.count(), other.count()), (before.0 + 2000, before.1 + 1000));
            // By turns each of them runs for so long without the other that it gets the window.
            let long = if round % 2 == 0 { &mut other } else { &mut one };
            long.go(&mut *native, LONG);
            long.go(&mut *native, 1000);
            one.turn_over(&memory);
            if round % 3 == 0 {
                other.turn_over(&memory);
            }
        }
    }
}

#[test]
fn engines_that_share_a_thread_keep_apart() {
    let (memory, others) = (Memory::new(16 << 20).expect("memory"), Memory::new(16 << 20).expect("memory"));
    let Some(mut native) = native(&memory, COUNTING[1]) else { return };
    let Some(mut other) = common::native(&others, COUNTING[0]) else { return };
    let (mut ours, mut theirs) = (Counter::new(&memory), Counter::new(&others));
    native.begin(0, Duration::MAX);
    ours.go(&mut *native, 1000);
    other.begin(0, Duration::MAX);
    for _ in 0..3 {
        theirs.go(&mut *other, 1000);
        ours.go(&mut *native, 1000);
    }
    native.end();
    theirs.go(&mut *other, 1000);
    other.end();
    ours.go(&mut *native, 1000);
}
